"""Wicket: verification middleware for ASGI and WSGI applications that serve the apps of many customers."""

from wicket import profiles
from wicket.config.app import App, Mode
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash
from wicket.config.locations import (
    AppLocation,
    AppRef,
    Base64Encoded,
    Bearer,
    ClientDefaults,
    Cookie,
    FormBody,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Subprotocol,
    TokenClaim,
    TokenIssuer,
    TokenKeyId,
    TokenLocation,
)
from wicket.config.message_hash import MessageHash
from wicket.config.network import Network
from wicket.config.origins import OriginPolicy
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.decision.attributes import Conflict, MergeResult
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.errors import ConfigError, Problem, Refusal, Refused, WicketError
from wicket.gate import Gate
from wicket.keys import Jwks, PublicKey, Secret
from wicket.limits import Limits
from wicket.messages.request import Request
from wicket.minting import mint
from wicket.profiles import Profile
from wicket.reporting.events import DecisionEvent, KeySetFetched, OutcomeCount, UnknownKidLimited

__version__ = "0.1.0"

__all__ = [
    "App",
    "AppLocation",
    "AppRef",
    "Base64Encoded",
    "Bearer",
    "ClientDefaults",
    "CompanyHash",
    "ConfigError",
    "Conflict",
    "Cookie",
    "Decision",
    "DecisionEvent",
    "FormBody",
    "Gate",
    "Header",
    "Host",
    "Identity",
    "IdentityHash",
    "JsonBody",
    "Jwks",
    "KeySetFetched",
    "Limits",
    "MergeResult",
    "MessageHash",
    "Mode",
    "Network",
    "OriginPolicy",
    "OutcomeCount",
    "PathSegment",
    "Problem",
    "Profile",
    "PublicKey",
    "PublishableKeyBearer",
    "Query",
    "Refusal",
    "Refused",
    "Request",
    "Revocations",
    "Rules",
    "Secret",
    "Subprotocol",
    "TokenClaim",
    "TokenIssuer",
    "TokenKeyId",
    "TokenLocation",
    "UnknownKidLimited",
    "ValueHash",
    "VerifiedIdentity",
    "WicketError",
    "mint",
    "profiles",
]

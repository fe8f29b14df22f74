"""Wicket: verification middleware for ASGI and WSGI applications that serve many customers' apps at once."""

from wicket import profiles
from wicket.app import App, Mode, Rules
from wicket.decision.flow import Decision
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.decision.merging import Conflict, Merged
from wicket.errors import ConfigError, Problem, Refusal, Refused, WicketError
from wicket.events import BudgetSpent, Decided, Fetched, Outcome
from wicket.gate import Gate
from wicket.identity_hash import CompanyHash, IdentityHash
from wicket.jwks.guard import Network
from wicket.keys import Jwks, PublicKey, Secret
from wicket.limits import Limits
from wicket.minting import mint
from wicket.origins import OriginPolicy
from wicket.profiles import Profile
from wicket.request import Request
from wicket.revocations import Revocations
from wicket.sources import (
    AppRef,
    Bearer,
    BodyField,
    Cookie,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublicKeyBearer,
    Query,
    Subprotocol,
    TokenIssuer,
)

__version__ = "0.1.0"

__all__ = [
    "App",
    "AppRef",
    "Bearer",
    "BodyField",
    "BudgetSpent",
    "CompanyHash",
    "ConfigError",
    "Conflict",
    "Cookie",
    "Decided",
    "Decision",
    "Fetched",
    "Gate",
    "Header",
    "Host",
    "Identity",
    "IdentityHash",
    "JsonBody",
    "Jwks",
    "Limits",
    "Merged",
    "Mode",
    "Network",
    "OriginPolicy",
    "Outcome",
    "PathSegment",
    "Problem",
    "Profile",
    "PublicKey",
    "PublicKeyBearer",
    "Query",
    "Refusal",
    "Refused",
    "Request",
    "Revocations",
    "Rules",
    "Secret",
    "Subprotocol",
    "TokenIssuer",
    "VerifiedIdentity",
    "WicketError",
    "mint",
    "profiles",
]

"""Wicket: verification middleware for ASGI and WSGI applications that serve the apps of many customers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wicket import profiles
from wicket.config.app import App, Mode
from wicket.config.cors import CORS
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
from wicket.config.network import Destination, Network
from wicket.config.origins import OriginPolicy
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.config.websocket_refusals import WebSocketRefusals
from wicket.decision.attributes import Conflict, MergeResult
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.decision.verified import VerifiedApp, VerifiedIdentity
from wicket.errors import ConfigError, Problem, Refusal, Refused, WicketError
from wicket.gate import Gate
from wicket.jwks.fetcher import Fetched, Fetcher, FetchFailed
from wicket.keys import Jwks, PublicKey, Secret
from wicket.keys.urls import KeySetUrl
from wicket.limits import Limits
from wicket.messages.request import Request
from wicket.messages.response import Response
from wicket.profiles import Profile
from wicket.registry.async_registry import AsyncRegistry
from wicket.reporting.events import DecisionEvent, KeySetFetched, OutcomeCount, UnknownKidLimited

if TYPE_CHECKING:
    from wicket.gate_warm_up import WarmUpReport, WarmUpResult
    from wicket.http.refusals import refusal_response
    from wicket.minting import mint

__version__ = "0.1.0"

__all__ = [
    "CORS",
    "App",
    "AppLocation",
    "AppRef",
    "AsyncRegistry",
    "Base64Encoded",
    "Bearer",
    "ClientDefaults",
    "CompanyHash",
    "ConfigError",
    "Conflict",
    "Cookie",
    "Decision",
    "DecisionEvent",
    "Destination",
    "FetchFailed",
    "Fetched",
    "Fetcher",
    "FormBody",
    "Gate",
    "Header",
    "Host",
    "Identity",
    "IdentityHash",
    "JsonBody",
    "Jwks",
    "KeySetFetched",
    "KeySetUrl",
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
    "Response",
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
    "VerifiedApp",
    "VerifiedIdentity",
    "WarmUpReport",
    "WarmUpResult",
    "WebSocketRefusals",
    "WicketError",
    "mint",
    "profiles",
    "refusal_response",
]

_IMPORTED_LATER = {
    "WarmUpReport": "wicket.gate_warm_up",
    "WarmUpResult": "wicket.gate_warm_up",
    "mint": "wicket.minting",
    "refusal_response": "wicket.http.refusals",
}
"""The public names whose modules most applications do not need, with their modules."""


if not TYPE_CHECKING:  # pragma: no branch - a type checker would accept every name

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used (PEP 562)."""
        module = _IMPORTED_LATER.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(module), name)
        return value

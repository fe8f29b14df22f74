"""The input of a diagnosis, and the decision of the gate about it.

The decision is that of the gate's own flow for one app. It is enforced, anonymous users are not allowed, and it is not
reported or counted, because no client sent the request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from wicket.config.app import App, Mode
from wicket.config.locations import AppRef, ClientDefaults, TokenLocation
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.extract_token import token_from
from wicket.decision.flow import decide
from wicket.decision.io import run
from wicket.decision.key_selection import KeySelection, select_keys
from wicket.decision.resolve_app import resolve_app
from wicket.decision.signature import Verification
from wicket.decision.token_parser import UnverifiedToken, decode, parse_json_object, parse_token_or_raise
from wicket.diagnostics.key_sets import FetchResult, fetch_key_set
from wicket.errors import Refusal, Refused, config_error
from wicket.gate import Gate
from wicket.jwks.fetcher import FetchFailed
from wicket.keys.algorithms import Key, expand_aliases
from wicket.keys.key_set import KeySource
from wicket.messages.json_body import parse_body
from wicket.messages.request import Request

R = TypeVar("R")

_MISSING: Final = Refusal("missing_token")


@dataclass(frozen=True, slots=True)
class Case:
    """A token or an identity hash of one app.

    Args:
        app: The app.
        now: The time of the decision, in seconds since 1970.
        origin: The origin of the page, if one was given.
        request: A request with the body and the origin that were given.
        raw_token: The token as it was given, or as it is in the body.
        token: The parsed token; None if there is no token, or if it cannot be parsed.
        token_error: Why the token cannot be read from the body, or cannot be parsed.
        key_sets: The result of a fetch of each remote key set of the app.
        selection: The keys that the gate tries for the token.
        selection_error: Why the gate tries no key.
        signing_key: The key among them that verifies the token.
        claims: The claims of the token, whether or not its signature verifies.
        claims_error: Why the claims cannot be parsed.
        decision: The decision of the gate.
    """

    app: App
    now: float
    origin: str | None
    request: Request
    raw_token: str | None
    token: UnverifiedToken | None
    token_error: Refused | None
    key_sets: Mapping[KeySource, FetchResult]
    selection: KeySelection | None
    selection_error: Refused | None
    signing_key: Key | None
    claims: Mapping[str, Any] | None
    claims_error: Refused | None
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether the decision has a verified identity."""
        return self.decision.allowed and self.decision.identity.verified

    @property
    def refusal(self) -> Refusal | None:
        """The refusal of the gate; None if the token or hash passes."""
        return None if self.passed else self.decision.refusal or _MISSING

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that at least one of the app's credentials allows."""
        return self.app.keyring.algorithms.union(*(expand_aliases(source.algorithms) for source in self.app.sources))

    @property
    def known_keys(self) -> tuple[Key, ...]:
        """The app's local keys and the keys of its fetched key sets."""
        results = self.key_sets.values()
        fetched = (key for result in results if not isinstance(result, FetchFailed) for key in result.keys.keys)
        return (*self.app.keyring.keys, *fetched)


def attempt(step: Callable[[], R]) -> tuple[R | None, Refused | None]:
    """Call `step`. Return its result and None, or None and the `Refused` that it raised."""
    try:
        return step(), None
    except Refused as refused:
        return None, refused


def verifies(token: UnverifiedToken, key: Key) -> bool:
    """Return whether `key` verifies the signature of the token with the algorithm of its header."""
    algorithm = token.header.algorithm
    return algorithm in key.algorithms and key.verify(algorithm, token.signing_input, decode(token.signature))


def load_app(context: GateContext, app_id: str) -> App:
    """Return the app with this id or alias, from the configuration or the registry. Block while it is loaded.

    Raises:
        Refused: The app is unknown, broken or unavailable.
    """
    return run(resolve_app(context, [AppRef("id", app_id)], RequestContext(context, context.limits.load_timeout)))


def encode_body(body: Mapping[str, Any] | None) -> bytes | None:
    """Return a body as JSON. Raise `ConfigError` if JSON cannot encode it."""
    if body is None:
        return None
    try:
        return json.dumps(dict(body)).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise config_error("body", "must map strings to values that JSON can encode") from None


def build_case(gate: Gate, app: App, raw_token: str | None, body: Mapping[str, Any] | None, origin: str | None) -> Case:
    """Parse the input, and decide it as the gate does. Block while key sets are fetched.

    Args:
        gate: The gate.
        app: The app.
        raw_token: The token. Without it, the token in `body` is used.
        body: The JSON object that the client sent.
        origin: The origin of the page.
    """
    context = gate._context
    request = _build_request(app, body, origin)
    request.document = parse_body(encode_body(body))
    given_token = raw_token or None
    token_error: Refused | None = None
    if given_token is None:
        raw_token, token_error = attempt(lambda: _extract_token(app, request))
    token: UnverifiedToken | None = None
    if raw_token is not None:
        token, token_error = attempt(partial(parse_token_or_raise, raw_token, app.rules.max_token_bytes))
    key_sets: dict[KeySource, FetchResult] = {}
    selection: KeySelection | None = None
    claims: Mapping[str, Any] | None = None
    selection_error: Refused | None = None
    claims_error: Refused | None = None
    signing_key: Key | None = None
    if token is not None:
        key_sets = {source: fetch_key_set(gate, app.id, source) for source in app.sources}
        selection, selection_error = attempt(partial(_select_keys, context, app, token))
        payload = token.payload
        claims, claims_error = attempt(lambda: parse_json_object(decode(payload)))
        signing_key = _find_signing_key(app, token, selection.keys if selection else (), claims or {})
    decision = _decide(context, app, given_token, body, origin)
    return Case(
        app,
        context.clock(),
        origin,
        request,
        raw_token,
        token,
        token_error,
        key_sets,
        selection,
        selection_error,
        signing_key,
        claims,
        claims_error,
        decision,
    )


def _select_keys(context: GateContext, app: App, token: UnverifiedToken) -> KeySelection:
    """Return the keys that the gate tries for a token. Block while key sets are loaded."""
    timeouts = context.key_load_timeouts(context.limits.load_timeout, enforced=True)
    verification = Verification(app, token, context.signature_cache, context.clock())
    return run(select_keys(context.key_sets, app, token.header, timeouts, verification))


def _find_signing_key(app: App, token: UnverifiedToken, keys: Iterable[Key], claims: Mapping[str, Any]) -> Key | None:
    """Return the key that signed the token. If several issuers publish it, return the one of the token's issuer."""
    verifying = [key for key in keys if verifies(token, key)]
    candidates = [key for key in verifying if key.serves(claims)] or verifying
    issuer = claims.get("iss")
    return next(
        (key for key in candidates if (key.issuer or app.issuer) == issuer), candidates[0] if candidates else None
    )


@dataclass(frozen=True, slots=True)
class _GivenToken(TokenLocation):
    """A token location for a token that is not in the request."""

    raw_token: str

    def read(self, request: Request) -> str | None:
        """Return the token."""
        return self.raw_token


def _decide(
    context: GateContext, app: App, given_token: str | None, body: Mapping[str, Any] | None, origin: str | None
) -> Decision:
    locations: tuple[TokenLocation, ...] = app.token_locations if given_token is None else (_GivenToken(given_token),)
    strict_app = replace(
        app, token_locations=locations, allow_anonymous=False, require_origin=app.require_origin and origin is not None
    )
    app_context = GateContext(
        apps={},
        only_app=strict_app,
        registry=None,
        app_locations=(),
        located_tokens=context.located_tokens,
        signature_cache=context.signature_cache,
        key_sets=context.key_sets,
        mode=Mode.ENFORCE,
        clock=context.clock,
        limits=context.limits,
    )
    request = _build_request(app, body, origin)
    if given_token is not None and (
        app.located_tokens.body or any(location.phase == "body" for location in app.app_locations)
    ):
        # For a real request, the gate reads the body to find the token or the name of the app.
        request.document = parse_body(encode_body(body))
    return run(decide(app_context, request))


def _build_request(app: App, body: Mapping[str, Any] | None, origin: str | None) -> Request:
    """Return a request with this body, of a media type that the app's token locations read.

    A member with the name of a header or query parameter of the app's locations is sent there too.
    """
    types = app.located_tokens.body_types
    media_type = "application/json" if not types or "application/json" in types else min(types)
    headers = [("content-type", media_type)]
    if origin is not None:
        headers.append(("origin", origin))
    sent = ClientDefaults()
    members = {str(name).lower(): value for name, value in (body or {}).items() if isinstance(value, str)}
    rule = app.identity_hash
    for location in dict.fromkeys((*app.token_locations, *(rule.locations if rule is not None else ()))):
        value = members.get(location.location_name.lower())
        if value and location.phase == "headers_and_query":
            location.write(sent, value)
    headers.extend(sent.headers.items())
    return Request("POST", query=urlencode(sent.query, errors="replace"), headers=headers, body=encode_body(body))


def _extract_token(app: App, request: Request) -> str | None:
    groups = app.located_tokens
    for group in (groups.headers_and_query, groups.cookies, groups.body):
        raw_token, _ = token_from(groups, group, request, (app.publishable_key,))
        if raw_token is not None:
            return raw_token
    return None

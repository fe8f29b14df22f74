"""One case: what was given, and what the gate itself makes of it, gathered once for all that looks at it.

The decision is the gate's own flow, for this one app, enforced, with nobody admitted without proof. It is not
reported: a case is no request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from wicket.config.app import App, Mode
from wicket.config.locations import AppRef, BodyField, Header, Query, TokenLocation
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.extract_token import token_from
from wicket.decision.flow import decide
from wicket.decision.io import run
from wicket.decision.key_selection import KeySelection
from wicket.decision.resolve_app import resolve_app
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
    """A token or hash of one app, and what is known of it.

    `text` is the token as it was given or stands in what was sent; `token` is None where it cannot be read, and
    `unread` says why. `choice` are the keys that the gate would try, `signer` the one that verifies the token, and
    `sets` what each remote key set brought. `claims` are the token's, verified or not. `request` carries what was sent.
    """

    app: App
    now: float
    origin: str | None
    request: Request
    text: str | None
    token: UnverifiedToken | None
    unread: Refused | None
    sets: Mapping[KeySource, FetchResult]
    choice: KeySelection | None
    unchosen: Refused | None
    signer: Key | None
    claims: Mapping[str, Any] | None
    unparsed: Refused | None
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether the gate is given a verified identity."""
        return self.decision.allowed and self.decision.identity.verified

    @property
    def refusal(self) -> Refusal | None:
        """Why the gate refuses it; None where it passes."""
        return None if self.passed else self.decision.refusal or _MISSING

    @property
    def algorithms(self) -> frozenset[str]:
        """Every algorithm that one of the app's credentials allows."""
        return self.app.keyring.algorithms.union(*(expand_aliases(source.algorithms) for source in self.app.sources))

    @property
    def known_keys(self) -> tuple[Key, ...]:
        """Every key of the app: those at hand, and those of the key sets as they were just fetched."""
        fetched = (key for each in self.sets.values() if not isinstance(each, FetchFailed) for key in each.keys.keys)
        return (*self.app.keyring.keys, *fetched)


def attempt(step: Callable[[], R]) -> tuple[R | None, Refused | None]:
    """The result of `step`, or why it was refused."""
    try:
        return step(), None
    except Refused as refused:
        return None, refused


def verifies(token: UnverifiedToken, key: Key) -> bool:
    """Whether `key` signed the token with the algorithm that its header names."""
    algorithm = token.header.algorithm
    return algorithm in key.algorithms and key.verify(algorithm, token.signing_input, decode(token.signature))


def app_of(house: GateContext, app_id: str) -> App:
    """The app of that id or alias, in code or of the registry. Raises `Refused`; blocks while it is loaded."""
    return run(resolve_app(house, [AppRef("id", app_id)], RequestContext(house, house.limits.load_timeout)))


def body_of(sent: Mapping[str, Any] | None) -> bytes | None:
    """What was sent, as JSON. Raises `ConfigError` for what JSON cannot spell."""
    if sent is None:
        return None
    try:
        return json.dumps(dict(sent)).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise config_error("sent", "must be what a JSON body may hold, under texts as names") from None


def gather(
    gate: Gate, house: GateContext, app: App, token: str | None, sent: Mapping[str, Any] | None, origin: str | None
) -> Case:
    """Look at everything once. A token that is given counts before one that was sent. Blocks while keys are fetched."""
    request = _request_of(app, sent, origin)
    request.document = parse_body(body_of(sent))
    text, unread = (token, None) if token else attempt(lambda: _token_sent(app, request))
    read: UnverifiedToken | None = None
    if text is not None:
        shape = text
        read, unread = attempt(lambda: parse_token_or_raise(shape, app.rules.max_token_bytes))
    sets: dict[KeySource, FetchResult] = {}
    choice: KeySelection | None = None
    claims: Mapping[str, Any] | None = None
    unchosen: Refused | None = None
    unparsed: Refused | None = None
    signer: Key | None = None
    if read is not None:
        held = read
        sets = {source: fetch_key_set(gate, app.id, source) for source in app.sources}
        choice, unchosen = attempt(lambda: run(gate.select_keys(app, held)))
        claims, unparsed = attempt(lambda: parse_json_object(decode(held.payload)))
        signer = _signer(app, held, choice.keys if choice else (), claims or {})
    decision = _decide(house, app, token or None, sent, origin)
    now = house.clock()
    return Case(
        app, now, origin, request, text, read, unread, sets, choice, unchosen, signer, claims, unparsed, decision
    )


def _signer(app: App, token: UnverifiedToken, keys: Iterable[Key], claims: Mapping[str, Any]) -> Key | None:
    """The key that signed the token; if several issuers publish it, the one of the token's issuer."""
    signed = [key for key in keys if verifies(token, key)]
    serving = [key for key in signed if key.serves(claims)] or signed
    issuer = claims.get("iss")
    return next((key for key in serving if (key.issuer or app.issuer) == issuer), serving[0] if serving else None)


@dataclass(frozen=True, slots=True)
class _Given:
    """The place of a token that was handed over by itself."""

    text: str

    def read(self, request: Request) -> str | None:
        """The token."""
        return self.text


def _decide(
    house: GateContext, app: App, token: str | None, sent: Mapping[str, Any] | None, origin: str | None
) -> Decision:
    places: tuple[TokenLocation, ...] = app.token_locations if token is None else (_Given(token),)
    only = replace(
        app, token_locations=places, allow_anonymous=False, require_origin=app.require_origin and origin is not None
    )
    alone = GateContext(
        apps={},
        only_app=only,
        registry=None,
        app_locations=(),
        located_tokens=house.located_tokens,
        signature_cache=house.signature_cache,
        key_sets=house.key_sets,
        mode=Mode.ENFORCE,
        clock=house.clock,
        limits=house.limits,
    )
    request = _request_of(app, sent, origin)
    if token is not None and (
        app.located_tokens.body or any(isinstance(place, BodyField) for place in app.app_locations)
    ):
        request.document = parse_body(body_of(sent))  # the gate would have read it, for the token or the app's name
    return run(decide(alone, request))


def _request_of(app: App, sent: Mapping[str, Any] | None, origin: str | None) -> Request:
    """A request with this body, of a type into which the app looks.

    Members that are named like a header or a query parameter of the app's places ride there too.
    """
    types = app.located_tokens.body_types
    media = "application/json" if not types or "application/json" in types else min(types)
    headers = [("content-type", media)]
    if origin is not None:
        headers.append(("origin", origin))
    query: dict[str, str] = {}
    held = {str(name).lower(): value for name, value in (sent or {}).items() if isinstance(value, str)}
    for place in _places(app):
        value = held.get(place.name.lower())
        if value and isinstance(place, Header):
            headers.append((place.name, value))
        elif value:
            query[place.name] = value
    return Request("POST", query=urlencode(query, errors="replace"), headers=headers, body=body_of(sent))


def _places(app: App) -> Iterator[Header | Query]:
    rule = app.identity_hash
    every = dict.fromkeys((*app.token_locations, *(rule.places if rule is not None else ())))
    return (place for place in every if isinstance(place, (Header, Query)))


def _token_sent(app: App, request: Request) -> str | None:
    holders = app.located_tokens
    for places in (holders.headers_and_query, holders.cookies, holders.body):
        text, _ = token_from(places, request)
        if text is not None:
            return text
    return None

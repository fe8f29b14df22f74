"""A gate with apps in code, apps of a registry and a key set, both middlewares, and the answers that are possible.

The apps in code never change, but the clock is set forwards and back. A request may be decided at any time that the
clock had between its start and its end. The apps of the registry and the keys of the key set change. The version before
a change may be used until `Gate.refresh` is called or until its lifetime ends.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Final

from jwt.algorithms import ECAlgorithm

import wicket.asgi
import wicket.wsgi
from tests.properties.concurrency import LONG, given_way, landed, together
from tests.properties.fast_path_model import (
    IN_CODE,
    LEEWAY,
    LOADED,
    Answer,
    RequestSpec,
    Rule,
    app_of,
    expected_answer,
    private_key,
    token,
)
from tests.properties.tokens import NOW
from wicket import (
    App,
    AppRef,
    Decision,
    Gate,
    Header,
    Limits,
    Mode,
    Request,
)
from wicket.decision.context import RequestContext
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.messages.headers import ASGI_NAMES
from wicket.testing import FakeClock

SHARED: Final = ("fast_path.py", "context.py", "signature_cache.py", "flow.py")  # these read and write shared state
Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Observed:
    """A request and its answer, with the moments and the clock positions of its start and end."""

    request: RequestSpec
    begun: int
    ended: int
    times: tuple[int, int]
    said: Answer


@dataclass
class State:
    """One rule of an app, from one moment until the gate no longer uses it."""

    rule: Rule | None
    begun: int
    gone: int | None = None


class WatchedGate(Gate):
    """A gate that records the app and the protocol of each request on the fast path."""

    taken: list[tuple[str | None, str]]

    def _try_fast_path(self, request: Request, *, optional: bool) -> Decision | RequestContext | None:
        found = super()._try_fast_path(request, optional=optional)
        if isinstance(found, Decision):
            self.taken.append((found.app_id, "asgi" if request.header_names is ASGI_NAMES else "wsgi"))
        return found


class WallClock:
    """The clock, which is set forwards and back. Every time that it had is kept."""

    def __init__(self) -> None:
        self.places: list[float] = [NOW]

    def __call__(self) -> float:
        return self.places[-1]

    @property
    def place(self) -> int:
        return len(self.places) - 1


class FastPathMachine:
    """A gate with apps in code and apps of a registry, both middlewares, and the changes."""

    def __init__(self, *, tiny: bool) -> None:
        for key in ("mixed/0", "mixed/1", "mixed/2"):
            private_key(key)  # before the threads start: two threads at once would each generate a key
        self.states = {rule.id: [State(rule, 0)] for rule in (*IN_CODE, *LOADED)} | {"nobody": [State(None, 0)]}
        self.refreshes: list[tuple[str, int, int]] = []
        self.day = WallClock()
        self._age = FakeClock(1000.0)
        self._moments = itertools.count(1)
        self.gate = WatchedGate(
            [app_of(rule) for rule in IN_CODE],
            registry=self._load,
            app_locations=[Header("X-App-Id")],
            fetcher=self._fetch,
            clock=self.day,
            monotonic=self._age,
            limits=Limits(
                load_timeout=LONG,
                log_only_timeout=LONG,
                stale_timeout=LONG,
                fetch_timeout=LONG,
                app_lifetime=60.0,
                key_set_lifetime=60.0,
                signature_cache_size=8 if tiny else 1000,
                signature_cache_per_app=3 if tiny else 100,
            ),
        )
        self.gate.taken = []
        self._asgi = wicket.asgi.WicketMiddleware(self._asgi_app, self.gate)
        self._wsgi = wicket.wsgi.WicketMiddleware(self._wsgi_app, self.gate)

    def _load(self, ref: AppRef) -> App | None:
        rule = self.states[ref.value][-1].rule
        return app_of(rule) if rule is not None else None

    def _fetch(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        rule = self.states["mixed"][-1].rule
        published = [] if rule is None else rule.published
        keys = [{**ECAlgorithm.to_jwk(private_key(key).public_key(), as_dict=True), "kid": key} for key in published]
        return Fetched({"keys": keys}, None, None, None, 0.0, None)

    # --- what changes

    def change(self, id: str, rule: Rule | None, *, said: bool) -> None:
        """Change the rule of an app. `said` calls `Gate.refresh`."""
        self.states[id].append(State(rule, next(self._moments)))
        if said:
            self.refresh(id, purge=True)
            self._all_gone(id)

    def refresh(self, id: str, *, purge: bool) -> None:
        """Refresh the app."""
        begun = next(self._moments)
        self.gate.refresh(id, purge=purge)
        self.refreshes.append((id, begun, next(self._moments)))

    def expire_caches(self, seconds: float) -> None:
        """Expire everything that was loaded, while no request runs."""
        landed(self.gate._registry, self.gate._key_sets.cache)
        self._age.advance(seconds)
        for id in self.states:
            self._all_gone(id)

    def reset(self) -> None:
        """Reset every app and the clock."""
        self.day.places.append(NOW)
        for rule in (IN_CODE[-1], *LOADED):
            self.change(rule.id, rule, said=True)

    def _all_gone(self, id: str) -> None:
        moment = next(self._moments)
        for state in self.states[id][:-1]:
            state.gone = state.gone or moment

    # --- requests

    def _observed(self, request: RequestSpec, begun: int, place: int, said: Answer) -> Observed:
        return Observed(request, begun, next(self._moments), (place, self.day.place), said)

    def verify_only(self, request: RequestSpec) -> Observed:
        begun, place = next(self._moments), self.day.place
        decision = self.gate.verify(token(request.token), app=request.name, origin=request.origin)
        return self._observed(replace(request, verify_only=True), begun, place, said(decision, request))

    async def verify_token_async(self, request: RequestSpec) -> Observed:
        begun, place = next(self._moments), self.day.place
        decision = await self.gate.averify(token(request.token), app=request.name, origin=request.origin)
        return self._observed(replace(request, verify_only=True), begun, place, said(decision, request))

    def _headers(self, request: RequestSpec) -> dict[str, str]:
        app_rule = next((rule for rule in IN_CODE if rule.id == request.app and rule.header != "Authorization"), None)
        headers = {"x-app-id": request.name}
        if app_rule is not None:
            headers[app_rule.header.lower()] = token(request.token)
        else:
            headers["authorization"] = f"Bearer {token(request.token)}"
        return headers | ({"origin": request.origin} if request.origin is not None else {})

    def send_wsgi(self, request: RequestSpec) -> Observed:
        begun, place = next(self._moments), self.day.place
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self._headers(request).items()
        }
        environ |= {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.input": BytesIO()}
        started: dict[str, str] = {}

        def start_response(status: str, headers: list[tuple[str, str]], error: object = None, /) -> Callable[..., Any]:
            started.update(headers)
            return lambda _: None

        body = b"".join(self._wsgi(environ, start_response))
        decision: Decision | None = environ.get("wicket.decision")
        assert decision is None or environ.get("REMOTE_USER", "") == decision.identity.identity
        return self._observed(request, begun, place, answered(request, started, body, decision))

    async def send_asgi(self, request: RequestSpec) -> Observed:
        begun, place = next(self._moments), self.day.place
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(name.encode(), value.encode()) for name, value in self._headers(request).items()]
        scope: Message = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        await self._asgi(scope, receive, send)
        decision: Decision | None = scope.get("state", {}).get("wicket")
        assert decision is None or scope["user"] is decision.identity
        response_headers = {name.decode().title(): value.decode() for name, value in sent[0]["headers"]}
        return self._observed(request, begun, place, answered(request, response_headers, sent[1]["body"], decision))

    @staticmethod
    async def _asgi_app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await asyncio.sleep(0)  # let the other tasks run
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    @staticmethod
    def _wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"in"]

    def burst(self, requests: Sequence[RequestSpec], changes: Sequence[Callable[[], None]]) -> list[Observed]:
        """Send all requests at once through both middlewares and `verify`, during the changes. Check every answer."""

        async def tasks() -> list[Observed]:
            senders = itertools.cycle([self.send_asgi, self.send_asgi, self.verify_token_async])
            return await asyncio.gather(*(sender(request) for sender, request in zip(senders, requests, strict=False)))

        def changing() -> list[Observed]:
            seen = []
            for change, request in zip(changes, itertools.cycle(requests), strict=False):
                change()
                seen.append(self.send_wsgi(request))
            return seen

        jobs = [
            changing,
            lambda: [self.send_wsgi(request) for request in requests],
            lambda: [self.send_wsgi(request) for request in reversed(requests)],
            lambda: [self.verify_only(request) for request in requests],
            lambda: asyncio.run(tasks()),
        ]
        seen = together(jobs, way=lambda number: given_way(SHARED, random.Random(number)))
        assert len(seen) == 4 * len(requests) + len(changes)
        for observed in seen:
            self.check(observed)
        return seen

    # --- the possible answers

    def check(self, seen: Observed) -> None:
        """Fail if no time and no usable state gives this answer."""
        possible = self.possible(seen)
        assert seen.said in possible, f"{seen} is not one of {possible}: {self.states[seen.request.app][-4:]}"

    def possible(self, seen: Observed) -> set[Answer]:
        """Return all possible answers."""
        first, last = seen.times
        request, times = seen.request, {*self.day.places[first : last + 1]}
        rules = {
            state.rule
            for state in self.states[request.app]
            if state.begun <= seen.ended and (state.gone is None or state.gone > seen.begun)
        }
        answers = {expected_answer(rule, request, now) for rule in rules for now in times}
        if request.app == "mixed" and request.token.kid is not None:
            # A key set is not fetched for an unknown kid of a token that is issued in the future.
            early = any(request.token.issued > now + LEEWAY for now in times)
            answers |= {
                ("issued_in_future", *answer[1:]) for answer in answers if early and answer[0] == "bad_signature"
            }
        refreshed = any(begun < seen.ended and seen.begun < ended for _, begun, ended in self.refreshes)
        if (request.app == "nobody" or None in rules) and refreshed:
            # The registry does not know the app. Each refresh drops the negative entries of all apps, and a request
            # loads an entry at most twice. The first load may have begun before the request, and earlier refreshes
            # may have made it void.
            answers.add(("apps_unavailable", True, "", None))
        if any(id == request.app and begun < seen.ended and seen.begun < ended for id, begun, ended in self.refreshes):
            if request.app in ("r0", "r1"):
                answers.add(("apps_unavailable", True, "", None))
            elif request.app == "mixed" and request.token.key in ("mixed/1", "mixed/2"):
                answers.add(("keys_unavailable", True, "", None))
        return answers


def said(decision: Decision, request: RequestSpec) -> Answer:
    """Return a decision as an answer."""
    refusal, identity = decision.refusal, decision.identity
    assert identity.verified is (refusal is None)
    if identity.verified:
        assert {name: identity.claims.get(name) for name in ("sub", "iss", "jti", "exp")} == {
            "sub": request.token.user,
            "iss": request.token.issuer,
            "jti": request.token.jti,
            "exp": request.token.expires,
        }
    reason = "accepted" if refusal is None else refusal.reason or refusal.code
    return reason, decision.enforced, identity.identity, identity.kid


def answered(request: RequestSpec, headers: dict[str, str], body: bytes, decision: Decision | None) -> Answer:
    """Return a response as an answer. `decision` is the decision that the application received, if it was called."""
    if decision is not None:
        assert body == b"in"
        answer = said(decision, request)
    else:
        problem = json.loads(body)
        answer = problem["reason"] or problem["error"], True, "", None
    readable = request.origin if decision is not None or answer[0] != "origin_not_allowed" else None
    assert headers.get("Access-Control-Allow-Origin") == readable, "a page of another origin can read this"
    return answer


def random_change(machine: FastPathMachine, chance: random.Random) -> Callable[[], None]:
    """Return a random change, in half of the cases of the clock."""
    kind = chance.choice(["time", "time", "time", "refresh", "keys", "app"])
    now, said, purge = NOW + 10 * chance.randrange(-5, 30), chance.random() < 0.6, chance.random() < 0.5
    id = chance.choice([rule.id for rule in (*IN_CODE, *LOADED)])
    if kind == "time":
        return lambda: machine.day.places.append(now)
    if kind == "refresh":
        return lambda: machine.refresh(id, purge=purge)
    if kind == "keys":
        published = chance.choice([("mixed/1",), ("mixed/2",), ("mixed/1", "mixed/2")])
        return lambda: machine.change("mixed", replace(IN_CODE[-1], published=published), said=said)
    loaded = chance.choice(LOADED)
    keys = chance.choice([(f"{loaded.id}/0",), (f"{loaded.id}/2",), (f"{loaded.id}/0", f"{loaded.id}/2")])
    revoked, mode = frozenset(chance.sample(["u1", "u2"], chance.randrange(2))), chance.choice([*Mode])
    rule = replace(loaded, keys=keys, revoked=revoked, mode=mode) if chance.random() < 0.8 else None
    return lambda: machine.change(loaded.id, rule, said=said)

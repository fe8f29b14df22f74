"""A gate with apps in code under a clock that moves, beside others that change, its doors, and what it may say.

Of the apps in code none ever changes, but time passes, and is set back: a request may be judged by any time that it was
between its beginning and its end. Apps of the registry and the keys of a key set change besides: what was before a
change serves until the gate was told, or until its lifetime is over.
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
from tests.properties.fast_path_model import IN_CODE, LOADED, Ask, Rule, Said, app_of, judged, private_key, token
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
from wicket.decision.context import FastPathEntry
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

SHARED: Final = ("straight.py", "house.py", "memory.py", "flow.py")  # where what several requests share is touched
Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """A request and what was said, with the moments and the places of the clock between which that was."""

    ask: Ask
    begun: int
    ended: int
    times: tuple[int, int]
    said: Said


@dataclass
class State:
    """One rule of an app, from one moment until it can no longer be seen."""

    rule: Rule | None
    begun: int
    gone: int | None = None


class WatchedGate(Gate):
    """A gate that notes who took the straight road, and through which door."""

    taken: list[tuple[str | None, str]]

    def _try_fast_path(self, request: Request) -> Decision | None:
        found = super()._try_fast_path(request)
        if found is not None:
            assert isinstance(found._context, FastPathEntry)
            self.taken.append((found.app_id, "asgi" if isinstance(found._context.token_header, bytes) else "wsgi"))
        return found


class Day:
    """The time of day, which goes forth and back; every place that it was at is kept."""

    def __init__(self) -> None:
        self.places: list[float] = [NOW]

    def __call__(self) -> float:
        return self.places[-1]

    @property
    def place(self) -> int:
        return len(self.places) - 1


class Roads:
    """A gate with apps in code and apps of a registry, its doors, and what was changed."""

    def __init__(self, *, tiny: bool) -> None:
        for key in ("mixed/0", "mixed/1", "mixed/2"):
            private_key(key)  # before there are threads: two that ask at once would each have one made
        self.states = {rule.id: [State(rule, 0)] for rule in (*IN_CODE, *LOADED)} | {"nobody": [State(None, 0)]}
        self.refreshes: list[tuple[str, int, int]] = []
        self.day = Day()
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
        self._asgi = wicket.asgi.WicketMiddleware(self._behind_asgi, self.gate)
        self._wsgi = wicket.wsgi.WicketMiddleware(self._behind_wsgi, self.gate)

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
        """From now on this is the rule; `said` tells the gate."""
        self.states[id].append(State(rule, next(self._moments)))
        if said:
            self.refresh(id, purge=True)
            self._all_gone(id)

    def refresh(self, id: str, *, purge: bool) -> None:
        """Have the gate forget what it knows of the app."""
        begun = next(self._moments)
        self.gate.refresh(id, purge=purge)
        self.refreshes.append((id, begun, next(self._moments)))

    def grow_old(self, seconds: float) -> None:
        """Let all that was loaded have its time, while nobody asks."""
        landed(self.gate._registry, self.gate._key_sets.cache)
        self._age.advance(seconds)
        for id in self.states:
            self._all_gone(id)

    def back_to_the_beginning(self) -> None:
        """Let every app be as it was at first, and the time too."""
        self.day.places.append(NOW)
        for rule in (IN_CODE[-1], *LOADED):
            self.change(rule.id, rule, said=True)

    def _all_gone(self, id: str) -> None:
        moment = next(self._moments)
        for state in self.states[id][:-1]:
            state.gone = state.gone or moment

    # --- requests

    def _seen(self, ask: Ask, begun: int, place: int, said: Said) -> Seen:
        return Seen(ask, begun, next(self._moments), (place, self.day.place), said)

    def by_hand(self, ask: Ask) -> Seen:
        begun, place = next(self._moments), self.day.place
        decision = self.gate.verify(token(ask.token), app=ask.name, origin=ask.origin)
        return self._seen(replace(ask, by_hand=True), begun, place, said(decision, ask))

    async def by_hand_async(self, ask: Ask) -> Seen:
        begun, place = next(self._moments), self.day.place
        decision = await self.gate.averify(token(ask.token), app=ask.name, origin=ask.origin)
        return self._seen(replace(ask, by_hand=True), begun, place, said(decision, ask))

    def _headers(self, ask: Ask) -> dict[str, str]:
        own = next((rule for rule in IN_CODE if rule.id == ask.app and rule.header != "Authorization"), None)
        headers = {"x-app-id": ask.name}
        headers |= {own.header.lower(): token(ask.token)} if own else {"authorization": f"Bearer {token(ask.token)}"}
        return headers | ({"origin": ask.origin} if ask.origin is not None else {})

    def through_wsgi(self, ask: Ask) -> Seen:
        begun, place = next(self._moments), self.day.place
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self._headers(ask).items()
        }
        environ |= {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.input": BytesIO()}
        started: dict[str, str] = {}

        def start_response(status: str, headers: list[tuple[str, str]], error: object = None, /) -> Callable[..., Any]:
            started.update(headers)
            return lambda _: None

        body = b"".join(self._wsgi(environ, start_response))
        decision: Decision | None = environ.get("wicket.decision")
        assert decision is None or environ.get("REMOTE_USER", "") == decision.identity.identity
        return self._seen(ask, begun, place, answered(ask, started, body, decision))

    async def through_asgi(self, ask: Ask) -> Seen:
        begun, place = next(self._moments), self.day.place
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(name.encode(), value.encode()) for name, value in self._headers(ask).items()]
        scope: Message = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        await self._asgi(scope, receive, send)
        decision: Decision | None = scope.get("state", {}).get("wicket")
        assert decision is None or scope["user"] is decision.identity
        told = {name.decode().title(): value.decode() for name, value in sent[0]["headers"]}
        return self._seen(ask, begun, place, answered(ask, told, sent[1]["body"], decision))

    @staticmethod
    async def _behind_asgi(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await asyncio.sleep(0)  # the other tasks go on
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    @staticmethod
    def _behind_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"in"]

    def burst(self, asks: Sequence[Ask], changes: Sequence[Callable[[], None]]) -> list[Seen]:
        """Send all of them at once through both doors and by hand, while the changes are made; check every answer."""

        async def tasks() -> list[Seen]:
            ways = itertools.cycle([self.through_asgi, self.through_asgi, self.by_hand_async])
            return await asyncio.gather(*(way(ask) for way, ask in zip(ways, asks, strict=False)))

        def changing() -> list[Seen]:
            seen = []
            for change, ask in zip(changes, itertools.cycle(asks), strict=False):
                change()
                seen.append(self.through_wsgi(ask))
            return seen

        jobs = [
            changing,
            lambda: [self.through_wsgi(ask) for ask in asks],
            lambda: [self.through_wsgi(ask) for ask in reversed(asks)],
            lambda: [self.by_hand(ask) for ask in asks],
            lambda: asyncio.run(tasks()),
        ]
        seen = together(jobs, way=lambda number: given_way(SHARED, random.Random(number)))
        assert len(seen) == 4 * len(asks) + len(changes)
        for each in seen:
            self.check(each)
        return seen

    # --- what may be said

    def check(self, seen: Seen) -> None:
        """Fails where no time and no state that may still count give this answer."""
        possible = self.possible(seen)
        assert seen.said in possible, f"{seen} is none of {possible}: {self.states[seen.ask.app][-4:]}"

    def possible(self, seen: Seen) -> set[Said]:
        """All that the gate may say."""
        first, last = seen.times
        ask, times = seen.ask, {*self.day.places[first : last + 1]}
        rules = {
            state.rule
            for state in self.states[ask.app]
            if state.begun <= seen.ended and (state.gone is None or state.gone > seen.begun)
        }
        answers = {judged(rule, ask, now) for rule in rules for now in times}
        if any(id == ask.app and begun < seen.ended and seen.begun < ended for id, begun, ended in self.refreshes):
            if ask.app in ("r0", "r1"):
                answers.add(("apps_unavailable", True, "", None))
            elif ask.app == "mixed" and ask.token.key in ("mixed/1", "mixed/2"):
                answers.add(("keys_unavailable", True, "", None))
        return answers


def said(decision: Decision, ask: Ask) -> Said:
    """A decision in few words."""
    refusal, identity = decision.refusal, decision.identity
    assert identity.verified is (refusal is None)
    if identity.verified:
        assert {name: identity.claims.get(name) for name in ("sub", "iss", "jti", "exp")} == {
            "sub": ask.token.user,
            "iss": ask.token.issuer,
            "jti": ask.token.jti,
            "exp": ask.token.expires,
        }
    reason = "accepted" if refusal is None else refusal.reason or refusal.code
    return reason, decision.enforced, identity.identity, identity.kid


def answered(ask: Ask, headers: dict[str, str], body: bytes, decision: Decision | None) -> Said:
    """What came out of a door, in few words; `decision` is what was handed to the application, if it was called."""
    if decision is not None:
        assert body == b"in"
        told = said(decision, ask)
    else:
        problem = json.loads(body)
        told = problem["reason"] or problem["error"], True, "", None
    readable = ask.origin if decision is not None or told[0] != "origin_not_allowed" else None
    assert headers.get("Access-Control-Allow-Origin") == readable, "a page of another origin may read this"
    return told


def change_by(roads: Roads, chance: random.Random) -> Callable[[], None]:
    """One change: of the time, mostly."""
    kind = chance.choice(["time", "time", "time", "refresh", "keys", "app"])
    now, said, purge = NOW + 10 * chance.randrange(-5, 30), chance.random() < 0.6, chance.random() < 0.5
    id = chance.choice([rule.id for rule in (*IN_CODE, *LOADED)])
    if kind == "time":
        return lambda: roads.day.places.append(now)
    if kind == "refresh":
        return lambda: roads.refresh(id, purge=purge)
    if kind == "keys":
        published = chance.choice([("mixed/1",), ("mixed/2",), ("mixed/1", "mixed/2")])
        return lambda: roads.change("mixed", replace(IN_CODE[-1], published=published), said=said)
    held = chance.choice(LOADED)
    keys = chance.choice([(f"{held.id}/0",), (f"{held.id}/2",), (f"{held.id}/0", f"{held.id}/2")])
    revoked, mode = frozenset(chance.sample(["u1", "u2"], chance.randrange(2))), chance.choice([*Mode])
    rule = replace(held, keys=keys, revoked=revoked, mode=mode) if chance.random() < 0.8 else None
    return lambda: roads.change(held.id, rule, said=said)

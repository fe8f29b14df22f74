"""A world that changes under a gate, and a simple model of what the gate may say about it.

Apps live in a dictionary, their key sets behind a local fetcher; both are changed, broken and mended while threads and
tasks send requests. Each state that an app or a key set ever had is a `Version` with the moments of its beginning and
end. A decision is right if some versions that may still be visible, by the stated lifetimes, give that answer.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.properties.concurrency import LONG, Published, landed, together
from tests.properties.tokens import NOW, SECRET, good_claims, signed
from wicket import App, AppRef, Decision, Gate, Header, Jwks, Limits, Mode, Request, Revocations, Rules, Secret
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

LIFETIME: Final = 60.0
STALE: Final = 100.0
ABSENT: Final = 10.0
BACKOFF: Final = 2.0

WITH_SECRETS: Final = ("s0", "s1", "s2", "s3")
WITH_KEY_SET: Final = ("j0", "j1")
APPS: Final = (*WITH_SECRETS, *WITH_KEY_SET)
ALIAS: Final = "-inc"
USERS: Final = ("u0", "u1")
KEYS: Final = (0, 1, 2)
RULES: Final = Rules(required_claims=frozenset({"sub", "exp", "iat"}))


def limits(*, tight: bool) -> Limits:
    """Limits by which nothing fails for lack of patience; tight ones evict all the time."""
    return Limits(
        load_timeout=LONG,
        log_only_timeout=LONG,
        stale_timeout=LONG,
        fetch_timeout=LONG,
        app_lifetime=LIFETIME,
        app_stale_if_error=STALE,
        negative_cache_lifetime=ABSENT,
        backoff_initial=1.0,
        backoff_max=BACKOFF,
        key_set_lifetime=LIFETIME,
        key_set_min_lifetime=1.0,
        key_set_stale_if_error=STALE,
        max_apps=3 if tight else 100,
        negative_cache_size=1 if tight else 100,
        max_key_sets=1 if tight else 100,
        signature_cache_size=4 if tight else 1000,
        signature_cache_per_app=2 if tight else 100,
    )


@dataclass(frozen=True)
class Config:
    """What an app is, for a while: the keys that count, who is revoked, its mode, and whether it lists its alias."""

    keys: frozenset[int]
    revoked: frozenset[str] = frozenset()
    mode: Mode = Mode.ENFORCE
    listed: bool = True


@dataclass
class Version:
    """One state, from one moment to another; `held` is None where there was no such app."""

    held: Any
    begun: int
    ended: int | None = None
    ended_at: float | None = None


@dataclass(frozen=True)
class Ask:
    """A request: of which app, signed by which key under which name, for which user, and by which name of the app.

    The registry compares names without case; a name in capitals is none of the app's.
    """

    app: str
    key: int
    user: str
    kid: int
    alias: bool = False
    capitals: bool = False

    @property
    def name(self) -> str:
        name = f"{self.app}{ALIAS}" if self.alias else self.app
        return name.upper() if self.capitals else name


@dataclass(frozen=True)
class Seen:
    """A request and its decision, with the moments between which it was made."""

    ask: Ask
    begun: int
    ended: int
    at: float
    said: tuple[str, bool]


@dataclass
class Barrier:
    """A refresh of one app, from one moment to another."""

    app: str
    purge: bool
    begun: int
    ended: int


def secret(app: str, key: int) -> bytes:
    return bytes([len(app), ord(app[-1]), key]) + SECRET


@cache
def private_key(app: str, key: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def token(ask: Ask) -> str:
    claims = good_claims(sub=ask.user, iss=f"https://{ask.app}.example")
    if ask.app in WITH_SECRETS:
        return signed(claims, secret=secret(ask.app, ask.key))
    return jwt.encode(claims, private_key(ask.app, ask.key), "ES256", headers={"kid": str(ask.kid)})


@cache
def app_of(id: str, config: Config) -> App:
    """The app of that configuration."""
    url = f"https://{id}.example/keys"
    return App(
        id,
        credentials=[Secret(secret(id, key)) for key in sorted(config.keys)]
        if id in WITH_SECRETS
        else [Jwks(url, algorithms=["ES256"])],
        aliases=[f"{id}{ALIAS}"] if config.listed else [],
        issuer=f"https://{id}.example",
        rules=RULES,
        origins=["https://app.example.com"],
        mode=config.mode,
        revocations=Revocations(users=dict.fromkeys(config.revoked, NOW)),
    )


@cache
def jwk_of(id: str, key: int) -> dict[str, Any]:
    made: dict[str, Any] = ECAlgorithm.to_jwk(private_key(id, key).public_key(), as_dict=True)
    return {**made, "kid": str(key)}


@dataclass
class Source:
    """Something that the gate asks: its versions by app, and when it failed."""

    versions: dict[str, list[Version]]
    failing: bool = False
    failures: list[list[float]] = field(default_factory=list)

    def failed_near(self, now: float) -> bool:
        return any(until + BACKOFF >= now for _, until in self.failures)


class World:
    """The sources, the gate over them, and all that happened."""

    def __init__(self, *, tight: bool) -> None:
        for id, key in itertools.product(WITH_KEY_SET, KEYS):
            private_key(id, key)  # before there are threads: two that ask at once would each have one made
        self.clock = FakeClock(1000.0)
        self.tight = tight
        self.barriers: list[Barrier] = []
        self.checked = 0
        self._lock = threading.Lock()
        self._moments = itertools.count(1)
        self._answering = threading.Event()
        self._answering.set()
        first = Config(frozenset({0}))
        self.registry = Source({id: [Version(first, 0)] for id in APPS})
        self.endpoint = Source({id: [Version(frozenset({0}), 0)] for id in WITH_KEY_SET})
        self.gate = Gate(
            registry=self._load,
            app_locations=[Header("X-App-Id")],
            fetcher=self._fetch,
            limits=limits(tight=tight),
            clock=lambda: NOW,
            monotonic=self.clock,
        )
        moment = self._moments.__next__
        self.published = [Published(cache, moment) for cache in (self.gate._registry, self.gate._key_sets.cache)]

    # --- what the gate asks

    def _load(self, ref: AppRef) -> App | None:
        with self._lock:
            if self.registry.failing:
                raise OSError("the registry is down")
            id = ref.value.lower().removesuffix(ALIAS)
            versions = self.registry.versions.get(id)
            held = versions[-1].held if versions else None
        self._answering.wait(LONG)
        return app_of(id, held) if held is not None else None

    def _fetch(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        id = url.host.partition(".")[0]
        with self._lock:
            if self.endpoint.failing:
                raise FetchFailed("timeout")
            keys = self.endpoint.versions[id][-1].held
        self._answering.wait(LONG)
        return Fetched({"keys": [jwk_of(id, key) for key in sorted(keys)]}, None, None, None, 0.0, None)

    # --- what changes

    def change(self, source: Source, id: str, held: Any) -> None:
        """From now on this is what the source says of `id`."""
        with self._lock:
            moment, versions = next(self._moments), source.versions[id]
            versions[-1].ended, versions[-1].ended_at = moment, self.clock.now
            versions.append(Version(held, moment))

    def current(self, id: str) -> Config:
        """What the app is, or was last."""
        held: Config = next(v.held for v in reversed(self.registry.versions[id]) if v.held is not None)
        return held

    def fail(self, source: Source, *, failing: bool) -> None:
        """Let a source fail, or work again."""
        with self._lock:
            if failing and not source.failing:
                source.failures.append([self.clock.now, float("inf")])
            if source.failing and not failing:
                source.failures[-1][1] = self.clock.now
            source.failing = failing

    def advance(self, seconds: float) -> None:
        """Let time pass, once the loads behind the requests have ended: none of them lasts for a minute."""
        landed(self.gate._registry, self.gate._key_sets.cache)
        self.clock.advance(seconds)

    def hold(self, *, holding: bool) -> None:
        """Keep the sources' answers on their way, so that they are old when they arrive; or let them through."""
        if holding:
            self._answering.clear()
        else:
            self._answering.set()

    def refresh(self, id: str, *, purge: bool) -> None:
        """Have the gate load the app again."""
        begun = next(self._moments)
        self.gate.refresh(id, purge=purge)
        self.barriers.append(Barrier(id, purge, begun, next(self._moments)))

    # --- requests

    def asked(self, ask: Ask) -> Seen:
        begun = next(self._moments)
        decision = self.gate.decide(request_of(ask))
        return Seen(ask, begun, next(self._moments), self.clock.now, said(decision))

    async def aasked(self, ask: Ask) -> Seen:
        begun = next(self._moments)
        decision = await self.gate.adecide(request_of(ask))
        return Seen(ask, begun, next(self._moments), self.clock.now, said(decision))

    def burst(self, asks: Sequence[Ask], changes: Iterable[Callable[[], None]], *, threads: int = 3) -> list[Seen]:
        """Send all of them from threads, and as tasks of one loop, while the changes are made; check every answer."""

        async def tasks() -> list[Seen]:
            return await asyncio.gather(*(self.aasked(ask) for ask in asks))

        def meanwhile() -> None:
            for change in changes:
                change()
            self.hold(holding=False)

        jobs: list[Callable[[], list[Seen]]] = [
            lambda shift=shift: [self.asked(ask) for ask in (*asks[shift:], *asks[:shift])]  # type: ignore[misc]
            for shift in range(threads)
        ]
        seen = together([*jobs, lambda: asyncio.run(tasks())], meanwhile)
        assert len(seen) == (threads + 1) * len(asks)
        for each in seen:
            self.check(each)
        return seen

    # --- the model

    def check(self, seen: Seen) -> None:
        """Fails where no state of the world that may still count gives this answer."""
        self.checked += 1
        possible = self.possible(seen)
        assert seen.said in possible, f"{seen} is none of {sorted(possible)}: {self.story(seen.ask.app)}"

    def story(self, id: str) -> str:
        """What happened to an app."""
        sources = (self.registry, self.endpoint)
        told = [(each.versions.get(id), each.failures) for each in sources]
        return f"{told} {[each for each in self.barriers if each.app == id]}"

    def possible(self, seen: Seen) -> set[tuple[str, bool]]:
        """All that the gate may say: the outcome, and whether it is enforced."""
        answers: set[tuple[str, bool]] = set()
        if self._unsure(self.registry, seen):
            answers.add(("apps_unavailable", True))
        for version in self.registry.versions[seen.ask.app]:
            if not self._visible(self.registry, version, seen):
                continue
            config: Config | None = version.held
            if config is None or seen.ask.capitals or (seen.ask.alias and not config.listed):
                answers.add(("unknown_app", True))
            elif seen.ask.app in WITH_SECRETS:
                answers.add(_judged(config, seen.ask, is_signed_by=config.keys, known=None))
            else:
                answers |= self._with_key_set(config, seen)
        if ("unknown_app", True) in answers and self._refreshed_during(seen):  # a refresh of any app drops absences
            answers.add(("apps_unavailable", True))
        return answers

    def _with_key_set(self, config: Config, seen: Seen) -> set[tuple[str, bool]]:
        enforced = config.mode is Mode.ENFORCE
        answers: set[tuple[str, bool]] = set()
        if self._unsure(self.endpoint, seen):  # a set that was never usable is said to be that
            answers |= {("keys_unavailable", enforced), ("config_invalid", enforced)}
        for version in self.endpoint.versions[seen.ask.app]:
            if self._visible(self.endpoint, version, seen):
                answers.add(_judged(config, seen.ask, is_signed_by={seen.ask.kid}, known=version.held))
        if ("key_not_found", enforced) in answers:  # the budget may be spent, and the set is not newer than the token
            answers.add(("keys_unavailable", enforced))
        return answers

    def _unsure(self, source: Source, seen: Seen) -> bool:
        """Whether a request may be told to come again: the source failed, or what was loaded for it was forgotten
        before it was read, by a refresh at that very time or, where the limits are tight, for another that came in.
        """
        if source.failed_near(seen.at) or any(each.app == seen.ask.app for each in self._refreshed_during(seen)):
            return True
        if not self.tight:
            return False
        apps, key_sets = self.published
        if source is self.registry:
            return apps.another(lambda ref: ref.value == seen.ask.name, seen.begun, seen.ended)
        return key_sets.another(lambda ref: ref.app_id == seen.ask.app, seen.begun, seen.ended)

    def _refreshed_during(self, seen: Seen) -> list[Barrier]:
        """The refreshes of any app during a request."""
        return [each for each in self.barriers if each.begun < seen.ended and seen.begun < each.ended]

    def _visible(self, source: Source, version: Version, seen: Seen) -> bool:
        """Whether the gate may still go by this version."""
        if version.begun > seen.ended:
            return False
        if version.ended is None or version.ended_at is None or version.ended > seen.begun:
            return True
        failing = source.failed_near(seen.at)
        for barrier in self.barriers:
            between = version.ended < barrier.begun and barrier.ended < seen.begun
            if between and barrier.app == seen.ask.app and (barrier.purge or version.held is None or not failing):
                return False
        window = ABSENT if version.held is None else LIFETIME + (STALE if failing else 0.0)
        return seen.at < version.ended_at + window


def _judged(config: Config, ask: Ask, *, is_signed_by: Iterable[int], known: Any) -> tuple[str, bool]:
    """What is right by one state: of the app's own keys, or of a key set in which `known` keys stand."""
    enforced = config.mode is Mode.ENFORCE
    if known is not None and ask.kid not in known:
        return "key_not_found", enforced
    if ask.key not in is_signed_by:
        return "bad_signature", enforced
    return ("revoked" if ask.user in config.revoked else "accepted"), enforced


def request_of(ask: Ask) -> Request:
    return Request(headers=[("X-App-Id", ask.name), ("Authorization", f"Bearer {token(ask)}")])


def said(decision: Decision) -> tuple[str, bool]:
    """A decision in a word, and whether it is enforced; what passes without proof is what was reported."""
    refusal = decision.refusal
    if refusal is None:
        assert decision.allowed
        assert decision.require().user_id in USERS
        return "accepted", decision.enforced
    assert not decision.identity.verified
    assert decision.allowed is not decision.enforced
    return refusal.reason or refusal.code, decision.enforced

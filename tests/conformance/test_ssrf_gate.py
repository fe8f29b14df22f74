"""What only a whole gate shows of key sets: broken members, outages, removed keys, floods, and whose key it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from tests.conformance.vectors import needs_vectors
from tests.support.unit import Clock, PrivateKey, jwk, private_key, rsa_key
from tests.unit.jwks.support import fetched
from wicket import App, Decision, Gate, Header, Jwks
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl

pytestmark = needs_vectors

URL = "https://idp.example.com/jwks"
OTHER_URL = "https://other.example/jwks"
NOW = 1_800_000_000


class Endpoints:
    """Key sets by URL, behind the seam of the fetcher; an exception is raised. Counts what is asked for."""

    def __init__(self) -> None:
        self.sets: dict[str, Any] = {}
        self.asked: list[str] = []
        self.threads: list[threading.Thread] = []
        self.gate: threading.Event | None = None

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.asked.append(url.text)
        self.threads.append(threading.current_thread())
        if self.gate is not None:
            assert self.gate.wait(10)
        answer = self.sets[url.text]
        if isinstance(answer, Exception):
            raise answer
        return fetched({"keys": answer})


class TwoApps:
    """A gate with two apps, each with a key set, and clocks that the test sets."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.endpoints.sets = {URL: [jwk(rsa_key(), kid="a")], OTHER_URL: [jwk(private_key("ES256"), kid="a")]}
        self.clock = Clock()
        apps = [
            App(id, credentials=[Jwks(url)], issuer=f"https://{id}.example", origins=["https://a.example"])
            for id, url in (("acme", URL), ("other", OTHER_URL))
        ]
        self.gate = Gate(
            apps, app_locations=[Header("X-App-Id")], fetcher=self.endpoints, monotonic=self.clock, clock=lambda: NOW
        )

    def token(
        self, key: PrivateKey | None = None, *, app: str = "acme", algorithm: str = "RS256", **header: Any
    ) -> str:
        claims = {"sub": "user-1", "iss": f"https://{app}.example", "iat": NOW, "exp": NOW + 600}
        return jwt.encode(claims, key or rsa_key(), algorithm, headers={"kid": "a", **header})

    def verify(self, token: str | None = None, app: str = "acme") -> Decision:
        return self.gate.verify(token or self.token(), app=app)

    def outcome(self, token: str | None = None, app: str = "acme") -> str | None:
        """How a token ends: None where it passes, else the reason or code."""
        refusal = self.verify(token, app).refusal
        return None if refusal is None else refusal.reason or refusal.code


@pytest.fixture
def apps() -> Iterator[TwoApps]:
    apps = TwoApps()
    with apps.gate:
        yield apps


@pytest.mark.parametrize(
    "member",
    [
        *({"kty": "oct"}, {"kty": "oct", "k": "AAAA", "kid": "a"}, {"kty": "RSA"}, {}, None, [], 5),
        *({**jwk(rsa_key(), kid="b"), "alg": alg} for alg in ("none", ["RS256"], {"a": 1}, 5)),
    ],
    ids=lambda member: repr(member)[:20],
)
def test_remote_key_set_broken_member_other_keys_accepted(apps: TwoApps, member: Any) -> None:
    apps.endpoints.sets[URL] = [member, jwk(rsa_key(), kid="a"), member]
    assert apps.outcome() is None


def test_remote_key_set_symmetric_key_algorithm_not_allowed(apps: TwoApps) -> None:
    secret = b"hunter2-hunter2-hunter2-hunter2-"
    apps.endpoints.sets[URL] = [
        {"kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0", "kid": "a"},
        jwk(rsa_key(), kid="b"),
    ]
    assert apps.outcome(apps.token(secret, algorithm="HS256")) == "algorithm_not_allowed"  # type: ignore[arg-type]


def test_remote_key_set_duplicate_kid_selected_by_algorithm(apps: TwoApps) -> None:
    apps.endpoints.sets[URL] = [jwk(rsa_key(), kid="a"), jwk(private_key("ES256"), kid="a")]
    assert apps.outcome() is None
    assert apps.outcome(apps.token(private_key("ES256"), algorithm="ES256")) is None
    assert apps.outcome(apps.token(private_key("EdDSA"), algorithm="EdDSA")) == "key_not_found"


def test_remote_key_set_endpoint_down_keys_used_until_expiry(apps: TwoApps) -> None:
    assert apps.outcome() is None
    apps.endpoints.sets[URL] = FetchFailed("connection")
    for _ in range(12):
        apps.clock.now += 300
        assert apps.outcome() is None
        assert apps.outcome(apps.token(private_key("ES256"), algorithm="ES256")) in (
            "key_not_found",
            "keys_unavailable",
        )
    apps.clock.now += 400
    assert apps.outcome() == "keys_unavailable"
    apps.endpoints.sets[URL] = [jwk(rsa_key(), kid="a")]
    apps.clock.now += 61
    assert apps.outcome() is None


def test_remote_key_set_removed_key_not_found_after_refresh(apps: TwoApps) -> None:
    token = apps.token()
    for _ in range(3):
        assert apps.outcome(token) is None
    apps.endpoints.sets[URL] = [jwk(private_key("ES256"), kid="b")]
    apps.clock.now += 301
    assert apps.outcome(token) == "key_not_found"


def test_remote_key_set_unknown_kid_flood_two_fetches(apps: TwoApps) -> None:
    assert apps.outcome() is None
    assert apps.endpoints.asked == [URL]
    signed = apps.token().partition(".")[2]
    for index in range(10_000):
        invented = json.dumps({"alg": "RS256", "typ": "JWT", "kid": f"kid-{index:05}"}, separators=(",", ":")).encode()
        segment = jwt.utils.base64url_encode(invented).decode()
        assert apps.outcome(f"{segment}.{signed}") in ("key_not_found", "keys_unavailable")
    assert apps.endpoints.asked == [URL] * 3
    assert apps.outcome() is None

    other = private_key("ES256")
    assert apps.outcome(apps.token(other, app="other", algorithm="ES256"), "other") is None
    apps.endpoints.sets[OTHER_URL].append(jwk(private_key("EdDSA"), kid="new"))
    rotated = apps.token(private_key("EdDSA"), app="other", algorithm="EdDSA", kid="new")
    assert apps.outcome(rotated, "other") is None
    assert apps.endpoints.asked[3:] == [OTHER_URL] * 2


@pytest.mark.parametrize("first", ["acme", "other"])
def test_remote_key_set_same_kid_in_two_apps_not_shared(first: str) -> None:
    keys: dict[str, tuple[PrivateKey, str]] = {"acme": (rsa_key(), "RS256"), "other": (private_key("ES256"), "ES256")}
    apps = TwoApps()
    with apps.gate:
        for app in (first, *(keys.keys() - {first}), first):
            for signer, (key, algorithm) in keys.items():
                outcome = apps.outcome(apps.token(key, app=app, algorithm=algorithm), app)
                assert outcome == (None if signer == app else "key_not_found")


def test_averify_100_waiters_one_fetch_without_blocking_loop(apps: TwoApps) -> None:
    apps.endpoints.gate = threading.Event()
    token = apps.token()

    async def main() -> list[Decision]:
        waiting = [asyncio.ensure_future(apps.gate.averify(token, app="acme")) for _ in range(100)]
        for _ in range(50):
            await asyncio.sleep(0)  # the loop is free, though the fetch has not come back
        assert not any(task.done() for task in waiting)
        assert apps.endpoints.gate is not None
        apps.endpoints.gate.set()
        return await asyncio.gather(*waiting)

    assert all(decision.allowed for decision in asyncio.run(main()))
    assert apps.endpoints.asked == [URL]
    assert threading.current_thread() not in apps.endpoints.threads

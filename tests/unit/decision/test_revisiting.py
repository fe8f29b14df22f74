"""What a gate says of an identity that was verified long ago."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.support import BY_HEADER, NOW, OTHER_KEY, acme, asks, claims, gate_of, jwk, private_key, secret, token
from wicket import App, Decision, Gate, Jwks, Mode, Request, Revocations, Rules
from wicket.errors import config_error
from wicket.identity_hash import CompanyHash, IdentityHash
from wicket.jwks.outcome import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl
from wicket.testing import Clock

THIRD_KEY = bytes(range(2, 34))
FOURTH_KEY = bytes(range(3, 35))


def at(now: float, app: App, decision: Decision | None = None, **settings: Any) -> Any:
    clock = [float(NOW)]
    gate = gate_of(app, clock=lambda: clock[0], **settings)
    held = decision or gate.decide(asks(token()))
    clock[0] = now
    found = gate.revisit(held)
    assert asyncio.run(gate.arevisit(held)) == found
    return found and (found.code, found.reason)


def test_a_token_that_expired_no_longer_holds() -> None:
    app = acme(rules=Rules(skew=5))
    assert at(NOW + 3604.9, app) is None
    assert at(NOW + 3605, app) == ("invalid_token", "expired")
    assert at(NOW + 3605, app, mode=Mode.LOG_ONLY) is None


def test_an_anonymous_request_is_not_revisited() -> None:
    app = acme(anonymous=True)
    assert at(NOW + 10**6, app, gate_of(app).decide(asks())) is None


def revisited(change: Callable[[], App | None], *, purge: bool = False) -> Any:
    """What stands against a user of a registry's app, once the registry gives what `change` gives."""
    held: list[Callable[[], App | None]] = [lambda: acme(naming=())]
    with Gate(registry=lambda ref: held[0](), naming=BY_HEADER, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(token()))
        assert decision.identity.verified
        assert gate.revisit(decision) is None
        held[0] = change
        gate.refresh("acme", purge=purge)
        assert gate.revisit(decision) is None, "it begins a load, and waits for none"
        gate.decide(asks(token()))  # this one waits for it
        found = gate.revisit(decision)
        return found and (found.code, found.reason)


def _fails() -> App | None:
    raise RuntimeError("down")


@pytest.mark.parametrize("purge", [False, True])
def test_an_app_as_it_is_now_decides_about_an_identity_of_before(purge: bool) -> None:
    revoking = acme(naming=(), revocations=Revocations(users={"user-1": NOW}))
    assert revisited(lambda: revoking, purge=purge) == ("invalid_token", "revoked")
    assert revisited(lambda: acme(naming=(), revocations=Revocations(users={"bob": NOW})), purge=purge) is None
    assert revisited(lambda: None, purge=purge) == ("unknown_app", None)
    assert revisited(_fails, purge=purge) is None


@pytest.mark.parametrize("purge", [False, True])
def test_an_identity_ends_with_the_key_that_proved_it(purge: bool) -> None:
    rotated = acme(naming=(), credentials=[secret(OTHER_KEY)])
    assert revisited(lambda: rotated, purge=purge) == ("invalid_token", "bad_signature")
    overlapping = acme(naming=(), credentials=[secret(OTHER_KEY), secret()])
    assert revisited(lambda: overlapping, purge=purge) is None
    remote = acme(naming=(), credentials=[Jwks("https://id.example/keys")], issuer="https://id.example")
    assert revisited(lambda: remote, purge=purge) is None, "who knows which keys it has"


class Issuer:
    """Publishes the keys of these names, at first `k1` alone, unless it is down."""

    def __init__(self) -> None:
        self.private = {kid: private_key("ES256") for kid in ("k1", "k2")}
        self.published = ["k1"]
        self.fetches = 0

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.fetches += 1
        if not self.published:
            raise FetchFailed("status", status=500)
        keys = [jwk(self.private[kid], kid=kid) for kid in self.published]
        return Fetched({"keys": keys}, None, None, None, 0.0, None)


REMOTE: Any = {"credentials": [Jwks("https://id.example/keys", algorithms=["ES256"])], "issuer": "https://id.example"}


@pytest.mark.parametrize(
    ("published", "found"),
    [(["k1"], None), (["k2", "k1"], None), (["k2"], ("invalid_token", "bad_signature")), ([], None)],
)
def test_an_identity_ends_with_the_key_that_its_issuer_withdrew(published: list[str], found: object) -> None:
    issuer, clock = Issuer(), Clock(0)
    text = token(claims(iss="https://id.example"), key=issuer.private["k1"], algorithm="ES256", kid="k1")
    with Gate([acme(**REMOTE)], fetcher=issuer, clock=lambda: NOW, monotonic=clock) as gate:
        decision = gate.verify(text, app="acme")
        assert decision.identity.verified
        assert gate.revisit(decision) is None
        assert issuer.fetches == 1, "what is fresh is fetched by nobody"
        issuer.published = published
        clock.advance(301)
        assert gate.revisit(decision) is None, "it begins the fetch that is due, and waits for none"
        gate.verify(text, app="acme")  # this one waits for it
        assert issuer.fetches == 2
        against = gate.revisit(decision)
        assert (against and (against.code, against.reason)) == found
        issuer.published = []
        clock.advance(10_000)
        assert gate.revisit(decision) is None, "a set that is out of reach says nothing"


def test_an_identity_that_a_local_key_proved_asks_no_set_for_it() -> None:
    issuer = Issuer()
    app = acme(credentials=[secret(), *REMOTE["credentials"]], issuer="https://id.example")
    with Gate([app], fetcher=issuer, clock=lambda: NOW) as gate:
        decision = gate.verify(token(claims(iss="https://id.example")), app="acme")
        assert decision.identity.verified
        assert gate.revisit(decision) is None
        assert issuer.fetches == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, None),
        ({"identity_hash": IdentityHash(secret=secret(OTHER_KEY), encoding="hex")}, None),
        ({"identity_hash": IdentityHash(secret=secret(THIRD_KEY))}, ("invalid_token", "bad_identity_hash")),
        ({"identity_hash": None}, ("invalid_token", "bad_identity_hash")),
    ],
)
def test_a_hashed_identity_ends_with_its_secret(change: dict[str, Any], found: object) -> None:
    assert rehashed(IdentityHash(secret=secret(OTHER_KEY)), change) == found


@pytest.mark.parametrize(
    ("companies", "named", "found"),
    [
        (CompanyHash(secret=secret(FOURTH_KEY)), True, ("invalid_token", "bad_identity_hash")),
        (None, True, ("invalid_token", "bad_identity_hash")),
        (CompanyHash(secret=secret(THIRD_KEY)), True, None),
        (CompanyHash(secret=secret(FOURTH_KEY)), False, None),
        (None, False, None),
    ],
)
def test_a_hashed_identity_ends_with_the_secret_of_its_companies_if_it_has_any(
    companies: CompanyHash | None, named: bool, found: object
) -> None:
    before = IdentityHash(secret=secret(OTHER_KEY), companies=CompanyHash(secret=secret(THIRD_KEY)))
    after = IdentityHash(secret=secret(OTHER_KEY), companies=companies)
    proof = hmac.digest(THIRD_KEY, b"c1", "sha256").hex()
    said = {"companies": [{"id": "c1", "companyHash": proof}]} if named else {}
    assert rehashed(before, {"identity_hash": after}, said) == found


def rehashed(rule: IdentityHash, change: dict[str, Any], said: dict[str, Any] | None = None) -> Any:
    """What stands against a user whom a hash proved, once the app is changed."""

    def app(**settings: Any) -> App:
        return acme(**{"naming": (), "identity_hash": rule, **settings})

    body = {"userId": "user-1", "userHash": hmac.digest(OTHER_KEY, b"user-1", "sha256").hex(), **(said or {})}
    headers = [("X-App-Id", "acme"), ("content-type", "application/json")]
    held = [app()]
    with Gate(registry=lambda ref: held[0], naming=BY_HEADER, clock=lambda: NOW) as gate:
        request = Request("POST", headers=headers, body=json.dumps(body).encode())
        decision = gate.decide(request)
        assert decision.identity.method == "identity_hash"
        assert len(decision.identity.companies) == len((said or {}).get("companies", []))
        held[0] = app(**change)
        gate.refresh("acme", purge=True)
        gate.decide(request)
        against = gate.revisit(decision)
        return against and (against.code, against.reason)


def test_a_registry_that_breaks_an_app_hides_nothing_it_knew() -> None:
    def broken() -> App | None:
        raise config_error("id", "is broken")

    assert revisited(broken) is None

"""Revalidation of a verified identity."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.unit import BY_HEADER, NOW, OTHER_KEY, acme, asks, claims, gate_of, jwk, rsa_key, secret, token
from wicket import App, Decision, Gate, Jwks, Mode, PublicKey, Request, Revocations, Rules
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.decision.revalidation import judge, name_in_registry
from wicket.errors import config_error
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl

THIRD_KEY = bytes(range(2, 34))
FOURTH_KEY = bytes(range(3, 35))


def at(now: float, app: App, decision: Decision | None = None, **settings: Any) -> Any:
    clock = [float(NOW)]
    gate = gate_of(app, clock=lambda: clock[0], **settings)
    held = decision or gate.decide(asks(token()))
    clock[0] = now
    found = gate.revalidate(held)
    assert asyncio.run(gate.arevalidate(held)) == found
    return found and (found.code, found.reason)


def test_revalidate_expired_token_expired() -> None:
    app = acme(rules=Rules(leeway=5))
    assert at(NOW + 3604.9, app) is None
    assert at(NOW + 3605, app) == ("invalid_token", "expired")
    assert at(NOW + 3605, app, mode=Mode.LOG_ONLY) is None
    assert at(NOW + 3605, acme(rules=Rules(leeway=5), mode=Mode.LOG_ONLY)) is None


def test_revalidate_anonymous_decision_none() -> None:
    app = acme(allow_anonymous=True)
    assert at(NOW + 10**6, app, gate_of(app).decide(asks())) is None


def revisited(change: Callable[[], App | None], *, purge: bool = False) -> Any:
    """Return the refusal of a user of a registry's app after the registry returns the result of `change`."""
    held: list[Callable[[], App | None]] = [lambda: acme(app_locations=())]
    with Gate(registry=lambda ref: held[0](), app_locations=BY_HEADER, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(token()))
        assert decision.identity.verified
        assert gate.revalidate(decision) is None
        held[0] = change
        gate.refresh("acme", purge=purge)
        assert gate.revalidate(decision) is None, "it begins a load, and waits for none"
        gate.decide(asks(token()))  # this request waits for the load
        found = gate.revalidate(decision)
        return found and (found.code, found.reason)


def _fails() -> App | None:
    raise RuntimeError("down")


@pytest.mark.parametrize("purge", [False, True])
def test_revalidate_registry_app_changed_current_app_applied(purge: bool) -> None:
    revoking = acme(app_locations=(), revocations=Revocations(users={"user-1": NOW}))
    assert revisited(lambda: revoking, purge=purge) == ("invalid_token", "revoked")
    assert revisited(lambda: acme(app_locations=(), revocations=Revocations(users={"bob": NOW})), purge=purge) is None
    assert revisited(lambda: None, purge=purge) == ("unknown_app", None)
    assert revisited(_fails, purge=purge) is None


@pytest.mark.parametrize("purge", [False, True])
def test_revalidate_signing_key_removed_bad_signature(purge: bool) -> None:
    rotated = acme(app_locations=(), credentials=[secret(OTHER_KEY)])
    assert revisited(lambda: rotated, purge=purge) == ("invalid_token", "bad_signature")
    overlapping = acme(app_locations=(), credentials=[secret(OTHER_KEY), secret()])
    assert revisited(lambda: overlapping, purge=purge) is None
    remote = acme(app_locations=(), credentials=[Jwks("https://id.example/keys")], issuer="https://id.example")
    assert revisited(lambda: remote, purge=purge) == ("invalid_token", "bad_signature"), "it was the app's own"


@pytest.mark.parametrize("local", [True, False])
def test_revalidate_remote_key_none_removed_local_key_bad_signature(local: bool) -> None:
    public = jwk(rsa_key(), kid="1")
    remote = Jwks("https://id.example/keys", algorithms=["RS256"])

    def app(*more: Any) -> App:
        return acme(app_locations=(), credentials=[remote, *more], issuer="https://id.example")

    def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        return Fetched({"keys": [] if local else [public]}, None, None, None, 0.0, None)

    own = PublicKey.from_jwk(public, algorithms=["RS256"])
    held = [app(own) if local else app()]
    proof = token(claims(iss="https://id.example"), key=rsa_key(), algorithm="RS256", kid="1")
    with Gate(registry=lambda ref: held[0], app_locations=BY_HEADER, clock=lambda: NOW, fetcher=fetch) as gate:
        decision = gate.decide(asks(proof))
        assert decision.identity.verified
        held[0] = app(secret(OTHER_KEY))
        gate.refresh("acme", purge=True)
        gate.decide(asks(proof))
        against = gate.revalidate(decision)
        assert (against and against.reason) == ("bad_signature" if local else None)


def test_revalidate_decision_by_alias_app_looked_up_by_alias() -> None:
    def broken() -> App | None:
        raise config_error("id", "is broken")

    def app(id: str = "acme", **settings: Any) -> App:
        return App(id, app_locations=(), aliases=["acme-inc"], credentials=[secret()], **settings)

    changes: list[tuple[Callable[[], App | None], tuple[str, str | None] | None]] = [
        (app, None),
        (broken, None),
        (lambda: app(revocations=Revocations(issued_before=NOW)), ("invalid_token", "revoked")),
        (lambda: app("other"), ("unknown_app", None)),
    ]
    held = [app]
    with Gate(registry=lambda ref: held[0](), app_locations=BY_HEADER, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(token(), app="acme-inc"))
        assert decision.identity.verified
        for change, found in changes:
            held[0] = change  # type: ignore[assignment]  # each gives an app or none
            for name in ("acme", "other", "acme-inc"):
                gate.refresh(name, purge=True)
            gate.decide(asks(token(), app="acme-inc"))
            against = gate.revalidate(decision)
            assert (against and (against.code, against.reason)) == found


def test_revalidate_log_only_gate_app_removed_none() -> None:
    held: list[Any] = [acme(app_locations=())]
    with Gate(registry=lambda ref: held[0], app_locations=BY_HEADER, clock=lambda: NOW, mode=Mode.LOG_ONLY) as gate:
        decision = gate.decide(asks(token()))
        assert decision.identity.verified
        held[0] = None
        gate.refresh("acme", purge=True)
        assert gate.decide(asks(token())).refusal is not None
        assert gate.revalidate(decision) is None


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, None),
        ({"identity_hash": IdentityHash(secret=secret(OTHER_KEY), encoding="hex")}, None),
        ({"identity_hash": IdentityHash(secret=secret(THIRD_KEY))}, ("invalid_token", "bad_identity_hash")),
        ({"identity_hash": None}, ("invalid_token", "bad_identity_hash")),
        ({"identity_hash": IdentityHash(secret=secret(OTHER_KEY), accept_until=NOW + 1)}, None),
        ({"identity_hash": IdentityHash(secret=secret(OTHER_KEY), accept_until=NOW)}, ("invalid_token", "expired")),
    ],
)
def test_revalidate_identity_hash_secret_or_accept_until_changed_refused(change: dict[str, Any], found: object) -> None:
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
def test_revalidate_company_hash_secret_changed_with_companies_refused(
    companies: CompanyHash | None, named: bool, found: object
) -> None:
    before = IdentityHash(secret=secret(OTHER_KEY), companies=CompanyHash(secret=secret(THIRD_KEY)))
    after = IdentityHash(secret=secret(OTHER_KEY), companies=companies)
    proof = hmac.digest(THIRD_KEY, b"c1", "sha256").hex()
    said = {"companies": [{"id": "c1", "companyHash": proof}]} if named else {}
    assert rehashed(before, {"identity_hash": after}, said) == found


def rehashed(rule: IdentityHash, change: dict[str, Any], said: dict[str, Any] | None = None) -> Any:
    """Return the refusal of a user with an identity hash after the app has changed."""

    def app(**settings: Any) -> App:
        return acme(**{"app_locations": (), "identity_hash": rule, **settings})

    body = {"userId": "user-1", "userHash": hmac.digest(OTHER_KEY, b"user-1", "sha256").hex(), **(said or {})}
    headers = [("X-App-Id", "acme"), ("content-type", "application/json")]
    held = [app()]
    with Gate(registry=lambda ref: held[0], app_locations=BY_HEADER, clock=lambda: NOW) as gate:
        request = Request("POST", headers=headers, body=json.dumps(body).encode())
        decision = gate.decide(request)
        assert decision.identity.method == "identity_hash"
        assert len(decision.identity.companies) == len((said or {}).get("companies", []))
        held[0] = app(**change)
        gate.refresh("acme", purge=True)
        gate.decide(request)
        against = gate.revalidate(decision)
        return against and (against.code, against.reason)


def test_revalidate_registry_app_broken_none() -> None:
    def broken() -> App | None:
        raise config_error("id", "is broken")

    assert revisited(broken) is None


def test_judge_anonymous_decision_none() -> None:
    with Gate(registry=lambda ref: None, app_locations=BY_HEADER, clock=lambda: NOW, mode=Mode.LOG_ONLY) as gate:
        decision = gate.decide(asks())
        assert judge(gate._context, decision, None) is None
        assert name_in_registry(gate._context, decision) is None

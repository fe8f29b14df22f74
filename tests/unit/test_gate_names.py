"""A gate and the names of its apps, what it says before there is a token, and what it says of one given long ago."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.support import BY_HEADER, NOW, ORIGIN, OTHER_KEY, acme, asks, gate_of, secret, token
from wicket import App, AppRef, ConfigError, Decision, Gate, Jwks, Mode, Request, Revocations, Rules
from wicket.errors import config_error
from wicket.identity_hash import IdentityHash

THIRD_KEY = bytes(range(2, 34))


def test_an_app_of_a_registry_is_found_by_each_of_its_names() -> None:
    app = acme(aliases=["acme-inc"], public_key="pub_acme", naming=())
    gate = Gate(registry=lambda ref: app if ref in app.refs() else None, naming=BY_HEADER, clock=lambda: NOW)
    with gate:
        assert gate.verify(token(), app="acme").allowed
        assert gate.verify(token(), app=AppRef("public_key", "pub_acme")).allowed
        assert gate.verify(token(), app="acme-inc").allowed
        assert not gate.verify(token(), app="acme-ltd").allowed


def test_an_app_in_code_is_found_by_its_alias_and_no_two_share_one() -> None:
    gate = gate_of(acme(aliases=["acme-inc"]), App("b", naming=BY_HEADER))
    assert gate.decide(asks(token(), app="acme-inc")).require().identity == "acme:user-1"
    with pytest.raises(ConfigError):
        gate_of(acme(aliases=["b"]), App("b", naming=BY_HEADER))


def test_the_secret_of_one_apps_hashes_is_no_other_apps_secret() -> None:
    rule = IdentityHash(secret=secret(OTHER_KEY))
    other = App("b", credentials=[secret(OTHER_KEY)], naming=BY_HEADER)
    with pytest.raises(ConfigError, match="have the same secret"):
        gate_of(acme(identity_hash=rule), other)


def test_a_page_is_admitted_without_a_token_and_only_told_of_where_that_is_asked() -> None:
    told: list[Any] = []
    gate = gate_of(acme(), on_event=told.append)
    assert gate.admit(asks(headers=[("Origin", ORIGIN)])).allowed
    refused = gate.admit(asks(headers=[("Origin", "https://evil.example")]))
    assert (refused.allowed, refused.refusal and refused.refusal.code) == (False, "origin_not_allowed")
    assert told == []
    assert gate.admit(asks(), report=True).allowed
    assert asyncio.run(gate.aadmit(asks(), report=True)).allowed
    assert asyncio.run(gate.aadmit(asks())).allowed
    assert len(told) == 2


def test_a_fault_while_an_origin_is_decided_about_is_our_own(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        kind = "id"

        def read(self, request: Request) -> str | None:
            raise RuntimeError("own")

    gate = gate_of(acme(), App("b"), naming=[Failing()])
    decision = gate.admit(asks())
    assert (decision.allowed, decision.refusal and decision.refusal.code) == (False, "internal_error")
    assert "an origin failed" in caplog.text


# --- what has come to stand against an identity since


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
    def app(**settings: Any) -> App:
        return acme(**{"naming": (), "identity_hash": IdentityHash(secret=secret(OTHER_KEY)), **settings})

    body = {"userId": "user-1", "userHash": hmac.digest(OTHER_KEY, b"user-1", "sha256").hex()}
    headers = [("X-App-Id", "acme"), ("content-type", "application/json")]
    held = [app()]
    with Gate(registry=lambda ref: held[0], naming=BY_HEADER, clock=lambda: NOW) as gate:
        request = Request("POST", headers=headers, body=json.dumps(body).encode())
        decision = gate.decide(request)
        assert decision.identity.method == "identity_hash"
        held[0] = app(**change)
        gate.refresh("acme", purge=True)
        gate.decide(request)
        against = gate.revisit(decision)
        assert (against and (against.code, against.reason)) == found


def test_a_registry_that_breaks_an_app_hides_nothing_it_knew() -> None:
    def broken() -> App | None:
        raise config_error("id", "is broken")

    assert revisited(broken) is None

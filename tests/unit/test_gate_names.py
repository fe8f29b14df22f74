"""The names of apps, and `check_origin`, which reads no token."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.unit import BY_HEADER, NOW, ORIGIN, OTHER_KEY, acme, asks, gate_of, secret, token
from wicket import App, AppLocation, AppRef, ConfigError, Gate, Request
from wicket.config.identity_hash import IdentityHash


def test_gate_registry_app_found_by_id_alias_and_publishable_key() -> None:
    app = acme(aliases=["acme-inc"], publishable_key="pub_acme", app_locations=())
    gate = Gate(registry=lambda ref: app if ref in app.refs() else None, app_locations=BY_HEADER, clock=lambda: NOW)
    with gate:
        assert gate.verify(token(), app="acme").allowed
        assert gate.verify(token(), app=AppRef("publishable_key", "pub_acme")).allowed
        assert gate.verify(token(), app="acme-inc").allowed
        assert not gate.verify(token(), app="acme-ltd").allowed


def test_gate_configured_app_alias_found_and_duplicate_raises() -> None:
    gate = gate_of(acme(aliases=["acme-inc"]), App("b", app_locations=BY_HEADER))
    assert gate.decide(asks(token(), app="acme-inc")).require().identity == "acme:user-1"
    with pytest.raises(ConfigError):
        gate_of(acme(aliases=["b"]), App("b", app_locations=BY_HEADER))


def test_gate_hash_secret_shared_with_other_app_raises_config_error() -> None:
    rule = IdentityHash(secret=secret(OTHER_KEY))
    other = App("b", credentials=[secret(OTHER_KEY)], app_locations=BY_HEADER)
    with pytest.raises(ConfigError, match="have the same secret"):
        gate_of(acme(identity_hash=rule), other)


def test_gate_check_origin_without_token_emits_event_only_if_reported() -> None:
    events: list[Any] = []
    gate = gate_of(acme(), on_event=events.append)
    assert gate.check_origin(asks(headers=[("Origin", ORIGIN)])).allowed
    refused = gate.check_origin(asks(headers=[("Origin", "https://evil.example")]))
    assert (refused.allowed, refused.refusal and refused.refusal.code) == (False, "origin_not_allowed")
    assert events == []
    assert gate.check_origin(asks(), report=True).allowed
    assert asyncio.run(gate.acheck_origin(asks(), report=True)).allowed
    assert asyncio.run(gate.acheck_origin(asks())).allowed
    assert len(events) == 2


def test_gate_check_origin_exception_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(AppLocation):
        def read(self, request: Request) -> str | None:
            raise RuntimeError("own")

    gate = gate_of(acme(), App("b"), app_locations=[Failing()])
    decision = gate.check_origin(asks())
    assert (decision.allowed, decision.refusal and decision.refusal.code) == (False, "internal_error")
    assert "an origin failed" in caplog.text

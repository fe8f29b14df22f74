"""What an attacker tried against remote key sets, and what it must come to."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.key_set_apps import (
    DEADLINE,
    Told,
    answering,
    app_of,
    gate_of,
    said,
    serve,
    ticking,
    with_kid,
)
from tests.integration.servers import eventually
from wicket import Gate, Jwks, PublicKey, profiles
from wicket.testing.issuer import Exchange, LocalIssuer


def test_key_set_failed_unknown_kid_fetch_later_rotation_found(issuer: LocalIssuer) -> None:
    issuer.max_age = 3600
    clock = ticking()
    with gate_of(issuer, monotonic=clock) as gate:
        good = issuer.token("ada")
        assert said(gate.verify(good, app="acme")) == "allowed"
        issuer.fault = answering(503)
        assert said(gate.verify(with_kid(good, "invented"), app="acme")) == "keys_unavailable"
        issuer.fault = None
        issuer.rotate()
        clock.advance(2)
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"


def test_key_set_same_kid_as_local_key_both_keys_tried(issuer: LocalIssuer) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    local = PublicKey.from_pem(pem, algorithms=["ES256"], kid="key-1")
    app = app_of(issuer, credentials=[local, Jwks(issuer.jwks_url)])
    claims = {"iss": issuer.issuer, "sub": "ada", "exp": int(time.time()) + 600}
    with gate_of(issuer, app) as gate:
        assert said(gate.verify(jwt.encode(claims, private, "ES256", {"kid": "key-1"}), app="acme")) == "allowed"
        assert issuer.requests == []
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
        assert said(gate.verify(issuer.token("ada")[:-4] + "AAAA", app="acme")) == "invalid_token bad_signature"


def test_key_set_same_key_from_two_issuers_verifies_both(issuer: LocalIssuer) -> None:
    names = ["https://v1.example", "https://v2.example"]
    urls = [issuer.jwks_url, f"{issuer.jwks_url}?v=2"]
    issuer.fault = lambda exchange: serve(issuer, _without_query(exchange))
    sets = [Jwks(url, issuer=name) for url, name in zip(urls, names, strict=True)]
    with gate_of(issuer, profiles.generic("acme", credentials=sets)) as gate:
        for name in [*names, *names]:
            assert said(gate.verify(issuer.token("ada", iss=name), app="acme")) == "allowed"
        assert (
            said(gate.verify(issuer.token("ada", iss="https://v3.example"), app="acme")) == "invalid_token wrong_issuer"
        )


def _without_query(exchange: Exchange) -> Exchange:
    exchange.path = exchange.path.partition("?")[0]
    return exchange


def test_key_set_rotation_during_load_found_by_next_load(issuer: LocalIssuer) -> None:
    """The load that is joined answers from before the rotation, so it proves nothing about the new key."""
    entered, released = threading.Event(), threading.Event()
    before = json.dumps(issuer.document()).encode()

    def slow(exchange: Exchange) -> None:
        issuer.fault = None
        entered.set()
        released.wait(DEADLINE)
        exchange.answer(200, before)

    with gate_of(issuer) as gate, ThreadPoolExecutor(2) as threads:
        good = issuer.token("ada")
        assert said(gate.verify(good, app="acme")) == "allowed"
        issuer.fault = slow
        stranger = threads.submit(gate.verify, with_kid(good, "invented"), app="acme")
        assert entered.wait(DEADLINE)
        (flight,) = gate._key_sets.cache._in_flight.values()
        issuer.rotate()
        joined = threads.submit(gate.verify, issuer.token("ada"), app="acme")
        eventually("both wait for the one load", lambda: len(flight.done._waiters) == 2)
        released.set()
        assert said(stranger.result(DEADLINE)) == "invalid_token key_not_found"
        assert said(joined.result(DEADLINE)) == "allowed"
    assert len(issuer.requests) == 3


def test_key_set_shared_without_app_claim_warning_logged(issuer: LocalIssuer, caplog: pytest.LogCaptureFixture) -> None:
    apps = [app_of(issuer, name) for name in ("one", "two")]
    with caplog.at_level(logging.WARNING, "wicket"), Gate(apps):
        assert "apps one and two accept each other's tokens: same key set" in caplog.text
    caplog.clear()
    bound = [app_of(issuer, name, app_claim="app") for name in ("one", "two")]
    with caplog.at_level(logging.WARNING, "wicket"), Gate(bound):
        assert "share" not in caplog.text


def test_key_set_fetch_endless_early_hints_too_large(issuer: LocalIssuer) -> None:
    def flood(exchange: Exchange) -> None:
        while True:  # until the fetch hangs up
            exchange.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200)

    issuer.fault = flood
    told = Told()
    with gate_of(issuer, on_event=told) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
    assert told.outcomes() == ["too_large"]

"""The local HTTPS issuer: its key set, tokens, faults and certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import jwt
import pytest

from tests.unit.jwks.support import failure_of, fetcher_of
from wicket import App, Gate, Jwks
from wicket.jwks.discovery import discover
from wicket.jwks.fetcher import Fetched
from wicket.jwks.ssrf import is_allowed
from wicket.keys.urls import check_url
from wicket.testing.issuer import Exchange, LocalIssuer


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with LocalIssuer(max_age=90) as running:
        yield running


def fetch(issuer: LocalIssuer, etag: str | None = None) -> Fetched:
    return fetcher_of(issuer)(check_url(issuer.jwks_url), etag=etag)


def gate_of(issuer: LocalIssuer, credential: Jwks) -> Gate:
    app = App("acme", credentials=[credential], issuer=issuer.issuer, origins=["https://acme.com"])
    return Gate([app], network=issuer.network)


def test_local_issuer_serves_public_key_set(issuer: LocalIssuer) -> None:
    fetched = fetch(issuer)
    assert fetched.document == issuer.document()
    assert fetched.max_age == 90
    assert [(key["kid"], key["use"], key["alg"], "d" in key) for key in fetched.document["keys"]] == [
        ("key-1", "sig", "ES256", False)
    ]
    assert issuer.requests == ["/.well-known/jwks.json"]


def test_local_issuer_without_max_age_sends_none() -> None:
    with LocalIssuer() as issuer:
        assert fetch(issuer).max_age is None


def test_local_issuer_discovery_returns_jwks_url(issuer: LocalIssuer) -> None:
    assert discover(issuer.issuer, fetcher_of(issuer)) == check_url(issuer.jwks_url)
    assert issuer.requests == ["/.well-known/openid-configuration"]


def test_local_issuer_other_path_not_found(issuer: LocalIssuer) -> None:
    assert failure_of(lambda: fetcher_of(issuer)(check_url(f"{issuer.issuer}/other"))).kind == "not_found"


def test_local_issuer_matching_etag_sends_no_document(issuer: LocalIssuer) -> None:
    etag = fetch(issuer).etag
    again = fetch(issuer, etag)
    assert (again.document, again.etag, again.max_age) == (None, etag, 90)
    assert fetch(issuer, '"other"').document == issuer.document()


def test_local_issuer_rotate_adds_signing_key(issuer: LocalIssuer) -> None:
    etag = fetch(issuer).etag
    assert issuer.rotate() == "key-2"
    fetched = fetch(issuer, etag)
    assert [key["kid"] for key in fetched.document["keys"]] == ["key-1", "key-2"]
    assert fetched.etag != etag
    assert jwt.get_unverified_header(issuer.token("user-1"))["kid"] == "key-2"
    assert jwt.get_unverified_header(issuer.token("user-1", kid="key-1"))["kid"] == "key-1"


def test_local_issuer_removed_key_is_gone_and_kid_not_reused(issuer: LocalIssuer) -> None:
    issuer.rotate()
    etag = fetch(issuer).etag
    issuer.remove("key-2")
    fetched = fetch(issuer, etag)
    assert [key["kid"] for key in fetched.document["keys"]] == ["key-1"]
    assert jwt.get_unverified_header(issuer.token("user-1"))["kid"] == "key-1"
    assert issuer.rotate() not in ("key-1", "key-2")
    with pytest.raises(KeyError):
        issuer.remove("key-2")
    with pytest.raises(KeyError):
        issuer.token("user-1", kid="key-2")


def test_local_issuer_token_has_requested_claims(issuer: LocalIssuer) -> None:
    made = issuer.token("user-1", now=1_800_000_000.9, ttl=60.5, aud="acme", sub="user-2")
    key = issuer.keys["key-1"].public_key()
    claims = jwt.decode(made, key, ["ES256"], audience="acme", options={"verify_exp": False, "verify_iat": False})
    assert claims == {
        "iss": issuer.issuer,
        "sub": "user-2",
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "aud": "acme",
    }
    fresh = jwt.decode(issuer.token("user-1"), key, ["ES256"])
    assert fresh["exp"] - fresh["iat"] == 600


def test_local_issuer_token_is_verified_by_gate(issuer: LocalIssuer) -> None:
    for credential in (Jwks(issuer.jwks_url), Jwks.discover(issuer.issuer)):
        with gate_of(issuer, credential) as gate:
            decision = gate.verify(issuer.token("user-1"), app="acme")
            assert decision.allowed, decision.refusal
            assert decision.identity.user_id == "user-1"


def test_local_issuer_fault_answers_until_unset(issuer: LocalIssuer) -> None:
    seen: list[tuple[str, str | None]] = []

    def fault(exchange: Exchange) -> None:
        seen.append((exchange.path, exchange.headers["If-None-Match"]))
        exchange.answer(503, b"no", {"Retry-After": "7"})

    issuer.fault = fault
    failure = failure_of(lambda: fetch(issuer, '"1"'))
    assert (failure.kind, failure.status, failure.retry_after) == ("status", 503, 7)
    assert seen == [("/.well-known/jwks.json", '"1"')]
    issuer.fault = None
    assert fetch(issuer).document == issuer.document()
    assert len(issuer.requests) == 2


def test_local_issuer_fault_raw_bytes_are_sent(issuer: LocalIssuer) -> None:
    issuer.fault = lambda exchange: exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert fetch(issuer).document == {}


def test_local_issuer_fault_exception_breaks_connection(issuer: LocalIssuer) -> None:
    def fault(_: Exchange) -> None:
        raise ConnectionAbortedError

    issuer.fault = fault
    assert failure_of(lambda: fetch(issuer)).kind == "connection"


def test_local_issuer_waiting_fault_ends_on_close() -> None:
    waiting, ended = threading.Event(), threading.Event()
    with LocalIssuer() as issuer:

        def fault(_: Exchange) -> None:
            waiting.set()
            issuer.wait(60)
            ended.set()

        issuer.fault = fault
        assert failure_of(lambda: fetcher_of(issuer, total_seconds=0.2)(check_url(issuer.jwks_url))).kind == "timeout"
        assert waiting.is_set()
        assert not ended.is_set()
    assert ended.wait(5)


def test_local_issuer_silent_client_does_not_block_others(issuer: LocalIssuer) -> None:
    with socket.create_connection(("127.0.0.1", issuer.port)):
        assert fetch(issuer).document == issuer.document()


def test_local_issuer_aborted_connection_prints_nothing(issuer: LocalIssuer, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        failure_of(
            lambda: fetcher_of(issuer, ssl_context=ssl.create_default_context())(check_url(issuer.jwks_url))
        ).kind
        == "certificate"
    )
    fetch(issuer)
    assert capfd.readouterr() == ("", "")


def test_local_issuer_custom_host_is_in_issuer_url() -> None:
    with LocalIssuer(host="id.example.com") as issuer:
        assert issuer.issuer == f"https://id.example.com:{issuer.port}"
        assert fetch(issuer).address == "127.0.0.1"


def test_local_issuer_authority_pem_is_trusted_by_other_clients(issuer: LocalIssuer) -> None:
    context = ssl.create_default_context(cadata=issuer.authority_pem.decode())
    assert fetcher_of(issuer, ssl_context=context)(check_url(issuer.jwks_url)).document == issuer.document()


def test_local_issuer_gate_without_its_network_config_invalid(issuer: LocalIssuer) -> None:
    assert issuer.network.allowed_ports == {443, 8443, issuer.port}
    assert not is_allowed(issuer.network, "10.0.0.1")
    with Gate(
        [App("acme", credentials=[Jwks(issuer.jwks_url)], issuer=issuer.issuer, origins=["https://acme.com"])]
    ) as gate:
        refusal = gate.verify(issuer.token("user-1"), app="acme").refusal
    assert refusal is not None
    assert refusal.code == "config_invalid"
    assert issuer.requests == []


def test_local_issuer_after_close_refuses_connections() -> None:
    with LocalIssuer() as issuer:
        fetch(issuer)
    assert failure_of(lambda: fetch(issuer)).kind == "connection"

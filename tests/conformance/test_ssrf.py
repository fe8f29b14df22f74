"""Known server-side request forgery by the URL of a key set: no forbidden name or address is connected to."""

from __future__ import annotations

import ast
import ipaddress
import re
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.vectors import load, needs_vectors
from tests.support.urls import is_url
from tests.unit.jwks.support import Documents, failure_of
from wicket import ConfigError, Jwks
from wicket.config.network import Network
from wicket.jwks.discovery import discover
from wicket.jwks.http_fetcher import GuardedFetcher
from wicket.jwks.ssrf import is_allowed
from wicket.keys.urls import check_url

pytestmark = needs_vectors

SUITE: dict[str, Any] = load("ssrf/ssrf_cases.json")
URLS: list[str] = [case["url"] for case in SUITE.get("urls", [])]
ADDRESSES: list[dict[str, Any]] = SUITE.get("addresses", [])
BEHAVIOURS: list[str] = SUITE.get("behaviours", [])
TESTS = Path(__file__).resolve().parents[1]

OPEN_TO_POLICY = {"64:ff9b:1:808:8:800::": False}
"""What the suite leaves to the policy: addresses of a translator's own network are refused like all its others."""

PUBLIC = "93.184.215.14"
NAMES = {
    "localhost": ["::1", "127.0.0.1"],
    "localtest.me": ["127.0.0.1"],
    "evil.localhost": ["127.0.0.1"],
    "make-1.2.3.4-rebind-169.254-169.254-rr.1u.ms": ["1.2.3.4", "169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "host.docker.internal": ["172.17.0.1"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "idp.example.com": [PUBLIC],
    "www.example.com": [PUBLIC],
}
"""What a resolver that is on the attacker's side may say for the names of the suite."""


def resolve(host: str, port: int) -> list[str]:
    if host in NAMES:
        return NAMES[host]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(each[4][0]) for each in found]


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that a socket of this process was to connect to, or to send to."""
    seen: list[Any] = []

    def refuse(self: socket.socket, *arguments: Any) -> Any:
        seen.append(arguments[-1])
        raise ConnectionRefusedError

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    return seen


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture
def fetcher(context: ssl.SSLContext) -> GuardedFetcher:
    return GuardedFetcher(Network(resolver=resolve), context, connect_seconds=0.5, total_seconds=0.5)


def interpolated(url: str) -> list[str]:
    """The URL; if it is a template with a value, also the URL that naive software would build from it."""
    template = re.fullmatch(r"(\S+)\{tenant\}(\S+) with tenant='(.+)'", url)
    return [url, f"{template[1]}{template[3]}{template[2]}"] if template else [url]


@pytest.mark.parametrize("url", [each for url in URLS for each in interpolated(url)], ids=ascii)
def test_key_set_url_ssrf_url_refused_before_connecting(url: str, fetcher: GuardedFetcher, dialled: list[Any]) -> None:
    try:
        checked = check_url(url)
    except ConfigError:
        with pytest.raises(ConfigError):
            Jwks(url)
        with pytest.raises(ConfigError):
            Jwks.discover(url)
    else:
        failure = failure_of(lambda: fetcher(checked))
        assert failure.kind in ("forbidden_address", "forbidden_port")
        assert failure.permanent
    assert dialled == []


@pytest.mark.parametrize("url", [url for url in URLS if is_url(url)])
def test_discover_ssrf_jwks_uri_or_issuer_refused_before_connecting(
    url: str, fetcher: GuardedFetcher, dialled: list[Any]
) -> None:
    issuer = "https://idp.example.com"
    found = discover(issuer, Documents({"issuer": issuer, "jwks_uri": url}))
    assert failure_of(lambda: fetcher(found)).kind in ("forbidden_address", "forbidden_port")
    assert failure_of(lambda: discover(url, fetcher)).kind in ("forbidden_address", "forbidden_port")
    assert dialled == []


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case["ip"])
def test_network_suite_address_allowed_or_forbidden(
    case: dict[str, Any], dialled: list[Any], context: ssl.SSLContext
) -> None:
    address = case["ip"]
    wanted = OPEN_TO_POLICY.get(address, case["expect"] == "allow")
    assert is_allowed(Network(), address) is wanted

    network = Network(resolver=lambda *_: [address])
    fetcher = GuardedFetcher(network, context, connect_seconds=0.5, total_seconds=0.5)
    failure = failure_of(lambda: fetcher(check_url("https://id.example.com/")))
    assert failure.kind == ("connection" if wanted else "forbidden_address")
    assert [each[0] for each in dialled] == ([address] if wanted else [])


@pytest.mark.parametrize("case", [case for case in ADDRESSES if case["expect"] == "block"], ids=lambda case: case["ip"])
def test_fetch_forbidden_beside_public_address_forbidden(
    case: dict[str, Any], dialled: list[Any], context: ssl.SSLContext
) -> None:
    for answer in ([PUBLIC, case["ip"]], [case["ip"], PUBLIC]):
        fetcher = GuardedFetcher(_answering(answer), context)
        assert failure_of(partial(fetcher, check_url("https://id.example.com/"))).kind == "forbidden_address"
    assert dialled == []


def _answering(addresses: list[str]) -> Network:
    return Network(resolver=lambda *_: addresses)


def test_ssrf_suite_open_cases_covered_by_policy_table() -> None:
    assert OPEN_TO_POLICY.keys() == {case["ip"] for case in ADDRESSES if case["expect"] not in ("allow", "block")}
    hosts = {check_url(url).host for url in URLS if is_url(url)}
    assert {host for host in hosts if not _is_address(host)} <= NAMES.keys()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def test_fetch_dns_rebinding_to_loopback_connects_to_checked_address(
    dialled: list[Any], context: ssl.SSLContext
) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    fetcher = GuardedFetcher(Network(resolver=lambda *_: next(answers)), context)
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "connection"
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "forbidden_address"
    assert [address[0] for address in dialled] == [PUBLIC]


# --- the list of behaviours

FETCH = "unit/jwks/test_http_fetcher.py"
IN_TIME = "unit/jwks/test_http_fetcher_timeouts.py"
ANSWERS = "unit/jwks/test_http_fetcher_answers.py"
GUARD = "unit/jwks/test_ssrf.py"
KEYSET = "unit/keys/test_key_set.py"
HERE = "conformance/test_ssrf.py"
WHOLE_GATE = "conformance/test_ssrf_gate.py"
REDIRECT = (ANSWERS, "test_fetch_redirect_not_followed")

SHOWN_BY: list[tuple[str, list[tuple[str, str]]]] = [
    ("redirect 301", [REDIRECT]),
    ("redirect https->http", [REDIRECT]),
    ("redirect to same host", [REDIRECT]),
    (
        "DNS rebinding",
        [
            (FETCH, "test_fetch_dns_rebinding_connects_to_checked_address_only"),
            (HERE, "test_fetch_dns_rebinding_to_loopback_connects_to_checked_address"),
        ],
    ),
    ("DNS answer with one public", [(HERE, "test_fetch_forbidden_beside_public_address_forbidden")]),
    ("DNS answer CNAME", [(HERE, "test_key_set_url_ssrf_url_refused_before_connecting")]),
    ("AAAA v4-mapped", [(GUARD, "test_network_non_public_address_forbidden")]),
    ("HTTP(S)_PROXY", [(FETCH, "test_fetch_proxy_environment_ignored")]),
    (
        "response of 50 MB",
        [
            (IN_TIME, "test_fetch_oversized_body_too_large_with_bounded_memory"),
            (IN_TIME, "test_fetch_endless_chunks_too_large_or_timeout"),
            (IN_TIME, "test_fetch_slow_response_ends_by_fetch_timeout"),
        ],
    ),
    ("gzip bomb", [(ANSWERS, "test_fetch_content_encoding_refused_as_encoded")]),
    (
        "200 with text/html",
        [
            (ANSWERS, "test_fetch_invalid_json_not_json_without_cause"),
            (ANSWERS, "test_key_set_loader_invalid_document_permanent_failure"),
        ],
    ),
    (
        "JWKS with one broken member",
        [
            (WHOLE_GATE, "test_remote_key_set_broken_member_other_keys_accepted"),
            (KEYSET, "test_read_key_set_broken_member_skipped_with_reason"),
        ],
    ),
    ("JWKS containing kty=oct", [(WHOLE_GATE, "test_remote_key_set_symmetric_key_algorithm_not_allowed")]),
    ("JWKS with 10^5 keys", [(ANSWERS, "test_key_set_loader_invalid_document_permanent_failure")]),
    ("JWKS with 16384-bit", [(ANSWERS, "test_key_set_loader_oversized_key_skipped_others_loaded")]),
    (
        "JWKS with two keys same kid",
        [
            (WHOLE_GATE, "test_remote_key_set_duplicate_kid_selected_by_algorithm"),
            (KEYSET, "test_key_set_select_duplicate_kid_filtered_by_algorithm"),
        ],
    ),
    ("endpoint down", [(WHOLE_GATE, "test_remote_key_set_endpoint_down_keys_used_until_expiry")]),
    ("removed key", [(WHOLE_GATE, "test_remote_key_set_removed_key_not_found_after_refresh")]),
    ("10^4 tokens", [(WHOLE_GATE, "test_remote_key_set_unknown_kid_flood_two_fetches")]),
    ("cache and single-flight", [(WHOLE_GATE, "test_remote_key_set_same_kid_in_two_apps_not_shared")]),
    ("event loop", [(WHOLE_GATE, "test_averify_100_waiters_one_fetch_without_blocking_loop")]),
]


def _tests_in(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_ssrf_behaviours_all_mapped_to_tests() -> None:
    shown = [[start for start, _ in SHOWN_BY if behaviour.startswith(start)] for behaviour in BEHAVIOURS]
    assert all(len(each) == 1 for each in shown), shown
    assert len(SHOWN_BY) == len(BEHAVIOURS)


@pytest.mark.parametrize(("start", "tests"), SHOWN_BY, ids=[start for start, _ in SHOWN_BY])
def test_ssrf_behaviours_mapped_tests_exist(start: str, tests: list[tuple[str, str]]) -> None:
    assert tests
    for path, name in tests:
        assert name in _tests_in(path), start

"""Every way that is known of turning a key set's URL into a door: none of them is dialled, by name or by address."""

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
from tests.unit.jwks.support import Documents, failure_of
from wicket import ConfigError, Jwks
from wicket.config.network import Network
from wicket.jwks.discovery import discover
from wicket.jwks.http_fetcher import GuardedFetcher
from wicket.jwks.ssrf import is_allowed
from wicket.keys.urls import check_url, is_url

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
    """A URL as it stands; and where it is a template with a value, what naive software would make of it."""
    template = re.fullmatch(r"(\S+)\{tenant\}(\S+) with tenant='(.+)'", url)
    return [url, f"{template[1]}{template[3]}{template[2]}"] if template else [url]


@pytest.mark.parametrize("url", [each for url in URLS for each in interpolated(url)], ids=ascii)
def test_a_url_is_refused_before_a_byte_is_sent(url: str, fetcher: GuardedFetcher, dialled: list[Any]) -> None:
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
def test_a_url_is_refused_as_the_key_set_that_an_issuer_names(
    url: str, fetcher: GuardedFetcher, dialled: list[Any]
) -> None:
    issuer = "https://idp.example.com"
    found = discover(issuer, Documents({"issuer": issuer, "jwks_uri": url}))
    assert failure_of(lambda: fetcher(found)).kind in ("forbidden_address", "forbidden_port")
    assert failure_of(lambda: discover(url, fetcher)).kind in ("forbidden_address", "forbidden_port")
    assert dialled == []


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case["ip"])
def test_an_address_may_be_dialled_or_not(case: dict[str, Any], dialled: list[Any], context: ssl.SSLContext) -> None:
    address = case["ip"]
    wanted = OPEN_TO_POLICY.get(address, case["expect"] == "allow")
    assert is_allowed(Network(), address) is wanted

    network = Network(resolver=lambda *_: [address])
    fetcher = GuardedFetcher(network, context, connect_seconds=0.5, total_seconds=0.5)
    failure = failure_of(lambda: fetcher(check_url("https://id.example.com/")))
    assert failure.kind == ("connection" if wanted else "forbidden_address")
    assert [each[0] for each in dialled] == ([address] if wanted else [])


@pytest.mark.parametrize("case", [case for case in ADDRESSES if case["expect"] == "block"], ids=lambda case: case["ip"])
def test_a_forbidden_address_is_refused_beside_a_public_one(
    case: dict[str, Any], dialled: list[Any], context: ssl.SSLContext
) -> None:
    for answer in ([PUBLIC, case["ip"]], [case["ip"], PUBLIC]):
        fetcher = GuardedFetcher(_answering(answer), context)
        assert failure_of(partial(fetcher, check_url("https://id.example.com/"))).kind == "forbidden_address"
    assert dialled == []


def _answering(addresses: list[str]) -> Network:
    return Network(resolver=lambda *_: addresses)


def test_what_the_suite_leaves_open_is_what_the_policy_answers() -> None:
    assert OPEN_TO_POLICY.keys() == {case["ip"] for case in ADDRESSES if case["expect"] not in ("allow", "block")}
    hosts = {check_url(url).host for url in URLS if is_url(url)}
    assert {host for host in hosts if not _is_address(host)} <= NAMES.keys()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def test_a_name_that_turns_to_loopback_after_the_check_is_dialled_where_it_was_checked(
    dialled: list[Any], context: ssl.SSLContext
) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    fetcher = GuardedFetcher(Network(resolver=lambda *_: next(answers)), context)
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "connection"
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "forbidden_address"
    assert [address[0] for address in dialled] == [PUBLIC]


# --- the list of behaviours

FETCH = "unit/jwks/test_fetch.py"
IN_TIME = "unit/jwks/test_fetch_in_time.py"
ANSWERS = "unit/jwks/test_fetch_answers.py"
GUARD = "unit/jwks/test_guard.py"
KEYSET = "unit/keys/test_keyset.py"
HERE = "conformance/test_ssrf.py"
WHOLE_GATE = "conformance/test_ssrf_gate.py"
REDIRECT = (ANSWERS, "test_a_redirect_is_not_followed")

SHOWN_BY: list[tuple[str, list[tuple[str, str]]]] = [
    ("redirect 301", [REDIRECT]),
    ("redirect https->http", [REDIRECT]),
    ("redirect to same host", [REDIRECT]),
    (
        "DNS rebinding",
        [
            (FETCH, "test_a_name_that_changes_its_address_is_looked_up_once_and_dialled_as_checked"),
            (HERE, "test_a_name_that_turns_to_loopback_after_the_check_is_dialled_where_it_was_checked"),
        ],
    ),
    ("DNS answer with one public", [(HERE, "test_a_forbidden_address_is_refused_beside_a_public_one")]),
    ("DNS answer CNAME", [(HERE, "test_a_url_is_refused_before_a_byte_is_sent")]),
    ("AAAA v4-mapped", [(GUARD, "test_any_other_address_may_not")]),
    ("HTTP(S)_PROXY", [(FETCH, "test_a_proxy_of_the_environment_is_ignored")]),
    (
        "response of 50 MB",
        [
            (IN_TIME, "test_a_body_that_is_too_large_is_not_read_to_its_end"),
            (IN_TIME, "test_chunks_without_end_end_with_the_fetch"),
            (IN_TIME, "test_a_server_that_is_slow_in_it_has_the_time_of_one_fetch"),
        ],
    ),
    ("gzip bomb", [(ANSWERS, "test_an_encoded_answer_is_refused_unread")]),
    (
        "200 with text/html",
        [
            (ANSWERS, "test_what_is_no_json_is_told_as_that"),
            (ANSWERS, "test_a_document_that_is_no_key_set_is_told_in_time"),
        ],
    ),
    (
        "JWKS with one broken member",
        [
            (WHOLE_GATE, "test_beside_a_broken_member_the_others_serve"),
            (KEYSET, "test_a_broken_member_is_skipped_with_its_reason_and_the_others_serve"),
        ],
    ),
    ("JWKS containing kty=oct", [(WHOLE_GATE, "test_a_secret_in_a_remote_set_verifies_nothing")]),
    ("JWKS with 10^5 keys", [(ANSWERS, "test_a_document_that_is_no_key_set_is_told_in_time")]),
    ("JWKS with 16384-bit", [(ANSWERS, "test_beside_a_key_that_would_cost_too_much_the_others_serve")]),
    (
        "JWKS with two keys same kid",
        [
            (WHOLE_GATE, "test_of_two_keys_of_one_kid_the_algorithm_picks"),
            (KEYSET, "test_two_keys_of_one_kid_are_told_apart_by_the_algorithm"),
        ],
    ),
    ("endpoint down", [(WHOLE_GATE, "test_while_an_endpoint_is_down_the_known_keys_serve_until_they_expire")]),
    ("removed key", [(WHOLE_GATE, "test_a_removed_key_is_refused_after_the_next_refresh_with_all_that_it_signed")]),
    ("10^4 tokens", [(WHOLE_GATE, "test_a_flood_of_invented_kids_causes_two_fetches_and_troubles_nobody_else")]),
    ("cache and single-flight", [(WHOLE_GATE, "test_one_kid_of_two_apps_is_two_keys")]),
    ("event loop", [(WHOLE_GATE, "test_the_loop_turns_while_a_hundred_first_requests_wait_for_one_fetch")]),
]


def _tests_in(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_behaviour_of_the_list_is_shown_by_a_test() -> None:
    shown = [[start for start, _ in SHOWN_BY if behaviour.startswith(start)] for behaviour in BEHAVIOURS]
    assert all(len(each) == 1 for each in shown), shown
    assert len(SHOWN_BY) == len(BEHAVIOURS)


@pytest.mark.parametrize(("start", "tests"), SHOWN_BY, ids=[start for start, _ in SHOWN_BY])
def test_the_tests_that_show_a_behaviour_are_there(start: str, tests: list[tuple[str, str]]) -> None:
    assert tests
    for path, name in tests:
        assert name in _tests_in(path), start

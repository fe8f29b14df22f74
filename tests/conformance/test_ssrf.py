"""Every way that is known of turning a key set's URL into a door: none of them is dialled, by name or by address."""

from __future__ import annotations

import ast
import asyncio
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.conformance.vectors import load, needs_vectors
from tests.unit.jwks.support import Documents, failure_of, fetched
from tests.unit.support import Clock, PrivateKey, jwk, private_key, rsa_key
from wicket import App, ConfigError, Decision, Gate, Header, Jwks
from wicket.jwks.discovery import discover
from wicket.jwks.fetch import GuardedFetcher
from wicket.jwks.guard import Network
from wicket.jwks.outcome import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl, check_url, is_url

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
    return GuardedFetcher(Network(resolve=resolve), context, connect_seconds=0.5, total_seconds=0.5)


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
    assert Network().admits(address) is wanted

    network = Network(resolve=lambda *_: [address])
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
    return Network(resolve=lambda *_: addresses)


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
    fetcher = GuardedFetcher(Network(resolve=lambda *_: next(answers)), context)
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "connection"
    assert failure_of(lambda: fetcher(check_url("https://id.example.com/"))).kind == "forbidden_address"
    assert [address[0] for address in dialled] == [PUBLIC]


# --- what only a whole gate shows

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


class House:
    """A gate with two apps that have key sets of their own, on clocks that the test turns by hand."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.endpoints.sets = {URL: [jwk(rsa_key(), kid="a")], OTHER_URL: [jwk(private_key("ES256"), kid="a")]}
        self.clock = Clock()
        apps = [
            App(id, credentials=[Jwks(url)], issuer=f"https://{id}.example", origins=["https://a.example"])
            for id, url in (("acme", URL), ("other", OTHER_URL))
        ]
        self.gate = Gate(
            apps, naming=[Header("X-App-Id")], fetcher=self.endpoints, monotonic=self.clock, clock=lambda: NOW
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
def house() -> Iterator[House]:
    house = House()
    with house.gate:
        yield house


@pytest.mark.parametrize(
    "member",
    [
        *({"kty": "oct"}, {"kty": "oct", "k": "AAAA", "kid": "a"}, {"kty": "RSA"}, {}, None, [], 5),
        *({**jwk(rsa_key(), kid="b"), "alg": alg} for alg in ("none", ["RS256"], {"a": 1}, 5)),
    ],
    ids=lambda member: repr(member)[:20],
)
def test_beside_a_broken_member_the_others_serve(house: House, member: Any) -> None:
    house.endpoints.sets[URL] = [member, jwk(rsa_key(), kid="a"), member]
    assert house.outcome() is None


def test_a_secret_in_a_remote_set_verifies_nothing(house: House) -> None:
    secret = b"hunter2-hunter2-hunter2-hunter2-"
    house.endpoints.sets[URL] = [
        {"kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0", "kid": "a"},
        jwk(rsa_key(), kid="b"),
    ]
    assert house.outcome(house.token(secret, algorithm="HS256")) == "algorithm_not_allowed"  # type: ignore[arg-type]


def test_of_two_keys_of_one_kid_the_algorithm_picks(house: House) -> None:
    house.endpoints.sets[URL] = [jwk(rsa_key(), kid="a"), jwk(private_key("ES256"), kid="a")]
    assert house.outcome() is None
    assert house.outcome(house.token(private_key("ES256"), algorithm="ES256")) is None
    assert house.outcome(house.token(private_key("EdDSA"), algorithm="EdDSA")) == "key_not_found"


def test_while_an_endpoint_is_down_the_known_keys_serve_until_they_expire(house: House) -> None:
    assert house.outcome() is None
    house.endpoints.sets[URL] = FetchFailed("connection")
    for _ in range(12):
        house.clock.now += 300
        assert house.outcome() is None
        assert house.outcome(house.token(private_key("ES256"), algorithm="ES256")) in (
            "key_not_found",
            "keys_unavailable",
        )
    house.clock.now += 400
    assert house.outcome() == "keys_unavailable"
    house.endpoints.sets[URL] = [jwk(rsa_key(), kid="a")]
    house.clock.now += 61
    assert house.outcome() is None


def test_a_removed_key_is_refused_after_the_next_refresh_with_all_that_it_signed(house: House) -> None:
    token = house.token()
    for _ in range(3):
        assert house.outcome(token) is None
    house.endpoints.sets[URL] = [jwk(private_key("ES256"), kid="b")]
    house.clock.now += 301
    assert house.outcome(token) == "key_not_found"


def test_a_flood_of_invented_kids_causes_two_fetches_and_troubles_nobody_else(house: House) -> None:
    assert house.outcome() is None
    assert house.endpoints.asked == [URL]
    signed = house.token().partition(".")[2]
    for index in range(10_000):
        invented = json.dumps({"alg": "RS256", "typ": "JWT", "kid": f"kid-{index:05}"}, separators=(",", ":")).encode()
        segment = jwt.utils.base64url_encode(invented).decode()
        assert house.outcome(f"{segment}.{signed}") == "key_not_found"
    assert house.endpoints.asked == [URL] * 3
    assert house.outcome() is None

    other = private_key("ES256")
    assert house.outcome(house.token(other, app="other", algorithm="ES256"), "other") is None
    house.endpoints.sets[OTHER_URL].append(jwk(private_key("EdDSA"), kid="new"))
    rotated = house.token(private_key("EdDSA"), app="other", algorithm="EdDSA", kid="new")
    assert house.outcome(rotated, "other") is None
    assert house.endpoints.asked[3:] == [OTHER_URL] * 2


@pytest.mark.parametrize("first", ["acme", "other"])
def test_one_kid_of_two_apps_is_two_keys(first: str) -> None:
    keys: dict[str, tuple[PrivateKey, str]] = {"acme": (rsa_key(), "RS256"), "other": (private_key("ES256"), "ES256")}
    house = House()
    with house.gate:
        for app in (first, *(keys.keys() - {first}), first):
            for signer, (key, algorithm) in keys.items():
                outcome = house.outcome(house.token(key, app=app, algorithm=algorithm), app)
                assert outcome == (None if signer == app else "key_not_found")


def test_the_loop_turns_while_a_hundred_first_requests_wait_for_one_fetch(house: House) -> None:
    house.endpoints.gate = threading.Event()
    token = house.token()

    async def main() -> list[Decision]:
        waiting = [asyncio.ensure_future(house.gate.averify(token, app="acme")) for _ in range(100)]
        for _ in range(50):
            await asyncio.sleep(0)  # the loop is free, though the fetch has not come back
        assert not any(task.done() for task in waiting)
        assert house.endpoints.gate is not None
        house.endpoints.gate.set()
        return await asyncio.gather(*waiting)

    assert all(decision.allowed for decision in asyncio.run(main()))
    assert house.endpoints.asked == [URL]
    assert threading.current_thread() not in house.endpoints.threads


# --- the list of behaviours

FETCH = "unit/jwks/test_fetch.py"
GUARD = "unit/jwks/test_guard.py"
KEYSET = "unit/keys/test_keyset.py"
HERE = "conformance/test_ssrf.py"
REDIRECT = (FETCH, "test_a_redirect_is_not_followed")

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
            (FETCH, "test_a_body_that_is_too_large_is_not_read_to_its_end"),
            (FETCH, "test_chunks_without_end_end_with_the_fetch"),
            (FETCH, "test_a_server_that_is_slow_in_it_has_the_time_of_one_fetch"),
        ],
    ),
    ("gzip bomb", [(FETCH, "test_an_encoded_answer_is_refused_unread")]),
    (
        "200 with text/html",
        [
            (FETCH, "test_what_is_no_json_is_told_as_that"),
            (FETCH, "test_a_document_that_is_no_key_set_is_told_in_time"),
        ],
    ),
    (
        "JWKS with one broken member",
        [
            (HERE, "test_beside_a_broken_member_the_others_serve"),
            (KEYSET, "test_a_broken_member_is_skipped_with_its_reason_and_the_others_serve"),
        ],
    ),
    ("JWKS containing kty=oct", [(HERE, "test_a_secret_in_a_remote_set_verifies_nothing")]),
    ("JWKS with 10^5 keys", [(FETCH, "test_a_document_that_is_no_key_set_is_told_in_time")]),
    ("JWKS with 16384-bit", [(FETCH, "test_beside_a_key_that_would_cost_too_much_the_others_serve")]),
    (
        "JWKS with two keys same kid",
        [
            (HERE, "test_of_two_keys_of_one_kid_the_algorithm_picks"),
            (KEYSET, "test_two_keys_of_one_kid_are_told_apart_by_the_algorithm"),
        ],
    ),
    ("endpoint down", [(HERE, "test_while_an_endpoint_is_down_the_known_keys_serve_until_they_expire")]),
    ("removed key", [(HERE, "test_a_removed_key_is_refused_after_the_next_refresh_with_all_that_it_signed")]),
    ("10^4 tokens", [(HERE, "test_a_flood_of_invented_kids_causes_two_fetches_and_troubles_nobody_else")]),
    ("cache and single-flight", [(HERE, "test_one_kid_of_two_apps_is_two_keys")]),
    ("event loop", [(HERE, "test_the_loop_turns_while_a_hundred_first_requests_wait_for_one_fetch")]),
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

"""A table of bad input: the structured response of both middlewares, and a cost at most linear in the input."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.properties.tokens import NOW, SECRET, app, good_claims, joined, signed, signed_bytes
from tests.support.clients import DOORS, Headers, through_wsgi
from wicket import Bearer, Cookie, Gate, Header, Host, PathSegment, PublicKey, Query, Request, Rules, Secret
from wicket.config.app import BrokenApp
from wicket.decision.token_parser import parse_json_object
from wicket.errors import ConfigError, Refused
from wicket.runtime import base64url

MANY = 10**6
ROOMY = Rules(required_claims=frozenset({"sub", "exp"}), max_token_bytes=100 * MANY)
HS256 = b'{"alg":"HS256"}'
GOOD = signed(good_claims()).encode()

APP = app()
ROOMY_APP = app("roomy", rules=ROOMY, credentials=[Secret(bytes(reversed(SECRET)))])
GATE = Gate([APP, ROOMY_APP], app_locations=[Header("X-App-Id")], clock=lambda: NOW)

ACME = (b"X-App-Id", b"acme")
TO_ROOMY = (b"X-App-Id", b"roomy")


def bearer(token: str | bytes) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + (token.encode("latin-1") if isinstance(token, str) else token)


def claims(payload: str, header: bytes = HS256) -> str:
    """A properly signed token with this very text as its payload."""
    return signed_bytes(header, payload.encode(), secret=bytes(reversed(SECRET)))


def header(text: str) -> str:
    return joined(text.encode(), b"{}", b"signature")


BIG = b"a" * MANY
NESTED = "[" * 100_000 + "]" * 100_000
DIGITS = "9" * 400

MALFORMED = (401, "invalid_token", "malformed")
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
NOT_ALLOWED = (401, "invalid_token", "algorithm_not_allowed")
BAD_CLAIM = (401, "invalid_token", "bad_claim")
TOO_LARGE = (401, "invalid_token", "too_large")
UNKNOWN_APP = (401, "unknown_app", None)
BAD_REQUEST = (400, "invalid_request", None)
BAD_ORIGIN = (403, "origin_not_allowed", None)
MISSING = (401, "missing_token", None)

TABLE: dict[str, tuple[Headers, tuple[int, str, str | None]]] = {
    # a million of anything
    "a token of 1 MB": ([ACME, bearer(BIG)], TOO_LARGE),
    "a token of 1 MB where that is not too large": ([TO_ROOMY, bearer(BIG)], MALFORMED),
    "a good token and 1 MB behind it": ([ACME, bearer(GOOD + BIG)], TOO_LARGE),
    "an Authorization of 1 MB that is no bearer": ([ACME, (b"Authorization", BIG)], MISSING),
    "a bearer of 1 MB of blanks": ([ACME, (b"Authorization", b"Bearer" + b" " * MANY)], BAD_REQUEST),
    "a name of 1 MB": ([(b"X-App-Id", BIG), bearer(GOOD)], UNKNOWN_APP),
    "an origin of 1 MB": ([ACME, bearer(GOOD), (b"Origin", b"https://" + BIG)], BAD_ORIGIN),
    "an origin of a million labels": ([ACME, bearer(GOOD), (b"Origin", b"https://" + b"a." * MANY)], BAD_ORIGIN),
    "a million dots": ([ACME, bearer(b"." * MANY)], TOO_LARGE),
    "a million dots where they are not too large": ([TO_ROOMY, bearer(b"." * MANY)], MALFORMED),
    "a million commas": ([ACME, bearer(b"," * MANY)], BAD_REQUEST),
    # what a header cannot hold
    "NUL in the token": ([ACME, bearer(GOOD + b"\x00")], MALFORMED),
    "NUL as the token": ([ACME, bearer(b"\x00")], MALFORMED),
    "NUL in the name": ([(b"X-App-Id", b"acme\x00"), bearer(GOOD)], UNKNOWN_APP),
    "NUL in the origin": ([ACME, bearer(GOOD), (b"Origin", b"https://app.example.com\x00")], BAD_ORIGIN),
    "a line break in the token": ([ACME, bearer(GOOD + b"\n")], BAD_REQUEST),
    "a line break in the name": ([(b"X-App-Id", b"acme\r\nX-Evil: 1"), bearer(GOOD)], UNKNOWN_APP),
    "a line break in the origin": ([ACME, bearer(GOOD), (b"Origin", b"https://app.example.com\n")], BAD_ORIGIN),
    "quotes in the name": ([(b"X-App-Id", b'"acme", realm="evil'), bearer(GOOD)], BAD_REQUEST),
    "UTF-8 in the token": ([ACME, bearer("é".encode())], MALFORMED),
    "latin-1 in the token": ([ACME, bearer(b"\xe9")], MALFORMED),
    "a blank that only Unicode knows in the token": ([ACME, bearer(b"a\xa0b")], BAD_REQUEST),
    "UTF-8 in the name": ([(b"X-App-Id", "ácme".encode()), bearer(GOOD)], UNKNOWN_APP),
    "latin-1 in the name": ([(b"X-App-Id", b"\xffcme"), bearer(GOOD)], UNKNOWN_APP),
    "UTF-8 in the origin": ([ACME, bearer(GOOD), (b"Origin", "https://äpp.example.com".encode())], BAD_ORIGIN),
    "an overlong dot in the origin": ([ACME, bearer(GOOD), (b"Origin", b"https://app\xc0\xaeexample")], BAD_ORIGIN),
    # requests that contradict themselves
    "Bearer with nothing": ([ACME, (b"Authorization", b"Bearer")], BAD_REQUEST),
    "Bearer with a blank": ([ACME, (b"Authorization", b"Bearer ")], BAD_REQUEST),
    "Bearer with two words": ([ACME, bearer(GOOD + b" " + GOOD)], BAD_REQUEST),
    "two Authorizations": ([ACME, bearer(GOOD), bearer(GOOD)], BAD_REQUEST),
    "two names": ([ACME, TO_ROOMY, bearer(GOOD)], BAD_REQUEST),
    "two origins": ([ACME, bearer(GOOD), *[(b"Origin", b"https://app.example.com")] * 2], BAD_REQUEST),
    # headers of tokens
    "100,000 brackets in the header": ([TO_ROOMY, bearer(header(NESTED))], MALFORMED),
    "100,000 open brackets in the header": ([TO_ROOMY, bearer(header("[" * 100_000))], MALFORMED),
    "100,000 nested objects": ([TO_ROOMY, bearer(header('{"a":' * 100_000))], MALFORMED),
    "33 brackets in the header": ([ACME, bearer(header('{"alg":"HS256","a":' + "[" * 33 + "]" * 33 + "}"))], MALFORMED),
    "a lone surrogate in the header": ([ACME, bearer(header('{"alg":"HS256","a":"\\ud800"}'))], MALFORMED),
    "a lone surrogate as the kid": ([ACME, bearer(header('{"alg":"HS256","kid":"\\udfff"}'))], MALFORMED),
    "a 400-digit number in the header": ([ACME, bearer(header(f'{{"alg":"HS256","a":{DIGITS}}}'))], MALFORMED),
    "1e400 in the header": ([ACME, bearer(header('{"alg":"HS256","a":1e400}'))], MALFORMED),
    "NaN in the header": ([ACME, bearer(header('{"alg":"HS256","a":NaN}'))], MALFORMED),
    "two algorithms in the header": ([ACME, bearer(header('{"alg":"none","alg":"HS256"}'))], MALFORMED),
    "a byte order mark in the header": ([ACME, bearer(header('\ufeff{"alg":"HS256"}'))], MALFORMED),
    "UTF-16 in the header": ([ACME, bearer(joined('{"alg":"HS256"}'.encode("utf-16"), b"{}", b""))], MALFORMED),
    "a kid of 10 KB": ([ACME, bearer(header(json.dumps({"alg": "HS256", "kid": "k" * 10_000})))], MALFORMED),
    "a path as the kid": ([ACME, bearer(header('{"alg":"HS256","kid":"../../dev/null"}'))], BAD_SIGNATURE),
    "no algorithm": ([ACME, bearer(header("{}"))], NOT_ALLOWED),
    "an algorithm of 10 KB": ([ACME, bearer(header(json.dumps({"alg": "H" * 10_000})))], MALFORMED),
    "NUL behind the algorithm": ([ACME, bearer(header('{"alg":"HS256\\u0000"}'))], NOT_ALLOWED),
    "five parts": ([ACME, bearer(GOOD + b".e30.e30")], MALFORMED),
    "padding": ([ACME, bearer(GOOD + b"=")], MALFORMED),
    # payloads, properly signed
    "100,000 brackets in the payload": ([TO_ROOMY, bearer(claims(f'{{"a":{NESTED}}}'))], MALFORMED),
    "a lone surrogate in the payload": ([TO_ROOMY, bearer(claims('{"sub":"\\ud800","exp":1}'))], MALFORMED),
    "a 400-digit exp": ([TO_ROOMY, bearer(claims(f'{{"sub":"a","exp":{DIGITS}}}'))], MALFORMED),
    "a 300-digit exp": ([TO_ROOMY, bearer(claims(json.dumps(good_claims(exp=10**300))))], BAD_CLAIM),
    "an exp before the year 1": ([TO_ROOMY, bearer(claims('{"sub":"a","exp":-62135596801}'))], BAD_CLAIM),
    "an endless exp": ([TO_ROOMY, bearer(claims('{"sub":"a","exp":1e999}'))], MALFORMED),
    "Infinity as exp": ([TO_ROOMY, bearer(claims('{"sub":"a","exp":Infinity}'))], MALFORMED),
    "two users": ([TO_ROOMY, bearer(claims('{"sub":"a","sub":"b","exp":1}'))], MALFORMED),
    "a user of 1 MB": ([TO_ROOMY, bearer(claims(json.dumps(good_claims(sub="u" * MANY))))], BAD_CLAIM),
    "a user with NUL": ([TO_ROOMY, bearer(claims(json.dumps(good_claims(sub="a\x00"))))], BAD_CLAIM),
    "a list as payload": ([TO_ROOMY, bearer(claims("[]"))], MALFORMED),
    "a byte order mark in the payload": ([TO_ROOMY, bearer(claims('\ufeff{"sub":"a"}'))], MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize("name", TABLE)
def test_middleware_bad_input_problem_json(door: str, name: str) -> None:
    headers, (status, code, reason) = TABLE[name]
    answered = DOORS[door](GATE, headers)

    assert not answered.passed
    problem = json.loads(answered.body)
    assert (answered.status, problem["error"], problem["reason"]) == (status, code, reason)
    assert problem["status"] == status
    assert problem.keys() == {"type", "title", "status", "detail", "error", "reason"}
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.headers["cache-control"] == "no-store"
    assert len(answered.body) < 500
    assert sum(len(value) for value in answered.headers.values()) < 500
    challenge = answered.headers.get("www-authenticate")
    assert (challenge is None) is (code == "origin_not_allowed")
    assert challenge is None or challenge.count('"') in (2, 6)


@pytest.mark.parametrize("door", sorted(DOORS))
def test_middleware_same_request_without_fault_allowed(door: str) -> None:
    assert DOORS[door](GATE, [ACME, bearer(GOOD), (b"Origin", b"https://app.example.com")]).passed
    assert DOORS[door](GATE, [TO_ROOMY, bearer(claims(json.dumps(good_claims())))]).passed
    assert DOORS[door](GATE, [TO_ROOMY, bearer(claims(json.dumps(good_claims(a="x" * MANY))))]).passed


@pytest.mark.parametrize(
    "token",
    ["\ud800", GOOD.decode() + "\ud800", "\udfff" + GOOD.decode(), "é", "\x00", GOOD.decode().replace(".", "\uff0e")],
)
def test_verify_token_invalid_character_malformed(token: str) -> None:
    refusal = GATE.verify(token, app="acme").refusal

    assert refusal is not None
    assert (refusal.code, refusal.reason) == ("invalid_token", "malformed")


@pytest.mark.parametrize("name", ["\ud800", "", "a" * MANY, "acme\x00", "ácme", " acme", "acme\n"])
def test_verify_invalid_app_name_unknown_app(name: str) -> None:
    refusal = GATE.verify(GOOD.decode(), app=name).refusal

    assert refusal is not None
    assert refusal.code == "unknown_app"


@pytest.mark.parametrize("origin", ["\ud800", "", "https://app.example.com\ud800", "https://[", "https://[::1", "null"])
def test_verify_invalid_origin_origin_not_allowed(origin: str) -> None:
    refusal = GATE.verify(GOOD.decode(), app="acme", origin=origin).refusal

    assert refusal is not None
    assert refusal.code == "origin_not_allowed"


@pytest.mark.parametrize(
    "variable", ["HTTP_AUTHORIZATION", "HTTP_X_APP_ID", "HTTP_ORIGIN", "QUERY_STRING", "PATH_INFO"]
)
def test_wsgi_middleware_lone_surrogate_structured_response(variable: str) -> None:
    answered = through_wsgi(GATE, [ACME, bearer(GOOD)], environ=[(variable, "Bearer \ud800")])

    assert answered.passed is (variable in ("QUERY_STRING", "PATH_INFO"))
    assert answered.status in (200, 400, 401, 403)


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([ACME, bearer("a.b.c")], "invalid_token"),
        ([ACME, TO_ROOMY, bearer(GOOD)], "invalid_request"),
        ([ACME, bearer(GOOD), bearer(GOOD)], "invalid_request"),
        ([ACME, bearer(GOOD + b" " + GOOD)], "invalid_request"),
    ],
    ids=["bad token", "two apps", "two bearers", "two words"],
)
def test_challenge_token_sent_names_error(door: str, headers: Headers, error: str) -> None:
    """RFC 6750 section 3.1."""
    gate = Gate([APP, ROOMY_APP, app("bare", credentials=[]), BrokenApp("broken")], app_locations=[Header("X-App-Id")])
    challenge = DOORS[door](gate, headers).headers["www-authenticate"]

    assert challenge.startswith('Bearer realm="wicket"')
    assert f'error="{error}"' in challenge


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize("sent", [[], [bearer(GOOD)]], ids=["no token", "a token"])
@pytest.mark.parametrize("name", [b"nobody", b"bare", b"broken", None])
def test_challenge_configuration_or_unknown_app_has_no_error(door: str, sent: Headers, name: bytes | None) -> None:
    """`config_*` and `unknown_app` are no codes of RFC 6750, and the token is not at fault."""
    gate = Gate([APP, app("bare", credentials=[]), BrokenApp("broken")], app_locations=[Header("X-App-Id")])
    named = [] if name is None else [(b"X-App-Id", name)]

    assert DOORS[door](gate, [*named, *sent]).headers["www-authenticate"] == 'Bearer realm="wicket"'


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize("name", [b"acme", b"nobody", b"bare", b"broken"])
def test_challenge_without_token_no_error(door: str, name: bytes) -> None:
    gate = Gate([APP, app("bare", credentials=[]), BrokenApp("broken")], app_locations=[Header("X-App-Id")])

    assert DOORS[door](gate, [(b"X-App-Id", name)]).headers["www-authenticate"] == 'Bearer realm="wicket"'


def test_public_key_rsa_jwk_alg_null_config_error() -> None:
    jwk = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    for alg in ({}, {"alg": None}):
        with pytest.raises(ConfigError):
            PublicKey.from_jwk({**jwk, **alg})


# --- the cost: four times the input may cost about four times as much, never sixteen

ONE = Gate([app(rules=ROOMY)], clock=lambda: NOW)
EVERYWHERE = Gate(
    [app(token_locations=[Bearer(), Query("token"), Cookie("token")]), ROOMY_APP],
    app_locations=[Header("X-App-Id"), Query("app"), PathSegment(3), Host("*.widgets.example")],
    clock=lambda: NOW,
)


def of_header(text: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
    """A token whose unsigned header grows."""

    def build(size: int) -> Callable[[], object]:
        token = f"{base64url.encode(text(size).encode())}.e30.AA"
        return lambda: ONE.verify(token, app="acme")

    return build


def of_payload(text: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
    """A payload that grows, and is signed."""

    def build(size: int) -> Callable[[], object]:
        token = signed_bytes(HS256, text(size).encode())
        return lambda: ONE.verify(token, app="acme")

    return build


def of_token(text: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
    def build(size: int) -> Callable[[], object]:
        token = text(size)
        return lambda: ONE.verify(token, app="acme")

    return build


def of_request(build_request: Callable[[int], Request]) -> Callable[[int], Callable[[], object]]:
    def build(size: int) -> Callable[[], object]:
        request = build_request(size)
        return lambda: EVERYWHERE.decide(request)

    return build


def of_headers(build_headers: Callable[[int], list[tuple[str, str]]]) -> Callable[[int], Callable[[], object]]:
    """Headers that grow, read again each time, as a middleware does."""

    def build(size: int) -> Callable[[], object]:
        headers = build_headers(size)
        return lambda: EVERYWHERE.decide(Request(headers=headers))

    return build


def reader(text: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
    """The strict reader alone, on what is no object."""

    def build(size: int) -> Callable[[], object]:
        raw = text(size).encode()

        def read() -> None:
            with pytest.raises(Refused):
                parse_json_object(raw)

        return read

    return build


Growing = Callable[[int], Callable[[], object]]

GROWING: dict[str, tuple[int, Growing]] = {
    "dots": (200_000, of_token(lambda n: "." * n)),
    "one segment": (200_000, of_token(lambda n: "a" * n)),
    "a signature": (200_000, of_token(lambda n: "e30.e30." + "a" * n)),
    "a payload that is not looked at": (200_000, of_token(lambda n: "eyJhbGciOiJIUzI1NiJ9." + "a" * n + ".AA")),
    "open brackets": (100_000, of_header(lambda n: "[" * n)),
    "pairs of brackets": (10_000, of_header(lambda n: "[" + "[]," * n + "[]]")),
    "closing brackets": (100_000, of_header(lambda n: "]" * n)),
    "brackets in a text": (20_000, of_header(lambda n: '{"a":"' + "[" * n + '"}')),
    "escaped quotes in a text": (50_000, of_header(lambda n: "[]" * 40 + '{"a":"' + '\\"' * n + '"}')),
    "escaped quotes outside of any text": (1_000, of_header(lambda n: "[]" * 40 + '\\"' * n)),
    "an unfinished text of escaped quotes": (1_000, of_header(lambda n: "[]" * 40 + '"' + '\\"' * n)),
    "quotes": (50_000, of_header(lambda n: "[]" * 40 + '"' * n)),
    "backslashes": (50_000, of_header(lambda n: "[]" * 40 + '"' + "\\" * n)),
    "members": (20_000, of_header(lambda n: json.dumps({f"member{each}": each for each in range(n)}))),
    "texts": (20_000, of_header(lambda n: json.dumps({"a": ["text"] * n}))),
    "escapes": (30_000, of_header(lambda n: '{"a":"' + "\\u0041" * n + '"}')),
    "surrogate pairs": (20_000, of_header(lambda n: '{"a":"' + "\\ud83d\\ude00" * n + '"}')),
    "digits": (100_000, of_header(lambda n: '{"a":' + "9" * n + "}")),
    "digits behind the point": (100_000, of_header(lambda n: '{"a":0.' + "9" * n + "}")),
    "digits of an exponent": (100_000, of_header(lambda n: '{"a":1e' + "9" * n + "}")),
    "blanks": (200_000, of_header(lambda n: "{" + " " * n + "}")),
    "an algorithm": (200_000, of_header(lambda n: '{"alg":"' + "H" * n + '"}')),
    "a kid": (200_000, of_header(lambda n: '{"alg":"HS256","kid":"' + "k" * n + '"}')),
    "claims": (20_000, of_payload(lambda n: json.dumps(good_claims(**{f"claim{each}": each for each in range(n)})))),
    "a user id": (200_000, of_payload(lambda n: json.dumps(good_claims(sub="u" * n)))),
    "an audience": (50_000, of_payload(lambda n: json.dumps(good_claims(aud=["a"] * n)))),
    "no JSON at all": (200_000, reader(lambda n: "x" * n)),
    "an authorization": (200_000, of_headers(lambda n: [("Authorization", "Bearer " + " " * n + "a")])),
    "an origin": (200_000, of_headers(lambda n: [("X-App-Id", "acme"), ("Origin", "https://" + "a." * n)])),
    "a query": (20_000, of_request(lambda n: Request(query="token=&" + "a=b&" * n))),
    "a query of escapes": (50_000, of_request(lambda n: Request(query="token=" + "%41" * n))),
    "the same parameter": (20_000, of_request(lambda n: Request(query="app=acme&" * n))),
    "a cookie": (20_000, of_headers(lambda n: [("X-App-Id", "acme"), ("Cookie", "token; " * n)])),
    "a path": (100_000, of_request(lambda n: Request(path="/a" * n))),
    "a host": (200_000, of_headers(lambda n: [("Host", "a:" * n)])),
    "a name": (200_000, of_headers(lambda n: [("X-App-Id", "a" * n)])),
    "repeated headers": (2_000, of_headers(lambda n: [("X-Any", "a" * 20)] * n)),
}  # fmt: skip


def cost(work: Callable[[], object], rounds: int = 5) -> float:
    """The least CPU time that it took, in seconds: what else the machine does only ever adds."""
    least = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        work()
        least = min(least, time.thread_time() - start)
    return least


@pytest.mark.parametrize("name", GROWING)
def test_gate_growing_input_linear_cost(name: str) -> None:
    size, build = GROWING[name]
    floor = 20e-6  # what a decision costs in any case; below that a ratio says nothing
    small = big = float("inf")

    for _ in range(30):  # until both have run undisturbed once
        small = min(small, cost(build(size), rounds=15))
        big = min(big, cost(build(4 * size), rounds=3))
        if big + floor < 8 * (small + floor):
            return
    pytest.fail(f"four times the input costs {big / small:.1f} times as much")


def test_origin_policy_many_exact_origins_constant_cost() -> None:
    few, many = (app(origins=[f"https://a{n}.example" for n in range(size)]).origin_policy for size in (1, 20_000))

    def ask(policy: Any) -> Callable[[], object]:
        return lambda: [policy.allows("https://b.example") for _ in range(200)]

    assert many.allows("https://a19999.example")
    assert cost(ask(many)) < 5 * cost(ask(few))

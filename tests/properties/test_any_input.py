"""Whatever is sent, the answer is a decision: never an exception, never a 500, never a fault of the gate's own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.strategies import ALMOST_GOOD, ANY_TEXT, CLAIMS, HEADERS, JSON, TOKENS
from tests.properties.tokens import NOW, SECRET, app, good_claims, signed
from tests.support.clients import DOORS, Answered, through_asgi, through_wsgi
from tests.support.thorough import example_count
from wicket import Bearer, Cookie, Decision, Gate, Header, PathSegment, Query, Request, Rules, Secret, TokenIssuer
from wicket.errors import STATUS

quick = settings(max_examples=example_count(150), deadline=None)

OTHER = bytes(reversed(SECRET))

RULES = Rules(
    required_claims=frozenset({"sub", "exp"}),
    attributes_claim="ctx",
    companies_claim="companies",
    scopes_claim=("scope",),
    max_attributes_bytes=200,
)

GATE = Gate(
    [
        app(
            rules=RULES,
            allowed_scopes=["read"],
            token_locations=[Bearer(), Header("X-Token"), Query("token"), Cookie("token")],
            issuer="https://id.example",
        ),
        app("lax", credentials=[Secret(OTHER)], origins=["*"], allow_anonymous=True),
    ],
    app_locations=[Header("X-App-Id"), Query("app"), PathSegment(1), TokenIssuer()],
    clock=lambda: NOW,
)
ALONE = Gate([app(rules=RULES, allowed_scopes=["read"])], clock=lambda: NOW)


def checked(decision: object) -> Decision:
    """What holds of every decision, whatever it decides."""
    assert isinstance(decision, Decision)
    if decision.allowed:
        assert decision.refusal is None
    else:
        assert decision.refusal is not None
        assert decision.refusal.code != "internal_error"
        assert decision.refusal.status == STATUS[decision.refusal.code]
        assert not decision.identity.verified
    if decision.identity.verified:
        user_id = decision.require().user_id
        assert isinstance(user_id, str)
        assert 1 <= len(user_id) <= 256
        assert decision.identity.identity.isascii()
        json.dumps([decision.identity.claims, decision.identity.attributes, decision.identity.companies])
    assert repr(decision)
    return decision


def answered_properly(answered: Answered) -> None:
    """What holds of every answer: the application's, or a structured refusal."""
    if answered.passed:
        assert answered.status == 200
        checked(answered.decision)
        return
    assert answered.status in (400, 401, 403)
    assert answered.headers["content-type"] == "application/problem+json"
    assert int(answered.headers["content-length"]) == len(answered.body)
    problem = json.loads(answered.body)
    assert problem["status"] == answered.status == STATUS[problem["error"]]
    for value in answered.headers.values():
        assert value.isascii()
        assert value.isprintable()


@quick
@given(TOKENS)
@example("\ud800")
@example("a.b.\udfff")
@example("..")
def test_verify_any_token_text_returns_decision(token: str) -> None:
    checked(ALONE.verify(token, app="acme"))
    checked(ALONE.decide(Request(headers=[("Authorization", f"Bearer {token}")])))


@pytest.mark.says_parts("its paths and origins are broken tokens")
@quick
@given(token=TOKENS, name=ANY_TEXT, origin=ANY_TEXT)
def test_verify_any_token_app_and_origin_returns_decision(token: str, name: str, origin: str) -> None:
    checked(GATE.verify(token, app=name, origin=origin))
    checked(GATE.decide(Request("GET", name, origin, [("X-App-Id", name), ("X-Token", token), ("Origin", origin)])))


@quick
@given(header=HEADERS, claims=CLAIMS)
def test_verify_any_signed_header_and_claims_returns_decision(header: Any, claims: dict[str, Any]) -> None:
    decision = checked(ALONE.verify(signed(claims, header), app="acme"))
    if decision.allowed:
        assert isinstance(header, dict)
        assert header["alg"] == "HS256"
        assert not header.keys() & {"crit", "b64", "zip"}


@quick
@given(ALMOST_GOOD)
def test_verify_altered_signed_claims_returns_decision(claims: dict[str, Any]) -> None:
    decision = checked(ALONE.verify(signed(claims), app="acme"))
    if decision.allowed:
        assert decision.identity.claims == claims


@quick
@given(JSON)
def test_verify_signed_payload_not_object_malformed(payload: Any) -> None:
    decision = checked(ALONE.verify(signed(payload), app="acme"))
    if not isinstance(payload, dict):
        assert decision.refusal is not None
        assert decision.refusal.reason == "malformed"


@quick
@given(
    position=st.integers(0, 10**4),
    replacement=st.text("ABCDwxyz0189-_.=+/ \n\x00é", max_size=2),
    length=st.integers(0, 2),
)
def test_verify_altered_token_text_refused(position: int, replacement: str, length: int) -> None:
    token = signed(good_claims())
    at = position % (len(token) + 1)
    spelled = token[:at] + replacement + token[at + length :]

    assert checked(ALONE.verify(spelled, app="acme")).allowed is (spelled == token)


HEADER_NAMES = st.sampled_from(
    [b"Authorization", b"X-Token", b"X-App-Id", b"Origin", b"Cookie", b"Host", b"Access-Control-Request-Method"]
)
BEARERS = st.builds(lambda token: b"Bearer " + token.encode("latin-1", "ignore"), TOKENS)
HEADER_VALUES = (
    st.binary(max_size=60)
    | BEARERS
    | TOKENS.map(lambda token: token.encode("latin-1", "ignore"))
    | TOKENS.map(lambda token: b"token=" + token.encode("latin-1", "ignore"))
    | st.sampled_from(
        [b"acme", b"lax", b"https://app.example.com", b"null", b"", b"Bearer", b"bearer  x y", b"Basic e"]
    )
)
WIRE = st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=5)
QUERIES = st.binary(max_size=40) | st.builds(
    lambda app, token: b"app=" + app + b"&token=" + quote_from_bytes(token.encode("utf-8", "replace")).encode(),
    st.sampled_from([b"acme", b"lax", b"%00", b"%ff"]),
    TOKENS,
)
PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda path: f"/{path}")


@pytest.mark.says_parts("its paths and origins are broken tokens")
@pytest.mark.parametrize("gate", [GATE, ALONE], ids=["two apps", "one app"])
@quick
@given(headers=WIRE, query=QUERIES, path=PATHS)
def test_middleware_any_request_asgi_and_wsgi_same_response(
    gate: Gate, headers: list[tuple[bytes, bytes]], query: bytes, path: str
) -> None:
    by_asgi = through_asgi(gate, headers, path=path, query=query)
    by_wsgi = through_wsgi(gate, headers, path=quote_from_bytes(path.encode()), query=query)

    answered_properly(by_asgi)
    answered_properly(by_wsgi)
    # A repeated Cookie joins with `;` here and a comma there. A comma in Authorization may separate parameters there.
    repeated = sum(name == b"Authorization" for name, _ in headers) > 1
    if not repeated and not any(name == b"Cookie" for name, _ in headers):
        assert (by_asgi.status, by_asgi.body) == (by_wsgi.status, by_wsgi.body)


@pytest.mark.says_parts("its paths and origins are broken tokens")
@quick
@given(value=ANY_TEXT, query=ANY_TEXT, path=ANY_TEXT)
def test_wsgi_middleware_any_environ_text_structured_response(value: str, query: str, path: str) -> None:
    names = ("HTTP_AUTHORIZATION", "HTTP_X_TOKEN", "HTTP_X_APP_ID", "HTTP_ORIGIN", "HTTP_COOKIE")
    for name in names:
        environ = [(name, value), ("QUERY_STRING", query), ("PATH_INFO", path)]
        answered_properly(through_wsgi(GATE, environ=environ))
        answered_properly(through_wsgi(ALONE, environ=environ))


@pytest.mark.parametrize("door", sorted(DOORS))
def test_middleware_valid_request_allowed(door: str) -> None:
    token = signed(good_claims(iss="https://id.example")).encode()
    for headers in (
        [(b"Authorization", b"Bearer " + token), (b"X-App-Id", b"acme"), (b"Origin", b"https://app.example.com")],
        [(b"X-Token", token)],
        [(b"X-App-Id", b"acme"), (b"Cookie", b"other=1; token=" + token), (b"Origin", b"https://app.example.com")],
    ):
        answered = DOORS[door](GATE, headers)
        answered_properly(answered)
        assert answered.passed
        assert answered.decision is not None
        assert answered.decision.require().user_id == "user-1"


@pytest.mark.parametrize("token", [b"a.b.c", 42, 4.2, ["a.b.c"], {"token": "a.b.c"}, True])
def test_verify_token_not_text_malformed(token: Any) -> None:
    refusal = ALONE.verify(token, app="acme").refusal

    assert refusal is not None
    assert (refusal.code, refusal.reason) == ("invalid_token", "malformed")


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize("status", [400, 402, 404, 419, 422])
def test_format_error_any_status_returned(door: str, status: int) -> None:
    gate = Gate([app(format_error=lambda refusal: (status, {"message": refusal.detail}))], clock=lambda: NOW)
    answered = DOORS[door](gate, [(b"Authorization", b"Bearer a.b.c")])

    assert (answered.passed, answered.status) == (False, status)
    assert json.loads(answered.body).keys() == {"message"}

"""What a request names and carries, where some of it rides in the body, and whom an anonymous one says it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.support import BY_HEADER, ORIGIN, OTHER_KEY, acme, claims, gate_of, secret, token
from wicket import (
    App,
    Bearer,
    BodyField,
    Cookie,
    Decision,
    JsonBody,
    Limits,
    Mode,
    Query,
    Refusal,
    Request,
    TokenIssuer,
)
from wicket.config.locations import TokenLocations
from wicket.decision.resolve_app import credentials_sent
from wicket.messages.request import Body, BytesBody

IN_BODY = (BodyField("appId"),)
TOKENS = (Bearer(), Cookie("session"), JsonBody("token"))


class Counted(BytesBody):
    """A body that counts how often it is read."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.times = 0

    def read(self, limit: int, seconds: float) -> bytes | None:
        self.times += 1
        return super().read(limit, seconds)


def sends(body: Any, *headers: tuple[str, str], kind: str = "application/json", **settings: Any) -> Request:
    raw = body if isinstance(body, (bytes, Body)) else json.dumps(body).encode()
    return Request("POST", headers=[("Content-Type", kind), *headers], body=raw, **settings)


def two(**settings: Any) -> Any:
    """Two apps that are named in the header or the body."""
    common: dict[str, Any] = {"app_locations": (*BY_HEADER, *IN_BODY), "token_locations": TOKENS}
    first = acme(**{**common, **settings})
    return gate_of(
        first,
        App("lax", credentials=[secret(OTHER_KEY)], allow_anonymous=True, origins=["https://lax.example"], **common),
    )


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def test_the_body_names_the_app_and_carries_its_token() -> None:
    body = Counted(json.dumps({"appId": "acme", "token": token()}).encode())
    request = sends(body)
    assert two().decide(request).require().identity == "acme:user-1"
    assert body.times == 1
    assert request.body is None, "it is read once"


def test_a_body_is_not_read_where_the_headers_say_all() -> None:
    body = Counted(b'{"appId": "lax"}')
    decision = two().decide(sends(body, ("X-App-Id", "acme"), ("Authorization", f"Bearer {token()}")))
    assert decision.require().identity == "acme:user-1"
    assert body.times == 0


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json"])
def test_a_body_of_another_type_is_not_read(kind: str) -> None:
    body = Counted(json.dumps({"appId": "acme", "token": token()}).encode())
    assert code(two().decide(sends(body, kind=kind))) == "unknown_app"
    assert body.times == 0


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", " application/json ;x"])
def test_the_type_compares_without_case_and_parameters(kind: str) -> None:
    assert two().decide(sends({"appId": "acme", "token": token()}, kind=kind)).identity.verified


def test_a_place_is_looked_into_under_its_own_types_alone() -> None:
    places = (BodyField("appId", types=("text/plain",)), Query("app"))
    app = acme(app_locations=places, token_locations=[JsonBody("token")], origins=[])
    gate = gate_of(app, App("lax", app_locations=places, allow_anonymous=True))
    body = {"appId": "lax", "token": token()}
    assert gate.decide(sends(body, query="app=acme")).identity.identity == "acme:user-1"
    assert gate.decide(sends(body, kind="text/plain")).app_id == "lax"
    assert code(gate.decide(sends(body))) == "unknown_app"


def test_a_body_that_names_another_app_than_the_header_is_refused() -> None:
    decision = two().decide(sends({"appId": "lax", "token": token()}, ("X-App-Id", "acme")))
    assert (code(decision), decision.app_id) == ("invalid_request", None)
    same = sends({"appId": "acme", "token": token()}, ("X-App-Id", "acme"))
    assert two().decide(same).identity.verified
    assert code(two().decide(sends({"appId": "who", "token": token()}, ("X-App-Id", "acme")))) == "invalid_request"


def test_a_log_only_app_does_not_open_the_door_to_another() -> None:
    decision = two(mode=Mode.LOG_ONLY).decide(sends({"appId": "lax", "token": token()}, ("X-App-Id", "acme")))
    assert not decision.allowed


def test_the_only_app_is_not_asked_for_by_another_name() -> None:
    gate = gate_of(acme(app_locations=IN_BODY, token_locations=TOKENS))
    assert gate.decide(sends({"token": token()})).identity.verified
    assert gate.decide(sends({"appId": "acme", "token": token()})).identity.verified
    assert code(gate.decide(sends({"appId": "other", "token": token()}))) == "unknown_app"


@pytest.mark.parametrize(
    "text",
    [
        '{"appId": "acme", "appId": "lax"}',
        '{"appId": "lax", "\\u0061ppId": "lax"}',
        '{"appId": ["acme"]}',
        '{"appId": 7}',
        '{"appId": true}',
    ],
)
def test_a_name_that_stands_twice_or_is_no_text_is_refused(text: str) -> None:
    decision = two().decide(sends(text.encode()))
    assert (code(decision), decision.app_id) == ("invalid_request", None)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('{"token": "a.b.c", "token": "a.b.c"}', "invalid_request"),
        ('{"token": 7}', "invalid_token"),
        ('{"token": ["x"]}', "invalid_token"),
        ('{"token": null}', "missing_token"),
        ('{"token": ""}', "missing_token"),
        ("[]", "missing_token"),
        ("{", "missing_token"),
        ("", "missing_token"),
    ],
)
def test_what_stands_in_the_tokens_place(text: str, refused: str) -> None:
    assert code(two().decide(sends(text.encode(), ("X-App-Id", "acme")))) == refused


def test_two_tokens_in_one_body_are_refused() -> None:
    gate = gate_of(acme(token_locations=[JsonBody("token"), JsonBody("old")]))
    headers = ("X-App-Id", "acme")
    assert code(gate.decide(sends({"token": token(), "old": "a.b.c"}, headers))) == "invalid_request"
    assert gate.decide(sends({"token": token(), "old": token()}, headers)).identity.verified


def test_header_and_query_go_before_cookies_and_cookies_before_the_body() -> None:
    cookie = ("Cookie", "session=" + token(claims(sub="cookie")))
    body = {"token": token(claims(sub="body"))}
    headers = [("X-App-Id", "acme"), ("Origin", ORIGIN)]
    assert two().decide(sends(body, *headers, cookie)).identity.user_id == "cookie"
    assert two().decide(sends(body, *headers)).identity.user_id == "body"


def test_a_body_that_is_too_large_or_too_slow_holds_no_token() -> None:
    request = sends({"token": token()}, ("X-App-Id", "acme"))
    gate = gate_of(acme(token_locations=TOKENS), limits=Limits(max_body_bytes=20))
    assert code(gate.decide(request)) == "missing_token"


def test_a_token_in_the_body_may_name_the_app_by_its_issuer() -> None:
    app = acme(app_locations=[TokenIssuer()], token_locations=TOKENS, issuer="https://id.acme.com")
    gate = gate_of(app, App("other", app_locations=[TokenIssuer()], issuer="https://id.other"))
    body = Counted(json.dumps({"token": token(claims(iss="https://id.acme.com"))}).encode())
    assert gate.decide(sends(body)).identity.identity == "acme:user-1"
    assert body.times == 1


def test_on_an_optional_path_a_body_that_carries_nothing_is_a_strangers() -> None:
    decision = two().decide(sends({"x": 1}), optional=True)
    assert (decision.allowed, decision.identity.verified, decision.app_id) == (True, False, None)


def test_a_body_that_only_async_can_read_is_our_own_trouble() -> None:
    assert code(two().decide(sends(Body()))) == "internal_error"


# --- whom an anonymous request says it is


def lobby(**settings: Any) -> Any:
    return gate_of(
        acme(**{"allow_anonymous": True, "claimed_user_locations": [Query("userId"), JsonBody("userId")], **settings})
    )


@pytest.mark.parametrize("settings", [{}, {"allow_anonymous": False, "mode": Mode.LOG_ONLY}])
def test_what_is_claimed_is_told_apart_from_what_is_known(settings: dict[str, Any]) -> None:
    decision = lobby(**settings).decide(sends({"userId": "ada"}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, "ada")
    assert (decision.identity.user_id, decision.identity.verified) == (None, False)
    assert lobby().decide(sends({"userId": "b"}, ("X-App-Id", "acme"), query="userId=a")).claimed_user_id == "a"


@pytest.mark.parametrize("said", ["", None, 7, ["a"], "x" * 257, "a\nb", "\ud800"])
def test_what_is_no_users_id_is_not_claimed(said: Any) -> None:
    decision = lobby().decide(sends({"userId": said}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, None)


def test_nothing_is_claimed_beside_a_token_or_by_a_refused_request() -> None:
    bearer = ("Authorization", f"Bearer {token()}")
    assert lobby().decide(sends({}, ("X-App-Id", "acme"), bearer, query="userId=root")).claimed_user_id is None
    assert lobby().decide(sends({}, ("Authorization", "Bearer x"), query="userId=root")).claimed_user_id is None
    assert gate_of(acme()).decide(sends({"userId": "a"})).claimed_user_id is None


def test_a_place_that_fails_claims_nothing() -> None:
    class Failing:
        def read(self, request: Request) -> str | None:
            raise RuntimeError("own")

    decision = lobby(claimed_user_locations=[Failing()]).decide(sends({}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, None)


def test_whether_a_token_was_sent_counts_the_body_too() -> None:
    request = sends({"token": "x"})
    holders = TokenLocations([JsonBody("token")])
    assert not credentials_sent(holders, request, Refusal("unknown_app"))
    gate_of(acme(token_locations=[JsonBody("token")])).decide(request)
    assert credentials_sent(holders, request, Refusal("unknown_app"))
    assert not credentials_sent(holders, request, Refusal("missing_token")), "every place was read before"
    assert credentials_sent(holders, Request(), Refusal("invalid_token", "revoked"))

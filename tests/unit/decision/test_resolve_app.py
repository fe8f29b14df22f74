"""App and token in the body, and the claimed user ID of an anonymous request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.unit import BY_HEADER, ORIGIN, OTHER_KEY, acme, claims, gate_of, secret, token
from wicket import (
    App,
    Bearer,
    Cookie,
    Decision,
    JsonBody,
    Limits,
    Mode,
    Query,
    Refusal,
    Request,
    TokenIssuer,
    TokenLocation,
)
from wicket.config.token_locations import TokenLocations
from wicket.decision.extract_token import credentials_sent
from wicket.messages.request import Body, BytesBody

IN_BODY = (JsonBody("appId"),)
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
    """A gate context with two apps that the header or the body names."""
    common: dict[str, Any] = {"app_locations": (*BY_HEADER, *IN_BODY), "token_locations": TOKENS}
    first = acme(**{**common, **settings})
    return gate_of(
        first,
        App("lax", credentials=[secret(OTHER_KEY)], allow_anonymous=True, origins=["https://lax.example"], **common),
    )


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def test_json_body_app_ref_and_token_verified_with_single_read() -> None:
    body = Counted(json.dumps({"appId": "acme", "token": token()}).encode())
    request = sends(body)
    assert two().decide(request).require().identity == "acme:user-1"
    assert body.times == 1
    assert request.body is None, "it is read once"


def test_json_body_app_and_token_in_headers_body_not_read() -> None:
    body = Counted(b'{"appId": "lax"}')
    decision = two().decide(sends(body, ("X-App-Id", "acme"), ("Authorization", f"Bearer {token()}")))
    assert decision.require().identity == "acme:user-1"
    assert body.times == 0


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json"])
def test_json_body_other_content_type_body_not_read(kind: str) -> None:
    body = Counted(json.dumps({"appId": "acme", "token": token()}).encode())
    assert code(two().decide(sends(body, kind=kind))) == "unknown_app"
    assert body.times == 0


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", " application/json ;x"])
def test_json_body_content_type_case_and_parameters_ignored(kind: str) -> None:
    assert two().decide(sends({"appId": "acme", "token": token()}, kind=kind)).identity.verified


def test_json_body_location_types_only_own_content_type_read() -> None:
    places = (JsonBody("appId", types=("text/plain",)), Query("app"))
    app = acme(app_locations=places, token_locations=[JsonBody("token")], origins=[])
    gate = gate_of(app, App("lax", app_locations=places, allow_anonymous=True))
    body = {"appId": "lax", "token": token()}
    assert gate.decide(sends(body, query="app=acme")).identity.identity == "acme:user-1"
    assert gate.decide(sends(body, kind="text/plain")).app_id == "lax"
    assert code(gate.decide(sends(body))) == "unknown_app"


def test_app_ref_body_differs_from_header_invalid_request() -> None:
    decision = two().decide(sends({"appId": "lax", "token": token()}, ("X-App-Id", "acme")))
    assert (code(decision), decision.app_id) == ("invalid_request", None)
    same = sends({"appId": "acme", "token": token()}, ("X-App-Id", "acme"))
    assert two().decide(same).identity.verified
    assert code(two().decide(sends({"appId": "who", "token": token()}, ("X-App-Id", "acme")))) == "invalid_request"


def test_app_ref_conflict_log_only_app_refused() -> None:
    decision = two(mode=Mode.LOG_ONLY).decide(sends({"appId": "lax", "token": token()}, ("X-App-Id", "acme")))
    assert not decision.allowed


def test_only_app_other_app_ref_in_body_unknown_app() -> None:
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
def test_app_ref_in_body_duplicate_key_or_non_string_invalid_request(text: str) -> None:
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
def test_token_in_body_duplicate_wrong_type_or_absent_refused(text: str, refused: str) -> None:
    assert code(two().decide(sends(text.encode(), ("X-App-Id", "acme")))) == refused


def test_token_in_body_two_different_tokens_invalid_request() -> None:
    gate = gate_of(acme(token_locations=[JsonBody("token"), JsonBody("old")]))
    headers = ("X-App-Id", "acme")
    assert code(gate.decide(sends({"token": token(), "old": "a.b.c"}, headers))) == "invalid_request"
    assert gate.decide(sends({"token": token(), "old": token()}, headers)).identity.verified


def test_token_locations_cookie_used_before_body() -> None:
    cookie = ("Cookie", "session=" + token(claims(sub="cookie")))
    body = {"token": token(claims(sub="body"))}
    headers = [("X-App-Id", "acme"), ("Origin", ORIGIN)]
    assert two().decide(sends(body, *headers, cookie)).identity.user_id == "cookie"
    assert two().decide(sends(body, *headers)).identity.user_id == "body"


def test_token_in_body_over_max_body_bytes_missing_token() -> None:
    request = sends({"token": token()}, ("X-App-Id", "acme"))
    gate = gate_of(acme(token_locations=TOKENS), limits=Limits(max_body_bytes=20))
    assert code(gate.decide(request)) == "missing_token"


def test_token_issuer_token_in_body_resolves_app() -> None:
    app = acme(app_locations=[TokenIssuer()], token_locations=TOKENS, issuer="https://id.acme.com")
    gate = gate_of(app, App("other", app_locations=[TokenIssuer()], issuer="https://id.other"))
    body = Counted(json.dumps({"token": token(claims(iss="https://id.acme.com"))}).encode())
    assert gate.decide(sends(body)).identity.identity == "acme:user-1"
    assert body.times == 1


def test_optional_path_body_without_app_or_token_anonymous() -> None:
    decision = two().decide(sends({"x": 1}), optional=True)
    assert (decision.allowed, decision.identity.verified, decision.app_id) == (True, False, None)


def test_decide_async_only_body_internal_error() -> None:
    assert code(two().decide(sends(Body()))) == "internal_error"


# --- the claimed user ID of an anonymous request


def lobby(**settings: Any) -> Any:
    return gate_of(
        acme(**{"allow_anonymous": True, "claimed_user_locations": [Query("userId"), JsonBody("userId")], **settings})
    )


@pytest.mark.parametrize("settings", [{}, {"allow_anonymous": False, "mode": Mode.LOG_ONLY}])
def test_claimed_user_id_without_token_returned_unverified(settings: dict[str, Any]) -> None:
    decision = lobby(**settings).decide(sends({"userId": "ada"}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, "ada")
    assert (decision.identity.user_id, decision.identity.verified) == (None, False)
    assert lobby().decide(sends({"userId": "b"}, ("X-App-Id", "acme"), query="userId=a")).claimed_user_id == "a"


@pytest.mark.parametrize("said", ["", None, 7, ["a"], "x" * 257, "a\nb", "\ud800"])
def test_claimed_user_id_invalid_value_none(said: Any) -> None:
    decision = lobby().decide(sends({"userId": said}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, None)


def test_claimed_user_id_verified_or_refused_request_none() -> None:
    bearer = ("Authorization", f"Bearer {token()}")
    assert lobby().decide(sends({}, ("X-App-Id", "acme"), bearer, query="userId=root")).claimed_user_id is None
    assert lobby().decide(sends({}, ("Authorization", "Bearer x"), query="userId=root")).claimed_user_id is None
    assert gate_of(acme()).decide(sends({"userId": "a"})).claimed_user_id is None


def test_claimed_user_id_location_raises_none() -> None:
    class Failing(TokenLocation):
        def read(self, request: Request) -> str | None:
            raise RuntimeError("own")

    decision = lobby(claimed_user_locations=[Failing()]).decide(sends({}, ("X-App-Id", "acme")))
    assert (decision.allowed, decision.claimed_user_id) == (True, None)


def test_credentials_sent_token_in_read_body_true() -> None:
    request = sends({"token": "x"})
    holders = TokenLocations([JsonBody("token")])
    assert not credentials_sent(holders, request, Refusal("unknown_app"))
    gate_of(acme(token_locations=[JsonBody("token")])).decide(request)
    assert credentials_sent(holders, request, Refusal("unknown_app"))
    assert not credentials_sent(holders, request, Refusal("missing_token")), "every place was read before"
    assert credentials_sent(holders, Request(), Refusal("invalid_token", "revoked"))

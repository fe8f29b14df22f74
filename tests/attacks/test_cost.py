"""What a request without a credential may cost, and what is told of a body that was not read.

`python -m benchmarks.unauthenticated` measures it. Here the bounds are held where they are decided, without a clock.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import pytest

import wicket.asgi
import wicket.config.origins
import wicket.wsgi
from tests.support.unit import KEY, NOW, OTHER_KEY, claims, secret, token
from wicket import (
    App,
    Bearer,
    Cookie,
    Decision,
    Gate,
    Header,
    JsonBody,
    Limits,
    Mode,
    OriginPolicy,
    Query,
    Request,
    Subprotocol,
    TokenIssuer,
)
from wicket.reporting.events import DecisionEvent
from wicket.runtime.base64url import encode


def gate(**settings: Any) -> Gate:
    settings = {
        "app_locations": [Header("X-App-Id")],
        "token_locations": [Bearer()],
        "origins": ["https://a.example"],
        **settings,
    }
    limits = settings.pop("limits", Limits())
    on_event = settings.pop("on_event", None)
    apps = [
        App("acme", credentials=[secret(KEY)], **settings),
        App("other", credentials=[secret(OTHER_KEY)], **settings),
    ]
    return Gate(apps, clock=lambda: NOW, limits=limits, on_event=on_event)


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal is not None else None


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        (".".join(["a"] * 127), True),
        (".".join(["a"] * 128), False),
        ("x" * 249 + ".a.a", True),
        ("x" * 250 + ".a.a", False),
    ],
    ids=["127 labels", "128 labels", "253 characters", "254 characters"],
)
def test_origin_policy_host_above_dns_limit_blocked(host: str, admitted: bool) -> None:
    assert OriginPolicy(["*.a.a"]).allows(f"https://{host}") is admitted


def test_origin_policy_deep_host_lookups_bounded_by_pattern_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, made = OriginPolicy(["*.a.example", "*.b.example"]), []
    kind = wicket.config.origins._Origin

    def counted(*parts: str) -> Any:
        made.append(parts)
        return kind(*parts)

    monkeypatch.setattr("wicket.config.origins._Origin", counted)
    assert not policy.allows(f"https://{'x.' * 100}example")
    assert len(made) <= 3


def offering(protocols: str) -> dict[str, Any]:
    return {"websocket": True, "headers": [("sec-websocket-protocol", protocols)]}


@pytest.mark.parametrize(
    ("settings", "request_"),
    [
        ({"app_locations": [Query("app")]}, {"query": "&" * 500 + "app=acme"}),
        ({"app_locations": [Query("app")]}, {"query": "app=acme&x=" + "a" * 24_600}),
        ({"token_locations": [Cookie("session")]}, {"headers": [("cookie", "a=b; " * 512 + "session=1")]}),
        ({"token_locations": [Cookie("session")]}, {"headers": [("cookie", "session=" + "a" * 24_600)]}),
        ({"token_locations": [Subprotocol()]}, offering("bearer" + ",a" * 64)),
        ({"token_locations": [Subprotocol()]}, offering("bearer," + "a" * 33_000)),
        ({"token_locations": [Subprotocol()]}, offering("bearer," + " " * 300 + "a")),
        ({}, {"headers": [("authorization", "Bearer " + " " * 300 + "a.b.c")]}),
        ({}, {"headers": [("authorization", " " * 300 + "Bearer a.b.c")]}),
        ({}, {"headers": [(f"x-{number}", "a") for number in range(256)]}),
    ],
    ids=["parameters", "query", "cookies", "cookie", "protocols", "protocol", "blanks", "bearer", "padding", "headers"],
)  # fmt: skip
def test_decide_oversized_request_part_invalid_request(settings: dict[str, Any], request_: dict[str, Any]) -> None:
    headers = [("x-app-id", "acme"), *request_.get("headers", [])]
    assert code(gate(**settings).decide(Request(**{**request_, "headers": headers}))) == "invalid_request"


def test_decide_header_flood_invalid_request_headers_unread() -> None:
    wire = [(b"x-app-id", b"acme"), *[(b"x-%d" % number, b"") for number in range(300)]]
    request = Request.from_asgi({"type": "http", "method": "GET", "path": "/", "headers": wire})
    assert code(gate().decide(request)) == "invalid_request"
    assert code(gate().check_origin(request)) == "invalid_request"
    assert request.header("x-app-id") is None


def test_query_escapes_above_limit_returned_undecoded() -> None:
    assert Query("a").read(Request(query="a=" + "%61" * 512)) == "a" * 512
    assert Query("a").read(Request(query="a=" + "%61" * 513)) == "%61" * 513


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"HS256","kid":"' + b"k" * 7000 + b'"}',
        b'{"alg":"HS256","a":[' + b"0," * 256 + b"0]}",
        b'{"alg":"HS256","a":[' + b"[]," * 63 + b"[]]}",
    ],
    ids=["long", "members", "lists"],
)
def test_parse_token_oversized_header_malformed(header: bytes) -> None:
    text = f"{encode(header)}.{encode(b'{}')}.AAAA"
    refusal = gate().verify(text, app="acme").refusal
    assert refusal is not None
    assert (refusal.reason, refusal.detail) == ("malformed", "The token's header has more members than a header needs.")


def test_token_issuer_oversized_or_invalid_payload_malformed() -> None:
    asked = gate(app_locations=[TokenIssuer()], issuer=None, origins=[])
    for payload in (b'{"a":[' + b"0," * 1000 + b"0]}", b'{"iss":"a","iss":"b"}', b"[]"):
        text = ".".join(map(encode, (b'{"alg":"HS256"}', payload, b"abc")))
        refusal = asked.decide(Request(headers=[("authorization", f"Bearer {text}")])).refusal
        assert refusal is not None
        assert refusal.reason == "malformed"


# --- bodies that were not read


BODY: dict[str, Any] = {"app_locations": [JsonBody("appId")], "token_locations": [JsonBody("token")], "origins": []}


def by_asgi(asked: Gate, messages: list[Any], headers: list[tuple[str, str]]) -> tuple[int, dict[str, Any]]:
    sent: list[Any] = []
    waiting = iter(messages)

    async def receive() -> Any:
        message = next(waiting, None)
        if message is None:
            await asyncio.sleep(3600)
        return message() if callable(message) else message

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"verified": scope["user"].verified}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    pairs = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": pairs}
    asyncio.run(wicket.asgi.WicketMiddleware(application, asked)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def whole(body: bytes) -> list[Any]:
    return [{"type": "http.request", "body": body, "more_body": False}]


JSON = ("content-type", "application/json")
UNREAD: dict[str, tuple[list[Any], list[tuple[str, str]], str]] = {
    "declared too large": (
        whole(b"{}"), [JSON, ("content-length", "70000")], "it has 70,000 bytes; limits.max_body_bytes allows 65,536",
    ),
    "too large": (
        whole(b" " * 70_000), [JSON], "it has more than 65,536 bytes, which is what limits.max_body_bytes allows",
    ),
    "another type": (
        whole(b"{}"),
        [("content-type", "text/html\x07"), ("content-length", "2")],
        "its media type is text/html\\x07; the configured locations are in application/json",
    ),
    "another type of unknown length": (
        whole(b"{}"),
        [("content-type", "text/html")],
        "its media type is text/html; the configured locations are in application/json",
    ),
    "no type": (
        whole(b"{}"), [("content-length", "2")],
        "it has no media type; the configured locations are in application/json",
    ),
    "broken": (whole(b'{"appId": '), [JSON], "it is not a JSON object in UTF-8"),
    "late": ([], [JSON], "it did not arrive within 0.01 seconds (limits.body_timeout)"),
    "gone": ([{"type": "http.disconnect"}], [JSON], "the client disconnected before it was complete"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREAD)
def test_asgi_unread_body_refusal_event_and_log_state_cause(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    messages, headers, why = UNREAD[kind]
    events: list[Any] = []
    caplog.set_level("INFO", logger="wicket")
    asked = gate(**BODY, limits=Limits(body_timeout=0.01 if kind == "late" else 60), on_event=events.append)
    status, told = by_asgi(asked, messages, headers)
    sentence = f"The body was not read: {why}."
    assert (status, told["error"]) == (401, "unknown_app")
    assert told["detail"] == f"This request names no app outside its body. {sentence}"
    assert [event.body_unread for event in events if isinstance(event, DecisionEvent)] == [sentence]
    assert sentence in caplog.text


@pytest.mark.parametrize("mode", Mode)
def test_asgi_unread_body_without_token_reported_in_both_modes(mode: Mode) -> None:
    events: list[Any] = []
    asked = gate(**{**BODY, "app_locations": [Header("X-App-Id")]}, mode=mode, on_event=events.append)
    status, told = by_asgi(asked, whole(b"["), [JSON, ("x-app-id", "acme")])
    sentence = "The body was not read: it is not a JSON object in UTF-8."
    if mode is Mode.ENFORCE:
        assert (status, told["error"]) == (401, "missing_token")
        assert told["detail"] == f"This request requires a token, but it has none outside its body. {sentence}"
    else:
        assert (status, told) == (200, {"verified": False})
    assert [(event.code, event.body_unread) for event in events] == [("missing_token", sentence)]


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"CONTENT_LENGTH": "70000"}, "it has 70,000 bytes; limits.max_body_bytes allows 65,536"),
        ({"CONTENT_LENGTH": "9"}, "the client disconnected before it was complete"),
        (
            {"HTTP_TRANSFER_ENCODING": "chunked"},
            "it has no Content-Length, and the server does not mark its end (wsgi.input_terminated)",
        ),
    ],
)
def test_wsgi_unread_body_detail_states_cause(variables: dict[str, str], why: str) -> None:
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(b"{}"),
        **variables,
    }  # fmt: skip
    body = b"".join(wicket.wsgi.WicketMiddleware(lambda *_: [], gate(**BODY))(environ, lambda *_: lambda _: None))
    assert json.loads(body)["detail"].endswith(f"The body was not read: {why}.")


@pytest.mark.parametrize("headers", [[], [JSON], [("content-length", "0")]])
def test_unknown_app_request_without_body_no_unread_note(headers: list[tuple[str, str]]) -> None:
    plain = "This request names no app."
    assert by_asgi(gate(**BODY), whole(b""), headers)[1]["detail"] == plain
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO()}
    environ |= {name.upper().replace("-", "_"): value for name, value in headers}
    body = b"".join(wicket.wsgi.WicketMiddleware(lambda *_: [], gate(**BODY))(environ, lambda *_: lambda _: None))
    assert json.loads(body)["detail"] == plain


@pytest.mark.parametrize("anonymous", [False, True])
def test_body_timeout_blocked_event_loop_body_still_read(anonymous: bool) -> None:
    body = json.dumps({"appId": "acme", "token": token(claims())}).encode()

    def late() -> Any:
        time.sleep(0.05)  # blocking code of the application holds the loop for longer than the body's deadline
        return whole(body)[0]

    asked = gate(**BODY, allow_anonymous=anonymous, limits=Limits(body_timeout=0.01))
    assert by_asgi(asked, [late], [JSON]) == (200, {"verified": True})

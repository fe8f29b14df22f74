"""The ASGI middleware, and connections that outlive their token. The scenario table tests requests in general."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest

from tests.support.unit import NOW, ORIGIN, Clock, acme, claims, gate_of, token
from wicket import JsonBody, Mode, Refusal, Refused, Rules, Subprotocol
from wicket.asgi import Message, WicketMiddleware
from wicket.http import monitor
from wicket.http.long_lived import ConnectionEnded


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "_PERIOD", 0.01)


def test_asgi_websocket_with_expired_token_is_closed_with_4401() -> None:
    async def main() -> None:
        clock = Clock()
        clock.now = NOW
        sent: list[Message] = []
        received: list[Message] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept"})
            clock.now = NOW + 60
            received.append(await receive())

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError("no message")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"x-app-id", b"acme"), (b"authorization", f"Bearer {token(claims(exp=NOW + 60))}".encode())]
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": headers}
        await WicketMiddleware(app, gate_of(acme(rules=Rules(leeway=0)), clock=clock), close_on_expiry=True)(
            scope, never, send
        )
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
        assert received == [{"type": "websocket.disconnect", "code": 4401, "reason": ""}]

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("chosen", "answered"), [({}, "bearer"), ({"subprotocol": None}, "bearer"), ({"subprotocol": "chat"}, "chat")]
)
def test_asgi_subprotocol_token_is_removed_and_protocol_answered(chosen: dict[str, Any], answered: str) -> None:
    seen: list[Any] = []
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["subprotocols"])
        await send({"type": "websocket.accept", **chosen})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    offered = ["chat", "bearer", token()]
    headers = [(b"x-app-id", b"acme"), (b"sec-websocket-protocol", ", ".join(offered).encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers, "subprotocols": offered}
    gate = gate_of(acme(token_locations=[Subprotocol()]))
    asyncio.run(WicketMiddleware(app, gate)(scope, receive, send))
    assert seen == [["chat"]]
    assert sent == [{"type": "websocket.accept", "subprotocol": answered}]


@pytest.mark.parametrize(
    ("app", "sent_as"),
    [
        ("unknown", ["bearer", "T"]),
        ("acme", ["bearer", "T"] * 2),
        ("acme", ["bearer", "bearer", "T"]),
        ("acme", ["bearer"]),
    ],
)
def test_asgi_log_only_subprotocol_token_is_removed(app: str, sent_as: list[str]) -> None:
    seen: list[Any] = []
    sent: list[Message] = []

    async def site(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["subprotocols"], scope["user"].is_authenticated))
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    offered = ["chat", *(token() if value == "T" else value for value in sent_as)]
    headers = [(b"x-app-id", app.encode()), (b"sec-websocket-protocol", ", ".join(offered).encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers, "subprotocols": offered}
    gate = gate_of(acme(token_locations=[Subprotocol()]), mode=Mode.LOG_ONLY)
    asyncio.run(WicketMiddleware(site, gate)(scope, receive, send))
    assert seen == [(["chat"], False)]
    assert sent == [{"type": "websocket.accept", "subprotocol": "bearer"}]


def test_asgi_json_body_token_is_found_and_body_replayed() -> None:
    messages: list[Message] = [{"type": "http.request", "body": json.dumps({"token": token()}).encode()}]
    pending = iter(messages)
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["user"].identity, await receive()))

    async def receive() -> Message:
        return next(pending)

    async def send(message: Message) -> None:
        raise AssertionError(f"refused: {message}")

    headers = [(b"x-app-id", b"acme"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(WicketMiddleware(app, gate_of(acme(token_locations=[JsonBody("token")])))(scope, receive, send))
    assert seen == [("acme:user-1", messages[0])]


@pytest.mark.parametrize("denial", [True, False])
def test_asgi_refused_handshake_sends_denial_response_or_close(denial: bool) -> None:
    sent: list[Message] = []

    async def never(*_: Any) -> Any:
        raise AssertionError("not reached")

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "websocket", "path": "/", "headers": [(b"x-app-id", b"acme")]}
    scope["extensions"] = {"websocket.http.response": {}} if denial else None
    asyncio.run(WicketMiddleware(never, gate_of(acme()))(scope, never, send))
    if denial:
        assert [message["type"] for message in sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert sent[0]["status"] == 401
    else:
        assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_asgi_lifespan_scope_passes_through() -> None:
    seen: list[Any] = []

    async def app(*args: Any) -> None:
        seen.append(args)

    async def never_called(*_: Any) -> Any:
        raise AssertionError("not called")

    scope = {"type": "lifespan"}
    asyncio.run(WicketMiddleware(app, gate_of(acme()))(scope, never_called, never_called))
    assert seen == [(scope, never_called, never_called)]


def served(app: Any, *, close_on_expiry: bool, now: list[float], extra_headers: Any = ()) -> list[Message]:
    """Return the messages of one GET through the middleware, with a client that never disconnects."""
    sent: list[Message] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("no message")

    async def send(message: Message) -> None:
        sent.append(message)

    gate = gate_of(acme(rules=Rules(leeway=0)), clock=lambda: now[0])
    headers = [
        (b"x-app-id", b"acme"),
        (b"authorization", f"Bearer {token(claims(exp=NOW + 60))}".encode()),
        *extra_headers,
    ]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    middleware = WicketMiddleware(app, gate, close_on_expiry=close_on_expiry)
    asyncio.run(asyncio.wait_for(middleware(scope, never, send), 20))
    return sent


def test_asgi_send_after_expired_stream_ends_quietly() -> None:
    now: list[float] = [NOW]
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        now[0] = NOW + 60
        assert (await asyncio.wait_for(_ended(send), 10)) == "ended"
        ended.append("ended")
        await send({"type": "http.response.body", "body": b"late", "more_body": True})

    async def _ended(send: Any) -> str:
        while True:
            try:
                await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            except ConnectionEnded:
                return "ended"
            await asyncio.sleep(0.005)

    sent = served(app, close_on_expiry=True, now=now)
    assert ended == ["ended"]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("other", [False, True])
def test_asgi_expired_stream_in_task_group_raises_only_other_errors(other: bool) -> None:
    now: list[float] = [NOW]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        now[0] = NOW + 60
        assert (await receive())["type"] == "http.disconnect"

        async def fails() -> None:
            if other:
                raise ValueError("application error")

        async with asyncio.TaskGroup() as group:
            group.create_task(send({"type": "http.response.body", "body": b"late", "more_body": True}))
            group.create_task(fails())

    if other:
        with pytest.raises(ExceptionGroup) as raised:
            served(app, close_on_expiry=True, now=now)
        assert raised.group_contains(ValueError)
    else:
        assert served(app, close_on_expiry=True, now=now)[-1]["more_body"] is False


def test_asgi_connection_ended_of_other_middleware_propagates() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionEnded("of an inner middleware")

    with pytest.raises(ConnectionEnded, match="inner"):
        served(app, close_on_expiry=False, now=[NOW])


def test_asgi_send_is_a_coroutine_function() -> None:
    # asgiref's adapter from WSGI to ASGI warns once per request if `send` is not a coroutine function.
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(inspect.iscoroutinefunction(send))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    served(app, close_on_expiry=False, now=[NOW])
    assert seen == [True]


HINT = {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]}


def test_asgi_response_after_early_hint_has_cors_headers() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HINT)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent = served(app, close_on_expiry=False, now=[NOW], extra_headers=[(b"origin", ORIGIN.encode())])
    assert sent[0] == HINT
    assert dict(sent[1]["headers"])[b"access-control-allow-origin"] == ORIGIN.encode()


def test_asgi_refused_after_early_hint_sends_refusal_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HINT)
        raise Refused(Refusal("insufficient_scope"))

    sent = served(app, close_on_expiry=False, now=[NOW])
    assert [message.get("status") for message in sent] == [None, 403, None]


def test_asgi_string_header_names_are_passed_unchanged() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [("content-type", "text/plain")]})
        await send({"type": "http.response.body", "body": b""})

    sent = served(app, close_on_expiry=False, now=[NOW])
    assert ("content-type", "text/plain") in sent[0]["headers"]

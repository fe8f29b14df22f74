"""Bodies read ahead: five bytes say how the body is sent, the rest is the body. The application must get it whole.

1   under which media type           2   the size of the pieces in which it comes
3   what Content-Length says         4   after how many pieces the client hangs up (ASGI; 0: never)
5   how the application reads it (WSGI), and whether the server marks its end itself
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Final

import wicket.asgi
import wicket.wsgi
from tests.fuzz.models import lenient_value, sound, tree
from tests.properties.tokens import NOW, SECRET, app
from wicket import BodyField, Decision, Gate, JsonBody, Limits, Mode, Refused, Request, Secret
from wicket.messages.json_body import parse_body

WORDS: Final = (
    *('"appId":"acme"', '"appId":"other"', '"auth":{', '"token":"', '"appId":null', '"appId":1', '"auth":{"token":'),
    *('{"appId":"acme","auth":{"token":"a.b.c"}}', "}}", "\\ud800", "NaN", "1e999", "[[[[", "9" * 310, "\ufeff"),
)  # fmt: skip

LIMIT: Final = 512
_MEDIA: Final = (
    "application/json",
    "application/json; charset=utf-8",
    "TEXT/PLAIN",
    "text/html",
    "",
    "application/json,",
)
_TYPES: Final = ("application/json", "text/plain")
_TOKEN: Final = JsonBody("auth.token", types=_TYPES)
_NAME: Final = BodyField("appId", types=_TYPES)
_GATE: Final = Gate(
    [
        app("acme", token_locations=[_TOKEN], origins=[]),
        app(
            "other",
            token_locations=[_TOKEN],
            origins=[],
            credentials=[Secret(bytes(reversed(SECRET)))],
            allow_anonymous=True,
        ),
    ],
    app_locations=[_NAME],
    mode=Mode.LOG_ONLY,  # so that every request reaches the application
    limits=Limits(max_body_bytes=LIMIT),
    clock=lambda: NOW,
)
_LOOP: Final = asyncio.new_event_loop()


def check(data: bytes) -> None:
    """One input."""
    control, body = data[:5].ljust(5, b"\0"), data[5:]
    media = _MEDIA[control[0] % len(_MEDIA)]
    size = control[1] % 64 + 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    length = _declared(control[2], len(body))
    _document(body)
    by_asgi = _asgi(pieces, media, length, control[3] % 8)
    by_wsgi = _wsgi(body, size, media, length, control[4])
    if control[3] % 8 == 0 and length == str(len(body)):
        assert _said(by_asgi) == _said(by_wsgi), "the middlewares disagree"
        if len(body) <= LIMIT and media.partition(";")[0].lower() in _TYPES:
            _as_the_body_says(body, by_asgi)


def _declared(kind: int, size: int) -> str | None:
    odd = ("-1", "\u00b2", "1e3", "9" * 30, f"{size:030}")
    return (str(size), None, "0", str(max(size - 1, 0)), str(size + 5), *odd)[kind % 10]


def _said(decision: Decision) -> tuple[Any, ...]:
    refusal = decision.refusal
    told = (refusal.code, refusal.reason) if refusal is not None else None
    return decision.app_id, decision.identity.verified, decision.identity.user_id, told


def _as_the_body_says(body: bytes, decision: Decision) -> None:
    repeated, name = lenient_value(body, ["appId"])
    code = decision.refusal.code if decision.refusal is not None else None
    if repeated or not isinstance(name, str | None):
        assert code == "invalid_request"
    elif name not in ("acme", "other"):
        assert code == "unknown_app"
    else:
        assert decision.app_id == name
        again, token = lenient_value(body, ["auth", "token"])
        assert (code == "invalid_request") is again
        assert decision.identity.verified <= (isinstance(token, str) and token.count(".") == 2)


def _document(body: bytes) -> None:
    """The value found in a body is the one that occurs there once."""
    document = parse_body(body)
    try:
        plain = type(tree(body)).__name__ == "_Pairs"
    except (ValueError, RecursionError):
        plain = False
    assert (document is not None) is plain
    request = Request("POST", headers=[("Content-Type", "application/json")])
    request.document = document
    for place, path in ((_NAME, ["appId"]), (_TOKEN, ["auth", "token"])):
        repeated, value = lenient_value(body, path)
        code: str | None = None
        read: str | None = None
        try:
            read = place.read(request)
        except Refused as refused:
            code = refused.refusal.code
        assert code in ("invalid_request", "invalid_token", None)
        assert (code is not None) is (repeated or not isinstance(value, str | None))
        assert code is not None or read == (value or None)


def _asgi(pieces: list[bytes], media: str, length: str | None, hang_up: int) -> Decision:
    sent: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": index + 1 < len(pieces)}
        for index, piece in enumerate(pieces)
    ]
    if hang_up:
        sent = [*sent[:hang_up], {"type": "http.disconnect"}]
    left, seen = list(sent), []
    got: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"][_GATE.name])
        while len(got) < len(sent):
            got.append(await receive())

    headers = [(b"content-type", media.encode())]
    if length is not None:
        headers.append((b"content-length", length.encode("latin-1")))
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    _LOOP.run_until_complete(wicket.asgi.WicketMiddleware(application, _GATE)(scope, receive, send))
    assert got == sent, "the application got something else than was sent"
    return sound(seen[0])


class _Stream:
    """A server's input: it gives no more at once than a piece, and says how much was asked of it beyond its end."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body = io.BytesIO(body)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._body.read(self._size if size < 0 else min(size, self._size))


_READERS: Final[tuple[Callable[[Any], bytes], ...]] = (
    lambda stream: bytes(stream.read()),
    lambda stream: b"".join(iter(lambda: stream.read(7), b"")),
    lambda stream: b"".join(iter(stream.readline, b"")),
    b"".join,
    lambda stream: b"".join(stream.readlines()),
    lambda stream: bytes(stream.read(3)) + bytes(stream.read()),
)


def _wsgi(body: bytes, size: int, media: str, length: str | None, control: int) -> Decision:
    stream, seen = _Stream(body, size), []
    terminated = control >= 128
    whole = len(body) if terminated else 0
    expected = body[: int(length)] if length is not None and length.isascii() and length.isdigit() else body[:whole]

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ[f"{_GATE.name}.decision"])
        given = environ["wsgi.input"]
        if given is stream:
            return []
        assert _READERS[control % len(_READERS)](given) == expected, "the application got something else than was sent"
        assert given.read() == b""
        return []

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "CONTENT_TYPE": media,
        "SERVER_NAME": "wicket.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "https",
        "wsgi.input": stream,
        "wsgi.input_terminated": terminated,
    }
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    list(wicket.wsgi.WicketMiddleware(application, _GATE)(environ, lambda *_: lambda _: None))
    return sound(seen[0])

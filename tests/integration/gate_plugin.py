"""A pytest plugin that wraps every application of a third-party suite in a gate.

    WICKET_STAND=headers WICKET_COUNTS=counts.json python -m pytest -p gate_plugin

`WICKET_STAND` is one of `STANDS`; `WICKET_COUNTS` is a file that gets what the gate decided, since a suite that is not
behind the gate would pass just as well. It imports of Starlette and Flask whatever is installed.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from wicket import Bearer, Cookie, FormBody, Gate, Header, JsonBody, Mode, Query, Secret, mint, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.reporting.events import DecisionEvent, Event
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

_HEADER: Final = "X-Foreign-Suite-Token"
_TYPES: Final = (*("application/json", "text/plain", "application/octet-stream", "multipart/form-data"),)


@dataclass(frozen=True, slots=True)
class Stand:
    """The gate for the suite: the settings of its app and of the middleware."""

    app: dict[str, Any]
    door: dict[str, Any]
    known: bool = False
    """Whether every request carries a token, which neither the application nor the test sees."""


STANDS: Final = {
    # Nothing but the decision: no request has a token, and all of them pass.
    "headers": Stand({"mode": Mode.LOG_ONLY}, {"cors": False}),
    # All that log-only may do: bodies are read ahead and replayed, pages are told what they may read.
    "bodies": Stand(
        {
            "mode": Mode.LOG_ONLY,
            "token_locations": [
                *(Bearer(), Query("jwt"), Cookie("session_token")),
                *(JsonBody("auth.token", types=_TYPES), FormBody("auth.token")),
            ],
            "origins": ["https://suite.example"],
        },
        {"cors": True, "close_on_expiry": True},
    ),
    # Enforced, with a known user, whose sockets and streams are looked after.
    "known": Stand({"token_locations": [Header(_HEADER)]}, {"cors": False, "close_on_expiry": True}, known=True),
}

_stand: Final = STANDS[os.environ["WICKET_STAND"]]
_counts: Final = Counter[str]()


def _count(event: Event) -> None:
    if isinstance(event, DecisionEvent):
        _counts[event.code or ("verified" if event.verified else "anonymous")] += 1


_app = profiles.generic("suite", credentials=[Secret(os.urandom(32))], **_stand.app)
_gate: Final = Gate([_app], on_event=_count)
_token: Final = mint(_app, "ada", ttl=86_400)


# --- ASGI


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _ASGI:
    """The gate before an application. Under trio connections are not looked after, as that needs asyncio."""

    def __init__(self, app: Any) -> None:
        inner = _hiding(app) if _stand.known else app
        self._gated = ASGIMiddleware(inner, _gate, **_stand.door)
        self._unwatched = ASGIMiddleware(inner, _gate, **{**_stand.door, "close_on_expiry": False})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        gated = self._gated if _on_asyncio() else self._unwatched
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("headers", [])  # some tests build a scope without keys that ASGI requires
        if _stand.known and scope["type"] in ("http", "websocket"):
            scope["headers"] = [*scope["headers"], (_HEADER.lower().encode(), _token.encode())]
        await gated(scope, receive, send)


def _hiding(app: Any) -> Any:
    async def hiding(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != _HEADER.lower().encode()]
        await app(scope, receive, send)

    return hiding


def _stand_before_starlette() -> None:
    from starlette import testclient
    from starlette.applications import Starlette

    build = Starlette.build_middleware_stack
    connect: Callable[..., None] = testclient._TestClientTransport.__init__

    def gated_stack(self: Starlette) -> Any:
        return _ASGI(build(self))

    @functools.wraps(connect)
    def gated_transport(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        connect(self, app if isinstance(app, Starlette) else _ASGI(app), *args, **kwargs)

    Starlette.build_middleware_stack = gated_stack  # type: ignore[method-assign]
    testclient._TestClientTransport.__init__ = gated_transport  # type: ignore[method-assign]


# --- WSGI


def _stand_before_flask() -> None:
    from flask import Flask

    plain = Flask.wsgi_app
    doors: weakref.WeakKeyDictionary[Flask, WSGIMiddleware] = weakref.WeakKeyDictionary()

    def gated(self: Flask, environ: Any, start_response: Any) -> Any:
        if self not in doors:
            doors[self] = WSGIMiddleware(_inner(weakref.ref(self)), _gate, **_stand.door)
        if _stand.known:
            environ[_environ_name] = _token
        return doors[self](environ, start_response)

    def _inner(held: weakref.ref[Flask]) -> Any:
        def inner(environ: Any, start_response: Any) -> Any:
            environ.pop(_environ_name, None)
            app = held()
            assert app is not None
            return plain(app, environ, start_response)

        return inner

    Flask.wsgi_app = gated  # type: ignore[method-assign]


_environ_name: Final = f"HTTP_{_HEADER.upper().replace('-', '_')}"

for _stand_before in (_stand_before_starlette, _stand_before_flask):
    try:
        _stand_before()
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "flask"):
            raise


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Tell what was decided."""
    Path(os.environ["WICKET_COUNTS"]).write_text(json.dumps(_counts))

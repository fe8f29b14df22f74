"""The settings of a middleware: one definition for ASGI, WSGI and Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wicket.asgi
import wicket.contrib.flask
import wicket.wsgi
from tests.support.unit import acme, gate_of, problems_of
from wicket.http.settings import MiddlewareSettings


async def asgi_app(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    return []


BUILDERS: dict[str, Callable[..., Any]] = {
    "asgi": lambda **settings: wicket.asgi.WicketMiddleware(asgi_app, gate_of(acme()), **settings),
    "wsgi": lambda **settings: wicket.wsgi.WicketMiddleware(wsgi_app, gate_of(acme()), **settings),
    "flask": lambda **settings: wicket.contrib.flask.Wicket(gate_of(acme()), **settings),
}


def test_middleware_settings_options_make_equal_settings() -> None:
    settings = MiddlewareSettings(only=iter(["/a"]), exempt=("/a/b",), cors=False, preflights="pass")
    assert settings.only == ("/a",)
    assert settings.options() == MiddlewareSettings(**settings.options()).options()


@pytest.mark.parametrize("protocol", BUILDERS)
def test_middleware_unknown_setting_type_error(protocol: str) -> None:
    with pytest.raises(TypeError, match="exempted"):
        BUILDERS[protocol](exempted=["/x"])


@pytest.mark.parametrize("protocol", BUILDERS)
def test_middleware_several_invalid_settings_one_error(protocol: str) -> None:
    found = problems_of(lambda: BUILDERS[protocol](only=["x"], cors=1, root_path="api"))
    assert sorted(found) == ["cors", "only[0]", "root_path"]

"""Clients for the table of scenarios: the test client of each framework, around the table's application in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from types import ModuleType
from typing import Any, Final

from fastapi.testclient import TestClient as FastAPIClient
from starlette.testclient import TestClient
from werkzeug.test import Client

from tests.scenarios import asgi_sites, wsgi_sites
from tests.scenarios.checks import Answered
from tests.scenarios.model import Ask
from tests.scenarios.sites import FORGED, flask_site, starlette_site
from wicket import Gate

Door = Callable[[Ask], Answered]
"""Sends one request of the table."""

Opener = Callable[[Gate], Any]
"""Returns a context manager whose value is a `Door`."""


def with_forgeries(asked: Ask) -> list[tuple[str, str]]:
    """The headers of a request, and headers that claim another user."""
    forged = ("Remote-User", "Remote_User", "X-Remote-User", "X-Forwarded-User", "Wicket-Identity")
    return [*asked.headers, *((name, FORGED) for name in forged)]


def target_of(asked: Ask) -> str:
    return f"{asked.path}?{asked.query}" if asked.query else asked.path


def _joined(asked: Ask) -> dict[str, str]:
    """The headers for a client that sends each name once: repeated values are joined, as WSGI servers join them."""
    joined: dict[str, str] = {}
    for name, value in with_forgeries(asked):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _answered(status: int, headers: Any, body: bytes) -> Answered:
    return Answered(status, {name.lower(): value for name, value in headers.items()}, body)


def _httpx_door(client: Any) -> Door:
    def ask(asked: Ask) -> Answered:
        answer = client.request(asked.method, target_of(asked), headers=with_forgeries(asked), content=asked.body)
        return _answered(answer.status_code, answer.headers, answer.content)

    return ask


def _werkzeug_door(app: Any) -> Door:
    client = Client(app, use_cookies=False)

    def ask(asked: Ask) -> Answered:
        answer = client.open(
            asked.path, method=asked.method, query_string=asked.query, headers=with_forgeries(asked), data=asked.body
        )
        return _answered(answer.status_code, answer.headers, answer.data)

    return ask


@contextmanager
def _starlette(gate: Gate) -> Iterator[Door]:
    yield _httpx_door(TestClient(starlette_site(gate)))


@contextmanager
def _flask(gate: Gate) -> Iterator[Door]:
    yield _werkzeug_door(flask_site(gate))


@contextmanager
def _fastapi(gate: Gate) -> Iterator[Door]:
    yield _httpx_door(FastAPIClient(asgi_sites.fastapi_site(gate)))


@contextmanager
def _flask_extension(gate: Gate) -> Iterator[Door]:
    yield _werkzeug_door(wsgi_sites.flask_extension_site(gate))


@contextmanager
def _werkzeug(gate: Gate) -> Iterator[Door]:
    yield _werkzeug_door(wsgi_sites.werkzeug_site(gate))


@contextmanager
def _litestar(gate: Gate) -> Iterator[Door]:
    from litestar.testing import TestClient as LitestarClient

    with LitestarClient(asgi_sites.litestar_site(gate)) as client:
        yield _httpx_door(client)


@contextmanager
def _quart(gate: Gate) -> Iterator[Door]:
    from werkzeug.datastructures import Headers

    app = asgi_sites.quart_site(gate)

    async def send(asked: Ask) -> Answered:
        answer = await app.test_client(use_cookies=False).open(
            target_of(asked), method=asked.method, headers=Headers(with_forgeries(asked)), data=asked.body
        )
        body = b"" if asked.method == "HEAD" else await answer.get_data(as_text=False)  # a server sends none
        return _answered(answer.status_code, answer.headers, body)

    yield lambda asked: asyncio.run(send(asked))


def _falcon_door(app: Any) -> Door:
    from falcon.testing import TestClient as FalconClient

    client = FalconClient(app)

    def ask(asked: Ask) -> Answered:
        host = dict(asked.headers).get("Host", "falconframework.org")
        headers = [pair for pair in with_forgeries(asked) if pair[0] != "Host"]
        answer = client.simulate_request(
            asked.method, asked.path, query_string=asked.query, headers=headers, body=asked.body, host=host
        )
        return _answered(answer.status_code, answer.headers, answer.content)

    return ask


@contextmanager
def _falcon(gate: Gate) -> Iterator[Door]:
    yield _falcon_door(asgi_sites.falcon_site(gate))


@contextmanager
def _falcon_wsgi(gate: Gate) -> Iterator[Door]:
    yield _falcon_door(wsgi_sites.falcon_wsgi_site(gate))


@contextmanager
def _aiohttp(gate: Gate) -> Iterator[Door]:
    from aiohttp import DummyCookieJar
    from aiohttp.test_utils import TestClient as AiohttpClient
    from aiohttp.test_utils import TestServer
    from multidict import CIMultiDict

    from tests.scenarios.aiohttp_site import aiohttp_site

    with asyncio.Runner() as runner:

        async def start() -> Any:
            client = AiohttpClient(TestServer(aiohttp_site(gate)), cookie_jar=DummyCookieJar())
            await client.start_server()
            return client

        client = runner.run(start())

        async def send(asked: Ask) -> Answered:
            headers = CIMultiDict(with_forgeries(asked))
            skip = () if asked.body else ("Content-Type",)
            async with client.request(
                asked.method, target_of(asked), headers=headers, data=asked.body or None, skip_auto_headers=skip
            ) as answer:
                return _answered(answer.status, answer.headers, await answer.read())

        yield lambda asked: runner.run(send(asked))
        runner.run(client.close())


def _django(name: str, client_name: str) -> Opener:
    @contextmanager
    def opened(gate: Gate) -> Iterator[Door]:
        from django import test

        from tests.scenarios import django_sites

        urls: ModuleType = getattr(django_sites, name)

        def ask(asked: Ask) -> Answered:
            client: Any = getattr(test, client_name)(raise_request_exception=False)
            headers = _joined(asked)
            kind = headers.pop("Content-Type", "")
            client.cookies = SimpleCookie(headers.pop("Cookie", "")) if client_name == "AsyncClient" else client.cookies
            answer = client.generic(asked.method, target_of(asked), asked.body, kind, headers=headers)
            if client_name == "AsyncClient":
                answer = asyncio.run(_awaited(answer))
            return _answered(answer.status_code, answer.headers, answer.content)

        with django_sites.settings_of(urls, gate):
            yield ask

    return opened


async def _awaited(answer: Any) -> Any:
    return await answer


DOORS: Final[dict[str, Opener]] = {
    "asgi": _starlette,
    "wsgi": _flask,
    "fastapi": _fastapi,
    "flask extension": _flask_extension,
    "django": _django("SYNC", "Client"),
    "django async": _django("ASYNC", "AsyncClient"),
    "django rest framework": _django("REST", "Client"),
    "werkzeug": _werkzeug,
    "quart": _quart,
    "litestar": _litestar,
    "falcon": _falcon,
    "falcon wsgi": _falcon_wsgi,
    "aiohttp": _aiohttp,
}
"""The test client of each framework."""

PLAIN: Final = ("asgi", "wsgi")
"""The plain middlewares, whose rows are tests of their own."""

NOT_SENT: Final = {"django async": ("a host names the app", "another host names nobody", "a cookie twice")}
"""The rows that a client cannot send: Django's sends a Host of its own, and one cookie of each name."""

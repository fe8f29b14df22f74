"""A real browser, its pages, and the API that they call, each at a separate origin."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
import uvicorn

from tests.browser.apps import ACME, INITECH, KEYS, ORIGINS, site
from tests.browser.pages import Api, Backend, Opened, Tab
from tests.integration import servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_BLANK: Final = b'<!doctype html><title>blank</title><link rel="icon" href="data:,">'


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium. For this package only: while Playwright runs, no other event loop can in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python package")
    named = (os.environ.get("WICKET_CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser")
    found = next((path for path in named if path and shutil.which(path)), None)
    if found is None:
        pytest.skip("needs chromium: Debian's package, or the path of another in WICKET_CHROMIUM")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, headless=True, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def _serving(application: Any, listening: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(servers.DEADLINE)
        listening.close()


async def _pages(scope: Any, receive: Any, send: Any) -> None:
    """`/acme/8800` is the example's page of Acme, whose API has that port; all others are blank."""
    name, _, port = scope["path"].strip("/").partition("/")
    if port:
        page = site(f"http://api.localhost:{port}", {"acme": ACME, "initech": INITECH}[name], name.title())
        await page({**scope, "path": "/"}, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": _BLANK})


@pytest.fixture(scope="package")
def ports(browser: Browser) -> Iterator[tuple[int, int]]:
    """Two ports on which every name of this machine has the same pages."""
    with contextlib.ExitStack() as stack:
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for each in held:
            stack.enter_context(_serving(_pages, each))
        first, second = (each.getsockname()[1] for each in held)
        yield first, second


@pytest.fixture(scope="package")
def asgi_api(ports: tuple[int, int]) -> Iterator[Api]:
    with _allowed(ports[0]), servers.uvicorn("tests.browser.asgi_site:app") as server:
        yield Api(server)


@pytest.fixture(scope="package")
def wsgi_api(ports: tuple[int, int]) -> Iterator[Api]:
    options = ("--worker-class", "gthread", "--threads", "8")
    with _allowed(ports[0]), servers.gunicorn("tests.browser.wsgi_site:app", *options) as server:
        yield Api(server)


@contextlib.contextmanager
def _allowed(port: int) -> Iterator[None]:
    allowed = (
        f"http://localhost:{port} http://*.acme.localhost:{port}",
        f"http://initech.localhost:{port}",
        f"http://portal.api.localhost:{port}",
    )
    with pytest.MonkeyPatch.context() as environment:
        for key, origins in zip(KEYS, allowed, strict=True):
            environment.setenv(ORIGINS + key, origins)
        yield


@pytest.fixture(params=["starlette", "flask"])
def api(request: pytest.FixtureRequest) -> Api:
    """The API under uvicorn, then under gunicorn."""
    found: Api = request.getfixturevalue("asgi_api" if request.param == "starlette" else "wsgi_api")
    return found


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens addresses, each in a tab with a new profile."""
    with contextlib.ExitStack() as stack:

        def open_tab(url: str, backend: Backend | None = None) -> Tab:
            context = stack.enter_context(browser.new_context(viewport={"width": 900, "height": 520}))
            page = context.new_page()
            page.set_default_timeout(servers.DEADLINE * 1000)
            tab = Tab(page, [], [])
            page.on("console", lambda message: tab.console.append(f"{message.type}: {message.text}"))
            page.on("response", lambda answer: tab.answers.append((urlsplit(answer.url).path, answer.status)))
            if backend is not None:
                page.route("**/token", backend.answer)
            page.goto(url)
            return tab

        yield open_tab


@pytest.fixture
def acme_tab(opened: Opened, ports: tuple[int, int]) -> Tab:
    """A page of Acme's."""
    return opened(f"http://localhost:{ports[0]}")


@pytest.fixture
def initech_tab(opened: Opened, ports: tuple[int, int]) -> Tab:
    """A page of Initech's."""
    return opened(f"http://initech.localhost:{ports[0]}")

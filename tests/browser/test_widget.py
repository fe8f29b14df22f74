"""The example's widget: where it renders, how it renews its token, and what it says when it is refused."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from tests.browser.apps import ACME, INITECH
from tests.browser.pages import Api, Backend, Opened, Tab
from tests.integration.servers import ROOT, eventually

pytestmark = pytest.mark.long

Ports = tuple[int, int]

_OLD: Final = 3600.0


def _open(opened: Opened, api: Api, port: int, backend: Backend, host: str = "localhost") -> Tab:
    name = "acme" if backend.app is ACME else "initech"
    return opened(f"http://{host}:{port}/{name}/{api.server.port}", backend)


def _send(tab: Tab, text: str) -> None:
    tab.page.get_by_label("Your feedback").fill(text)
    tab.page.get_by_role("button").click()


def _alone(tab: Tab) -> Tab:
    """Let nothing stay open, so that nothing but a request notices that the token has expired."""
    tab.page.route("**/widget/count*", lambda route: route.abort())
    tab.page.route_web_socket(re.compile("/widget/live"), lambda socket: socket.close())
    return tab


def _received(api: Api, text: str) -> list[dict[str, object]]:
    return [each for each in api.told()["received"] if each["text"] == text]


@pytest.mark.parametrize(
    ("app", "host"), [(ACME, "localhost"), (INITECH, "initech.localhost")], ids=["acme", "initech"]
)
def test_widget_valid_token_shows_user_and_sends_feedback(
    api: Api, opened: Opened, ports: Ports, app: object, host: str
) -> None:
    backend = Backend(ACME if app is ACME else INITECH)
    tab = _open(opened, api, ports[0], backend, host)
    tab.shows("Signed in as Ada")
    _send(tab, f"from {host}")
    tab.shows("Thank you!")
    assert [each["user"] for each in _received(api, f"from {host}")] == [f"{backend.app.id}:user-1"]
    tab.shows(f"Messages so far: {len(api.told()['received'])}")
    assert len(backend.given) == 1


def test_widget_live_connection_shows_live(asgi_api: Api, opened: Opened, ports: Ports) -> None:
    _open(opened, asgi_api, ports[0], Backend(ACME)).shows("● live")


def test_widget_blocked_page_not_rendered_and_warns(api: Api, opened: Opened, ports: Ports) -> None:
    backend = Backend(ACME)
    tab = _open(opened, api, ports[1], backend)
    start = f"warning: Feedback widget: nothing is shown on http://localhost:{ports[1]} (this origin is not allowed"

    def warned() -> bool:
        tab.page.evaluate("0")  # events come in while the browser is asked something
        return any(line.startswith(start) for line in tab.console)

    eventually("the warning", warned)
    assert tab.page.locator("feedback-widget").count() == 0
    assert backend.given == []


def test_widget_token_renewed_by_timer_before_expiry(api: Api, opened: Opened, ports: Ports) -> None:
    backend = Backend(ACME, (0, 2.5), (0, 3600))
    tab = _open(opened, api, ports[0], backend)
    tab.shows("Signed in as Ada")
    _, expiry = backend.given[0]
    tab.wait_until(expiry)
    ((renewed, _),) = backend.given[1:]
    assert renewed < expiry
    text = f"later {api.server.port}"
    _send(tab, text)
    tab.shows("Thank you!")
    assert len(_received(api, text)) == 1
    assert 401 not in (*tab.statuses("/widget/me"), *tab.statuses("/widget/feedback"))


def test_widget_live_connections_reopened_with_renewed_token(asgi_api: Api, opened: Opened, ports: Ports) -> None:
    before = asgi_api.told()
    tab = _open(opened, asgi_api, ports[0], Backend(ACME, (0, 1.2), (0, 3600)))

    def twice() -> bool:
        tab.page.evaluate("0")
        inside = asgi_api.since(before)["inside"]
        return inside.count("SOCKET /widget/live") == 2 and inside.count("POST /widget/count") == 2

    eventually("both were opened twice", twice)
    tab.shows("● live")
    assert tab.statuses("/widget/count") == [200, 200]


def test_widget_401_renews_token_and_retries(api: Api, opened: Opened, ports: Ports) -> None:
    # The backend hands out a token that it has kept for an hour, so the timer comes too late.
    backend = Backend(ACME, (_OLD, 1.2), (0, 3600))
    tab = _alone(opened(f"http://localhost:{ports[0]}"))
    tab.page.route("**/token", backend.answer)
    tab.page.goto(f"{tab.page.url}acme/{api.server.port}")
    tab.shows("Signed in as Ada")
    tab.wait_until(backend.given[0][1])
    assert len(backend.given) == 1
    text = f"after a 401 {api.server.port}"
    _send(tab, text)
    tab.shows("Thank you!")
    assert tab.statuses("/widget/feedback") == [401, 201]
    assert len(_received(api, text)) == 1
    assert len(backend.given) == 2


@pytest.mark.parametrize("app", [ACME, INITECH], ids=["acme", "initech"])
def test_widget_renewed_token_refused_shows_refusal(api: Api, opened: Opened, ports: Ports, app: object) -> None:
    backend = Backend(ACME if app is ACME else INITECH, (_OLD, -1))
    tab = _open(opened, api, ports[0], backend, "localhost" if app is ACME else "initech.localhost")
    tab.shows("401 invalid_token expired")
    assert tab.statuses("/widget/me") == [401, 401]
    assert len(backend.given) == 2


@pytest.mark.parametrize("app", [ACME, INITECH], ids=["acme", "initech"])
def test_widget_page_left_sends_draft(api: Api, opened: Opened, ports: Ports, app: object) -> None:
    backend = Backend(ACME if app is ACME else INITECH)
    tab = _open(opened, api, ports[0], backend, "localhost" if app is ACME else "initech.localhost")
    tab.shows("Signed in as Ada")
    text = f"in the middle of {backend.app.id} {api.server.port}"
    tab.page.get_by_label("Your feedback").fill(text)
    tab.page.goto("about:blank")
    got = eventually("the draft", lambda: _received(api, text))
    assert got == [{"kind": "draft", "user": f"{backend.app.id}:user-1", "text": text}]


# --- the example as its reader starts it


@contextlib.contextmanager
def _example() -> Iterator[dict[str, list[str]]]:
    """What `serve.py` prints: addresses by what is said of them."""
    command = [sys.executable, str(ROOT / "examples" / "widget" / "serve.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found: dict[str, list[str]] = {}
            while "blocked" not in found:
                line = process.stdout.readline()
                assert line, "the example ended"
                match = re.fullmatch(r"(?:.*, )?(.*\w) +(http://\S+).*\n", line)
                assert match, line
                found.setdefault(match[1], []).append(match[2])
            yield found
        finally:
            process.kill()


def test_widget_example_renders_allowed_pages_not_blocked_page(opened: Opened) -> None:
    with _example() as addresses:
        assert len(addresses["allowed"]) == 3
        for address in addresses["allowed"]:
            tab = opened(address)
            tab.shows("Signed in as Ada Lovelace")
            tab.shows("● live")
        blocked = opened(addresses["blocked"][0])
        eventually(
            "the warning",
            lambda: blocked.page.title() and any(line.startswith("warning: Feedback") for line in blocked.console),
        )
        assert blocked.page.locator("feedback-widget").count() == 0
        _picture(opened(addresses["allowed"][0]))


def _picture(tab: Tab) -> None:
    """The picture in the documentation, where WICKET_SCREENSHOT says where it goes."""
    path = os.environ.get("WICKET_SCREENSHOT")
    if path:
        _send(tab, "The search should know synonyms.")
        for text in ("Thank you!", "● live", "Messages so far: 1"):
            tab.shows(text)
        tab.page.screenshot(path=path)

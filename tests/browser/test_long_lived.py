"""Sockets and event streams of a real browser: opened for a good token, and ended when it expires."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from tests.browser.apps import ACME, CALLER, INITECH, PORTAL
from tests.browser.pages import Api, Opened, Tab, userz_headers
from tests.integration.servers import DEADLINE
from wicket import App, mint

pytestmark = pytest.mark.long

Ports = tuple[int, int]

_SOCKET: Final = """
    ([url, offers]) => Promise.all(offers.map((protocols) => new Promise((done) => {
        const seen = {opened: null, messages: []};
        const socket = new WebSocket(url, protocols);
        socket.onopen = () => { seen.opened = socket.protocol; };
        socket.onmessage = ({data}) => seen.messages.push(JSON.parse(data));
        socket.onclose = ({code, reason}) => done({...seen, code, reason, at: Date.now() / 1000});
    })))"""

_ECHO: Final = """
    ([url, protocols]) => {
        window.socket = new WebSocket(url, protocols);
        window.echo = (text) => new Promise((done) => {
            window.socket.onmessage = ({data}) => done(JSON.parse(data).echo);
            window.socket.send(text);
        });
        return new Promise((done, fail) => {
            window.socket.onmessage = ({data}) => done(JSON.parse(data).user);
            window.socket.onclose = ({code}) => fail(new Error(`closed with ${code}`));
        });
    }"""

_STREAM: Final = """
    async ([url, headers]) => {
        const answer = await fetch(url, {headers});
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        for (;;) {
            const {done, value} = await reader.read();
            if (done) return {status: answer.status, text, at: Date.now() / 1000};
            text += value;
            window.pieces = (window.pieces ?? 0) + 1;
        }
    }"""

_EVENTS: Final = """
    (url) => new Promise((done) => {
        const events = new EventSource(url, {withCredentials: true});
        const seen = {messages: [], at: null};
        events.onmessage = ({data}) => seen.messages.push(data);
        events.onerror = () => {
            seen.at ??= Date.now() / 1000;
            if (events.readyState === EventSource.CLOSED) done(seen);
        };
    })"""


def _live(api: Api, **query: str) -> str:
    return api.url("/widget/live", **query).replace("http", "ws")


def _expiring(app: App, seconds: float = 3.0) -> tuple[str, float]:
    """A token with a life of so many seconds, and when it ends."""
    now = time.time()
    return mint(app, "user-1", claims={"iat": now, "exp": now + seconds}), now + seconds


def _ended_in_time(seen: dict[str, Any], expiry: float) -> bool:
    late: float = seen["at"] - expiry
    return -0.01 <= late <= DEADLINE / 2


@pytest.mark.parametrize("name", [{"publicKey": "pub_acme"}, {"projectId": "initech"}], ids=["userz", "hissuno"])
def test_websocket_valid_token_opens_and_closes_4401_on_expiry(
    asgi_api: Api, acme_tab: Tab, initech_tab: Tab, name: dict[str, str]
) -> None:
    app, tab = (ACME, acme_tab) if "publicKey" in name else (INITECH, initech_tab)
    url = _live(asgi_api, **name)
    assert tab.page.evaluate(_ECHO, [url, ["bearer", mint(app, "user-2")]]) == "user-2"

    # Several expiry times, so that no single check of the monitor meets them all.
    lives = [_expiring(app, 3.0 + 0.15 * index) for index in range(6)]
    offers = [["bearer", token, "chat"] for token, _ in lives]
    for seen, (_, expiry) in zip(tab.page.evaluate(_SOCKET, [url, offers]), lives, strict=True):
        assert seen["opened"] == "bearer"
        assert seen["messages"] == [{"user": "user-1", "subprotocols": ["chat"]}], "the application sees no token"
        assert (seen["code"], seen["reason"]) == (4401, "expired")
        assert _ended_in_time(seen, expiry)
    assert tab.page.evaluate("window.echo('still here')") == "still here", "the token of the other page has not expired"


@pytest.mark.parametrize("fault", ["forged", "expired", "of another app", "none"])
def test_websocket_without_valid_token_refused_401(asgi_api: Api, acme_tab: Tab, fault: str) -> None:
    protocols = {
        "forged": ["bearer", mint(ACME, "user-1")[:-4] + "AAAA"],
        "expired": ["bearer", mint(ACME, "user-1", now=time.time() - 7200)],
        "of another app": ["bearer", mint(INITECH, "user-1")],
        "none": ["chat"],
    }
    before = asgi_api.told()
    (seen,) = acme_tab.page.evaluate(_SOCKET, [_live(asgi_api, publicKey="pub_acme"), [protocols[fault]]])
    assert (seen["opened"], seen["messages"], seen["code"]) == (None, [], 1006)
    # Chromium reports only a 401 in these words.
    assert any("HTTP Authentication failed" in line for line in acme_tab.console)
    assert asgi_api.since(before) == {"outside": ["SOCKET /widget/live"], "inside": []}


def test_websocket_blocked_page_refused_403(asgi_api: Api, opened: Opened, ports: Ports) -> None:
    tab = opened(f"http://elsewhere.localhost:{ports[0]}")
    protocols = ["bearer", mint(ACME, "user-1")]
    (seen,) = tab.page.evaluate(_SOCKET, [_live(asgi_api, publicKey="pub_acme"), [protocols]])
    assert (seen["opened"], seen["code"]) == (None, 1006)
    assert any("Unexpected response code: 403" in line for line in tab.console)


_RECOVERING: Final = """
    ([url, tokens]) => new Promise((done, fail) => {
        const seen = {closes: [], users: []};
        const connect = () => {
            const socket = new WebSocket(url, ["bearer", tokens.shift()]);
            socket.onmessage = ({data}) => seen.users.push(JSON.parse(data).user);
            socket.onclose = ({code, reason, wasClean}) => {
                seen.closes.push([code, reason, wasClean]);
                if (code === 4401 && tokens.length) connect();  // renew the token, and connect again
                else done(seen);
            };
        };
        connect();
    })"""


def test_websocket_refusals_accepted_page_reads_code_and_reason(asgi_api: Api, acme_tab: Tab) -> None:
    forged = mint(CALLER, "user-1")[:-4] + "AAAA"
    before = asgi_api.told()
    offers = [["bearer", forged], ["chat"], ["bearer"]]
    seen = acme_tab.page.evaluate(_SOCKET, [_live(asgi_api, app="caller"), offers])
    assert [(each["opened"], each["code"], each["reason"]) for each in seen] == [
        ("bearer", 4401, "bad_signature"),
        ("chat", 4401, "missing_token"),
        ("bearer", 4400, "invalid_request"),
    ]
    assert asgi_api.since(before)["inside"] == []


def test_websocket_refusals_accepted_blocked_page_reads_4403(asgi_api: Api, opened: Opened, ports: Ports) -> None:
    tab = opened(f"http://elsewhere.localhost:{ports[0]}")
    (seen,) = tab.page.evaluate(_SOCKET, [_live(asgi_api, app="caller"), [["bearer", mint(CALLER, "user-1")]]])
    assert (seen["code"], seen["reason"], seen["messages"]) == (4403, "origin_not_allowed", [])


def test_websocket_client_of_page_renews_token_and_recovers(asgi_api: Api, acme_tab: Tab) -> None:
    """An expired token, then one that expires on the open WebSocket, then a good one that is closed by the page."""
    expired = mint(CALLER, "user-1", now=time.time() - 7200)
    short, _ = _expiring(CALLER, 2.0)
    last, _ = _expiring(CALLER, 6.0)
    seen = acme_tab.page.evaluate(_RECOVERING, [_live(asgi_api, app="caller"), [expired, short, last]])
    assert seen["users"] == ["user-1", "user-1"]
    assert seen["closes"] == [[4401, "expired", True]] * 3


def test_event_stream_fetched_ends_when_token_expires(api: Api, acme_tab: Tab, opened: Opened) -> None:
    other = opened(acme_tab.page.url)
    url = api.url("/widget/count", publicKey="pub_acme")
    headers = userz_headers(ACME)
    other.page.evaluate(f"args => {{ ({_STREAM})(args).then(() => {{ window.over = true; }}); }}", [url, headers])

    token, expiry = _expiring(ACME)
    seen = acme_tab.page.evaluate(_STREAM, [url, {"X-Userz-User-Token": token}])
    assert seen["status"] == 200
    assert seen["text"].startswith("data: ")
    assert _ended_in_time(seen, expiry)
    pieces = other.page.evaluate("window.pieces")
    other.page.wait_for_function("pieces => window.pieces > pieces", arg=pieces)
    assert other.page.evaluate("window.over") is None, "the token of the other page has not expired"


def test_event_source_ends_on_expiry_and_reconnect_401(asgi_api: Api, opened: Opened, ports: Ports) -> None:
    tab = opened(f"http://portal.api.localhost:{ports[0]}")
    token, expiry = _expiring(PORTAL)
    tab.page.context.add_cookies([{"name": "session", "value": token, "domain": asgi_api.host, "path": "/"}])
    before = asgi_api.told()
    seen = tab.page.evaluate(_EVENTS, asgi_api.url("/widget/count", app="portal"))
    assert seen["messages"]
    assert _ended_in_time(seen, expiry)
    assert asgi_api.since(before) == {"outside": ["GET /widget/count"] * 2, "inside": ["GET /widget/count"]}
    assert tab.statuses("/widget/count") == [200, 401]

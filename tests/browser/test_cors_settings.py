"""`CORS` settings in a real browser: credentials, refusals that stay readable, and an exposed header."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.browser.apps import ACME, CALLER, REQUEST_ID
from tests.browser.pages import Api, Opened, Tab, userz_headers
from wicket import mint

pytestmark = pytest.mark.long

Ports = tuple[int, int]


def bearer(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint(CALLER, 'user-1', **claims)}"}


@pytest.fixture
def portal_tab(opened: Opened, ports: Ports, api: Api) -> Tab:
    """A page of the same site as the API, with a cookie of the API, so that the browser sends the cookie."""
    tab = opened(f"http://portal.api.localhost:{ports[0]}")
    tab.page.context.add_cookies([{"name": "session", "value": "abc", "domain": api.host, "path": "/"}])
    return tab


def test_cors_credentials_include_sends_cookie_and_reads_response(api: Api, portal_tab: Tab) -> None:
    before = len(api.told()["inside"])
    read = portal_tab.fetch(api.url("/widget/me", app="caller"), headers=bearer(), credentials="include")
    assert (read.status, read.document["user"]) == (200, "user-1")
    assert [each["cookie"] for each in api.told()["inside"][before:]] == [True]
    assert read.headers["x-request-id"] == REQUEST_ID


def test_cors_credentials_include_refusal_readable(api: Api, portal_tab: Tab) -> None:
    expired = bearer(now=time.time() - 7200)
    read = portal_tab.fetch(api.url("/widget/me", app="caller"), headers=expired, credentials="include")
    assert (read.status, read.document["reason"]) == (401, "expired")
    assert read.headers["www-authenticate"].startswith("Bearer ")


def test_cors_credentials_include_other_page_of_app_readable(api: Api, acme_tab: Tab) -> None:
    """A page of another site: the browser keeps the cookie back, and the response is still readable."""
    read = acme_tab.fetch(api.url("/widget/me", app="caller"), headers=bearer(), credentials="include")
    assert (read.status, read.document["user"]) == (200, "user-1")


def test_cors_credentials_include_app_without_setting_unreadable(api: Api, acme_tab: Tab) -> None:
    url, headers = api.url("/widget/me", publicKey="pub_acme"), userz_headers(ACME)
    assert acme_tab.fetch(url, headers=headers, credentials="include").failed
    read = acme_tab.fetch(url, headers=headers)
    assert read.status == 200
    assert "x-request-id" not in read.headers, "the app does not expose it"


def test_cors_credentials_include_blocked_page_unreadable(api: Api, opened: Opened, ports: Ports) -> None:
    tab = opened(f"http://elsewhere.localhost:{ports[0]}")
    assert tab.fetch(api.url("/widget/me", app="caller"), headers=bearer(), credentials="include").failed

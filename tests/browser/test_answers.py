"""What a page's script can read of the API's answers, and what a page that is not allowed cannot."""

from __future__ import annotations

import json
import time
from typing import Final

import pytest

from tests.browser.apps import ACME, INITECH, PORTAL
from tests.browser.pages import Api, Opened, Tab, hissuno_body, userz_headers
from wicket import mint

pytestmark = pytest.mark.long

JSON: Final = {"Content-Type": "application/json"}
Ports = tuple[int, int]


# --- an allowed page


@pytest.mark.parametrize("host", ["localhost", "shop.acme.localhost", "a.b.acme.localhost"])
def test_cors_allowed_page_reads_identity(api: Api, opened: Opened, ports: Ports, host: str) -> None:
    read = opened(f"http://{host}:{ports[0]}").fetch(api.url("/widget/me"), headers=userz_headers(ACME))
    assert (read.status, read.document["user"]) == (200, "user-1")


def test_cors_allowed_page_json_body_reads_identity(api: Api, initech_tab: Tab) -> None:
    read = initech_tab.fetch(api.url("/widget/me"), method="POST", headers=JSON, body=hissuno_body(INITECH))
    assert (read.status, read.document["app"], read.document["user"]) == (200, "initech", "user-1")


def test_cors_preflight_token_header_not_passed_to_application(api: Api, acme_tab: Tab) -> None:
    before = api.told()
    assert acme_tab.fetch(api.url("/widget/me"), headers=userz_headers(ACME)).status == 200
    assert api.since(before) == {
        "outside": ["OPTIONS /widget/me", "GET /widget/me"],
        "inside": ["GET /widget/me"],
    }


# --- refusals and errors that it can read


def test_cors_expired_token_refusal_readable(api: Api, initech_tab: Tab) -> None:
    expired = hissuno_body(INITECH, now=time.time() - 3601)
    read = initech_tab.fetch(api.url("/widget/me"), method="POST", headers=JSON, body=expired)
    assert (read.status, read.document["error"], read.document["reason"]) == (401, "invalid_token", "expired")
    assert read.headers["www-authenticate"].startswith('Bearer realm="wicket", error="invalid_token"')


def test_cors_vendor_refusal_body_readable(api: Api, acme_tab: Tab) -> None:
    expired = userz_headers(ACME, now=time.time() - 3601)
    read = acme_tab.fetch(api.url("/widget/me"), headers=expired)
    assert (read.status, read.document["error"]["code"]) == (401, "expired")
    assert 'error="invalid_token"' in read.headers["www-authenticate"]


def test_cors_apps_unavailable_retry_after_readable(api: Api, acme_tab: Tab) -> None:
    read = acme_tab.fetch(api.url("/widget/me", publicKey="pub_down"))
    assert (read.status, read.document["error"]) == (503, "apps_unavailable")
    assert int(read.headers["retry-after"]) > 0


@pytest.mark.parametrize("query", [{}, {"publicKey": "pub_nobody"}])
def test_cors_unknown_app_401_readable(api: Api, acme_tab: Tab, query: dict[str, str]) -> None:
    read = acme_tab.fetch(api.url("/widget/me", **query))
    assert (read.status, read.document["error"]) == (401, "unknown_app")
    assert read.headers["www-authenticate"] == 'Bearer realm="wicket"'


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/unprocessable", 422), ("/crash", 500)])
def test_cors_application_error_readable(api: Api, acme_tab: Tab, path: str, status: int) -> None:
    read = acme_tab.fetch(api.url(path), method="POST", headers=userz_headers(ACME))
    assert (read.status, read.failed) == (status, "")
    assert status != 422 or read.document == {"problem": "of the application's own"}


# --- a page that is not allowed


@pytest.mark.parametrize(
    ("host", "which"),
    [("localhost", 1), ("elsewhere.localhost", 0), ("acme.localhost", 0), ("initech.localhost", 0)],
    ids=["another port", "another name", "not a subdomain", "another customer"],
)
def test_cors_blocked_page_response_unreadable(api: Api, opened: Opened, ports: Ports, host: str, which: int) -> None:
    tab = opened(f"http://{host}:{ports[which]}")
    before = api.told()
    simple = tab.fetch(api.url("/widget/allowed", publicKey="pub_acme"))
    assert (simple.status, simple.failed) == (0, "TypeError: Failed to fetch")
    unnamed = tab.fetch(api.url("/widget/me"), headers=userz_headers(ACME))
    assert (unnamed.status, unnamed.failed) == (0, "TypeError: Failed to fetch")
    named = tab.fetch(api.url("/widget/me", publicKey="pub_acme"), headers=userz_headers(ACME))
    assert (named.status, named.failed) == (0, "TypeError: Failed to fetch")
    assert api.since(before) == {
        # Where the URL names the app, its preflight is refused already, and the request is never sent.
        "outside": ["GET /widget/allowed", "OPTIONS /widget/me", "GET /widget/me", "OPTIONS /widget/me"],
        "inside": [],
    }
    assert any("blocked by CORS policy" in line for line in tab.console)
    # The page itself can fetch: of an app that does not exist it reads so.
    assert tab.fetch(api.url("/widget/me", publicKey="pub_nobody")).status == 401


def test_cors_blocked_page_simple_post_not_passed_to_application(api: Api, opened: Opened, ports: Ports) -> None:
    tab = opened(f"http://elsewhere.localhost:{ports[0]}")
    before = api.told()
    body = json.dumps({"widgetToken": mint(ACME, "user-1"), "text": "from a blocked page"})
    # As text/plain, which needs no preflight.
    assert tab.fetch(api.url("/widget/draft", publicKey="pub_acme"), method="POST", body=body).failed
    assert api.since(before) == {"outside": ["POST /widget/draft"], "inside": []}


# --- cookies


def _with_session(tab: Tab, api: Api) -> Tab:
    session = mint(PORTAL, "user-1")
    tab.page.context.add_cookies(
        [{"name": "session", "value": session, "domain": api.host, "path": "/", "sameSite": "Lax"}]
    )
    return tab


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cookie_token_page_of_app_allowed(api: Api, opened: Opened, ports: Ports, method: str) -> None:
    tab = _with_session(opened(f"http://portal.api.localhost:{ports[0]}"), api)
    url, headers = api.url("/widget/me", app="portal"), JSON if method == "POST" else {}
    read = tab.fetch(url, method=method, headers=headers, credentials="include")
    assert (read.status, read.document["user"]) == (200, "user-1")
    read = tab.fetch(url, method=method, headers=headers, credentials="omit")
    assert (read.status, read.document["error"]) == (401, "missing_token")


def test_cookie_token_same_site_page_of_other_origin_refused(api: Api, opened: Opened, ports: Ports) -> None:
    tab = _with_session(opened(f"http://other.api.localhost:{ports[0]}"), api)
    before = api.told()
    url = api.url("/widget/me", app="portal")
    assert tab.fetch(url, credentials="include").failed
    assert tab.fetch(url, method="POST", body="{}", credentials="include").failed
    assert api.since(before) == {"outside": ["GET /widget/me", "POST /widget/me"], "inside": []}
    sent = api.told()["outside"][len(before["outside"]) :]
    assert [each["cookie"] for each in sent] == [True, True], "the browser sent it, and the gate refused"


def test_cors_credentialed_request_app_without_cookie_fails(api: Api, acme_tab: Tab) -> None:
    url = api.url("/widget/me", publicKey="pub_acme")
    assert acme_tab.fetch(url, credentials="include").failed
    assert acme_tab.fetch(url, credentials="omit").status == 401

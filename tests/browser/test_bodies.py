"""Tokens in bodies that a browser sends: beacons, bodies up to the limit, and larger ones, which are not read."""

from __future__ import annotations

import hashlib
import json
from typing import Final

import pytest

from tests.browser.apps import ACME, INITECH
from tests.browser.pages import Api, Tab, hissuno_body
from tests.integration.servers import eventually
from wicket import mint

pytestmark = pytest.mark.long

JSON: Final = {"Content-Type": "application/json"}
LIMIT: Final = 65_536


def _filled(size: int) -> str:
    """A body of exactly so many bytes, with the app's name and its token at the beginning."""
    filling = size - len(hissuno_body(INITECH, text=""))
    body = hissuno_body(INITECH, text="x" * filling)
    assert len(body) == size
    return body


def test_beacon_token_in_body_delivered_with_identity(api: Api, acme_tab: Tab) -> None:
    text = f"left unfinished {api.server.port}"
    body = json.dumps({"widgetToken": mint(ACME, "user-1"), "text": text})
    url = api.url("/widget/draft", publicKey="pub_acme")
    assert acme_tab.page.evaluate("([url, body]) => navigator.sendBeacon(url, body)", [url, body])
    got = eventually("the beacon", lambda: [each for each in api.told()["received"] if each["text"] == text])
    assert got == [{"kind": "draft", "user": f"{ACME.id}:user-1", "text": text}]


def test_beacon_forged_token_not_passed_to_application(api: Api, acme_tab: Tab) -> None:
    before = api.told()
    body = json.dumps({"widgetToken": mint(ACME, "user-1")[:-4] + "AAAA", "text": "forged"})
    url = api.url("/widget/draft", publicKey="pub_acme")
    assert acme_tab.page.evaluate("([url, body]) => navigator.sendBeacon(url, body)", [url, body])
    eventually("the beacon", lambda: api.since(before)["outside"] == ["POST /widget/draft"])
    assert acme_tab.fetch(api.url("/widget/me"), headers={"Authorization": "Bearer pub_acme"}).status == 401
    assert api.since(before)["inside"] == []


def test_json_body_token_at_size_limit_found(api: Api, initech_tab: Tab) -> None:
    body = _filled(LIMIT)
    read = initech_tab.fetch(api.url("/upload"), method="POST", headers=JSON, body=body)
    assert read.status == 200
    assert read.document == {"user": "user-1", "length": LIMIT, "sha256": hashlib.sha256(body.encode()).hexdigest()}


def test_json_body_over_size_limit_missing_token(api: Api, initech_tab: Tab) -> None:
    url = api.url("/upload", projectId="initech")
    read = initech_tab.fetch(url, method="POST", headers=JSON, body=_filled(LIMIT + 1))
    assert (read.status, read.document["error"]) == (401, "missing_token")


@pytest.mark.parametrize("size", [LIMIT + 1, 1_000_000])
@pytest.mark.parametrize("path", ["/upload", "/strangers/upload"])
def test_json_body_over_size_limit_passed_through_unchanged(api: Api, initech_tab: Tab, path: str, size: int) -> None:
    body = _filled(size)
    known = path == "/upload"
    headers = {**JSON, "Authorization": f"Bearer {mint(INITECH, 'user-2')}"} if known else JSON
    read = initech_tab.fetch(api.url(path, projectId="initech"), method="POST", headers=headers, body=body)
    assert read.document == {
        "user": "user-2" if known else None,
        "length": size,
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
    }

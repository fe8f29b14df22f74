"""Per-gate state of decisions: the bounded cache of the fast path, and details that an unread body does not change."""

from __future__ import annotations

import pytest

from tests.support.unit import NOW, OTHER_KEY, acme, claims, secret, token
from wicket import App, Gate, JsonBody, Request, TokenIssuer
from wicket.decision import context


def test_fast_path_full_cache_oldest_entry_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_FAST_PATH_ENTRIES", 2)
    gate = Gate([acme(origins=[])], clock=lambda: NOW)
    for number in (1, 2, 3):
        headers = [
            ("X-App-Id", "acme"),
            ("Origin", f"https://page-{number}.example"),
            ("Authorization", f"Bearer {token()}"),
        ]
        assert gate.decide(Request(headers=headers)).allowed
    origins = [entry.origin for entry in gate._context.fast_path.entries.values()]
    assert origins == ["https://page-2.example", "https://page-3.example"]


def test_refusal_detail_token_in_header_is_not_about_the_unread_body() -> None:
    locations: tuple[JsonBody, TokenIssuer] = (JsonBody("app"), TokenIssuer())
    apps = [
        acme(app_locations=locations, issuer="https://id.example"),
        App("other", app_locations=locations, credentials=[secret(OTHER_KEY)]),
    ]
    forged = token({**claims(), "iss": "https://id.example"}, key=bytes(32))
    headers = [("Content-Type", "text/html"), ("Authorization", f"Bearer {forged}")]
    decision = Gate(apps, clock=lambda: NOW).decide(Request("POST", headers=headers, body=b"<p>"))
    assert decision.refusal is not None
    assert decision.refusal.reason == "bad_signature"
    assert "body" not in decision.refusal.detail

"""Incidents in which a page was admitted whose origin only looked like one that was named."""

from __future__ import annotations

import pytest

from tests.attacks.clients import Behind
from tests.attacks.token_factory import app, secret, token
from wicket import Bearer, ConfigError, Cookie

ADA = (200, "acme:ada", None)
NOT_ALLOWED = (403, "origin_not_allowed", None)


def admits(behind: Behind, patterns: list[str], good: list[str], bad: list[str]) -> None:
    """An app of these patterns lets a user in from the good origins, and refuses the same user from the bad ones."""
    door = behind(app("acme", origins=patterns))
    for origin in good:
        assert door.ask(token(), ("Origin", origin)).said == ADA, origin
    assert bad
    for origin in bad:
        answered = door.ask(token(), ("Origin", origin))
        assert answered.said == NOT_ALLOWED, origin
        assert "evil" not in answered.raw.decode()


def test_cve_2017_11173_origin_partial_match_origin_not_allowed(behind: Behind) -> None:
    admits(
        behind,
        ["https://example.com"],
        ["https://example.com", "https://EXAMPLE.com", "https://example.com:443"],
        [
            *("https://example.com.evil.example", "https://evil.example/https://example.com", "https://notexample.com"),
            *("https://example.com:444", "https://example.comx", "xhttps://example.com", "https://example.com\x0b"),
            *("https://example.com@evil.example", "https://evil.example#https://example.com", "null", "https://"),
        ],
    )


def test_cve_2022_1996_origin_pattern_regex_not_interpreted(behind: Behind) -> None:
    admits(
        behind,
        ["https://a.example.com"],
        ["https://a.example.com"],
        ["https://axexample.com", "https://a.exampleXcom", "https://aaexample.com"],
    )
    for pattern in (
        "https://.*",
        "https://.+[.]example.com",
        "^https://example.com$",
        "https://(a|b).example.com",
        "/x/",
    ):
        with pytest.raises(ConfigError):
            app("acme", origins=[pattern])


def test_cve_2024_27302_origin_same_suffix_origin_not_allowed(behind: Behind) -> None:
    admits(
        behind,
        ["https://victim.com", "*.victim.com"],
        ["https://victim.com", "https://app.victim.com", "https://a.b.victim.com"],
        ["https://evil-victim.com", "https://evilvictim.com", "https://app.evil-victim.com", "https://.victim.com"],
    )


def test_cve_2019_25211_origin_pattern_trailing_star_config_error(behind: Behind) -> None:
    for pattern in ("https://example.com*", "https://example.*", "https://example.com/*", "example*", "https://*"):
        with pytest.raises(ConfigError):
            app("acme", origins=[pattern])
    admits(
        behind, ["https://example.com"], ["https://example.com"], ["https://example.community", "https://example.co"]
    )


def test_go_2024_2813_origin_patterns_shared_suffix_not_mixed(behind: Behind) -> None:
    admits(
        behind,
        ["https://*.example.com:8443", "http://*.ple.com", "https://foo.example.com"],
        ["https://a.example.com:8443", "http://a.ple.com", "https://foo.example.com"],
        [
            *("https://a.ple.com", "http://a.example.com:8443", "https://a.example.com", "http://a.example.com"),
            *("https://bar.example.com", "https://foo.example.com:9000", "http://foo.example.com"),
        ],
    )


def test_cve_2025_47909_origin_http_for_https_pattern_not_allowed(behind: Behind) -> None:
    admits(
        behind,
        ["https://example.com", "*.widgets.example"],
        ["https://example.com", "https://a.widgets.example"],
        [
            "http://example.com",
            "http://example.com:443",
            "http://a.widgets.example",
            "ws://example.com",
            "//example.com",
        ],
    )


def test_cve_2018_20744_cookie_app_any_origin_config_error(behind: Behind) -> None:
    """What a browser sends by itself is no proof from just anywhere."""
    places = [Bearer(), Cookie("session")]
    for origins in ([], ["*"], ["https://acme.example", "*"]):
        with pytest.raises(ConfigError, match="cookie"):
            app("acme", token_locations=places, origins=origins)
    door = behind(app("acme", token_locations=places, origins=["https://acme.example"]))
    session = ("Cookie", f"session={token('HS256', secret())}")
    home, evil = ("Origin", "https://acme.example"), ("Origin", "https://evil.example")
    assert door.ask(None, session, home, method="POST").said == ADA
    for headers in ((session, evil), (session,), (session, ("Origin", "null"))):
        assert door.ask(None, *headers, method="POST").said == NOT_ALLOWED
    refused = door.ask(None, session, evil)
    assert refused.said == NOT_ALLOWED
    assert "access-control-allow-credentials" not in refused.headers

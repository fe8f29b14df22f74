"""Origin patterns are literal: the origins they allow, the origins they refuse, and invalid patterns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import problems_of
from wicket import OriginPolicy

INVALID_HOST = "the host must be labels of letters, digits and inner hyphens, with one * at the most: *. or in a label"
NOT_AN_ORIGIN = "is not an origin: it must have a scheme, a host and optionally a port, and nothing else"
TOP_LEVEL_DOMAIN = "would allow a whole top-level domain"
MANY = f"{TOP_LEVEL_DOMAIN}, or many addresses"
CUSTOM = "a custom scheme must be listed exactly, without *"


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://a.com", "https://a.com"),
        ("https://a.com", "HTTPS://A.Com"),
        ("HTTPS://A.COM", "https://a.com"),
        ("https://a.com", "https://a.com:443"),
        ("https://a.com:443", "https://a.com"),
        ("http://a.com:80", "http://a.com"),
        ("https://a.com:8443", "https://a.com:8443"),
        ("http://localhost:*", "http://localhost"),
        ("http://localhost:*", "http://localhost:3000"),
        ("*.a.com", "https://b.a.com"),
        ("*.a.com", "https://c.b.a.com"),
        ("*.a.com", "https://B.A.COM:443"),
        ("*.a.com", "https://pull-1_x.a.com"),
        ("https://*.a.com", "https://b.a.com"),
        ("http://*.a.com:8080", "http://b.a.com:8080"),
        ("https://*.a.com:*", "https://b.a.com:8443"),
        ("http://*.localhost:*", "http://acme.localhost:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("capacitor://localhost", "CAPACITOR://LocalHost"),
        ("app://.", "app://."),
        ("file://", "file://"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("https://app-*-team.example.com", "https://app-1-team.example.com"),
        ("https://app-*-team.example.com", "https://APP-git-main_2-TEAM.example.com:443"),
        ("https://app-*.example.com", "https://app-x.example.com"),
        ("https://*-team.example.com", "https://x-team.example.com"),
        ("https://a.pr-*.example.com:8443", "https://a.pr-7.example.com:8443"),
        ("http://app-*.example.com:*", "http://app-1.example.com:3000"),
        ("http://app-*.localhost:*", "http://app-1.localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("*", "https://anything.example"),
        ("*", "null"),
    ],
)
def test_origin_policy_matching_origin_allowed(pattern: str, origin: str) -> None:
    assert OriginPolicy([pattern]).allows(origin)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://a.com", "http://a.com"),
        ("https://a.com", "https://a.com:8443"),
        ("https://a.com", "https://b.a.com"),
        ("https://a.com", "https://a.com.evil.com"),
        ("https://a.com", "https://evil-a.com"),
        ("https://a.com", "https://a.com/"),
        ("https://a.com", "https://a.com:"),
        ("https://a.com", "https://a.com:0443"),
        ("https://a.com", "https://a.com:99999"),
        ("https://a.com", "https://a.com:123456"),
        ("https://a.com", "https://x@a.com"),
        ("https://a.com", " https://a.com"),
        ("https://a.com", "https://a.com\n"),
        ("https://a.com", "https://a.com."),
        ("https://a.com", "null"),
        ("https://a.com", ""),
        ("https://a.com", "a.com"),
        ("https://a.com", "https://аa.com"),
        ("https://a.com", "https://a.com:٤٤٣"),
        ("https://a.com", "\ud800"),
        ("https://a.com:80", "https://a.com"),
        ("*.a.com", "https://a.com"),
        ("*.a.com", "http://b.a.com"),
        ("*.a.com", "https://b.a.com:8443"),
        ("*.a.com", "https://ba.com"),
        ("*.a.com", "https://.a.com"),
        ("*.a.com", "https://b..a.com"),
        ("*.a.com", "https://-b.a.com"),
        ("*.a.com", "https://b-.a.com"),
        ("*.a.com", "https://_b.a.com"),
        ("*.a.com", "https://*.a.com"),
        ("*.a.com", "https://b.a.com.evil.com"),
        ("http://localhost:*", "http://localhost:*"),
        ("http://localhost:*", "https://localhost:3000"),
        ("capacitor://localhost", "ionic://localhost"),
        ("capacitor://localhost", "capacitor://localhost:80"),
        ("capacitor://localhost", "capacitor://a.localhost"),
        ("app://.", "app://"),
        ("file://", "file:///"),
        ("file://", "file://a"),
        ("https://app-*-team.example.com", "https://app--team.example.com"),
        ("https://app-*-team.example.com", "https://app-team.example.com"),
        ("https://app-*-team.example.com", "https://app-a.b-team.example.com"),
        ("https://app-*-team.example.com", "https://app-1-team.example.com.evil.com"),
        ("https://app-*-team.example.com", "https://x.app-1-team.example.com"),
        ("https://app-*-team.example.com", "https://app-*-team.example.com"),
        ("https://app-*-team.example.com", "https://app-é-team.example.com"),
        ("https://app-*-team.example.com", "http://app-1-team.example.com"),
        ("https://app-*-team.example.com", "https://app-1-team.example.com:8443"),
        ("https://app-*-team.example.com", "https://evil.com/app-1-team.example.com"),
        ("https://app-*.example.com", "https://app-.example.com"),
        ("https://app-*.example.com", "https://app-1-.example.com"),
        ("https://*-team.example.com", "https://-team.example.com"),
        ("https://aba*aba.example.com", "https://aba.example.com"),
        ("https://aba*aba.example.com", "https://ababa.example.com"),
        ("https://b.com", "https://" + "a" * 600),
    ],
)
def test_origin_policy_other_origin_refused(pattern: str, origin: str) -> None:
    assert not OriginPolicy([pattern]).allows(origin)


@pytest.mark.parametrize("origin", ["app://.", "app://-", "file://", "capacitor-electron://-", "app://-x", "app://a."])
def test_p7_origin_policy_custom_scheme_without_host_name_exact(origin: str) -> None:
    policy = OriginPolicy([origin])
    assert policy.allows(origin)
    assert policy.explicit
    others = (
        "app://",
        "app://..",
        "app://-.",
        "app://x",
        "app:",
        "file:",
        "file:///",
        "null",
        "https://a.com",
        "https://.",
    )
    for other in (*others, origin.upper(), f"{origin}:80", f" {origin}", f"{origin}/"):
        assert not policy.allows(other), other


@pytest.mark.parametrize(
    "pattern",
    ["https://.", "https://-", "http://", "wss://-", "app://*", "app://*.", "app:///x", "app://-/x", "://-", "-"],
)
def test_p7_origin_policy_host_without_name_or_star_config_error(pattern: str) -> None:
    assert set(problems_of(lambda: OriginPolicy([pattern]))) == {"[0]"}


def test_origin_policy_no_patterns_allows_every_origin() -> None:
    policy = OriginPolicy()
    assert policy.allows("https://anything.example")
    assert policy.allows("null")
    assert policy.allows(None)
    assert not policy.explicit


def test_origin_policy_missing_origin_allowed() -> None:
    assert OriginPolicy(["https://a.com"]).allows(None)


def test_origin_policy_explicit_unless_star_pattern() -> None:
    assert OriginPolicy(["https://a.com", "*.a.com"]).explicit
    assert not OriginPolicy(["https://a.com", "*"]).explicit


def test_origin_policy_mixed_patterns_all_apply() -> None:
    policy = OriginPolicy(p for p in ("https://a.com", "*.b.com", "http://localhost:*"))
    assert policy.patterns == ("https://a.com", "*.b.com", "http://localhost:*")
    origins = ["https://a.com", "https://x.b.com", "http://localhost:1", "https://b.com", "http://a.com"]
    assert [policy.allows(origin) for origin in origins] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("null", "null is the origin of every sandboxed page and cannot be allowed"),
        ("a.com", NOT_AN_ORIGIN),
        ("*a.com", NOT_AN_ORIGIN),
        ("a.*", NOT_AN_ORIGIN),
        ("https://a.com/", NOT_AN_ORIGIN),
        ("https://a.com/path", NOT_AN_ORIGIN),
        ("https://a.com?x", NOT_AN_ORIGIN),
        ("https://user@a.com", NOT_AN_ORIGIN),
        ("https://a.com:", NOT_AN_ORIGIN),
        ("https://a.com:0", NOT_AN_ORIGIN),
        ("https://a.com:65536", NOT_AN_ORIGIN),
        (r"https://.*\.a\.com", NOT_AN_ORIGIN),
        ("^https://a.com$", NOT_AN_ORIGIN),
        ("", NOT_AN_ORIGIN),
        ("https://" + "a" * 600 + ".com", NOT_AN_ORIGIN),
        ("https://ä.com", NOT_AN_ORIGIN),
        ("https://*", INVALID_HOST),
        ("https://a.*", INVALID_HOST),
        ("https://*a.com", MANY),
        ("https://app-*.com", MANY),
        ("https://app-*", MANY),
        ("http://1*.2.3.4", MANY),
        ("https://app-*-*.example.com", INVALID_HOST),
        ("https://app-*.*.example.com", INVALID_HOST),
        ("https://*.app-*.example.com", INVALID_HOST),
        ("https://-*.example.com", INVALID_HOST),
        ("https://app-*-.example.com", INVALID_HOST),
        ("https://a.*.example.com", INVALID_HOST),
        ("app-*.example.com", NOT_AN_ORIGIN),
        ("capacitor://*.a.com", CUSTOM),
        ("capacitor://app-*.example.com", CUSTOM),
        ("app://localhost:*", CUSTOM),
        ("file:///", NOT_AN_ORIGIN),
        ("file://:80", NOT_AN_ORIGIN),
        ("https://", INVALID_HOST),
        ("https://a.*.com", INVALID_HOST),
        ("https://*.*.com", INVALID_HOST),
        ("https://-a.com", INVALID_HOST),
        ("https://a..com", INVALID_HOST),
        ("https://a.com.", INVALID_HOST),
        ("*.", INVALID_HOST),
        ("https://[::zz]", NOT_AN_ORIGIN),
        ("https://[1:2]", "the address in brackets is not an IPv6 address"),
        ("*.com", TOP_LEVEL_DOMAIN),
        ("https://*.com", TOP_LEVEL_DOMAIN),
        (None, "must be a string"),
        (5, "must be a string"),
    ],
)
def test_origin_policy_invalid_pattern_is_a_problem(pattern: Any, message: str) -> None:
    assert problems_of(lambda: OriginPolicy(["https://ok.com", pattern])) == {"[1]": message}


@pytest.mark.parametrize("patterns", ["https://a.com", b"https://a.com"])
def test_origin_policy_single_string_is_a_problem(patterns: Any) -> None:
    assert problems_of(lambda: OriginPolicy(patterns))[""] == "must be a list of patterns, not one string"


@pytest.mark.parametrize("patterns", [None, 5])
def test_origin_policy_not_a_list_is_a_problem(patterns: Any) -> None:
    assert problems_of(lambda: OriginPolicy(patterns))


@pytest.mark.parametrize(
    ("origin", "listed"),
    [
        ("https://a.com", True),
        ("HTTPS://A.com:443", True),
        ("app://.", True),
        ("https://b.b.com", False),
        ("http://localhost:1", False),
        ("https://app-1.example.com", False),
        ("null", False),
        ("", False),
        ("https://" + "a" * 600, False),
    ],
)
def test_origin_policy_lists_only_exact_patterns(origin: str, listed: bool) -> None:
    policy = OriginPolicy(["https://a.com", "*.b.com", "http://localhost:*", "https://app-*.example.com", "app://."])
    assert policy.lists(origin) is listed
    assert not OriginPolicy(["*"]).lists(origin)


def test_origin_policy_several_invalid_patterns_all_reported() -> None:
    assert set(problems_of(lambda: OriginPolicy(["null", "https://a.com", "*.com"]))) == {"[0]", "[2]"}

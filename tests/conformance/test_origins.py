"""Every trick with an Origin that is known from other products, against the policy that DESIGN.md lays down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.vectors import load, needs_vectors
from tests.properties.tokens import SECRET, signed
from tests.support.clients import DOORS, Answered
from wicket import App, ConfigError, Gate, Header, OriginPolicy, Request, Rules, Secret

pytestmark = needs_vectors

SUITE: dict[str, Any] = load("origin/origin_cases.json")
CASES: list[dict[str, Any]] = [case for case in SUITE.get("cases", []) if isinstance(case["allow"], list)]
OF_TENANTS: list[dict[str, Any]] = [case for case in SUITE.get("cases", []) if isinstance(case["allow"], dict)]

ALLOW, DENY, CONFIG_ERROR = "allow", "deny", "config error"

POLICY = {
    # Scheme and host compare case-insensitively, and :443 is https's own port.
    ("https://app.example.com", "https://app.example.com:443"): ALLOW,
    ("https://app.example.com", "HTTPS://APP.EXAMPLE.COM"): ALLOW,
    # Labels matched by * are letters, digits, inner hyphen and inner underscore.
    ("https://*.example.com", "https://a_b.example.com"): ALLOW,
    ("https://*.example.com", "https://evil.com_.example.com"): DENY,
    ("https://*.example.com", "https://-a.example.com"): DENY,
    # Every subdomain at any depth; digits are label characters like any other.
    ("https://*.example.com", "https://127.0.0.1.example.com"): ALLOW,
    # `:*` is any port, behind a subdomain pattern as behind a host.
    ("https://*.example.com:*", "https://a.example.com:8443"): ALLOW,
    # The check is literal: browsers send the short form of an IPv6 address, and nothing else is it.
    ("http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000"): DENY,
    # Browsers send the A-label; a pattern that could never match is a mistake to be told of, not a rule.
    ("https://straße.example", "https://xn--strae-oqa.example"): CONFIG_ERROR,
    # `*` alone admits all, by name: whatever is sent.
    ("*", "null"): ALLOW,
    ("*", ""): ALLOW,
    # A path is a ConfigError, so the pattern that matched example.community cannot be configured.
    ("https://example.com/*", "https://example.community"): CONFIG_ERROR,
}

CONFIG_PATTERNS = {
    "https://*example.com": CONFIG_ERROR,
    "https://*.co.uk": ALLOW,  # no list of public suffixes is kept
    "https://*.github.io": ALLOW,
    "https://*.example.*": CONFIG_ERROR,
    "https://a*b.example.com": ALLOW,  # a wildcard within one label
    "https://*.*.example.com": CONFIG_ERROR,
    "*://example.com": CONFIG_ERROR,
    "example.com": CONFIG_ERROR,
    "https://example.com:99999": CONFIG_ERROR,
    "HTTPS://Example.COM": ALLOW,
    "^https://.*$": CONFIG_ERROR,
    "https://ex.ample.com|https://evil.com": CONFIG_ERROR,
}

NAMED_BY_THE_DESIGN = [
    "null",
    "https://a.com/",
    "https://a.com/path",
    "https://a.com?query",
    "https://user@a.com",
    "https://user:password@a.com",
    "*a.com",
    "a.*",
    "*.com",
    "https://*.com",
    "https://*",
    r"https://.*\.a\.com",
    "(a|b).com",
    "",
]


def verdict(case: dict[str, Any]) -> str:
    """What a case demands; where the suite leaves it to the policy, what the policy says."""
    if case["expect"] in (ALLOW, DENY):
        expect: str = case["expect"]
        return expect
    (pattern,) = case["allow"]
    return POLICY[pattern, case["origin"]]


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=f"{index}-{case['why'][:50]}") for index, case in enumerate(cases)]


def app(origins: list[str], id: str = "acme", **settings: Any) -> App:
    secret = Secret(bytes(byte ^ len(id) for byte in SECRET))
    return App(id, credentials=[secret], rules=Rules(required_claims=frozenset({"sub"})), origins=origins, **settings)


def token_of(held: App) -> str:
    return signed({"sub": "user-1"}, secret=held.keyring.keys[0].material)


def test_origin_policy_table_covers_exactly_open_cases() -> None:
    assert POLICY.keys() == {
        (case["allow"][0], case["origin"]) for case in CASES if case["expect"] not in (ALLOW, DENY)
    }
    assert CONFIG_PATTERNS.keys() == {pattern for pattern, _ in SUITE["config_patterns"]}
    assert len(CASES) + len(OF_TENANTS) == len(SUITE["cases"])


@pytest.mark.parametrize("case", named(CASES))
def test_origin_policy_suite_case_expected_result(case: dict[str, Any]) -> None:
    wanted = verdict(case)
    if wanted is CONFIG_ERROR:
        with pytest.raises(ConfigError):
            OriginPolicy(case["allow"])
        return

    assert OriginPolicy(case["allow"]).allows(case["origin"]) is (wanted == ALLOW)


@pytest.mark.parametrize("case", named([case for case in CASES if verdict(case) != CONFIG_ERROR]))
def test_gate_decide_suite_origin_expected_result(case: dict[str, Any]) -> None:
    held = app(case["allow"])
    bearer = ("Authorization", f"Bearer {token_of(held)}")
    decision = Gate([held]).decide(Request(headers=[bearer, ("Origin", case["origin"])]))

    assert decision.allowed is (verdict(case) == ALLOW)
    if not decision.allowed:
        assert decision.refusal is not None
        assert decision.refusal.code in ("origin_not_allowed", "invalid_request")
        assert not decision.identity.verified


@pytest.mark.parametrize("case", named(OF_TENANTS))
def test_gate_decide_origin_of_other_app_refused(case: dict[str, Any]) -> None:
    apps = {id: app(origins, id + "-" * index) for index, (id, origins) in enumerate(case["allow"].items())}
    gate = Gate(apps.values(), app_locations=[Header("X-App-Id")])

    def allowed(id: str) -> bool:
        held = apps[id]
        headers = [("Authorization", f"Bearer {token_of(held)}"), ("X-App-Id", held.id), ("Origin", case["origin"])]
        return gate.decide(Request(headers=headers)).allowed

    mine = case["tenant"]
    (other,) = apps.keys() - {mine}
    for _ in range(3):
        assert not allowed(mine)
        assert allowed(other)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in SUITE.get("config_patterns", [])])
def test_origin_policy_suite_pattern_accepted_or_config_error(pattern: str) -> None:
    if CONFIG_PATTERNS[pattern] is CONFIG_ERROR:
        with pytest.raises(ConfigError):
            OriginPolicy([pattern])
    else:
        OriginPolicy([pattern])


@pytest.mark.parametrize("pattern", NAMED_BY_THE_DESIGN)
def test_origin_policy_ambiguous_pattern_config_error(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OriginPolicy(["https://fine.example", pattern])
    assert [problem.path for problem in caught.value.problems] == ["[1]"]


def test_origin_policy_uppercase_pattern_matches_lowercase_origin() -> None:
    policy = OriginPolicy(["HTTPS://Example.COM"])

    assert policy.allows("https://example.com")
    assert not policy.allows("https://www.example.com")


def test_origin_policy_public_suffix_pattern_allows_subdomains_only() -> None:
    policy = OriginPolicy(["https://*.co.uk"])

    assert policy.allows("https://a.co.uk")
    assert not policy.allows("https://co.uk")


# --- what only a whole request shows

GOOD, EVIL = b"https://app.example.com", b"https://evil.example"

Door = Callable[..., Answered]


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def bearer(held: App) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + token_of(held).encode()


@pytest.mark.parametrize("origins", [(GOOD, EVIL), (EVIL, GOOD), (GOOD, GOOD)])
@pytest.mark.parametrize("names", [(b"Origin", b"Origin"), (b"origin", b"ORIGIN"), (b"oRiGiN", b"Origin")])
def test_middleware_two_origin_headers_400(
    door: Door, origins: tuple[bytes, bytes], names: tuple[bytes, bytes]
) -> None:
    held = app([GOOD.decode()])
    answered = door(Gate([held]), [bearer(held), *zip(names, origins, strict=True)])

    assert not answered.passed
    assert answered.status == 400


def test_middleware_referer_not_used_as_origin_403(door: Door) -> None:
    held = app([GOOD.decode()], require_origin=True)
    answered = door(Gate([held]), [bearer(held), (b"Referer", GOOD + b"/page")])
    assert (answered.passed, answered.status) == (False, 403)

    answered = door(Gate([held]), [bearer(held), (b"Referer", GOOD + b"/page"), (b"Origin", EVIL)])
    assert (answered.passed, answered.status) == (False, 403)


@pytest.mark.parametrize("beside", [(b"Referer", EVIL + b"/page"), (b"Sec-Fetch-Site", b"cross-site")])
def test_middleware_missing_origin_allowed_unless_required(door: Door, beside: tuple[bytes, bytes]) -> None:
    held = app([GOOD.decode()])
    assert door(Gate([held]), [bearer(held), beside]).passed

    strict = app([GOOD.decode()], require_origin=True)
    assert not door(Gate([strict]), [bearer(strict), beside]).passed


@pytest.mark.parametrize("name", [b"Origin", b"ORIGIN", b"oRiGiN"])
def test_middleware_origin_header_name_case_insensitive(door: Door, name: bytes) -> None:
    held = app([GOOD.decode()])
    assert door(Gate([held]), [bearer(held), (name, GOOD)]).passed
    assert not door(Gate([held]), [bearer(held), (name, EVIL)]).passed


@pytest.mark.parametrize("alias", [b"Origin_", b"_Origin", b"X-Origin"])
def test_middleware_similar_header_name_not_used_as_origin(door: Door, alias: bytes) -> None:
    held = app([GOOD.decode()], require_origin=True)
    gate = Gate([held])
    assert not door(gate, [bearer(held), (alias, GOOD)]).passed
    assert not door(gate, [bearer(held), (b"Origin", EVIL), (alias, GOOD)]).passed
    assert door(gate, [bearer(held), (b"Origin", GOOD), (alias, EVIL)]).passed


def test_middleware_underscore_header_not_used_as_app_location(door: Door) -> None:
    """ASGI tells the two names apart; a WSGI server that does not joins them, and two names are refused."""
    mine, other = app([GOOD.decode()], "mine"), app([GOOD.decode()], "other-app")
    gate = Gate([mine, other], app_locations=[Header("X-App-Id")])
    alias = (b"X_App_Id", b"other-app")

    for headers in ([(b"X-App-Id", b"mine"), alias], [alias, (b"X-App-Id", b"mine")]):
        answered = door(gate, [bearer(mine), *headers])
        if answered.passed:
            assert answered.decision is not None
            assert answered.decision.app_id == "mine"
        else:
            assert answered.status == 400
        assert not door(gate, [bearer(other), *headers]).passed

"""OriginPolicy against a slow model of the same policy."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.properties.origin_model import model
from tests.properties.strategies import ANY_TEXT
from tests.support.thorough import example_count
from wicket import ConfigError, OriginPolicy

quick = settings(max_examples=example_count(300), deadline=None)


SCHEMES = st.sampled_from(["https", "http", "HTTPS", "capacitor", "chrome-extension"])
WEB_SCHEMES = st.sampled_from(["https", "http", "HTTPS"])
WILDCARDS = st.sampled_from(["a*b", "a*", "*b", "x-*-y"])
GOOD_LABELS = st.sampled_from(
    ["a", "b", "ab", "axb", "x-a-y", "A", "x-y", "x_y", "com", "example", "xn--80ak6aa92e", "1", "localhost"]
)
ANY_LABELS = GOOD_LABELS | st.sampled_from(
    ["", "-a", "a-", "_a", "a_", "*", "é", "ſ", "K", "a b", "%2f", "@", "\x00", "\n"]
)
PORTS = st.sampled_from(
    ["", "", "", ":443", ":80", ":8443", ":65535", ":65536", ":0", ":0443", ":", ":1e3", ":*", ":٣"]
)


def host_of(labels: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(labels, min_size=1, max_size=4).map(".".join)


PATTERNS = st.one_of(
    st.builds("{}://{}{}".format, SCHEMES, host_of(GOOD_LABELS), PORTS),
    st.builds("{}://*.{}{}".format, WEB_SCHEMES, host_of(GOOD_LABELS), PORTS),
    st.builds("{}://{}.{}.com{}".format, WEB_SCHEMES, WILDCARDS, GOOD_LABELS, PORTS),
    st.builds("{}://{}.{}.{}.com".format, WEB_SCHEMES, GOOD_LABELS, WILDCARDS, GOOD_LABELS),
    st.builds("*.{}".format, host_of(GOOD_LABELS)),
)
ORIGINS = st.one_of(
    st.builds("{}://{}{}".format, SCHEMES, host_of(GOOD_LABELS), PORTS),
    st.builds("{}://{}{}".format, SCHEMES, host_of(ANY_LABELS), PORTS),
    st.builds("{}://{}.{}.com".format, WEB_SCHEMES, GOOD_LABELS, GOOD_LABELS),
    ANY_TEXT,
    st.none(),
)


def built(patterns: list[str]) -> OriginPolicy:
    """The policy of those patterns; a list that cannot be configured has none."""
    try:
        return OriginPolicy(patterns)
    except ConfigError:
        assume(False)
        raise


@quick
@given(patterns=st.lists(PATTERNS, max_size=4), origin=ORIGINS)
@example(["https://a.com"], "https://a.com:443")
@example(["*.a.com"], "https://a.com")
@example(["http://localhost:*"], "http://localhost:1")
def test_origin_policy_any_origin_matches_model(patterns: list[str], origin: str | None) -> None:
    policy = built(patterns)

    assert policy.allows(origin) is model(patterns, origin)


@quick
@given(pattern=PATTERNS, before=host_of(ANY_LABELS), after=st.sampled_from(["", ".", "/", "@", "#", "\\", ".evil.com"]))
def test_origin_policy_origin_derived_from_pattern_matches_model(pattern: str, before: str, after: str) -> None:
    policy = built([pattern])
    whole = f"https://{pattern}" if pattern.startswith("*.") else pattern
    for origin in (
        whole,
        whole + after,
        whole.replace("*.", f"{before}."),
        whole.replace("*.", ""),
        whole.replace("://*.", f"://{before}.").removesuffix(":*"),
        whole.removesuffix(":*") + ":8443",
        whole.upper(),
        f"{before}.{whole}",
        whole.replace("://", f"://{before}@"),
        whole.replace("://", f"://{before}."),
    ):
        assert policy.allows(origin) is model([pattern], origin), origin


@quick
@given(patterns=st.lists(ANY_TEXT | PATTERNS, max_size=3), origin=ANY_TEXT)
def test_origin_policy_any_pattern_decides_or_config_error(patterns: list[str], origin: str) -> None:
    try:
        policy = OriginPolicy(patterns)
    except ConfigError:
        return
    assert policy.allows(origin) in (True, False)
    assert policy.allows(None)


@quick
@given(origin=ANY_TEXT | ORIGINS)
def test_origin_policy_empty_or_star_allows_any_origin(origin: str | None) -> None:
    assert OriginPolicy([]).allows(origin)
    assert OriginPolicy(["https://a.com", "*"]).allows(origin)

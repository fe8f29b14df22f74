"""Origin patterns and origins: the first line is the Origin header, each further line a pattern."""

from __future__ import annotations

from typing import Final

from tests.properties.origin_model import is_label, is_opaque, model, parts_of, small
from wicket import ConfigError, OriginPolicy

WORDS: Final = (
    *("https://", "http://", "capacitor://", "*.", "https://*.", ":*", ":443", ":80", ":8443", ":0", "localhost"),
    *("app://.", "file://", "app-*-team.", "-*-", "app-1-team."),
    *("a.com", "b.a.com", "a.com.evil.com", "null", "*", "[::1]", "@", "/", "_", "-", "xn--", "\u212a", "\u017f"),
)  # fmt: skip
_LONGEST: Final = 512


def check(data: bytes) -> None:
    """One input."""
    origin, *patterns = data.decode("utf-8", "replace").split("\n")
    policies: list[str] = []
    for pattern in patterns:
        try:
            OriginPolicy([pattern])
        except ConfigError:
            continue
        _admissible(pattern)
        policies.append(pattern)
    try:
        policy = OriginPolicy(patterns)
    except ConfigError:
        assert policies != patterns, "the patterns are good one by one, and not together"
        policy = OriginPolicy(policies)
    else:
        assert policies == patterns, "a pattern is good among others, and not alone"
    for asking in {origin, origin.upper(), f"{origin}.evil.com", origin.replace("*", "x"), f"{origin}\n", *patterns}:
        _as_the_model_has_it(policy, policies, asking)
    assert policy.allows(None)


def _admissible(pattern: str) -> None:
    """A pattern that may be configured is an origin whose host is labels, with one `*` at the most for each place."""
    if pattern == "*":
        return
    whole = f"https://{pattern}" if pattern.startswith("*.") else pattern
    assert whole.isascii()
    assert small(whole) != "null"
    assert not set(whole.partition("://")[2]) & set("/@?#\\ \t%")
    if "[" in whole:
        return
    if is_opaque(whole):
        assert OriginPolicy([whole]).allows(whole)
        return
    parts = parts_of(whole.removesuffix(":*"))
    assert parts is not None
    if parts[0] not in ("http", "https", "ws", "wss"):
        assert "*" not in whole, "a custom scheme is listed exactly"
        return
    labels = parts[1][1:] if parts[1][0] == "*" else parts[1]
    assert labels
    assert all(is_label(label.replace("*", "0", 1)) and label != "*" for label in labels)
    assert ".".join(parts[1]).count("*") <= 1
    assert parts[1][0] != "*" or len(labels) > 1 or labels == ["localhost"], "a whole top-level domain"


def _as_the_model_has_it(policy: OriginPolicy, patterns: list[str], origin: str) -> None:
    allowed = policy.allows(origin)
    assert isinstance(allowed, bool)
    if any("[" in each for each in (origin, *patterns)):  # the model knows no IPv6 addresses
        admitted_by_address = any("[" in each for each in patterns)
        assert not (allowed and policy.explicit and "[" in origin and not admitted_by_address)
        return
    assert allowed is ((len(origin) <= _LONGEST and model(patterns, origin)) or not policy.explicit)

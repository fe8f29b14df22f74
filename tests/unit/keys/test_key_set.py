"""A key set is an immutable value: the usable keys, the skipped ones with the reasons, and the source."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import jwk, private_key, rsa_key
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource, read_key_set, read_members
from wicket.keys.urls import check_url
from wicket.keys.weak_keys import RSABounds
from wicket.runtime.base64url import encode

URL = check_url("https://id.example.com/keys?tenant=1")
ALGORITHMS = ("RS256", "ES256", "EdDSA")
SOURCE = KeySource(URL, None, ALGORITHMS)


def kids(keys: Any) -> list[str | None]:
    return [key.kid for key in keys]


def test_key_source_host_from_url_or_issuer() -> None:
    assert SOURCE.host == ("id.example.com", 443)
    assert KeySource(None, "https://Issuer.example.com/tenant", ALGORITHMS).host == ("issuer.example.com", 443)
    assert KeySource(URL, "https://issuer.example.com", ALGORITHMS).host == ("id.example.com", 443)


def test_key_source_repr_excludes_query() -> None:
    source = KeySource(check_url("https://id.example.com/keys?token=secret"), None, ALGORITHMS)
    assert "secret" not in repr(KeySetRef("acme", source))
    assert "https://id.example.com/keys" in repr(source)


def test_key_source_redacted_excludes_query() -> None:
    assert SOURCE.redacted == "https://id.example.com/keys"
    assert KeySource(None, "https://issuer.example.com/a?b", ALGORITHMS).redacted == "https://issuer.example.com/a"


def test_key_set_ref_distinct_per_app_url_issuer_and_algorithms() -> None:
    refs = {
        KeySetRef("a", SOURCE),
        KeySetRef("a", KeySource(URL, None, ALGORITHMS)),
        KeySetRef("b", SOURCE),
        KeySetRef("a", KeySource(URL, None, ("RS256",))),
        KeySetRef("a", KeySource(URL, "https://issuer.example.com", ALGORITHMS)),
        KeySetRef("a", KeySource(check_url("https://id.example.com/keys"), None, ALGORITHMS)),
    }
    assert len(refs) == 5


BROKEN: list[tuple[object, str]] = [
    (None, "a key must be a JSON object"),
    ([], "a key must be a JSON object"),
    ({}, "its kty and crv name no kind of key that signs"),
    ({"kty": "oct"}, "a secret (kty oct) is never taken from a key set"),
    ({"kty": "oct", "k": "AAAA", "alg": "RS256"}, "a secret (kty oct) is never taken from a key set"),
    ({"kty": ["RSA"]}, "its kty and crv name no kind of key that signs"),
    ({"kty": "RSA", "alg": ["RS256"]}, "its alg is not a string"),
    ({"kty": "RSA", "kid": 5}, "its kid is not a string of at most 256 characters"),
    ({"kty": "RSA", "use": "enc"}, "its use is not sig"),
    ({"kty": "RSA", "key_ops": ["encrypt"]}, "its key_ops do not contain verify"),
    ({"kty": "RSA", "n": "AQAB"}, "its member e is not a string"),
]


def test_read_key_set_broken_member_skipped_with_reason() -> None:
    members = [jwk(rsa_key(), kid="first"), *(member for member, _ in BROKEN), jwk(private_key("ES256"), kid="last")]
    held = read_key_set(members, SOURCE)
    assert kids(held.keys) == ["first", "last"]
    assert held.skipped == tuple(f"keys[{index}]: {why}" for index, (_, why) in enumerate(BROKEN, 1))


def test_read_key_set_skip_reason_excludes_key_content() -> None:
    member = jwk(private_key("ES256"), kid="hunter2", y="hunter2hunter2", x="hunter2")
    held = read_key_set([member], SOURCE)
    assert held.keys == ()
    assert "hunter2" not in held.skipped[0]


def test_read_key_set_alg_member_restricts_algorithms() -> None:
    members = [
        jwk(rsa_key(), kid="free"),
        jwk(rsa_key(), kid="bound", alg="RS256"),
        jwk(rsa_key(), kid="other", alg="RS512"),
        jwk(rsa_key(), kid="none", alg="none"),
        jwk(rsa_key(), kid="hmac", alg="HS256"),
        jwk(private_key("Ed448"), kid="ed", alg="Ed448"),
    ]
    held = read_key_set(members, SOURCE)
    assert {key.kid: key.algorithms for key in held.keys} == {
        "free": ("RS256",),
        "bound": ("RS256",),
        "ed": ("Ed448",),
    }
    assert len(held.skipped) == 3


def test_read_key_set_rsa_numbers_out_of_bounds_skipped() -> None:
    huge: dict[str, Any] = {**jwk(rsa_key()), "e": "Af" + "_" * 510}
    wide = {**jwk(rsa_key()), "n": "f" + "_" * 2730}
    even = {**jwk(rsa_key()), "e": "AQAC"}
    held = read_key_set([huge, wide, even], SOURCE)
    assert held.keys == ()
    assert [each.partition(": ")[2] for each in held.skipped[:2]] == [
        "its member e is too long",
        "its member n is too long",
    ]


def test_read_key_set_keys_carry_source_issuer() -> None:
    held = read_key_set([jwk(rsa_key())], KeySource(None, "https://issuer.example.com", ALGORITHMS))
    assert [key.issuer for key in held.keys] == ["https://issuer.example.com"]
    keys, _ = read_members([jwk(rsa_key())], ALGORITHMS, None)
    assert [key.issuer for key in keys] == [None]


def test_key_set_kids_lists_usable_keys_only() -> None:
    members = [jwk(rsa_key(), kid="a"), jwk(rsa_key(), kid="a"), jwk(rsa_key()), {"kty": "oct", "kid": "b"}]
    assert read_key_set(members, SOURCE).kids == {"a"}
    assert read_key_set([], SOURCE).kids == frozenset()


def test_key_set_select_kid_returns_matching_and_unnamed_keys() -> None:
    held = read_key_set([jwk(rsa_key(), kid="a"), jwk(private_key("RS256"), kid="b"), jwk(rsa_key())], SOURCE)
    assert kids(held.select("RS256", "a")) == ["a", None]
    assert kids(held.select("RS256", "unknown")) == [None]
    assert held.select("ES256", "a") == ()


def test_key_set_select_duplicate_kid_filtered_by_algorithm() -> None:
    held = read_key_set([jwk(rsa_key(), kid="a"), jwk(private_key("ES256"), kid="a")], SOURCE)
    assert [key.algorithms for key in held.select("RS256", "a")] == [("RS256",)]
    assert [key.algorithms for key in held.select("ES256", "a")] == [("ES256",)]
    assert held.select("EdDSA", "a") == ()


def test_key_set_select_duplicate_kid_at_most_four_keys() -> None:
    held = read_key_set([jwk(rsa_key(), kid="a")] * 6, SOURCE)
    assert len(held.select("RS256", "a")) == 4
    assert held.never_tried == ("keys[4] (kid 'a')", "keys[5] (kid 'a')")


def test_s10_key_set_select_ambiguous_keys_over_budget_empty() -> None:
    source = KeySource(URL, None, ("ES512",))
    held = read_key_set([jwk(private_key("ES512")), jwk(private_key("ES512"))], source)
    assert held.select("ES512", None) == ()
    assert held.never_tried == ("keys[1]",)


def test_s10_read_key_set_large_rsa_key_skipped_unless_bounds_raised() -> None:
    slow = {**jwk(private_key("RS256")), "e": encode((2**32 - 1).to_bytes(4, "big"))}
    large = {**slow, "e": "AQAB", "n": encode(large_modulus().to_bytes(934, "big"))}
    source = KeySource(URL, None, ("RS256",))
    held = read_key_set([slow, large], source)
    assert held.skipped == (
        "keys[0]: the RSA exponent must be odd, at least 3 and at most 65537",
        "keys[1]: an RSA key must have 2048 to 4096 bits",
    )
    assert len(read_key_set([slow, large], source, RSABounds(8192, 2**32 - 1, prime_test=False)).keys) == 2


def large_modulus() -> int:
    """The product of two primes, of 7470 bits."""
    return (2**4253 - 1) * (2**3217 - 1)


@pytest.mark.parametrize(
    ("members", "tried"),
    [
        ([{"kid": "a"}], ["a"]),
        ([{}], [None]),
        ([{"kid": "a"}, {"kid": "b"}], []),
        ([{"kid": "a"}, {}], []),
        ([], []),
    ],
)
def test_key_set_select_without_kid_requires_single_candidate(
    members: list[dict[str, str]], tried: list[str | None]
) -> None:
    made = [jwk(rsa_key(), **each) for each in members]
    held = read_key_set([*made, jwk(private_key("ES256"), kid="unfit")], SOURCE)
    assert kids(held.select("RS256", None)) == tried


def test_fetched_key_set_immutable() -> None:
    held = FetchedKeySet(read_key_set([], SOURCE), URL, None, None, 1.0, 1.0)
    assert (held.address, held.empty_since) == (None, None)
    with pytest.raises(AttributeError):
        held.etag = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        held.keys.keys = ()  # type: ignore[misc]

"""Which keys are tried for a token, by algorithm and kid."""

from __future__ import annotations

import pytest

from wicket.keys import Keyring
from wicket.keys.algorithms import Key, hmac_key


def key(kid: str | None, *algorithms: str, value: bytes = b"") -> Key:
    return hmac_key(kid, algorithms or ("HS256",), value)


A, B, UNNAMED, LONG = key("a"), key("b"), key(None), key("a", "HS512")


@pytest.mark.parametrize(
    ("algorithm", "kid", "picked"),
    [
        ("HS256", "a", (A, UNNAMED)),
        ("HS256", "b", (B, UNNAMED)),
        ("HS256", "unknown", (UNNAMED,)),
        ("HS256", None, (A, B, UNNAMED)),
        ("HS256", "", (UNNAMED,)),
        ("HS512", "a", (LONG,)),
        ("HS512", "b", ()),
        ("HS512", None, (LONG,)),
        ("HS384", None, ()),
        ("HS384", "a", ()),
        ("hs256", None, ()),
        ("none", None, ()),
    ],
)
def test_a_kid_picks_its_keys_and_those_without(algorithm: str, kid: str | None, picked: tuple[Key, ...]) -> None:
    ring = Keyring([A, B, UNNAMED, LONG])
    assert ring.select(algorithm, kid) == picked
    assert ring.algorithms == {"HS256", "HS512"}
    assert ring.keys == (A, B, UNNAMED, LONG)


def test_an_unknown_kid_picks_no_key_that_has_another() -> None:
    assert Keyring([A, B]).select("HS256", "c") == ()


def test_without_a_kid_at_most_ten_are_tried() -> None:
    keys = [key(f"k{number}") for number in range(12)]
    assert Keyring(keys).select("HS256", None) == tuple(keys[:10])


def test_of_one_kid_at_most_four_are_tried() -> None:
    keys = [key("same", value=bytes([number])) for number in range(6)]
    assert Keyring(keys).select("HS256", "same") == tuple(keys[:4])


def test_for_a_kid_at_most_ten_are_tried_with_those_that_have_none() -> None:
    named = [key("a", value=bytes([number])) for number in range(6)]
    unnamed = [key(None, value=bytes([number])) for number in range(12)]
    ring = Keyring([*unnamed, *named])
    assert ring.select("HS256", "a") == (*named[:4], *unnamed[:6])
    assert ring.select("HS256", "b") == tuple(unnamed[:10])


def test_an_empty_ring_picks_nothing() -> None:
    assert Keyring([]).select("HS256", None) == ()

"""The selection of keys by algorithm and kid."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.unit import private_key
from wicket import App, PublicKey
from wicket.keys import Keyring
from wicket.keys.algorithms import ASYMMETRIC, Key, cost, hmac_key, public_key


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
def test_keyring_select_kid_returns_matching_and_unnamed_keys(
    algorithm: str, kid: str | None, picked: tuple[Key, ...]
) -> None:
    ring = Keyring([A, B, UNNAMED, LONG])
    assert ring.select(algorithm, kid) == picked
    assert ring.algorithms == {"HS256", "HS512"}
    assert ring.keys == (A, B, UNNAMED, LONG)


def test_keyring_select_unknown_kid_empty() -> None:
    assert Keyring([A, B]).select("HS256", "c") == ()


def test_s10_keyring_select_40_secrets_all_tried() -> None:
    keys = [key(f"k{number}") for number in range(40)]
    assert Keyring(keys).select("HS256", None) == tuple(keys)


@pytest.mark.parametrize(
    ("algorithm", "tried"), [("ES256", 6), ("EdDSA", 6), ("RS256", 20), ("ES384", 1), ("ES512", 1), ("Ed448", 1)]
)
def test_s10_keyring_select_public_keys_limited_by_budget(algorithm: str, tried: int) -> None:
    material = private_key(algorithm).public_key()
    keys = [public_key(None, ASYMMETRIC, material) for _ in range(24)]
    ring = Keyring(keys)
    assert ring.select(algorithm, None) == ring.select(algorithm, "any") == tuple(keys[:tried])
    assert ring.never_tried() == tuple(f"keys[{number}]" for number in range(tried, 24))


def test_keyring_select_duplicate_kid_at_most_four_keys() -> None:
    keys = [key("same", value=bytes([number])) for number in range(6)]
    ring = Keyring([key("other"), *keys])
    assert ring.select("HS256", "same") == tuple(keys[:4])
    assert ring.never_tried(without_kid=False) == ("keys[5] (kid 'same')", "keys[6] (kid 'same')")


@pytest.mark.parametrize(("bits", "costs"), [(2048, 20), (2049, 21), (3072, 30), (4096, 40), (8192, 80)])
def test_s10_key_cost_rsa_proportional_to_key_size(bits: int, costs: int) -> None:
    material = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
    assert cost(Key(None, ("RS256",), b"", material), "RS256") == costs


def test_s10_keyring_select_kid_matches_first_within_budget() -> None:
    material = private_key("ES256").public_key()
    unnamed = [public_key(None, ASYMMETRIC, material) for _ in range(5)]
    named = [public_key("a", ASYMMETRIC, material) for _ in range(4)]
    ring = Keyring([*unnamed, *named])
    assert ring.select("ES256", "a") == (*named, *unnamed[:2])
    assert ring.select("ES256", "b") == tuple(unnamed)
    assert ring.never_tried() == ring.never_tried(without_kid=False) == ()


def test_s10_keyring_select_distinct_kids_each_key_selectable() -> None:
    material = private_key("ES512").public_key()
    keys = [public_key(f"k{number}", ASYMMETRIC, material) for number in range(3)]
    ring = Keyring(keys)
    assert ring.select("ES512", None) == (keys[0],)
    assert [ring.select("ES512", f"k{number}") for number in range(3)] == [(each,) for each in keys]
    assert ring.never_tried() == ()


def test_s10_app_keys_over_budget_logs_warning(caplog: pytest.LogCaptureFixture) -> None:
    credentials = [PublicKey(public_key(None, ASYMMETRIC, private_key("ES512").public_key())) for _ in range(3)]
    App("acme", credentials=credentials[:1])
    assert caplog.messages == []
    App("acme", credentials=credentials)
    (message,) = caplog.messages
    assert message.startswith("app acme: 2 keys are never tried")
    assert "keys[1], keys[2]" in message
    assert caplog.records[0].levelname == "WARNING"


def test_keyring_select_empty_keyring_empty() -> None:
    assert Keyring([]).select("HS256", None) == ()

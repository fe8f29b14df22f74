"""The signature cache is bounded, and an entry applies only to its own key and token."""

from __future__ import annotations

import json

import pytest

from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader

HEADER = JOSEHeader("HS256", None, "JWT")
SIGNED = VerifiedPayload(HEADER, b"key", b"{}", {})


def cache(total: int = 10, per_app: int = 5, max_bytes: int = 100) -> SignatureCache:
    return SignatureCache(total=total, per_app=per_app, max_bytes=max_bytes)


def fill(held: SignatureCache, app: str, *names: str) -> None:
    for name in names:
        held.add(app, name.encode(), "token", SIGNED)


def recalled(held: SignatureCache, app: str, *names: str) -> list[str]:
    return [name for name in names if held.get(app, name.encode()) is not None]


def test_signature_cache_get_only_same_app_and_key_returns_entry() -> None:
    held = cache()
    fill(held, "a", "k1")
    assert held.get("a", b"k1") is SIGNED
    assert held.get("a", b"k2") is None
    assert held.get("b", b"k1") is None
    assert len(held) == 1


def test_signature_cache_same_key_twice_single_entry() -> None:
    held = cache()
    fill(held, "a", "k1", "k1")
    assert len(held) == 1


def test_signature_cache_token_over_max_bytes_not_cached() -> None:
    held = cache(max_bytes=5)
    held.add("a", b"k1", "12345", SIGNED)
    held.add("a", b"k2", "123456", SIGNED)
    assert recalled(held, "a", "k1", "k2") == ["k1"]


def test_signature_cache_per_app_limit_reached_oldest_evicted() -> None:
    held = cache(per_app=2)
    fill(held, "a", "k1", "k2", "k3")
    assert recalled(held, "a", "k1", "k2", "k3") == ["k2", "k3"]
    assert len(held) == 2


def test_signature_cache_per_app_limit_one_newest_kept() -> None:
    held = cache(per_app=1)
    fill(held, "a", "k1", "k2")
    assert recalled(held, "a", "k1", "k2") == ["k2"]
    assert len(held) == 1


def test_signature_cache_full_by_one_app_other_app_kept() -> None:
    held = cache(total=4, per_app=4)
    fill(held, "quiet", "q1")
    fill(held, "loud", *(f"k{number}" for number in range(20)))
    assert recalled(held, "quiet", "q1") == ["q1"]
    assert len(held) == 4


def test_signature_cache_full_other_app_entry_added() -> None:
    held = cache(total=2, per_app=2)
    fill(held, "a", "a1", "a2")
    fill(held, "b", "b1")
    assert recalled(held, "b", "b1") == ["b1"]
    assert recalled(held, "a", "a1", "a2") == ["a2"]
    fill(held, "c", "c1")
    assert recalled(held, "c", "c1") == ["c1"]
    assert len(held) == 2


def test_signature_cache_many_apps_size_bounded() -> None:
    held = cache(total=3, per_app=3)
    for number in range(30):
        fill(held, f"app-{number}", "k")
        assert held.get(f"app-{number}", b"k") is SIGNED
        assert len(held) <= 3


def test_signature_cache_clear_app_removes_only_that_app() -> None:
    held = cache()
    fill(held, "a", "k1", "k2")
    fill(held, "b", "k1")
    held.clear_app("a")
    held.clear_app("unknown")
    assert recalled(held, "a", "k1", "k2") == []
    assert recalled(held, "b", "k1") == ["k1"]
    assert len(held) == 1


def test_signature_cache_after_fork_entries_kept() -> None:
    held = cache()
    fill(held, "a", "k1")
    held.after_fork()
    fill(held, "a", "k2")
    assert recalled(held, "a", "k1", "k2") == ["k1", "k2"]
    assert len(held) == 2


def test_signature_cache_same_key_added_again_latest_entry_returned() -> None:
    held = cache()
    held.add("a", b"digest", "token", SIGNED)
    other = VerifiedPayload(HEADER, b"yek", b"{}", {})
    held.add("a", b"digest", "token", other)
    found = held.get("a", b"digest")
    assert found is other
    assert found.fingerprint == b"yek"
    assert len(held) == 1
    assert held.get("a", b"tsegid") is None


@pytest.mark.parametrize("wrong", [{"exp": "soon"}, {"iat": True}, {"nbf": None}, {"exp": 1e300}])
def test_verified_payload_invalid_times_none(wrong: dict[str, object]) -> None:
    assert VerifiedPayload(HEADER, b"key", b"{}", wrong).times is None
    assert VerifiedPayload(HEADER, b"key", b"{}", {"exp": 2, "iat": 1.5}).times == (2, None, 1.5)


@pytest.mark.parametrize("secret", ["user-1", "payload"])
def test_verified_payload_repr_contains_no_payload_or_claims(secret: str) -> None:
    assert secret not in repr(VerifiedPayload(HEADER, b"key", b'{"payload": 1}', {"sub": "user-1"}))


def payload_of(members: int) -> tuple[bytes, dict[str, int]]:
    held = {f"m{number}": number for number in range(members)}
    return json.dumps(held).encode(), held


@pytest.mark.parametrize(("members", "kept"), [(1, True), (64, True), (65, False), (1000, False)])
def test_verified_payload_cached_claims_only_for_small_payload(members: int, kept: bool) -> None:
    payload, held = payload_of(members)
    signed = VerifiedPayload(HEADER, b"key", payload, held)
    assert (signed.payload, signed.cached_claims is held) == (payload, kept)
    assert (signed.cached_claims is None) is not kept
    assert signed.claims == held


@pytest.mark.parametrize("nested", [[[]] * 80, [{}] * 80, list(range(80))])
def test_verified_payload_cached_claims_large_nested_value_none(nested: object) -> None:
    held = {"a": nested}
    assert VerifiedPayload(HEADER, b"key", json.dumps(held).encode(), held).cached_claims is None

"""The signature memory remembers signatures, within bounds, and each only for its very key and token."""

from __future__ import annotations

import json

import pytest

from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader

HEADER = JOSEHeader("HS256", None, "JWT")
SIGNED = VerifiedPayload(HEADER, b"key", b"{}", {})


def memory(total: int = 10, per_app: int = 5, max_bytes: int = 100) -> SignatureCache:
    return SignatureCache(total=total, per_app=per_app, max_bytes=max_bytes)


def fill(held: SignatureCache, app: str, *names: str) -> None:
    for name in names:
        held.add(app, name.encode(), "token", SIGNED)


def recalled(held: SignatureCache, app: str, *names: str) -> list[str]:
    return [name for name in names if held.get(app, name.encode()) is not None]


def test_what_was_remembered_is_recalled_for_that_app_alone() -> None:
    held = memory()
    fill(held, "a", "k1")
    assert held.get("a", b"k1") is SIGNED
    assert held.get("a", b"k2") is None
    assert held.get("b", b"k1") is None
    assert len(held) == 1


def test_the_same_signature_counts_once() -> None:
    held = memory()
    fill(held, "a", "k1", "k1")
    assert len(held) == 1


def test_a_long_token_is_not_worth_it() -> None:
    held = memory(max_bytes=5)
    held.add("a", b"k1", "12345", SIGNED)
    held.add("a", b"k2", "123456", SIGNED)
    assert recalled(held, "a", "k1", "k2") == ["k1"]


def test_the_oldest_of_an_app_make_room_for_its_newest() -> None:
    held = memory(per_app=2)
    fill(held, "a", "k1", "k2", "k3")
    assert recalled(held, "a", "k1", "k2", "k3") == ["k2", "k3"]
    assert len(held) == 2


def test_an_app_may_have_but_one() -> None:
    held = memory(per_app=1)
    fill(held, "a", "k1", "k2")
    assert recalled(held, "a", "k1", "k2") == ["k2"]
    assert len(held) == 1


def test_an_app_that_fills_the_memory_pushes_out_its_own() -> None:
    held = memory(total=4, per_app=4)
    fill(held, "quiet", "q1")
    fill(held, "loud", *(f"k{number}" for number in range(20)))
    assert recalled(held, "quiet", "q1") == ["q1"]
    assert len(held) == 4


def test_a_full_memory_makes_room_for_another_app() -> None:
    held = memory(total=2, per_app=2)
    fill(held, "a", "a1", "a2")
    fill(held, "b", "b1")
    assert recalled(held, "b", "b1") == ["b1"]
    assert recalled(held, "a", "a1", "a2") == ["a2"]
    fill(held, "c", "c1")
    assert recalled(held, "c", "c1") == ["c1"]
    assert len(held) == 2


def test_many_apps_with_one_signature_each_take_turns() -> None:
    held = memory(total=3, per_app=3)
    for number in range(30):
        fill(held, f"app-{number}", "k")
        assert held.get(f"app-{number}", b"k") is SIGNED
        assert len(held) <= 3


def test_an_app_is_forgotten_as_a_whole() -> None:
    held = memory()
    fill(held, "a", "k1", "k2")
    fill(held, "b", "k1")
    held.clear_app("a")
    held.clear_app("unknown")
    assert recalled(held, "a", "k1", "k2") == []
    assert recalled(held, "b", "k1") == ["k1"]
    assert len(held) == 1


def test_a_forked_child_keeps_what_was_remembered() -> None:
    held = memory()
    fill(held, "a", "k1")
    held.after_fork()
    fill(held, "a", "k2")
    assert recalled(held, "a", "k1", "k2") == ["k1", "k2"]
    assert len(held) == 2


def test_a_signature_names_the_key_that_made_it_and_the_latest_counts() -> None:
    held = memory()
    held.add("a", b"digest", "token", SIGNED)
    other = VerifiedPayload(HEADER, b"yek", b"{}", {})
    held.add("a", b"digest", "token", other)
    found = held.get("a", b"digest")
    assert found is other
    assert found.fingerprint == b"yek"
    assert len(held) == 1
    assert held.get("a", b"tsegid") is None


@pytest.mark.parametrize("wrong", [{"exp": "soon"}, {"iat": True}, {"nbf": None}, {"exp": 1e300}])
def test_dates_without_their_form_are_no_dates(wrong: dict[str, object]) -> None:
    assert VerifiedPayload(HEADER, b"key", b"{}", wrong).times is None
    assert VerifiedPayload(HEADER, b"key", b"{}", {"exp": 2, "iat": 1.5}).times == (2, None, 1.5)


@pytest.mark.parametrize("secret", ["user-1", "payload"])
def test_the_repr_of_a_signature_tells_nothing(secret: str) -> None:
    assert secret not in repr(VerifiedPayload(HEADER, b"key", b'{"payload": 1}', {"sub": "user-1"}))


def payload_of(members: int) -> tuple[bytes, dict[str, int]]:
    held = {f"m{number}": number for number in range(members)}
    return json.dumps(held).encode(), held


@pytest.mark.parametrize(("members", "kept"), [(1, True), (64, True), (65, False), (1000, False)])
def test_only_the_claims_of_a_small_payload_are_kept(members: int, kept: bool) -> None:
    payload, held = payload_of(members)
    signed = VerifiedPayload(HEADER, b"key", payload, held)
    assert (signed.payload, signed.cached_claims is held) == (payload, kept)
    assert (signed.cached_claims is None) is not kept
    assert signed.claims == held


@pytest.mark.parametrize("nested", [[[]] * 80, [{}] * 80, list(range(80))])
def test_what_is_nested_in_a_claim_counts_too(nested: object) -> None:
    held = {"a": nested}
    assert VerifiedPayload(HEADER, b"key", json.dumps(held).encode(), held).cached_claims is None

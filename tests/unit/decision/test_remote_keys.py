"""A load that a limit of this process does not allow costs a key set none of its fetches for unknown kids."""

from __future__ import annotations

import pytest

from tests.attacks.published import Clocks, Published, is_signed_by, of_set
from tests.support.unit import NOW
from wicket import Gate, Refusal
from wicket.runtime.pool import Pool


def refusal_of(gate: Gate, kid: str) -> Refusal:
    refusal = gate.verify(is_signed_by("a stranger", kid, NOW), app="acme").refusal
    assert refusal is not None
    return refusal


def test_find_remote_keys_pool_full_limited_and_fetch_refunded(monkeypatch: pytest.MonkeyPatch) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").allowed
        with monkeypatch.context() as patch:
            patch.setattr(Pool, "submit", lambda *_: False)
            for number in range(5):  # the budget has two fetches
                refusal = refusal_of(gate, f"invented-{number}")
                assert (refusal.code, refusal.limited, refusal.retry_after) == ("keys_unavailable", True, 1)
        assert published.fetches == 1

        assert [refusal_of(gate, f"later-{number}").reason for number in range(2)] == ["key_not_found"] * 2
        assert published.fetches == 3, "both fetches were still permitted"
        assert refusal_of(gate, "one more").code == "keys_unavailable"
        assert published.fetches == 3

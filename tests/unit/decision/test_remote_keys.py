"""A load that a limit of this process does not allow costs a key set none of its fetches for unknown kids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.published import ISSUER, URL, Clocks, Published, is_signed_by, of_set
from tests.attacks.token_factory import app
from tests.support.unit import NOW
from wicket import Gate, Jwks, Refusal
from wicket.jwks.fetcher import FetchFailed
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


def test_find_remote_keys_load_of_another_request_ended_before_the_start_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").allowed
        clocks.advance(10)
        cache, limiter = gate._key_sets.cache, gate._key_sets.unknown
        acquire, calls = limiter.try_acquire, 0

        def acquire_after_another_load(*arguments: Any) -> bool:
            nonlocal calls
            calls += 1
            if calls == 1:  # the same set, of a load that began before this request arrived
                ((ref, entry),) = cache._entries.items()
                cache._entries[ref] = entry._replace(version=next(cache._versions))
            return acquire(*arguments)

        monkeypatch.setattr(limiter, "try_acquire", acquire_after_another_load)
        assert refusal_of(gate, "1").reason == "bad_signature"
        assert (calls, published.fetches) == (2, 2)
        monkeypatch.undo()
        assert refusal_of(gate, "invented").reason == "key_not_found"
        assert published.fetches == 3, "the fetch that was not started was refunded"


def test_find_remote_keys_load_after_failure_ended_before_the_start_refunds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").allowed
        published.failure = FetchFailed("timeout")
        clocks.advance(10)
        assert refusal_of(gate, "invented").code == "keys_unavailable"
        published.failure = None
        clocks.advance(10)
        cache, limiter = gate._key_sets.cache, gate._key_sets.unknown
        loading, calls = cache.loading, 0

        def loading_after_another_load(ref: Any) -> bool:
            nonlocal calls
            calls += 1
            if calls == 2:  # the first call is that at the arrival of the request
                entry = cache._entries[ref]
                cache._entries[ref] = entry._replace(version=next(cache._versions), failures=0)
            return loading(ref)

        refunds: list[object] = []
        monkeypatch.setattr(cache, "loading", loading_after_another_load)
        monkeypatch.setattr(limiter, "refund", refunds.append)
        assert refusal_of(gate, "later").reason == "key_not_found"
        assert (refunds, published.fetches) == ([], 3), "a retry after a failure spends no budget"


def test_find_remote_keys_load_of_another_request_ended_before_a_spent_budget_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").allowed
        clocks.advance(10)
        published.keys["2"] = "second"
        cache, limiter = gate._key_sets.cache, gate._key_sets.unknown

        def refuse_after_another_load(ref: Any, *_: object) -> bool:
            started = cache.start(ref, cache._entries[ref].version)
            assert started is not None
            started.done.result(30)
            return False

        monkeypatch.setattr(limiter, "try_acquire", refuse_after_another_load)
        monkeypatch.setattr(limiter, "due_in", lambda ref: 99.0)  # longer than the request may wait
        assert gate.verify(is_signed_by("second", "2", NOW), app="acme").allowed
        assert published.fetches == 2


@pytest.mark.parametrize(
    ("keys", "kid", "detail"),
    [
        (
            {"1": "first", "2": "second"},
            None,
            "The token has no kid, and this app has several keys for its algorithm: the kid must name the key.",
        ),
        ({"1": "first", "2": "second"}, "3", "This app has no key for the token's kid."),
        ({"1": "first"}, "1", None),
    ],
)
def test_p4_find_remote_keys_no_key_selected_reason_named(
    keys: dict[str | None, str], kid: str | None, detail: str | None
) -> None:
    published, clocks = Published(keys), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        refusal = gate.verify(is_signed_by("first", kid, NOW), app="acme").refusal
        assert (None if refusal is None else refusal.detail) == detail
        assert refusal is None or refusal.reason == "key_not_found"


def test_p4_find_remote_keys_key_bound_to_another_algorithm_named() -> None:
    issuer = app("acme", Jwks(URL, algorithms=["ES256", "ES384"]), issuer=ISSUER)
    published, clocks = Published({"1": "first"}), Clocks()
    with Gate([issuer], fetcher=published, **clocks.settings()) as gate:
        for kid, detail in (
            ("1", "This app's key with the token's kid is for other algorithms: ES256."),
            (None, "This app has no key for the token's algorithm."),
        ):
            refusal = gate.verify(is_signed_by("first", kid, NOW, "ES384"), app="acme").refusal
            assert refusal is not None
            assert (refusal.reason, refusal.detail) == ("key_not_found", detail)
        refusal = gate.verify(is_signed_by("first", "1", NOW, "RS256"), app="acme").refusal
        assert refusal is not None
        assert refusal.detail == "This app does not allow the token's algorithm RS256. Its keys are for ES256, ES384."

"""Unknown kids, replaced keys and strangers at remote key sets: a genuine user never hears that the token is bad."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.attacks.clients import Behind
from tests.attacks.key_set_requests import (
    ADA,
    BAD_SIGNATURE,
    NOT_FOUND,
    UNAVAILABLE,
    UNUSABLE,
    guess,
    refusal_of,
    spend,
)
from tests.attacks.published import ISSUER, URL, Clocks, Published, is_signed_by, of_set
from tests.attacks.token_factory import NOW, app, private_key, public_key, signed
from tests.integration.servers import eventually
from wicket import App, Gate, Jwks, Limits, Mode
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.keys.algorithms import Key
from wicket.keys.urls import KeySetUrl
from wicket.reporting.events import DecisionEvent

# --- A1


def test_a1_unknown_kid_guessed_earlier_newer_token_refetches(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "key-1", NOW)).said == ADA
    door.gate.verify(guess("key-2"), app="acme")
    published.keys["key-2"] = "second"
    clocks.advance(1)
    assert door.ask(is_signed_by("second", "key-2", NOW + 1)).said == ADA
    assert published.fetches == 3


def test_a1_kid_limiter_exhausted_new_key_keys_unavailable(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    events: list[object] = []
    door = behind(of_set(), fetcher=published, on_event=events.append, **clocks.settings())
    assert door.ask(is_signed_by("first", "key-1", NOW)).said == ADA
    spend(door.gate)
    published.keys["key-2"] = "second"
    new = is_signed_by("second", "key-2", NOW)
    answered = door.ask(new)
    assert answered.said == UNAVAILABLE
    assert answered.headers["retry-after"] == "30"
    assert "www-authenticate" not in answered.headers
    decided = [each for each in events if isinstance(each, DecisionEvent)][-1]
    assert (decided.code, decided.limited, decided.impatient) == ("keys_unavailable", True, False)
    assert [each.limited for each in door.gate.outcomes() if each.code == "keys_unavailable"] == [True]
    clocks.advance(30)
    assert door.ask(new).said == ADA
    assert published.fetches == 4


def test_a1_kid_limiter_exhausted_token_older_than_set_key_not_found(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "key-1", NOW)).said == ADA
    spend(door.gate)
    for iat, said in ((NOW - 31, NOT_FOUND), (NOW - 30, UNAVAILABLE), (NOW, UNAVAILABLE), (None, UNAVAILABLE)):
        assert door.ask(guess("later", iat)).said == said, iat
    assert published.fetches == 3


def test_a1_token_issued_in_future_no_fetch(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    door.ask(is_signed_by("first", "key-1", NOW))
    assert door.ask(guess("later", NOW + 31)).said == (401, "invalid_token", "issued_in_future")
    assert published.fetches == 1
    assert door.gate.verify(guess("later", NOW + 30), app="acme").refusal is not None
    assert published.fetches == 2


def test_a1_kid_limiter_ten_thousand_kids_three_fetches() -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    one = guess("x" * 8).split(".")
    limits = Limits(load_timeout=0.01)
    with Gate([of_set()], fetcher=published, limits=limits, **clocks.settings()) as gate:
        gate.verify(is_signed_by("first", "key-1", NOW), app="acme")
        for number in range(10_000):
            header = guess(f"{number:08}").split(".")[0] if number < 100 else one[0][:-4] + f"{number:04}"
            gate.verify(".".join([header, *one[1:]]), app="acme")
            clocks.advance(0.003)
    assert published.fetches <= 1 + 3


def test_a1_kid_limiter_repeated_forged_token_one_fetch() -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    with Gate([of_set()], fetcher=published, **clocks.settings()) as gate:
        gate.verify(is_signed_by("first", "key-1", NOW), app="acme")
        forged = guess("invented")
        assert {refusal_of(gate, forged).reason for _ in range(20)} == {"key_not_found"}
    assert published.fetches == 2


QUICK = Limits(unknown_kid_interval=0.6)


def test_a1_kid_limiter_waiting_requests_share_next_fetch() -> None:
    published = Published({"key-1": "first"})

    async def main() -> None:
        with Gate([of_set()], fetcher=published, clock=lambda: NOW, limits=QUICK) as gate:
            await gate.averify(is_signed_by("first", "key-1", NOW), app="acme")
            spend(gate)
            published.keys["key-2"] = "second"
            before = published.fetches
            new = [gate.averify(is_signed_by("second", "key-2", NOW, sub=f"u{n}"), app="acme") for n in range(50)]
            leaving = asyncio.create_task(gate.averify(is_signed_by("second", "key-2", NOW), app="acme"))
            waiting = [asyncio.create_task(each) for each in new]
            await asyncio.sleep(0)
            leaving.cancel()
            decisions = await asyncio.gather(*waiting)
            assert {each.refusal for each in decisions} == {None}
            assert published.fetches <= before + 2

    asyncio.run(main())


def test_a1_kid_limiter_sync_request_waits_for_fetch() -> None:
    published = Published({"key-1": "first"})
    with Gate([of_set()], fetcher=published, clock=lambda: NOW, limits=QUICK) as gate:
        gate.verify(is_signed_by("first", "key-1", NOW), app="acme")
        spend(gate)
        published.keys["key-2"] = "second"
        assert gate.verify(is_signed_by("second", "key-2", NOW), app="acme").refusal is None


def test_a1_kid_limiter_forged_requests_two_waiting_threads() -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    limits = Limits(unknown_kid_interval=4.0)
    with Gate([of_set()], fetcher=published, limits=limits, **clocks.settings()) as gate:
        gate.verify(is_signed_by("first", "key-1", NOW), app="acme")
        gate.verify(guess("one"), app="acme")
        gate.verify(guess("two"), app="acme")
        with ThreadPoolExecutor(16) as threads:
            asked = [threads.submit(gate.verify, guess(f"more-{number}"), app="acme") for number in range(16)]
            eventually("all but two were answered at once", lambda: sum(each.done() for each in asked) >= 14)
            assert Counter(each.done() for each in asked) == {True: 14, False: 2}
            clocks.advance(4)
        assert sum(1 for each in asked if (refusal := each.result().refusal) and refusal.limited) >= 14


def test_a1_kid_limiter_log_only_allowed_and_marked(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first"}), Clocks()
    events: list[object] = []
    limits = Limits(unknown_kid_interval=4.0)
    door = behind(
        of_set(mode=Mode.LOG_ONLY), fetcher=published, on_event=events.append, limits=limits, **clocks.settings()
    )
    door.ask(is_signed_by("first", "key-1", NOW))
    for number in range(2):
        door.gate.verify(guess(f"invented-{number}"), app="acme")
    assert door.ask(guess("other")).body["verified"] is False
    decided = [each for each in events if isinstance(each, DecisionEvent)][-1]
    assert (decided.code, decided.enforced) == ("keys_unavailable", False)
    assert (decided.limited, decided.impatient) == (True, True), "an enforced app would have waited"


def test_a1_kid_limiter_payload_without_valid_iat_keys_unavailable(behind: Behind) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(signed({"alg": "ES256", "kid": "1"}, "[]", private_key("ES256", "first"), "ES256")).said == (
        *BAD_SIGNATURE[:2],
        "malformed",
    )
    spend(door.gate)
    odd: list[object] = ["[]", {"iat": True}, {"iat": "1"}, {"iat": 10**12}]
    for payload in odd:
        forged = signed({"alg": "ES256", "kid": "later"}, payload, private_key("ES256", "a stranger"), "ES256")
        assert door.ask(forged).said == UNAVAILABLE, payload


# --- A2, A3


def test_a2_new_kid_key_without_kid_in_set_refetched(behind: Behind) -> None:
    published, clocks = Published({None: "unnamed", "a": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "a", NOW)).said == ADA
    published.keys["b"] = "second"
    assert door.ask(is_signed_by("unnamed", "c", NOW)).said == ADA, "a key without kid that verifies needs no fetch"
    assert published.fetches == 1
    assert door.ask(is_signed_by("second", "b", NOW)).said == ADA
    assert published.fetches == 2
    spend(door.gate)
    assert door.ask(guess("d")).said == UNAVAILABLE
    assert door.ask(guess("d", NOW - 60)).said == BAD_SIGNATURE


@pytest.mark.parametrize("kid", ["1", None], ids=["same kid", "no kids"])
def test_a3_key_replaced_under_same_kid_refetched_once(behind: Behind, kid: str | None) -> None:
    published, clocks = Published({kid: "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", kid, NOW)).said == ADA
    published.keys[kid] = "second"
    assert door.ask(is_signed_by("second", kid, NOW)).said == ADA
    assert published.fetches == 2


def test_a3_a_token_without_kid_asks_once_more_where_the_older_set_has_several_keys_for_it(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first", "key-2": "second"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "key-1", NOW)).said == ADA
    clocks.advance(60)
    assert door.ask(is_signed_by("second", None, NOW - 60)).said == NOT_FOUND  # the set is newer than this token
    assert published.fetches == 1
    del published.keys["key-1"]
    assert door.ask(is_signed_by("second", None, NOW + 60)).said == ADA
    assert published.fetches == 2


def test_a3_tokens_without_kid_that_fit_several_keys_ask_within_the_budget(behind: Behind) -> None:
    published, clocks = Published({"key-1": "first", "key-2": "second"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "key-1", NOW)).said == ADA
    for number in range(6):
        assert door.ask(is_signed_by("second", None, NOW, sub=f"u{number}")).said == NOT_FOUND
    assert published.fetches == 1 + 2


def test_a3_bad_signature_refetch_limited_none_for_older_token(behind: Behind) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    door.ask(is_signed_by("first", "1", NOW))
    assert door.ask(guess("1", NOW - 31)).said == BAD_SIGNATURE
    assert published.fetches == 1, "the set is newer than the token"
    forged = guess("1")
    assert [door.ask(forged).said for _ in range(5)] == [BAD_SIGNATURE] * 5
    assert published.fetches == 2, "the fetch brought the same key"
    for number in range(20):
        assert door.ask(is_signed_by("a stranger", "1", NOW, sub=f"user-{number}")).said == BAD_SIGNATURE
    assert published.fetches == 3, "the budget is that of unknown kids"


def test_a3_second_key_set_token_verified_by_first_no_refetch() -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    two = [Jwks(f"{URL}/{number}", algorithms=["ES256"]) for number in range(2)]
    with Gate([app("acme", *two, issuer=ISSUER)], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").refusal is None
        clocks.advance(100)
        assert gate.verify(is_signed_by("first", "1", NOW + 100), app="acme").refusal is None
    assert published.fetches == 2


# --- two issuers that publish one key, as an identity provider with a domain of the customer's own does


def of_two_issuers() -> tuple[App, dict[str, Published], Callable[..., Fetched]]:
    """An app with the sets of two issuers, what each of them publishes, and the fetcher for both."""
    sets = {f"{URL}/{name}": Published({"1": "shared"}) for name in ("own", "other")}
    issuers = (ISSUER, "https://other.example")
    credentials = [Jwks(url, issuer=of, algorithms=["ES256"]) for url, of in zip(sets, issuers, strict=True)]
    held = app("acme", *credentials)
    return (
        held,
        dict(zip(("own", "other"), sets.values(), strict=True)),
        lambda url, **known: sets[url.redacted](url, **known),
    )


def of_other(owner: str, kid: str) -> str:
    return is_signed_by(owner, kid, NOW, iss="https://other.example")


def test_a4_a_key_of_another_issuer_hides_no_outage_of_the_tokens_own(behind: Behind) -> None:
    held, published, fetcher = of_two_issuers()
    published["other"].failure = FetchFailed("status")
    door = behind(held, fetcher=fetcher, **Clocks().settings())
    assert door.ask(is_signed_by("shared", "1", NOW)).said == ADA
    assert door.ask(of_other("shared", "1")).said == UNUSABLE
    stranger = is_signed_by("shared", "1", NOW, iss="https://third.example")
    assert door.ask(stranger).said == (401, "invalid_token", "wrong_issuer")


def test_a1_a_new_key_is_looked_for_at_the_tokens_issuer_though_another_publishes_it(behind: Behind) -> None:
    held, published, fetcher = of_two_issuers()
    clocks = Clocks()
    door = behind(held, fetcher=fetcher, **clocks.settings())
    assert door.ask(of_other("shared", "1")).said == ADA
    published["own"].keys["2"] = "new"
    clocks.advance(60)
    assert door.ask(is_signed_by("new", "2", NOW + 60)).said == ADA
    assert door.ask(of_other("new", "2")).said == (401, "invalid_token", "wrong_issuer"), "it does not publish it"
    published["other"].keys["2"] = "new"
    clocks.advance(60)
    assert door.ask(is_signed_by("new", "2", NOW + 120, iss="https://other.example")).said == ADA
    assert published["other"].fetches == 3


# --- the budget of cost (S10): one ES384 check spends most of it


@pytest.mark.parametrize("kid", ["1", None], ids=["same kid", "no kids"])
def test_a3_a_replaced_key_whose_check_is_slow_is_tried_beside_the_one_before(behind: Behind, kid: str | None) -> None:
    published, clocks = Published({kid: "first"}, "ES384"), Clocks()
    door = behind(of_set(algorithm="ES384"), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", kid, NOW, "ES384")).said == ADA
    published.keys[kid] = "second"
    assert door.ask(is_signed_by("second", kid, NOW, "ES384")).said == ADA


def test_a2_a_new_key_whose_check_is_slow_is_tried_beside_a_key_without_kid(behind: Behind) -> None:
    published, clocks = Published({None: "unnamed"}, "ES384"), Clocks()
    door = behind(of_set(algorithm="ES384"), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("unnamed", "a", NOW, "ES384")).said == ADA
    published.keys["b"] = "second"
    assert door.ask(is_signed_by("second", "b", NOW, "ES384")).said == ADA
    assert door.ask(is_signed_by("second", "b", NOW, "ES384")).said == ADA, "and from then on"


def test_s10_a_local_key_without_kid_does_not_keep_out_the_remote_key_that_a_token_names(behind: Behind) -> None:
    published, clocks = Published({"1": "first"}, "ES384"), Clocks()
    held = app("acme", public_key("ES384", "local"), Jwks(URL, algorithms=["ES384"]), issuer=ISSUER)
    door = behind(held, fetcher=published, **clocks.settings())
    for _ in range(2):  # with the set not in hand, and in hand
        assert door.ask(is_signed_by("first", "1", NOW, "ES384")).said == ADA
        assert door.ask(is_signed_by("local", "of the local key", NOW, "ES384")).said == ADA
    assert published.fetches == 1
    assert door.ask(is_signed_by("a stranger", "1", NOW - 60, "ES384")).said == BAD_SIGNATURE


def test_s10_a_key_of_one_set_without_kid_does_not_keep_out_the_named_key_of_another(behind: Behind) -> None:
    clocks = Clocks()
    sets = {f"{URL}/1": Published({None: "unnamed"}, "ES384"), f"{URL}/2": Published({"1": "first"}, "ES384")}
    held = app("acme", *[Jwks(url, algorithms=["ES384"]) for url in sets], issuer=ISSUER)

    def fetcher(url: KeySetUrl, **known: Any) -> Fetched:
        return sets[url.redacted](url, **known)

    door = behind(held, fetcher=fetcher, **clocks.settings())
    for _ in range(2):
        assert door.ask(is_signed_by("first", "1", NOW, "ES384")).said == ADA


def test_s10_a_forged_token_costs_one_slow_check_while_all_keys_are_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    published, clocks = Published({"1": "first"}, "ES384"), Clocks()
    held = app("acme", public_key("ES384", "local"), Jwks(URL, algorithms=["ES384"]), issuer=ISSUER)
    with Gate([held], fetcher=published, **clocks.settings()) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW, "ES384"), app="acme").allowed
        tried: list[str | None] = []
        verify = Key.verify

        def noted(key: Key, algorithm: str, message: bytes, signature: bytes) -> bool:
            tried.append(key.kid)
            return verify(key, algorithm, message, signature)

        monkeypatch.setattr(Key, "verify", noted)
        assert not gate.verify(is_signed_by("a stranger", "1", NOW - 60, "ES384"), app="acme").allowed
    assert tried == ["1"]

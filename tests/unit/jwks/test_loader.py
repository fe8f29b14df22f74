"""One load of a key set: the accepted documents, their lifetimes, and the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.unit import Clock, jwk, private_key, rsa_key
from tests.unit.jwks.support import PUBLIC, Documents, failure_of, fetched
from wicket.jwks.fetcher import FetchFailed
from wicket.jwks.loader import KeySetLoader, LoadReport
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource
from wicket.keys.urls import check_url
from wicket.runtime.cache import Loaded

URL = "https://id.example.com/keys?secret=hunter2"
SHOWN = "https://id.example.com/keys"
ISSUER = "https://id.example.com"
OPENID = f"{ISSUER}/.well-known/openid-configuration"
REF = KeySetRef("acme", KeySource(check_url(URL), None, ("RS256", "ES256")))
DISCOVERED = KeySetRef("acme", KeySource(None, ISSUER, ("RS256", "ES256")))


def key_set(*kids: str) -> dict[str, Any]:
    return {"keys": [jwk(rsa_key(), kid=kid) for kid in kids]}


def metadata(url: str = URL) -> dict[str, Any]:
    return {"issuer": ISSUER, "jwks_uri": url}


class Bench:
    """A loader with prepared results and a fake clock."""

    def __init__(self, *answers: Any) -> None:
        self.clock = Clock()
        self.fetch = Documents(*answers)
        self.reports: list[LoadReport] = []
        self.load = KeySetLoader(
            lambda app_id: self.fetch,
            min_lifetime=60,
            max_lifetime=3600,
            default_lifetime=300,
            max_keys=4,
            report=self.reports.append,
            clock=self.clock,
        )

    def then(
        self, answer: Any, held: FetchedKeySet | None, ref: KeySetRef = REF, after: float = 100
    ) -> Loaded[FetchedKeySet]:
        """Load the set some seconds later, with these results."""
        self.clock.now += after
        self.fetch.answers.append(answer)
        return self.load(ref, held)

    @property
    def last_report(self) -> LoadReport:
        return self.reports[-1]


def test_key_set_loader_first_load_returns_keys_and_reports() -> None:
    bench = Bench(fetched(key_set("a", "b"), etag='"1"', modified="then", max_age=900))
    loaded = bench.load(REF, None)
    held = loaded.value
    assert loaded.lifetime == 900
    assert held.keys.kids == {"a", "b"}
    assert (held.url, held.etag, held.modified, held.address) == (check_url(URL), '"1"', "then", PUBLIC)
    assert (held.at, held.discovered_at, held.empty_since) == (1000, 1000, None)
    assert bench.fetch.asked == [(URL, None, None)]
    assert bench.reports == [LoadReport("acme", SHOWN, "loaded", 0.0, added=("a", "b"))]


def test_key_set_loader_report_contains_load_duration() -> None:
    bench = Bench()

    def fetch(*_: Any, **__: Any) -> Any:
        bench.clock.now += 1.5
        return fetched(key_set("a"))

    held = replace(bench.load, fetcher_for=lambda app_id: fetch)(REF, None).value
    assert bench.last_report.seconds == 1.5
    assert held.at == 1001.5


@pytest.mark.parametrize(
    ("stated", "lifetime"), [(None, 300), (0, 60), (59, 60), (61, 61), (3600, 3600), (3601, 3600), (1e10, 3600)]
)
def test_key_set_loader_max_age_clamped_to_lifetime_bounds(stated: float | None, lifetime: float) -> None:
    assert Bench(fetched(key_set("a"), max_age=stated)).load(REF, None).lifetime == lifetime


def test_key_set_loader_not_modified_keeps_keys_renews_lifetime() -> None:
    bench = Bench(fetched(key_set("a"), etag='"1"', modified="then"))
    held = bench.load(REF, None).value
    loaded = bench.then(fetched(None, max_age=60), held)
    assert bench.fetch.asked[1] == (URL, '"1"', "then")
    assert loaded.lifetime == 60
    assert loaded.value == held._replace(at=1100, discovered_at=1100, began=1100, began_at=loaded.value.began_at)
    assert loaded.value.keys is held.keys
    assert bench.last_report == LoadReport("acme", SHOWN, "not_modified", 0.0)


def test_key_set_loader_changed_document_replaces_whole_set() -> None:
    bench = Bench(fetched(key_set("a", "b"), etag='"1"'))
    held = bench.load(REF, None).value
    loaded = bench.then(fetched(key_set("b", "c", "d")), held)
    assert loaded.value.keys.kids == {"b", "c", "d"}
    assert loaded.value.etag is None
    assert (bench.last_report.added, bench.last_report.removed) == (("c", "d"), ("a",))


def test_key_set_loader_not_modified_on_first_load_status_failure() -> None:
    bench = Bench(fetched(None))
    failure = failure_of(lambda: bench.load(REF, None))
    assert (failure.kind, failure.permanent) == ("status", False)
    assert bench.last_report.outcome == "status"


@pytest.mark.parametrize(
    "document", [[], "text", 5, True, {}, {"keys": None}, {"keys": {}}, {"keys": "abc"}, {"k": []}]
)
def test_key_set_loader_invalid_document_not_a_key_set(document: Any) -> None:
    bench = Bench(fetched(document))
    assert failure_of(lambda: bench.load(REF, None)).kind == "not_a_key_set"


def test_key_set_loader_more_than_max_keys_too_large() -> None:
    assert Bench(fetched({"keys": [5, 5, 5, jwk(rsa_key(), kid="a")]})).load(REF, None).value.keys.kids == {"a"}
    bench = Bench(fetched({"keys": [5, 5, 5, 5, jwk(rsa_key(), kid="a")]}))
    assert failure_of(lambda: bench.load(REF, None)).kind == "too_large"


def test_key_set_loader_unusable_member_skipped_and_reported() -> None:
    bench = Bench(fetched({"keys": [{"kty": "oct", "k": "AAAA"}, jwk(rsa_key(), kid="a"), 5]}))
    assert bench.load(REF, None).value.keys.kids == {"a"}
    assert bench.last_report.skipped == (
        "keys[0]: a secret (kty oct) is never taken from a key set",
        "keys[2]: a key must be a JSON object",
    )


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("members", [[5], [{"kty": "oct"}], [jwk(private_key("ES384"))]])
def test_key_set_loader_all_members_unusable_no_usable_key(members: list[Any], held: bool) -> None:
    bench = Bench()
    before = bench.then(fetched(key_set("a")), None).value if held else None
    assert failure_of(lambda: bench.then(fetched({"keys": members}), before)).kind == "no_usable_key"


def test_key_set_loader_source_issuer_set_on_keys() -> None:
    ref = KeySetRef("acme", KeySource(check_url(URL), "https://other.example", ("RS256",)))
    held = Bench(fetched(key_set("a"))).load(ref, None).value
    assert [key.issuer for key in held.keys.keys] == ["https://other.example"]


# --- a failure


def test_key_set_loader_fetch_failure_reported_and_reraised() -> None:
    bench = Bench()
    failure = FetchFailed("timeout", retry_after=5.0)
    assert failure_of(lambda: bench.then(failure, None)) is failure
    assert bench.last_report == LoadReport("acme", SHOWN, "timeout", 0.0, stale_age=None)


def test_key_set_loader_failure_report_contains_stale_age() -> None:
    bench = Bench(fetched(key_set("a")))
    held = bench.load(REF, None).value
    failure_of(lambda: bench.then(FetchFailed("connection"), held, after=400))
    assert (bench.last_report.outcome, bench.last_report.stale_age) == ("connection", 400)


# --- an empty set


def test_key_set_loader_first_load_empty_no_usable_key() -> None:
    bench = Bench(fetched({"keys": []}))
    assert failure_of(lambda: bench.load(REF, None)).kind == "no_usable_key"


def test_key_set_loader_empty_reload_keeps_keys_retries_after_30_s() -> None:
    bench = Bench(fetched(key_set("a"), etag='"1"', modified="then"))
    held = bench.load(REF, None).value
    loaded = bench.then(fetched({"keys": []}, etag='"2"', max_age=3600), held)
    assert loaded.lifetime == 30
    assert loaded.value.keys.kids == {"a"}
    assert bench.last_report.outcome == "empty"
    assert bench.last_report.removed == ()

    bench.then(fetched({"keys": []}), loaded.value, after=30)
    assert bench.fetch.asked[-1] == (URL, None, None), "the whole set is asked for"


def test_key_set_loader_empty_twice_removes_keys() -> None:
    bench = Bench(fetched(key_set("a")))
    first = bench.then(fetched({"keys": []}), bench.load(REF, None).value).value
    loaded = bench.then(fetched({"keys": []}, max_age=120), first, after=30)
    assert loaded.value.keys.keys == ()
    assert loaded.lifetime == 120
    assert (bench.last_report.outcome, bench.last_report.removed) == ("loaded", ("a",))
    again = bench.then(fetched({"keys": []}), loaded.value)
    assert again.value.keys.keys == ()
    assert bench.last_report.outcome == "loaded"


@pytest.mark.parametrize("after", [0.0, 1.0, 20.0])
def test_key_set_loader_second_empty_before_30_s_keeps_keys(after: float) -> None:
    """An invented kid causes a fetch at once. It must not empty the set before the grace period of 30 s."""
    bench = Bench(fetched(key_set("a")))
    first = bench.then(fetched({"keys": []}), bench.load(REF, None).value).value
    loaded = bench.then(fetched({"keys": []}), first, after=after)
    assert loaded.value.keys.kids == {"a"}


def test_key_set_loader_empty_then_restored_resets_empty_state() -> None:
    bench = Bench(fetched(key_set("a")))
    first = bench.then(fetched({"keys": []}), bench.load(REF, None).value).value
    back = bench.then(fetched(key_set("a")), first, after=30).value
    assert back.empty_since is None
    assert bench.then(fetched({"keys": []}), back).value.keys.kids == {"a"}


# --- discovery


def test_key_set_loader_issuer_source_discovers_url_first() -> None:
    bench = Bench(metadata(), fetched(key_set("a"), etag='"1"'))
    held = bench.load(DISCOVERED, None).value
    assert bench.fetch.asked == [(OPENID, None, None), (URL, None, None)]
    assert (held.url, held.discovered_at) == (check_url(URL), 1000)
    assert [key.issuer for key in held.keys.keys] == [ISSUER]
    assert bench.last_report.url == SHOWN


def test_key_set_loader_discovered_url_rediscovered_after_one_hour() -> None:
    bench = Bench(metadata(), fetched(key_set("a"), etag='"1"'))
    held = bench.load(DISCOVERED, None).value
    newer = bench.then(fetched(None), held, DISCOVERED, after=3599).value
    assert bench.fetch.asked[2:] == [(URL, '"1"', None)]
    assert (newer.at, newer.discovered_at) == (4599, 1000)

    bench.fetch.answers.append(metadata())
    newest = bench.then(fetched(None), newer, DISCOVERED, after=1).value
    assert bench.fetch.asked[3:] == [(OPENID, None, None), (URL, '"1"', None)]
    assert newest.discovered_at == 4600


def test_key_set_loader_moved_set_fetched_without_validators() -> None:
    bench = Bench(metadata(), fetched(key_set("a"), etag='"1"', modified="then"))
    held = bench.load(DISCOVERED, None).value
    bench.fetch.answers.append(metadata("https://keys.example.com/"))
    newer = bench.then(fetched(key_set("b")), held, DISCOVERED, after=3600).value
    assert bench.fetch.asked[-1] == ("https://keys.example.com/", None, None)
    assert newer.url.host == "keys.example.com"
    assert (bench.last_report.url, bench.last_report.added, bench.last_report.removed) == (
        "https://keys.example.com/",
        ("b",),
        ("a",),
    )


@pytest.mark.parametrize("answer", [FetchFailed("not_found"), FetchFailed("timeout"), fetched({"no": "keys"})])
def test_key_set_loader_discovered_url_failure_triggers_rediscovery(answer: Any) -> None:
    bench = Bench(metadata(), fetched(key_set("a"), etag='"1"'))
    held = bench.load(DISCOVERED, None).value
    bench.fetch.answers += [answer, metadata("https://keys.example.com/")]
    newer = bench.then(fetched(key_set("b"), max_age=900), held, DISCOVERED)
    assert bench.fetch.asked[2:] == [
        (URL, '"1"', None),
        (OPENID, None, None),
        ("https://keys.example.com/", None, None),
    ]
    assert (newer.value.url.host, newer.value.discovered_at, newer.lifetime) == ("keys.example.com", 1100, 900)
    assert (bench.last_report.url, bench.last_report.outcome) == ("https://keys.example.com/", "loaded")


@pytest.mark.parametrize("answer", [metadata(), FetchFailed("connection")])
def test_key_set_loader_rediscovery_without_new_url_first_failure(answer: Any) -> None:
    bench = Bench(metadata(), fetched(key_set("a")))
    held = bench.load(DISCOVERED, None).value
    bench.fetch.answers.append(FetchFailed("status"))
    failure = failure_of(lambda: bench.then(answer, held, DISCOVERED))
    assert (failure.kind, bench.last_report.url) == ("status", SHOWN)
    assert bench.fetch.asked[2:] == [(URL, None, None), (OPENID, None, None)]


def test_key_set_loader_retry_after_failure_not_rediscovered() -> None:
    bench = Bench(metadata(), fetched(key_set("a")))
    held = bench.load(DISCOVERED, None).value
    failure = failure_of(lambda: bench.then(FetchFailed("status", retry_after=7), held, DISCOVERED))
    assert (failure.retry_after, len(bench.fetch.asked)) == (7, 3)


def test_key_set_loader_just_discovered_url_failure_not_rediscovered() -> None:
    bench = Bench(metadata())
    assert failure_of(lambda: bench.then(FetchFailed("not_found"), None, DISCOVERED)).kind == "not_found"
    assert len(bench.fetch.asked) == 2


def test_key_set_loader_moved_set_not_modified_status_failure() -> None:
    bench = Bench(metadata(), fetched(key_set("a"), etag='"1"'))
    held = bench.load(DISCOVERED, None).value
    bench.fetch.answers.append(metadata("https://keys.example.com/"))
    assert failure_of(lambda: bench.then(fetched(None), held, DISCOVERED, after=3600)).kind == "status"


def test_key_set_loader_discovery_failure_reports_issuer_or_last_url() -> None:
    bench = Bench()
    assert failure_of(lambda: bench.then(FetchFailed("timeout"), None, DISCOVERED)).kind == "timeout"
    assert bench.last_report.url == ISSUER

    bench.fetch.answers.append(metadata())
    held = bench.then(fetched(key_set("a")), None, DISCOVERED).value
    failed = bench.then
    assert failure_of(lambda: failed({"issuer": "https://evil.example"}, held, DISCOVERED, 3600)).kind == "wrong_issuer"
    assert (bench.last_report.url, bench.last_report.stale_age) == (SHOWN, 3600)


def test_key_set_loader_reports_exclude_url_query() -> None:
    bench = Bench(fetched(key_set("a")))
    held = bench.load(REF, None).value
    bench.then(fetched(key_set("b")), held)
    failure_of(lambda: bench.then(FetchFailed("timeout"), held))
    assert "hunter2" not in repr(bench.reports)


def test_key_set_loader_empty_set_at_new_url_keeps_new_url() -> None:
    bench = Bench(fetched(key_set("a")))
    held = bench.load(REF, None).value
    moved = held._replace(url=check_url("https://old.example.com/keys"))
    empty = bench.then(fetched({"keys": []}), moved).value
    assert empty.url == held.url
    assert empty.keys.kids == {"a"}

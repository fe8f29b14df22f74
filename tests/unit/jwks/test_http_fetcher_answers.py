"""Complete responses without a key set: encoded, no JSON, redirects, errors, and documents without keys."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.unit import jwk, rsa_key
from tests.unit.jwks.support import MARGIN, answering, failure_of, fetch, fetcher_of, within
from wicket.jwks.http_fetcher import _retry_after
from wicket.jwks.loader import KeySetLoader, LoadReport
from wicket.keys.key_set import KeySetRef, KeySource
from wicket.keys.urls import check_url
from wicket.runtime.base64url import encode
from wicket.testing.issuer import LocalIssuer

# --- servers that send another document


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x", ""])
def test_fetch_content_encoding_refused_as_encoded(issuer: LocalIssuer, coding: str) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"{}", Content_Encoding=coding)))
    assert (failure.kind, failure.permanent) == ("encoded", True)


def test_fetch_content_encoding_identity_accepted(issuer: LocalIssuer) -> None:
    assert fetch(issuer, answering(b"{}", Content_Encoding=" Identity ")).document == {}


WRONG = {
    "HTML": b"<!doctype html><title>Sign in</title>",
    "nothing": b"",
    "invalid UTF-8": b'{"keys": "\xff"}',
    "UTF-16": '{"keys": []}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half of it": b'{"keys": [',
    "two of it": b"{}{}",
    "100,000 lists in one another": b"[" * 100_000 + b"]" * 100_000,
    "100,000 lists that are never closed": b"[" * 100_000,
    "20,000 objects in one another": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a number of 100,000 digits": b"1" * 100_000,
}


@pytest.mark.parametrize("what", WRONG)
def test_fetch_invalid_json_not_json_without_cause(issuer: LocalIssuer, what: str) -> None:
    with within(MARGIN):
        failure = failure_of(lambda: fetch(issuer, answering(WRONG[what])))
    assert (failure.kind, failure.permanent) == ("not_json", True)
    assert failure.__suppress_context__, "the cause may quote what was fetched"


@pytest.mark.parametrize(("body", "document"), [(b"[1]", [1]), (b'"x"', "x"), (b"5", 5), (b"false", False)])
def test_fetch_json_other_than_object_returned_unchanged(issuer: LocalIssuer, body: bytes, document: Any) -> None:
    assert fetch(issuer, answering(body)).document == document


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 305])
@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/", "http://localhost/", "/elsewhere", "https://[", "https://a:x", None]
)
def test_fetch_redirect_not_followed(issuer: LocalIssuer, status: int, location: str | None) -> None:
    failure = failure_of(
        lambda: fetch(issuer, answering(b"{}", status, **({"Location": location} if location is not None else {})))
    )
    assert (failure.kind, failure.status, failure.permanent) == ("redirect", status, True)
    assert len(issuer.requests) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_fetch_status_404_or_410_not_found_permanent(issuer: LocalIssuer, status: int) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"{}", status)))
    assert (failure.kind, failure.status, failure.permanent) == ("not_found", status, True)


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 429, 500, 502, 503, 599])
def test_fetch_other_status_transient_status_failure(issuer: LocalIssuer, status: int) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"", status)))
    assert (failure.kind, failure.status, failure.permanent) == ("status", status, False)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("300", 300),
        ("301", 300),
        ("99999999999999999999", 300),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Mon, 99 Jan 2030 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 300),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_fetch_retry_after_capped_at_300_seconds_invalid_ignored(
    issuer: LocalIssuer, status: int, stated: str, seconds: float | None
) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"", status, Retry_After=stated)))
    assert (failure.kind, failure.status, failure.retry_after) == ("status", status, seconds)


def test_retry_after_http_date_returns_remaining_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(time.time())
    monkeypatch.setattr("wicket.jwks.http_fetcher.time", SimpleNamespace(time=lambda: now))
    assert _retry_after(formatdate(now + 100, usegmt=True)) == 100
    assert _retry_after(None) is None


def test_retry_after_malformed_date_never_raises() -> None:
    parts = ["Mon,", "01", "Jan", "2030", "00:00:00", "GMT", "+0000", "-0000", "-", ":", "9" * 30, "25:61:61", "Z"]
    for first in parts:
        for second in parts:
            for third in ("", *parts):
                for text in (f"{first} {second} {third}", f"{first} 01 Jan {second} {third}", f"{first}{second}"):
                    seconds = _retry_after(text)
                    assert seconds is None or 0 <= seconds <= 300, text


# --- through the loader


def registry_loader(issuer: LocalIssuer, reports: list[LoadReport]) -> tuple[KeySetLoader, KeySetRef]:
    fetcher = fetcher_of(issuer)
    loader = KeySetLoader(
        lambda app_id: fetcher,
        min_lifetime=60,
        max_lifetime=3600,
        default_lifetime=300,
        max_keys=64,
        report=reports.append,
    )
    return loader, KeySetRef("acme", KeySource(check_url(issuer.jwks_url), None, ("RS256", "ES256")))


def test_key_set_loader_reload_not_modified_until_rotation(issuer: LocalIssuer) -> None:
    reports: list[LoadReport] = []
    load, ref = registry_loader(issuer, reports)
    held = load(ref, None).value
    assert held.keys.kids == set(issuer.keys)
    again = load(ref, held).value
    kid = issuer.rotate()
    newer = load(ref, again).value
    assert newer.keys.kids == held.keys.kids | {kid}
    assert [(each.outcome, each.added) for each in reports] == [
        ("loaded", tuple(sorted(held.keys.kids))),
        ("not_modified", ()),
        ("loaded", (kid,)),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "not_a_key_set"),
        (b"null", "not_a_key_set"),
        (b'{"keys": {}}', "not_a_key_set"),
        (b'{"keys": [' + b"1," * 99_999 + b"1]}", "too_large"),
        (b'{"keys": [' + b"{}," * 99_999 + b"{}]}", "too_large"),
        (b'{"keys": []}', "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "n": encode(b"\xff" * 2048)}]}).encode(), "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "e": encode(b"\xff" * 384)}]}).encode(), "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "n": "A" * 200_000}]}).encode(), "no_usable_key"),
    ],
    ids=[
        *("list", "null", "object of keys", "100,000 numbers", "100,000 objects", "empty"),
        *("modulus of 16384 bits", "exponent of 3072 bits", "modulus of zeros"),
    ],
)
def test_key_set_loader_invalid_document_permanent_failure(issuer: LocalIssuer, body: bytes, kind: str) -> None:
    issuer.fault = answering(body)
    reports: list[LoadReport] = []
    load, ref = registry_loader(issuer, reports)
    with within(MARGIN):
        failure = failure_of(lambda: load(ref, None))
    assert (failure.kind, failure.permanent) == (kind, True)
    assert [each.outcome for each in reports] == [kind]


def test_key_set_loader_null_document_on_reload_not_a_key_set(issuer: LocalIssuer) -> None:
    """Otherwise a broken endpoint would renew its old keys for ever."""
    reports: list[LoadReport] = []
    load, ref = registry_loader(issuer, reports)
    held = load(ref, None).value
    issuer.fault = answering(b"null")
    assert failure_of(lambda: load(ref, held)).kind == "not_a_key_set"


@pytest.mark.parametrize(
    "member", [{**jwk(rsa_key()), "n": encode(b"\xff" * 2048)}, {**jwk(rsa_key()), "e": encode(b"\xff" * 384)}]
)
def test_key_set_loader_oversized_key_skipped_others_loaded(issuer: LocalIssuer, member: Any) -> None:
    issuer.fault = answering(json.dumps({"keys": [member, jwk(rsa_key(), kid="good")]}).encode())
    reports: list[LoadReport] = []
    load, ref = registry_loader(issuer, reports)
    assert load(ref, None).value.keys.kids == {"good"}
    assert len(reports[0].skipped) == 1

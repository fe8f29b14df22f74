"""The failures of a fetch: each has one kind, which determines whether a retry can help."""

from __future__ import annotations

from typing import get_args

import pytest

from wicket.jwks.fetcher import PERMANENT, FetchFailed, Kind
from wicket.runtime.cache import LoadFailed

KINDS: tuple[Kind, ...] = get_args(Kind)
PASSING = {"proxy", "unresolved", "timeout", "connection", "certificate", "status"}


@pytest.mark.parametrize("kind", KINDS)
def test_fetch_failed_exposes_kind_status_and_retry_after(kind: Kind) -> None:
    failure = FetchFailed(kind, retry_after=5.0, status=404)
    assert isinstance(failure, LoadFailed)
    assert str(failure) == failure.kind == kind
    assert (failure.retry_after, failure.status) == (5.0, 404)
    assert (FetchFailed(kind).retry_after, FetchFailed(kind).status) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_fetch_failed_permanent_unless_transient_kind(kind: Kind) -> None:
    assert FetchFailed(kind).permanent is (kind not in PASSING)


def test_permanent_kinds_are_all_kinds_except_transient() -> None:
    assert set(KINDS) > PERMANENT
    assert set(KINDS) - PASSING == PERMANENT

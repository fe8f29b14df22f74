"""How a fetch may end: each failure is one word, and says whether trying again can help."""

from __future__ import annotations

from typing import get_args

import pytest

from wicket.jwks.fetcher import PERMANENT, FetchFailed, Kind
from wicket.runtime.cache import LoadFailed

KINDS: tuple[Kind, ...] = get_args(Kind)
PASSING = {"unresolved", "timeout", "connection", "certificate", "status"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_told_apart_by_one_word(kind: Kind) -> None:
    failure = FetchFailed(kind, retry_after=5.0, status=404)
    assert isinstance(failure, LoadFailed)
    assert str(failure) == failure.kind == kind
    assert (failure.retry_after, failure.status) == (5.0, 404)
    assert (FetchFailed(kind).retry_after, FetchFailed(kind).status) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_may_pass_by_itself_is_worth_trying_again(kind: Kind) -> None:
    assert FetchFailed(kind).permanent is (kind not in PASSING)


def test_every_permanent_kind_is_one_of_the_kinds() -> None:
    assert set(KINDS) > PERMANENT
    assert set(KINDS) - PASSING == PERMANENT

"""The check of an app that code of the operator adds: `App.check`."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import Any

from wicket.config.app import ClaimsCheck
from wicket.decision.claim_values import Claims
from wicket.errors import Refusal, Refused, WicketError, invalid_token
from wicket.runtime.logs import log_internal_error

_FAILED = "the check of the claims failed"


def run_check(check: ClaimsCheck, claims: Claims) -> None:
    """Call the check of an app with a read-only view of the claims.

    Args:
        check: The check.
        claims: The claims, which passed every other check.

    Raises:
        Refused: `bad_claim` if the check returns a string, which is the `detail`. `internal_error` if it returns any
            other value but None, or raises an exception.
    """
    try:
        result: object = check(read_only(claims))
    except Exception as error:  # noqa: BLE001 - the check is code of the operator, and may raise anything
        log_internal_error(_FAILED, error)
        raise _internal_error() from None
    if result is None:
        return
    if isinstance(result, str):
        raise invalid_token("bad_claim", result)
    if inspect.iscoroutine(result):
        result.close()
    log_internal_error(_FAILED, WicketError(f"it returned a value of type {type(result).__name__}"))
    raise _internal_error()


def _internal_error() -> Refused:
    return Refused(Refusal("internal_error", retry_after=1))


def read_only(value: Any) -> Any:
    """Return a copy of a JSON value that cannot be changed: objects become read-only mappings, and lists tuples."""
    if isinstance(value, dict):
        return MappingProxyType({name: read_only(member) for name, member in value.items()})
    return tuple(map(read_only, value)) if isinstance(value, list) else value

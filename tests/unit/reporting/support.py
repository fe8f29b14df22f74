"""Decisions and reporters for the tests of reporting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import acme
from wicket import (
    AppRef,
    Decision,
    Gate,
    Identity,
    Refusal,
    VerifiedIdentity,
)
from wicket.decision.context import RequestContext
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.reporting.reporter import Reporter

ALLOWED_BY = acme()


def passed(app_id: str = "acme", enforced: bool = True, refusal: Refusal | None = None) -> Decision:
    claims = PassedClaims(ALLOWED_BY.revision, None, "user-1", "sub")
    signed = VerifiedPayload(JOSEHeader("HS256", "k1", None), b"key", b"{}", {})
    identity = VerifiedIdentity(ALLOWED_BY, claims, signed, "k1")
    return Decision(True, identity, refusal, enforced, app_id, None, context_of(AppRef("id", app_id)))


def context_of(ref: AppRef) -> RequestContext:
    ctx = RequestContext(Gate([ALLOWED_BY])._context, 0.0)
    ctx.refs = (ref,)
    return ctx


def anonymous(
    refusal: Refusal | None = None, *, allowed: bool = True, enforced: bool = True, app_id: str | None = "acme"
) -> Decision:
    app_ref = AppRef("id", "the-name-they-sent")
    return Decision(allowed, Identity(app_id), refusal, enforced, app_id, None, context_of(app_ref))


def refused(refusal: Refusal, app_id: str | None = "acme") -> Decision:
    return anonymous(refusal, allowed=False, app_id=app_id)


EXPIRED = Refusal("invalid_token", "expired")
MISSING = Refusal("missing_token")
FOREIGN_ORIGIN = Refusal("origin_not_allowed")


class Time:
    """A replacement for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def reporter(on_event: Any = None, max_outcomes: int = 100) -> Reporter:
    return Reporter("wicket", on_event, max_outcomes)


def lines(log: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in log.records]

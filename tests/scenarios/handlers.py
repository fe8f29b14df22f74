"""Rows about what the application behind the gate demands itself, and about methods."""

from __future__ import annotations

from tests.scenarios.builders import (
    MISSING,
    bad_token,
    bearer,
    named,
    passes,
    refused,
    row,
)
from tests.scenarios.model import Challenge, Scenario
from tests.scenarios.world import (
    token,
)


def handler_rows() -> list[Scenario]:
    good = bearer(token("acme"))
    return [
        row(
            "a handler demands a scope",
            refused(403, "insufficient_scope", Challenge.ERROR),
            named("acme"),
            good,
            path="/admin",
        ),
        row(
            "a handler demands a scope of an anonymous user",
            refused(403, "insufficient_scope", Challenge.BARE),
            named("lobby"),
            path="/admin",
        ),
        row(
            "a handler turns away too many",
            refused(429, "rate_limited", Challenge.NONE),
            named("acme"),
            good,
            path="/busy",
        ),
        row(
            "a handler's words cannot break out of the challenge",
            refused(403, "insufficient_scope", Challenge.ERROR),
            named("acme"),
            good,
            path="/quotes",
        ),
        row("a handler demands a user and has one", passes("acme:ada"), named("acme"), good, path="/mine"),
        row("a handler demands a user of an anonymous one", MISSING, named("lobby"), path="/mine"),
        row(
            "a handler demands a user of a bad token in log-only",
            bad_token("bad_signature"),
            named("observed"),
            good,
            path="/mine",
        ),
        row("HEAD is decided about as GET is", passes("acme:ada"), named("acme"), good, method="HEAD"),
        row("HEAD is refused without a body", MISSING, named("acme"), method="HEAD"),
        row("OPTIONS without a preflight's headers is gated", MISSING, named("acme"), method="OPTIONS"),
    ]

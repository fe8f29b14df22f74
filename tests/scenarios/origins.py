"""Rows about origins, and about what log-only lets pass."""

from __future__ import annotations

from tests.scenarios.builders import (
    INVALID_REQUEST,
    MISSING,
    WRONG_ORIGIN,
    anonymous,
    bad_token,
    bearer,
    from_origin,
    named,
    passes,
    reported,
    row,
)
from tests.scenarios.model import Expected, Scenario
from tests.scenarios.world import (
    NOW,
    token,
)


def origin_rows() -> list[Scenario]:
    good, lobby, portal = bearer(token("acme")), bearer(token("lobby")), token("portal")
    session = ("Cookie", f"theme=dark; session={portal}")
    home, evil = from_origin("https://acme.example"), from_origin("https://evil.example")
    watched = bearer(token("origin-observed"))
    return [
        row("an origin that is admitted", passes("acme:ada"), named("acme"), good, home),
        row(
            "a subdomain that is admitted",
            passes("acme:ada"),
            named("acme"),
            good,
            from_origin("https://a.b.acme.example"),
        ),
        row("another origin", WRONG_ORIGIN, named("acme"), good, evil),
        row("another origin without a token", WRONG_ORIGIN, named("acme"), evil),
        row("an origin that ends alike", WRONG_ORIGIN, named("acme"), good, from_origin("https://evilacme.example")),
        row("the origin null", WRONG_ORIGIN, named("acme"), good, from_origin("null")),
        row("no origin where one is required", WRONG_ORIGIN, named("browser"), bearer(token("browser"))),
        row("an origin where one is required", passes("browser:ada"), named("browser"), bearer(token("browser")), home),
        row("anonymous is admitted", anonymous("lobby"), named("lobby")),
        row("anonymous is admitted from home", anonymous("lobby"), named("lobby"), home),
        row("anonymous is not admitted from elsewhere", WRONG_ORIGIN, named("lobby"), evil),
        row("anonymous may be admitted, a user is known", passes("lobby:ada"), named("lobby"), lobby),
        row("anonymous may be admitted, a bad token not", bad_token("bad_signature"), named("lobby"), good),
        row("only the origin is observed", passes("origin-observed:ada"), named("origin-observed"), watched, home),
        row(
            "only the origin is observed, and is wrong",
            passes("origin-observed:ada", code="origin_not_allowed"),
            named("origin-observed"),
            watched,
            evil,
        ),
        row("only the origin is observed, not the token", MISSING, named("origin-observed"), evil),
        row(
            "only the origin is observed, a bad token not",
            bad_token("bad_signature"),
            named("origin-observed"),
            good,
            evil,
        ),
        row("only the origin is enforced, and is wrong", WRONG_ORIGIN, named("origin-enforced"), evil),
        row(
            "only the origin is enforced, the token not",
            reported("origin-enforced", "invalid_token", "bad_signature"),
            named("origin-enforced"),
            good,
            home,
        ),
        row("a cookie holds the token", passes("portal:ada"), named("portal"), session),
        row(
            "a cookie from home may change something",
            passes("portal:ada"),
            named("portal"),
            session,
            home,
            method="POST",
        ),
        row("a cookie from nowhere may not", WRONG_ORIGIN, named("portal"), session, method="POST"),
        row("a cookie from elsewhere may not", WRONG_ORIGIN, named("portal"), session, evil, method="POST"),
        row(
            "a header goes before a cookie",
            passes("portal:eve"),
            named("portal"),
            session,
            bearer(token("portal", sub="eve")),
            method="POST",
        ),
        row("an empty cookie is no token", MISSING, named("portal"), ("Cookie", "session=")),
        row(
            "a cookie twice",
            INVALID_REQUEST,
            named("portal"),
            ("Cookie", f"session={portal}; session={portal}"),
        ),
    ]


def log_only_rows() -> list[Scenario]:
    home, evil = from_origin("https://acme.example"), from_origin("https://evil.example")
    good = bearer(token("observed"))
    return [
        row(
            "log-only: a user",
            Expected(status=200, identity="observed:ada", app_id="observed", enforced=False),
            named("observed"),
            good,
        ),
        row("log-only: no token", reported("observed", "missing_token"), named("observed"), home),
        row(
            "log-only: a bad signature",
            reported("observed", "invalid_token", "bad_signature"),
            named("observed"),
            bearer(token("observed", is_signed_by="acme", sub="root")),
        ),
        row(
            "log-only: expired",
            reported("observed", "invalid_token", "expired"),
            named("observed"),
            bearer(token("observed", sub="root", exp=NOW - 3600)),
        ),
        row(
            "log-only: unsigned",
            reported("observed", "invalid_token", "algorithm_not_allowed"),
            named("observed"),
            bearer(token("observed", algorithm="none")),
        ),
        row("log-only: another origin", reported("observed", "origin_not_allowed"), named("observed"), good, evil),
        row("log-only: two origins", reported("observed", "invalid_request"), named("observed"), good, home, evil),
    ]

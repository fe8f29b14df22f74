"""Rows about which app a request names, and about requests that name two."""

from __future__ import annotations

from tests.scenarios.builders import (
    INVALID_REQUEST,
    MISSING,
    bearer,
    from_origin,
    named,
    passes,
    refused,
    reported,
    row,
)
from tests.scenarios.model import Challenge, Scenario
from tests.scenarios.world import (
    USERZ_ID,
    globex_token,
    token,
    userz_token,
)


def named_rows() -> list[Scenario]:
    acme = token("acme")
    return [
        row("a header names the app", passes("acme:ada"), named("acme"), bearer(acme)),
        row("a query parameter names the app", passes("acme:ada"), bearer(acme), query="a=b&appId=acme"),
        row("an encoded query parameter names the app", passes("acme:ada"), bearer(acme), query="%61ppId=ac%6De"),
        row("a path segment names the app", passes("acme:ada"), bearer(acme), path="/in/acme"),
        row("a host names the app", passes("acme:ada"), bearer(acme), ("Host", "Acme.Widgets.Example:8000")),
        row("another host names nobody", MISSING, named("acme"), ("Host", "a.b.widgets.example")),
        row("two places that agree name one app", passes("acme:ada"), named("acme"), bearer(acme), path="/in/acme"),
        row(
            "two kinds of name that agree name one app",
            passes(f"{USERZ_ID}:ada"),
            named(USERZ_ID),
            bearer("pub_acme"),
            ("X-Userz-User-Token", userz_token()),
        ),
        row("the token's issuer names the app", passes("globex:ada"), bearer(globex_token())),
        row("a registry knows the app", passes("loaded:ada"), named("loaded"), bearer(token("loaded"))),
        row("the scheme has no case", passes("acme:ada"), named("acme"), ("Authorization", f"bEARER {acme}")),
        row(
            "ids are percent-encoded", passes("acme:a%3Ab%40%C3%A9"), named("acme"), bearer(token("acme", sub="a:b@é"))
        ),
    ]


def app_rows() -> list[Scenario]:
    good = bearer(token("acme"))
    unknown = refused(401, "unknown_app", Challenge.BARE)
    unknown_with_token = refused(401, "unknown_app", Challenge.BARE)
    unavailable = refused(503, "apps_unavailable", Challenge.NONE)
    return [
        row("no app at all", unknown),
        row("no app but a token", unknown_with_token, good),
        row("an app that nobody knows", unknown, named("nobody")),
        row("an app that nobody knows and a token", unknown_with_token, named("nobody"), good),
        row("a public key that nobody knows", refused(401, "unknown_app", Challenge.EITHER), bearer("pub_nobody")),
        row("an app's name that is far too long", unknown, named("a" * 129)),
        row("an issuer that nobody knows", unknown_with_token, bearer(globex_token(iss="https://evil.example"))),
        row("a broken app", refused(401, "config_invalid", Challenge.BARE), named("broken")),
        row("a broken app and a token", refused(401, "config_invalid", Challenge.BARE), named("broken"), good),
        row("a broken app of the registry", refused(401, "config_invalid", Challenge.BARE), named("rotten")),
        row("a broken app in log-only", reported("broken-observed", "config_invalid"), named("broken-observed"), good),
        row("a registry that is down", unavailable, named("down"), good),
        row("a registry that is down, asked without a token", unavailable, named("down")),
        row("a registry that returns nonsense", unavailable, named("nonsense"), good),
        row(
            "a bug inside the gate",
            refused(503, "internal_error", Challenge.NONE),
            named("faulty"),
            ("X-Explode", token("faulty")),
        ),
        row(
            "a bug inside the gate in log-only",
            reported("faulty-observed", "internal_error"),
            named("faulty-observed"),
            ("X-Explode", token("faulty-observed")),
        ),
    ]


def contradiction_rows() -> list[Scenario]:
    good = token("acme")
    plain = refused(400, "invalid_request", Challenge.EITHER)
    return [
        row("Authorization twice", INVALID_REQUEST, named("acme"), bearer(good), bearer(good)),
        row(
            "Authorization of two schemes",
            INVALID_REQUEST,
            named("acme"),
            ("Authorization", "Basic YTpi"),
            bearer(good),
        ),
        row("Authorization joined with a comma", INVALID_REQUEST, named("acme"), bearer(f"{good}, Bearer {good}")),
        row("Bearer with nothing", plain, named("acme"), ("Authorization", "Bearer")),
        row("Bearer with a tab", plain, named("acme"), ("Authorization", "Bearer\t" + good)),
        row("Bearer with two words", INVALID_REQUEST, named("acme"), bearer(f"{good} {good}")),
        row("two names for two apps", INVALID_REQUEST, named("acme"), bearer(good), query="appId=strict"),
        row("two names, one of a public key", plain, named("acme"), bearer("pub_acme")),
        row("two names, one of nobody", INVALID_REQUEST, named("acme"), bearer(good), query="appId=nobody"),
        row("two names, header and path", INVALID_REQUEST, named("acme"), bearer(good), path="/in/strict"),
        row(
            "two names, header and host",
            INVALID_REQUEST,
            named("acme"),
            bearer(good),
            ("Host", "strict.widgets.example"),
        ),
        row("the header of the name twice", INVALID_REQUEST, named("acme"), named("acme"), bearer(good)),
        row("the parameter of the name twice", INVALID_REQUEST, bearer(good), query="appId=acme&appId=acme"),
        row("two names, the second of a log-only app", plain, named("acme"), bearer("pub_observed")),
        row("two names, the first of a log-only app", plain, named("observed"), bearer("pub_acme")),
        row(
            "two names, a log-only app and nobody",
            INVALID_REQUEST,
            named("observed"),
            bearer(good),
            query="appId=nobody",
        ),
        row(
            "the name of a log-only app twice",
            refused(400, "invalid_request", Challenge.BARE),
            named("observed"),
            named("observed"),
        ),
        row("Origin twice", INVALID_REQUEST, named("acme"), bearer(good), *[from_origin("https://acme.example")] * 2),
    ]

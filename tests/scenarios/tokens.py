"""Rows about tokens and their claims."""

from __future__ import annotations

from typing import Any

from tests.scenarios.builders import (
    MISSING,
    WRONG_ORIGIN,
    anonymous,
    bad_token,
    bearer,
    from_origin,
    named,
    passes,
    posted,
    refused,
    row,
)
from tests.scenarios.model import Challenge, Scenario
from tests.scenarios.world import (
    NOW,
    strict_token,
    token,
)
from wicket.errors import Reason


def token_rows() -> list[Scenario]:
    def acme(name: str, reason: Reason, text: str) -> Scenario:
        return row(name, bad_token(reason), named("acme"), bearer(text))

    def strict(name: str, reason: Reason, **claims: Any) -> Scenario:
        return row(name, bad_token(reason), named("strict"), bearer(strict_token(**{"role": "user", **claims})))

    good = token("acme")
    head, body, signature = good.split(".")
    return [
        row("no token", MISSING, named("acme")),
        row("another scheme is no token", MISSING, named("acme"), ("Authorization", "Basic YTpi")),
        acme("two parts", "malformed", f"{head}.{body}"),
        acme("five parts", "malformed", f"{good}.{head}.{body}"),
        acme("not base64url", "malformed", f"{head}.{body}.{signature}="),
        acme("a header that is no JSON", "malformed", f"e30x.{body}.{signature}"),
        acme("null as text", "malformed", "null"),
        acme("too large", "too_large", token("acme", filling="x" * 4_096)),
        acme("unsigned", "algorithm_not_allowed", token("acme", algorithm="none")),
        acme("another algorithm", "algorithm_not_allowed", token("acme", algorithm="HS512")),
        acme("another app's key", "bad_signature", token("acme", is_signed_by="strict")),
        acme("a changed signature", "bad_signature", f"{head}.{body}.{'A' * len(signature)}"),
        acme("another signature and expired", "bad_signature", token("acme", is_signed_by="strict", exp=1)),
        acme("expired", "expired", token("acme", exp=NOW - 30)),
        acme("not yet valid", "not_yet_valid", token("acme", nbf=NOW + 31)),
        acme("issued in the future", "issued_in_future", token("acme", iat=NOW + 31)),
        acme("another type", "wrong_type", token("acme", typ="at+jwt")),
        acme("an audience where none is known", "wrong_audience", token("acme", aud="widgets")),
        acme("without sub", "missing_claim", token("acme", without=["sub"])),
        acme("without exp", "missing_claim", token("acme", without=["exp"])),
        acme("exp as text", "bad_claim", token("acme", exp=str(NOW + 60))),
        acme("exp in milliseconds", "bad_claim", token("acme", exp=NOW * 1000)),
        acme("an empty user id", "bad_claim", token("acme", sub="")),
        acme("a user id with a line break", "bad_claim", token("acme", sub="a\r\nRemote-User: root")),
        acme("a revoked user", "revoked", token("acme", sub="mallory")),
        acme("a revoked token", "revoked", token("acme", jti="stolen")),
        row("within the skew", passes("acme:ada"), named("acme"), bearer(token("acme", exp=NOW - 29))),
        row("every rule holds", passes("strict:ada"), named("strict"), bearer(strict_token(role="user"))),
        strict("a lifetime that is too long", "lifetime_too_long", exp=NOW + 86_401),
        strict("a lifetime that is too short", "lifetime_too_short", exp=NOW + 59),
        strict("another issuer", "wrong_issuer", iss="https://id.evil.example"),
        strict("an issuer with a slash more", "wrong_issuer", iss="https://id.strict.example/"),
        strict("another audience", "wrong_audience", aud=["others"]),
        strict("made for another app", "wrong_app", app="acme"),
        strict("another fixed value", "bad_claim", role="admin"),
        strict("too much context", "context_too_large", ctx={"x": "y" * 100}),
        strict("without issuer", "missing_claim", iss=None),
        row(
            "an unknown key id",
            bad_token("key_not_found"),
            named("strict"),
            bearer(token("strict", kid="2019-01")),
        ),
        row(
            "an app without credential and a token",
            refused(401, "config_missing", Challenge.BARE),
            named("new"),
            bearer(good),
        ),
        row(
            "an app without credential and no token",
            refused(401, "config_missing", Challenge.BARE),
            named("new"),
        ),
    ]


def claim_rows() -> list[Scenario]:
    home, evil = from_origin("https://acme.example"), from_origin("https://evil.example")
    visitors = named("visitors")
    return [
        posted("an anonymous user says who it is", anonymous("visitors", claimed="ada"), {"userId": "ada"}, visitors),
        posted("an anonymous user says a number", anonymous("visitors"), {"userId": 7}, visitors),
        posted("an anonymous user says what no id can be", anonymous("visitors"), {"userId": "a\r\nb"}, visitors),
        row(
            "an anonymous user says who it is in the query",
            anonymous("visitors", claimed="ada"),
            visitors,
            home,
            query="userId=ada",
        ),
        row("an anonymous user says it twice", anonymous("visitors"), visitors, query="userId=ada&userId=eve"),
        posted("an anonymous user from elsewhere", WRONG_ORIGIN, {"userId": "ada"}, visitors, evil),
        posted(
            "a verified user claims nothing",
            passes("visitors:ada"),
            {"userId": "eve", "token": token("visitors")},
            visitors,
        ),
        posted(
            "a bad token in a body is not anonymous", bad_token("malformed"), {"userId": "eve", "token": "x"}, visitors
        ),
    ]

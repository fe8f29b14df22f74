"""Mistakes in claims: the user, the times, the audience, the issuer, the app."""

from __future__ import annotations

from tests.diagnostics_cases.builders import AUDIENCE, ISSUER, NOW, TEXT, Row, app, claimed, sign, with_issuer
from wicket import Rules, Secret, profiles

USER_ROWS = [
    # numeric user id
    Row("numeric sub", app, sign(TEXT, sub=42), "numeric_user_id", ("sub", "42", "quotes")),
    Row(
        "numeric userId",
        lambda: profiles.hissuno("acme", credentials=[Secret.from_text(TEXT)]),
        sign(TEXT, sub=None, userId=42),
        "numeric_user_id",
        ("userId", "42"),
    ),
]

CLAIM_ROWS = [
    # exp in milliseconds, as a duration, as a string
    Row("exp in ms", app, sign(TEXT, exp=(NOW + 3600) * 1000), "exp_in_milliseconds", ("exp", "1000")),
    Row(
        "iat and exp in ms",
        app,
        sign(TEXT, iat=NOW * 1000, exp=(NOW + 3600) * 1000),
        "exp_in_milliseconds",
        ("exp",),
        also=("iat_in_milliseconds",),
    ),
    Row("exp as duration", app, sign(TEXT, exp=3600), "exp_as_duration", ("3600", "duration")),
    Row("exp as duration without iat", app, sign(TEXT, iat=None, exp=86400), "exp_as_duration", ("86400",)),
    Row("exp as text", app, sign(TEXT, exp=str(NOW + 3600)), "exp_as_text", ("exp", "string")),
    Row("exp as date", app, sign(TEXT, exp="2025-10-20T23:40:00Z"), "exp_as_text", ("number of seconds",)),
    Row("exp before iat", app, sign(TEXT, exp=NOW - 60), "exp_before_iat", ("before it was issued",)),
    Row("expired", app, sign(TEXT, iat=NOW - 900, exp=NOW - 300), "expired", ("300 seconds ago",)),
    # iat in the future
    Row("iat ahead", app, sign(TEXT, iat=NOW + 120), "issued_in_future", ("120 seconds",), found="120 s ahead"),
    Row("nbf ahead", app, sign(TEXT, nbf=NOW + 90), "not_yet_valid", ("90 seconds", "nbf")),
    # lifetime against the bounds
    Row(
        "too long",
        lambda: app(rules=Rules(max_lifetime=3600, min_lifetime=60)),
        sign(TEXT, exp=NOW + 7200),
        "lifetime_too_long",
        ("7200", "3600"),
        expected="60 to 3600 s",
        found="7200 s",
    ),
    Row(
        "too short",
        lambda: app(rules=Rules(min_lifetime=60)),
        sign(TEXT, exp=NOW + 40),
        "lifetime_too_short",
        ("40", "60"),
    ),
    Row(
        "too long without iat",
        lambda: app(rules=Rules(max_lifetime=3600)),
        sign(TEXT, iat=None, exp=NOW + 7200),
        "lifetime_too_long",
        ("7200",),
    ),
    # audience missing or wrong; issuer with or without a slash
    Row("no aud", with_issuer, claimed(aud=None), "audience_missing", (AUDIENCE,), expected=repr(AUDIENCE)),
    Row("wrong aud", with_issuer, claimed(aud=["https://b.com"]), "audience_wrong", ("https://b.com", AUDIENCE)),
    Row("aud with a slash", with_issuer, claimed(aud=AUDIENCE + "/"), "audience_slash", ("slash",)),
    Row("aud not expected", app, sign(TEXT, aud="x"), "audience_unexpected", ("'x'",), expected="none"),
    Row("no iss", with_issuer, claimed(iss=None), "issuer_missing", (ISSUER,)),
    Row("wrong iss", with_issuer, claimed(iss="https://b.com"), "issuer_wrong", ("https://b.com", ISSUER)),
    Row("iss with a slash", with_issuer, claimed(iss=ISSUER + "/"), "issuer_slash", ("slash",), found=f"'{ISSUER}/'"),
    Row(
        "iss without a slash",
        lambda: with_issuer(issuer=ISSUER + "/"),
        claimed(),
        "issuer_slash",
        ("slash",),
        expected=f"'{ISSUER}/'",
    ),
    Row("iss not a text", with_issuer, claimed(iss=7), "issuer_wrong", ("7",)),
    # app binding and required claims
    Row(
        "wrong app",
        lambda: app(rules=Rules(app_claim="app")),
        sign(TEXT, app="globex"),
        "wrong_app",
        ("'globex'", "'acme'"),
    ),
    Row(
        "claims missing",
        lambda: app(rules=Rules(required_claims={"exp", "jti"}, app_claim="app", required_values={"scope": "user"})),  # type: ignore[arg-type]
        sign(TEXT),
        "missing_claim",
        ("jti", "app", "scope"),
    ),
    Row("no user", app, sign(TEXT, sub=None), "missing_claim", ("sub",)),
]

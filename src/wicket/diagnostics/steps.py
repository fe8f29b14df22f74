"""The steps of the check of a token or identity hash, each with what is expected and what was found.

The steps call the functions that the decision calls, and continue after a failure. The last step is the decision. No
step contains key material.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from wicket.config.rules import MAX_NUMERIC_DATE, MIN_NUMERIC_DATE
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.signature import wrong_jwk_issuer
from wicket.decision.token_parser import UnverifiedToken
from wicket.diagnostics.case import Case, attempt
from wicket.diagnostics.hashes import describe_pairs
from wicket.diagnostics.key_sets import describe
from wicket.diagnostics.report import Step, shown
from wicket.errors import Refusal, Refused
from wicket.gate import Gate
from wicket.jwks.fetcher import FetchFailed

_TIME_CLAIMS: Final = ("iat", "nbf", "exp")


def steps_of_case(case: Case) -> Iterator[Step]:
    """Yield every step. The last one is the decision."""
    app = case.app
    yield Step("app", "an app of this gate", f"{app.id!a}, profile {app.profile}", True)
    allowed = case.origin is None or app.allows_origin(case.origin)
    found = "none given" if case.origin is None else shown(case.origin)
    yield Step("origin", ", ".join(app.origins) or "any origin", found, allowed)
    if case.raw_token is not None or app.identity_hash is None:
        yield from _token_steps(case)
    if app.identity_hash is not None:
        for name, expected, found, passed in describe_pairs(case):
            yield Step(name, expected, found, passed)
    if case.refusal is None:
        yield Step("decision", "", f"passes as {case.decision.identity.identity or 'the app, without a user'}", True)
    else:
        yield refusal_step(case.refusal)


def steps_without_app(gate: Gate, app_id: str, refusal: Refusal) -> Iterator[Step]:
    """Yield the steps if the app is unknown, broken or unavailable."""
    broken = " (its configuration is broken)" if any(app.id == app_id for app in gate.broken_apps) else ""
    expected = "an app that can be used"
    if refusal.code == "unknown_app":
        expected = f"one of: {', '.join(sorted(app.id for app in gate.apps)) or 'the apps of the registry'}"
    yield Step("app", expected, f"{shown(app_id)}{broken}", False)
    yield refusal_step(refusal)


def refusal_step(refusal: Refusal) -> Step:
    """Return the step of a decision that is a refusal."""
    return Step("decision", "", f"refused: {_describe_refusal(Refused(refusal))}", False)


def _token_steps(case: Case) -> Iterator[Step]:
    raw_token, token, app = case.raw_token, case.token, case.app
    expected = f"three base64url parts, at most {app.rules.max_token_bytes} bytes"
    if raw_token is None or token is None:
        size = f"{len(raw_token or '')} characters"
        found = "none given" if raw_token is None else f"{size}: {_describe_refusal(case.token_error)}"
        if raw_token is not None and raw_token[:6].lower() == "bearer":
            found = f"{size}: it starts with Bearer: use only the token"
        yield Step("read", expected, found, False)
        return
    yield Step("read", expected, f"{len(raw_token)} characters", True)
    header = token.header
    algorithms = ", ".join(sorted(case.algorithms)) or "no credential"
    yield Step("algorithm", algorithms, shown(header.algorithm), header.algorithm in case.algorithms)
    for source, result in case.key_sets.items():
        yield Step("key set", source.redacted, describe(result), not isinstance(result, FetchFailed))
    keys = case.selection.keys if case.selection is not None else ()
    kids = ", ".join("(no kid)" if key.kid is None else shown(key.kid) for key in case.known_keys)
    tried = f"{len(keys)} to try" if keys else _describe_refusal(case.selection_error)
    yield Step("key", kids or "none", f"kid {shown(header.kid)}: {tried}", bool(keys))
    is_signed = case.signing_key is not None
    found = "verifies" if is_signed else "does not verify" if keys else "no key to try"
    yield Step("signature", "by one of these keys", found, is_signed if keys else None)
    if case.claims is None:
        yield Step("claims", "a JSON object", _describe_refusal(case.claims_error), False)
        return
    yield from _claim_steps(case, token, case.claims)


def _claim_steps(case: Case, token: UnverifiedToken, claims: Mapping[str, Any]) -> Iterator[Step]:
    app, now, rules = case.app, case.now, case.app.rules
    marker = "" if case.signing_key is not None else " (unverified)"
    for name in _TIME_CLAIMS:
        if name in claims or name in rules.required_claims:
            yield Step(
                name,
                "required" if name in rules.required_claims else "optional",
                f"{_describe_time(claims, name, now)}{marker}",
                None,
            )
    issuer = case.signing_key.issuer if case.signing_key is not None else None
    jwk_issuer = case.signing_key.jwk_issuer if case.signing_key is not None else None
    required_values = {"iss": jwk_issuer or issuer or app.issuer, "aud": " or ".join(app.audience) or None}
    if rules.app_claim is not None:
        required_values[rules.app_claim] = app.id
    for name, value in required_values.items():
        if value is not None or name in claims:
            default = "any" if name == "iss" else "none"
            yield Step(name, value or default, f"{shown(claims.get(name))}{marker}", None)
    lifetime = f"leeway {rules.leeway:g} s"
    if rules._has_lifetime_bounds:
        lifetime += f", lifetime {rules.min_lifetime or 0:g} to {rules.max_lifetime or float('inf'):g} s"
    _, refused = attempt(lambda: check_claims(claims, token.header.typ, app, now, issuer=issuer))
    if refused is None and case.signing_key is not None and not case.signing_key.serves(claims):
        refused = wrong_jwk_issuer()
    required = ", ".join(sorted(rules.required_claims)) or "none required"
    yield Step(
        "claims", f"{required}; {lifetime}", "valid" if refused is None else _describe_refusal(refused), refused is None
    )
    user, refused = attempt(lambda: read_user_id(claims, rules))
    found = _describe_refusal(refused) if user is None else "none"
    if user is not None and user[0]:
        found = f"{shown(user[0])} by {user[1]}{marker}"
    names = (
        f"{name} with {rules.user_id_patterns[name]}" if name in rules.user_id_patterns else name
        for name in rules.user_id_claims
    )
    yield Step("user", " or ".join(names), found, user is not None)
    if user is not None:
        revoked, _ = attempt(lambda: is_revoked(claims, user[0], app))
        yield Step("revoked", "no", "yes" if revoked else "no", not revoked)
    if app.check is not None:
        yield _own_check_step(case)


def _own_check_step(case: Case) -> Step:
    """Return the step of the app's own check. It is called once, by the decision, after every other check."""
    refusal = case.refusal
    if refusal is None:
        return Step("check", "None", "None", True)
    if refusal.code == "internal_error" or (refusal.reason == "bad_claim" and refusal.claim is None):
        return Step("check", "None", _describe_refusal(Refused(refusal)), False)
    return Step("check", "None", "not called", None)


def _describe_refusal(refused: Refused | None) -> str:
    return "" if refused is None else f"{refused}. {refused.refusal.detail}"


def _describe_time(claims: Mapping[str, Any], name: str, now: float) -> str:
    value = claims.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not MIN_NUMERIC_DATE <= value <= MAX_NUMERIC_DATE
    ):
        return shown(value)
    date = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    difference = value - now
    return f"{value} = {date}, {abs(difference):.0f} s {'ahead' if difference > 0 else 'ago'}"

"""The steps of one token's or hash's way, each with what was expected and what was found.

They call the very functions that the decision calls, go on where the decision would stop, and end with the decision
itself. Nothing is accepted by them, and no key material is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from wicket.decision.claims import LATEST, check_claims, is_revoked, read_user_id
from wicket.decision.signature import wrong_jwk_issuer
from wicket.decision.token_parser import UnverifiedToken
from wicket.diagnostics.case import Case, attempt
from wicket.diagnostics.hashes import described_pairs
from wicket.diagnostics.key_sets import describe
from wicket.diagnostics.report import Step, shown
from wicket.errors import Refusal, Refused
from wicket.gate import Gate
from wicket.jwks.fetcher import FetchFailed

_TIMES: Final = ("iat", "nbf", "exp")


def steps_of(case: Case) -> Iterator[Step]:
    """Every step; the last one is the decision."""
    app = case.app
    yield Step("app", "an app of the configuration", f"{app.id!a}, profile {app.profile}", True)
    allowed = case.origin is None or app.allows_origin(case.origin)
    found = "none given" if case.origin is None else shown(case.origin)
    yield Step("origin", ", ".join(app.origins) or "any origin", found, allowed)
    if case.text is not None or app.identity_hash is None:
        yield from _token_steps(case)
    if app.identity_hash is not None:
        for name, expected, found, passed in described_pairs(case):
            yield Step(name, expected, found, passed)
    if case.refusal is None:
        yield Step("decision", "", f"passes as {case.decision.identity.identity}", True)
    else:
        yield refused_step(case.refusal)


def steps_without_app(gate: Gate, app_id: str, refusal: Refusal) -> Iterator[Step]:
    """The steps where the app is unknown, broken or out of reach."""
    broken = " (its configuration is broken)" if any(each.id == app_id for each in gate.broken_apps) else ""
    expected = "an app that can be used"
    if refusal.code == "unknown_app":
        expected = f"one of: {', '.join(sorted(each.id for each in gate.apps)) or 'those of the registry'}"
    yield Step("app", expected, f"{shown(app_id)}{broken}", False)
    yield refused_step(refusal)


def refused_step(refusal: Refusal) -> Step:
    """The decision where it is a refusal."""
    return Step("decision", "", f"refused: {_words(Refused(refusal))}", False)


def _token_steps(case: Case) -> Iterator[Step]:
    text, token, app = case.text, case.token, case.app
    shape = f"three base64url parts, at most {app.rules.max_token_bytes} bytes"
    if text is None or token is None:
        found = "none given" if text is None else f"{len(text)} characters: {_words(case.unread)}"
        if text is not None and text[:6].lower() == "bearer":
            found = f"{len(text)} characters: it starts with Bearer: give the token alone"
        yield Step("read", shape, found, False)
        return
    yield Step("read", shape, f"{len(text)} characters", True)
    header = token.header
    algorithms = ", ".join(sorted(case.algorithms)) or "no credential"
    yield Step("algorithm", algorithms, shown(header.algorithm), header.algorithm in case.algorithms)
    for source, brought in case.sets.items():
        yield Step("key set", source.redacted, describe(brought), not isinstance(brought, FetchFailed))
    keys = case.choice.keys if case.choice is not None else ()
    kids = ", ".join("(no id)" if key.kid is None else shown(key.kid) for key in case.known_keys)
    chosen = f"{len(keys)} to try" if keys else _words(case.unchosen)
    yield Step("key", kids or "none at hand", f"kid {shown(header.kid)}: {chosen}", bool(keys))
    signed = case.signer is not None
    found = "verifies" if signed else "does not verify" if keys else "no key to try"
    yield Step("signature", "by one of these keys", found, signed if keys else None)
    if case.claims is None:
        yield Step("claims", "a JSON object", _words(case.unparsed), False)
        return
    yield from _claim_steps(case, token, case.claims)


def _claim_steps(case: Case, token: UnverifiedToken, claims: Mapping[str, Any]) -> Iterator[Step]:
    app, now, rules = case.app, case.now, case.app.rules
    proof = "" if case.signer is not None else " (unverified)"
    for name in _TIMES:
        if name in claims or name in rules.required_claims:
            yield Step(
                name,
                "required" if name in rules.required_claims else "optional",
                f"{_time(claims, name, now)}{proof}",
                None,
            )
    issuer = case.signer.issuer if case.signer is not None else None
    bound = case.signer.jwk_issuer if case.signer is not None else None
    wanted = {"iss": bound or issuer or app.issuer, "aud": " or ".join(app.audience) or None}
    if rules.app_claim is not None:
        wanted[rules.app_claim] = app.id
    for name, value in wanted.items():
        if value is not None or name in claims:
            otherwise = "any" if name == "iss" else "none"
            yield Step(name, value or otherwise, f"{shown(claims.get(name))}{proof}", None)
    lifetime = f"skew {rules.leeway:g} s"
    if rules._has_lifetime_bounds:
        lifetime += f", lifetime {rules.min_lifetime or 0:g} to {rules.max_lifetime or float('inf'):g} s"
    _, refused = attempt(lambda: check_claims(claims, token.header.typ, app, now, issuer=issuer))
    if refused is None and case.signer is not None and not case.signer.serves(claims):
        refused = wrong_jwk_issuer()
    required = ", ".join(sorted(rules.required_claims)) or "none required"
    yield Step("claims", f"{required}; {lifetime}", "hold" if refused is None else _words(refused), refused is None)
    user, refused = attempt(lambda: read_user_id(claims, rules))
    found = _words(refused) if user is None else f"{shown(user[0])} by {user[1]}{proof}"
    yield Step("user", " or ".join(rules.user_id_claims), found, user is not None)
    if user is not None:
        revoked, _ = attempt(lambda: is_revoked(claims, user[0], app))
        yield Step("revoked", "no", "yes" if revoked else "no", not revoked)


def _words(refused: Refused | None) -> str:
    return "" if refused is None else f"{refused}. {refused.refusal.detail}"


def _time(claims: Mapping[str, Any], name: str, now: float) -> str:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
        return shown(value)
    moment = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    distance = value - now
    return f"{value} = {moment}, {abs(distance):.0f} s {'ahead' if distance > 0 else 'ago'}"

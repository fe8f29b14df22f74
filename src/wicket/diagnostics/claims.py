"""Mistakes in the claims of a token. All of them are found, even if the signature does not verify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from wicket.config.app import App
from wicket.config.rules import MAX_NUMERIC_DATE, Rules
from wicket.decision.claims import check_claims, numeric_date
from wicket.diagnostics.case import Case, attempt
from wicket.diagnostics.report import Finding, listed, shown

Claims = Mapping[str, Any]

_TIME_CLAIMS: Final = ("exp", "nbf", "iat")
_OTHER_FINDINGS: Final = frozenset({"iss", "aud"})
"""Claims whose absence has its own finding."""


def claim_findings(case: Case) -> Iterator[Finding]:
    """Yield the mistakes in the claims. Yield nothing if the gate accepts them."""
    claims, app = case.claims, case.app
    if claims is None or case.token is None:
        return
    issuer = (case.signing_key.issuer if case.signing_key is not None else None) or app.issuer
    typ = case.token.header.typ
    _, refused = attempt(lambda: check_claims(claims, typ, app, case.now, issuer=issuer))
    yield from _user_findings(claims, app.rules)
    if refused is None:
        key = case.signing_key
        if key is not None and key.jwk_issuer is not None and not key.serves(claims):
            yield from _issuer_findings(claims, key.jwk_issuer)
        return
    times = list(_time_findings(claims, case.now))
    yield from times
    if not times:
        yield from _span_findings(claims, app.rules, case.now)
    if issuer is not None:
        yield from _issuer_findings(claims, issuer)
    yield from _audience_findings(claims, app)
    yield from _binding_findings(claims, app)


def _user_findings(claims: Claims, rules: Rules) -> Iterator[Finding]:
    names = [name for name in rules.user_id_claims if claims.get(name) is not None][:1]
    if "sub" not in names and "sub" in claims:
        names.append("sub")
    for name in names:
        value = claims[name]
        if type(value) is float or (type(value) is int and not rules.allow_integer_user_id):
            detail = f"The claim {name} is the number {shown(value)}: write it as a string, in quotes."
            yield Finding("numeric_user_id", detail, "a string", "a number")


def _time_findings(claims: Claims, now: float) -> Iterator[Finding]:
    """Yield times that are not in seconds since 1970, and times that cannot be intended."""
    issued = claims.get("iat")
    start = issued if _is_number(issued) and 0 <= issued <= MAX_NUMERIC_DATE else now
    for name in _TIME_CLAIMS:
        value = claims.get(name)
        if isinstance(value, str):
            detail = f"The claim {name} is a string: it must be a number of seconds since 1970, without quotes."
            yield Finding(f"{name}_as_text", detail, "a number of seconds since 1970", shown(value))
        elif not _is_number(value):
            continue
        elif MAX_NUMERIC_DATE < value <= MAX_NUMERIC_DATE * 1000:
            detail = (
                f"The claim {name} is in milliseconds: divide it by 1000 and round it down (in JavaScript: "
                "Math.floor(Date.now() / 1000))."
            )
            yield Finding(f"{name}_in_milliseconds", detail, "seconds since 1970", f"{shown(value)}, milliseconds")
        elif name == "exp" and 0 <= value < start / 2:
            detail = (
                f"The claim exp is {shown(value)}, which is a duration: it must be the time of expiry in seconds since "
                "1970, which is the current time plus the duration."
            )
            yield Finding("exp_as_duration", detail, "a time in seconds since 1970", f"{shown(value)}, a duration")
        elif name == "exp" and issued is not None and 0 <= value < start:
            detail = "The claim exp is earlier than iat: the token expired before it was issued."
            yield Finding("exp_before_iat", detail, "a time after iat", f"{start - value:.0f} s earlier")


def _span_findings(claims: Claims, rules: Rules, now: float) -> Iterator[Finding]:
    """Yield times in the right form that are too early, too late or too far apart."""
    expires, starts, issued = (_numeric_date(claims, name) for name in _TIME_CLAIMS)
    leeway = rules.leeway
    if expires is not None and now >= expires + leeway:
        detail = f"The token expired {now - expires:.0f} seconds ago: refresh it earlier, and check the clock."
        yield Finding("expired", detail, f"at most {leeway:g} s ago", f"{now - expires:.0f} s ago")
    for name, value, code in (("nbf", starts, "not_yet_valid"), ("iat", issued, "issued_in_future")):
        if value is not None and value > now + leeway:
            ahead = f"{value - now:.0f}"
            detail = (
                f"The claim {name} is {ahead} seconds in the future, and this app allows {leeway:g}: correct the clock "
                "of the machine that signs, or check whether the code adds a time zone."
            )
            yield Finding(code, detail, f"at most {leeway:g} s ahead", f"{ahead} s ahead")
    if expires is None or not rules._has_lifetime_bounds:
        return
    lifetime = expires - (now if issued is None else issued)
    minimum, maximum = rules.min_lifetime or 0, rules.max_lifetime
    bounds = f"{minimum:g} to {maximum:g} s" if maximum is not None else f"at least {minimum:g} s"
    if maximum is not None and lifetime > maximum:
        detail = (
            f"The lifetime of the token is {lifetime:.0f} seconds, and this app allows at most {maximum:g}: set an "
            "earlier exp."
        )
        yield Finding("lifetime_too_long", detail, bounds, f"{lifetime:.0f} s")
    elif lifetime < minimum:
        detail = (
            f"The lifetime of the token is {lifetime:.0f} seconds, and this app requires at least {minimum:g}: set a "
            "later exp."
        )
        yield Finding("lifetime_too_short", detail, bounds, f"{lifetime:.0f} s")


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)  # isinstance(True, int) is true


def _numeric_date(claims: Claims, name: str) -> float | None:
    return attempt(lambda: numeric_date(claims, name))[0]


def _issuer_findings(claims: Claims, issuer: str) -> Iterator[Finding]:
    value = claims.get("iss")
    if value == issuer:
        return
    expected, found = shown(issuer), shown(value)
    if value is None:
        yield Finding("issuer_missing", f"The token has no iss: it must be {expected}.", expected, "none")
    elif isinstance(value, str) and value.rstrip("/") == issuer.rstrip("/"):
        detail = f"The token's iss is {found} and must be {expected}: only a slash at the end differs."
        yield Finding("issuer_slash", detail, expected, found)
    else:
        detail = f"The token's iss is {found} and must be {expected}: it names another issuer or environment."
        yield Finding("issuer_wrong", detail, expected, found)


def _audience_findings(claims: Claims, app: App) -> Iterator[Finding]:
    value = claims.get("aud")
    audiences = value if isinstance(value, list) else [value]
    expected, found = listed(app.audience, "none"), shown(value) if "aud" in claims else "none"
    if not app.audience:
        if "aud" in claims:
            detail = f"The token has the aud {found}, and this app has no audience: remove aud, or configure it."
            yield Finding("audience_unexpected", detail, expected, found)
    elif value is None:
        yield Finding("audience_missing", f"The token has no aud: it must be {expected}.", expected, found)
    elif not any(audience in app.audience for audience in audiences):
        without_slash = {audience.rstrip("/") for audience in app.audience}
        if any(isinstance(audience, str) and audience.rstrip("/") in without_slash for audience in audiences):
            detail = f"The token's aud is {found} and must be {expected}: only a slash at the end differs."
            yield Finding("audience_slash", detail, expected, found)
        else:
            detail = f"The token's aud is {found} and must be {expected}: it was issued for another service."
            yield Finding("audience_wrong", detail, expected, found)


def _binding_findings(claims: Claims, app: App) -> Iterator[Finding]:
    rules = app.rules
    binding = rules.app_claim
    if binding is not None and claims.get(binding) not in (None, app.id):
        found = shown(claims[binding])
        detail = f"The claim {binding} is {found} and must be this app's id, {shown(app.id)}."
        yield Finding("wrong_app", detail, shown(app.id), found)
    own = {binding} if binding is not None else set()
    for name in sorted(rules.required_claims | own | rules.required_values.keys() | rules.allowed_values.keys()):
        if claims.get(name) is None and name not in _OTHER_FINDINGS:
            detail = f"The token lacks the claim {name}, which this app requires."
            yield Finding("missing_claim", detail, name, "none")

"""The mistakes in a token's claims. They are looked at whether or not the token verifies, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from wicket.config.app import App
from wicket.config.rules import Rules
from wicket.decision.claims import LATEST, check_claims, numeric_date
from wicket.diagnostics.case import Case, attempt
from wicket.diagnostics.report import Finding, listed, shown

Claims = Mapping[str, Any]

_TIMES: Final = ("exp", "nbf", "iat")
_ELSEWHERE: Final = frozenset({"iss", "aud"})


def claim_findings(case: Case) -> Iterator[Finding]:
    """Every mistake in the claims; nothing where the gate would take them."""
    claims, app = case.claims, case.app
    if claims is None or case.token is None:
        return
    issuer = (case.signer.issuer if case.signer is not None else None) or app.issuer
    typ = case.token.header.typ
    _, refused = attempt(lambda: check_claims(claims, typ, app, case.now, issuer=issuer))
    yield from _user_findings(claims, app.rules)
    if refused is None:
        if case.signer is not None and case.signer.jwk_issuer is not None and not case.signer.serves(claims):
            yield from _issuer_findings(claims, case.signer.jwk_issuer)
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
            detail = f"The claim {name} is the number {shown(value)}: write it as a text, in quotes."
            yield Finding("numeric_user_id", detail, "a string", "a number")


def _time_findings(claims: Claims, now: float) -> Iterator[Finding]:
    """Times in another form than seconds since 1970, and times that cannot be meant."""
    base = claims.get("iat")
    begun = base if _is_number(base) and 0 <= base <= LATEST else now
    for name in _TIMES:
        value = claims.get(name)
        if isinstance(value, str):
            detail = f"The claim {name} is a text: it must be a number of seconds since 1970, without quotes."
            yield Finding(f"{name}_as_text", detail, "a number of seconds since 1970", shown(value))
        elif not _is_number(value):
            continue
        elif LATEST < value <= LATEST * 1000:
            detail = (
                f"The claim {name} is in milliseconds: divide it by 1000, and round it down (in JavaScript "
                "Math.floor(Date.now() / 1000))."
            )
            yield Finding(f"{name}_in_milliseconds", detail, "seconds since 1970", f"{shown(value)}, milliseconds")
        elif name == "exp" and 0 <= value < begun / 2:
            detail = (
                f"The claim exp is {shown(value)}, which is a duration: it must be the moment of expiry, the seconds "
                "since 1970 plus that duration."
            )
            yield Finding("exp_as_duration", detail, "a moment, in seconds since 1970", f"{shown(value)}, a duration")
        elif name == "exp" and base is not None and 0 <= value < begun:
            detail = "The claim exp lies before iat: the token expired before it was issued."
            yield Finding("exp_before_iat", detail, "a moment after iat", f"{begun - value:.0f} s before it")


def _span_findings(claims: Claims, rules: Rules, now: float) -> Iterator[Finding]:
    """Times that are read as the gate reads them, and are too early, too late or too far apart."""
    expires, starts, issued = (_read(claims, name) for name in _TIMES)
    skew = rules.leeway
    if expires is not None and now >= expires + skew:
        detail = f"The token expired {now - expires:.0f} seconds ago: refresh it before it does, and check the clock."
        yield Finding("expired", detail, f"at most {skew:g} s ago", f"{now - expires:.0f} s ago")
    for name, value, mistake in (("nbf", starts, "not_yet_valid"), ("iat", issued, "issued_in_future")):
        if value is not None and value > now + skew:
            ahead = f"{value - now:.0f}"
            detail = (
                f"The claim {name} lies {ahead} seconds in the future, and this app admits {skew:g}: set the clock of "
                "the machine that signs, or look whether it adds a time zone."
            )
            yield Finding(mistake, detail, f"at most {skew:g} s ahead", f"{ahead} s ahead")
    if expires is None or not rules._has_lifetime_bounds:
        return
    lifetime = expires - (now if issued is None else issued)
    least, most = rules.min_lifetime or 0, rules.max_lifetime
    bounds = f"{least:g} to {most:g} s" if most is not None else f"at least {least:g} s"
    if most is not None and lifetime > most:
        detail = f"The token lives {lifetime:.0f} seconds, and this app admits at most {most:g}: let it expire sooner."
        yield Finding("lifetime_too_long", detail, bounds, f"{lifetime:.0f} s")
    elif lifetime < least:
        detail = f"The token lives {lifetime:.0f} seconds, and this app wants at least {least:g}: let it live longer."
        yield Finding("lifetime_too_short", detail, bounds, f"{lifetime:.0f} s")


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)  # a boolean is an int to isinstance


def _read(claims: Claims, name: str) -> float | None:
    return attempt(lambda: numeric_date(claims, name))[0]


def _issuer_findings(claims: Claims, wanted: str) -> Iterator[Finding]:
    given = claims.get("iss")
    if given == wanted:
        return
    expected, found = shown(wanted), shown(given)
    if given is None:
        yield Finding("issuer_missing", f"The token has no iss: it must be {expected}.", expected, "none")
    elif isinstance(given, str) and given.rstrip("/") == wanted.rstrip("/"):
        detail = (
            f"The token's iss is {found} and must be {expected}: they differ by a slash at the end, and that counts."
        )
        yield Finding("issuer_slash", detail, expected, found)
    else:
        detail = f"The token's iss is {found} and must be {expected}: it is of another issuer or environment."
        yield Finding("issuer_wrong", detail, expected, found)


def _audience_findings(claims: Claims, app: App) -> Iterator[Finding]:
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    expected, found = listed(app.audience, "none"), shown(given) if "aud" in claims else "none"
    if not app.audience:
        if "aud" in claims:
            detail = f"The token has the aud {found}, and this app knows no audience: leave aud out, or configure it."
            yield Finding("audience_unexpected", detail, expected, found)
    elif given is None:
        yield Finding("audience_missing", f"The token has no aud: it must be {expected}.", expected, found)
    elif not any(each in app.audience for each in audiences):
        bare = {each.rstrip("/") for each in app.audience}
        if any(isinstance(each, str) and each.rstrip("/") in bare for each in audiences):
            detail = f"The token's aud is {found} and must be {expected}: they differ by a slash at the end."
            yield Finding("audience_slash", detail, expected, found)
        else:
            detail = f"The token's aud is {found} and must be {expected}: it was made for another service."
            yield Finding("audience_wrong", detail, expected, found)


def _binding_findings(claims: Claims, app: App) -> Iterator[Finding]:
    rules = app.rules
    binding = rules.app_claim
    if binding is not None and claims.get(binding) not in (None, app.id):
        found = shown(claims[binding])
        detail = f"The claim {binding} is {found} and must be this app's id, {shown(app.id)}."
        yield Finding("wrong_app", detail, shown(app.id), found)
    for name in sorted(
        rules.required_claims | ({binding} if binding is not None else set()) | rules.required_values.keys()
    ):
        if claims.get(name) is None and name not in _ELSEWHERE:
            detail = f"The token lacks the claim {name}, which this app requires."
            yield Finding("missing_claim", detail, name, "none")

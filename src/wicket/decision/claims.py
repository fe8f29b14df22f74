"""Check the claims of a token against the rules of its app at the current time.

Each check raises `Refused`. The checks run in the order of `check_claims`. The signature is verified before, so only
the holder of a valid token learns which claim is wrong.
"""

from __future__ import annotations

import re
from math import inf
from typing import Any, Final

from wicket.config.app import App
from wicket.config.rules import MAX_NUMERIC_DATE, MIN_NUMERIC_DATE, Rules, media_type
from wicket.decision.claim_values import Claims, bad_claim, check_attributes, check_companies, read_scopes
from wicket.errors import invalid_token

MAX_USER_ID: Final = 256
_FORBIDDEN: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f"  # control characters
    "\\u2028\\u2029"  # line and paragraph separators
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"  # bidirectional formatting: it reorders displayed text
    "\\ud800-\\udfff]"  # lone surrogates: UTF-8 cannot encode them
)

TokenTimes = tuple[float | None, float | None, float | None]
"""`exp`, `nbf` and `iat`, in seconds since 1970; None for an absent claim."""


def read_times(claims: Claims) -> TokenTimes:
    """Read `exp`, `nbf` and `iat`.

    Raises:
        Refused: `bad_claim` if one of them is not a valid NumericDate.
    """
    expires: Any = claims.get("exp")
    issued: Any = claims.get("iat")
    if expires.__class__ is not int or not 0 <= expires <= MAX_NUMERIC_DATE:
        expires = numeric_date(claims, "exp")
    starts = numeric_date(claims, "nbf") if "nbf" in claims else None
    if issued.__class__ is not int or not 0 <= issued <= MAX_NUMERIC_DATE:
        issued = numeric_date(claims, "iat")
    return expires, starts, issued


def check_claims(
    claims: Claims, typ: str | None, app: App, now: float, issuer: str | None = None, times: TokenTimes | None = None
) -> TokenTimes:
    """Check the claims of a verified payload. It runs for every token, so it tests rare rules with one condition.

    Args:
        claims: The claims.
        typ: The `typ` of the token's header; None if it is absent.
        app: The app of the request.
        now: The current time in seconds since 1970.
        issuer: The issuer of the key that signed the token; None for the app's issuer.
        times: The result of `read_times` for `claims`; None to read them here.

    Returns:
        The result of `read_times`.

    Raises:
        Refused: A claim does not follow the app's rules.
    """
    rules = app.rules
    if typ != "JWT" or rules.allowed_typ:
        _check_type(typ, rules)
    times = read_times(claims) if times is None else times
    check_times(times, rules, now)
    expires, _, issued = times
    if rules._has_lifetime_bounds and expires is not None:
        _check_lifetime(expires - (now if issued is None else issued), rules)
    app_issuer = app.issuer if issuer is None else issuer
    if app_issuer is not None:
        _check_issuer(claims, app_issuer)
    elif "iss" in claims and not isinstance(claims["iss"], str):
        raise bad_claim("iss", "must be a string")  # RFC 7519 section 4.1.1
    if app.audience or "aud" in claims:
        _check_audience(claims, app)
    for name in rules.required_claims:
        if claims.get(name) is None:
            raise _missing(min(claim for claim in rules.required_claims if claims.get(claim) is None))
    if rules._has_custom_claims:
        _check_custom_claims(claims, app)
    if claims.get("sub").__class__ is not str or "jti" in claims:
        _check_strings(claims, rules)
    if rules._has_custom_claims:
        _check_claim_types(claims, rules)
    return times


def check_times(times: TokenTimes, rules: Rules, now: float) -> None:
    """Check the dates of a token at the current time. Every other check of `check_claims` has a constant result.

    Args:
        times: The result of `read_times`.
        rules: The rules of the app.
        now: The current time in seconds since 1970.

    Raises:
        Refused: The token is expired or not valid yet, or it lacks the `exp` that the app's rules need.
    """
    expires, starts, issued = times
    leeway = rules.leeway
    if expires is None:
        if rules._has_lifetime_bounds:
            raise _missing("exp")
    elif now >= expires + leeway:
        raise invalid_token("expired", claim="exp")
    if starts is not None and starts > now + leeway:
        raise invalid_token("not_yet_valid", claim="nbf")
    if issued is not None and issued > now + leeway:
        raise invalid_token("issued_in_future", claim="iat")


def valid_period(times: TokenTimes, rules: Rules) -> tuple[float, float]:
    """Return a period in which `check_times` passes. It is one second shorter at each end than the longest one.

    Args:
        times: The result of `read_times`.
        rules: The rules of the app. If they need an `exp`, the token has one.

    Returns:
        The first second of the period and the first second after it, in seconds since 1970.
    """
    expires, starts, issued = times
    first = max(-inf if starts is None else starts, -inf if issued is None else issued)
    return first - rules.leeway + 1, (inf if expires is None else expires) + rules.leeway - 1


def _check_lifetime(lifetime: float, rules: Rules) -> None:
    if rules.max_lifetime is not None and lifetime > rules.max_lifetime:
        raise invalid_token("lifetime_too_long", claim="exp", expected=f"at most {rules.max_lifetime:g} seconds")
    if rules.min_lifetime is not None and lifetime < rules.min_lifetime:
        raise invalid_token("lifetime_too_short", claim="exp", expected=f"at least {rules.min_lifetime:g} seconds")


def _check_custom_claims(claims: Claims, app: App) -> None:
    rules = app.rules
    if rules.app_claim is not None:
        _check_app_claim(claims, rules.app_claim, app)
    for name, value in rules.required_values.items():
        _check_value(claims, name, (value,), "does not have the value that this app requires")
    for name, values in rules.allowed_values.items():
        _check_value(claims, name, values, "has none of the values that this app allows")


def _check_strings(claims: Claims, rules: Rules) -> None:
    for name in ("sub", "jti"):
        if name in claims and not isinstance(claims[name], str):
            if name == "sub" and rules.allow_integer_user_id and type(claims[name]) is int:
                continue
            raise bad_claim(name, "must be a string")


def _check_claim_types(claims: Claims, rules: Rules) -> None:
    if rules.attributes_claim is not None:
        check_attributes(claims, rules, rules.attributes_claim)
    if rules.companies_claim is not None:
        check_companies(claims, rules.companies_claim)
    read_scopes(claims, rules.scopes_claim)


def _missing(name: str) -> Exception:
    return invalid_token("missing_claim", f"The token lacks the claim {name}.", claim=name)


def numeric_date(claims: Claims, name: str) -> float | None:
    """Read a NumericDate (RFC 7519 section 2).

    Returns:
        The seconds since 1970; None if the claim is absent.

    Raises:
        Refused: `bad_claim` if the claim is not a JSON number from the year 1 to the end of the year 9999. Some
            libraries write the year 1 for a date that is not set.
    """
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int and type(value) is not float:  # isinstance(True, int) is true
        raise bad_claim(name, "must be a number of seconds since 1970")
    if not MIN_NUMERIC_DATE <= value <= MAX_NUMERIC_DATE:
        unit = "seconds since 1970" + (", not milliseconds" if value > 0 else ", and not before the year 1")
        raise bad_claim(name, f"must be {unit}")
    return value


def _check_type(typ: str | None, rules: Rules) -> None:
    if rules.allowed_typ:
        if media_type("JWT" if typ is None else typ) not in rules.allowed_typ:  # RFC 7519 section 5.1
            raise invalid_token("wrong_type", expected=f"typ {' or '.join(sorted(rules.allowed_typ))}")
    elif typ is not None and media_type(typ) != "jwt":
        raise invalid_token("wrong_type", expected="typ jwt")


def _check_issuer(claims: Claims, app_issuer: str) -> None:
    if "iss" not in claims:
        raise _missing("iss")
    issuer = claims["iss"]
    if not isinstance(issuer, str):
        raise bad_claim("iss", "must be a string")
    if issuer != app_issuer:
        slash = issuer.rstrip("/") == app_issuer.rstrip("/")
        detail = "The token's issuer differs from this app's issuer by a slash at its end." if slash else ""
        raise invalid_token("wrong_issuer", detail, claim="iss", expected=app_issuer)


def _check_audience(claims: Claims, app: App) -> None:
    aud = claims.get("aud")
    audiences = [aud] if isinstance(aud, str) else aud
    if "aud" in claims and not (isinstance(audiences, list) and all(isinstance(item, str) for item in audiences)):
        raise bad_claim("aud", "must be a string or a list of strings")
    if not app.audience:
        raise invalid_token(
            "wrong_audience", "This app has no audience, so it allows no token with an audience.", claim="aud"
        )
    if audiences is None:
        raise _missing("aud")
    if not any(audience in app.audience for audience in audiences):
        without_slash = {audience.rstrip("/") for audience in app.audience}
        slash = any(audience.rstrip("/") in without_slash for audience in audiences)
        detail = "The token's audience differs from this app's audience by a slash at its end." if slash else ""
        raise invalid_token("wrong_audience", detail, claim="aud", expected=" or ".join(app.audience))


def _check_app_claim(claims: Claims, name: str, app: App) -> None:
    if name not in claims:
        raise _missing(name)
    if claims[name] != app.id:
        raise invalid_token("wrong_app", claim=name, expected=app.id)


def _check_value(claims: Claims, name: str, allowed: tuple[object, ...], requirement: str) -> None:
    if name not in claims:
        raise _missing(name)
    value = claims[name]
    if not any(type(value) is type(item) and value == item for item in allowed):
        raise bad_claim(name, requirement, expected=" or ".join(map(repr, allowed)))


def read_user_id(claims: Claims, rules: Rules) -> tuple[str, str]:
    """Read the user ID from the first present claim of `rules.user_id_claims`. A null claim counts as absent.

    If the claim has a pattern, the user ID is the part of its value that the pattern names.

    A user ID is a non-empty string of at most 256 characters, without control, line-separator or bidirectional
    formatting characters. If `rules.allow_integer_user_id` is set, an integer is converted to its decimal digits.

    Returns:
        The user ID and the name of the claim. Both are empty if the token has no user and the rules allow that.

    Raises:
        Refused: `missing_claim` if all claims are absent, `bad_claim` if the first present claim is not a user ID.
    """
    first, patterns = rules.user_id_claims[0], rules._user_id_patterns
    value = claims.get(first)
    if value.__class__ is str and value and len(value) <= MAX_USER_ID and value.isprintable() and not patterns:
        return value, first  # the common case
    for name in rules.user_id_claims:
        value = claims.get(name)
        if value is None or (value == "" and not rules.require_user):
            continue
        if type(value) is int and rules.allow_integer_user_id:
            value = str(value)
        if not isinstance(value, str) or not value:
            raise bad_claim(name, "must be a string that is not empty")
        if name in patterns:
            value = patterns[name].find(value)
            if value is None:
                raise bad_claim(name, f"must have the form {rules.user_id_patterns[name]}")
        requirement = bad_user_id(value)
        if requirement is not None:
            raise bad_claim(name, requirement)
        return value, name
    if not rules.require_user:
        return "", ""
    names = " or ".join(rules.user_id_claims)
    raise invalid_token("missing_claim", f"The token lacks the claim {names}.", claim=rules.user_id_claims[0])


def bad_user_id(value: str) -> str | None:
    """Return the requirement that a string does not meet as a user ID; None if it is a valid user ID."""
    if not 0 < len(value) <= MAX_USER_ID or (not value.isprintable() and _FORBIDDEN.search(value) is not None):
        return f"must have 1 to {MAX_USER_ID} characters and no control, line-separator or text-direction characters"
    return None


def signed_identifier(claims: Claims, name: str, rules: Rules) -> str | None:
    """Return the identifier of the user in one claim, by its pattern if it has one; None if there is none.

    Args:
        claims: The claims.
        name: The name of the claim.
        rules: The rules of the app.
    """
    value = claims.get(name)
    identifier = str(value) if type(value) is int else value
    if not isinstance(identifier, str):
        return None
    pattern = rules._user_id_patterns.get(name)
    return identifier if pattern is None else pattern.find(identifier)


def is_revoked(claims: Claims, user_id: str, app: App) -> bool:
    """Return whether the app's revocations cover a token.

    A cutoff covers a token if the token's `iat` is at most the cutoff plus the leeway, or if it has no `iat`. A cutoff
    for a user applies to every identifier that the token signs, not only to `user_id`. If the app normalizes an
    identifier before it is hashed, the cutoff applies to every value with the same normalized form.

    Args:
        claims: The claims of the token.
        user_id: The user ID of the token.
        app: The app of the request.
    """
    revocations = app.revocations
    if revocations.token_ids and claims.get("jti") in revocations.token_ids:
        return True
    users, by_claim = revocations.users, revocations.users_by_claim
    candidates = [revocations.issued_before, users.get(user_id)]
    for claim in app.user_id_claims if users or by_claim else ():
        identifier = signed_identifier(claims, claim, app.rules)
        if identifier is not None:
            candidates += users.get(identifier), by_claim.get(claim, {}).get(identifier)
            rule = app.identity_hash
            if rule is not None and app.hash_cutoffs and claim in rule.identifiers:
                candidates.append(app.hash_cutoffs.get((claim, rule.normalized(identifier))))
    cutoffs = [cutoff for cutoff in candidates if cutoff is not None]
    if not cutoffs:
        return False
    issued = numeric_date(claims, "iat")
    return issued is None or issued <= max(cutoffs) + app.rules.leeway

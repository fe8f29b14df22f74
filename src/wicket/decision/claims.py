"""What the claims of a token must say, now. Each check raises `Refused`; the order is the order of the checks below.

The claims come from a payload whose signature has been verified, so what is said about them is said to whoever holds
the token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from wicket.config.app import App
from wicket.config.rules import Rules, media_type
from wicket.errors import invalid_token

LATEST: Final = 253402300799  # 9999-12-31T23:59:59Z
MAX_USER_ID: Final = 256
_FORBIDDEN: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f"  # control characters
    "\\u2028\\u2029"  # line and paragraph separators
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"  # bidirectional formatting: they reorder what is displayed
    "\\ud800-\\udfff]"  # lone surrogates, which no encoding has
)

Claims = Mapping[str, Any]
TokenTimes = tuple[float | None, float | None, float | None]
"""`exp`, `nbf` and `iat`; None for what is absent."""


def read_times(claims: Claims) -> TokenTimes:
    """The dates among `claims`. Raises `Refused` where one does not have its form."""
    expires: Any = claims.get("exp")
    issued: Any = claims.get("iat")
    if expires.__class__ is not int or not 0 <= expires <= LATEST:
        expires = numeric_date(claims, "exp")
    starts = numeric_date(claims, "nbf") if "nbf" in claims else None
    if issued.__class__ is not int or not 0 <= issued <= LATEST:
        issued = numeric_date(claims, "iat")
    return expires, starts, issued


def check_claims(
    claims: Claims, typ: str | None, app: App, now: float, issuer: str | None = None, times: TokenTimes | None = None
) -> None:
    """Hold `claims` against the rules of `app` at `now` (seconds since 1970). Raises `Refused`.

    `issuer` is that of the key that signed them, where it has one of its own; otherwise the app's counts. `times` are
    the dates among the claims, where they were read before. Every token of every request comes through here, so what
    most apps have no rule for is asked about once.
    """
    rules = app.rules
    if typ != "JWT" or rules.allowed_typ:
        _check_type(typ, rules)
    expires, starts, issued = read_times(claims) if times is None else times
    skew = rules.leeway
    if expires is None:
        if rules._has_lifetime_bounds:
            raise _missing("exp")
    elif now >= expires + skew:
        raise invalid_token("expired", claim="exp")
    if starts is not None and starts > now + skew:
        raise invalid_token("not_yet_valid", claim="nbf")
    if issued is not None and issued > now + skew:
        raise invalid_token("issued_in_future", claim="iat")
    if rules._has_lifetime_bounds and expires is not None:
        _check_lifetime(expires - (now if issued is None else issued), rules)
    wanted = app.issuer if issuer is None else issuer
    if wanted is not None:
        _check_issuer(claims, wanted)
    elif "iss" in claims and not isinstance(claims["iss"], str):
        raise bad_claim("iss", "must be a string")  # RFC 7519 section 4.1.1, whoever looks at it
    if app.audience or "aud" in claims:
        _check_audience(claims, app)
    for name in rules.required_claims:
        if claims.get(name) is None:
            raise _missing(min(each for each in rules.required_claims if claims.get(each) is None))
    if rules._has_custom_claims:
        _check_custom_claims(claims, app)
    if claims.get("sub").__class__ is not str or "jti" in claims:
        _check_strings(claims, rules)
    if rules._has_custom_claims:
        _check_claim_types(claims, rules)


def _check_lifetime(lifetime: float, rules: Rules) -> None:
    if rules.max_lifetime is not None and lifetime > rules.max_lifetime:
        raise invalid_token("lifetime_too_long", claim="exp")
    if rules.min_lifetime is not None and lifetime < rules.min_lifetime:
        raise invalid_token("lifetime_too_short", claim="exp")


def _check_custom_claims(claims: Claims, app: App) -> None:
    rules = app.rules
    if rules.app_claim is not None:
        _check_binding(claims, rules.app_claim, app)
    for name, value in rules.required_values.items():
        _check_fixed(claims, name, value)


def _check_strings(claims: Claims, rules: Rules) -> None:
    for name in ("sub", "jti"):
        if name in claims and not isinstance(claims[name], str):
            if name == "sub" and rules.allow_integer_user_id and type(claims[name]) is int:
                continue
            raise bad_claim(name, "must be a string")


def _check_claim_types(claims: Claims, rules: Rules) -> None:
    if rules.attributes_claim is not None:
        _check_attributes(claims, rules)
    if rules.companies_claim is not None:
        _check_companies(claims, rules.companies_claim)
    if rules.scopes_claim is not None:
        read_scopes(claims, rules.scopes_claim)


def bad_claim(name: str, what: str) -> Exception:
    """The claim `name` does not have its form."""
    return invalid_token("bad_claim", f"The claim {name} {what}.", claim=name)


def _missing(name: str) -> Exception:
    return invalid_token("missing_claim", f"The token lacks the claim {name}.", claim=name)


def numeric_date(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2): a JSON number from 0 to the year 9999; None where the claim is absent."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int and type(value) is not float:  # a boolean is an int to isinstance
        raise bad_claim(name, "must be a number of seconds since 1970")
    if not 0 <= value <= LATEST:
        raise bad_claim(name, "must be seconds since 1970, not milliseconds")
    return value


def _check_type(typ: str | None, rules: Rules) -> None:
    if rules.allowed_typ:
        if typ is None or media_type(typ) not in rules.allowed_typ:
            raise invalid_token("wrong_type")
    elif typ is not None and media_type(typ) != "jwt":
        raise invalid_token("wrong_type")


def _check_issuer(claims: Claims, wanted: str) -> None:
    if "iss" not in claims:
        raise _missing("iss")
    issuer = claims["iss"]
    if not isinstance(issuer, str):
        raise bad_claim("iss", "must be a string")
    if issuer != wanted:
        slash = issuer.rstrip("/") == wanted.rstrip("/")
        detail = "The token's issuer differs from this app's issuer by a slash at its end." if slash else ""
        raise invalid_token("wrong_issuer", detail, claim="iss")


def _check_audience(claims: Claims, app: App) -> None:
    given = claims.get("aud")
    audiences = [given] if isinstance(given, str) else given
    if "aud" in claims and not (isinstance(audiences, list) and all(isinstance(each, str) for each in audiences)):
        raise bad_claim("aud", "must be a string or a list of strings")
    if not app.audience:
        raise invalid_token("wrong_audience", "This app admits no token that has an audience.", claim="aud")
    if audiences is None:
        raise _missing("aud")
    if not any(each in app.audience for each in audiences):
        bare = {each.rstrip("/") for each in app.audience}
        slash = any(each.rstrip("/") in bare for each in audiences)
        detail = "The token's audience differs from this app's audience by a slash at its end." if slash else ""
        raise invalid_token("wrong_audience", detail, claim="aud")


def _check_binding(claims: Claims, name: str, app: App) -> None:
    if name not in claims:
        raise _missing(name)
    if claims[name] != app.id:
        raise invalid_token("wrong_app", claim=name)


def _check_fixed(claims: Claims, name: str, value: object) -> None:
    if name not in claims:
        raise _missing(name)
    if type(claims[name]) is not type(value) or claims[name] != value:
        raise bad_claim(name, "does not have the value that this app requires")


def _check_attributes(claims: Claims, rules: Rules) -> None:
    name = rules.attributes_claim
    if name is None or name not in claims:
        return
    attributes = claims[name]
    if not isinstance(attributes, dict):
        raise bad_claim(name, "must be an object")
    if rules.string_attributes_only and not all(isinstance(value, str) for value in attributes.values()):
        raise bad_claim(name, "must map texts to texts")
    limit = rules.max_attributes_bytes
    if limit is not None:
        size = len(json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode())
        if size > limit:
            raise invalid_token("context_too_large", f"The claim {name} has more than {limit} bytes.", claim=name)


def _check_companies(claims: Claims, name: str) -> None:
    companies = claims.get(name, [])
    if not isinstance(companies, list):
        raise bad_claim(name, "must be a list")
    for company in companies:
        if not isinstance(company, dict) or not all(
            isinstance(company.get(member), str) and company[member] for member in ("id", "name")
        ):
            raise bad_claim(name, "must hold objects, each with an id and a name")


def read_scopes(claims: Claims, name: str) -> tuple[str, ...]:
    """The scopes of a token: words in a string (RFC 8693 section 4.2) or a list of texts. Raises `Refused`."""
    given = claims.get(name, "")
    if isinstance(given, str):
        return tuple(given.split(" ")) if given else ()
    if isinstance(given, list) and all(isinstance(scope, str) for scope in given):
        return tuple(given)
    raise bad_claim(name, "must be a string or a list of strings")


def read_user_id(claims: Claims, rules: Rules) -> tuple[str, str]:
    """The user's id and the claim that gave it: the first of `rules.user_id` that is there. Raises `Refused`.

    The id is a non-empty string of at most 256 characters without control, line-separator or bidirectional formatting
    characters; if the rules allow it, an integer is taken as its decimal digits. A claim that is null counts as absent.
    """
    first = rules.user_id_claims[0]
    value = claims.get(first)
    if value.__class__ is str and value and len(value) <= MAX_USER_ID and value.isprintable():  # as nearly always
        return value, first
    for name in rules.user_id_claims:
        value = claims.get(name)
        if value is None:
            continue
        if type(value) is int and rules.allow_integer_user_id:
            value = str(value)
        if not isinstance(value, str) or not value:
            raise bad_claim(name, "must be a string that is not empty")
        wrong = bad_user_id(value)
        if wrong is not None:
            raise bad_claim(name, wrong)
        return value, name
    wanted = " or ".join(rules.user_id_claims)
    raise invalid_token("missing_claim", f"The token lacks the claim {wanted}.", claim=rules.user_id_claims[0])


def bad_user_id(text: str) -> str | None:
    """What is wrong with a text as a user's id, or None."""
    if not 0 < len(text) <= MAX_USER_ID or (not text.isprintable() and _FORBIDDEN.search(text) is not None):
        return f"must have 1 to {MAX_USER_ID} characters and no control, line-separator or text-direction characters"
    return None


def is_revoked(claims: Claims, user_id: str, app: App) -> bool:
    """Whether the app's revocations cover this token: `iat` at or before a cutoff, with the skew against us.

    Every identifier counts that the token proves, not `user_id` alone. If the app normalizes an identifier before it is
    hashed, all spellings of it are one.
    """
    revocations = app.revocations
    if revocations.token_ids and claims.get("jti") in revocations.token_ids:
        return True
    users, by_claim = revocations.users, revocations.users_by_claim
    found = [revocations.issued_before, users.get(user_id)]
    for claim in app.user_id_claims if users or by_claim else ():
        value = claims.get(claim)
        identifier = str(value) if type(value) is int else value
        if isinstance(identifier, str):
            found += users.get(identifier), by_claim.get(claim, {}).get(identifier)
            rule = app.identity_hash
            if rule is not None and app.hash_cutoffs and claim == rule.identifier:
                found.append(app.hash_cutoffs.get(rule.normalized(identifier)))
    cutoffs = [cutoff for cutoff in found if cutoff is not None]
    if not cutoffs:
        return False
    issued = numeric_date(claims, "iat")
    return issued is None or issued <= max(cutoffs) + app.rules.leeway

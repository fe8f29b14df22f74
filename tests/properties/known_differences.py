"""The rules by which Wicket refuses what PyJWT or joserfc accept, by name, each with its source; and nothing else.

And the few by which it accepts what one of them refuses: DESIGN section 6 has them by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tests.fuzz.models import canonical, strict_object
from tests.properties.reference_libraries import NAMED_IN_FULL
from tests.properties.tokens import NOW
from wicket import App

EARLIEST: Final = -62135596800
LATEST: Final = 253402300799
READING: Final = "DESIGN 6, Reading"
CLAIMS: Final = "DESIGN 6, Claims"
TIMES: Final = "DESIGN 6, Times"


@dataclass(frozen=True)
class Case:
    """One token that another library has judged, parsed without any check."""

    token: str
    app: App
    algorithm: str

    @cached_property
    def parts(self) -> list[str]:
        return self.token.split(".")

    @cached_property
    def raw(self) -> list[bytes]:
        return [canonical(part.rstrip("=")) or b"" if part.isascii() else b"" for part in self.parts]

    @cached_property
    def header(self) -> dict[str, Any]:
        return self._loaded(0)

    @cached_property
    def claims(self) -> dict[str, Any]:
        return self._loaded(1)

    def _loaded(self, index: int) -> dict[str, Any]:
        try:
            value = json.loads(self.raw[index])
        except (ValueError, IndexError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def user_id(self) -> Any:
        return next(
            (self.claims[name] for name in self.app.rules.user_id_claims if self.claims.get(name) is not None), None
        )


@dataclass(frozen=True)
class Rule:
    """Where Wicket is `stricter`: the reasons that it gives, the rule's source, and whether it applies to a case."""

    reasons: frozenset[str]
    source: str
    applies: Callable[[Case], bool]


def _rule(reasons: str, source: str, applies: Callable[[Case], bool]) -> Rule:
    return Rule(frozenset(reasons.split()), source, applies)


def _spelled_otherwise(case: Case) -> bool:
    return len(case.parts) != 3 or any(not part.isascii() or canonical(part) is None for part in case.parts)


def _not_strict(case: Case) -> bool:
    return any(raw and strict_object(raw) is None for raw in case.raw[:2])


def _odd_dates(case: Case) -> bool:
    dates = [case.claims[name] for name in ("exp", "nbf", "iat") if name in case.claims]
    return any(type(date) not in (int, float) or not EARLIEST <= date <= LATEST for date in dates)


def _fraction_ahead(case: Case) -> bool:
    dates = [case.claims.get(name) for name in ("nbf", "iat")]
    return any(isinstance(date, float) and date > NOW + case.app.rules.leeway for date in dates)


def _lifetime(case: Case) -> bool:
    rules, claims = case.app.rules, case.claims
    if rules.max_lifetime is None and rules.min_lifetime is None:
        return False
    if "exp" not in claims:
        return True
    lifetime = claims["exp"] - claims.get("iat", NOW)
    return not (rules.min_lifetime or 0) <= lifetime <= (rules.max_lifetime or float("inf"))


def _no_user_id(case: Case) -> bool:
    held = case.user_id
    if not isinstance(held, str) or not 0 < len(held) <= 256:
        return True
    return any(ord(char) < 32 or 127 <= ord(char) < 160 for char in held)


STRICTER: Final[dict[str, Rule]] = {
    "one spelling: base64url without padding, three parts": _rule(
        "malformed", "RFC 7515 section 2; " + READING, _spelled_otherwise
    ),
    "JSON objects in UTF-8, no duplicate member, no half character, finite numbers, at most 32 deep": _rule(
        "malformed", "RFC 7515 section 4, RFC 7519 section 4, RFC 8259 sections 4, 6, 8; " + READING, _not_strict
    ),
    "no crit, b64, zip, enc": _rule(
        "malformed", READING, lambda case: bool(case.header.keys() & {"crit", "b64", "zip", "enc"})
    ),
    "kid and typ are strings": _rule(
        "malformed",
        "RFC 7515 sections 4.1.4 and 4.1.9",
        lambda case: any(name in case.header and not isinstance(case.header[name], str) for name in ("kid", "typ")),
    ),
    "no other typ than JWT": _rule(
        "wrong_type",
        "RFC 8725 section 3.11; " + READING,
        lambda case: str(case.header.get("typ")).lower().removeprefix("application/") != "jwt",
    ),
    "at most so many bytes": _rule(
        "too_large", READING, lambda case: len(case.token) > case.app.rules.max_token_bytes
    ),
    "a NumericDate is a number from the year 1 to the year 9999": _rule(
        "bad_claim", "RFC 7519 section 2; " + TIMES, _odd_dates
    ),
    "fractions of nbf and iat count": _rule(
        "not_yet_valid issued_in_future", "RFC 7519 section 2; " + TIMES, _fraction_ahead
    ),
    "lifetime bounds": _rule("missing_claim lifetime_too_long lifetime_too_short", TIMES, _lifetime),
    "the user id is a text of 1 to 256 characters without controls": _rule(
        "bad_claim missing_claim", "DESIGN 4; " + CLAIMS, _no_user_id
    ),
    "iss is a string": _rule(
        "bad_claim",
        "RFC 7519 section 4.1.1; " + CLAIMS,
        lambda case: "iss" in case.claims and not isinstance(case.claims["iss"], str),
    ),
    "an audience is not for an app without one": _rule(
        "wrong_audience bad_claim",
        "RFC 7519 section 4.1.3; " + CLAIMS,
        lambda case: not case.app.audience and "aud" in case.claims,
    ),
}  # fmt: skip


def _fractional_exp(case: Case) -> bool:
    exp = case.claims.get("exp")
    return isinstance(exp, float) and not exp.is_integer()


LOOSER: Final[dict[str, dict[str, Callable[[Case], bool]]]] = {
    "pyjwt": {
        "fractional exp": _fractional_exp,
        "Ed25519 and Ed448 as names": lambda case: case.algorithm in NAMED_IN_FULL,
        "integer user ids": lambda case: case.app.rules.allow_integer_user_id and type(case.user_id) is int,
    },
    "joserfc": {
        "integer user ids": lambda case: case.app.rules.allow_integer_user_id and type(case.user_id) is int,
    },
}
"""What Wicket accepts though a peer refuses it: DESIGN section 6, "but for a short list by name"."""


def explained(case: Case, reason: str | None) -> list[str]:
    """The rules by which Wicket may have refused this case with this reason."""
    return [name for name, rule in STRICTER.items() if reason in rule.reasons and rule.applies(case)]


def excused(case: Case, peer: str) -> list[str]:
    """The exceptions by which Wicket may have accepted what the peer refused."""
    return [name for name, applies in LOOSER[peer].items() if applies(case)]

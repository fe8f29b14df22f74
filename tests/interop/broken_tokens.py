"""Tokens that break one rule of their vendor, and the reason of the refusal."""

from __future__ import annotations

from typing import Final

ISSUER_ALGORITHMS: Final = {"rsa-1": "RS256", "ec-1": "ES256", "ed-1": "EdDSA"}
"""The keys of getuserfeedback's issuer, by kid."""

FEATUREBASE_BROKEN: Final = {
    "featurebase: nobody": "missing_claim",
    "featurebase: expired": "expired",
    "featurebase: a number as user": "bad_claim",
    "featurebase: a company without a name": "bad_claim",
    "featurebase: a company without an id": "bad_claim",
    "featurebase: one company, no list": "bad_claim",
    "featurebase: another key": "bad_signature",
    "featurebase: HS384": "algorithm_not_allowed",
    "featurebase: unsigned": "algorithm_not_allowed",
}

GETUSERFEEDBACK_BROKEN: Final = {
    "issuer: rsa-512": "algorithm_not_allowed",
    "issuer: stranger": "key_not_found",
    "issuer: another audience": "wrong_audience",
    "issuer: audience with a slash": "wrong_audience",
    "issuer: no audience": "missing_claim",
    "issuer: another issuer": "wrong_issuer",
    "issuer: issuer with a slash": "wrong_issuer",
    "issuer: no issuer": "missing_claim",
    "issuer: no user": "missing_claim",
    "issuer: no exp": "missing_claim",
    "issuer: expired": "expired",
    "issuer: not before tomorrow": "not_yet_valid",
    "issuer: names another's key": "bad_signature",
    "issuer: critical extension": "malformed",
    "issuer: public key as secret": "algorithm_not_allowed",
    "issuer: unsigned": "algorithm_not_allowed",
}

HISSUNO_BROKEN: Final = {
    "hissuno: expired": "expired",
    "hissuno: no expiry": "missing_claim",
    "hissuno: no user": "missing_claim",
    "hissuno: a number as user": "bad_claim",
    "hissuno: an empty user": "bad_claim",
    "hissuno: metadata that is no text": "bad_claim",
    "hissuno: metadata that is no object": "bad_claim",
    "hissuno: another key": "bad_signature",
    "hissuno: HS512": "algorithm_not_allowed",
    "hissuno: issued tomorrow": "issued_in_future",
    "hissuno: not before tomorrow": "not_yet_valid",
    "hissuno: for an audience": "wrong_audience",
    "hissuno: unsigned": "algorithm_not_allowed",
}

USERZ_BROKEN: Final = {
    "userz: another app": "wrong_app",
    "userz: no app": "missing_claim",
    "userz: no user": "missing_claim",
    "userz: a number as user": "bad_claim",
    "userz: no iat": "missing_claim",
    "userz: no exp": "missing_claim",
    "userz: expired": "expired",
    "userz: issued in the future": "issued_in_future",
    "userz: too long a life": "lifetime_too_long",
    "userz: too short a life": "lifetime_too_short",
    "userz: exp in milliseconds": "bad_claim",
    "userz: exp as a text": "bad_claim",
    "userz: too large a context": "context_too_large",
    "userz: a list as context": "bad_claim",
    "userz: the hex digits as key": "bad_signature",
    "userz: the base64 text as key": "bad_signature",
    "userz: HS512": "algorithm_not_allowed",
    "userz: HS512 by jose": "algorithm_not_allowed",
    "userz: says RS256": "algorithm_not_allowed",
    "userz: of another type": "wrong_type",
    "userz: unsigned": "algorithm_not_allowed",
}

"""Featurebase: HS256 tokens that name the user by `userId` or `email`, need not expire, and may name companies.

A token in the JSON body (`featurebaseJwt`) and the older `userHash` are not read by this version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.app import Rules
from wicket.errors import Refusal
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile
from wicket.sources import Bearer, Query


def _errors(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    """The vendor answers a bad token with 400; trouble of our own keeps its status."""
    status = 400 if refusal.status == 401 else refusal.status
    return status, {"error": refusal.code, "reason": refusal.reason, "message": refusal.detail}


featurebase = Profile(
    "featurebase",
    rules=Rules(required=frozenset(), user_id=("userId", "email"), companies_claim="companies"),
    tokens=(Bearer(), Query("jwt")),
    naming=(Query("appId"), Query("organization")),
    check_credential=only_hs256,
    errors=_errors,
)

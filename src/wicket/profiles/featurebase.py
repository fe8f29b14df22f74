"""Featurebase: HS256 tokens that name the user by `userId` or `email`, need not expire, and may name companies.

The token rides in the JSON body (`featurebaseJwt`, older `jwtToken`), as a bearer, or in the portal's query. For the
older `userHash`, give the app an `IdentityHash`; for an organization's slug beside the app's id, `aliases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.config.locations import Bearer, BodyField, JsonBody, Query
from wicket.config.rules import Rules
from wicket.errors import Refusal
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile


def _errors(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    """The vendor answers a bad token with 400; trouble of our own keeps its status."""
    status = 400 if refusal.status == 401 else refusal.status
    return status, {"error": refusal.code, "reason": refusal.reason, "message": refusal.detail}


featurebase = Profile(
    "featurebase",
    rules=Rules(required_claims=frozenset(), user_id_claims=("userId", "email"), companies_claim="companies"),
    token_locations=(Bearer(), Query("jwt"), JsonBody("featurebaseJwt"), JsonBody("jwtToken")),
    app_locations=(Query("appId"), Query("organization"), BodyField("appId"), BodyField("organization")),
    claimed_user_locations=(JsonBody("userId"), JsonBody("email")),
    check_credential=only_hs256,
    format_error=_errors,
)

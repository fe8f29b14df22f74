"""Featurebase: HS256 tokens with the user id in `userId` or `email`. `exp` and `companies` are optional.

The token is in the JSON body (`featurebaseJwt`, formerly `jwtToken`), in `Authorization: Bearer`, or in the portal's
query. For the legacy `userHash`, set `identity_hash` to an `IdentityHash`. For an organization's slug in addition to
the app's id, set `aliases`. The vendor saves only attributes that are configured: set `known_attributes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.config.locations import Bearer, JsonBody, Query
from wicket.config.rules import Rules
from wicket.errors import Refusal
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile


def _format_error(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    """Return the vendor's status and body: 400 instead of 401. All other refusals keep their status."""
    status = 400 if refusal.status == 401 else refusal.status
    return status, {"error": refusal.code, "reason": refusal.reason, "message": refusal.detail}


featurebase = Profile(
    "featurebase",
    rules=Rules(required_claims=frozenset(), user_id_claims=("userId", "email"), companies_claim="companies"),
    token_locations=(Bearer(), Query("jwt"), JsonBody("featurebaseJwt"), JsonBody("jwtToken")),
    app_locations=(Query("appId"), Query("organization"), JsonBody("appId"), JsonBody("organization")),
    claimed_user_locations=(JsonBody("userId"), JsonBody("email")),
    widget_settings=("theme", "placement", "language", "$brandId", "metadata"),
    check_credential=only_hs256,
    format_error=_format_error,
)

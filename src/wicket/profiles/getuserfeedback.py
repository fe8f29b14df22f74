"""getuserfeedback: tokens of the app's own issuer, verified with its public keys, for one fixed audience.

The vendor's documentation does not define how a request names its app. The header `X-App-Id`, the query parameter
`appId` and the token's `iss` are assumptions.
"""

from __future__ import annotations

from wicket.config.locations import Bearer, Header, Query, TokenIssuer
from wicket.config.rules import Rules
from wicket.profiles.checks import only_public
from wicket.profiles.profile import Profile

getuserfeedback = Profile(
    "getuserfeedback",
    rules=Rules(required_claims=frozenset({"iss", "aud", "exp", "sub"})),
    token_locations=(Bearer(),),
    app_locations=(Header("X-App-Id"), Query("appId"), TokenIssuer()),
    audience="https://api.getuserfeedback.com",
    required_settings=("issuer",),
    check_credential=only_public,
)

"""getuserfeedback: tokens of the app's own issuer, verified with that issuer's public keys, for one fixed audience.

The vendor's document does not say how a request names its app; the header, the query parameter and the token's own
issuer are our assumption.
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

"""A profile without a vendor: a bearer token with `sub` and `exp`, and the app id in the header `X-App-Id`."""

from __future__ import annotations

from wicket.config.locations import Bearer, Header
from wicket.config.rules import Rules
from wicket.profiles.profile import Profile

generic = Profile(
    "generic",
    rules=Rules(required_claims=frozenset({"sub", "exp"})),
    token_locations=(Bearer(),),
    app_locations=(Header("X-App-Id"),),
)

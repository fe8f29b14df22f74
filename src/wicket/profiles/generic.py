"""No vendor: a bearer token with `sub` and `exp`, the app named by the header `X-App-Id`. A start for one's own."""

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

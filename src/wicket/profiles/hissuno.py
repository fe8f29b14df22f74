"""Hissuno: HS256 tokens signed with the UTF-8 bytes of the project's `sk_live_…` key. `projectId` names the app.

The widget sends both in its JSON body (`widgetToken`, `projectId`). An anonymous session can send its `userId`.
"""

from __future__ import annotations

from wicket.config.locations import Bearer, BodyField, JsonBody, Query
from wicket.config.rules import Rules
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile

hissuno = Profile(
    "hissuno",
    rules=Rules(
        required_claims=frozenset({"userId", "exp"}),
        user_id_claims=("userId",),
        leeway=60,
        attributes_claim="userMetadata",
        string_attributes_only=True,
    ),
    token_locations=(Bearer(), JsonBody("widgetToken")),
    app_locations=(Query("projectId"), BodyField("projectId")),
    claimed_user_locations=(Query("userId"), JsonBody("userId")),
    check_credential=only_hs256,
)

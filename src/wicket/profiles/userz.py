"""Userz: HS256 tokens in the header `X-Userz-User-Token`. The claim `app` must equal the app's id.

The publishable key names the app: in `Authorization: Bearer`, or as `publicKey` in the query or in the JSON body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.config.locations import Header, JsonBody, PublishableKeyBearer, Query
from wicket.config.rules import Rules
from wicket.errors import Refusal
from wicket.keys import Credential, Secret
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile


def _check_credential(credential: Credential) -> str | None:
    """Allow only a binary `Secret` for HS256."""
    if isinstance(credential, Secret) and credential.encoding == "text":
        return "must be binary like the vendor's secrets: use Secret.from_hex or Secret.from_base64"
    return only_hs256(credential)


def _format_error(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    """Return the vendor's body. The status stays the same."""
    return refusal.status, {"error": {"code": refusal.reason or refusal.code, "message": refusal.detail}}


userz = Profile(
    "userz",
    rules=Rules(
        required_claims=frozenset({"sub", "app", "iat", "exp"}),
        app_claim="app",
        min_lifetime=60,
        max_lifetime=86_400,
        attributes_claim="ctx",
        max_attributes_bytes=2_048,
    ),
    token_locations=(Header("X-Userz-User-Token"),),
    app_locations=(
        PublishableKeyBearer(),
        Query("publicKey", kind="publishable_key"),
        JsonBody("publicKey", kind="publishable_key"),
    ),
    check_credential=_check_credential,
    format_error=_format_error,
)

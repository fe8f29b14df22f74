"""Userz: HS256 tokens in a header of their own, bound to the app by a claim; the app is named by its public key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.config.locations import Header, PublishableKeyBearer
from wicket.config.rules import Rules
from wicket.errors import Refusal
from wicket.keys import Credential, Secret
from wicket.profiles.checks import only_hs256
from wicket.profiles.profile import Profile


def _credential(credential: Credential) -> str | None:
    if isinstance(credential, Secret) and credential.encoding == "text":
        return "is a text, and the vendor's secrets are binary: use Secret.from_hex or Secret.from_base64"
    return only_hs256(credential)


def _errors(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
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
    app_locations=(PublishableKeyBearer(),),
    check_credential=_credential,
    format_error=_errors,
)

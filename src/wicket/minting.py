"""Signs tokens that satisfy the rules of an app."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from wicket.config.app import App
from wicket.errors import ConfigError, Problem, config_error
from wicket.keys import Secret
from wicket.keys.algorithms import sign
from wicket.runtime import base64url

_MAX_TIME: Final = 253402300799
"""The last second of the year 9999, in seconds since 1970."""


def mint(
    app: App,
    subject: str,
    *,
    ttl: float = 3600,
    attributes: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> str:
    """Return a token for a user, signed with the app's first shared secret.

    The token has the claims that the app's rules require: `iat` and `exp`, the required values, the app claim, the
    issuer, and the first audience.

    Args:
        app: The app that the token is for.
        subject: The user id. It becomes the value of the app's first user-id claim.
        ttl: The lifetime in seconds, counted from `now`. Fractions of a second are cut off.
        attributes: Attributes of the user. They are put into the app's attributes claim. If the app has none, they
            become claims, which replace no other claim.
        claims: Claims that are added last. They replace any other claim.
        now: The time of issue in seconds since 1970. The default is the current time.

    Returns:
        A JWT in the compact serialization (RFC 7515 section 7.1).

    Raises:
        ConfigError: The app has no shared secret, the lifetime is outside the app's bounds, `ttl` or `now` is not a
            number of seconds, or a claim cannot be encoded as JSON.
    """
    for credential in app.credentials:
        if isinstance(credential, Secret):
            break
    else:
        raise config_error("credentials", "contain no shared secret, so no token can be signed for this app")
    rules = app.rules
    minimum, maximum = rules.min_lifetime or 0, rules.max_lifetime
    for name, value in (("ttl", ttl), ("now", now)):
        if value is not None and not (isinstance(value, (int, float)) and abs(value) <= _MAX_TIME):
            raise config_error(name, "must be a number of seconds")
    lifetime = int(ttl)
    if lifetime < minimum or (maximum is not None and lifetime > maximum):
        bounds = f"{minimum:g} to {maximum:g}" if maximum is not None else f"at least {minimum:g}"
        raise ConfigError([Problem("ttl", f"must be {bounds} seconds for this app")])
    issued_at = int(time.time() if now is None else now)
    payload: dict[str, Any] = {
        rules.user_id_claims[0]: subject,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        **rules.required_values,
    }
    if rules.app_claim is not None:
        payload[rules.app_claim] = app.id
    if app.issuer is not None:
        payload["iss"] = app.issuer
    if app.audience:
        payload["aud"] = app.audience[0]
    if attributes is not None and rules.attributes_claim is not None:
        payload[rules.attributes_claim] = dict(attributes)
    elif attributes is not None:
        payload = {**attributes, **payload}
    payload.update(claims or {})
    algorithm = credential.algorithms[0]
    header: dict[str, Any] = {"alg": algorithm, "typ": next(iter(rules.allowed_typ), "JWT")}
    if credential.kid is not None:
        header["kid"] = credential.kid
    signing_input = f"{_encode_part(header)}.{_encode_part(payload)}"
    signature = sign(algorithm, credential.keys[0], signing_input.encode("ascii"))
    return f"{signing_input}.{base64url.encode(signature)}"


def _encode_part(value: Mapping[str, Any]) -> str:
    """Return a header or a payload as base64url of its JSON (RFC 7515 section 3.1)."""
    try:
        return base64url.encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise config_error("claims", "cannot be encoded as JSON in UTF-8") from None

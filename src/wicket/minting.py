"""Signing tokens for an app, by its own rules: for tests, tools and, later, the mint endpoint."""

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

LATEST: Final = 253402300799  # 9999-12-31T23:59:59Z


def mint(
    app: App,
    subject: str,
    *,
    ttl: float = 3600,
    attributes: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> str:
    """A token for the user `subject`, signed with the app's first shared secret.

    `ttl` is the lifetime in whole seconds, counted from `now` (seconds since 1970; the clock's time without it).
    `attributes` go where the app's rules look for them; `claims` are added last and may replace any.
    Raises `ConfigError` for an app without a shared secret, and for a lifetime outside the app's bounds.
    """
    for credential in app.credentials:
        if isinstance(credential, Secret):
            break
    else:
        raise config_error("credentials", "hold no shared secret, so nothing can be signed for this app")
    rules = app.rules
    least, most = rules.min_lifetime or 0, rules.max_lifetime
    for name, given in (("ttl", ttl), ("now", now)):
        if given is not None and not (isinstance(given, (int, float)) and abs(given) <= LATEST):
            raise config_error(name, "must be a number of seconds")
    whole = int(ttl)
    if whole < least or (most is not None and whole > most):
        bounds = f"{least:g} to {most:g}" if most is not None else f"at least {least:g}"
        raise ConfigError([Problem("ttl", f"must be {bounds} seconds for this app")])
    issued = int(time.time() if now is None else now)
    payload: dict[str, Any] = {
        rules.user_id_claims[0]: subject,
        "iat": issued,
        "exp": issued + whole,
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
    signed = f"{_segment(header)}.{_segment(payload)}"
    return f"{signed}.{base64url.encode(sign(algorithm, credential.keys[0], signed.encode('ascii')))}"


def _segment(value: Mapping[str, Any]) -> str:
    try:
        return base64url.encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise config_error("claims", "cannot be written as JSON in UTF-8") from None

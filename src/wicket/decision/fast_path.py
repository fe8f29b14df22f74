"""Fast path for requests whose token signature is cached.

It only allows. In every other case it returns None or raises, and `wicket.decision.flow` decides. Every request that it
allows is allowed by the flow for the same user; a property test checks that both agree. The fast path exists for speed:
it does the same steps without a generator and without two dozen calls.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from wicket.config.app import App
from wicket.decision.context import FastPathEntry, GateContext
from wicket.decision.decision import Decision
from wicket.decision.identity import build_identity
from wicket.messages.request import HeaderNames, Request

_MAX_HEADER_SIZE: Final = 512


def decide_fast(gate: GateContext, request: Request) -> Decision | None:
    """Decide a request for an app in code that one header names and whose token is in a header and was verified before.

    Returns:
        The decision that allows the request; None if the flow must decide.

    Raises:
        Exception: The flow must decide, as for None.
    """
    location = gate.single_app_header  # the flow compares several locations with each other
    if location is None:
        return None

    # 1. Resolve the app. 2. Check the origin. The result is cached for each pair of these two headers.
    headers, names = request.raw_headers, request.header_names
    entry_key = (names, headers.get(names[location.name]), headers.get(names["origin"]))
    entry = cached = gate.fast_path.get(entry_key)
    if entry is None:
        entry = _build_entry(gate, request, names)
        if entry is None:
            return None

    # 3. Extract the token. 4. A token in the signature cache was parsed before.
    value: Any = headers.get(entry.token_header)
    if value is None or len(value) > entry.max_length or not value.startswith(entry.prefix):
        return None
    token = value[entry.prefix_length :]
    app = entry.app
    digest = sha256(token if token.__class__ is bytes else token.encode()).digest()
    signed = gate.signature_cache.get(app.id, digest)
    if signed is None:
        return None
    header = signed.header
    if header.kid is None and app.rules.require_kid:
        return None

    # 5. Select the key. 6. It must be the key that signed the token. The flow chooses between several keys.
    keys = app.keyring.select(header.algorithm, header.kid)
    if len(keys) != 1:
        return None
    key = keys[0]
    if key.fingerprint != signed.fingerprint or (key.jwk_issuer is not None and not key.serves(signed.claims)):
        return None

    # 7. Check the claims. 8. Check whether the token is revoked.
    identity = build_identity(app, signed, key, gate.clock())

    # 9. Decide. Only an allowed request creates an entry.
    if cached is None:
        gate.remember(entry, entry_key)
    return Decision(True, identity, None, entry.enforced, app.id, None, entry)


def _build_entry(gate: GateContext, request: Request, names: HeaderNames) -> FastPathEntry | None:
    """Do steps 1 and 2 for a request.

    Returns:
        The entry; None if the header names no app in code, or the app does not allow the origin.
    """
    location = gate.single_app_header
    name = None
    if location is not None and request.header_size(location.name) < _MAX_HEADER_SIZE:
        name = request.header(location.name)
    if location is None or name is None or "," in name:
        return None
    app = gate.apps.get((location.kind, name))  # type: ignore[call-overload]  # a tuple equals its AppRef
    if not isinstance(app, App) or app.fast_token_header is None or not gate.signature_cache.knows(app.id):
        return None
    origin = request.header("origin") if request.header_size("origin") < _MAX_HEADER_SIZE else ","
    if origin is None:
        if app.require_origin:
            return None
    elif "," in origin or origin != origin.strip(" \t") or not app.allows_origin(origin):
        return None
    return FastPathEntry(gate, app, origin, app.fast_token_header, names)

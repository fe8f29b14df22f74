"""What both servers of the browser's tests have in common: the apps, and a note of what reached them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from tests.integration.servers import ROOT
from wicket import (
    CORS,
    App,
    AppRef,
    Bearer,
    Cookie,
    Gate,
    Query,
    Secret,
    Subprotocol,
    WebSocketRefusals,
    profiles,
)

sys.path.insert(0, str(ROOT / "examples" / "widget"))

# An example is no package: its files find each other beside themselves.
import api
from serve import site

__all__ = ["api", "site"]

KEYS: Final = ("userz", "hissuno", "cookie")
ORIGINS: Final = "WICKET_TEST_ORIGINS_"
EXEMPT: Final = ("/widget.js", "/told")
OPTIONAL: Final = ("/strangers/upload",)
ORIGIN_CHECK: Final = "/widget/allowed"

_SHORT: Final = api.userz.extend(min_lifetime=1, leeway=0)


def stored(ref: AppRef) -> App | None:
    """The registry: it has no app, and fails for some names."""
    if ref.value == "pub_down":
        raise OSError("the database is down")
    return None


def gate() -> Gate:
    """One app for each way to carry a token, with the origins that the environment names."""
    origins = {key: os.environ.get(ORIGINS + key, f"https://{key}.example").split() for key in KEYS}
    apps = [
        _SHORT(
            "65fa1f3e8a1e5f2d9c1a5c01",
            publishable_key="pub_acme",
            credentials=[Secret.from_hex("5f" * 31 + "01")],
            origins=origins["userz"],
        ),
        api.hissuno(
            "initech",
            leeway=0,
            credentials=[Secret.from_text("sk_live_0123456789abcdef0123456789abcdef")],
            origins=origins["hissuno"],
        ),
        profiles.generic(
            "portal",
            leeway=0,
            credentials=[Secret.from_text("portal-secret-of-at-least-32-bytes!")],
            origins=origins["cookie"],
            app_locations=[Query("app")],
            token_locations=[Cookie("session")],
        ),
        profiles.generic(
            "caller",
            leeway=0,
            credentials=[Secret.from_text("caller-secret-of-at-least-32-bytes!")],
            origins=[*origins["userz"], *origins["cookie"]],
            app_locations=[Query("app")],
            token_locations=[Bearer(), Subprotocol("bearer")],
            websocket_refusals=WebSocketRefusals(accept=True),
            cors=CORS(credentials=True, expose=["X-Request-ID"]),
        ),
    ]
    naming = list(dict.fromkeys(place for app in apps for place in app.app_locations))
    return Gate(apps, registry=stored, app_locations=naming)


ACME, INITECH, PORTAL, CALLER = gate().apps
"""The same apps, for tests to sign tokens with; their origins are others."""

REQUEST_ID: Final = "request-17"
"""The header X-Request-ID of every response of the applications."""

Notes = list[dict[str, Any]]


def note(notes: Notes, method: str, path: str, headers: Mapping[str, str]) -> None:
    """Remember a request, unless it is a test that asks what was remembered."""
    if path != "/told":
        notes.append({"request": f"{method} {path}", "cookie": "session" in headers.get("cookie", "")})

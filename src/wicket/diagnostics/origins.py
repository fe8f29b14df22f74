"""The mistakes about the page's origin: web views above all, whose origin is seldom the site's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wicket.config.origins import OriginPolicy
from wicket.diagnostics.case import Case
from wicket.diagnostics.report import Finding, shown
from wicket.errors import ConfigError

_WEBVIEWS: Final = {
    "capacitor": "a Capacitor app on iOS",
    "ionic": "an Ionic app",
    "tauri": "a Tauri app",
    "app": "a desktop app with a scheme of its own, as Electron has them",
    "file": "a page opened from a file, as in a Cordova or Electron app",
    "chrome-extension": "an extension of Chrome",
    "moz-extension": "an extension of Firefox",
    "safari-web-extension": "an extension of Safari",
    "vscode-webview": "a web view of Visual Studio Code",
}
_HOSTS: Final = {
    "tauri.localhost": "a Tauri app",
    "localhost": "a Capacitor or Ionic app on Android",  # with a port it is somebody's local page
}


def origin_findings(case: Case) -> Iterator[Finding]:
    """Why the app does not admit the origin; nothing where it does."""
    app, origin = case.app, case.origin
    if origin is None or app.allows_origin(origin):
        return
    if app.origin_policy.allows(origin):
        detail = (
            f"This app requires an Origin, and {shown(origin)} does not have the form of one: scheme://host[:port]."
        )
        yield Finding("origin_malformed", detail, "scheme://host[:port]", shown(origin))
        return
    expected, found = ", ".join(app.origins), shown(origin)
    client = _webview(origin)
    if client is not None:
        advice = f"add exactly {found} to the app's origins" if _may_be_listed(origin) else _NO_PATTERN
        detail = f"The origin {found} is that of {client}, and not of the site: {advice}."
        yield Finding("webview_origin", detail, expected, found)
        return
    bare = origin.strip().partition("://")[2].partition("/")
    if bare[1]:
        detail = f"{found} is a URL, and an origin has no slash or path behind its host: give the scheme and the host."
        yield Finding("origin_is_url", detail, expected, found)
        return
    detail = f"This app does not admit the origin {found}: add it to the app's origins if it is one of its sites."
    yield Finding("origin_not_allowed", detail, expected, found)


_NO_PATTERN: Final = (
    "such an origin stands for everybody's pages and cannot be admitted; let the app serve its pages under a scheme or "
    "host of its own"
)


def _webview(origin: str) -> str | None:
    scheme, found, rest = origin.strip().lower().partition("://")
    if not found:
        return "a page opened from a file, or a sandboxed frame" if scheme == "null" else None
    return _WEBVIEWS.get(scheme) or _HOSTS.get(rest.partition("/")[0])


def _may_be_listed(origin: str) -> bool:
    try:
        return OriginPolicy([origin]).explicit
    except ConfigError:
        return False

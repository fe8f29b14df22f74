"""Mistakes about the origin of the page. Many are about web views, which do not have the origin of the site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wicket.config.origins import OriginPolicy
from wicket.diagnostics.case import Case
from wicket.diagnostics.report import Finding, shown
from wicket.errors import ConfigError

_WEBVIEW_SCHEMES: Final = {
    "capacitor": "a Capacitor app on iOS",
    "ionic": "an Ionic app",
    "tauri": "a Tauri app",
    "app": "a desktop app with a custom scheme, for example an Electron app",
    "file": "a page opened from a file, as in a Cordova or Electron app",
    "chrome-extension": "an extension of Chrome",
    "moz-extension": "an extension of Firefox",
    "safari-web-extension": "an extension of Safari",
    "vscode-webview": "a web view of Visual Studio Code",
}
_WEBVIEW_HOSTS: Final = {
    "tauri.localhost": "a Tauri app",
    "localhost": "a Capacitor or Ionic app on Android",  # with a port it is the local page of a developer
}
_NOT_LISTABLE: Final = (
    "pages of any site can have this origin, so it cannot be allowed; let the app serve its pages with a custom scheme "
    "or from another host"
)


def origin_findings(case: Case) -> Iterator[Finding]:
    """Yield why the app does not allow the origin. Yield nothing if it does."""
    app, origin = case.app, case.origin
    if origin is None or app.allows_origin(origin):
        return
    if app.origin_policy.allows(origin):
        detail = f"This app requires an Origin, and {shown(origin)} is not one: it must be scheme://host[:port]."
        yield Finding("origin_malformed", detail, "scheme://host[:port]", shown(origin))
        return
    expected, found = ", ".join(app.origins), shown(origin)
    client = _webview_of(origin)
    if client is not None:
        advice = f"add exactly {found} to the app's origins" if _can_be_listed(origin) else _NOT_LISTABLE
        detail = f"The origin {found} is that of {client}, and not of the site: {advice}."
        yield Finding("webview_origin", detail, expected, found)
        return
    _, slash, _ = origin.strip().partition("://")[2].partition("/")
    if slash:
        detail = f"{found} is a URL. An origin has no slash or path after its host: use only the scheme and the host."
        yield Finding("origin_is_url", detail, expected, found)
        return
    detail = f"This app does not allow the origin {found}: add it to the app's origins if it is one of its sites."
    yield Finding("origin_not_allowed", detail, expected, found)


def _webview_of(origin: str) -> str | None:
    """Return the kind of application whose web view has this origin; None if it is no web view."""
    scheme, separator, rest = origin.strip().lower().partition("://")
    if not separator:
        return "a page opened from a file, or a sandboxed frame" if scheme == "null" else None
    return _WEBVIEW_SCHEMES.get(scheme) or _WEBVIEW_HOSTS.get(rest.partition("/")[0])


def _can_be_listed(origin: str) -> bool:
    try:
        return OriginPolicy([origin]).explicit
    except ConfigError:
        return False

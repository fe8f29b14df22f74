"""Mistakes with origins."""

from __future__ import annotations

from tests.diagnostics_cases.builders import TEXT, Row, app, sign

ORIGIN_ROWS = [
    # webview origin
    Row("null", app, sign(TEXT), "webview_origin", ("file", "cannot be allowed"), origin="null"),
    Row("Capacitor", app, sign(TEXT), "webview_origin", ("Capacitor", "add exactly"), origin="capacitor://localhost"),
    Row("Capacitor on Android", app, sign(TEXT), "webview_origin", ("Android",), origin="https://localhost"),
    Row("Ionic", app, sign(TEXT), "webview_origin", ("Ionic",), origin="ionic://localhost"),
    Row("Tauri", app, sign(TEXT), "webview_origin", ("Tauri",), origin="tauri://localhost"),
    Row("Tauri on Windows", app, sign(TEXT), "webview_origin", ("Tauri",), origin="http://tauri.localhost"),
    Row("Electron", app, sign(TEXT), "webview_origin", ("desktop",), origin="app://obsidian.md"),
    Row("file", app, sign(TEXT), "webview_origin", ("file", "add exactly 'file://'"), origin="file://"),
    Row("Chrome", app, sign(TEXT), "webview_origin", ("Chrome",), origin="chrome-extension" + "://" + "abcdefgh" * 2),
    Row("Firefox", app, sign(TEXT), "webview_origin", ("Firefox",), origin="moz-extension://0a1b-2c"),
    Row("Safari", app, sign(TEXT), "webview_origin", ("Safari",), origin="safari-web-extension://0A1B"),
    Row("Visual Studio Code", app, sign(TEXT), "webview_origin", ("Visual",), origin="vscode-webview://0a1b2c"),
    Row("a URL", app, sign(TEXT), "origin_is_url", ("slash or path",), origin="https://acme.com/page"),
    Row("another site", app, sign(TEXT), "origin_not_allowed", ("https://b.com",), origin="https://b.com"),
    Row("a local page", app, sign(TEXT), "origin_not_allowed", ("localhost:3000",), origin="http://localhost:3000"),
]

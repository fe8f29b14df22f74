"""What the servers serve for the table of scenarios: the applications of the table, each with a gate.

`SITE` in the environment names the application: the module has one `application`, which is made when it is imported.
"""

from __future__ import annotations

import os
from typing import Any

from tests.scenarios import build_gate
from tests.scenarios.sites import flask_site, starlette_site


def _django(urls: str, handler: str) -> Any:
    from tests.scenarios import django_sites

    django_sites.settings_of(getattr(django_sites, urls), build_gate()).enable()
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    return ASGIHandler() if handler == "asgi" else WSGIHandler()


def _site(name: str) -> Any:
    if name.startswith("django"):
        return {
            "django": lambda: _django("SYNC", "wsgi"),
            "django async": lambda: _django("ASYNC", "asgi"),
            "django rest framework": lambda: _django("REST", "wsgi"),
        }[name]()
    if name == "aiohttp":
        from tests.scenarios.aiohttp_site import aiohttp_site

        return aiohttp_site(build_gate())
    from tests.scenarios import asgi_sites, wsgi_sites

    return {
        "asgi": starlette_site,
        "wsgi": flask_site,
        "fastapi": asgi_sites.fastapi_site,
        "flask extension": wsgi_sites.flask_extension_site,
        "werkzeug": wsgi_sites.werkzeug_site,
        "quart": asgi_sites.quart_site,
        "litestar": asgi_sites.litestar_site,
        "falcon": asgi_sites.falcon_site,
        "falcon wsgi": wsgi_sites.falcon_wsgi_site,
    }[name](build_gate())


application: Any = _site(os.environ["SITE"])

"""What uvicorn and gunicorn serve for the table of scenarios: the very applications of the table, each with a gate."""

from __future__ import annotations

from tests.scenarios import build_gate
from tests.scenarios.sites import flask_site, starlette_site

asgi = starlette_site(build_gate())
wsgi = flask_site(build_gate())

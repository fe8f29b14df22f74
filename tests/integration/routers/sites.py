"""Gated routers for real servers: `/admin/secret` is gated, and `/public/hello` is not."""

from __future__ import annotations

from tests.integration.registry import NAMING, app_of
from tests.integration.routers import apps
from tests.integration.routers.deployments import ROUTES
from tests.integration.routers.path_variants import EXEMPT, ONLY
from wicket import Gate
from wicket.asgi import WicketMiddleware

gate = Gate([app_of("acme")], app_locations=NAMING)
litestar = WicketMiddleware(apps.litestar(ROUTES, lambda *_: None), gate, **EXEMPT)
quart = WicketMiddleware(apps.quart(ROUTES, lambda *_: None), gate, **ONLY)
fastapi = WicketMiddleware(apps.fastapi(ROUTES, lambda *_: None, root_path="/app"), gate, root_path="/app", **EXEMPT)

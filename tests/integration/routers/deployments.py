"""Every router under every root, and requests for a target as its servers would send them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.integration.routers import apps, django_app
from tests.integration.routers.path_variants import GATED, OPEN, ROOTS, environs, scopes
from wicket import Gate, asgi, wsgi

ROUTES: Final = (*OPEN, *GATED)


@dataclass(frozen=True)
class Deployment:
    """A router, its root, and the settings of the middleware.

    `root` is the root that the server sets, and `own_root` the root that the application sets itself. Its routes begin
    with `prefix`, and the paths of the rules with `rule_prefix`.
    """

    name: str
    kind: str
    build: Callable[..., Any]
    root: str = ""
    own_root: str = ""
    prefix: str = ""
    rule_prefix: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def target_root(self) -> str:
        """The root in the targets of requests."""
        return self.own_root or self.root

    @contextmanager
    def application(self, reached: apps.Reached) -> Iterator[Any]:
        """Yield the application. It calls `reached` with the route without `prefix`, and the scope or environ."""

        def report(route: str, scope: Any) -> None:
            reached(route.removeprefix(self.prefix), scope)

        routes = [f"{self.prefix}{route}" for route in ROUTES]
        if self.build is django_app.urls_of:
            with django_app.handler(django_app.urls_of(routes, report), self.kind, self.own_root or None) as handler:
                yield handler
        elif self.own_root:
            yield self.build(routes, report, root_path=self.own_root)
        else:
            yield self.build(routes, report)

    def gated(self, application: Any, gate: Gate, rules: dict[str, list[str]]) -> Any:
        """Return the application wrapped in `gate`."""
        prefixed = {name: [f"{self.rule_prefix}{path}" for path in paths] for name, paths in rules.items()}
        middleware: Any = asgi.WicketMiddleware if self.kind == "asgi" else wsgi.WicketMiddleware
        return middleware(application, gate, **prefixed, **self.settings)


def deployments() -> Iterator[Deployment]:
    """Every router under every root."""
    for root in ROOTS:
        for name, build in apps.ASGI.items():
            yield Deployment(f"{name} at {root or '/'}", "asgi", build, root)
        yield Deployment(f"django at {root or '/'}", "asgi", django_app.urls_of, root)
        for name, build in (("flask", apps.flask), ("falcon", apps.falcon_wsgi), ("django", django_app.urls_of)):
            yield Deployment(f"{name} wsgi at {root or '/'}", "wsgi", build, root)
        # Falcon leaves the root in the path, so its routes begin with it. With `keep`, the rules begin with it too.
        keep = {"root_path": "keep"} if root else {}
        yield Deployment(f"falcon keeps {root or '/'}", "asgi", apps.falcon_asgi, root, "", root, root, keep)
        if root:
            yield Deployment(f"falcon at {root}", "asgi", apps.falcon_asgi, root, "", root)
            settings = {"root_path": root}
            yield Deployment(f"fastapi sets {root}", "asgi", apps.fastapi, "", root, "", "", settings)
            yield Deployment(f"fastapi and server set {root}", "asgi", apps.fastapi, root, root, "", "", settings)
            yield Deployment(f"fastapi sets {root} at /srv", "asgi", apps.fastapi, "/srv", root, "", "", settings)
            yield Deployment(f"django forces {root}", "asgi", django_app.urls_of, "", root, "", "", settings)
            yield Deployment(f"django and server set {root}", "asgi", django_app.urls_of, root, root, "", "", settings)
            yield Deployment(f"django wsgi forces {root}", "wsgi", django_app.urls_of, "", root)


ALL: Final = tuple(deployments())


def ask(deployment: Deployment, application: Any, targets: Iterable[str]) -> dict[str, set[int]]:
    """Send every target as the deployment's servers would. Return the statuses of each target."""
    statuses: dict[str, set[int]] = {}
    if deployment.kind == "wsgi":
        for target in targets:
            statuses[target] = {_ask_wsgi(application, environ) for environ in environs(target, deployment.root)}
        return statuses

    async def ask_all() -> None:
        for target in targets:
            statuses[target] = {await _ask_asgi(application, scope) for scope in scopes(target, deployment.root)}

    asyncio.run(ask_all())
    return statuses


async def _ask_asgi(application: Any, scope: dict[str, Any]) -> int:
    statuses = [500]
    requested = False

    async def receive() -> dict[str, Any]:
        nonlocal requested
        if requested:
            await asyncio.Future()  # the client stays connected and sends nothing more
        requested = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    try:
        await application(scope, receive, send)
    except Exception:  # noqa: BLE001 - a server answers 500
        return 500
    return statuses[-1]


def _ask_wsgi(application: Any, environ: dict[str, Any]) -> int:
    statuses = [500]

    def start_response(status: str, headers: Any, *_: Any) -> Any:
        statuses.append(int(status[:3]))

    environ = {**environ, "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO()}
    try:
        chunks = application(environ, start_response)
        for _ in chunks:
            pass
        if hasattr(chunks, "close"):
            chunks.close()
    except Exception:  # noqa: BLE001 - a server answers 500
        return 500
    return statuses[-1]

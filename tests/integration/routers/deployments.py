"""Every router under every root, and a way to ask it for a target as its servers would."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.integration.routers import apps, django_app
from tests.integration.routers.spellings import GATED, OPEN, ROOTS, environs, scopes
from wicket import Gate, asgi, wsgi

ROUTES: Final = (*OPEN, *GATED)


@dataclass(frozen=True)
class Deployment:
    """A router, the root that its server names, and what the middleware is told.

    `own` is the root that the application sets itself. `prefix` is what its routes begin with, and `counted` what the
    paths of the rules begin with.
    """

    name: str
    kind: str
    build: Callable[..., Any]
    root: str = ""
    own: str = ""
    prefix: str = ""
    counted: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def spelled(self) -> str:
        """The root that targets are spelled with."""
        return self.own or self.root

    @contextmanager
    def application(self, reached: apps.Reached) -> Iterator[Any]:
        """The application. `reached` is called with the route, without `prefix`, and the scope or environ."""

        def told(route: str, scope: Any) -> None:
            reached(route.removeprefix(self.prefix), scope)

        routes = [f"{self.prefix}{route}" for route in ROUTES]
        if self.build is django_app.urls_of:
            with django_app.handler(django_app.urls_of(routes, told), self.kind, self.own or None) as handler:
                yield handler
        elif self.own:
            yield self.build(routes, told, root_path=self.own)
        else:
            yield self.build(routes, told)

    def gated(self, application: Any, gate: Gate, rules: dict[str, list[str]]) -> Any:
        """The application behind `gate`."""
        counted = {name: [f"{self.counted}{path}" for path in paths] for name, paths in rules.items()}
        middleware: Any = asgi.WicketMiddleware if self.kind == "asgi" else wsgi.WicketMiddleware
        return middleware(application, gate, **counted, **self.settings)


def deployments() -> Iterator[Deployment]:
    """Every router under every root."""
    for root in ROOTS:
        for name, build in apps.ASGI.items():
            yield Deployment(f"{name} at {root or '/'}", "asgi", build, root)
        yield Deployment(f"django at {root or '/'}", "asgi", django_app.urls_of, root)
        for name, build in (("flask", apps.flask), ("falcon", apps.falcon_wsgi), ("django", django_app.urls_of)):
            yield Deployment(f"{name} wsgi at {root or '/'}", "wsgi", build, root)
        # Falcon leaves the root in the path: its routes begin with it, and the rules do so with `keep`.
        keep = {"root_path": "keep"} if root else {}
        yield Deployment(f"falcon keeps {root or '/'}", "asgi", apps.falcon_asgi, root, "", root, root, keep)
        if root:
            yield Deployment(f"falcon at {root}", "asgi", apps.falcon_asgi, root, "", root)
            told = {"root_path": root}
            yield Deployment(f"fastapi sets {root}", "asgi", apps.fastapi, "", root, "", "", told)
            yield Deployment(f"fastapi and server set {root}", "asgi", apps.fastapi, root, root, "", "", told)
            yield Deployment(f"fastapi sets {root} at /srv", "asgi", apps.fastapi, "/srv", root, "", "", told)
            yield Deployment(f"django forces {root}", "asgi", django_app.urls_of, "", root, "", "", told)
            yield Deployment(f"django and server set {root}", "asgi", django_app.urls_of, root, root, "", "", told)
            yield Deployment(f"django wsgi forces {root}", "wsgi", django_app.urls_of, "", root)


ALL: Final = tuple(deployments())


def ask(deployment: Deployment, application: Any, targets: Iterable[str]) -> dict[str, set[int]]:
    """Send every target as the deployment's servers would; the statuses of each."""
    found: dict[str, set[int]] = {}
    if deployment.kind == "wsgi":
        for target in targets:
            found[target] = {_ask_wsgi(application, environ) for environ in environs(target, deployment.root)}
        return found

    async def ask_all() -> None:
        for target in targets:
            found[target] = {await _ask_asgi(application, scope) for scope in scopes(target, deployment.root)}

    asyncio.run(ask_all())
    return found


async def _ask_asgi(application: Any, scope: dict[str, Any]) -> int:
    statuses = [500]
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Future()  # the client stays, and sends nothing else
        asked = True
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

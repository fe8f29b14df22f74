"""List the routes of an application that no gate guards.

This module imports no framework. It reads the routes of each framework by the attributes of its application.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple

from wicket import asgi, wsgi
from wicket.errors import ConfigError, config_error
from wicket.gate import Gate
from wicket.http.paths import Access, Paths
from wicket.http.settings import MiddlewareSettings

_SAMPLE: Final = "1"
"""The value of each path parameter."""
_MIDDLEWARES: Final = (asgi.WicketMiddleware, wsgi.WicketMiddleware)
_WRAPPER_ATTRIBUTES: Final = ("app", "application", "inner", "asgi_app", "wsgi_app")
_IMPLICIT_METHODS: Final = frozenset({"HEAD", "OPTIONS"})


class _Rules(NamedTuple):
    """The path rules of a middleware, and the prefix of the paths that it receives."""

    paths: Paths
    prefix: str


class _Route(NamedTuple):
    """A route: its method, its path with parameters, the rules of its middlewares, and what its view allows."""

    method: str
    path: str
    rules: tuple[_Rules, ...]
    access: Access


def unguarded(app: object, gate: Gate) -> list[str]:
    """Return the routes of an application that the gate does not decide about.

    A route is guarded if a middleware or an extension of the gate decides its requests, also if it allows anonymous
    requests. It is unguarded if it is exempt, or if no middleware of this gate is before it. The path rules are asked
    with the value `1` for each parameter.

        assert unguarded(app, gate) == ["GET /health"]

    Args:
        app: The application: FastAPI, Starlette, Litestar, Flask, Quart, Django's handler, Falcon, or a middleware
            around one of them.
        gate: The gate.

    Returns:
        The method and the path of each such route, sorted. `WEBSOCKET` stands for the method of a WebSocket.

    Raises:
        ConfigError: If the framework is not known, and so has no list of routes.
    """
    found = set()
    for route in _routes(app, gate, ""):
        sample = re.sub(r"<[^>]*>|\{[^}]*\}", _SAMPLE, route.path)
        decided = any(
            rules.paths.access(sample[len(rules.prefix) :] or "/") is not Access.OPEN for rules in route.rules
        )
        if not decided or route.access is Access.OPEN:
            found.add(f"{route.method} {route.path}")
    return sorted(found)


def _routes(app: object, gate: Gate, prefix: str) -> Iterator[_Route]:
    """Yield the routes of an application, which receives its paths without `prefix`."""
    rules: list[_Rules] = []
    part: Any = app
    while part is not None:
        if isinstance(part, _MIDDLEWARES) and part.gate is gate:
            rules.append(_Rules(part._core.settings.paths, prefix))
        read = _reader_of(part)
        if read is not None:
            yield from read(part, gate, prefix, tuple(rules))
            return
        part = next(filter(None, (getattr(part, name, None) for name in _WRAPPER_ATTRIBUTES)), None)
    raise config_error("app", "is no application whose routes are known", "pass the application of the framework")


Reader = Callable[[Any, Gate, str, tuple[_Rules, ...]], Iterator[_Route]]


def _reader_of(part: object) -> Reader | None:
    for kind in type(part).__mro__:
        for package, read in _READERS.items():
            if f"{kind.__module__}.".startswith(package):
                return read
    return None


def _registered(entries: Iterable[Any], gate: Gate, prefix: str) -> Iterator[_Rules]:
    """Yield the rules of the middlewares in a list of Starlette's or Litestar's."""
    for entry in entries:
        kind = getattr(entry, "cls", None) or getattr(entry, "middleware", None)
        settings = {**getattr(entry, "kwargs", {})}
        args = getattr(entry, "args", ())
        made_for = settings.pop("gate", args[0] if args else None)
        if made_for is gate and isinstance(kind, type) and issubclass(kind, _MIDDLEWARES):
            yield _Rules(MiddlewareSettings(**settings).paths, prefix)


def _starlette(app: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    rules = (*rules, *_registered(app.user_middleware, gate, prefix))
    yield from _starlette_routes(app.routes, gate, prefix, rules)


def _starlette_routes(routes: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # a router that FastAPI includes
            yield from _starlette_routes(route.effective_route_contexts(), gate, prefix, rules)
            continue
        kind = getattr(route, "original_route", route)
        path = f"{prefix}{getattr(route, 'path', '')}"
        if hasattr(kind, "endpoint"):
            methods = sorted({*(getattr(route, "methods", None) or ())} - _IMPLICIT_METHODS)
            for method in methods or ["WEBSOCKET" if "WebSocket" in type(kind).__name__ else "ANY"]:
                yield _Route(method, path, rules, Access.GATED)
            continue
        nested = (*rules, *_wrapping(kind.app, gate, path))
        base = getattr(kind, "_base_app", kind.app)
        if getattr(kind, "routes", None) and _reader_of(base) is None and not isinstance(base, _MIDDLEWARES):
            yield from _starlette_routes(kind.routes, gate, path, nested)
            continue
        try:
            for found in _routes(base, gate, path):
                yield found._replace(rules=(*nested, *found.rules))
        except ConfigError:  # an application without routes, such as static files
            yield _Route("ANY", f"{path}/{{path}}", nested, Access.GATED)


def _wrapping(app: Any, gate: Gate, prefix: str) -> Iterator[_Rules]:
    """Yield the rules of the middlewares around an application that is mounted at `prefix`."""
    while app is not None and _reader_of(app) is None:
        if isinstance(app, _MIDDLEWARES) and app.gate is gate:
            yield _Rules(app._core.settings.paths, prefix)
        app = getattr(app, "app", None)


def _litestar(app: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    rules = (*rules, *_registered(app.middleware, gate, prefix))
    for route in app.routes:
        for method in sorted({*getattr(route, "methods", ["WEBSOCKET"])} - _IMPLICIT_METHODS):
            yield _Route(method, f"{prefix}{route.path}", rules, Access.GATED)


def _flask(app: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    """Read Flask and Quart."""
    around: Any = getattr(app, "wsgi_app", None) or getattr(app, "asgi_app", None)
    while around is not None:
        if isinstance(around, _MIDDLEWARES) and around.gate is gate:
            rules = (*rules, _Rules(around._core.settings.paths, prefix))
        around = getattr(around, "app", None)
    blueprints = {
        blueprint.name: [_Rules(views.settings.paths, prefix) for views in gates if views.gate is gate]
        for blueprint, gates in app.extensions.get("wicket", {}).items()
        if blueprint is not None
    }
    for rule in app.url_map.iter_rules():
        names = rule.endpoint.split(".")[:-1]
        of_blueprint = [item for name in names for item in blueprints.get(name, ())]
        access = getattr(app.view_functions.get(rule.endpoint), "wicket_access", Access.GATED)
        explicit = {*(rule.methods or ())} - _IMPLICIT_METHODS or {"OPTIONS"}
        for method in {"WEBSOCKET"} if getattr(rule, "websocket", False) else explicit:
            yield _Route(method, f"{prefix}{rule.rule}", (*rules, *of_blueprint), access)


def _django(app: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    ours, urls = import_module("wicket.contrib.django"), import_module("django.urls")
    rules = (*rules, *(_Rules(paths, prefix) for paths in ours.configured_paths(gate)))
    for path in _django_paths(urls.get_resolver().url_patterns, f"{prefix}/"):
        yield _Route("ANY", path, rules, Access.GATED)


def _django_paths(patterns: Any, prefix: str) -> Iterator[str]:
    for entry in patterns:
        text = (
            re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", str(entry.pattern))
            .removeprefix("^")
            .removesuffix("$")
            .removesuffix(r"\Z")
        )
        if hasattr(entry, "url_patterns"):
            yield from _django_paths(entry.url_patterns, f"{prefix}{text}")
        else:
            yield f"{prefix}{text}"


def _falcon(app: Any, gate: Gate, prefix: str, rules: tuple[_Rules, ...]) -> Iterator[_Route]:
    for route in import_module("falcon.inspect").inspect_routes(app):
        for method in route.methods:
            if not method.internal and method.method not in _IMPLICIT_METHODS:
                kind = "WEBSOCKET" if method.method == "WEBSOCKET" else method.method
                yield _Route(kind, f"{prefix}{route.path}", rules, Access.GATED)


_READERS: Final[dict[str, Reader]] = {
    "starlette.applications.": _starlette,
    "litestar.app.": _litestar,
    "flask.app.": _flask,
    "quart.app.": _flask,
    "django.core.handlers.": _django,
    "falcon.app.": _falcon,
    "falcon.asgi.app.": _falcon,
}
"""The function that reads the routes, by the module of the application's class."""

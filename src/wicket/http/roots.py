"""What an application says of its paths: the roots that it sets itself, and its mounts without a boundary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from wicket.messages.paths import is_root

_DEEPEST: Final = 64
_DEEPEST_PART: Final = 4
_DJANGO: Final = "django.core.handlers.asgi"
_HOLDERS: Final = ("app", "application", "inner")


def own_root(application: object) -> str | None:
    """The first of `own_roots`; None if there is none."""
    return next(iter(own_roots(application)), None)


def own_roots(application: object) -> tuple[str, ...]:
    """The roots that `application`, and the applications that it wraps, say they have.

    FastAPI says it in `root_path`, and Django, under ASGI, in its setting `FORCE_SCRIPT_NAME`. A wrapped application is
    found in the attributes `app`, `application` and `inner`, in Channels' `application_mapping`, and in a mount without
    a path among Starlette's `routes` or Hypercorn's `mounts`. A mount with a path keeps its application from seeing
    other paths.
    """
    return tuple(dict.fromkeys(filter(None, map(_root_of, _wrapped(application)))))


def loose_mounts(application: object) -> tuple[str, ...]:
    """The mount points to which `application`, or one that it wraps, gives paths that only begin alike.

    `/admin` takes `/adminx` too as a mounted application of Litestar, a mount of Hypercorn's `DispatcherMiddleware` and
    a sink of Falcon.
    """
    return tuple(dict.fromkeys(_loose(application, "", _DEEPEST_PART)))


def _loose(application: object, above: str, depth: int) -> Iterator[str]:
    for each in _wrapped(application):
        yield from (f"{above}{point}" for point in _points_of(each) if isinstance(point, str) and is_root(point))
        for point, inner in _parts_of(each) if depth else ():
            if isinstance(point, str) and is_root(point):
                yield from _loose(inner, f"{above}{point}", depth - 1)


def litestar_route(application: object) -> object | None:
    """The route of Litestar that `application` leads to, None elsewhere. Litestar's own middlewares are before one.

    Litestar has removed the root from `scope["path"]` there, and the mount point of a mounted application, too.
    """
    bound = (_attribute(each, "__self__") for each in _wrapped(application))
    return next((each for each in bound if type(each).__module__.startswith("litestar.routes")), None)


def _root_of(each: object) -> str | None:
    root = _attribute(each, "root_path")
    # The `root_path` of Flask and Quart is a directory. Both have an `import_name`.
    if isinstance(root, str) and root and _attribute(each, "import_name") is None:
        return root
    if any(kind.__module__ == _DJANGO for kind in type(each).__mro__):
        forced = _attribute(_attribute(sys.modules.get("django.conf"), "settings"), "FORCE_SCRIPT_NAME")
        if isinstance(forced, str):
            return forced
    return None


def _points_of(each: object) -> Iterator[object]:
    yield from _mounts(each)
    for route in _list(each, "routes"):
        if is_litestar_mount(route):
            yield _attribute(route, "path")
    for sink in _list(each, "_sinks"):
        yield _attribute(sink[0] if isinstance(sink, tuple) and sink else None, "pattern")


def _parts_of(each: object) -> Iterator[tuple[object, object]]:
    yield from _mounts(each).items()
    for route in _list(each, "routes"):
        yield _attribute(route, "path"), _attribute(route, "app")


def is_litestar_mount(route: object) -> bool:
    """Whether a route of Litestar is that of a mounted application."""
    return _attribute(_attribute(route, "route_handler"), "is_mount") is True


def _mounts(each: object) -> dict[Any, Any]:
    mounts = _attribute(each, "mounts")
    # Werkzeug's mounts have a boundary, and no application under them sets a root.
    return mounts if isinstance(mounts, dict) and not type(each).__module__.startswith("werkzeug.") else {}


def _list(each: object, name: str) -> list[Any]:
    held = _attribute(each, name)
    return held if isinstance(held, list) else []


def _wrapped(application: object) -> Iterator[object]:
    left = [application]
    for _ in range(_DEEPEST):
        if not left:
            return
        each = left.pop()
        yield each
        left.extend(inner for inner in (_attribute(each, name) for name in _HOLDERS) if inner is not None)
        mapping = _attribute(each, "application_mapping")
        if isinstance(mapping, dict):
            left.extend(mapping.values())
        left.extend(inner for point, inner in _mounts(each).items() if point in ("", "/"))
        for route in _list(each, "routes"):
            if not _attribute(route, "path") and _attribute(route, "app"):
                left.append(route)


def _attribute(held: object, name: str) -> Any:
    try:
        return getattr(held, name, None)
    except Exception:  # noqa: BLE001 - the object is the application's own, and may raise whatever it likes
        return None

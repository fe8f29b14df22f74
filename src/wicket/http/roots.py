"""Read from an application's attributes which roots it sets itself, and which of its mounts have no boundary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from wicket.messages.paths import is_root

_MAX_APPLICATIONS: Final = 64
"""The number of wrapped applications that are searched."""
_MAX_MOUNT_DEPTH: Final = 4
_DJANGO: Final = "django.core.handlers.asgi"
_WRAPPER_ATTRIBUTES: Final = ("app", "application", "inner")


def own_roots(application: object) -> tuple[str, ...]:
    """Return the roots that `application` and the applications that it wraps set themselves.

    FastAPI sets a root in `root_path`. Django sets one under ASGI in its setting `FORCE_SCRIPT_NAME`. Wrapped
    applications are found in these places:

    - the attributes `app`, `application` and `inner`,
    - `application_mapping` of Channels,
    - a mount without a path in Starlette's `routes` or Hypercorn's `mounts`.

    An application mounted at a path is not searched, because it receives no other paths.

    Args:
        application: The ASGI or WSGI application, or a middleware around it.
    """
    return tuple(dict.fromkeys(filter(None, map(_root_of, _wrapped(application)))))


def loose_mounts(application: object) -> tuple[str, ...]:
    """Return the mount points that also match paths with the same beginning and no segment boundary.

    For example, `/admin` also matches `/adminx`. Three kinds of mount do this: a mounted application of Litestar, a
    mount of Hypercorn's `DispatcherMiddleware`, and a sink of Falcon.

    Args:
        application: The ASGI or WSGI application, or a middleware around it.
    """
    return tuple(dict.fromkeys(_loose_mounts(application, "", _MAX_MOUNT_DEPTH)))


def _loose_mounts(application: object, prefix: str, depth: int) -> Iterator[str]:
    for part in _wrapped(application):
        yield from (f"{prefix}{point}" for point in _mount_points(part) if isinstance(point, str) and is_root(point))
        for point, mounted in _mounted_applications(part) if depth else ():
            if isinstance(point, str) and is_root(point):
                yield from _loose_mounts(mounted, f"{prefix}{point}", depth - 1)


def litestar_route(application: object) -> object | None:
    """Return the Litestar route that `application` leads to; None if there is none.

    The application of a middleware that is registered in Litestar leads to a route. Litestar has removed the root, and
    the mount point of a mounted application, from `scope["path"]` there.

    Args:
        application: The application that the middleware wraps.
    """
    owners = (_attribute(part, "__self__") for part in _wrapped(application))
    return next((owner for owner in owners if type(owner).__module__.startswith("litestar.routes")), None)


def _root_of(part: object) -> str | None:
    root = _attribute(part, "root_path")
    # The `root_path` of Flask and Quart is a directory. Both have an `import_name`.
    if isinstance(root, str) and root and _attribute(part, "import_name") is None:
        return root
    if any(kind.__module__ == _DJANGO for kind in type(part).__mro__):
        script_name = _attribute(_attribute(sys.modules.get("django.conf"), "settings"), "FORCE_SCRIPT_NAME")
        if isinstance(script_name, str):
            return script_name
    return None


def _mount_points(part: object) -> Iterator[object]:
    """Yield the values that may be mount points without a boundary."""
    yield from _mounts(part)
    for route in _list_attribute(part, "routes"):
        if is_litestar_mount(route):
            yield _attribute(route, "path")
    for sink in _list_attribute(part, "_sinks"):
        yield _attribute(sink[0] if isinstance(sink, tuple) and sink else None, "pattern")


def _mounted_applications(part: object) -> Iterator[tuple[object, object]]:
    """Yield the mount point and the application of every mount."""
    yield from _mounts(part).items()
    for route in _list_attribute(part, "routes"):
        yield _attribute(route, "path"), _attribute(route, "app")


def is_litestar_mount(route: object) -> bool:
    """Return whether a Litestar route is that of a mounted application."""
    return _attribute(_attribute(route, "route_handler"), "is_mount") is True


def _mounts(part: object) -> dict[Any, Any]:
    mounts = _attribute(part, "mounts")
    # Werkzeug's mounts have a boundary, and a WSGI application mounted by Werkzeug sets no root.
    return mounts if isinstance(mounts, dict) and not type(part).__module__.startswith("werkzeug.") else {}


def _list_attribute(part: object, name: str) -> list[Any]:
    value = _attribute(part, name)
    return value if isinstance(value, list) else []


def _wrapped(application: object) -> Iterator[object]:
    """Yield `application` and the applications that it wraps, `_MAX_APPLICATIONS` at most."""
    pending = [application]
    for _ in range(_MAX_APPLICATIONS):
        if not pending:
            return
        part = pending.pop()
        yield part
        wrapped = (_attribute(part, name) for name in _WRAPPER_ATTRIBUTES)
        pending.extend(inner for inner in wrapped if inner is not None)
        mapping = _attribute(part, "application_mapping")
        if isinstance(mapping, dict):
            pending.extend(mapping.values())
        pending.extend(mounted for point, mounted in _mounts(part).items() if point in ("", "/"))
        for route in _list_attribute(part, "routes"):
            if not _attribute(route, "path") and _attribute(route, "app"):
                pending.append(route)


def _attribute(part: object, name: str) -> Any:
    try:
        return getattr(part, name, None)
    except Exception:  # noqa: BLE001 - an attribute of the application may raise any exception
        return None

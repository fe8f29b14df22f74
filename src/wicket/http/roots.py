"""The root that an application sets itself, whatever root its server serves it under."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

_DEEPEST: Final = 64
_DJANGO: Final = "django.core.handlers.asgi"


def own_root(application: object) -> str | None:
    """The root that `application`, or an application that it wraps, says it has; None if none says so.

    FastAPI says it in `root_path`, and Django, under ASGI, in its setting `FORCE_SCRIPT_NAME`. A wrapped application is
    found in the attribute `app`, in Channels' `application_mapping`, and in a mount without a path among Starlette's
    `routes`. A mount with a path keeps its application from seeing other paths.
    """
    for each in _wrapped(application):
        root = _attribute(each, "root_path")
        # The `root_path` of Flask and Quart is a directory. Both have an `import_name`.
        if isinstance(root, str) and root and _attribute(each, "import_name") is None:
            return root
        if any(kind.__module__ == _DJANGO for kind in type(each).__mro__):
            forced = _attribute(_attribute(sys.modules.get("django.conf"), "settings"), "FORCE_SCRIPT_NAME")
            if isinstance(forced, str) and forced:
                return forced
    return None


def _wrapped(application: object) -> Iterator[object]:
    left = [application]
    for _ in range(_DEEPEST):
        if not left:
            return
        each = left.pop()
        yield each
        inner = _attribute(each, "app")
        if inner is not None:
            left.append(inner)
        mapping = _attribute(each, "application_mapping")
        if isinstance(mapping, dict):
            left.extend(mapping.values())
        routes = _attribute(each, "routes")
        if isinstance(routes, list):
            left.extend(route for route in routes if not _attribute(route, "path") and _attribute(route, "app"))


def _attribute(held: object, name: str) -> Any:
    try:
        return getattr(held, name, None)
    except Exception:  # noqa: BLE001 - the object is the application's own, and may raise whatever it likes
        return None

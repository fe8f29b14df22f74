"""The settings of a middleware, the same for ASGI, WSGI and every framework."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict, cast

from wicket.errors import ConfigError, Problems
from wicket.http.paths import Paths
from wicket.messages.paths import is_root

KEEP = "keep"
"""The `root_path` setting for an application whose router leaves the root in the path."""

PREFLIGHTS = ("gate", "pass")


class MiddlewareOptions(TypedDict, total=False):
    """The arguments of `MiddlewareSettings`, for type checkers."""

    only: Iterable[str]
    exempt: Iterable[str]
    optional: Iterable[str]
    cors: bool
    origin_check_path: str | None
    close_on_expiry: bool
    root_path: str | None
    preflights: str | None


@dataclass(frozen=True, slots=True)
class MiddlewareSettings:
    """The settings of a middleware.

    Path patterns are exact paths, or end in `/*` and match that path and every path below it (see
    `wicket.http.paths`).

    Args:
        only: Patterns of the gated paths. If empty, every path is gated.
        exempt: Patterns of paths that are not gated.
        optional: Patterns of gated paths that allow anonymous requests.
        cors: Whether to answer CORS preflights and to add CORS headers to every response (see `wicket.decision.cors`).
        origin_check_path: A path where a widget asks, without a token, whether its page's origin is allowed. None
            disables it.
        close_on_expiry: Whether to end a long-lived connection whose token expires (plus `leeway`), is revoked, or
            whose key is removed from the app. ASGI: WebSockets (code 4401) and event streams are closed within one
            second, which needs asyncio. WSGI: event streams end at the first chunk after it.
        root_path: The root that the application sets itself (FastAPI's `root_path`), or `"keep"` if the application's
            router leaves the root in the path. Patterns then begin with the root. ASGI: Django's `FORCE_SCRIPT_NAME`
            is such a root. WSGI: a server removes its own root from `PATH_INFO`, and `FORCE_SCRIPT_NAME` removes none.
        preflights: With `cors=False`, `"gate"` decides a preflight like any other request, and `"pass"` passes it to
            the application as an anonymous request. None means `"gate"`.

    Attributes:
        paths: The rules of `only`, `exempt` and `optional`.

    Raises:
        ConfigError: If a setting is invalid. The error has every problem.
    """

    only: Iterable[str] = ()
    exempt: Iterable[str] = ()
    optional: Iterable[str] = ()
    cors: bool = True
    origin_check_path: str | None = None
    close_on_expiry: bool = False
    root_path: str | None = None
    preflights: str | None = None
    paths: Paths = field(init=False, repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        for name in ("cors", "close_on_expiry"):
            if not isinstance(getattr(self, name), bool):
                problems.add(name, "must be true or false")
        path, root = self.origin_check_path, self.root_path
        if path is not None and (not isinstance(path, str) or path[:1] != "/"):
            problems.add("origin_check_path", "must be a path that starts with /, or None")
        if root is not None and root != KEEP and not (isinstance(root, str) and is_root(root)):
            problems.add("root_path", "must be /segment without a trailing slash, 'keep', or None", "/api")
        if self.preflights is not None and self.preflights not in PREFLIGHTS:
            problems.add("preflights", "must be 'gate', 'pass' or None")
        elif self.preflights is not None and self.cors is True:
            problems.add(
                "preflights", "needs cors=False, because the middleware answers preflights itself", "cors=False"
            )
        for name in ("only", "exempt", "optional"):
            patterns = getattr(self, name)
            object.__setattr__(self, name, problems.as_tuple(name, patterns, "paths"))
        try:
            object.__setattr__(self, "paths", Paths(self.only, self.exempt, self.optional))
        except ConfigError as error:
            problems.merge("", error)
        problems.raise_if_any()

    def options(self) -> MiddlewareOptions:
        """Return the arguments with which these settings were made."""
        return cast(MiddlewareOptions, {name: getattr(self, name) for name in MiddlewareOptions.__annotations__})

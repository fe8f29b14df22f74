"""The settings of a middleware, the same for ASGI, WSGI and every framework."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict, cast

from wicket.errors import ConfigError, Problems
from wicket.http.paths import Paths
from wicket.messages.paths import is_root
from wicket.settings import boolean, check_settings, or_none, satisfies, setting, settings_of

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


def _paths(problems: Problems, path: str, value: object) -> tuple[str, ...]:
    return problems.as_tuple(path, value, "paths")


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value[:1] == "/"


def _is_root_path(value: object) -> bool:
    return value == KEEP or (isinstance(value, str) and is_root(value))


@dataclass(frozen=True, slots=True)
class MiddlewareSettings:
    """The settings of a middleware.

    Path patterns are exact paths, or end in `/*` and match that path and every path below it (see
    `wicket.http.paths`).

    Attributes:
        paths: The rules of `only`, `exempt` and `optional`.

    Raises:
        ConfigError: If a setting is invalid. The error has every problem.
    """

    only: Iterable[str] = setting(_paths, default=(), form=None)
    """Patterns of the gated paths. If empty, every path is gated."""
    exempt: Iterable[str] = setting(_paths, default=(), form=None)
    """Patterns of paths that are not gated."""
    optional: Iterable[str] = setting(_paths, default=(), form=None)
    """Patterns of gated paths that allow anonymous requests."""
    cors: bool = setting(boolean, default=True, form=None)
    """Whether to answer CORS preflights and to add CORS headers to every response (see `wicket.decision.cors`)."""
    origin_check_path: str | None = setting(
        or_none(satisfies(_is_path, "must be a path that starts with /, or None")), default=None, form=None
    )
    """A path where a widget asks, without a token, whether its page's origin is allowed. None disables it."""
    close_on_expiry: bool = setting(boolean, default=False, form=None)
    """Whether to end a long-lived connection whose token expires (plus `leeway`), is revoked, or whose key is removed
    from the app. ASGI: WebSockets (code 4401) and event streams are closed within one second, which needs asyncio.
    WSGI: event streams end at the first chunk after it."""
    root_path: str | None = setting(
        or_none(satisfies(_is_root_path, "must be /segment without a trailing slash, 'keep', or None", "/api")),
        default=None,
        form=None,
    )
    """The root that the application sets itself (FastAPI's `root_path`), or `"keep"` if the application's router leaves
    the root in the path. Patterns then begin with the root. ASGI: Django's `FORCE_SCRIPT_NAME` is such a root. WSGI: a
    server removes its own root from `PATH_INFO`, and `FORCE_SCRIPT_NAME` removes none."""
    preflights: str | None = setting(
        or_none(satisfies(lambda value: value in PREFLIGHTS, "must be 'gate', 'pass' or None")), default=None, form=None
    )
    """With `cors=False`, `"gate"` decides a preflight like any other request, and `"pass"` passes it to the application
    as an anonymous request. None means `"gate"`."""
    paths: Paths = field(init=False, repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self)
        if self.preflights in PREFLIGHTS and self.cors is True:
            problems.add(
                "preflights", "needs cors=False, because the middleware answers preflights itself", "cors=False"
            )
        try:
            object.__setattr__(self, "paths", Paths(self.only, self.exempt, self.optional))
        except ConfigError as error:
            problems.merge("", error)
        problems.raise_if_any()

    def options(self) -> MiddlewareOptions:
        """Return the arguments with which these settings were made."""
        return cast(MiddlewareOptions, {name: getattr(self, name) for name in settings_of(MiddlewareSettings)})

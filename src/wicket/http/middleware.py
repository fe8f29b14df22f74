"""What both doors are set up with and ask first about a request: whose turn it is, and what Wicket answers itself."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable

from wicket.config.locations import PathSegment
from wicket.decision.decision import Decision
from wicket.decision.flow import anonymous
from wicket.errors import Problems, Refused, config_error
from wicket.gate import Gate
from wicket.http.cors import NO_HEADERS, CORSHeaders, cors_headers, preflight_response, request_header_names
from wicket.http.paths import Access, Paths
from wicket.http.refusals import response_for, response_for_exception
from wicket.http.roots import is_litestar_mount, litestar_route, loose_mounts, own_roots
from wicket.messages.paths import is_root
from wicket.messages.request import Request
from wicket.messages.response import Response

KEEP = "keep"
"""The `root_path` of an application whose router leaves the root in the path."""

PREFLIGHTS = ("gate", "pass")


class Action(enum.Enum):
    """What happens with a request."""

    OPEN = "open"
    OPTIONAL = "optional"
    GATED = "gated"
    PREFLIGHT = "preflight"
    PASS = "pass"
    ORIGIN_CHECK = "question"


class MiddlewareCore:
    """The settings of a door, checked. Raises `ConfigError` with every problem."""

    def __init__(
        self,
        gate: Gate,
        *,
        only: Iterable[str],
        exempt: Iterable[str],
        optional: Iterable[str],
        cors: bool,
        origin_check_path: str | None,
        close_on_expiry: bool = False,
        root_path: str | None = None,
        preflights: str | None = None,
    ) -> None:
        problems = Problems()
        if not isinstance(gate, Gate):
            problems.add("gate", "must be a Gate")
        for name, value in (("cors", cors), ("close_on_expiry", close_on_expiry)):
            if not isinstance(value, bool):
                problems.add(name, "must be true or false")
        if origin_check_path is not None and (not isinstance(origin_check_path, str) or origin_check_path[:1] != "/"):
            problems.add("origin_check_path", "must be a path that starts with /, or None")
        if root_path is not None and root_path != KEEP and not (isinstance(root_path, str) and is_root(root_path)):
            problems.add("root_path", "must be /segment without a slash at its end, 'keep', or None", "/api")
        if preflights is not None and preflights not in PREFLIGHTS:
            problems.add("preflights", "must be 'gate', 'pass' or None")
        elif preflights is not None and cors is True:
            problems.add("preflights", "preflights are answered here unless cors is false", "cors=False")
        problems.raise_if_any()
        self.gate = gate
        self.cors = cors
        self.close_on_expiry = close_on_expiry
        self._question = origin_check_path
        self._paths = Paths(only, exempt, optional)
        self._root = "" if root_path == KEEP else root_path
        self._passing = preflights == "pass"
        asks_paths = not self._paths.everything or origin_check_path is not None
        names_by_path = any(isinstance(place, PathSegment) for place in gate.app_locations)
        self._plain = not asks_paths and root_path is None
        self._roots: tuple[str, ...] = ()
        self._mounts: tuple[str, ...] = ()
        self.root_checked = not (asks_paths or names_by_path)
        self.always_gated = self._plain and self.root_checked
        self._own = request_header_names(gate)

    def check_root(self, application: object, within: object = None) -> None:
        """Raise `ConfigError` if paths count here and cannot be told: `root_path` is not the root that is set, or so.

        `application` is the one that the middleware wraps, and `within` the one that the middleware is a part of.
        """
        if self.root_checked:
            return
        route = litestar_route(application)
        if route is not None:
            self._check_route(route)
        own, around, given = own_roots(application), own_roots(within), self._root
        # A part that is mounted in an application may be given the mount point with the root.
        above = tuple(each for each in around if f"{given}".startswith(f"{each}/"))
        if given != "" and given not in (*own, *around) and not above:
            self._demand(next(iter((*own, *around)), None))
        self._roots = tuple(each for each in (*own, *around) if is_root(each) and each != given and each not in above)
        self._mounts = loose_mounts(application)

    def _check_route(self, route: object) -> None:
        if is_litestar_mount(route):
            raise config_error(
                "app",
                "Litestar's own middlewares do not see the whole path of a mounted application, so no path can count",
                "WicketMiddleware around the whole Litestar application",
            )
        if self._root is None:
            self._root = ""

    def _demand(self, root: str | None) -> None:
        if root is not None:
            raise config_error(
                "root_path",
                f"the application sets the root {root!r} itself, so paths must be counted from there",
                f"root_path={root!r}" if is_root(root) else "root_path='keep'",
            )

    def check_first(self, application: object, within: object = None) -> None:
        """As `check_root`, at the first request: a framework may not say earlier which application it is."""
        self.check_root(application, within)
        self.root_checked = True
        self.always_gated = self._plain and self._root is None and not (self._roots or self._mounts)

    def classify(self, request: Request) -> Action:
        """What happens with `request`."""
        if self._root is not None:
            request.root = self._root
        if self._roots or self._mounts:
            request.roots, request.mounts = self._roots, self._mounts
        access = Access.GATED
        if not self._plain:
            found = request.readings
            if self._question is not None and request.method in ("GET", "HEAD") and {*found} == {self._question}:
                return Action.ORIGIN_CHECK
            access = self._paths.access(*found)
        if access is Access.OPEN:
            return Action.OPEN
        if request.is_preflight:
            if self.cors:
                return Action.PREFLIGHT
            if self._passing:
                return Action.PASS
        return Action.OPTIONAL if access is Access.OPTIONAL else Action.GATED

    def passed(self, request: Request) -> Decision:
        """The decision about a preflight that the application answers: allowed, anonymous, and nothing is looked at."""
        return anonymous(self.gate._context, request)

    def refusal(self, request: Request, decision: Decision) -> Response:
        """The answer to a request that is turned away."""
        return self._with_cors_headers(response_for(self.gate, decision), request, decision)

    def refused(self, request: Request, decision: Decision, refused: Refused) -> Response:
        """The answer where the application itself demanded more."""
        return self._with_cors_headers(response_for_exception(self.gate, decision, refused), request, decision)

    def preflight(self, request: Request, decision: Decision) -> Response:
        """The answer to a preflight. Only an origin that the app is known not to admit is refused."""
        if not decision.allowed and decision.refusal is not None and decision.refusal.code == "origin_not_allowed":
            return self.refusal(request, decision)
        return preflight_response(request, decision, self._own)

    def question(self, request: Request, decision: Decision) -> Response:
        """The answer to a widget that asks whether it may render here: yes, or the refusal."""
        if not decision.allowed:
            return self.refusal(request, decision)
        body = json.dumps({"allowed": True}).encode()
        headers = (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
        )
        return self._with_cors_headers(Response(200, headers, body), request, decision)

    def additions(self, request: Request, decision: Decision) -> CORSHeaders:
        """The headers that the application's answer shall have besides its own."""
        return cors_headers(request, decision) if self.cors else NO_HEADERS

    def _with_cors_headers(self, answer: Response, request: Request, decision: Decision) -> Response:
        more = self.additions(request, decision).text
        return Response(answer.status, (*answer.headers, *((name.lower(), value) for name, value in more)), answer.body)

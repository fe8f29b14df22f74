"""Shared logic of the ASGI and WSGI middleware: request classification, and responses made here."""

from __future__ import annotations

import enum
import json

from wicket.config.locations import PathSegment
from wicket.decision.decision import Decision
from wicket.decision.flow import anonymous
from wicket.errors import ConfigError, Problems, Refused, config_error
from wicket.gate import Gate
from wicket.http.cors import NO_HEADERS, CORSHeaders, cors_headers, preflight_response, request_header_names
from wicket.http.paths import Access
from wicket.http.refusals import response_for, response_for_exception
from wicket.http.roots import is_litestar_mount, litestar_route, loose_mounts, own_roots
from wicket.http.settings import KEEP, MiddlewareOptions, MiddlewareSettings
from wicket.messages.paths import is_root
from wicket.messages.request import Request
from wicket.messages.response import Response


class Action(enum.Enum):
    """What the middleware does with a request.

    Attributes:
        OPEN: Pass it to the application without a decision.
        OPTIONAL: Decide it, and allow an anonymous request.
        GATED: Decide it.
        PREFLIGHT: Answer the CORS preflight.
        PASS: Pass the CORS preflight to the application as an anonymous request.
        ORIGIN_CHECK: Answer whether the page's origin is allowed.
    """

    OPEN = "open"
    OPTIONAL = "optional"
    GATED = "gated"
    PREFLIGHT = "preflight"
    PASS = "pass"
    ORIGIN_CHECK = "origin check"


class MiddlewareCore:
    """The gate and the settings of one middleware.

    Args:
        gate: The gate that decides.
        options: The arguments of `MiddlewareSettings`.

    Attributes:
        root_checked: Whether the root of the application was checked, or no setting depends on the path.
        always_gated: Whether every request except a preflight is gated, so that it need not be classified.
        settings: The settings.

    Raises:
        ConfigError: If `gate` is no gate, or a setting is invalid. The error has every problem.
        TypeError: If there is no such setting.
    """

    def __init__(self, gate: Gate, options: MiddlewareOptions) -> None:
        problems = Problems()
        if not isinstance(gate, Gate):
            problems.add("gate", "must be a Gate")
        try:
            settings = MiddlewareSettings(**options)
        except ConfigError as error:
            problems.merge("", error)
            raise ConfigError(problems.found) from None
        problems.raise_if_any()
        self.gate = gate
        self.settings = settings
        self.cors = settings.cors
        self.close_on_expiry = settings.close_on_expiry
        self._origin_check_path = settings.origin_check_path
        self._paths = settings.paths
        self._root = "" if settings.root_path == KEEP else settings.root_path
        self._passes_preflights = settings.preflights == "pass"
        has_path_rules = not self._paths.everything or settings.origin_check_path is not None
        has_path_segment = any(isinstance(location, PathSegment) for location in gate.app_locations)
        self._ignores_path = not has_path_rules and settings.root_path is None
        self._roots: tuple[str, ...] = ()
        self._mounts: tuple[str, ...] = ()
        self.root_checked = not (has_path_rules or has_path_segment)
        self.always_gated = self._ignores_path and self.root_checked
        self._request_header_names = request_header_names(gate)

    def check_root(self, application: object, parent: object = None) -> None:
        """Check that `root_path` is the root that the application sets, if a setting depends on the path.

        Args:
            application: The application that the middleware wraps.
            parent: The application that the middleware is a part of, or None.

        Raises:
            ConfigError: If `root_path` differs from that root, or the path is incomplete here.
        """
        if self.root_checked:
            return
        route = litestar_route(application)
        if route is not None:
            self._check_litestar_route(route)
        roots, parent_roots, root = own_roots(application), own_roots(parent), self._root
        # `root_path` of an application that is mounted in `parent` may contain the mount point after the parent's root.
        prefixes = tuple(prefix for prefix in parent_roots if f"{root}".startswith(f"{prefix}/"))
        if root != "" and root not in (*roots, *parent_roots) and not prefixes:
            self._require_root(next(iter((*roots, *parent_roots)), None))
        self._roots = tuple(
            other for other in (*roots, *parent_roots) if is_root(other) and other != root and other not in prefixes
        )
        self._mounts = loose_mounts(application)

    def _check_litestar_route(self, route: object) -> None:
        if is_litestar_mount(route):
            raise config_error(
                "app",
                "middleware registered in Litestar does not get the whole path of a mounted application, so path "
                "rules cannot be checked",
                "WicketMiddleware around the whole Litestar application",
            )
        if self._root is None:
            self._root = ""

    def _require_root(self, root: str | None) -> None:
        """Raise `ConfigError` if the application sets `root`, which the setting `root_path` does not have."""
        if root is not None:
            raise config_error(
                "root_path",
                f"the application sets the root {root!r} itself, so path rules need the same root",
                f"root_path={root!r}" if is_root(root) else "root_path='keep'",
            )

    def check_first(self, application: object, parent: object = None) -> None:
        """Check the root at the first request. Some frameworks create the application only then.

        Args:
            application: The application that the middleware wraps.
            parent: The application that the middleware is a part of, or None.

        Raises:
            ConfigError: As `check_root`.
        """
        self.check_root(application, parent)
        self.root_checked = True
        self.always_gated = self._ignores_path and self._root is None and not (self._roots or self._mounts)

    def classify(self, request: Request) -> Action:
        """Return what the middleware does with `request`. Sets the root of the request."""
        if self._root is not None:
            request.root = self._root
        if self._roots or self._mounts:
            request.roots, request.mounts = self._roots, self._mounts
        access = Access.GATED
        if not self._ignores_path:
            readings = request.readings
            path = self._origin_check_path
            if path is not None and request.method in ("GET", "HEAD") and {*readings} == {path}:
                return Action.ORIGIN_CHECK
            access = self._paths.access(*readings)
        if access is Access.OPEN:
            return Action.OPEN
        if request.is_preflight:
            if self.cors:
                return Action.PREFLIGHT
            if self._passes_preflights:
                return Action.PASS
        return Action.OPTIONAL if access is Access.OPTIONAL else Action.GATED

    def anonymous_decision(self, request: Request) -> Decision:
        """Return the decision about a preflight that the application answers: allowed and anonymous, without checks."""
        return anonymous(self.gate._context, request)

    def refusal_response(self, request: Request, decision: Decision) -> Response:
        """Return the response to a request that `decision` refuses."""
        return self._with_cors_headers(response_for(self.gate, decision), request, decision)

    def exception_response(self, request: Request, decision: Decision, refused: Refused) -> Response:
        """Return the response to an allowed request whose handler raised `refused`."""
        return self._with_cors_headers(response_for_exception(self.gate, decision, refused), request, decision)

    def preflight_response(self, request: Request, decision: Decision) -> Response:
        """Return the response to a preflight. It is refused only if the known app does not allow the origin."""
        if not decision.allowed and decision.refusal is not None and decision.refusal.code == "origin_not_allowed":
            return self.refusal_response(request, decision)
        return preflight_response(request, decision, self._request_header_names, self.gate._cors)

    def origin_check_response(self, request: Request, decision: Decision) -> Response:
        """Return the response to a widget that asks whether its page's origin is allowed.

        It is 200 with `{"allowed": true}`, or the refusal.

        Args:
            request: The request for `origin_check_path`.
            decision: The origin check of the request.
        """
        if not decision.allowed:
            return self.refusal_response(request, decision)
        body = json.dumps({"allowed": True}).encode()
        headers = (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
        )
        return self._with_cors_headers(Response(200, headers, body), request, decision)

    def cors_headers(self, request: Request, decision: Decision) -> CORSHeaders:
        """Return the headers to add to the application's response; none if `cors` is false."""
        return cors_headers(request, decision, self.gate._cors) if self.cors else NO_HEADERS

    def _with_cors_headers(self, response: Response, request: Request, decision: Decision) -> Response:
        headers = ((name.lower(), value) for name, value in self.cors_headers(request, decision).wsgi_headers)
        return Response(response.status, (*response.headers, *headers), response.body)

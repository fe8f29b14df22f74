"""Flask: the gate for an application or a blueprint, typed access to the identity, and views that require one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, Unpack, cast

from flask import Blueprint, Flask, Request, Response, current_app, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import ConfigError, Refusal, Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import gate_name, require_decision_in_environ
from wicket.http.binding import clear_environ
from wicket.http.cors import NO_HEADERS
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.refusals import refusal_response, response_for_exception
from wicket.http.settings import MiddlewareOptions
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.request import Body
from wicket.messages.request import Request as WicketRequest
from wicket.messages.response import Response as WicketResponse
from wicket.wsgi import WicketMiddleware, attach_to_environ, set_body

__all__ = ["Wicket", "current_identity", "decision_of", "identity_of", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])

_CORS_HEADERS_KEY, _MONITORED_KEY = "wicket.cors_headers", "wicket.monitored_decision"


class _FlaskBody(Body):
    """A body that Flask or an earlier function has begun to read. Flask caches it for later readers."""

    def read(self, limit: int, seconds: float) -> bytes | None:
        """Return the body, or None if it is larger than `limit` bytes or has no declared length."""
        length = request.content_length
        return None if length is None or length > limit else request.get_data(cache=True)


class RefusedResponse(Refused, HTTPException):
    """A `Refused` that Flask answers itself, with the status, headers and body of the refusal.

    Args:
        refused: The exception that `Decision.require` raised.
        response: The response of the refusal.
        gate: The gate that decided.
        decision: The decision about the request.
    """

    def __init__(self, refused: Refused, response: WicketResponse, gate: Gate, decision: Decision) -> None:
        Refused.__init__(self, refused.refusal)
        self._gate, self._decision = gate, decision
        self.code = response.status
        self.description = refused.refusal.detail
        self.response = self._converted = _flask_response(response)

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """Report the refusal, and return its response. Flask calls this when it sends the response."""
        self._gate.report_handler_refusal(self._decision, self.refusal)
        return self._converted

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal]]:
        return Refused, (self.refusal,)


class Wicket:
    """Flask extension that gates an application or a blueprint.

    For an application, it installs `wicket.wsgi.WicketMiddleware`, so no code of the application runs for a refused
    request. For a blueprint, it decides after Flask has selected the view, and only for the views of that blueprint.

    Args:
        gate: The gate that decides.
        settings: The arguments of `wicket.http.settings.MiddlewareSettings`.

    Attributes:
        gate: The gate that decides.

    Raises:
        ConfigError: If a setting is invalid. The error lists every problem.
    """

    def __init__(self, gate: Gate, **settings: Unpack[MiddlewareOptions]) -> None:
        self.gate = gate
        self._core = MiddlewareCore(gate, settings)

    def init_app(self, app: Flask | Blueprint) -> None:
        """Gate `app`, and answer each `Refused` that one of its views raises.

        Args:
            app: The Flask application or blueprint.

        Raises:
            ConfigError: If a setting depends on the path, and `root_path` does not name the root that the application
                sets.
        """
        app.register_error_handler(Refused, self._handle_refused)
        if isinstance(app, Flask):
            settings = self._core.settings.options()
            app.wsgi_app = WicketMiddleware(app.wsgi_app, self.gate, **settings)  # type: ignore[method-assign]
        else:
            app.before_request(self._before_view)
            app.after_request(self._after_view)

    def _handle_refused(self, refused: Refused) -> Response:
        if isinstance(refused, RefusedResponse):  # `identity_of` raised it, for the gate that made the decision
            return cast(Response, refused.get_response())
        try:
            decision = decision_of(request, self.gate)
        except ConfigError:
            self.gate.report_handler_refusal(None, refused.refusal)
            return _flask_response(refusal_response(self.gate, refused.refusal, None, credentials_sent=False))
        self.gate.report_handler_refusal(decision, refused.refusal)
        return _flask_response(response_for_exception(self.gate, decision, refused))

    def _before_view(self) -> Response | None:
        """Decide a request for the blueprint. Return a response, or None if the view must run."""
        core, view = self._core, WicketRequest.from_wsgi(request.environ)
        action = core.classify(view)
        if action is Action.OPEN:
            clear_environ(request.environ)
            return None
        if action is Action.PREFLIGHT:
            return _flask_response(core.preflight_response(view, self.gate.check_origin(view)))
        if action is Action.ORIGIN_CHECK:
            return _flask_response(core.origin_check_response(view, self.gate.check_origin(view, report=True)))
        body = None
        if "stream" in request.__dict__:  # Werkzeug has created the stream of this request, and allows only one
            view.body = _FlaskBody()
        else:
            body = set_body(view, request.environ)
        if action is Action.PASS:
            decision = core.anonymous_decision(view)
        else:
            decision = self.gate.decide(view, optional=action is Action.OPTIONAL)
        if body is not None and body.started:
            request.environ["wsgi.input"] = body.replay()
        if not decision.allowed:
            return _flask_response(core.refusal_response(view, decision))
        attach_to_environ(request.environ, self.gate, decision, view)
        request.environ[_CORS_HEADERS_KEY] = core.cors_headers(view, decision)
        if core.close_on_expiry and decision.identity.verified:
            request.environ[_MONITORED_KEY] = decision
        return None

    def _after_view(self, response: Response) -> Response:
        """Report the status of the view's response, add CORS headers, and end an event stream on expiry."""
        decision = request.environ.get(self.gate.environ_names[0])
        if isinstance(decision, Decision) and self.gate._owns(decision):
            self.gate.report_response(decision, response.status_code)
        headers = request.environ.get(_CORS_HEADERS_KEY, NO_HEADERS).apply_wsgi(list(response.headers))
        response.headers = Headers(headers)
        monitored = request.environ.get(_MONITORED_KEY)
        if monitored is not None and is_event_stream(headers):
            response.response = ExpiringStream(self.gate, monitored, response.iter_encoded(), lambda: True)
        return response


def _flask_response(response: WicketResponse) -> Response:
    converted = Response(response.body, response.status)
    for name, value in response.headers:
        converted.headers[name] = value
    return converted


def decision_of(request: Request, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request. This includes a request whose environ is a
            copy of a decided one with another query or other headers.
    """
    return require_decision_in_environ(request.environ, gate)


def identity_of(request: Request, gate: Gate | str = "wicket", *, scopes: tuple[str, ...] = ()) -> VerifiedIdentity:
    """Return the verified identity of a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. Flask sends the response of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    decision = decision_of(request, gate)
    try:
        return decision.require(*scopes)
    except Refused as refused:
        made_by = request.environ[f"{gate_name(gate)}.gate"]
        raise RefusedResponse(refused, response_for_exception(made_by, decision, refused), made_by, decision) from None


def _current_identity() -> VerifiedIdentity:
    return identity_of(request)


current_identity: VerifiedIdentity = LocalProxy(_current_identity)  # type: ignore[assignment]  # like Flask's proxies
"""The verified identity of the current request, from the gate named `wicket`.

Reading an attribute raises `Refused` if the identity is not verified.
"""


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate a view, sync or async, so that it requires a verified identity.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decorator. The decorated view raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses.
    """

    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be strings", "write @requires_identity(), with parentheses")

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(request, gate, scopes=scopes)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the view's signature

    return decorate

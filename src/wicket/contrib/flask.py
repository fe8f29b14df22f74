"""Flask: the gate for an application or a blueprint, typed access to the identity, and views that require one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast
from weakref import WeakKeyDictionary

from flask import Blueprint, Flask, Request, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy
from werkzeug.routing import MapAdapter

from wicket.decision.cors import NO_HEADERS
from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import Refusal, Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import check_scopes, gate_name, require_decision_in_environ
from wicket.http.binding import clear_environ
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.paths import Access
from wicket.http.refusals import refusal_response
from wicket.http.settings import MiddlewareOptions, MiddlewareSettings
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.request import Body
from wicket.messages.request import Request as WicketRequest
from wicket.messages.response import Response as WicketResponse
from wicket.wsgi import WicketMiddleware, attach_to_environ, set_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

__all__ = ["Wicket", "current_identity", "decision_of", "exempt", "identity_of", "optional", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])

EXTENSION: Final = "wicket"
"""The key in `app.extensions`. It has the gates of each gated blueprint, and those of the application under None."""
_ACCESS: Final = "wicket_access"
"""The attribute of a view that `exempt` or `optional` decorates."""


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
        gate: The gate that decided.
        environ: The environ of the request.
    """

    def __init__(self, refused: Refused, gate: Gate, environ: Mapping[str, Any]) -> None:
        Refused.__init__(self, refused.refusal)
        self._gate, self._environ = gate, environ
        self.code = refused.refusal.status
        self.description = refused.refusal.detail
        self.response = None

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """Report the refusal, and return its response. Flask calls this when it sends the response."""
        return _flask_response(refusal_response(self, self._environ, self._gate))

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal]]:
        return Refused, (self.refusal,)


class Wicket:
    """Flask extension that gates an application or a blueprint.

    For an application, it installs `wicket.wsgi.WicketMiddleware`, so no code of the application runs for a refused
    request. For a blueprint, it decides after Flask has selected the view, and only for the views of that blueprint.

    The gate and the settings that are given neither here nor to `init_app` come from `app.config`: `WICKET_GATE` is a
    `Gate`, or `WICKET_FILE` the path of a TOML file, and `WICKET_ONLY`, `WICKET_EXEMPT` and so on are the settings.

    Args:
        gate: The gate that decides.
        settings: The arguments of `wicket.http.settings.MiddlewareSettings`.

    Raises:
        ConfigError: If a setting is invalid. The error lists every problem.
    """

    def __init__(self, gate: Gate | None = None, **settings: Unpack[MiddlewareOptions]) -> None:
        if gate is None:
            MiddlewareSettings(**settings)
        else:
            MiddlewareCore(gate, settings)
        self._gate = gate
        self._settings = settings

    @property
    def gate(self) -> Gate:
        """The gate that was given, or else the gate of the current application.

        Raises:
            ConfigError: If the current application has no gate.
        """
        return self._gate or _gate_of(current_app._get_current_object())  # type: ignore[attr-defined]  # a proxy

    def init_app(self, app: Flask | Blueprint, gate: Gate | None = None, **settings: Unpack[MiddlewareOptions]) -> None:
        """Gate `app`, and answer each `Refused` that one of its views raises.

        A blueprint may be defined in a module and registered in several applications. A gate from `app.config` is read
        when the blueprint is registered.

        Args:
            app: The Flask application or blueprint.
            gate: The gate that decides. It replaces the gate of this object.
            settings: Arguments of `wicket.http.settings.MiddlewareSettings`. They replace those of this object.

        Raises:
            ConfigError: If a setting is invalid, or there is no gate. Also if a setting depends on the path, and
                `root_path` does not name the root that the application sets.
        """
        chosen = gate or self._gate
        options: MiddlewareOptions = {**self._settings, **settings}
        if isinstance(app, Flask):
            _Views(chosen or _gate_of(app), _options_of(app, options)).install(app)
        else:
            if chosen is not None:
                MiddlewareCore(chosen, options)
            name = "" if chosen is None else chosen.name
            _builders_of(app)[name] = lambda flask: _Views(chosen or _gate_of(flask), _options_of(flask, options))


def _gate_of(app: Flask) -> Gate:
    """Return the gate of `app.config`. A file is read once for each application."""
    gate = app.config.get("WICKET_GATE")
    if gate is None and app.config.get("WICKET_FILE") is not None:
        gate = app.config["WICKET_GATE"] = Gate.from_file(app.config["WICKET_FILE"])
    if not isinstance(gate, Gate):
        raise config_error("gate", "must be a Gate", "Wicket(gate), or app.config['WICKET_GATE'] = gate")
    return gate


def _options_of(app: Flask, options: MiddlewareOptions) -> MiddlewareOptions:
    """Return the settings of `app.config`, replaced by `options`."""
    keys = {name: f"WICKET_{name.upper()}" for name in MiddlewareOptions.__annotations__}
    configured = {name: app.config[key] for name, key in keys.items() if key in app.config}
    return cast(MiddlewareOptions, {**configured, **options})


class _Views:
    """A gate for the views of one application, or of one blueprint in it."""

    def __init__(self, gate: Gate, options: MiddlewareOptions) -> None:
        self.gate = gate
        self._options = options
        self._decided_key = f"{gate.name}.decided_view"
        self._core = MiddlewareCore(gate, options)
        self.settings = self._core.settings
        self._core.use_views(lambda environ: _access_of(current_app.view_functions.get(request.endpoint or "")))

    def install(self, app: Flask) -> None:
        """Wrap a whole application."""
        middleware = _ApplicationMiddleware(app, self.gate, self._options)
        app.wsgi_app = middleware  # type: ignore[method-assign]  # the way that Flask documents
        app.register_error_handler(Refused, self.handle_refused)
        app.extensions.setdefault(EXTENSION, {}).setdefault(None, []).append(self)
        app.before_request(self._check_view)
        app.after_request(self.after_view)

    def _check_view(self) -> Response | None:
        """Decide the request if Flask has selected another view than the middleware has assumed."""
        assumed = request.environ.get(_assumed_key(self.gate))
        return None if assumed in (None, request.endpoint) else self.before_view()

    def handle_refused(self, refused: Refused) -> Response:
        """Return the response to a `Refused` that a view raised."""
        return _flask_response(refusal_response(refused, request.environ, self.gate))

    def before_view(self) -> Response | None:
        """Decide a request after Flask has selected the view. Return a response, or None if the view must run."""
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
            return _flask_response(core.refusal_response(decision))
        attach_to_environ(request.environ, self.gate, decision, view)
        request.environ[self._decided_key] = decision, core.cors_headers(view, decision)
        return None

    def after_view(self, response: Response) -> Response:
        """Report the status of the view's response, add CORS headers, and end an event stream on expiry."""
        decision, cors = request.environ.pop(self._decided_key, (None, NO_HEADERS))
        if decision is None:
            return response
        self.gate.report_response(decision, response.status_code)
        headers = cors.apply_wsgi(list(response.headers))
        response.headers = Headers(headers)
        if self._core.close_on_expiry and decision.identity.verified and is_event_stream(headers):
            response.response = ExpiringStream(self.gate, decision, response.iter_encoded(), lambda: True)
        return response


class _ApplicationMiddleware(WicketMiddleware):
    """The middleware of a Flask application. It asks Flask's router whether a view is open or optional."""

    def __init__(self, flask: Flask, gate: Gate, options: MiddlewareOptions) -> None:
        super().__init__(flask.wsgi_app, gate, **options)
        self.flask = flask
        self._views_read = False

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Decide one request, and pass it to Flask or answer it."""
        if not self._views_read:  # Flask adds no view after the first request
            if any(_access_of(view) is not Access.GATED for view in self.flask.view_functions.values()):
                self._core.use_views(self._access)
            self._views_read = True
        environ.pop(_assumed_key(self.gate), None)  # the environ may be the copy of another request's
        return super().__call__(environ, start_response)

    def _access(self, environ: Mapping[str, Any]) -> Access:
        """Return what the view allows that Flask will select for a request."""
        own = cast(dict[str, Any], environ)
        try:
            adapter = self.flask.create_url_adapter(self.flask.request_class(own, populate_request=False))
            endpoint, _ = cast(MapAdapter, adapter).match()
        except HTTPException:  # no such view, another method, or a redirect
            return Access.GATED
        access = _access_of(self.flask.view_functions.get(endpoint))
        if access is not Access.GATED:
            own[_assumed_key(self.gate)] = endpoint
        return access


def _assumed_key(gate: Gate) -> str:
    """Return the environ key of the endpoint whose decorator opened the request or made it optional."""
    return f"{gate.name}.assumed_endpoint"


def _access_of(view: object) -> Access:
    access = getattr(view, _ACCESS, Access.GATED)
    return access if isinstance(access, Access) else Access.GATED


_Builder = Callable[[Flask], _Views]

_builders: WeakKeyDictionary[Blueprint, dict[str, _Builder]] = WeakKeyDictionary()
"""What makes the gates of each blueprint, by the names of the gates."""


def _builders_of(blueprint: Blueprint) -> dict[str, _Builder]:
    """Return what makes the gates of a blueprint. The first call adds functions to the blueprint.

    An application gets the gates when the blueprint is registered in it.
    """
    if blueprint in _builders:
        return _builders[blueprint]
    builders = _builders[blueprint] = {}

    def register(state: BlueprintSetupState) -> None:
        views = [build(cast(Flask, state.app)) for build in builders.values()]
        state.app.extensions.setdefault(EXTENSION, {})[blueprint] = views

    def views() -> list[_Views]:
        found: list[_Views] = current_app.extensions[EXTENSION][blueprint]
        return found

    def before_view() -> Response | None:
        return next((response for gate in views() if (response := gate.before_view()) is not None), None)

    def after_view(response: Response) -> Response:
        for gate in reversed(views()):
            response = gate.after_view(response)
        return response

    blueprint.record(register)
    blueprint.before_request(before_view)
    blueprint.after_request(after_view)
    blueprint.register_error_handler(Refused, lambda refused: views()[0].handle_refused(refused))
    return builders


def exempt(view: F) -> F:
    """Decorate a view so that the gate does not decide its requests, like a path in the setting `exempt`.

    Args:
        view: The view. The decorator is below that of the route. `MethodView` has it in `decorators`.

    Returns:
        The same view.
    """
    setattr(view, _ACCESS, Access.OPEN)
    return view


def optional(view: F) -> F:
    """Decorate a view so that it allows anonymous requests, like a path in the setting `optional`.

    Args:
        view: The view. The decorator is below that of the route. `MethodView` has it in `decorators`.

    Returns:
        The same view.
    """
    setattr(view, _ACCESS, Access.OPTIONAL)
    return view


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
        raise RefusedResponse(refused, request.environ[f"{gate_name(gate)}.gate"], request.environ) from None


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

    check_scopes(scopes)

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(request, gate, scopes=scopes)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the view's signature

    return decorate

"""Flask: the gate before an application or a blueprint, typed access to the identity, views that demand one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from flask import Blueprint, Flask, Request, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from wicket.decision.decision import Decision
from wicket.decision.identity import VerifiedIdentity
from wicket.errors import ConfigError, Refusal, Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import demand_in_environ, gate_name
from wicket.http.binding import clear_environ
from wicket.http.cors import NO_HEADERS
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.refusals import refusal_response, response_for_exception
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.request import Body
from wicket.messages.request import Request as WicketRequest
from wicket.messages.response import Response as WicketResponse
from wicket.wsgi import WicketMiddleware, attach, body_of

__all__ = ["Wicket", "current_identity", "decision_of", "identity_of", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])

_ADDITIONS, _WATCHED = "wicket.additions", "wicket.watched"


class _FlaskBody(Body):
    """A body that somebody has begun to read before us, and that Flask keeps for whoever asks it."""

    def read(self, limit: int, seconds: float) -> bytes | None:
        """All of it; None where it is larger, or does not say how large it is."""
        length = request.content_length
        return None if length is None or length > limit else request.get_data(cache=True)


class RefusedResponse(Refused, HTTPException):
    """`Refused`, in the form that Flask answers as it is: with the refusal's own status, headers and body."""

    def __init__(self, refused: Refused, answer: WicketResponse, gate: Gate, decision: Decision) -> None:
        Refused.__init__(self, refused.refusal)
        self._gate, self._decision = gate, decision
        self.code = answer.status
        self.description = refused.refusal.detail
        self.response = self.answer = _response(answer)

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return the refusal's answer, and report it: Flask calls this when it answers with it."""
        self._gate.report_handler_refusal(self._decision, self.refusal)
        return self.answer

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal]]:
        return Refused, (self.refusal,)


class Wicket:
    """Puts `gate` before a Flask application or a blueprint; the settings are those of `wicket.wsgi.WicketMiddleware`.

    Before an application it is the WSGI door, so that nothing of the application runs for a refused request. Before a
    blueprint it decides once Flask has found the view, for that blueprint's views alone.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        only: Iterable[str] = (),
        exempt: Iterable[str] = (),
        optional: Iterable[str] = (),
        cors: bool = True,
        origin_check_path: str | None = None,
        close_on_expiry: bool = False,
        root_path: str | None = None,
        preflights: str | None = None,
    ) -> None:
        self.gate = gate
        self._settings: dict[str, Any] = {
            "only": tuple(only),
            "exempt": tuple(exempt),
            "optional": tuple(optional),
            "cors": cors,
            "origin_check_path": origin_check_path,
            "close_on_expiry": close_on_expiry,
            "root_path": root_path,
            "preflights": preflights,
        }
        self._door = MiddlewareCore(gate, **self._settings)

    def init_app(self, app: Flask | Blueprint) -> None:
        """Stand before `app` from now on, and answer each `Refused` that a view of it raises."""
        app.register_error_handler(Refused, self._answer)
        if isinstance(app, Flask):
            app.wsgi_app = WicketMiddleware(app.wsgi_app, self.gate, **self._settings)  # type: ignore[method-assign]
        else:
            app.before_request(self._before_view)
            app.after_request(self._after_view)

    def _answer(self, refused: Refused) -> Response:
        if isinstance(refused, RefusedResponse):  # it was raised by an accessor, which knows whose refusal it is
            return cast(Response, refused.get_response())
        try:
            held = decision_of(request, self.gate)
        except ConfigError:
            self.gate.report_handler_refusal(None, refused.refusal)
            return _response(refusal_response(self.gate, refused.refusal, None, credentials_sent=False))
        self.gate.report_handler_refusal(held, refused.refusal)
        return _response(response_for_exception(self.gate, held, refused))

    def _before_view(self) -> Response | None:
        asked = WicketRequest.from_wsgi(request.environ)
        turn = self._door.classify(asked)
        if turn is Action.OPEN:
            clear_environ(request.environ)
            return None
        if turn is Action.PREFLIGHT:
            return _response(self._door.preflight(asked, self.gate.check_origin(asked)))
        if turn is Action.ORIGIN_CHECK:
            return _response(self._door.question(asked, self.gate.check_origin(asked, report=True)))
        body = None
        if "stream" in request.__dict__:  # Werkzeug's, of which there is one for each request
            asked.body = _FlaskBody()
        else:
            body = body_of(asked, request.environ)
        if turn is Action.PASS:
            decision = self._door.passed(asked)
        else:
            decision = self.gate.decide(asked, optional=turn is Action.OPTIONAL)
        if body is not None and body.started:
            request.environ["wsgi.input"] = body.replay()
        if not decision.allowed:
            return _response(self._door.refusal(asked, decision))
        attach(request.environ, self.gate, decision, asked)
        request.environ[_ADDITIONS] = self._door.additions(asked, decision)
        if self._door.close_on_expiry and decision.identity.verified:
            request.environ[_WATCHED] = decision
        return None

    def _after_view(self, response: Response) -> Response:
        held = request.environ.get(self.gate.environ_names[0])
        if isinstance(held, Decision) and self.gate._owns(held):
            self.gate.report_answer(held, response.status_code)
        headers = request.environ.get(_ADDITIONS, NO_HEADERS).apply_wsgi(list(response.headers))
        response.headers = Headers(headers)
        watched = request.environ.get(_WATCHED)
        if watched is not None and is_event_stream(headers):
            response.response = ExpiringStream(self.gate, watched, response.iter_encoded(), lambda: True)
        return response


def _response(answer: WicketResponse) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response


def decision_of(request: Request, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about this request.

    Raises `ConfigError` if the gate has not decided about it, or about another request only whose environ was copied.
    """
    return demand_in_environ(request.environ, gate)


def identity_of(request: Request, gate: Gate | str = "wicket", *, scopes: tuple[str, ...] = ()) -> VerifiedIdentity:
    """The verified identity, with all of `scopes`. Raises `Refused`, which Flask answers with the refusal.

    `gate` (the gate, or its name) says whose decision counts where several stand before one application.
    """
    decision = decision_of(request, gate)
    try:
        return decision.require(*scopes)
    except Refused as refused:
        made_by = request.environ[f"{gate_name(gate)}.gate"]
        raise RefusedResponse(refused, response_for_exception(made_by, decision, refused), made_by, decision) from None


def _current() -> VerifiedIdentity:
    return identity_of(request)


current_identity: VerifiedIdentity = LocalProxy(_current)  # type: ignore[assignment]  # as Flask's own proxies
"""The verified identity of the request that is being handled, of the gate named `wicket`; else `Refused` is raised."""


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate a view: it demands a verified identity with all of `scopes`."""

    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be names of scopes", "write @requires_identity(), with parentheses")

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(request, gate, scopes=scopes)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the view's signature

    return decorate

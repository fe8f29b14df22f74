"""Middleware for WSGI applications (PEP 3333). It decides each request before the application runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from wicket.decision.cors import NO_HEADERS
from wicket.decision.decision import Decision
from wicket.decision.refusals import reason_phrase
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.http.binding import DECIDED, bind_to_environ, clear_environ, is_raised_by_any
from wicket.http.bodies import WSGIBody, declared_length
from wicket.http.long_lived import ConnectionEnded
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.settings import MiddlewareOptions
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.request import Request
from wicket.messages.response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = dict[str, Any]


class WicketMiddleware:
    """Middleware that decides each request before the WSGI application runs.

    For an allowed request, the application gets the decision in `environ["wicket.decision"]` and the identity in
    `environ["wicket.identity"]`. If the gate has another name, that name replaces `wicket`. `REMOTE_USER` is the
    qualified user id `app_id:user_id` of a verified user. It is absent for a request without one. If the application
    raises `Refused` when it is called, the middleware sends the response of that refusal. The client's `Remote-User`
    header is removed from every decided request.

    Args:
        app: The WSGI application.
        gate: The gate that decides.
        settings: The arguments of `wicket.http.settings.MiddlewareSettings`.

    Attributes:
        app: The WSGI application.
        gate: The gate that decides.

    Raises:
        ConfigError: If a setting is invalid. Also if a setting depends on the path, the application sets a root, and
            `root_path` does not name it. This may be found only at the first request. Also if the registry of the gate
            is an async function.
    """

    def __init__(
        self,
        app: WSGIApplication,
        gate: Gate,
        **settings: Unpack[MiddlewareOptions],
    ) -> None:
        self._core = MiddlewareCore(gate, settings)
        gate.check_blocking()
        self._core.check_root(app)
        self.app = app
        self.gate = gate

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Decide one request, and pass it to the application or answer it.

        Args:
            environ: The WSGI environ.
            start_response: The server's `start_response`.

        Returns:
            The response body, as an iterable of chunks.

        Raises:
            ConfigError: At the first request, if `root_path` does not fit the application.
        """
        request = Request.from_wsgi(environ)
        core, gate = self._core, self.gate
        method, optional, passed = environ["REQUEST_METHOD"], False, False
        if not core.always_gated or method == "OPTIONS":  # of the always gated requests, only a preflight is special
            if not core.root_checked:
                core.check_first(self.app)
            action = core.classify(request)
            passed = action is Action.PASS
            if action is not Action.GATED and action is not Action.OPTIONAL and not passed:
                return self._handle_undecided(action, request, environ, start_response)
            optional = action is Action.OPTIONAL
        body = None if method == "GET" else set_body(request, environ)
        decision = core.anonymous_decision(request) if passed else gate.decide(request, optional=optional)
        if body is not None and body.started:
            environ["wsgi.input"] = body.replay()
        if not decision.allowed:
            return send_response(core.refusal_response(decision), environ, start_response)
        attach_to_environ(environ, gate, decision, request)
        cors = core.cors_headers(request, decision)
        monitored, is_stream, started = core.close_on_expiry and decision.identity.verified, False, False

        def start_with_headers(
            status: str, headers: list[tuple[str, str]], *exc_info: Any
        ) -> Callable[[bytes], object]:
            nonlocal is_stream, started
            started = True
            if decision.required_refusal is not None:
                gate.report_response(decision, int(status[:3]))
            is_stream = monitored and is_event_stream(headers)
            write = start_response(status, headers if cors is NO_HEADERS else cors.apply_wsgi(headers), *exc_info)
            if not is_stream:
                return write

            def write_if_valid(chunk: bytes) -> object:
                if gate.revalidate(decision) is not None:
                    raise ConnectionEnded("the token of this connection is no longer valid")
                return write(chunk)

            return write_if_valid

        try:
            chunks = self.app(environ, start_with_headers)
        except ConnectionEnded:
            if not is_stream:
                raise
            return []
        except Refused as refused:
            exc_info = (sys.exc_info(),) if started else ()
            response = core.exception_response(decision, refused)
            sent = send_response(response, environ, start_response, *exc_info)
            decisions = (environ.get(names[0]) for names in environ[DECIDED])
            if decision.required_refusal is refused.refusal or not is_raised_by_any(decisions, refused.refusal):
                gate.report_handler_refusal(decision, refused.refusal)
            return sent
        return ExpiringStream(self.gate, decision, chunks, lambda: is_stream) if monitored else chunks

    def _handle_undecided(
        self, action: Action, request: Request, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Handle a request that is not decided: an open path, a preflight, or an origin check."""
        if action is Action.OPEN:
            clear_environ(environ)
            return self.app(environ, start_response)
        if action is Action.PREFLIGHT:
            response = self._core.preflight_response(request, self.gate.check_origin(request))
        else:
            response = self._core.origin_check_response(request, self.gate.check_origin(request, report=True))
        return send_response(response, environ, start_response)


def set_body(request: Request, environ: Environ) -> WSGIBody | None:
    """Set `request.body`, which the decision may read, if the request may have a body.

    Args:
        request: The request view of `environ`.
        environ: The WSGI environ.

    Returns:
        The body, or None if the method is safe (RFC 9110 section 9.2.1).
    """
    if not request.is_unsafe:
        return None
    length = declared_length(environ.get("CONTENT_LENGTH"))
    body = WSGIBody(environ["wsgi.input"], length, terminated=bool(environ.get("wsgi.input_terminated")))
    request.body = body
    return body


def attach_to_environ(environ: Environ, gate: Gate, decision: Decision, request: Request) -> None:
    """Store the decision and the identity in `environ`, for the application.

    Args:
        environ: The WSGI environ, after the last change of its headers.
        gate: The gate that decided.
        decision: The decision about `request`.
        request: The request view of `environ`.
    """
    names = gate.environ_names
    decided = environ.get(DECIDED)
    if decided:
        clear_environ(environ)
    if not decided or names not in decided:
        environ[DECIDED] = (*decided, names) if decided else (names,)
    if "HTTP_REMOTE_USER" in environ:  # the client's header
        del environ["HTTP_REMOTE_USER"]
    bind_to_environ(decision, request, environ, names[0])
    identity = decision.identity
    environ[names[0]], environ[names[1]], environ[names[2]] = decision, identity, gate
    if identity.is_authenticated:
        environ["REMOTE_USER"] = identity.identity
    else:
        environ.pop("REMOTE_USER", None)


def send_response(
    response: Response, environ: Environ, start_response: Callable[..., Any], *exc_info: Any
) -> list[bytes]:
    """Send a response of the middleware in place of the application's response.

    Args:
        response: The response.
        environ: The WSGI environ.
        start_response: The server's `start_response`.
        exc_info: The result of `sys.exc_info()`, if the application has called `start_response` (PEP 3333).

    Returns:
        The response body; empty for HEAD.
    """
    headers = [(_title_case(name), value) for name, value in response.headers]
    start_response(f"{response.status} {reason_phrase(response.status)}", headers, *exc_info)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def _title_case(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))

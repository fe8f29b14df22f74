"""The door for WSGI applications (PEP 3333): it decides about each request before the application is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wicket.decision.decision import Decision
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.http.binding import DECIDED, bind_to_environ, clear_environ, demanded_of
from wicket.http.bodies import WSGIBody, declared_length
from wicket.http.cors import NO_HEADERS, cors_headers
from wicket.http.long_lived import ConnectionEnded
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.refusals import reason_phrase
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.request import Request
from wicket.messages.response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = dict[str, Any]


class WicketMiddleware:
    """Puts `gate` before a WSGI application.

    `only`, `exempt` and `optional` are paths, exact or ending in `/*` (see `wicket.http.paths`). A request that passes
    carries its Decision in `environ["wicket.decision"]` and its identity in `environ["wicket.identity"]` (with the
    gate's own name where it has another), and `REMOTE_USER` is the identity's `app_id:user_id`, absent for an anonymous
    request. A `Refused` that the application raises when it is called becomes the refusal's own answer.

    With `cors` preflights are answered here, and every answer says what pages may read (see `wicket.http.cors`).
    `origin_check_path` is a path that tells a widget, without a token, whether it may render on the page that asks.
    `close_on_expiry` ends event streams at the first chunk after their token has expired or was revoked.

    `root_path` is a root that the application itself removes from `PATH_INFO`. A server removes its own, and Django's
    `FORCE_SCRIPT_NAME` removes none. If paths count, the application says that it has a root, and none is given,
    `ConfigError` is raised.

    Without `cors`, `preflights` says whether a preflight is decided about like any other request (`"gate"`, the
    default) or passed on as an anonymous request (`"pass"`).

    A client's own `Remote-User` header is removed from a request that is decided about.
    """

    def __init__(
        self,
        app: WSGIApplication,
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
        self._door = MiddlewareCore(
            gate,
            only=only,
            exempt=exempt,
            optional=optional,
            cors=cors,
            origin_check_path=origin_check_path,
            close_on_expiry=close_on_expiry,
            root_path=root_path,
            preflights=preflights,
        )
        self._door.check_root(app)
        self.app = app
        self.gate = gate

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Decide about one request, and pass it on or answer it."""
        request = Request.from_wsgi(environ)
        door, gate = self._door, self.gate
        if door.always_gated and environ["REQUEST_METHOD"] == "GET":  # as nearly always: no preflight, and no body
            decision = gate.decide(request)
        else:
            if not door.root_checked:
                door.check_first(self.app)
            turn = door.classify(request)
            passing = turn is Action.PASS
            if turn is not Action.GATED and turn is not Action.OPTIONAL and not passing:
                return self._handle_undecided(turn, request, environ, start_response)
            body = body_of(request, environ)
            decision = door.passed(request) if passing else gate.decide(request, optional=turn is Action.OPTIONAL)
            if body is not None and body.started:
                environ["wsgi.input"] = body.replay()
        if not decision.allowed:
            return send(door.refusal(request, decision), environ, start_response)
        attach(environ, gate, decision, request)
        additions = cors_headers(request, decision) if door.cors else NO_HEADERS
        watching, lasting, begun = door.close_on_expiry and decision.identity.verified, False, False

        def starting(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            nonlocal lasting, begun
            begun = True
            if decision.demand is not None:
                gate.report_answer(decision, int(status[:3]))
            lasting = watching and is_event_stream(headers)
            write = start_response(
                status, headers if additions is NO_HEADERS else additions.apply_wsgi(headers), *error
            )

            def writing(chunk: bytes) -> object:
                if gate.revalidate(decision) is not None:
                    raise ConnectionEnded("the token of this connection no longer holds")
                return write(chunk)

            return writing if lasting else write

        try:
            chunks = self.app(environ, starting)
        except ConnectionEnded:
            if not lasting:
                raise
            return []
        except Refused as refused:
            error = (sys.exc_info(),) if begun else ()
            answer = send(door.refused(request, decision, refused), environ, start_response, *error)
            others = (environ.get(names[0]) for names in environ[DECIDED])
            if decision.demand is refused.refusal or not demanded_of(others, refused.refusal):
                gate.report_handler_refusal(decision, refused.refusal)
            return answer
        return ExpiringStream(self.gate, decision, chunks, lambda: lasting) if watching else chunks

    def _handle_undecided(
        self, turn: Action, request: Request, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """What is not decided about: open paths, preflights, and whether a widget may render."""
        if turn is Action.OPEN:
            clear_environ(environ)
            return self.app(environ, start_response)
        if turn is Action.PREFLIGHT:
            return send(self._door.preflight(request, self.gate.check_origin(request)), environ, start_response)
        return send(self._door.question(request, self.gate.check_origin(request, report=True)), environ, start_response)


def body_of(request: Request, environ: Environ) -> WSGIBody | None:
    """The body of a request that may have one, for the decision to look into."""
    if not request.is_unsafe:
        return None
    length = declared_length(environ.get("CONTENT_LENGTH"))
    body = WSGIBody(environ["wsgi.input"], length, terminated=bool(environ.get("wsgi.input_terminated")))
    request.body = body
    return body


def attach(environ: Environ, gate: Gate, decision: Decision, request: Request) -> None:
    """Put the decision about `request` where applications look for it, after the last change of its headers."""
    names = gate.environ_names
    earlier = environ.get(DECIDED, ())
    if earlier:
        clear_environ(environ)
    if names not in earlier:
        environ[DECIDED] = (*earlier, names)
    bind_to_environ(decision, request, environ, names[0])
    identity = decision.identity
    environ[names[0]] = decision
    environ[names[1]] = identity
    environ[names[2]] = gate
    environ.pop("HTTP_REMOTE_USER", None)  # the client's own
    if identity.verified:
        environ["REMOTE_USER"] = identity.identity
    else:
        environ.pop("REMOTE_USER", None)


def send(answer: Response, environ: Environ, start_response: Callable[..., Any], *error: Any) -> list[bytes]:
    """Give a refusal's answer in place of the application's; with `error`, though that may have begun (PEP 3333)."""
    headers = [(_title(name), value) for name, value in answer.headers]
    start_response(f"{answer.status} {reason_phrase(answer.status)}", headers, *error)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def _title(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))

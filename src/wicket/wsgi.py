"""The door for WSGI applications (PEP 3333): it decides about each request before the application is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wicket.decision.flow import Decision
from wicket.errors import Refused, config_error
from wicket.gate import Gate
from wicket.http.answers import answer_refused, answer_to, reason_phrase
from wicket.http.paths import Access, Paths
from wicket.request import Answer, Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = dict[str, Any]


class WicketMiddleware:
    """Puts `gate` before a WSGI application.

    `only`, `exempt` and `optional` are paths, exact or ending in `/*` (see `wicket.http.paths`). CORS preflights pass
    untouched. A request that passes carries its Decision in `environ["wicket.decision"]` and its identity in
    `environ["wicket.identity"]` (with the gate's own name where it has another), and `REMOTE_USER` is the identity's
    `app_id:user_id`, absent for an anonymous request. A `Refused` that the application raises when it is called
    becomes the refusal's own answer.
    """

    def __init__(
        self,
        app: WSGIApplication,
        gate: Gate,
        *,
        only: Iterable[str] = (),
        exempt: Iterable[str] = (),
        optional: Iterable[str] = (),
    ) -> None:
        if not isinstance(gate, Gate):
            raise config_error("gate", "must be a Gate")
        self.app = app
        self.gate = gate
        self._paths = Paths(only, exempt, optional)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Decide about one request, and pass it on or answer it."""
        request = Request.from_wsgi(environ)
        access = self._paths.access(request.path)
        if access is Access.OPEN or request.preflight:
            return self.app(environ, start_response)
        decision = self.gate.decide(request, optional=access is Access.OPTIONAL)
        if not decision.allowed:
            return send(answer_to(self.gate, decision), environ, start_response)
        attach(environ, self.gate, decision)
        try:
            return self.app(environ, start_response)
        except Refused as refused:
            return send(answer_refused(self.gate, decision, refused), environ, start_response)


def attach(environ: Environ, gate: Gate, decision: Decision) -> None:
    """Leave the decision where applications look for it."""
    environ[f"{gate.name}.decision"] = decision
    environ[f"{gate.name}.identity"] = decision.identity
    environ[f"{gate.name}.gate"] = gate
    if decision.identity.verified:
        environ["REMOTE_USER"] = decision.identity.identity
    else:
        environ.pop("REMOTE_USER", None)


def send(answer: Answer, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Give a refusal's answer in place of the application's."""
    start_response(
        f"{answer.status} {reason_phrase(answer.status)}", [(_title(name), value) for name, value in answer.headers]
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def _title(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))

"""`refusal_response`: the answer of an exception handler to a `Refused`, for a scope, an environ or a decision."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import wicket.asgi
import wicket.wsgi
from tests.integration.direct_calls import environ_of, http_scope, run_asgi
from tests.support.unit import KEY, ORIGIN, acme, asks, gate_of, token
from wicket import App, DecisionEvent, Gate, Refusal, Refused, Response, Secret, refusal_response
from wicket.reporting.events import Event

Raise = Callable[[Any], None]
"""What the handler does with its scope or environ."""

NAMED = [("X-App-Id", "acme"), ("Origin", ORIGIN)]
LIMITED = Refusal("rate_limited", retry_after=3)


def over_asgi(gate: Gate, handler: Raise, **settings: Any) -> Response:
    """The response of an application that answers a `Refused` itself, under ASGI."""
    answers: list[Response] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            handler(scope)
        except Refused as refused:
            answers.append(refusal_response(refused, scope, gate))
        await send({"type": "http.response.start", "status": answers[-1].status, "headers": []})

    run_asgi(wicket.asgi.WicketMiddleware(app, gate, **settings), http_scope("/x", NAMED))
    return answers[-1]


def over_wsgi(gate: Gate, handler: Raise, **settings: Any) -> Response:
    """The same under WSGI."""
    answers: list[Response] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            handler(environ)
        except Refused as refused:
            answers.append(refusal_response(refused, environ, gate))
        start_response(f"{answers[-1].status} Refused", [])
        return []

    wicket.wsgi.WicketMiddleware(app, gate, **settings)(environ_of("/x", NAMED), lambda *args: lambda chunk: None)
    return answers[-1]


def decision_in(request: Any, name: str = "wicket") -> Any:
    return request["state"][name] if "state" in request else request[f"{name}.decision"]


def limit(request: Any) -> None:
    raise Refused(LIMITED)


def require(request: Any) -> None:
    decision_in(request).require()


BOTH = pytest.mark.parametrize("answer", [over_asgi, over_wsgi])


def observed() -> tuple[Gate, list[tuple[str | None, str, str | None]]]:
    """A gate that allows anonymous users, and the stage, the code and the app of each of its refusals."""
    seen: list[tuple[str | None, str, str | None]] = []

    def watch(event: Event) -> None:
        if isinstance(event, DecisionEvent) and event.code is not None:
            seen.append((event.code, event.stage, event.app_id))

    return gate_of(acme(allow_anonymous=True), on_event=watch), seen


@BOTH
@pytest.mark.parametrize(("handler", "code"), [(limit, "rate_limited"), (require, "missing_token")])
def test_refusal_response_decided_request_has_cors_and_is_reported_once(answer: Any, handler: Raise, code: str) -> None:
    gate, seen = observed()
    status, headers, body = answer(gate, handler)
    assert (status, json.loads(body)["error"]) == ({"rate_limited": 429, "missing_token": 401}[code], code)
    assert dict(headers)["access-control-allow-origin"] == ORIGIN
    assert dict(headers)["cache-control"] == "no-store"
    assert seen == [(code, "handler", "acme")]


@BOTH
def test_refusal_response_middleware_without_cors_has_no_cors_headers(answer: Any) -> None:
    assert not {"vary", "access-control-allow-origin"} & dict(answer(observed()[0], limit, cors=False).headers).keys()


@BOTH
def test_refusal_response_exempt_path_has_no_cors_headers_and_is_reported(answer: Any) -> None:
    gate, seen = observed()
    response = answer(gate, limit, exempt=["/x"])
    assert (response.status, dict(response.headers)["retry-after"]) == (429, "3")
    assert "access-control-allow-origin" not in dict(response.headers)
    assert seen == [("rate_limited", "handler", None)]


@BOTH
def test_refusal_response_decision_of_other_gate_has_its_realm(answer: Any) -> None:
    gate, seen = observed()
    partners = gate_of(App("partner", credentials=[Secret(KEY)], allow_anonymous=True), name="partners")

    def handler(request: Any) -> None:
        middleware: Any = wicket.wsgi if "REQUEST_METHOD" in request else wicket.asgi
        found: list[Any] = []

        def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
            found.append(decision_in(environ, "partners"))
            return []

        async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
            found.append(decision_in(scope, "partners"))

        if middleware is wicket.wsgi:
            wicket.wsgi.WicketMiddleware(wsgi_app, partners)(request, lambda *args: lambda chunk: None)
        else:
            coroutine = wicket.asgi.WicketMiddleware(asgi_app, partners)(request, None, None)  # type: ignore[arg-type]  # unused
            with pytest.raises(StopIteration):
                coroutine.send(None)
        found[0].require()

    headers = dict(answer(gate, handler).headers)
    assert headers["www-authenticate"] == 'Bearer realm="partners"'
    assert seen == []


def test_refusal_response_decision_without_middleware() -> None:
    gate, seen = observed()
    decision = gate.decide(asks(token(), headers=[("Origin", ORIGIN)]))
    with pytest.raises(Refused) as raised:
        decision.require("read")
    status, headers, body = refusal_response(raised.value, decision, gate)
    assert (status, json.loads(body)["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in dict(headers)["www-authenticate"]
    assert dict(headers)["access-control-allow-origin"] == ORIGIN
    assert refusal_response(raised.value, None, gate).status == 403
    assert [code for code, _, _ in seen] == ["insufficient_scope", "insufficient_scope"]

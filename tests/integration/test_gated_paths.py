"""Which requests stand behind the gate: preflights do not, and paths as only, exempt and optional say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import servers
from tests.integration.direct_calls import environ_of, http_scope, run_asgi
from tests.integration.registry import forged_headers, headers_of
from tests.integration.servers import Server
from wicket import Gate
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.asgi import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


# --- preflights

_PREFLIGHT = (("Origin", "https://page.example"), ("Access-Control-Request-Method", "POST"))


def asgi_preflight(gate: Gate, **settings: Any) -> tuple[list[Scope], list[Message]]:
    """What an application sees of a preflight in an ASGI scope, and what the client is answered."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    headers = [*_PREFLIGHT, *headers_of("acme"), ("Remote-User", "acme:root")]
    door = asgi_door.WicketMiddleware(app, gate, cors=False, **settings)
    return seen, run_asgi(door, http_scope("/whoami", headers, method="OPTIONS"))


def wsgi_preflight(gate: Gate, **settings: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The same of a preflight in a WSGI environ."""
    seen: list[dict[str, Any]] = []
    answered: list[str] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        answered.append(status)

    headers = [*_PREFLIGHT, *headers_of("acme"), ("Remote-User", "acme:root")]
    environ = environ_of("/whoami", headers, method="OPTIONS", REMOTE_USER="root")
    wsgi_door.WicketMiddleware(app, gate, cors=False, **settings)(environ, start_response)
    return seen, answered


def test_s4_preflights_pass_asgi_decision_anonymous(gate: Gate) -> None:
    seen, sent = asgi_preflight(gate, preflights="pass")
    assert sent[0]["status"] == 200
    (scope,) = seen
    decision = scope["state"]["wicket"]
    assert (decision.allowed, decision.identity.verified, decision.identity.user_id) == (True, False, None)
    assert scope["user"] is decision.identity
    assert b"remote-user" not in dict(scope["headers"])


def test_s4_preflights_pass_wsgi_decision_anonymous(gate: Gate) -> None:
    seen, answered = wsgi_preflight(gate, preflights="pass")
    assert answered == ["200 OK"]
    (environ,) = seen
    assert environ["wicket.decision"].identity is environ["wicket.identity"]
    assert not environ["wicket.identity"].verified
    assert not {"REMOTE_USER", "HTTP_REMOTE_USER"} & set(environ)


@pytest.mark.parametrize("settings", [{}, {"preflights": "gate"}], ids=["default", "gate"])
def test_s4_preflight_cors_disabled_decided_like_request(gate: Gate, settings: Any) -> None:
    seen, sent = asgi_preflight(gate, **settings)
    assert (len(seen), sent[0]["status"]) == (1, 200), "its token verifies"
    assert seen[0]["user"].identity == "acme:ada"
    environs, answered = wsgi_preflight(gate, **settings)
    assert (environs[0]["REMOTE_USER"], answered) == ("acme:ada", ["200 OK"])


@pytest.mark.parametrize("headers", [(), _PREFLIGHT[:1], _PREFLIGHT[1:]], ids=["plain", "origin", "method"])
def test_options_request_not_preflight_401(server: Server, headers: tuple[tuple[str, str], ...]) -> None:
    assert server.ask("/whoami", headers, method="OPTIONS").status == 401
    assert server.ask("/secret", [*headers, *_PREFLIGHT], method="POST").status == 401, "a preflight is OPTIONS"


def test_preflight_forged_token_not_refused(server: Server) -> None:
    answer = server.ask("/open", [*forged_headers("acme"), *_PREFLIGHT], method="OPTIONS")
    assert answer.status != 401


# --- only, exempt, optional

_NEVER_EXEMPT = (
    "/secret",
    "/secret?/open",
    "/secret?/public/x",
    "/secret/open",
    "//open",
    "///open",
    "/./open",
    "/%2e/open",
    "/%2E/open",
    "/x/../open",
    "/x/%2e%2e/open",
    "/open/",
    "/open//",
    "/open/.",
    "/OPEN",
    "/Open",
    "/open;a",
    "/open;a=b",
    "/open%3Ba",
    "/open+",
    "/open%20",
    "/open%00",
    "/open%23",
    "/open%3Fx",
    "/open%2520",
    "/publicity",
    "/PUBLIC/x",
    "/public/../secret",
    "/public/%2e%2e/secret",
    "/public/%2e./secret",
    "/public/%252e%252e/secret",
    "/public/..%2fsecret",
    "/public/./x",
    "/public//x",
    "/public//../secret",
    "/public/..;/secret",
    "/public/..%5csecret",
    "/public/x/..",
    "//public/x",
    "/%2fpublic/x",
    "/%ef%bc%8fpublic/x",
)


@pytest.mark.parametrize("target", _NEVER_EXEMPT)
def test_exempt_path_variant_not_exempt_401(server: Server, target: str) -> None:
    assert server.ask(target).status == 401


@pytest.mark.parametrize("target", ["/open", "/open?x=//", "/%6fpen", "/public/x", "/public/a/b", "/public%2Fx"])
def test_exempt_path_missing_or_forged_token_served(server: Server, target: str) -> None:
    assert server.ask(target).body == b"open"
    assert server.ask(target, forged_headers("acme")).body == b"open"


@pytest.mark.parametrize("target", ["/secret#/open", "/open#", "/secret#", "http://test/secret", "http://open/open"])
def test_gated_path_malformed_target_not_served(server: Server, target: str) -> None:
    assert server.ask(target).body != b"secret"


@pytest.mark.parametrize("host", ["test/open?", "test/open#", "test?", "test#", "test/public/x/", "/open", "open", ""])
def test_gated_path_any_host_header_refused(server: Server, host: str) -> None:
    assert server.ask("/secret", host=host).status in (400, 401)
    assert server.ask("/mount/secret", host=host).status in (400, 401)


def test_optional_path_anonymous_allowed_forged_token_401(server: Server) -> None:
    assert json.loads(server.ask("/greet").body)["identity"] is None
    assert json.loads(server.ask("/greet", headers_of("acme")[:1]).body)["identity"] is None
    assert json.loads(server.ask("/greet", headers_of("acme")).body)["identity"] == "acme:ada"
    assert server.ask("/greet", forged_headers("acme")).status == 401
    for target in ("//greet", "/./greet", "/greet/", "/GREET"):
        assert server.ask(target).status == 401


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def only_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    start = servers.uvicorn if request.param == "asgi" else servers.gunicorn
    with start(f"tests.integration.{request.param}_site:only") as server:
        yield server


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        "/api/",
        "/api/x",
        "/api/x?y",
        "/api/x;y",
        "/%61pi/x",
        "/api%2Fx",
        "/api%2fx",
        "//api/x",
        "/api//x",
        "/api/./x",
        "/./api/x",
        "/%2e/api/x",
        "/x/../api/x",
        "/x/%2e%2e/api/x",
        "/..;/api/x",
        "/;/api/x",
        "/x%5c..%5capi",
        "/%2561pi/x",
        "/admin",
        "/admin?x",
        "//admin",
        "/admin/.",
        "/./admin",
        "/admin;x",
        "/admin//",
    ],
)
def test_only_gated_path_variant_401(only_server: Server, target: str) -> None:
    assert only_server.ask(target).status == 401


@pytest.mark.parametrize("target", ["/", "/other", "/apix", "/x/api/y", "/administration", "/open"])
def test_only_unlisted_path_served(only_server: Server, target: str) -> None:
    assert only_server.ask(target).status == 200


def test_exempt_path_websocket_variant_not_exempt(gate: Gate) -> None:
    scope = http_scope("/open", type="websocket", subprotocols=[])
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])

    door = asgi_door.WicketMiddleware(app, gate, exempt=["/open"])
    run_asgi(door, scope)
    run_asgi(door, {**scope, "path": "//open"}, _connecting)
    assert passed == ["/open"]


async def _connecting() -> Message:
    return {"type": "websocket.connect"}

"""`diagnose_url` with real servers: correct, missing and repeated CORS headers, with and without a gate."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.support.unit import OTHER_KEY, acme, problems_of
from wicket import (
    App,
    Bearer,
    Cookie,
    Gate,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Request,
    Secret,
    Subprotocol,
    TokenIssuer,
)
from wicket.diagnostics import diagnose_url
from wicket.testing.issuer import LocalIssuer
from wicket.wsgi import WicketMiddleware

ORIGIN = "https://acme.com"
GOOD = {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Allow-Headers": "Content-Type, Authorization"}

Reply = tuple[int, list[tuple[str, str]]]


@contextlib.contextmanager
def server(preflight: Reply, answer: Reply, seen: list[Mapping[str, str]] | None = None) -> Iterator[str]:
    class Requests(BaseHTTPRequestHandler):
        def _reply(self, reply: Reply) -> None:
            if seen is not None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                seen.append({"method": self.command, "target": self.path, "body": body, **dict(self.headers.items())})
            self.send_response(reply[0])
            for name, value in (*reply[1], ("Content-Length", "0")):
                self.send_header(name, value)
            self.end_headers()

        def do_OPTIONS(self) -> None:
            self._reply(preflight)

        def do_GET(self) -> None:
            self._reply(answer)

        def do_POST(self) -> None:
            self._reply(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as running, served(running):
        yield f"http://127.0.0.1:{running.server_address[1]}/me?appId=acme"


@contextlib.contextmanager
def served(running: Any) -> Iterator[None]:
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        running.shutdown()
        thread.join()


def acme_two(**settings: Any) -> App:
    """Return a second app with its own key."""
    return App(**{"id": "two", "credentials": [Secret(OTHER_KEY)], **settings})


def pairs(**headers: str) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in headers.items()]


def good(**more: str) -> list[tuple[str, str]]:
    return [*GOOD.items(), *pairs(**more)]


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_diagnose_url_correct_cors_has_no_finding(allowed: str) -> None:
    seen: list[Mapping[str, str]] = []
    headers = [("Access-Control-Allow-Origin", allowed), ("Access-Control-Allow-Headers", "AUTHORIZATION")]
    refusal = [*headers, ("WWW-Authenticate", "Bearer"), ("Access-Control-Expose-Headers", "WWW-Authenticate")]
    with server((204, headers), (401, refusal), seen) as url:
        diagnosis = diagnose_url(url, ORIGIN)
    assert (diagnosis.passed, diagnosis.findings, diagnosis.refusal, diagnosis.app) == (True, (), None, None)
    assert [step.name for step in diagnosis.steps] == ["preflight", "bad token", "decision"]
    assert [each["method"] for each in seen] == ["OPTIONS", "GET"]
    assert {each["target"] for each in seen} == {"/me?appId=acme"}
    assert {each["Origin"] for each in seen} == {ORIGIN}
    assert seen[0]["Access-Control-Request-Headers"] == "authorization"
    assert seen[1]["Authorization"] == "Bearer not-a-token"


def test_diagnose_url_custom_header_is_preflighted_and_sent() -> None:
    seen: list[Mapping[str, str]] = []
    headers = [("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Allow-Headers", "*")]
    with server((200, headers), (401, headers), seen) as url:
        assert diagnose_url(url, ORIGIN, header="X-User-Token").passed
    assert seen[0]["Access-Control-Request-Headers"] == "x-user-token"
    assert seen[1]["X-User-Token"] == "not-a-token"


@pytest.mark.parametrize(
    ("preflight", "answer", "mistakes", "says"),
    [
        ((401, good()), (401, good()), ["preflight_behind_gate"], "401"),
        ((405, []), (401, good()), ["preflight_behind_gate", "preflight_without_cors", "preflight_without_header"], ""),
        ((302, good()), (401, good()), ["preflight_redirected"], "redirected"),
        ((204, []), (401, good()), ["preflight_without_cors", "preflight_without_header"], "authorization"),
        (
            (204, pairs(Access_Control_Allow_Origin=ORIGIN, Access_Control_Allow_Headers="*")),
            (401, good()),
            ["preflight_without_header"],
            "does not cover Authorization",
        ),
        ((204, good()), (401, []), ["opaque_refusal"], "status 401"),
        ((204, good()), (401, pairs(Access_Control_Allow_Origin="https://b.com")), ["opaque_refusal"], ORIGIN),
        ((204, good()), (401, good(access_control_allow_origin=ORIGIN)), ["cors_doubled"], "more than once"),
        ((204, good()), (401, good(WWW_Authenticate="Bearer")), ["challenge_not_exposed"], "WWW-Authenticate"),
    ],
)
def test_diagnose_url_cors_mistake_is_reported(preflight: Reply, answer: Reply, mistakes: list[str], says: str) -> None:
    with server(preflight, answer) as url:
        diagnosis = diagnose_url(url, ORIGIN)
    assert not diagnosis.passed
    assert [each.code for each in diagnosis.findings] == mistakes
    assert says in " ".join(each.detail for each in diagnosis.findings)
    assert json.loads(json.dumps(diagnosis.as_dict()))["findings"][0]["code"] == mistakes[0]
    assert not diagnosis.steps[-1].passed


@contextlib.contextmanager
def gated(
    *,
    cors: bool,
    wrap: Callable[[Any], Any] = lambda application: application,
    apps: Sequence[App] | None = None,
    **settings: Any,
) -> Iterator[str]:
    """Run an application with the middleware on a real server."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    with Gate(apps or [acme(app_locations=[Query("appId")])]) as gate:
        application_with_gate = wrap(WicketMiddleware(application, gate, cors=cors, **settings))
        with make_server("127.0.0.1", 0, application_with_gate, handler_class=Quiet) as running, served(running):
            yield f"http://127.0.0.1:{running.server_port}/me?appId=acme"


def test_diagnose_url_wicket_cors_reports_only_blocked_origin() -> None:
    with gated(cors=True) as url:
        assert diagnose_url(url, ORIGIN).findings == ()
        blocked = diagnose_url(url, "https://evil.example")
    assert blocked.findings[0].code == "preflight_behind_gate"
    assert "does not allow this origin" in blocked.findings[0].detail


@pytest.mark.parametrize(
    ("settings", "target", "method", "names", "body"),
    [
        (
            {"app_locations": [Header("X-App-Id")], "token_locations": [Bearer()]},
            "/me",
            "GET",
            {"x-app-id": "acme", "authorization": "Bearer not-a-token"},
            None,
        ),
        (
            {"app_locations": [PublishableKeyBearer()], "token_locations": [Bearer(), Header("X-Token")]},
            "/me",
            "GET",
            {"authorization": "Bearer pub_acme", "x-token": "not-a-token"},
            None,
        ),
        (
            {"app_locations": [Host(), Query("appId")], "token_locations": [Query("jwt")]},
            "/me?appId=acme&jwt=not-a-token",
            "GET",
            {},
            None,
        ),
        (
            {"app_locations": [JsonBody("app.id")], "token_locations": [JsonBody("app.token")]},
            "/me",
            "POST",
            {"content-type": "application/json"},
            {"app": {"id": "acme", "token": "not-a-token"}},
        ),
        (
            {"app_locations": [PathSegment(0)], "token_locations": [Subprotocol(), Cookie("session")]},
            "/me",
            "GET",
            {"cookie": "session=not-a-token"},
            None,
        ),
        ({"app_locations": [], "token_locations": [Subprotocol()]}, "/me", "GET", {}, None),
    ],
)
def test_p17_diagnose_url_app_request_as_its_client_sends_it(
    settings: dict[str, Any], target: str, method: str, names: dict[str, str], body: Any
) -> None:
    app = acme(publishable_key="pub_acme", origins=[ORIGIN], **settings)
    seen: list[Mapping[str, str]] = []
    allowed = ", ".join(names)
    headers = [("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Allow-Headers", allowed)]
    with server((204, headers), (401, headers), seen) as url:
        diagnosis = diagnose_url(url.partition("?")[0], ORIGIN, app=app)
    assert (diagnosis.passed, diagnosis.app) == (True, "acme")
    sent = {name.lower(): value for name, value in seen[-1].items()}
    assert (sent["method"], sent["target"]) == (method, target)
    assert {name: sent.get(name) for name in names} == names
    assert json.loads(sent["body"] or "null") == body
    preflighted = sorted(names.keys() - {"cookie"})
    assert len(seen) == (2 if preflighted else 1)
    if preflighted:
        assert seen[0]["Access-Control-Request-Headers"] == ",".join(preflighted)
        assert seen[0]["Access-Control-Request-Method"] == method
        assert seen[0]["target"] == target


def test_p17_diagnose_url_app_named_by_issuer_or_url_request_names_it() -> None:
    seen: list[Mapping[str, str]] = []
    headers = [("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Allow-Headers", "Authorization")]
    app = acme(issuer="https://id.acme.com", app_locations=[TokenIssuer()], origins=[ORIGIN])
    with Gate([app, acme_two(app_locations=[TokenIssuer()])]) as gate, server((204, headers), (401, []), seen) as url:
        diagnose_url(url, ORIGIN, app=app)
        decision = gate.decide(Request(headers=[("Authorization", seen[1]["Authorization"])]))
        assert (decision.app_id, decision.allowed) == ("acme", False)
        assert seen[1]["target"] == "/me?appId=acme"
        by_query = acme(app_locations=[Header("X-App-Id"), Query("appId")], origins=[ORIGIN])
        diagnose_url(url, ORIGIN, app=by_query)
        assert "X-App-Id" not in seen[3]
        in_url = acme(app_locations=[Query("appId")], token_locations=[Query("appId")], origins=[ORIGIN])
        diagnose_url(url, ORIGIN, app=in_url)
        assert (seen[4]["method"], seen[4]["target"]) == ("GET", "/me?appId=acme")


@pytest.mark.parametrize("named", [False, True])
def test_p17_diagnose_url_app_named_by_header_refusal_reported(named: bool) -> None:
    by_header = acme(app_locations=[Header("X-App-Id")], origins=["https://other.example"])
    two = acme_two(app_locations=[Header("X-App-Id")], origins=[ORIGIN])
    with gated(cors=True, apps=[by_header, two]) as url:
        diagnosis = diagnose_url(url, ORIGIN, app=by_header if named else None)
        if named:
            assert [finding.code for finding in diagnosis.findings] == ["opaque_refusal"]
            assert "status 403, origin_not_allowed" in diagnosis.steps[1].found
            assert diagnose_url(url, ORIGIN, app=two).passed
        else:
            assert [finding.code for finding in diagnosis.findings] == ["app_not_named"]
            assert diagnosis.steps[-1].found == "a page's script can use this URL, but the request names no app"
            unknown = diagnose_url(url, ORIGIN, app=acme_two(id="nobody", app_locations=[Header("X-App-Id")]))
            assert [finding.code for finding in unknown.findings] == ["app_not_named"]
        assert not diagnosis.passed


def test_diagnose_url_gate_without_cors_is_reported() -> None:
    with gated(cors=False) as url:
        assert diagnose_url(url, ORIGIN).findings[0].code == "preflight_behind_gate"
    with gated(cors=False, preflights="pass") as url:
        mistakes = [each.code for each in diagnose_url(url, ORIGIN).findings]
    assert mistakes == [
        *("preflight_without_cors", "preflight_without_header", "opaque_refusal", "challenge_not_exposed"),
    ]


def test_diagnose_url_preflight_header_stripped_preflight_behind_gate() -> None:
    def strip_header(wrapped: Any) -> Any:
        def stripped(environ: dict[str, Any], start_response: Any) -> Any:
            environ.pop("HTTP_ACCESS_CONTROL_REQUEST_METHOD", None)  # like a proxy that removes the header
            return wrapped(environ, start_response)

        return stripped

    with gated(cors=True, wrap=strip_header) as url:
        mistakes = [each.code for each in diagnose_url(url, ORIGIN).findings]
    assert mistakes[0] == "preflight_behind_gate"


def test_diagnose_url_unreachable_host_is_reported() -> None:
    with server((204, []), (401, [])) as url:
        pass
    diagnosis = diagnose_url(url, ORIGIN, timeout=5)
    assert [(each.code, each.found) for each in diagnosis.findings] == [
        ("unreachable", "no response (ConnectionRefusedError)")
    ]
    assert not diagnosis.passed
    long = diagnose_url(f"http://{'a' * 70}.example/", ORIGIN, timeout=5)
    assert long.findings[0].code == "unreachable"


def test_diagnose_url_certificate_is_verified_against_ssl_context(wicket_issuer: LocalIssuer) -> None:
    url = wicket_issuer.jwks_url.replace("localhost", "127.0.0.1")
    distrusted = diagnose_url(url, ORIGIN)
    assert distrusted.findings[0].found == "no response (SSLCertVerificationError)"
    trusting = ssl.create_default_context(cadata=wicket_issuer.authority_pem.decode())
    trusted = diagnose_url(url, ORIGIN, ssl_context=trusting)
    assert [each.code for each in trusted.findings][-1] == "opaque_refusal"


@pytest.mark.parametrize(
    "url",
    [
        7,
        "",
        "acme.com",
        "ftp://acme.com/",
        "http:///x",
        "http://acme.com:0/",
        "http://acme.com:x/",
        "http://a@b.com/",
        "http://[",
    ],
)
def test_diagnose_url_invalid_url_raises_config_error(url: Any) -> None:
    assert set(problems_of(lambda: diagnose_url(url, ORIGIN))) == {"url"}


def test_diagnose_url_invalid_origin_or_header_raises_config_error() -> None:
    wrong: Any = None
    assert set(problems_of(lambda: diagnose_url("http://acme.com", "a\r\nb", header=wrong))) == {"origin", "header"}
    assert set(problems_of(lambda: diagnose_url("http://acme.com", wrong, header="a b"))) == {"origin", "header"}
    assert set(problems_of(lambda: diagnose_url("http://acme.com", ORIGIN, app="acme"))) == {"app"}  # type: ignore[arg-type]  # wrong

"""Django: the middleware, sync and async, through Django's own test clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import pytest
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import clear_url_caches, path
from django.views import View
from starlette.testclient import TestClient

from wicket import (
    Bearer,
    ConfigError,
    Gate,
    JsonBody,
    Mode,
    Refusal,
    Refused,
    Secret,
    mint,
    profiles,
)
from wicket.contrib.django import (
    WicketMiddleware,
    configured_gate,
    decision_of,
    identity_of,
    requires_identity,
)
from wicket.testing import FakeClock

MIDDLEWARE: Final = "wicket.contrib.django.WicketMiddleware"
PAGE: Final = {"Origin": "https://page.example"}


def gate_of(id: str = "acme", name: str = "wicket", **settings: Any) -> Gate:
    secret = Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce")
    rules: dict[str, Any] = {"scopes_claim": "scope", "allowed_scopes": ["read"], **settings}
    return Gate([profiles.generic(id, credentials=[secret], **rules)], name=name)


def me(request: HttpRequest) -> HttpResponse:
    assert request.identity is decision_of(request).identity  # type: ignore[attr-defined]
    return JsonResponse(
        [identity_of(request).user_id, request.META["REMOTE_USER"], "HTTP_REMOTE_USER" in request.META], safe=False
    )


async def me_async(request: HttpRequest) -> HttpResponse:
    return me(request)


def greet(request: HttpRequest) -> HttpResponse:
    assert "REMOTE_USER" not in request.META or decision_of(request).identity.verified
    return HttpResponse(decision_of(request).identity.user_id or "anonymous", headers={"Vary": "Cookie"})


@requires_identity("read")
def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(identity_of(request, scopes=["read"]).user_id)


@requires_identity("read")
async def read_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(identity_of(request).user_id)


class Thing(View):
    @requires_identity()
    def get(self, request: HttpRequest, item: int) -> HttpResponse:
        return HttpResponse(f"{item}")

    def post(self, request: HttpRequest, item: int) -> HttpResponse:
        decision_of(request).require()
        return HttpResponse(request.read())


def limit(request: HttpRequest) -> HttpResponse:
    raise Refused(Refusal("rate_limited", retry_after=7))


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("own")


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(request.POST) if "form" in request.GET else request.body)


def no_decision(request: HttpRequest) -> HttpResponse:
    with pytest.raises(ConfigError, match="made no decision"):
        decision_of(request)
    return HttpResponse("open")


def events(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(CHUNKS(), content_type="text/event-stream")


CHUNKS: Callable[[], Any] = list

URLS: Final = ModuleType("tests.unit.contrib.django_urls")
URLS.urlpatterns = [  # type: ignore[attr-defined]  # Django reads it
    path("me", me),
    path("me-async", me_async),
    path("greet", greet),
    path("read", read),
    path("read-async", read_async),
    path("things/<int:item>", Thing.as_view()),
    path("limit", limit),
    path("fail", fail),
    path("echo", echo),
    path("open", no_decision),
    path("é/open", no_decision),
    path("é/me", me),
    path("events", events),
]

Ask = Callable[..., HttpResponse]
"""Sends a request: method, path, headers, body."""


def ask_sync(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **extra: Any) -> Any:
    client = Client(raise_request_exception=False)
    return client.generic(method, target, body, extra.get("content_type", "application/json"), headers=headers)


def ask_async(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **extra: Any) -> Any:
    client: Any = AsyncClient(raise_request_exception=False)
    kind = extra.get("content_type", "application/json")
    return asyncio.run(client.generic(method, target, body, kind, headers=headers))


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


@contextmanager
def site(gate: object, middleware: list[str] | None = None, **settings: Any) -> Iterator[None]:
    """Django's settings with the gate."""
    with override_settings(ROOT_URLCONF=URLS, MIDDLEWARE=middleware or [MIDDLEWARE], WICKET_GATE=gate, **settings):
        clear_url_caches()
        yield
    clear_url_caches()


def as_ada(gate: Gate, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint(gate.apps[0], 'ada', now=gate.clock(), claims=claims)}", **PAGE}


def test_django_verified_identity_is_available_in_views(ask: Ask) -> None:
    gate = gate_of()
    with site(gate):
        forged = {**as_ada(gate), "Remote-User": "acme:root"}
        for target in ("/me", "/me-async"):
            assert json.loads(ask("GET", target, forged).content) == ["ada", "acme:ada", False]
        assert ask("GET", "/greet", as_ada(gate)).content == b"ada"


def test_django_missing_token_is_refused_before_views(ask: Ask) -> None:
    with site(gate_of()):
        for method, target in (("GET", "/me"), ("POST", "/nowhere"), ("GET", "/é/me")):
            response = ask(method, target, PAGE)
            assert (response.status_code, json.loads(response.content)["error"]) == (401, "missing_token")
            assert response["WWW-Authenticate"] == 'Bearer realm="wicket"'
            assert response["Content-Type"] == "application/problem+json"
            assert response["Access-Control-Allow-Origin"] == PAGE["Origin"]
        head = ask("HEAD", "/me")
        assert (head.status_code, head.content) == (401, b"")


def test_django_decorated_views_require_identity_and_scopes(ask: Ask) -> None:
    gate = gate_of(allow_anonymous=True)
    with site(gate):
        for target in ("/read", "/read-async"):
            assert ask("GET", target, as_ada(gate, scope="read")).content == b"ada"
            poor = ask("GET", target, as_ada(gate))
            assert (poor.status_code, json.loads(poor.content)["error"]) == (403, "insufficient_scope")
            assert 'error="insufficient_scope"' in poor["WWW-Authenticate"]
            assert poor["Access-Control-Allow-Origin"] == PAGE["Origin"]
            assert ask("GET", target).status_code == 401
        assert ask("GET", "/things/3", as_ada(gate)).content == b"3"
        assert json.loads(ask("GET", "/things/3").content)["error"] == "missing_token"
    assert {(item.code, item.count) for item in gate.outcomes() if item.stage == "handler"} == {
        ("insufficient_scope", 2),
        ("missing_token", 3),
    }


def test_p16_django_view_raising_refused_returns_refusal_response(ask: Ask) -> None:
    gate = gate_of(allow_anonymous=True)
    with site(gate):
        limited = ask("GET", "/limit")
        assert (limited.status_code, limited["Retry-After"]) == (429, "7")
        assert json.loads(ask("POST", "/things/3").content)["error"] == "missing_token"


def test_django_exception_of_view_is_500_with_cors_headers(ask: Ask) -> None:
    gate = gate_of()
    with site(gate):
        response = ask("GET", "/fail", as_ada(gate))
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (500, PAGE["Origin"])


def test_django_log_only_request_is_anonymous_and_required_identity_is_refused(ask: Ask) -> None:
    with site(gate_of(mode=Mode.LOG_ONLY)):
        bad = {"Authorization": "Bearer nonsense"}
        assert ask("GET", "/greet", bad).content == b"anonymous"
        assert json.loads(ask("GET", "/read", bad).content)["reason"] == "malformed"


def test_django_exempt_optional_and_only_paths(ask: Ask) -> None:
    with site(gate_of(), WICKET_EXEMPT=["/open", "/é/open"], WICKET_OPTIONAL=["/greet"]):
        assert ask("GET", "/open").content == b"open"
        assert ask("GET", "/greet").content == b"anonymous"
        assert ask("GET", "/me").status_code == 401
    with site(gate_of(), WICKET_ONLY=["/me"]):
        assert ask("GET", "/open").content == b"open"
        assert ask("GET", "/me").status_code == 401


def asgi_client() -> TestClient:
    """A client of Django under ASGI that sends paths as a server does."""
    handler: Any = ASGIHandler()
    return TestClient(handler)


def test_django_paths_that_are_not_ascii_are_matched() -> None:
    gate = gate_of()
    with site(gate, WICKET_ONLY=["/é/*"], WICKET_EXEMPT=["/é/open"]):
        for client in (asgi_client(), Client()):
            assert client.get("/é/open").content == client.get("/open").content == b"open"
            assert client.get("/é/me").json()["error"] == "missing_token"
            assert client.get("/é/me", headers=as_ada(gate)).json()[0] == "ada"


def test_django_script_name_does_not_change_paths() -> None:
    gate = gate_of()
    with site(gate, WICKET_EXEMPT=["/open"], FORCE_SCRIPT_NAME="/app"):
        client = asgi_client()
        assert client.get("/app/open").text == "open"
        assert client.get("/app/me").status_code == 401
        assert client.get("/app/me", headers=as_ada(gate)).json()[0] == "ada"


def test_django_preflight_and_origin_check_are_answered(ask: Ask) -> None:
    with site(gate_of(origins=["https://page.example"]), WICKET_ORIGIN_CHECK_PATH="/allowed"):
        preflight = ask("OPTIONS", "/me", {**PAGE, "Access-Control-Request-Method": "POST"})
        assert (preflight.status_code, preflight["Access-Control-Allow-Origin"]) == (204, PAGE["Origin"])
        assert json.loads(ask("GET", "/allowed", PAGE).content) == {"allowed": True}
        assert ask("GET", "/allowed", {"Origin": "https://evil.example"}).status_code == 403


def test_django_without_cors_preflights_pass_as_anonymous(ask: Ask) -> None:
    with site(gate_of(), WICKET_CORS=False, WICKET_PREFLIGHTS="pass"):
        response = ask("OPTIONS", "/greet", {**PAGE, "Access-Control-Request-Method": "POST"})
        assert (response.status_code, response.content) == (200, b"anonymous")
        assert "Access-Control-Allow-Origin" not in response


def test_django_cors_headers_extend_vary_of_view(ask: Ask) -> None:
    gate = gate_of()
    with site(gate):
        response = ask("GET", "/greet", as_ada(gate))
        assert response["Vary"] == "Cookie, Origin"
        assert response["Access-Control-Allow-Origin"] == PAGE["Origin"]


# --- bodies


def body_gate() -> tuple[Gate, dict[str, Any]]:
    gate = gate_of(token_locations=[Bearer(), JsonBody("token")])
    return gate, {"token": mint(gate.apps[0], "ada"), "fill": "x" * 20_000}


def test_django_token_in_json_body_is_found_and_body_is_complete(ask: Ask) -> None:
    gate, content = body_gate()
    body = json.dumps(content).encode()
    with site(gate):
        assert ask("POST", "/echo", body=body).content == body
        assert ask("POST", "/things/3", body=body).content == body


def test_django_body_over_limit_is_not_read_and_detail_says_so(ask: Ask) -> None:
    gate, content = body_gate()
    with site(gate):
        response = ask("POST", "/echo", body=json.dumps({**content, "fill": "x" * 70_000}).encode())
    assert (response.status_code, json.loads(response.content)["error"]) == (401, "missing_token")
    assert "limits.max_body_bytes" in json.loads(response.content)["detail"]


def test_django_body_read_by_earlier_middleware_is_not_found() -> None:
    gate, content = body_gate()
    with site(gate, ["tests.unit.contrib.test_django.reading", MIDDLEWARE]):
        response = ask_sync("POST", "/echo", body=json.dumps(content).encode())
    assert (response.status_code, json.loads(response.content)["error"]) == (401, "missing_token")


def reading(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that reads a part of the body."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.read(1)
        return get_response(request)

    return middleware


class Undeclared:
    """A body whose length no header declares."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, *args: Any) -> bytes:
        return b"x" * self.size

    def close(self) -> None:
        pass


def test_django_body_larger_than_declared_is_not_used() -> None:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}
    gate, _ = body_gate()
    with site(gate):
        stream: Any = Undeclared(70_000)
        response: Any = WicketMiddleware(lambda request: HttpResponse("passed"))(ASGIRequest(scope, stream))
    assert response.status_code == 401


# --- event streams


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_django_event_stream_ends_when_token_expires(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    app = gate_of().apps[0]
    gate = Gate([app], clock=clock)
    headers = as_ada(gate)

    def chunks() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        clock.advance(3600 + app.rules.leeway)
        yield b"data: 2\n\n"

    async def chunks_async() -> Any:
        for chunk in chunks():
            yield chunk

    monkeypatch.setattr(f"{__name__}.CHUNKS", chunks if kind == "sync" else chunks_async)
    with site(gate, WICKET_CLOSE_ON_EXPIRY=True):
        if kind == "sync":
            content = b"".join(Client().get("/events", headers=headers))
        else:

            async def collect() -> bytes:
                response: Any = await AsyncClient().get("/events", headers=headers)
                return b"".join([chunk async for chunk in response])

            content = asyncio.run(collect())
    assert content == b"data: 1\n\n"


def test_django_event_stream_of_valid_token_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b"data: 1\n\n", b"data: 2\n\n"]

    async def parts_async() -> Any:
        for part in parts:
            yield part

    gate = gate_of()
    with site(gate, WICKET_CLOSE_ON_EXPIRY=True):
        monkeypatch.setattr(f"{__name__}.CHUNKS", lambda: parts)
        response: Any = Client().get("/events", headers=as_ada(gate))
        assert b"".join(response) == b"".join(parts)
        assert response["Access-Control-Allow-Origin"] == PAGE["Origin"]
        monkeypatch.setattr(f"{__name__}.CHUNKS", parts_async)
        assert asgi_client().get("/events", headers=as_ada(gate)).content == b"".join(parts)


# --- settings, several gates, and requests without a gate

dotted = gate_of("dotted")
partners = gate_of("partner", "partners", allow_anonymous=True)


class PartnersMiddleware(WicketMiddleware):
    """A second gate."""

    gate = partners
    options = {"only": ["/partners/*", "/greet"]}  # noqa: RUF012 - read only


def test_django_gate_by_dotted_path_and_from_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with site("tests.unit.contrib.test_django.dotted"):
        assert configured_gate() is dotted
    monkeypatch.setenv("ACME_SECRET", "5f" * 31 + "01")
    credential = '[[apps.credentials]]\nkind = "secret"\nenv = "ACME_SECRET"\nencoding = "hex"\n'
    (tmp_path / "wicket.toml").write_text(f'[[apps]]\nid = "acme"\nprofile = "generic"\n{credential}', "utf-8")
    with site(None, WICKET_FILE=tmp_path / "wicket.toml"):
        assert configured_gate() is configured_gate()
        assert configured_gate().apps[0].id == "acme"
    with site(5), pytest.raises(ConfigError, match="dotted path"):
        Client().get("/me")
    with pytest.raises(ConfigError, match="WICKET_GATE"):
        configured_gate()


def test_django_second_gate_by_subclass() -> None:
    gate = gate_of()
    with site(gate, [MIDDLEWARE, "tests.unit.contrib.test_django.PartnersMiddleware"]):
        assert Client().get("/greet", headers=as_ada(gate)).status_code == 401  # of the second gate: another secret
        assert Client().get("/me", headers=as_ada(gate)).status_code == 200
        assert partners.outcomes()


def test_django_view_without_middleware_raises_config_error() -> None:
    request = RequestFactory().get("/read")
    with pytest.raises(ConfigError, match="made no decision"):
        read(request)
    with pytest.raises(ConfigError, match="request as its first argument"):
        read("request")  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(ConfigError, match="with parentheses"):
        requires_identity(read)  # type: ignore[arg-type]  # what the test is about

"""Django REST framework: 401 and 403 with their challenges, the user, permissions and throttles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.test import override_settings
from django.urls import clear_url_caches, path
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from wicket import ConfigError, Gate, Mode, Refusal, Refused, Secret, mint, profiles
from wicket.contrib.rest_framework import (
    User,
    WicketAuthentication,
    decision_of,
    exception_handler,
    identity_of,
    requires_identity,
)

PAGE: Final = {"HTTP_ORIGIN": "https://page.example"}


class Throttle(UserRateThrottle):
    rate = "1/day"


class Me(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        user: Any = request.user
        assert decision_of(request).identity is user.identity
        assert request.auth is decision_of(request)
        return Response([str(user), user.pk, user.username, user.is_staff])


class Read(APIView):
    permission_classes = [requires_identity("read")]

    def get(self, request: Request) -> Response:
        return Response(identity_of(request, scopes=["read"]).user_id)


class Greet(APIView):
    permission_classes: list[Any] = []

    def get(self, request: Request) -> Response:
        return Response(request.user.is_authenticated)

    def post(self, request: Request) -> Response:
        return Response(request.data)

    def delete(self, request: Request) -> Response:
        raise Refused(Refusal("rate_limited", retry_after=7))


class Throttled(Greet):
    throttle_classes = [Throttle]


class Mixed(APIView):
    authentication_classes = [WicketAuthentication, BasicAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        raise AssertionError


class Foreign(Mixed):
    authentication_classes = [BasicAuthentication]


@api_view(["GET"])
@permission_classes([requires_identity()])
def function(request: Request) -> Response:
    return Response(identity_of(request).user_id)


URLS: Final = ModuleType("tests.unit.contrib.rest_urls")
URLS.urlpatterns = [  # type: ignore[attr-defined]  # Django reads it
    path("me", Me.as_view()),
    path("read", Read.as_view()),
    path("greet", Greet.as_view()),
    path("throttled", Throttled.as_view()),
    path("mixed", Mixed.as_view()),
    path("foreign", Foreign.as_view()),
    path("function", function),
]

SETTINGS: Final[dict[str, Any]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["wicket.contrib.rest_framework.WicketAuthentication"],
    "EXCEPTION_HANDLER": "wicket.contrib.rest_framework.exception_handler",
}


def gate_of(**settings: Any) -> Gate:
    secret = Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")
    rules: dict[str, Any] = {"scopes_claim": "scope", "allowed_scopes": ["read"], **settings}
    return Gate([profiles.generic("acme", credentials=[secret], **rules)])


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = gate_of(allow_anonymous=True)
    with site(gate):
        yield gate


def site(gate: Gate, **settings: Any) -> Any:
    middleware = ["wicket.contrib.django.WicketMiddleware"]
    clear_url_caches()
    cache.clear()
    for view in (Me, Read, Greet, Throttled):  # the framework reads its settings when a view is defined
        view.authentication_classes = [WicketAuthentication]
    return override_settings(
        ROOT_URLCONF=URLS, MIDDLEWARE=middleware, WICKET_GATE=gate, REST_FRAMEWORK={**SETTINGS, **settings}
    )


def as_ada(gate: Gate, **claims: Any) -> APIClient:
    token = mint(gate.apps[0], "ada", now=gate.clock(), claims=claims)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **PAGE)
    return client


def test_rest_framework_user_is_verified_identity(gate: Gate) -> None:
    assert as_ada(gate).get("/me").json() == ["acme:ada", "acme:ada", "acme:ada", False]
    assert as_ada(gate, scope="read").get("/read").json() == "ada"
    assert as_ada(gate).get("/greet").json() is True
    assert APIClient().get("/greet").json() is False
    assert as_ada(gate).post("/greet", {"a": 1}, format="json").json() == {"a": 1}


@pytest.mark.parametrize("target", ["/me", "/read"])
def test_rest_framework_anonymous_request_is_401_with_challenge(target: str, gate: Gate) -> None:
    client = APIClient()
    client.credentials(**PAGE)
    response = client.get(target)
    assert (response.status_code, json.loads(response.content)["error"]) == (401, "missing_token")
    assert response["WWW-Authenticate"] == 'Bearer realm="wicket"'
    assert response["Access-Control-Allow-Origin"] == PAGE["HTTP_ORIGIN"]


def test_rest_framework_missing_scope_is_403_with_challenge(gate: Gate) -> None:
    response = as_ada(gate).get("/read")
    assert (response.status_code, json.loads(response.content)["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response["WWW-Authenticate"]
    assert as_ada(gate).get("/function").json() == "ada"


def test_rest_framework_without_handler_is_still_401_with_challenge() -> None:
    with site(gate_of(allow_anonymous=True), EXCEPTION_HANDLER="rest_framework.views.exception_handler"):
        response = APIClient().get("/me")
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="wicket"')
        assert APIClient().get("/function").json()["error"] == "missing_token"


def test_rest_framework_log_only_says_why_token_was_not_accepted() -> None:
    with site(gate_of(mode=Mode.LOG_ONLY)):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        assert client.get("/me").json()["reason"] == "malformed"
        assert client.get("/greet").json() is False


def test_rest_framework_view_raising_refused_is_answered_and_reported(gate: Gate) -> None:
    response = as_ada(gate).delete("/greet")
    assert (response.status_code, response["Retry-After"]) == (429, "7")
    assert [(item.code, item.count) for item in gate.outcomes() if item.stage == "handler"] == [("rate_limited", 1)]


def test_rest_framework_throttle_counts_by_user(gate: Gate) -> None:
    assert [as_ada(gate).get("/throttled").status_code for _ in range(2)] == [200, 429]


def test_rest_framework_other_authentication_keeps_its_answer(gate: Gate) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic bm9ib2R5Om5vdGhpbmc")
    foreign = client.get("/foreign")
    assert foreign.status_code == 401
    assert "detail" in foreign.json()
    assert APIClient().get("/mixed").json()["error"] == "missing_token"


def test_rest_framework_exception_handler_returns_default_for_other_errors(gate: Gate) -> None:
    assert exception_handler(ValueError("own"), {"request": None}) is None
    assert as_ada(gate).put("/greet").status_code == 405


def test_rest_framework_authentication_without_middleware_raises_config_error() -> None:
    request = Request(APIRequestFactory().get("/"))
    with pytest.raises(ConfigError, match="made no decision"):
        WicketAuthentication().authenticate(request)
    with pytest.raises(ConfigError, match="must be strings"):
        requires_identity(WicketAuthentication)  # type: ignore[arg-type]  # what the test is about


def test_rest_framework_challenge_has_realm_of_gate() -> None:
    class Partners(WicketAuthentication):
        gate = gate_of()

    assert Partners().authenticate_header(Request(APIRequestFactory().get("/"))) == 'Bearer realm="wicket"'


def test_rest_framework_users_are_equal_by_qualified_id() -> None:
    gate = gate_of()
    ada, again, bob = (
        User(gate.verify(mint(gate.apps[0], user_id), app="acme").require()) for user_id in ("ada", "ada", "bob")
    )
    assert ada == again != bob
    assert len({ada, again, bob}) == 2
    assert ada != "acme:ada"
    assert (ada.is_authenticated, ada.is_anonymous, ada.is_active, ada.is_superuser) == (True, False, True, False)

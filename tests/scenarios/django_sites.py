"""The application of the table in Django, sync and async, and in Django REST framework."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from tests.scenarios.sites import PATHS, demand, seen
from tests.support.django_settings import configure

configure()

from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402 - Django must be configured first
from django.test import override_settings  # noqa: E402
from django.urls import clear_url_caches, path  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from wicket import Gate  # noqa: E402
from wicket.contrib import rest_framework  # noqa: E402
from wicket.contrib.django import decision_of  # noqa: E402


def view(request: HttpRequest, app: str | None = None) -> HttpResponse:
    decision = decision_of(request)
    demand(request.path, decision)
    assert request.identity is decision.identity  # type: ignore[attr-defined]  # the middleware sets it
    return JsonResponse(seen(decision, request.META.get("REMOTE_USER"), request.body))


async def view_async(request: HttpRequest, app: str | None = None) -> HttpResponse:
    return view(request, app)


class View(APIView):
    """The handler of the table for Django REST framework."""

    authentication_classes = [rest_framework.WicketAuthentication]  # noqa: RUF012 - as its documentation has it

    def get(self, request: Request, app: str | None = None) -> HttpResponse:
        decision = rest_framework.decision_of(request)
        demand(request.path, decision)
        user: Any = request.user
        return JsonResponse(seen(decision, user.pk if user.is_authenticated else None, request._request.body))

    post = get


def urls_of(handler: Callable[..., Any]) -> ModuleType:
    urls = ModuleType("tests.scenarios.django_urls")
    urls.urlpatterns = [path(route.lstrip("/"), handler) for route in (*PATHS, "/in/<str:app>")]  # type: ignore[attr-defined]
    return urls


SYNC: Final = urls_of(view)
ASYNC: Final = urls_of(view_async)
REST: Final = urls_of(View.as_view())


def settings_of(urls: ModuleType, gate: Gate) -> Any:
    """Django's settings for one of the three."""
    clear_url_caches()
    return override_settings(ROOT_URLCONF=urls, MIDDLEWARE=["wicket.contrib.django.WicketMiddleware"], WICKET_GATE=gate)

"""Django, configured once per test process: handlers for a list of routes, under ASGI and under WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from django.http import HttpRequest, HttpResponse

from tests.support.django_settings import URLS, configure


def urls_of(routes: Iterable[str], reached: Callable[[str, Any], None]) -> ModuleType:
    """A URL configuration in which every route calls `reached` with itself and the request's scope or environ."""
    configure()
    from django.urls import path

    def view_of(route: str) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            reached(route, getattr(request, "scope", request.META))
            return HttpResponse(route)

        return view

    def async_view_of(route: str) -> Any:
        async def view(request: HttpRequest) -> HttpResponse:
            reached(route, getattr(request, "scope", request.META))
            return HttpResponse(route)

        return view

    urls = ModuleType(URLS.__name__)
    urls.urlpatterns = [path(route[1:], view_of(route)) for route in routes]  # type: ignore[attr-defined]
    urls.async_patterns = [path(route[1:], async_view_of(route)) for route in routes]  # type: ignore[attr-defined]
    return urls


@contextmanager
def handler(urls: ModuleType, kind: str, script_name: str | None = None) -> Iterator[Any]:
    """Django's handler for `kind` (`"asgi"` or `"wsgi"`) while its settings say so."""
    configure()
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import clear_url_caches

    chosen = ModuleType(urls.__name__)
    chosen.urlpatterns = urls.async_patterns if kind == "asgi" else urls.urlpatterns  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=chosen, FORCE_SCRIPT_NAME=script_name):
        clear_url_caches()
        yield ASGIHandler() if kind == "asgi" else WSGIHandler()
    clear_url_caches()

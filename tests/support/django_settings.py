"""Django's settings, for every test of one process: Django can be configured only once."""

from __future__ import annotations

from types import ModuleType

import django
from django.conf import settings

URLS = ModuleType("tests.support.django_urls")
"""The URL configuration of tests that set no other one. It has no routes."""
URLS.urlpatterns = []  # type: ignore[attr-defined]  # Django reads it


def configure() -> None:
    """Configure Django for this process, once."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=URLS,
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="only for tests",
            APPEND_SLASH=False,
            LOGGING_CONFIG=None,
            MIDDLEWARE=[],
            INSTALLED_APPS=[
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "rest_framework",
                "wicket.contrib.django.WicketConfig",
            ],
        )
        django.setup()

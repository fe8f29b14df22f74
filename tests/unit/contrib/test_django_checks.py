"""The checks of Django's settings, as `manage.py check` runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from wicket import Gate, Secret, profiles
from wicket.contrib.django import WicketMiddleware

GATE = Gate([profiles.generic("acme", credentials=[Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")])])
OURS = "wicket.contrib.django.WicketMiddleware"
REMOTE_USER = "django.contrib.auth.middleware.RemoteUserMiddleware"
CACHE = "django.middleware.cache.FetchFromCacheMiddleware"


def problems(*middleware: str, **settings: Any) -> list[tuple[str | None, str]]:
    with override_settings(MIDDLEWARE=middleware, **settings):
        return [(message.id, message.msg) for message in run_checks(tags=["security"])]


@pytest.fixture(autouse=True)
def _gate() -> Iterator[None]:
    with override_settings(WICKET_GATE=GATE):
        yield


def test_django_check_valid_settings_has_no_problem() -> None:
    assert problems(OURS, REMOTE_USER, CACHE) == []


def test_django_check_missing_middleware_is_error() -> None:
    ((code, text),) = problems(REMOTE_USER, "no.such.Middleware", "tests.unit.contrib.test_django_checks.problems")
    assert code == "wicket.E002"
    assert "MIDDLEWARE does not contain the gate" in text


def test_django_check_every_invalid_setting_is_error() -> None:
    found = problems(OURS, WICKET_ONLY="/api", WICKET_CORS="yes")
    assert [code for code, _ in found] == ["wicket.E001", "wicket.E001"]
    assert {text.partition(":")[0] for _, text in found} == {"only", "cors"}
    assert problems(OURS, WICKET_GATE=None)[0][0] == "wicket.E001"
    ((code, text),) = problems(OURS, WICKET_GATE="no.such.gate")
    assert (code, text.startswith("WICKET_GATE")) == ("wicket.E001", True)


def test_django_check_position_before_gate_is_reported() -> None:
    assert [code for code, _ in problems(REMOTE_USER, CACHE, OURS)] == ["wicket.E003", "wicket.W001"]


def test_django_check_subclass_of_middleware_counts() -> None:
    assert problems("tests.unit.contrib.test_django_checks.Own", REMOTE_USER) == []


class Own(WicketMiddleware):
    """A subclass, as for a second gate."""

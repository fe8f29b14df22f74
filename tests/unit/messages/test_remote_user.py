"""`Request.names_remote_user`: headers that a CGI-style framework reads as `REMOTE_USER`."""

from __future__ import annotations

import pytest

from wicket import Request
from wicket.messages.request import MAX_HEADERS

NAMES = ["remote-user", "remote_user", "Remote-User", "REMOTE_USER"]


def by_asgi(headers: list[tuple[str, str]]) -> Request:
    wire = [(name.encode(), value.encode()) for name, value in headers]
    return Request.from_asgi({"type": "http", "method": "GET", "path": "/", "headers": wire})


@pytest.mark.parametrize("name", NAMES)
def test_names_remote_user_either_spelling_true(name: str) -> None:
    headers = [("Host", "api.example"), (name, "eve")]
    assert by_asgi(headers).names_remote_user
    assert Request(headers=headers).names_remote_user


@pytest.mark.parametrize("headers", [[], [("X-Remote-User", "eve")], [("Remote", "eve"), ("User", "eve")]])
def test_names_remote_user_other_headers_false(headers: list[tuple[str, str]]) -> None:
    assert not by_asgi(headers).names_remote_user
    assert not Request(headers=headers).names_remote_user


def test_names_remote_user_too_many_headers_true() -> None:
    """The headers of such a request are not read, so any of them may be one."""
    headers = [(f"x-{number}", "1") for number in range(MAX_HEADERS + 1)]
    assert by_asgi(headers).names_remote_user
    assert Request(headers=headers).names_remote_user

"""The apps of the integration tests: some in code, some in a registry that can be made to wait; the same everywhere."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from typing import Final

from wicket import App, AppRef, Gate, Header, Limits, Request, Secret, mint, profiles

DEADLINE = 30.0
NAMING: Final = [Header("X-App-Id")]


def app_of(id: str, *, allow_anonymous: bool = False) -> App:
    """The app with this id, as every process of a test builds it."""
    return profiles.generic(
        id, credentials=[Secret(hashlib.sha256(f"integration {id}".encode()).digest())], allow_anonymous=allow_anonymous
    )


def headers_of(id: str, user: str = "ada") -> list[tuple[str, str]]:
    """What a request of that user of that app carries."""
    return [("X-App-Id", id), ("Authorization", f"Bearer {mint(app_of(id), user)}")]


def forged_headers(id: str) -> list[tuple[str, str]]:
    """The same with a signature of another app."""
    return [("X-App-Id", id), ("Authorization", f"Bearer {mint(app_of('somebody-else'), 'root')}")]


def request_of(id: str, user: str = "ada") -> Request:
    """The same as a request."""
    return Request(headers=headers_of(id, user))


class Shelf:
    """A registry: it knows every app whose id begins with `stored`, and waits with those that begin with `stored-slow`
    until they are released."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.released: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, ref: AppRef) -> App | None:
        with self._lock:
            self.calls[ref.value] += 1
        if not ref.value.startswith("stored"):
            return None
        until = time.monotonic() + DEADLINE
        while ref.value.startswith("stored-slow") and ref.value not in self.released and time.monotonic() < until:
            time.sleep(0.005)  # polling, so that it waits under gevent too, whatever was imported before its patches
        return app_of(ref.value)


def shelf_gate(shelf: Shelf) -> Gate:
    """A gate with two apps in code, and the shelf as its registry."""
    return Gate(
        [app_of("acme"), app_of("lobby", allow_anonymous=True)],
        registry=shelf,
        app_locations=NAMING,
        limits=Limits(load_timeout=DEADLINE),
    )

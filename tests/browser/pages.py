"""A tab of the browser, as the tests see it: a page on some origin, whose script asks the API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.integration.servers import Server
from wicket import App, mint

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

_FETCH: Final = """
    async ([url, options]) => {
        let answer;
        try {
            answer = await fetch(url, options);
        } catch (error) {
            return {failed: String(error)};
        }
        const {status, headers} = answer;
        return {status, headers: Object.fromEntries(headers), text: await answer.text()};
    }"""


@dataclass(frozen=True, slots=True)
class Read:
    """What the page's script could read of an answer: with `failed`, nothing at all."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    failed: str = ""

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Tab:
    """An open page, what stood in its console, and the path and status of each answer that it got."""

    page: Page
    console: list[str]
    answers: list[tuple[str, int]]

    def shows(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.page.get_by_text(text).wait_for()

    def wait_until(self, moment: float) -> None:
        """Wait until a time in seconds since 1970, by the browser's clock."""
        self.page.wait_for_function("moment => Date.now() > moment", arg=moment * 1000)

    def statuses(self, path: str) -> list[int]:
        """How requests to that path were answered so far, preflights aside."""
        return [status for answered, status in self.answers if answered == path and status != 204]

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        credentials: str = "same-origin",
    ) -> Read:
        """What the page's script reads when it fetches `url`."""
        options = {"method": method, "headers": headers or {}, "body": body, "credentials": credentials}
        return Read(**self.page.evaluate(_FETCH, [url, options]))


class Opened(Protocol):
    """Opens an address in a tab with a new profile. The page gets its tokens from `backend`."""

    def __call__(self, url: str, backend: Backend | None = None) -> Tab: ...


class Backend:
    """A page's own backend: each token that it gives is so many seconds old, and has so many left."""

    def __init__(self, app: App, *lives: tuple[float, float]) -> None:
        self.app = app
        self.given: list[tuple[float, float]] = []  # when each was given, and when it expires
        self._lives = lives or ((0, 3600),)

    def answer(self, route: Route) -> None:
        """Give the next token; the last kind of them again and again."""
        age, left = self._lives[min(len(self.given), len(self._lives) - 1)]
        now = time.time()
        self.given.append((now, now + left))
        claims = {"iat": now - age, "exp": now + left}
        token = mint(self.app, "user-1", attributes={"name": "Ada"}, claims=claims, now=now - age)
        route.fulfill(json={"token": token})


@dataclass(frozen=True, slots=True)
class Api:
    """The API that the pages call, at a separate origin."""

    server: Server
    host: str = "api.localhost"

    def url(self, path: str, **query: str) -> str:
        """The address of a path of it."""
        pairs = "&".join(f"{name}={value}" for name, value in query.items())
        return f"http://{self.host}:{self.server.port}{path}" + (f"?{pairs}" if pairs else "")

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """What reached it, outside and inside of the gate, and what it was sent."""
        told: dict[str, list[dict[str, Any]]] = json.loads(self.server.ask("/told").body)
        return told

    def since(self, before: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
        """Which requests reached it since then."""
        told = self.told()
        return {side: [each["request"] for each in told[side][len(before[side]) :]] for side in ("outside", "inside")}


def userz_headers(app: App, **claims: Any) -> dict[str, str]:
    """How Userz's widget names the app and carries its token."""
    return {"Authorization": f"Bearer {app.publishable_key}", "X-Userz-User-Token": mint(app, "user-1", **claims)}


def hissuno_body(app: App, *, ttl: int = 3600, now: float | None = None, **more: Any) -> str:
    """How Hissuno's widget does, in a JSON body."""
    return json.dumps({"projectId": app.id, "widgetToken": mint(app, "user-1", ttl=ttl, now=now), **more})

"""What a gate adds to a request: a bare application, one with PyJWT by hand, and one behind Wicket, in one run.

    python -m benchmarks

The three are asked in turn, in many short rounds; the figures are medians over the rounds. The time of the bare
application is subtracted. Everything runs in this process, without a network, and with one valid HS256 token.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import flask
import jwt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from wicket import Gate, Secret, mint, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

SECRET = "7b" * 31 + "03"
ROUNDS, CALLS = 60, 200

APP = profiles.generic(
    "acme",
    credentials=[Secret.from_hex(SECRET)],
    origins=["https://acme.example", *(f"https://{n}.example" for n in range(19))],
    max_lifetime=86_400,
)
GATE = Gate([APP])
TOKEN = mint(APP, "user-1", attributes={"plan": "pro", "email": "user@acme.example"})
HEADERS = {
    "host": "api.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "accept": "*/*",
    "accept-encoding": "gzip, deflate, br",
    "origin": "https://acme.example",
    "x-app-id": "acme",
    "authorization": f"Bearer {TOKEN}",
}


def by_hand(authorization: str) -> dict[str, Any]:
    """What a careful engineer writes with PyJWT: one secret, the algorithm pinned, `exp` and `sub` required."""
    token = authorization.removeprefix("Bearer ")
    return jwt.decode(
        token, bytes.fromhex(SECRET), algorithms=["HS256"], options={"require": ["exp", "sub"]}, leeway=30
    )


class ASGIByHand:
    """The smallest ASGI middleware around PyJWT."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["claims"] = by_hand(dict(scope["headers"])[b"authorization"].decode())
        await self.app(scope, receive, send)


def starlettes() -> dict[str, Callable[[], None]]:
    """Calls of the three Starlette applications."""

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def application(*middleware: Middleware) -> Callable[[], None]:
        app = Starlette(routes=[Route("/", home)], middleware=list(middleware))
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def calls() -> None:
            for _ in range(CALLS):
                scope = {
                    "type": "http",
                    "method": "GET",
                    "path": "/",
                    "root_path": "",
                    "query_string": b"",
                    "headers": headers,
                }
                await app(scope, receive, send)

        def run() -> None:
            loop.run_until_complete(calls())
            if set(statuses) != {200}:
                raise RuntimeError("a request was not answered with 200")

        return run

    loop = asyncio.new_event_loop()
    return {
        "bare": application(),
        "PyJWT by hand": application(Middleware(ASGIByHand)),
        "Wicket": application(Middleware(ASGIMiddleware, gate=GATE)),
    }


def flasks() -> dict[str, Callable[[], None]]:
    """Calls of the three Flask applications."""

    def application(wrap: Callable[[Any], Any]) -> Callable[[], None]:
        app = flask.Flask("benchmark")
        app.add_url_rule("/", view_func=lambda: "ok")
        wrapped = wrap(app.wsgi_app)
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()}
        environ.update({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "api.example"})
        environ.update({"SERVER_PORT": "80", "wsgi.url_scheme": "http", "SCRIPT_NAME": ""})

        def start_response(status: str, headers: Any, error: Any = None) -> None:
            if status != "200 OK":
                raise RuntimeError("a request was not answered with 200")

        def run() -> None:
            for _ in range(CALLS):
                for _chunk in wrapped(dict(environ), start_response):
                    pass

        return run

    def with_pyjwt(inner: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            environ["claims"] = by_hand(environ["HTTP_AUTHORIZATION"])
            return inner(environ, start_response)

        return middleware

    return {
        "bare": application(lambda inner: inner),
        "PyJWT by hand": application(with_pyjwt),
        "Wicket": application(lambda inner: WSGIMiddleware(inner, GATE)),
    }


def measure(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Microseconds for one request of each, the median over interleaved rounds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begun) / CALLS * 1e6)
    return {name: statistics.median(each[5:]) for name, each in times.items()}


def main() -> None:
    """Print one table."""
    print(f"{'':14}{'bare':>10}{'PyJWT by hand':>18}{'Wicket':>14}{'Wicket / PyJWT':>18}")
    for framework, runs in (("Starlette", starlettes()), ("Flask", flasks())):
        figures = measure(runs)
        bare = figures.pop("bare")
        by_hand_adds, wicket_adds = (figures[name] - bare for name in ("PyJWT by hand", "Wicket"))
        ratio = wicket_adds / by_hand_adds
        print(f"{framework:14}{bare:>8.1f}µs{by_hand_adds:>+16.1f}µs{wicket_adds:>+12.1f}µs{ratio:>18.2f}")


if __name__ == "__main__":
    main()

"""Measures the time that Wicket adds to a request for every way in which an app can be configured.

Each figure is relative to the hand-written PyJWT middleware of `peers`, in the same framework and the same run. That
middleware reads one header for the app and one for the token, whatever the shape is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, Literal

import flask
import jwt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks import fixtures, peers
from benchmarks.fixtures import APP_ID, EC, ORIGIN, ORIGINS, SECRET
from benchmarks.measure import Row, interleaved
from wicket import App, AppRef, Bearer, Cookie, Gate, Header, Mode, PublicKey, Query, Secret, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

CALLS: Final = 100
ROUNDS: Final = 31
BARE: Final = "bare"
PYJWT: Final = "PyJWT by hand"

Client = Callable[["Call", int], int]
"""A function of a call and a count: it sends that many requests and returns the last status."""


@dataclass(frozen=True)
class Call:
    """One request."""

    headers: tuple[tuple[str, str], ...]
    query: str = ""
    body: bytes | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True)
class Shape:
    """One configuration and one request. `bounds` are the bounds for ASGI and for WSGI."""

    name: str
    gate: Gate
    call: Call
    bounds: tuple[float, float]
    status: int = 200
    framework: Literal["", "asgi", "wsgi"] = field(default="")


_HEADERS: Final = (0.30, 0.22)
_QUERY: Final = (0.40, 0.40)
_SLOWER: Final = (0.50, 0.50)
_BODY: Final = (1.2, 1.2)
_BROWSER: Final = tuple(
    (name, value)
    for name, value in fixtures.headers_of("").items()
    if name not in ("x-app-id", "authorization", "origin")
)


def _call(*headers: tuple[str, str], query: str = "", body: bytes | None = None, origin: str | None = ORIGIN) -> Call:
    page = (("origin", origin),) if origin is not None else ()
    kind = () if body is None else (("content-type", "application/json"), ("content-length", str(len(body))))
    return Call((*_BROWSER, *page, *kind, *headers), query, body)


def _token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    now = fixtures.now()
    given = {"sub": "user-1", "userId": "user-1", "name": "Ada Lovelace", "iat": now, "exp": now + 3600, **claims}
    return jwt.encode(given, key, algorithm)


def _bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


def shapes() -> list[Shape]:
    """Returns every shape of the table."""
    generic = fixtures.app_with()
    other = profiles.generic("other", credentials=[Secret(SECRET[::-1])], origins=ORIGINS)
    good = _bearer(_token())
    named = ("x-app-id", APP_ID)
    return [
        Shape("one app, no name", Gate([generic]), _call(good), _HEADERS),
        Shape("one app, one header", Gate([generic]), _call(named, good), _HEADERS),
        Shape("two apps, one header", fixtures.gate_with(generic, other), _call(named, good), _HEADERS),
        Shape(
            "two app locations",
            Gate([generic, other], app_locations=[Header("X-App-Id"), Query("appId")]),
            _call(named, good),
            _HEADERS,
        ),
        *_profiles(),
        *_registries(generic, named, good),
        Shape(
            "log-only",
            fixtures.gate_with(fixtures.app_with(mode=Mode.LOG_ONLY), other),
            _call(named, good),
            _HEADERS,
        ),
        Shape("POST, token in a header", fixtures.gate_with(generic, other), _call(named, good, body=b"{}"), _QUERY),
        Shape(
            "token in a cookie",
            Gate([_changed(token_locations=[Bearer(), Cookie("t")])]),
            _call(("cookie", f"theme=dark; t={_token()}")),
            _SLOWER,
        ),
        *_refusals(generic, other, named),
    ]


def _changed(**settings: Any) -> App:
    return profiles.generic(APP_ID, credentials=[Secret(SECRET)], origins=ORIGINS, **settings)


def _profiles() -> list[Shape]:
    settings: dict[str, Any] = {"credentials": [Secret(SECRET)], "origins": ORIGINS}
    userz = Gate([profiles.userz(APP_ID, publishable_key="pub_acme", **settings)])
    user = ("x-userz-user-token", _token(app=APP_ID))
    hissuno, featurebase = (
        Gate([profiles.hissuno(APP_ID, **settings)]),
        Gate([profiles.featurebase(APP_ID, **settings)]),
    )
    pem = PublicKey.from_pem(fixtures.public_pem("ES256"), algorithms=["ES256"])
    issuer = "https://id.acme.example"
    feedback = profiles.getuserfeedback(APP_ID, issuer=issuer, credentials=[pem], origins=ORIGINS)
    second = profiles.getuserfeedback("other", issuer="https://id.other.example", credentials=[pem], origins=ORIGINS)
    signed = _bearer(_token(EC, "ES256", iss=issuer, aud="https://api.getuserfeedback.com"))
    project = json.dumps({"projectId": APP_ID, "widgetToken": _token()}).encode()
    two = Gate([profiles.hissuno(APP_ID, **settings), profiles.hissuno("o", credentials=[Secret(SECRET[::-1])])])
    return [
        Shape("userz", userz, _call(("authorization", "Bearer pub_acme"), user), _HEADERS),
        Shape("hissuno, query and bearer", hissuno, _call(_bearer(_token()), query=f"projectId={APP_ID}"), _QUERY),
        Shape("featurebase, query and bearer", featurebase, _call(_bearer(_token()), query=f"appId={APP_ID}"), _QUERY),
        Shape(
            "featurebase, app and token in the query",
            featurebase,
            _call(query=f"appId={APP_ID}&jwt={_token()}"),
            _QUERY,
        ),
        Shape("getuserfeedback, header", Gate([feedback, second]), _call(("x-app-id", APP_ID), signed), _HEADERS),
        Shape("getuserfeedback, token's issuer", Gate([feedback, second]), _call(signed), _SLOWER),
        Shape("hissuno, app and token in the body", two, _call(body=project), _BODY),
    ]


def _registries(generic: App, named: tuple[str, str], good: tuple[str, str]) -> list[Shape]:
    userz = profiles.userz(APP_ID, publishable_key="pub_acme", credentials=[Secret(SECRET)], origins=ORIGINS)
    by_id = dict.fromkeys(generic.refs(), generic)
    by_key = dict.fromkeys(userz.refs(), userz)
    user = ("x-userz-user-token", _token(app=APP_ID))
    return [
        Shape(
            "registry, header",
            Gate(registry=by_id.get, app_locations=[Header("X-App-Id")]),
            _call(named, good),
            _HEADERS,
        ),
        Shape(
            "registry, publishable key",
            Gate(registry=by_key.get, app_locations=profiles.userz.app_locations),
            _call(("authorization", "Bearer pub_acme"), user),
            _HEADERS,
        ),
    ]


def _refusals(generic: App, other: App, named: tuple[str, str]) -> list[Shape]:
    gate = fixtures.gate_with(generic, other)
    gate.decide(fixtures.request_of(fixtures.token_for("user-1")))  # the app and the origin are known
    old = fixtures.now() - 10_000
    expired, forged = _bearer(_token(iat=old, exp=old + 60)), _bearer(_token(SECRET[::-1]))
    return [
        Shape("refused: no token", gate, _call(named), (0.5, 0.5), 401),
        Shape("refused: garbage", gate, _call(named, _bearer("garbage")), (0.5, 0.5), 401),
        Shape("refused: expired", gate, _call(named, expired), (0.7, 0.7), 401),
        Shape("refused: bad signature", gate, _call(named, forged), (0.8, 0.8), 401),
        Shape("refused: foreign origin", gate, _call(named, forged, origin=fixtures.FOREIGN_ORIGIN), (0.8, 0.8), 403),
    ]


def rows() -> list[Row]:
    """Returns one row per shape and protocol, and the rows that compare the shapes and `gate.verify`."""
    lines: list[Row] = []
    for protocol, bare, pyjwt, wrapped in (
        ("ASGI", _asgi(), _asgi_by_hand(), _asgi_wrapped),
        ("WSGI", _wsgi(), _wsgi_by_hand(), _wsgi_wrapped),
    ):
        lines += _table(protocol, bare, pyjwt, wrapped)
    return [*lines, *_verify()]


def _table(protocol: str, bare: Client, pyjwt: Client, wrapped: Callable[[Gate], Client]) -> list[Row]:
    by_hand = Call(tuple(fixtures.headers_of(_token()).items()))
    cases = shapes()
    batches: dict[str, Callable[[], object]] = {
        BARE: _batch(bare, by_hand, 200),
        f"{BARE} POST": _batch(bare, _call(body=b"{}"), 200),
        PYJWT: _batch(pyjwt, by_hand, 200),
    }
    for shape in cases:
        batches[shape.name] = _batch(wrapped(shape.gate), shape.call, shape.status)
    samples = interleaved(batches, calls=CALLS, rounds=ROUNDS)
    added = samples.median(PYJWT, less=BARE)
    lines, ratios = [], {}
    for shape in cases:
        less = BARE if shape.call.body is None else f"{BARE} POST"
        # A refusal does not reach the application, so its whole time counts.
        micros = samples.median(shape.name) if shape.status != 200 else samples.median(shape.name, less=less)
        bound = shape.bounds[protocol == "WSGI"]
        ratios[shape.name] = micros / added
        if bound == _HEADERS[protocol == "WSGI"]:
            ratios[f"header: {shape.name}"] = micros / added
        note = f"{micros:.1f} µs, {PYJWT} {added:.1f} µs"
        lines.append(Row("shapes", f"{protocol}, {shape.name}", micros / added, bound, note=note))
    named = [value for name, value in ratios.items() if name.startswith("header: ")]
    what = f"{protocol}, dearest shape that headers name against the cheapest"
    return [*lines, Row("shapes", what, max(named) / min(named), 1.6)]


def _verify() -> list[Row]:
    app = fixtures.app_with()
    apps = dict.fromkeys(app.refs(), app)
    in_code, loaded = fixtures.gate_with(app), Gate(registry=apps.get, app_locations=[Header("X-App-Id")])
    token, decode = fixtures.token_for("user-1"), peers.pyjwt("HS256")
    ref = AppRef("id", APP_ID)
    samples = interleaved(
        {
            "jwt.decode": _repeat(lambda: decode(token)),
            "in code": _repeat(lambda: fixtures.admitted(in_code.verify(token, app=ref))),
            "registry": _repeat(lambda: fixtures.admitted(loaded.verify(token, app=ref))),
        },
        calls=CALLS,
        rounds=ROUNDS,
    )
    return [
        Row("shapes", f"gate.verify, {name}, against jwt.decode", samples.ratio(name, "jwt.decode")[0], bound)
        for name, bound in (("in code", 0.12), ("registry", 0.16))
    ]


def _repeat(call: Callable[[], object]) -> Callable[[], object]:
    def batch() -> None:
        for _ in range(CALLS):
            call()

    return batch


def _batch(client: Client, call: Call, status: int) -> Callable[[], object]:
    for _ in range(3):
        if client(call, 1) != status:
            raise RuntimeError(f"a request was not answered with {status}: {call.query}")

    def batch() -> None:
        client(call, CALLS)

    return batch


# --- Starlette and Flask


def _cors() -> Middleware:
    return Middleware(CORSMiddleware, allow_origins=list(ORIGINS), expose_headers=["WWW-Authenticate", "Retry-After"])


def _starlette(*middleware: Middleware) -> Any:
    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/", home, methods=["GET", "POST"])], middleware=list(middleware))


def _asgi() -> Client:
    return _asgi_client(_starlette())


def _asgi_by_hand() -> Client:
    check = peers.pyjwt("HS256")
    return _asgi_client(_starlette(_cors(), Middleware(peers.PlainASGIMiddleware, check=check)))


def _asgi_wrapped(gate: Gate) -> Client:
    return _asgi_client(_starlette(Middleware(ASGIMiddleware, gate=gate)))


def _asgi_client(app: Any) -> Client:
    loop = asyncio.new_event_loop()

    async def requests(call: Call, count: int) -> int:
        headers = [(name.encode(), value.encode()) for name, value in call.headers]
        seen = [0]

        async def receive() -> Any:
            return {"type": "http.request", "body": call.body or b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen[0] = message["status"]

        for _ in range(count):
            scope: dict[str, Any] = {
                "type": "http",
                "http_version": "1.1",
                "method": call.method,
                "scheme": "https",
                "path": "/",
            }
            scope |= {"raw_path": b"/", "root_path": "", "query_string": call.query.encode(), "headers": headers}
            scope |= {"client": ("192.0.2.1", 40000), "server": ("api.example", 443)}
            await app(scope, receive, send)
        return seen[0]

    return lambda call, count: loop.run_until_complete(requests(call, count))


def _flask() -> flask.Flask:
    app = flask.Flask("benchmark")
    app.add_url_rule("/", "home", lambda: "ok", methods=["GET", "POST"])
    return app


def _wsgi() -> Client:
    return _wsgi_client(_flask().wsgi_app)


def _wsgi_by_hand() -> Client:
    app = _flask()
    peers.flask_cors(app)
    return _wsgi_client(peers.PlainWSGIMiddleware(app.wsgi_app, peers.pyjwt("HS256")))


def _wsgi_wrapped(gate: Gate) -> Client:
    return _wsgi_client(WSGIMiddleware(_flask().wsgi_app, gate))


def _wsgi_client(app: Any) -> Client:
    def client(call: Call, count: int) -> int:
        seen = [0]

        def start_response(status: str, headers: Any, error: Any = None) -> None:
            seen[0] = int(status[:3])

        environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in call.headers}
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if f"HTTP_{name}" in environ:
                environ[name] = environ.pop(f"HTTP_{name}")
        environ |= {"REQUEST_METHOD": call.method, "PATH_INFO": "/", "QUERY_STRING": call.query, "SCRIPT_NAME": ""}
        environ |= {"SERVER_NAME": "api.example", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1"}
        environ |= {"wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1"}
        for _ in range(count):
            for _chunk in app({**environ, "wsgi.input": BytesIO(call.body or b"")}, start_response):
                pass
        return seen[0]

    return client

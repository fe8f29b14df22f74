"""`wicket demo`: sends requests to a Starlette and a Flask application with one gate, and prints the responses."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import flask
import httpx
import jwt
import uvicorn
import waitress.server
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from wicket import App, Decision, Gate, Mode, PublicKey, Secret, mint, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.contrib.flask import Wicket
from wicket.contrib.flask import decision_of as flask_decision_of
from wicket.contrib.starlette import decision_of

_ISSUER = "https://id.globex.example"


@dataclass(frozen=True)
class Row:
    """One request and its expected response."""

    title: str
    query: str
    headers: dict[str, str]
    status: int
    code: str | None = None
    reason: str | None = None
    who: str = ""


@dataclass
class Vendors:
    """One app of each vendor, with secrets that are generated for this run. The last app is in log-only mode."""

    private_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        pem = self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.userz = profiles.userz(
            "65fa1f3e8a1e5f2d9c1a5c01",
            publishable_key="pub_acme",
            credentials=[Secret.from_hex(secrets.token_hex(32))],
            origins=["https://acme.example", "*.acme.example"],
        )
        self.hissuno = profiles.hissuno(
            "initech",
            credentials=[Secret.from_text(f"sk_live_{secrets.token_hex(16)}")],
            origins=["https://initech.example"],
        )
        self.featurebase = profiles.featurebase(
            "umbrella",
            credentials=[Secret.from_text(secrets.token_urlsafe(32))],
            origins=["https://umbrella.example"],
        )
        self.getuserfeedback = profiles.getuserfeedback(
            "globex",
            issuer=_ISSUER,
            credentials=[PublicKey.from_pem(pem, algorithms=["ES256"])],
            origins=["https://globex.example"],
            mode=Mode.LOG_ONLY,
        )

    def apps(self) -> list[App]:
        """Return the four apps."""
        return [self.userz, self.hissuno, self.featurebase, self.getuserfeedback]

    def issue_token(self, now: float) -> str:
        """Return a token of ten minutes from the issuer of the fourth app, which has the private key."""
        return mint(self.getuserfeedback, "user-4", ttl=600, now=now, key=self.private_key)


def demo_rows(vendors: Vendors) -> list[Row]:
    """Return the requests of the demonstration."""
    now = time.time()
    userz_token = mint(vendors.userz, "user-1")
    hissuno_token = mint(vendors.hissuno, "user-2")
    head, body, signature = hissuno_token.split(".")
    flipped = "B" if signature[0] == "A" else "A"
    unsigned = jwt.encode({"userId": "user-2", "exp": now + 600}, "", algorithm="none")

    def userz(token: str, **more: str) -> dict[str, str]:
        return {"Authorization": "Bearer pub_acme", "X-Userz-User-Token": token, **more}

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    who = {app.profile: f"{app.id}:user-{number}" for number, app in enumerate(vendors.apps(), 1)}
    who["featurebase"] = f"{vendors.featurebase.id}:userId:user-3"  # it has several user-id claims
    return [
        Row("userz, good", "", userz(userz_token, Origin="https://www.acme.example"), 200, who=who["userz"]),
        Row("hissuno, good", "projectId=initech", bearer(hissuno_token), 200, who=who["hissuno"]),
        Row(
            "featurebase, good",
            "appId=umbrella",
            bearer(mint(vendors.featurebase, "user-3")),
            200,
            who=who["featurebase"],
        ),
        Row("getuserfeedback, good", "", bearer(vendors.issue_token(now)), 200, who=who["getuserfeedback"]),
        Row(
            "userz, expired", "", userz(mint(vendors.userz, "user-1", now=now - 9000)), 401, "invalid_token", "expired"
        ),
        Row(
            "userz, wrong app",
            "",
            userz(mint(profiles.userz("another", credentials=vendors.userz.credentials), "user-1")),
            401,
            "invalid_token",
            "wrong_app",
        ),
        Row(
            "hissuno, tampered",
            "projectId=initech",
            bearer(f"{head}.{body}.{flipped}{signature[1:]}"),
            401,
            "invalid_token",
            "bad_signature",
        ),
        Row("hissuno, alg: none", "projectId=initech", bearer(unsigned), 401, "invalid_token", "algorithm_not_allowed"),
        Row("hissuno, missing", "projectId=initech", {}, 401, "missing_token"),
        Row(
            "featurebase, token of another app",
            "appId=umbrella",
            bearer(hissuno_token),
            400,
            "invalid_token",
            "bad_signature",
        ),
        Row("userz, blocked origin", "", userz(userz_token, Origin="https://evil.example"), 403, "origin_not_allowed"),
        Row("unknown app", "projectId=nobody", bearer(hissuno_token), 401, "unknown_app"),
        Row("log-only, good", "appId=globex", bearer(vendors.issue_token(now)), 200, who=who["getuserfeedback"]),
        Row(
            "log-only, expired",
            "appId=globex",
            bearer(vendors.issue_token(now - 1200)),
            200,
            "invalid_token",
            "expired",
        ),
        Row("log-only, missing", "appId=globex", {}, 200, "missing_token"),
    ]


def _describe(decision: Decision) -> dict[str, Any]:
    """Return the response of a handler: the user and, in log-only mode, the refusal that is not enforced."""
    refusal = decision.refusal
    return {
        "who": decision.identity.identity or "anonymous",
        "would_refuse": refusal and {"code": refusal.code, "reason": refusal.reason},
    }


def starlette_app(gate: Gate) -> Starlette:
    """Return a Starlette application with one route and the gate's middleware."""

    async def me(request: Request) -> JSONResponse:
        return JSONResponse(_describe(decision_of(request)))

    return Starlette(routes=[Route("/me", me)], middleware=[Middleware(ASGIMiddleware, gate=gate)])


def flask_app(gate: Gate) -> flask.Flask:
    """Return a Flask application with one view and the same gate."""
    app = flask.Flask("wicket-demo")

    @app.get("/me")
    def me() -> dict[str, Any]:
        return _describe(flask_decision_of(flask.request))

    Wicket(gate).init_app(app)
    return app


@contextlib.contextmanager
def servers(gate: Gate) -> Iterator[dict[str, str]]:
    """Run both applications on free loopback ports, on uvicorn and waitress. Yield their addresses by name."""
    asgi_socket, wsgi_socket = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    asgi_server = uvicorn.Server(uvicorn.Config(starlette_app(gate), log_level="warning", lifespan="off"))
    wsgi_server: Any = waitress.server.create_server(flask_app(gate), sockets=[wsgi_socket], threads=4)
    threads = [
        threading.Thread(target=asgi_server.run, args=([asgi_socket],), daemon=True),
        threading.Thread(target=wsgi_server.run, daemon=True),
    ]
    sockets = {"Starlette/uvicorn": asgi_socket, "Flask/waitress": wsgi_socket}
    addresses = {name: f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in sockets.items()}
    for thread in threads:
        thread.start()
    try:
        yield addresses
    finally:
        asgi_server.should_exit = True
        wsgi_server.trigger.pull_trigger(
            wsgi_server.close
        )  # on the server's thread, because its loop still uses the sockets
        for thread in threads:
            thread.join(10)
        wsgi_server.task_dispatcher.shutdown()


def run_demo(console: Console, *, serve: bool) -> int:
    """Send every request to both servers and print the responses. Return 1 if one was unexpected, otherwise 0."""
    vendors = Vendors()
    rows = demo_rows(vendors)
    unexpected = 0
    with Gate(vendors.apps()) as gate, servers(gate) as addresses, httpx.Client(trust_env=False) as client:
        for server, address in addresses.items():
            table = Table("request", "status", "code", "reason", "who", "", title=server)
            for row in rows:
                status, code, reason, who = _send(client, address, row)
                matches = (status, code, reason, who) == (
                    row.status,
                    row.code,
                    row.reason,
                    row.who or ("anonymous" if status == 200 else ""),
                )
                unexpected += not matches
                table.add_row(
                    row.title,
                    str(status),
                    code,
                    reason,
                    who,
                    Text("✓", "green") if matches else Text("✗ unexpected", "red"),
                )
            console.print(table)
        console.print(f"{2 * len(rows) - unexpected} of {2 * len(rows)} responses were as expected.")
        if serve:
            _serve(console, addresses, rows)
    return 1 if unexpected else 0


def _send(client: httpx.Client, address: str, row: Row) -> tuple[int, str | None, str | None, str]:
    response = client.get(f"{address}/me?{row.query}", headers=row.headers)
    body = response.json()
    if response.status_code == 200:
        refusal = body["would_refuse"] or {"code": None, "reason": None}
        return 200, refusal["code"], refusal["reason"], body["who"]
    if isinstance(body["error"], dict):  # the vendor's format has one word: the reason if there is one, else the code
        word = body["error"]["code"]
        return response.status_code, row.code if word in (row.code, row.reason) else None, row.reason and word, ""
    return response.status_code, body["error"], body["reason"], ""


def _serve(console: Console, addresses: dict[str, str], rows: list[Row]) -> None:
    console.print("\nBoth servers run until Ctrl-C. Try:\n")
    for address in addresses.values():
        for row in rows[:1] + rows[8:9]:
            headers = "".join(f"-H '{name}: {value}' " for name, value in row.headers.items())
            console.print(Text(f"# {row.title}\ncurl -i {headers}'{address}/me?{row.query}'\n"), soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()

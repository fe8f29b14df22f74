"""The clients of the soak: their requests, and the expected responses. Every wrong response is recorded."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from benchmarks.soak.apps import ORIGIN, STORED, app_of, secret_of
from benchmarks.soak.issuing import SLACK, Rotating
from wicket import App, mint, profiles

TIMEOUT: Final = 20.0
_PAUSE: Final = 0.002
_BRIEF: Final = 2


class Response(NamedTuple):
    """A response: the status, and the content of the body."""

    status: int
    user: str | None
    length: int | None
    reason: str | None


class Book:
    """The outcomes of each kind of request with their counts, and the wrong responses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []

    def write(self, kind: str, outcome: str, *, right: bool) -> None:
        """Record one response."""
        with self._lock:
            self.counts[kind, outcome] += 1
            if not right:
                self.wrong.append(f"{kind}: {outcome}")


class Client:
    """The requests of one thread to one server, chosen at random with a fixed seed."""

    def __init__(self, server: str, port: int, seed: str, rotating: Rotating, book: Book, number: int) -> None:
        self._server = server
        self._port = port
        self._seed = seed
        self._rotating = rotating
        self._book = book
        self._choice = random.Random(f"{server} {number}")
        self._apps: dict[str, App] = {}
        self._connection: http.client.HTTPConnection | None = None
        self._usual = {
            id: [mint(self._app(id), f"user-{number}", ttl=86_400) for number in range(5)]
            for id in ("alpha", "beta", "gamma")
        }
        self._acts: list[Callable[[], None]] = [
            *(self._known, self._known, self._known, self._fresh, self._issued, self._issued, self._stored),
            *(self._forged, self._expired, self._garbage, self._of_another_app, self._unsigned, self._cross_origin),
            *(self._unknown_app, self._unknown_kid, self._body, self._body, self._large_body, self._hang_up),
        ]

    def run(self, stopped: threading.Event) -> None:
        """Send requests until the event is set."""
        try:
            while not stopped.wait(_PAUSE):
                self._choice.choice(self._acts)()
        finally:
            self._leave()

    def once(self) -> None:
        """Send each kind of request once."""
        for act in self._acts:
            act()
        self._leave()

    # --- requests

    def _known(self) -> None:
        id = self._choice.choice(tuple(self._usual))
        number = self._choice.randrange(5)
        self._admitted("a known token", id, f"user-{number}", self._usual[id][number])

    def _fresh(self) -> None:
        user = f"fresh-{self._choice.randrange(500)}"
        self._admitted(
            "a new token", "alpha", user, mint(self._app("alpha"), user, claims={"jti": secrets.token_hex(8)})
        )

    def _stored(self) -> None:
        id = f"stored-{self._choice.randrange(STORED)}"
        self._admitted("an app of the registry", id, "ada", mint(self._app(id), "ada"))

    def _issued(self) -> None:
        key, token, user = self._rotating.token(self._choice)
        begun = time.monotonic()
        response = self._ask("keyed", token)
        verdict = key.verdict(begun)
        admitted = response.status == 200
        self._rotating.saw(key, begun, admitted=admitted)
        right = (response.user == f"keyed:{user}" if admitted else _key_not_found(response)) and verdict in (
            None,
            admitted,
        )
        age = {True: "of a key in use", False: "of a withdrawn key", None: "of a key that comes or goes"}[verdict]
        self._note(f"an issuer's token, {age}", response, right=right)

    def _forged(self) -> None:
        other = profiles.generic("beta", credentials=[secret_of(f"not {self._seed}", "beta")])
        self._refused("a forged token", "beta", mint(other, "root"), "bad_signature")

    def _of_another_app(self) -> None:
        self._refused("another app's token", "beta", self._usual["alpha"][0], "bad_signature")

    def _expired(self) -> None:
        token = mint(self._app("alpha"), "ada", ttl=60, now=time.time() - 1000 - self._choice.randrange(1000))
        self._refused("an expired token", "alpha", token, "expired")

    def _garbage(self) -> None:
        self._refused("garbage", "alpha", secrets.token_urlsafe(self._choice.randrange(1, 6000)), "malformed")

    def _unsigned(self) -> None:
        header = _segment({"alg": "none", "typ": "JWT"})
        claims = _segment({"sub": "root", "exp": int(time.time()) + 60})
        self._refused("an unsigned token", "alpha", f"{header}.{claims}.", "algorithm_not_allowed", "malformed")

    def _unknown_kid(self) -> None:
        _, token, _ = self._rotating.token(self._choice)
        header = _segment({"alg": "ES256", "typ": "JWT", "kid": secrets.token_hex(6)})
        response = self._ask("keyed", ".".join([header, *token.split(".")[1:]]))
        self._note("an unknown kid", response, right=response.user is None and _key_not_found(response))

    def _unknown_app(self) -> None:
        response = self._ask(f"nobody-{secrets.token_hex(6)}", self._usual["alpha"][0])
        self._note("an unknown app", response, right=response.status == 401 and response.user is None)

    def _cross_origin(self) -> None:
        origin = self._choice.choice((ORIGIN, "https://evil.example"))
        response = self._ask("gamma", self._usual["gamma"][0], {"Origin": origin})
        right = (response.status, response.user) == ((200, "gamma:user-0") if origin == ORIGIN else (403, None))
        self._note(f"from {origin}", response, right=right)

    def _body(self) -> None:
        good = self._choice.random() < 0.7
        app = self._app("body")
        token = mint(app, "ada", ttl=600) if good else mint(app, "ada", ttl=60, now=time.time() - 1000)
        document = {"projectId": "body", "widgetToken": token, "text": "x" * self._choice.randrange(30_000)}
        body = json.dumps(document).encode()
        response = self._ask(None, None, {"Content-Type": "application/json"}, body)
        expected = (200, "body:ada", len(body)) if good else (401, None, None)
        self._note(f"a {'good' if good else 'bad'} token in a body", response, right=response[:3] == expected)

    def _large_body(self) -> None:
        body = b"x" * self._choice.randrange(70_000, 200_000)
        response = self._ask("beta", self._usual["beta"][1], {"Content-Type": "application/json"}, body)
        self._note("a large body", response, right=response[:3] == (200, "beta:user-1", len(body)))

    def _hang_up(self) -> None:
        """Disconnect within the headers, within the body, or before the response."""
        document = json.dumps({"projectId": "body", "widgetToken": "x.y.z", "text": "x" * 20_000})
        head = f"POST /me HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(document)}"
        data = f"{head}\r\n\r\n{document}".encode()
        with socket.create_connection(("127.0.0.1", self._port), TIMEOUT) as leaving:
            leaving.sendall(data[: self._choice.choice((50, len(head) + 1000, len(data)))])
        self._book.write("a client that hangs up", "gone", right=True)

    # --- long-lived connections

    def sockets(self, stopped: threading.Event) -> None:
        """Open WebSockets until the event is set; the server must close each when its token expires, not earlier."""
        while not stopped.wait(_PAUSE):
            self._one_socket(hang_up=self._choice.random() < 0.3)

    def _one_socket(self, *, hang_up: bool) -> None:
        token, expires = self._brief()
        url, headers = f"ws://127.0.0.1:{self._port}/socket", {"X-App-Id": "brief"}
        try:
            connect(url, additional_headers={**headers, "Authorization": f"Bearer {token}x"}, proxy=None).close()
        except InvalidStatus as refused:
            status = refused.response.status_code
            self._book.write("a bad socket", str(status), right=status == 401)
        else:
            self._book.write("a bad socket", "opened", right=False)
        with connect(url, additional_headers={**headers, "Authorization": f"Bearer {token}"}, proxy=None) as opened:
            try:
                while True:
                    opened.send("ping")
                    said = opened.recv(TIMEOUT)
                    self._book.write("a message on a socket", "echoed", right=said == "brief:ada ping")
                    if hang_up:
                        opened.socket.shutdown(socket.SHUT_RDWR)
                        break
                    time.sleep(0.05)
            except ConnectionClosed as closed:
                late = time.time() - expires
                code = closed.rcvd.code if closed.rcvd is not None else None
                self._book.write("a socket", f"closed with {code}", right=code == 4401 and 0 <= late < 1 + SLACK)

    def streams(self, stopped: threading.Event) -> None:
        """Read event streams until the event is set; each must end when its token expires, not earlier."""
        while not stopped.wait(_PAUSE):
            token, expires = self._brief()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            with contextlib.closing(connection):
                connection.request("GET", "/stream", headers=_headers("brief", token))
                answer = connection.getresponse()
                if self._choice.random() < 0.3:
                    answer.read(10)
                    self._book.write("a client that hangs up", "gone", right=True)
                    continue
                answer.read()
                late = time.time() - expires
                outcome = f"{answer.status}, then its end"
                self._book.write("a stream", outcome, right=answer.status == 200 and 0 <= late < 1 + SLACK)

    # --- HTTP

    def _app(self, id: str) -> App:
        if id not in self._apps:
            self._apps[id] = app_of(self._seed, id)
        return self._apps[id]

    def _brief(self) -> tuple[str, float]:
        now = time.time()
        return mint(self._app("brief"), "ada", ttl=_BRIEF, now=now), int(now) + _BRIEF

    def _admitted(self, kind: str, id: str, user: str, token: str) -> None:
        response = self._ask(id, token)
        self._note(kind, response, right=response[:3] == (200, f"{id}:{user}", 0))

    def _refused(self, kind: str, id: str, token: str, *reasons: str) -> None:
        response = self._ask(id, token)
        self._note(kind, response, right=response.status == 401 and response.reason in reasons)

    def _note(self, kind: str, response: Response, *, right: bool) -> None:
        outcome = "200" if response.status == 200 else f"{response.status} {response.reason or ''}".strip()
        self._book.write(kind, f"{outcome}, {self._server}" if not right else outcome, right=right)

    def _ask(
        self, id: str | None, token: str | None, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        sent = {**_headers(id, token), **(headers or {})}
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            try:
                self._connection.request("POST" if body is not None else "GET", "/me", body, sent)
                answer = self._connection.getresponse()
                response = json.loads(answer.read())
            except (http.client.HTTPException, ConnectionError):
                self._leave()  # a server may close a persistent connection
                if attempt == 2:
                    raise
            else:
                return Response(answer.status, response.get("user"), response.get("length"), response.get("reason"))
        raise AssertionError("unreachable")

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _headers(id: str | None, token: str | None) -> dict[str, str]:
    named = {"X-App-Id": id} if id is not None else {}
    return {**named, "Authorization": f"Bearer {token}"} if token is not None else named


def _segment(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _key_not_found(response: Response) -> bool:
    """Whether the set is known not to have the key, or the budget of fetches for unknown keys is spent."""
    return (response.status, response.reason) == (401, "key_not_found") or response.status == 503

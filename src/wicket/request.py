"""The neutral view of a request and of an answer, the same for ASGI and WSGI; no rule lives here.

Header values are text decoded as latin-1, as WSGI has them. The path is what the application routes on, without
the prefix under which the application is mounted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from wicket.errors import invalid_request

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name. Of a repeated one only the first value stays, marked by a comma at its end.

    Cookies are joined instead: HTTP/2 may split them over several headers (RFC 9113 section 8.2.3).
    """
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in pairs:
        if name == "cookie":
            cookies.append(value)
        elif name not in headers:
            headers[name] = value
        elif not headers[name].endswith(","):
            headers[name] += ","
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    return headers


def _decoded(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


@functools.lru_cache(maxsize=256)
def _environ_name(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


class Request:
    """What the decision needs to know of one HTTP request or WebSocket handshake.

    `method` is upper case (`"GET"` for a handshake), `query` the raw query string, `headers` pairs of text;
    names compare without regard to case. `websocket` marks a handshake.
    """

    __slots__ = ("_find", "method", "path", "query", "websocket")

    _find: Callable[[str], str | None]

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        *,
        websocket: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.websocket = websocket
        self._find = _collect((name.lower(), value) for name, value in headers).get

    @classmethod
    def from_asgi(cls, scope: MutableMapping[str, Any]) -> Request:
        """View an ASGI `http` or `websocket` scope."""
        self = cls.__new__(cls)
        self.websocket = scope["type"] == "websocket"
        self.method = "GET" if self.websocket else scope["method"]
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            path = path[len(root) :]
        self.path = path
        self.query = scope.get("query_string", b"").decode("latin-1")
        pairs = tuple(scope["headers"])
        raw: dict[bytes, bytes] = dict(pairs)
        if len(raw) == len(pairs) and b"".join(raw).islower():
            # As nearly always: each name stands once, in lower case. Then only what is asked for is decoded.
            self._find = lambda name: _decoded(raw.get(name.encode("latin-1")))
        else:
            self._find = _collect(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs
            ).get
        return self

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any]) -> Request:
        """View a WSGI environ (PEP 3333)."""
        self = cls.__new__(cls)
        self.websocket = False
        self.method = environ["REQUEST_METHOD"]
        path: str = environ.get("PATH_INFO", "")
        self.path = path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")
        self.query = environ.get("QUERY_STRING", "")
        self._find = lambda name: environ.get(_environ_name(name))
        return self

    def header(self, name: str) -> str | None:
        """The value of the header `name` (lower case), with a comma in it if it was repeated; None without one."""
        return self._find(name)

    def single(self, name: str) -> str | None:
        """The value of a header that may stand only once, without outer blanks.

        WSGI servers and some gateways join repeated headers with a comma, so a comma counts as a repetition:
        `invalid_request`.
        """
        value = self._find(name)
        if value is None:
            return None
        if "," in value:
            raise invalid_request(f"The header {name} may be sent once, with one value.")
        return value.strip(" \t")

    @property
    def unsafe(self) -> bool:
        """Whether the request may change something: a handshake, or a method that is not safe (RFC 9110 9.2.1)."""
        return self.websocket or self.method not in _SAFE_METHODS

    @property
    def preflight(self) -> bool:
        """Whether this is a CORS preflight (Fetch standard: OPTIONS, Origin, Access-Control-Request-Method)."""
        return (
            self.method == "OPTIONS"
            and not self.websocket
            and self._find("origin") is not None
            and self._find("access-control-request-method") is not None
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer given by Wicket itself: status, header pairs with lower-case names, and the whole body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

"""The neutral view of a request and of an answer, the same for ASGI and WSGI; no rule lives here.

Header values are text decoded as latin-1, as WSGI has them. The path is what the application routes on, without
the prefix under which the application is mounted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, AnyStr, Final

from wicket.errors import WicketError, invalid_request
from wicket.messages.json_body import JSONObject
from wicket.messages.paths import LONGEST_PATH, loosened, readings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def _collect(pairs: Iterable[tuple[AnyStr, AnyStr]], cookie: AnyStr, comma: AnyStr, glue: Any) -> dict[AnyStr, AnyStr]:
    """Headers by lower-case name. Of a repeated one only the first value stays, marked by a comma at its end.

    Cookies are joined instead: HTTP/2 may split them over several headers (RFC 9113 section 8.2.3).
    """
    headers: dict[AnyStr, AnyStr] = {}
    cookies: list[AnyStr] = []
    for given, value in pairs:
        name = given.lower()
        if name == cookie:
            cookies.append(value)
        elif name not in headers:
            headers[name] = value
        elif not headers[name].endswith(comma):
            headers[name] += comma
    if cookies:
        headers[cookie] = glue.join(cookies)
    return headers


class HeaderNames(dict[str, Any]):
    """How a header's name is spelled where it is looked up. Only names of the configuration are asked for."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # each is itself, whatever names it has come to hold

    def __init__(self, spell: Callable[[str], Any]) -> None:
        self._spell = spell

    def __missing__(self, name: str) -> Any:
        spelled = self[name] = self._spell(name)
        return spelled


def _environ_name(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


_BLANK: Final = (" ", "\t")
_MAX_PADDING: Final = 256
MAX_HEADERS: Final = 256
"""How many headers a request may have. Servers that have a limit admit about 100 of them, and browsers send 20."""

_PLAIN: Final = HeaderNames(str)
_WIRE: Final = HeaderNames(lambda name: name.encode("latin-1"))
_ENVIRON: Final = HeaderNames(_environ_name)


def _stripped(name: str, text: str) -> str:
    if len(text) > _MAX_PADDING and not (text[:_MAX_PADDING].strip(" \t") and text[-_MAX_PADDING:].strip(" \t")):
        raise invalid_request(f"The header {name} has too many blanks around its value.")
    return text.strip(" \t")


class Body:
    """A body that may be read ahead of the application, once: by blocking, by awaiting, or both.

    `length` is how many bytes it is said to have, None where nothing says so. Where a read gives None, `unread` says
    why, as the end of a sentence: it has too many bytes, it did not arrive in time. `unframed` says that neither its
    length nor its end is known, as where there is none.
    """

    length: int | None = None
    unread: str = "it could not be read"
    unframed: bool = False

    def read(self, limit: int, seconds: float) -> bytes | None:
        """All of it, blocking; None where it has more than `limit` bytes or takes longer than `seconds`."""
        raise WicketError("this body can only be awaited: use adecide")

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """As `read`, without blocking the event loop."""
        raise WicketError("this body can only be read by blocking: use decide")


def too_large(length: int, limit: int) -> str:
    """Why a body of so many bytes is not read."""
    return f"it has {length:,} bytes; limits.max_body_bytes allows {limit:,}"


class BytesBody(Body):
    """A body that is in memory already."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.length = len(raw)

    def read(self, limit: int, seconds: float) -> bytes | None:
        """All of it, unless it has more than `limit` bytes."""
        if len(self._raw) <= limit:
            return self._raw
        self.unread = too_large(len(self._raw), limit)
        return None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """As `read`."""
        return self.read(limit, seconds)


class Request:
    """What the decision needs to know of one HTTP request or WebSocket handshake.

    `method` is upper case (`"GET"` for a handshake), `query` the raw query string, `headers` pairs of text;
    names compare without regard to case. `websocket` marks a handshake. `body` is what may be read where a token or
    the app's name rides in it; `document` is what was found there, once it has been read. `body_unread` is a sentence
    that says why a body was looked for and not read; None for a body that was read, and for a request without one.
    `flooded` marks a request with too many headers to look at: it has none here, and every decision refuses it.
    """

    # Every request makes one of these, and few are asked for more than some headers: all else is read when asked for.
    # `held` and `spelled` are the headers as the server gave them and how their names are spelled there: what they are
    # called elsewhere, `header` knows.
    websocket: bool = False
    body: Body | None = None
    document: JSONObject | None = None
    body_unread: str | None = None
    flooded: bool = False
    raw_headers: Mapping[Any, Any]
    header_names: HeaderNames
    # `root` is the root that the middleware was told, where it was; then the server's does not count.
    root: str | None = None
    # `roots` are others that the application removes too, and `mounts` those of its parts that have no boundary.
    roots: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    _scope: Mapping[str, Any]

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        *,
        websocket: bool = False,
        body: bytes | Body | None = None,
    ) -> None:
        self._scope = {"method": method, "path": path, "query_string": query.encode("latin-1", "replace")}
        self.header_names = _PLAIN
        pairs = list(headers)
        self.flooded = len(pairs) > MAX_HEADERS
        self.raw_headers = {} if self.flooded else _collect(pairs, "cookie", ",", "; ")
        self.websocket = websocket
        self.body = BytesBody(body) if isinstance(body, bytes) else body

    @classmethod
    def from_asgi(cls, scope: MutableMapping[str, Any], body: Body | None = None) -> Request:
        """View an ASGI `http` or `websocket` scope."""
        self = cls.__new__(cls)
        self._scope = scope
        if scope["type"] == "websocket":
            self.websocket = True
        if body is not None:
            self.body = body
        pairs = scope["headers"]
        if pairs.__class__ is not list:
            # An iterator can be read once: the application reads the list that the scope keeps from now on.
            pairs = scope["headers"] = [(name, value) for name, value in pairs]
        self.header_names = _WIRE
        if len(pairs) > MAX_HEADERS:
            self.raw_headers, self.flooded = {}, True
            return self
        raw_headers: dict[bytes, bytes] = dict(pairs)
        # As nearly always: each name stands once, in lower case.
        ordinary = len(raw_headers) == len(pairs) and b"".join(raw_headers).islower()
        self.raw_headers = raw_headers if ordinary else _collect(pairs, b"cookie", b",", b"; ")
        return self

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], body: Body | None = None) -> Request:
        """View a WSGI environ (PEP 3333)."""
        self = cls.__new__(cls)
        self._scope = self.raw_headers = environ
        self.header_names = _ENVIRON
        if body is not None:
            self.body = body
        return self

    @property
    def method(self) -> str:
        """The method; `GET` for a handshake."""
        if self.websocket:
            return "GET"
        method: str = self._scope["REQUEST_METHOD" if self.header_names is _ENVIRON else "method"]
        return method

    @property
    def path(self) -> str:
        """The path, decoded, without the root under which the application is mounted.

        A router may take the request for another path: see `readings`.
        """
        path, root = self._full_path, self._served_root if self.root is None else self.root
        if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            path = path[len(root) :]
        return path

    @property
    def readings(self) -> tuple[str, ...]:
        """Every path that a router may take the request for, decoded and without the root (see `wicket.messages.paths`)."""
        path, served, root = self._full_path, self._served_root, self.root
        found = readings(path, served) if root is None else _under(root, path, served)
        for each in self.roots:
            more = _under(each, path, served)
            found = tuple(dict.fromkeys((*found, *more))) if found and more else ()
        return loosened(found, self.mounts) if self.mounts else found

    @property
    def _full_path(self) -> str:
        if self.header_names is _ENVIRON:
            raw: str = self._scope.get("PATH_INFO", "")
            if raw.isascii():
                return raw
            raw = raw[: 4 * LONGEST_PATH + 1]  # a character has four bytes at most, so this is still too long
            return raw.encode("latin-1", "replace").decode("utf-8", "replace")
        path: str = self._scope["path"]
        return path

    @property
    def _served_root(self) -> str:
        """The root that the server names and leaves in the path; WSGI servers remove it themselves."""
        return "" if self.header_names is _ENVIRON else self._scope.get("root_path") or ""

    @property
    def names_remote_user(self) -> bool:
        """Whether the client sent a header that CGI, and frameworks after it, call `REMOTE_USER`.

        True if there are too many headers to look at.
        """
        raw_headers = self.raw_headers
        if self.flooded:
            return True
        if self.header_names is _WIRE:
            return b"remote-user" in raw_headers or b"remote_user" in raw_headers
        return "remote-user" in raw_headers or "remote_user" in raw_headers

    @property
    def query(self) -> str:
        """The query as it was sent, without the question mark."""
        if self.header_names is _ENVIRON:
            text: str = self._scope.get("QUERY_STRING", "")
            return text
        raw: bytes = self._scope.get("query_string") or b""
        return raw.decode("latin-1")

    def header(self, name: str) -> str | None:
        """The value of the header `name` (lower case), with a comma in it if it was repeated; None without one."""
        value: Any = self.raw_headers.get(self.header_names[name])
        return value.decode("latin-1") if value.__class__ is bytes else value

    def header_size(self, name: str) -> int:
        """How many characters the header `name` has, 0 without one, for what must not be copied to be measured."""
        return len(self.raw_headers.get(self.header_names[name]) or "")

    def single_header(self, name: str) -> str | None:
        """The value of a header that may stand only once, without outer blanks.

        WSGI servers and some gateways join repeated headers with a comma, so a comma counts as a repetition:
        `invalid_request`.
        """
        value: Any = self.raw_headers.get(self.header_names[name])
        if value is None:
            return None
        text: str = value.decode("latin-1") if value.__class__ is bytes else value
        if "," in text:
            raise invalid_request(f"The header {name} may be sent once, with one value.")
        return text if text[:1] not in _BLANK and text[-1:] not in _BLANK else _stripped(name, text)

    @property
    def media_type(self) -> str:
        """What the body is said to be, without parameters and in lower case (RFC 9110 section 8.3.1)."""
        return (self.header("content-type") or "").partition(";")[0].strip(" \t").lower()

    @property
    def is_unsafe(self) -> bool:
        """Whether the request may change something: a handshake, or a method that is not safe (RFC 9110 9.2.1)."""
        return self.websocket or self.method not in _SAFE_METHODS

    @property
    def is_preflight(self) -> bool:
        """Whether this is a CORS preflight (Fetch standard: OPTIONS, Origin, Access-Control-Request-Method)."""
        return (
            self.method == "OPTIONS"
            and not self.websocket
            and self.header("origin") is not None
            and self.header("access-control-request-method") is not None
        )


def _under(root: str, path: str, served: str) -> tuple[str, ...]:
    """The readings under a root that the application sets, while the scope has the root `served`."""
    found = readings(path, root)
    if found and root and served.startswith(f"{root}/"):
        # A part that is mounted within the application: its router removes the mount point as well.
        within = readings(path, served)
        return (*found, *(each for each in within if each not in found)) if within else ()
    return found

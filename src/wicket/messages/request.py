"""A neutral view of one request, the same for ASGI and WSGI. It contains no rules.

Header values are strings decoded as latin-1, as in WSGI. The path is the one on which the application routes, without
the prefix under which the application is mounted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from wicket.errors import invalid_request
from wicket.messages.body import Body as Body
from wicket.messages.body import BytesBody as BytesBody
from wicket.messages.body import too_large as too_large
from wicket.messages.form_body import FormData
from wicket.messages.headers import (
    ASGI_NAMES,
    ASGI_SEPARATORS,
    STRING_NAMES,
    STRING_SEPARATORS,
    WSGI_NAMES,
    collect_headers,
    is_single_authorization,
    strip_padding,
)
from wicket.messages.headers import MAX_HEADERS as MAX_HEADERS
from wicket.messages.headers import HeaderNames as HeaderNames
from wicket.messages.json_body import JSONObject
from wicket.messages.paths import LONGEST_PATH, loosened, readings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_SPACE = (" ", "\t")


class Request:
    """One HTTP request or WebSocket handshake, as far as the decision needs it.

    Args:
        method: the method in upper case. `"GET"` for a handshake.
        path: the decoded path.
        query: the raw query string, without the question mark.
        headers: pairs of strings. Names are compared without regard to case.
        websocket: True for a WebSocket handshake.
        body: the body, which is read if a token or app location is in it. None: no body.

    Attributes:
        websocket: True for a WebSocket handshake.
        body: the body, or None.
        document: the JSON object or the form in the body, once it has been read. None before, and if there is none.
        body_unread: a sentence that says why a body was needed and not read. None if it was read, and if there is none.
        flooded: True if the request has more than `MAX_HEADERS` headers. Then it has none here, and every decision
            refuses it.
        raw_headers: the headers as the server passes them.
        header_names: the keys of `raw_headers` by lower-case header name.
        root: the root that was configured in the middleware. None: the root that the server passes counts.
        roots: further roots that the application removes.
        mounts: the mount points whose sub-applications have no segment boundary.
    """

    # A request object is made for every request, and most attributes are rarely used. So they have class defaults, and
    # everything else is read from the scope or environ when it is needed.
    websocket: bool = False
    body: Body | None = None
    document: JSONObject | FormData | None = None
    body_unread: str | None = None
    flooded: bool = False
    raw_headers: Mapping[Any, Any]
    header_names: HeaderNames
    root: str | None = None
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
        self.header_names = STRING_NAMES
        pairs = list(headers)
        self.flooded = len(pairs) > MAX_HEADERS
        self.raw_headers = {} if self.flooded else collect_headers(pairs, ",", STRING_SEPARATORS)
        self.websocket = websocket
        self.body = BytesBody(body) if isinstance(body, bytes) else body

    @classmethod
    def from_asgi(cls, scope: MutableMapping[str, Any], body: Body | None = None) -> Request:
        """Return a view of an ASGI scope.

        Args:
            scope: an `http` or `websocket` scope. If its headers are an iterator, they are replaced by a list.
            body: the body, or None.
        """
        self = cls.__new__(cls)
        self._scope = scope
        if scope["type"] == "websocket":
            self.websocket = True
        if body is not None:
            self.body = body
        pairs = scope["headers"]
        if pairs.__class__ is not list:
            # An iterator can be read only once, so the application gets the list.
            pairs = scope["headers"] = [(name, value) for name, value in pairs]
        self.header_names = ASGI_NAMES
        if len(pairs) > MAX_HEADERS:
            self.raw_headers, self.flooded = {}, True
            return self
        raw_headers: dict[bytes, bytes] = dict(pairs)
        # The common case: every name occurs once and is in lower case.
        common = len(raw_headers) == len(pairs) and b"".join(raw_headers).islower()
        self.raw_headers = raw_headers if common else collect_headers(pairs, b",", ASGI_SEPARATORS)
        return self

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], body: Body | None = None) -> Request:
        """Return a view of a WSGI environ (PEP 3333).

        Args:
            environ: the environ.
            body: the body, or None.
        """
        self = cls.__new__(cls)
        self._scope = self.raw_headers = environ
        self.header_names = WSGI_NAMES
        if body is not None:
            self.body = body
        return self

    @property
    def scope(self) -> Mapping[str, Any]:
        """The ASGI scope or the WSGI environ of the request."""
        return self._scope

    @property
    def method(self) -> str:
        """The method. `"GET"` for a handshake."""
        if self.websocket:
            return "GET"
        method: str = self._scope["REQUEST_METHOD" if self.header_names is WSGI_NAMES else "method"]
        return method

    @property
    def path(self) -> str:
        """The decoded path, without the root under which the application is mounted.

        A router may derive another path from the request. See `readings`.
        """
        path, root = self._full_path, self._served_root if self.root is None else self.root
        if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            path = path[len(root) :]
        return path

    @property
    def readings(self) -> tuple[str, ...]:
        """Every path that a router may derive from the request, decoded, without the root (`wicket.messages.paths`)."""
        path, served, root = self._full_path, self._served_root, self.root
        paths = readings(path, served) if root is None else _readings_under(root, path, served)
        for other in self.roots:
            more = _readings_under(other, path, served)
            paths = tuple(dict.fromkeys((*paths, *more))) if paths and more else ()
        return loosened(paths, self.mounts) if self.mounts else paths

    @property
    def _full_path(self) -> str:
        """The decoded path, including the root."""
        if self.header_names is WSGI_NAMES:
            raw: str = self._scope.get("PATH_INFO", "")
            if raw.isascii():
                return raw
            raw = raw[: 4 * LONGEST_PATH + 1]  # a character has at most four bytes, so the result is still too long
            return raw.encode("latin-1", "replace").decode("utf-8", "replace")
        path: str = self._scope["path"]
        return path

    @property
    def _served_root(self) -> str:
        """The root that the server passes and leaves in the path. Empty for WSGI, where the server removes it."""
        return "" if self.header_names is WSGI_NAMES else self._scope.get("root_path") or ""

    @property
    def query(self) -> str:
        """The raw query string, without the question mark."""
        if self.header_names is WSGI_NAMES:
            query: str = self._scope.get("QUERY_STRING", "")
            return query
        raw: bytes = self._scope.get("query_string") or b""
        return raw.decode("latin-1")

    def header(self, name: str) -> str | None:
        """Return the value of a header.

        Args:
            name: the name in lower case.

        Returns:
            The value. It contains a comma if the header was repeated. None if the header is absent.
        """
        value: Any = self.raw_headers.get(self.header_names[name])
        return value.decode("latin-1") if value.__class__ is bytes else value

    def header_size(self, name: str) -> int:
        """Return the length of a header value in characters, without a copy. 0 if the header is absent.

        Args:
            name: the name in lower case.
        """
        return len(self.raw_headers.get(self.header_names[name]) or "")

    def single_header(self, name: str) -> str | None:
        """Return the value of a header that must not be repeated.

        WSGI servers and some gateways join repeated headers with a comma, so a comma counts as a repetition.

        Args:
            name: the name in lower case.

        Returns:
            The value without spaces and tabs around it. None if the header is absent.

        Raises:
            Refused: `invalid_request`, if the value contains a comma, or too many spaces around it.
        """
        raw: Any = self.raw_headers.get(self.header_names[name])
        if raw is None:
            return None
        value: str = raw.decode("latin-1") if raw.__class__ is bytes else raw
        if "," in value:
            raise invalid_request(f"The header {name} must be sent only once, with a single value.")
        return value if value[:1] not in _SPACE and value[-1:] not in _SPACE else strip_padding(name, value)

    def authorization(self, scheme: str) -> str | None:
        """Return the value of the Authorization header if it has a scheme (RFC 9110 section 11.6.2).

        The parameters of other schemes, such as Digest, are separated by commas. So a comma counts as a repetition only
        after `scheme`, at the end of the value, or in front of `scheme`.

        Args:
            scheme: the scheme in lower case.

        Returns:
            The whole value without spaces and tabs around it. None if the header is absent or has another scheme.

        Raises:
            Refused: `invalid_request`, if the header is repeated, or has too many spaces around its value.
        """
        value = self.header("authorization")
        if value is None:
            return None
        if "," in value and is_single_authorization(value, scheme):
            return None
        value = self.single_header("authorization")
        return value if value is not None and value[: len(scheme)].lower() == scheme else None

    @property
    def media_type(self) -> str:
        """The media type of the body in lower case, without parameters (RFC 9110 section 8.3.1). Empty if absent."""
        return (self.header("content-type") or "").partition(";")[0].strip(" \t").lower()

    @property
    def is_unsafe(self) -> bool:
        """Whether the request may change state: a handshake, or an unsafe method (RFC 9110 section 9.2.1)."""
        return self.websocket or self.method not in _SAFE_METHODS

    @property
    def is_preflight(self) -> bool:
        """Whether this is a CORS preflight: OPTIONS with Origin and Access-Control-Request-Method (Fetch standard)."""
        return (
            self.method == "OPTIONS"
            and not self.websocket
            and self.header("origin") is not None
            and self.header("access-control-request-method") is not None
        )


def _readings_under(root: str, path: str, served: str) -> tuple[str, ...]:
    """Return the readings under a root that the application sets, if the server passes the root `served`."""
    paths = readings(path, root)
    if paths and root and served.startswith(f"{root}/"):
        # A sub-application that is mounted within the application. Its router removes the mount point too.
        inner = readings(path, served)
        return (*paths, *(item for item in inner if item not in paths)) if inner else ()
    return paths

"""Where in a request the token and the app's name ride. Places are read, never believed: what they hold is unverified.

    names an app     PublicKeyBearer, Header, Query, PathSegment, Host, TokenIssuer
    holds the token  Bearer, Header, Query, Cookie

A value that stands twice in one place is `invalid_request`, whichever of the two an attacker hoped we would take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, get_args, runtime_checkable
from urllib.parse import unquote_plus

from wicket.errors import config_error, invalid_request
from wicket.request import Request

NameKind = Literal["id", "public_key", "host", "issuer"]

MAX_NAME: Final = 128
_NAME: Final = re.compile(r"[\x21-\x7e]{1,128}")
_BLANK: Final = re.compile(r"[ \t\r\n\x0b\x0c\xa0]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class AppRef(NamedTuple):
    """One way to name an app: the kind of name, and the name. Unverified: for looking up, and for nothing else."""

    kind: NameKind
    value: str


@runtime_checkable
class NamingPlace(Protocol):
    """A place where a request may name its app."""

    @property
    def kind(self) -> NameKind:
        """Which of an app's names stands there."""
        ...

    def read(self, request: Request) -> str | None:
        """The name that stands there, or None; raises `Refused` where it stands twice."""
        ...


@runtime_checkable
class TokenPlace(Protocol):
    """A place where a request may carry its token."""

    def read(self, request: Request) -> str | None:
        """The text that stands there, or None; raises `Refused` where it stands twice."""
        ...


def is_place(each: object, kind: type) -> bool:
    """Whether `each` is a place of that kind: an object, not the class of one."""
    return isinstance(each, kind) and not isinstance(each, type)


def shaped(name: str) -> bool:
    """Whether a name may be looked up at all: 1 to 128 visible ASCII characters, no blank."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _bearer(request: Request) -> str | None:
    """The credentials of `Authorization: Bearer` (RFC 6750 section 2.1); the scheme compares without case."""
    value = request.single("authorization")
    if value is None or value[:6].lower() != "bearer":
        return None
    rest = value[6:].lstrip(" ")
    if not rest or rest == value[6:]:
        if rest and rest[0] not in "\t\r\n\x0b\x0c\xa0":
            return None  # another scheme whose name begins alike
        raise invalid_request("Authorization: Bearer must be followed by a blank and one token.")
    if _BLANK.search(rest):
        raise invalid_request("Authorization: Bearer must be followed by one token and nothing else.")
    return rest


def _once(values: list[str], where: str) -> str | None:
    if len(values) > 1:
        raise invalid_request(f"{where} may be given once.")
    return values[0] if values else None


def _check_kind(kind: object) -> None:
    if kind not in get_args(NameKind):
        raise config_error("kind", "is not a kind of name", f"one of {', '.join(get_args(NameKind))}")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token rides in `Authorization: Bearer`."""

    def read(self, request: Request) -> str | None:
        """The bearer token, if one was sent."""
        return _bearer(request)


@dataclass(frozen=True, slots=True)
class PublicKeyBearer:
    """`Authorization: Bearer pub_…` names the app by its public key; a bearer without `prefix` names nothing."""

    prefix: str = "pub_"
    kind: NameKind = "public_key"

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not shaped(self.prefix):
            raise config_error("prefix", "must be visible characters with which public keys begin")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The public key, if one was sent."""
        bearer = _bearer(request)
        return bearer if bearer is not None and bearer.startswith(self.prefix) else None


@dataclass(frozen=True, slots=True)
class Header:
    """A header of its own names the app or holds the token. The name compares without case."""

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TOKEN.fullmatch(self.name):
            raise config_error("name", "is not the name of a header")
        if self.name.lower() in ("authorization", "origin", "cookie", "host"):
            raise config_error(
                "name", f"{self.name} has a place of its own", "Bearer(), PublicKeyBearer(), Cookie(…), Host()"
            )
        object.__setattr__(self, "name", self.name.lower())
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The header's value, if it was sent and is not empty."""
        return request.single(self.name) or None


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter names the app or holds the token. A token in a URL ends up in logs: use it where you must."""

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise config_error("name", "is not the name of a query parameter")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The parameter's value, if it was sent and is not empty."""
        query = request.query
        if self.name not in query and "%" not in query and "+" not in query:
            return None
        pairs = (part.partition("=") for part in query.split("&"))
        return (
            _once([unquote_plus(value) for name, _, value in pairs if unquote_plus(name) == self.name], self.name)
            or None
        )


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie holds the token. The app must then have explicit origins, and unsafe requests must carry an Origin."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TOKEN.fullmatch(self.name):
            raise config_error("name", "is not the name of a cookie")

    def read(self, request: Request) -> str | None:
        """The cookie's value, if it was sent and is not empty."""
        header = request.header("cookie")
        if header is None or self.name not in header:
            return None
        pairs = (part.partition("=") for part in header.split(";"))
        return (
            _once([value.strip(" \t") for name, _, value in pairs if name.strip(" \t") == self.name], self.name) or None
        )


@dataclass(frozen=True, slots=True)
class PathSegment:
    """The segment of the path at `index`, counted from 0 behind the application's mount point, names the app."""

    index: int = 0
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.index, int) or isinstance(self.index, bool) or not 0 <= self.index <= 99:
            raise config_error("index", "must be the number of a segment, counted from 0")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The segment, if the path has it and it is not empty."""
        segments = request.path.split("/", self.index + 2)
        return segments[self.index + 1] or None if len(segments) > self.index + 1 else None


class Host:
    """The Host header names the app: whole, or by the label that stands for `*` in `pattern` (`*.widgets.example`)."""

    __slots__ = ("_suffix", "kind")

    def __init__(self, pattern: str | None = None) -> None:
        self.kind: NameKind = "host" if pattern is None else "id"
        self._suffix: str | None = None
        if pattern is not None:
            if not isinstance(pattern, str) or not pattern.startswith("*.") or len(pattern) < 3 or "*" in pattern[1:]:
                raise config_error("pattern", "must be *. and a domain", "*.widgets.example")
            self._suffix = pattern[1:].lower()

    def read(self, request: Request) -> str | None:
        """The host without its port, in lower case, or its first label."""
        host = request.single("host")
        if not host:
            return None
        name = re.sub(r":[0-9]*\Z", "", host).lower()
        if self._suffix is None:
            return name
        label = name.removesuffix(self._suffix)
        return label if label and label != name and "." not in label else None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """The token's own `iss` names the app, and only where nothing else names one. The token is then verified as any."""

    kind: NameKind = "issuer"

    def read(self, request: Request) -> str | None:
        """Nothing: the issuer is read out of the token, by the decision's flow."""
        return None

"""CORS settings (Fetch standard, section 3.2): what the pages of allowed origins may read, of a gate or of one app."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from wicket.config.origins import NO_ORIGINS, OriginPolicy
from wicket.errors import Problems
from wicket.messages.headers import HTTP_TOKEN

_MAX_AGE: Final = 86_400


@dataclass(frozen=True, init=False, slots=True)
class CORS:
    """CORS settings of a gate. The settings of an app replace those of the gate as a whole.

    Args:
        credentials: Whether a page may send cookies and read the response (`credentials: "include"`). Only pages whose
            origin is in the app's `origins` may, never those of an app that allows every origin.
        expose: Names of response headers that a page may read, in addition to `WWW-Authenticate` and `Retry-After`.
        max_age: How long a browser may cache the response to a preflight, in seconds: 0 to 86400.
        private_network: Whether a page of a public site may call this server if it is in a private network (Private
            Network Access).

    Raises:
        ConfigError: A value is invalid. Each problem has the path to its field.
    """

    credentials: bool
    expose: tuple[str, ...]
    max_age: int
    private_network: bool

    def __init__(
        self,
        credentials: bool = False,
        expose: Iterable[str] = (),
        max_age: int = 600,
        private_network: bool = False,
    ) -> None:
        problems = Problems()
        flags: tuple[tuple[str, Any], ...] = (("credentials", credentials), ("private_network", private_network))
        for name, value in flags:
            if not isinstance(value, bool):
                problems.add(name, "must be true or false")
        names = problems.as_tuple("expose", expose, "header names")
        for index, name in enumerate(names):
            if not isinstance(name, str) or not HTTP_TOKEN.fullmatch(name) or name == "*":
                problems.add(f"expose[{index}]", "is not the name of a header", "X-Request-ID")
        if isinstance(max_age, bool) or not isinstance(max_age, int) or not 0 <= max_age <= _MAX_AGE:
            problems.add("max_age", f"must be 0 to {_MAX_AGE} whole seconds")
        problems.raise_if_any()
        object.__setattr__(self, "credentials", credentials)
        object.__setattr__(self, "expose", names)
        object.__setattr__(self, "max_age", max_age)
        object.__setattr__(self, "private_network", private_network)


class GateCORS(NamedTuple):
    """The CORS settings of a gate, and the origins that its apps in code list.

    Attributes:
        default: The settings for apps without their own.
        listed: The patterns of those apps that are exact origins. Empty if the gate allows no credentials.
    """

    default: CORS
    listed: OriginPolicy = NO_ORIGINS

    def allows_unknown(self, origin: str) -> bool:
        """Return whether a page may send credentials to an app that is not known yet.

        Args:
            origin: The origin of the page.
        """
        return self.default.credentials and self.listed.lists(origin)


DEFAULT_CORS: Final = CORS()

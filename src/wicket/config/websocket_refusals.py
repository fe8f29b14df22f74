"""How a WebSocket is refused: with the HTTP response of the handshake, or accepted and closed with a code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from wicket.errors import Problems, Refusal

_CODES: Final = MappingProxyType({400: 4400, 401: 4401, 403: 4403, 429: 4429, 503: 4503})
_POLICY_VIOLATION: Final = 1008
"""The close code for other statuses (RFC 6455 section 7.4.1)."""


@dataclass(frozen=True, init=False, slots=True)
class WebSocketRefusals:
    """How the ASGI middleware refuses a WebSocket of an app, and with which code it closes one.

    A page's script cannot read the response to a refused handshake: it gets the close code 1006 for every cause. With
    `accept=True`, the middleware accepts the handshake and closes the WebSocket at once with a code and a reason. The
    application does not see it. The codes are also those of `close_on_expiry`.

    Args:
        accept: Whether to accept the handshake and then close the WebSocket. False: the handshake is refused.
        codes: The close code for each status of a refusal. A status that is not listed has its default: 4400 for 400,
            4401 for 401, 4403 for 403, 4429 for 429, 4503 for 503. A code is 1008 or one from 3000 to 4999 (RFC 6455
            section 7.4.2).

    Raises:
        ConfigError: A value is invalid. Each problem has the path to its field.
    """

    accept: bool
    codes: Mapping[int, int] = field(hash=False)

    def __init__(self, accept: bool = False, codes: Mapping[int, int] = _CODES) -> None:
        problems = Problems()
        if not isinstance(accept, bool):
            problems.add("accept", "must be true or false")
        if not isinstance(codes, Mapping):
            problems.add("codes", "must map statuses to close codes", "{401: 4401}")
            codes = {}
        for status, code in codes.items():
            if not _is_integer(status) or not 400 <= status <= 599:
                problems.add(f"codes[{status!r}]", "is not for the status of a refusal", "400 to 599")
            elif not _is_integer(code) or not (3000 <= code <= 4999 or code == _POLICY_VIOLATION):
                problems.add(f"codes[{status!r}]", "is not a close code for applications", "3000 to 4999, or 1008")
        problems.raise_if_any()
        object.__setattr__(self, "accept", accept)
        object.__setattr__(self, "codes", MappingProxyType({**_CODES, **codes}))

    def code_for(self, refusal: Refusal) -> int:
        """Return the close code for a refusal.

        Args:
            refusal: The refusal.
        """
        return self.codes.get(refusal.status, _POLICY_VIOLATION)


def close_reason(refusal: Refusal) -> str:
    """Return the word that a close frame has as its reason: the refusal's reason, or else its code."""
    return refusal.reason or refusal.code


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


DEFAULT_WEBSOCKET_REFUSALS: Final = WebSocketRefusals()
"""The setting of an app that has none: the handshake is refused."""

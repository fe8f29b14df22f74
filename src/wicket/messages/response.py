"""An HTTP response of Wicket's own."""

from __future__ import annotations

from typing import NamedTuple


class Response(NamedTuple):
    """An answer given by Wicket itself: status, header pairs with lower-case names, and the whole body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

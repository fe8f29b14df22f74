"""An HTTP response that Wicket sends itself."""

from __future__ import annotations

from typing import NamedTuple


class Response(NamedTuple):
    """A response that Wicket sends instead of the application.

    Attributes:
        status: the HTTP status code.
        headers: pairs of a lower-case name and a value.
        body: the whole body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

"""An HTTP response that Wicket sends itself."""

from __future__ import annotations

from typing import NamedTuple


class Response(NamedTuple):
    """The status, the headers and the body of a response that Wicket sends instead of the application.

    Attributes:
        status: The HTTP status code.
        headers: Pairs of a lower-case name and a value.
        body: The whole body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

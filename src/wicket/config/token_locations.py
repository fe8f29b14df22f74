"""The token locations of an app or of a gate, in the order in which they are read."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

from wicket.config.locations import TokenLocation, body_types, plain_header, read_headers

_NO_HEADER: Final[tuple[str | None, str]] = (None, "")


class TokenLocations:
    """An app's token locations in order of precedence: headers and query, then cookies, then the body.

    Args:
        locations: The token locations.
        other_body_locations: Further locations. The body locations among them extend `body_types`.

    Attributes:
        headers_and_query: The locations that are neither cookies nor in the body.
        cookies: The cookies.
        body: The fields of the body.
        body_types: The media types of the body locations.
        main_header: The lower-case name of the header that the fast path reads first; None if no location is a header,
            or if a location may read anything.
        main_prefix: The text before the token in `main_header`.
        besides_main: The locations among `headers_and_query` other than `main_header`.
    """

    __slots__ = ("besides_main", "body", "body_types", "cookies", "headers_and_query", "main_header", "main_prefix")

    def __init__(self, locations: Iterable[TokenLocation], other_body_locations: Iterable[TokenLocation] = ()) -> None:
        items = tuple(locations)
        self.cookies = tuple(item for item in items if item.phase == "cookies")
        self.body = tuple(item for item in items if item.phase == "body")
        self.headers_and_query = tuple(item for item in items if item.phase not in ("cookies", "body"))
        self.body_types = body_types((*items, *other_body_locations))
        main = next((item for item in self.headers_and_query if plain_header(item) is not None), None)
        form = None if main is None else plain_header(main)
        self.main_header, self.main_prefix = form if form is not None else _NO_HEADER
        if any(read_headers(item) is None for item in self.headers_and_query):
            self.main_header = None  # such a location may return a value only once, and the flow reads it
        self.besides_main = tuple(item for item in self.headers_and_query if item is not main)


@functools.lru_cache(maxsize=256)
def _interned(locations: tuple[TokenLocation, ...], other_body_locations: tuple[TokenLocation, ...]) -> TokenLocations:
    return TokenLocations(locations, other_body_locations)


def intern_token_locations(
    locations: tuple[TokenLocation, ...], other_body_locations: tuple[TokenLocation, ...]
) -> TokenLocations:
    """Return a `TokenLocations` that apps with equal locations share. This saves memory with 100,000 apps."""
    try:
        return _interned(locations, other_body_locations)
    except TypeError:  # a custom location without a hash
        return TokenLocations(locations, other_body_locations)

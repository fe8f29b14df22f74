"""The token locations of an app or of a gate, in the order in which they are read."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from wicket.config.locations import Bearer, Cookie, Header, JsonBody, TokenLocation, body_types


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
        main_header: The lower-case name of the header that the fast path reads first; None if no location is a header.
        main_prefix: The text before the token in `main_header`.
        besides_main: The locations among `headers_and_query` other than `main_header`.
    """

    __slots__ = ("besides_main", "body", "body_types", "cookies", "headers_and_query", "main_header", "main_prefix")

    def __init__(self, locations: Iterable[TokenLocation], other_body_locations: Iterable[object] = ()) -> None:
        items = tuple(locations)
        self.cookies = tuple(item for item in items if isinstance(item, Cookie))
        self.body = tuple(item for item in items if isinstance(item, JsonBody))
        self.headers_and_query = tuple(item for item in items if not isinstance(item, (Cookie, JsonBody)))
        self.body_types = body_types((*items, *other_body_locations))
        # A subclass may read the request differently.
        main = next((item for item in self.headers_and_query if type(item) in (Bearer, Header)), None)
        self.main_header = main.name if isinstance(main, Header) else None if main is None else "authorization"
        self.main_prefix = "Bearer " if isinstance(main, Bearer) else ""
        self.besides_main = tuple(item for item in self.headers_and_query if item is not main)


@functools.lru_cache(maxsize=256)
def _interned(locations: tuple[TokenLocation, ...], other_body_locations: tuple[object, ...]) -> TokenLocations:
    return TokenLocations(locations, other_body_locations)


def intern_token_locations(
    locations: tuple[TokenLocation, ...], other_body_locations: tuple[object, ...]
) -> TokenLocations:
    """Return a `TokenLocations` that apps with equal locations share. This saves memory with 100,000 apps."""
    try:
        return _interned(locations, other_body_locations)
    except TypeError:  # a custom location without a hash
        return TokenLocations(locations, other_body_locations)

"""The body of a request, which the gate may read before the application does."""

from __future__ import annotations

from wicket.errors import WicketError


class Body:
    """A body that can be read once before the application, by blocking, by awaiting, or both.

    Attributes:
        length: the declared length in bytes. None if none is declared.
        unread: the reason for a read that returned None, as the end of a sentence: it has too many bytes, it did not
            arrive in time.
        unframed: True if neither the length nor the end of the body is known, as in a request without a body.
    """

    length: int | None = None
    unread: str = "it could not be read"
    unframed: bool = False

    def read(self, limit: int, seconds: float) -> bytes | None:
        """Read the whole body. Blocks.

        Args:
            limit: the maximum size in bytes.
            seconds: the maximum time in seconds.

        Returns:
            The body. None if it is larger than `limit` or takes longer than `seconds`.

        Raises:
            WicketError: the body can only be awaited.
        """
        raise WicketError("this body can only be awaited: use adecide")

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """Read the whole body without blocking the event loop. See `read`.

        Args:
            limit: the maximum size in bytes.
            seconds: the maximum time in seconds.

        Returns:
            The body. None if it is larger than `limit` or takes longer than `seconds`.

        Raises:
            WicketError: the body can only be read by blocking.
        """
        raise WicketError("this body can only be read by blocking: use decide")


def too_large(length: int, limit: int) -> str:
    """Return why a body is not read, as a value of `Body.unread`.

    Args:
        length: the length of the body in bytes.
        limit: the maximum size in bytes.
    """
    return f"it has {length:,} bytes; limits.max_body_bytes allows {limit:,}"


class BytesBody(Body):
    """A body that is already in memory.

    Args:
        raw: the whole body.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.length = len(raw)

    def read(self, limit: int, seconds: float) -> bytes | None:
        """Return the body. None if it is larger than `limit` bytes."""
        if len(self._raw) <= limit:
            return self._raw
        self.unread = too_large(len(self._raw), limit)
        return None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """Return the body. None if it is larger than `limit` bytes."""
        return self.read(limit, seconds)

"""Read the request body, if the app or the token may be in it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from wicket.decision.context import GateContext
from wicket.decision.io import Effect, ReadBody
from wicket.messages.form_body import FORM_TYPE, parse_form
from wicket.messages.json_body import parse_body
from wicket.messages.request import Body, Request

_MAX_SHOWN: Final = 256


def read_body(gate: GateContext, request: Request, types: frozenset[str]) -> Generator[Effect, None, None]:
    """Read and parse the body once, if its media type is one of `types`.

    Sets `request.document` to the parsed body, or `request.body_unread` to the reason why it was not read.

    Args:
        gate: The gate, for the limits on size and time.
        request: The request.
        types: The media types of the configured locations in the body.
    """
    body = request.body
    if body is None:
        return
    media_type = request.media_type
    if media_type not in types:
        if _has_content(request, body):
            expected = ", ".join(sorted(types))
            actual = f"its media type is {_escaped(media_type)}" if media_type else "it has no media type"
            request.body_unread = f"The body was not read: {actual}; the configured locations are in {expected}."
        return
    request.body, request.body_unread = None, None
    raw = yield from ReadBody(body, gate.limits.max_body_bytes, gate.limits.body_timeout)
    is_form = media_type == FORM_TYPE
    request.document = parse_form(raw) if is_form else parse_body(raw)
    if raw is None and (not body.unframed or request.header("transfer-encoding") is not None):
        request.body_unread = f"The body was not read: {body.unread}."
    elif raw and request.document is None:
        expected = "a form in UTF-8" if is_form else "a JSON object in UTF-8"
        request.body_unread = f"The body was not read: it is not {expected}."


def _has_content(request: Request, body: Body) -> bool:
    """Return whether the request has a body according to its headers (RFC 9112 section 6.3)."""
    if body.length is not None:
        return body.length > 0
    return bool(request.media_type) or request.header("transfer-encoding") is not None


def _escaped(value: str) -> str:
    """Return a value that the client sent as at most 256 printable ASCII characters."""
    return value[:_MAX_SHOWN].encode("unicode_escape").decode("ascii")[:_MAX_SHOWN]

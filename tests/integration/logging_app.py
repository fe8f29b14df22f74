"""An application that logs what a request tells it to, as Wicket must not: for the watch over the logs of servers."""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger("wicket")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Write the header `X-Tell` into the log, and answer with nothing."""
    if scope["type"] == "http":
        told = dict(scope["headers"])[b"x-tell"].decode("latin-1")
        _log.warning("told: %s", told)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

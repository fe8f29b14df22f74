"""Log records of internal errors, without the text of foreign exceptions."""

from __future__ import annotations

import logging
import traceback
from typing import Final

from wicket.errors import WicketError

_log: Final = logging.getLogger("wicket")


def log_internal_error(what: str, error: BaseException) -> None:
    """Log where `error` came from. Its text is left out unless it is our own: it may quote a token, a key or a name."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    text = f" ({error})" if isinstance(error, WicketError) else ""
    _log.error("%s: %s%s\n%s", what, type(error).__name__, text, frames)

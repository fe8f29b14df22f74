"""Log records of internal errors, without the messages of other libraries' exceptions."""

from __future__ import annotations

import logging
import traceback
from typing import Final

from wicket.errors import WicketError

_log: Final = logging.getLogger("wicket")


def log_internal_error(operation: str, error: BaseException) -> None:
    """Log an unexpected exception at level ERROR, with its type and traceback.

    The message of the exception is included only if it is a `WicketError`. Other messages may quote a token, a key or a
    name.

    Args:
        operation: the failed operation, as the start of the log message.
        error: the exception.
    """
    frames = "".join(traceback.format_tb(error.__traceback__))
    message = f" ({error})" if isinstance(error, WicketError) else ""
    _log.error("%s: %s%s\n%s", operation, type(error).__name__, message, frames)

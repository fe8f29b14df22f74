"""Which URLs of key sets are accepted."""

from __future__ import annotations

from wicket.errors import ConfigError
from wicket.keys.urls import check_url


def is_url(url: object) -> bool:
    """Return whether `check_url` accepts a URL."""
    try:
        check_url(url)
    except ConfigError:
        return False
    return True

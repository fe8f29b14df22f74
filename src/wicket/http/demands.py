"""What every framework's sugar demands of a decision, so that each of them says it in the same words."""

from __future__ import annotations

from wicket.decision.flow import Decision
from wicket.errors import config_error


def demand(held: object, gate: str) -> Decision:
    """The decision of the gate of that name. Raises `ConfigError` where that gate does not stand before the handler."""
    if isinstance(held, Decision):
        return held
    raise config_error(
        "gate",
        f"the gate {gate!r} has decided nothing about this request",
        "put WicketMiddleware before the application, and do not exempt this path",
    )

"""What every framework's sugar demands of a decision, so that each of them says it in the same words."""

from __future__ import annotations

from wicket.decision.flow import Decision
from wicket.errors import config_error
from wicket.gate import Gate


def name_of(gate: Gate | str) -> str:
    """The name under which a gate's decision is kept."""
    return gate if isinstance(gate, str) else gate.name


def demand(held: object, gate: Gate | str) -> Decision:
    """The decision of that gate, or of the one of that name. Raises `ConfigError` where it has made none."""
    if isinstance(held, Decision) and (isinstance(gate, str) or gate.made(held)):
        return held
    raise config_error(
        "gate",
        f"the gate {name_of(gate)!r} has decided nothing about this request",
        "put WicketMiddleware before the application, or Wicket before the blueprint, and do not exempt this path",
    )

"""What every framework's sugar demands of a decision, so that each of them says it in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from wicket.decision.decision import Decision
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.http.binding import belongs_to_environ, belongs_to_scope


def gate_name(gate: Gate | str) -> str:
    """The name under which a gate's decision is kept."""
    return gate if isinstance(gate, str) else gate.name


def demand_in_scope(scope: Mapping[str, Any], gate: Gate | str) -> Decision:
    """Return the decision of `gate`, or of the gate of that name, about the request of an ASGI scope.

    Raises `ConfigError` if there is none, or if it belongs to another request.
    """
    held = _made((scope.get("state") or {}).get(gate_name(gate)), gate)
    return held if belongs_to_scope(held, scope) else _another(gate)


def demand_in_environ(environ: Mapping[str, Any], gate: Gate | str) -> Decision:
    """As `demand_in_scope`, for a WSGI environ."""
    held = _made(environ.get(f"{gate_name(gate)}.decision"), gate)
    return held if belongs_to_environ(held, environ) else _another(gate)


def _made(held: object, gate: Gate | str) -> Decision:
    if isinstance(held, Decision) and (isinstance(gate, str) or gate._owns(held)):
        return held
    raise config_error(
        "gate",
        f"the gate {gate_name(gate)!r} has decided nothing about this request",
        "put WicketMiddleware before the application, or Wicket before the blueprint, and do not exempt this path",
    )


def _another(gate: Gate | str) -> NoReturn:
    raise config_error(
        "gate",
        f"the gate {gate_name(gate)!r} has decided nothing about this request, but about another one",
        "a copy with another query or other headers is a request of its own: pass it through WicketMiddleware",
    )

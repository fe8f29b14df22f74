"""Return the decision about a request to the framework modules in `wicket.contrib`, or raise one common error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from wicket.decision.decision import Decision
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.http.binding import DECIDED, belongs_to_environ, belongs_to_scope


def gate_name(gate: Gate | str) -> str:
    """Return the name under which the decision of a gate is stored.

    Args:
        gate: The gate, or its name.
    """
    return gate if isinstance(gate, str) else gate.name


def check_scopes(scopes: Iterable[object]) -> None:
    """Check the arguments of the decorator `requires_identity`.

    Args:
        scopes: The arguments.

    Raises:
        ConfigError: A scope is not a string, for example because the decorator is used without parentheses.
    """
    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be strings", "write @requires_identity(), with parentheses")


def require_decision_in_scope(scope: Mapping[str, Any], gate: Gate | str) -> Decision:
    """Return the decision about the request of an ASGI scope.

    Args:
        scope: The ASGI scope that the application received, or a copy of it.
        gate: The gate that decided, or its name.

    Raises:
        ConfigError: If the gate has made no decision about this request, or the decision belongs to another request.
    """
    decision = _checked_decision((scope.get("state") or {}).get(gate_name(gate)), gate)
    return decision if belongs_to_scope(decision, scope) else _raise_other_request(gate)


def require_decision_in_environ(environ: Mapping[str, Any], gate: Gate | str) -> Decision:
    """Return the decision about the request of a WSGI environ.

    Args:
        environ: The environ that the application received, or a copy of it.
        gate: The gate that decided, or its name.

    Raises:
        ConfigError: If the gate has made no decision about this request, or the decision belongs to another request.
    """
    decision = _checked_decision(environ.get(f"{gate_name(gate)}.decision"), gate)
    return decision if belongs_to_environ(decision, environ) else _raise_other_request(gate)


def decisions_about(request: Mapping[str, Any]) -> list[Decision]:
    """Return the decisions of all gates about the request of an ASGI scope or a WSGI environ.

    Args:
        request: The scope or the environ.
    """
    if "REQUEST_METHOD" in request:
        values = [request.get(names[0]) for names in request.get(DECIDED, ())]
        return [value for value in values if isinstance(value, Decision) and belongs_to_environ(value, request)]
    values = list((request.get("state") or {}).values())
    return [value for value in values if isinstance(value, Decision) and belongs_to_scope(value, request)]


def gate_decision(decisions: Iterable[Decision], gate: Gate) -> Decision | None:
    """Return the first of `decisions` that `gate` made; None if there is none."""
    return next((decision for decision in decisions if gate._owns(decision)), None)


def _checked_decision(value: object, gate: Gate | str) -> Decision:
    """Return `value` if it is a decision of `gate`. Raise `ConfigError` otherwise."""
    if isinstance(value, Decision) and (isinstance(gate, str) or gate._owns(value)):
        return value
    raise config_error(
        "gate",
        f"the gate {gate_name(gate)!r} has made no decision about this request",
        "wrap the application in WicketMiddleware, or register Wicket on the blueprint, and do not exempt this path",
    )


def _raise_other_request(gate: Gate | str) -> NoReturn:
    raise config_error(
        "gate",
        f"the gate {gate_name(gate)!r} has made no decision about this request, only about another one",
        "a copy with a different query or different headers is a new request: pass it through WicketMiddleware",
    )

"""Bind a decision to its request, and check that a scope or environ belongs to that request.

A decision belongs to one request. Middleware copies scopes and environs, and mounts rewrite `path` and `root_path`.
So neither the identity of the object nor the path identifies the request. These values do:

- ASGI: the scope type, the query string and the header list (the same object, or an equal list).
- WSGI: `QUERY_STRING` and the `HTTP_*` variables.

If a middleware changes the header list or the environ in place, or gives the decided scope another header list, the
headers that name the app or carry the credential must be unchanged. The binding is made for each allowed request. It
is compared only when a handler asks for the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from wicket.config.locations import AppLocation, TokenLocation, read_headers
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.errors import Refusal
from wicket.messages.request import HeaderNames, Request

_ALWAYS_COMPARED: Final = frozenset({"authorization", "cookie", "host", "origin", "sec-websocket-protocol"})
_REMOVED_HEADERS: Final = frozenset({"remote-user", "remote_user"})
_REMOTE_USER_HEADERS: Final = frozenset(name.encode() for name in _REMOVED_HEADERS)
DECIDED: Final = "wicket.decided"
"""The environ key that lists the keys under which gates have stored their decisions."""
_set_item: Final = dict.__setitem__


def bind_to_environ(decision: Decision, request: Request, environ: Mapping[str, Any], key: str) -> None:
    """Bind `decision` to `environ` in the state that the application receives.

    Args:
        decision: The decision about `request`.
        request: The request view of `environ`.
        environ: The WSGI environ, after the last change of its headers.
        key: The environ key under which the caller will store the decision.
    """
    bound = dict(environ)
    bound.pop(key, None)  # a decision must not keep the earlier decisions of a reused environ alive
    bound.pop("werkzeug.request", None)  # it refers to the environ, and Flask breaks that cycle after the request
    decision.binding = id(environ), bound, request.header_names  # a reference to the environ would make a cycle


def belongs_to_scope(decision: Decision, scope: Mapping[str, Any]) -> bool:
    """Return whether `scope` is the decided scope, or a copy with the same type, query and headers."""
    if decision.binding is None:
        return False
    kind, query, bound_list, bound_headers, names, scope_id = decision.binding
    if scope.get("type") != kind or (scope.get("query_string") or b"") != (query or b""):
        return False
    headers = scope.get("headers")
    if (
        headers is not bound_list
        and not _equal_lists(headers, bound_list)
        and (id(scope) != scope_id or not isinstance(headers, list))
    ):
        return False
    current = Request.from_asgi({"type": "http", "headers": headers})
    if current.header_names is names and current.raw_headers == bound_headers:
        return True
    if _comparable_headers(current.raw_headers) == _comparable_headers(bound_headers):
        return True
    return _same_values((bound_headers, names), (current.raw_headers, current.header_names), decision)


def belongs_to_environ(decision: Decision, environ: Mapping[str, Any]) -> bool:
    """Return whether `environ` is the decided environ, or a copy with the same query and headers."""
    if decision.binding is None:
        return False
    environ_id, bound, names = decision.binding
    if (environ.get("QUERY_STRING") or "") != (bound.get("QUERY_STRING") or ""):
        return False
    if _http_variables(environ) == _http_variables(bound):
        return True
    return id(environ) == environ_id and _same_values((bound, names), (environ, names), decision)


class RequestState(dict[str, Any]):
    """The `state` of one request, as a copy of the scope's state.

    Servers and sub-requests may share one state. A copy keeps the decision out of it. A value that the application
    sets is also set in the outer state, where middleware outside the gate reads it.
    """

    __slots__ = ("outer",)

    outer: MutableMapping[str, Any]

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self.outer[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.outer.pop(name, None)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def attach_to_scope(decision: Decision, request: Request, scope: MutableMapping[str, Any], name: str) -> None:
    """Bind `decision` to `scope`, and store it in the state of this scope only.

    Decisions about other requests are left out of the new state. The client's headers that Django reads as the user
    that a front server has authenticated are removed.

    Args:
        decision: The decision about `request`.
        request: The request view of `scope` that was decided.
        scope: The ASGI scope that the application receives.
        name: The name of the gate, which is the key in the state.
    """
    raw_headers = request.raw_headers
    if b"remote-user" in raw_headers or b"remote_user" in raw_headers or request.flooded:  # flooded: none was read
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _REMOTE_USER_HEADERS]
        scope["headers"] = kept
    # `request.raw_headers` holds the decided values, even if the header list is changed afterwards. A reference to the
    # scope would make a cycle.
    query, scope_id = scope.get("query_string"), id(scope)
    decision.binding = scope["type"], query, scope["headers"], raw_headers, request.header_names, scope_id
    outer = scope.get("state")
    if outer is None:
        scope["state"] = {name: decision}
        return
    scope["state"] = state = RequestState(outer)
    state.outer = outer
    if outer:
        for stale_name in _stale_names(outer, scope):
            state.pop(stale_name)
    _set_item(state, name, decision)


def clear_scope(scope: MutableMapping[str, Any]) -> None:
    """Remove the decisions and the user of another request from a scope that is not decided.

    A scope that was copied from a decided one carries them.
    """
    outer = scope.get("state") or {}
    stale = _stale_names(outer, scope)
    if stale:
        scope["state"] = state = RequestState(outer)
        state.outer = outer
        for name in stale:
            state.pop(name)
    identities = [value.identity for name, value in outer.items() if type(value) is Decision and name not in stale]
    user = scope.get("user")
    if issubclass(type(user), Identity) and not any(identity is user for identity in identities):
        del scope["user"]
        scope.pop("auth", None)


def clear_environ(environ: MutableMapping[str, Any]) -> None:
    """Remove the decisions and the user of another request from an environ.

    This covers every gate that decided about this environ, or about the environ from which it was copied.
    """
    for names in environ.get(DECIDED, ()):
        decision = environ.get(names[0])
        if not isinstance(decision, Decision) or belongs_to_environ(decision, environ):
            continue
        for name in names:
            environ.pop(name, None)
        if decision.identity.is_authenticated and environ.get("REMOTE_USER") == decision.identity.identity:
            del environ["REMOTE_USER"]


def is_raised_by_any(decisions: Iterable[object], refusal: Refusal) -> bool:
    """Return whether `Decision.require` of one of `decisions` raised `refusal`.

    Args:
        decisions: The decisions of all gates about the same request, among other values.
        refusal: The refusal of the exception that the application raised.
    """
    return any(isinstance(decision, Decision) and decision.required_refusal is refusal for decision in decisions)


def _stale_names(state: Mapping[str, Any], scope: Mapping[str, Any]) -> list[str]:
    """Return the names under which `state` holds decisions about requests other than that of `scope`."""
    return [
        name
        for name, value in state.items()
        if type(value) is Decision and value.binding is not None and not belongs_to_scope(value, scope)
    ]


def _equal_lists(headers: Any, bound_list: Any) -> bool:
    """Return whether two header lists are equal. An iterable that can be read only once is not consumed."""
    if not isinstance(headers, (list, tuple)):
        return False
    return headers == bound_list or [tuple(pair) for pair in headers] == [tuple(pair) for pair in bound_list]


def _http_variables(environ: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name.startswith("HTTP_")}


def _same_values(
    bound: tuple[Mapping[Any, Any], HeaderNames], current: tuple[Mapping[Any, Any], HeaderNames], decision: Decision
) -> bool:
    """Return whether the headers that name the app or carry the credential have the same values in both views."""
    names = _deciding_headers(decision)
    return names is not None and all(_header_value(*bound, name) == _header_value(*current, name) for name in names)


def _comparable_headers(raw_headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return the headers of a view as strings, without the headers that the middleware removes."""
    headers = {_decoded(name): _decoded(value) for name, value in raw_headers.items()}
    return {name: value for name, value in headers.items() if name not in _REMOVED_HEADERS}


def _decoded(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _header_value(raw_headers: Mapping[Any, Any], names: HeaderNames, name: str) -> str | None:
    value = raw_headers.get(names[name])
    return None if value is None else _decoded(value)


def _deciding_headers(decision: Decision) -> frozenset[str] | None:
    """Return the names of the headers that the decision may have read.

    Returns None if a location does not name the headers that it reads.
    """
    ctx, app = decision._context, decision.app
    locations: list[AppLocation | TokenLocation] = []
    for source in (ctx.gate if ctx is not None else None, app):
        if source is not None:
            locations += [*source.app_locations, *source.located_tokens.headers_and_query]
    if app is not None and app.identity_hash is not None:
        locations += app.identity_hash.locations
    names = [read_headers(location) for location in locations]
    known = [each for each in names if each is not None]
    return _ALWAYS_COMPARED.union(*known) if len(known) == len(names) else None

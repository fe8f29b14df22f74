"""Binds a decision to its request.

A decision belongs to one request. Middlewares copy scopes and environs, and mounts rewrite `path` and `root_path`, so
neither the identity of the object nor the path says which request it is. These do:

- ASGI: the scope type, the query string and the header list (the same object, or an equal list).
- WSGI: `QUERY_STRING` and the `HTTP_*` variables.

If a middleware changes the header list or the environ in place, the headers that name the app or carry the credential
must be unchanged. The binding is made for each allowed request and compared only when a handler asks for the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from wicket.decision.flow import Decision
from wicket.decision.identity import Identity
from wicket.request import Request, Spelling
from wicket.sources import Header

_ALWAYS: Final = frozenset({"authorization", "cookie", "host", "origin", "sec-websocket-protocol"})
_OWN_PLACES: Final = "wicket.sources"


class ScopeBinding:
    """Which ASGI request a decision belongs to."""

    __slots__ = ("_headers", "_held", "_query", "_spelled", "_type")

    def __init__(self, request: Request, scope: Mapping[str, Any]) -> None:
        """Bind to `scope` as the application sees it. `request` is the view of it that was decided about."""
        self._type = scope["type"]
        self._query = scope.get("query_string")
        self._headers = scope["headers"]
        self._held = request.held  # values as they were decided about, whatever happens to the list afterwards
        self._spelled = request.spelled

    def covers(self, scope: Mapping[str, Any], decision: Decision) -> bool:
        """Return whether `scope` is the decided scope or an honest copy of it."""
        if scope.get("type") != self._type or (scope.get("query_string") or b"") != (self._query or b""):
            return False
        headers = scope.get("headers")
        if headers is not self._headers and not _equal(headers, self._headers):
            return False
        now = Request.from_asgi({"type": "http", "headers": headers})
        if now.spelled is self._spelled and now.held == self._held:
            return True
        return _same_values((self._held, self._spelled), (now.held, now.spelled), decision)


class EnvironBinding:
    """Which WSGI request a decision belongs to."""

    __slots__ = ("_held", "_id", "_spelled")

    def __init__(self, request: Request, environ: Mapping[str, Any], key: str) -> None:
        """Bind to `environ` as the application sees it. `key` is where the decision is about to be put."""
        self._id = id(environ)  # a reference would make a cycle of environ and decision
        self._held = held = dict(environ)
        held.pop(key, None)  # a decision must not keep the earlier ones of a reused environ
        self._spelled = request.spelled

    def covers(self, environ: Mapping[str, Any], decision: Decision) -> bool:
        """Return whether `environ` is the decided environ or an honest copy of it."""
        held = self._held
        if (environ.get("QUERY_STRING") or "") != (held.get("QUERY_STRING") or ""):
            return False
        if _http_variables(environ) == _http_variables(held):
            return True
        return id(environ) == self._id and _same_values((held, self._spelled), (environ, self._spelled), decision)


def belongs(decision: Decision, carrier: Mapping[str, Any]) -> bool:
    """Return whether `decision` belongs to the request of `carrier`, a scope or an environ."""
    bound = decision.binding
    return isinstance(bound, (ScopeBinding, EnvironBinding)) and bound.covers(carrier, decision)


class RequestState(dict[str, Any]):
    """The `state` of one request: a copy of what the scope had, so that a decision is in no state that others share.

    What the application sets is set in the state of the outer scope too, where middlewares outside the gate read it.
    """

    __slots__ = ("_outer",)

    def __init__(self, outer: MutableMapping[str, Any]) -> None:
        super().__init__(outer)
        self._outer = outer

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._outer[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._outer.pop(name, None)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def own_state(scope: MutableMapping[str, Any], name: str, decision: Decision) -> None:
    """Put `decision` into the state of `scope` alone. Decisions about other requests are left out."""
    outer = scope.get("state")
    if outer is None:
        scope["state"] = {name: decision}
        return
    state = RequestState(outer)
    for each, held in outer.items():
        if type(held) is Decision and each != name and not belongs(held, scope):
            state.pop(each)
    dict.__setitem__(state, name, decision)
    scope["state"] = state


def clear_scope(scope: MutableMapping[str, Any]) -> None:
    """Remove from an undecided scope the decisions and the user of another request, which a copied scope carries."""
    outer = scope.get("state") or {}
    kept: list[object] = []
    stale: list[str] = []
    for name, held in outer.items():
        if type(held) is Decision:
            if belongs(held, scope):
                kept.append(held.identity)
            else:
                stale.append(name)
    if stale:
        scope["state"] = state = RequestState(outer)
        for name in stale:
            state.pop(name)
    user = scope.get("user")
    if issubclass(type(user), Identity) and not any(each is user for each in kept):
        del scope["user"]
        scope.pop("auth", None)


def clear_environ(environ: MutableMapping[str, Any], names: tuple[str, str, str]) -> None:
    """As `clear_scope`, for an environ and the gate that keeps its decision under `names`."""
    held = environ.get(names[0])
    if not isinstance(held, Decision) or belongs(held, environ):
        return
    for name in names:
        environ.pop(name, None)
    if held.identity.verified and environ.get("REMOTE_USER") == held.identity.identity:
        del environ["REMOTE_USER"]


def _equal(one: Any, other: Any) -> bool:
    """Whether two header lists are equal, without consuming one that can be read only once."""
    if not isinstance(one, (list, tuple)):
        return False
    return one == other or [tuple(pair) for pair in one] == [tuple(pair) for pair in other]


def _http_variables(environ: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name.startswith("HTTP_")}


def _same_values(
    one: tuple[Mapping[Any, Any], Spelling], other: tuple[Mapping[Any, Any], Spelling], decision: Decision
) -> bool:
    """Whether the headers that name the app or carry the credential have the same values in both."""
    names = _deciding_headers(decision)
    return names is not None and all(_value(*one, name) == _value(*other, name) for name in names)


def _value(held: Mapping[Any, Any], spelled: Spelling, name: str) -> str | None:
    value = held.get(spelled[name])
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _deciding_headers(decision: Decision) -> frozenset[str] | None:
    """The headers that the decision may have read; None if a location of the user's own class may read any."""
    way, app = decision.way, decision.app
    places: list[object] = []
    for holder in (way.house if way is not None else None, app):
        if holder is not None:
            places += [*holder.naming, *holder.holders.first]
    if app is not None and app.identity_hash is not None:
        places += app.identity_hash.places
    if any(type(place).__module__ != _OWN_PLACES for place in places):
        return None
    return _ALWAYS.union(_header_names(places))


def _header_names(places: Iterable[object]) -> Iterable[str]:
    return (place.name for place in places if isinstance(place, Header))

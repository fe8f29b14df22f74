"""Binds a decision to its request.

A decision belongs to one request. Middlewares copy scopes and environs, and mounts rewrite `path` and `root_path`, so
neither the identity of the object nor the path says which request it is. These do:

- ASGI: the scope type, the query string and the header list (the same object, or an equal list).
- WSGI: `QUERY_STRING` and the `HTTP_*` variables.

If a middleware changes the header list or the environ in place, or gives the decided scope another header list, the
headers that name the app or carry the credential must be unchanged. The binding is made for each allowed request and
compared only when a handler asks for the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from wicket.config.locations import Header
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.errors import Refusal
from wicket.messages.request import HeaderNames, Request

_ALWAYS: Final = frozenset({"authorization", "cookie", "host", "origin", "sec-websocket-protocol"})
_REMOVED: Final = frozenset({"remote-user", "remote_user"})
DECIDED: Final = "wicket.decided"
"""Where an environ has the names under which gates have put their decisions into it."""
_set: Final = dict.__setitem__


def bind_to_environ(decision: Decision, request: Request, environ: Mapping[str, Any], key: str) -> None:
    """Bind to `environ` as the application sees it. `key` is where the decision is about to be put."""
    held = dict(environ)
    held.pop(key, None)  # a decision must not keep the earlier ones of a reused environ
    held.pop("werkzeug.request", None)  # it refers to the environ: Flask ends that cycle itself after the request
    decision.binding = id(environ), held, request.header_names  # a reference to the environ would make a cycle


def belongs_to_scope(decision: Decision, scope: Mapping[str, Any]) -> bool:
    """Return whether `scope` is the decided scope or an honest copy of it."""
    if decision.binding is None:
        return False
    kind, query, bound, held, spelled, place = decision.binding
    if scope.get("type") != kind or (scope.get("query_string") or b"") != (query or b""):
        return False
    headers = scope.get("headers")
    if headers is not bound and not _equal(headers, bound) and (id(scope) != place or not isinstance(headers, list)):
        return False
    now = Request.from_asgi({"type": "http", "headers": headers})
    if (now.header_names is spelled and now.raw_headers == held) or _compared(now.raw_headers) == _compared(held):
        return True
    return _same_values((held, spelled), (now.raw_headers, now.header_names), decision)


def belongs_to_environ(decision: Decision, environ: Mapping[str, Any]) -> bool:
    """Return whether `environ` is the decided environ or an honest copy of it."""
    if decision.binding is None:
        return False
    place, held, spelled = decision.binding
    if (environ.get("QUERY_STRING") or "") != (held.get("QUERY_STRING") or ""):
        return False
    if _http_variables(environ) == _http_variables(held):
        return True
    return id(environ) == place and _same_values((held, spelled), (environ, spelled), decision)


class RequestState(dict[str, Any]):
    """The `state` of one request: a copy of what the scope had, so that a decision is in no state that others share.

    What the application sets is set in the state of the outer scope too, where middlewares outside the gate read it.
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
    """Bind `decision` to `scope` as the application sees it, and put it into the state of this scope alone.

    `request` is the view of the scope that was decided about. Decisions about other requests are left out of the state.
    """
    # `held` keeps the values that were decided about, whatever happens to the header list afterwards.
    query, place = scope.get("query_string"), id(scope)  # a reference to the scope would make a cycle
    decision.binding = scope["type"], query, scope["headers"], request.raw_headers, request.header_names, place
    outer = scope.get("state")
    if outer is None:
        scope["state"] = {name: decision}
        return
    scope["state"] = state = RequestState(outer)
    state.outer = outer
    if outer:
        for each in _stale(outer, scope):
            state.pop(each)
    _set(state, name, decision)


def clear_scope(scope: MutableMapping[str, Any]) -> None:
    """Remove from an undecided scope the decisions and the user of another request, which a copied scope carries."""
    outer = scope.get("state") or {}
    stale = _stale(outer, scope)
    if stale:
        scope["state"] = state = RequestState(outer)
        state.outer = outer
        for name in stale:
            state.pop(name)
    kept = [held.identity for name, held in outer.items() if type(held) is Decision and name not in stale]
    user = scope.get("user")
    if issubclass(type(user), Identity) and not any(each is user for each in kept):
        del scope["user"]
        scope.pop("auth", None)


def clear_environ(environ: MutableMapping[str, Any]) -> None:
    """As `clear_scope`, for an environ and every gate that decided about it or about the one that it is a copy of."""
    for names in environ.get(DECIDED, ()):
        held = environ.get(names[0])
        if not isinstance(held, Decision) or belongs_to_environ(held, environ):
            continue
        for name in names:
            environ.pop(name, None)
        if held.identity.verified and environ.get("REMOTE_USER") == held.identity.identity:
            del environ["REMOTE_USER"]


def demanded_of(decisions: Iterable[object], refusal: Refusal) -> bool:
    """Whether `refusal` was raised by one of these, the decisions of other gates about the same request."""
    return any(isinstance(each, Decision) and each.demand is refusal for each in decisions)


def _stale(state: Mapping[str, Any], scope: Mapping[str, Any]) -> list[str]:
    """The names under which `state` has decisions about other requests than that of `scope`."""
    return [
        name
        for name, held in state.items()
        if type(held) is Decision and held.binding is not None and not belongs_to_scope(held, scope)
    ]


def _equal(one: Any, other: Any) -> bool:
    """Whether two header lists are equal, without consuming one that can be read only once."""
    if not isinstance(one, (list, tuple)):
        return False
    return one == other or [tuple(pair) for pair in one] == [tuple(pair) for pair in other]


def _http_variables(environ: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name.startswith("HTTP_")}


def _same_values(
    one: tuple[Mapping[Any, Any], HeaderNames], other: tuple[Mapping[Any, Any], HeaderNames], decision: Decision
) -> bool:
    """Whether the headers that name the app or carry the credential have the same values in both."""
    names = _deciding_headers(decision)
    return names is not None and all(_value(*one, name) == _value(*other, name) for name in names)


def _compared(held: Mapping[Any, Any]) -> dict[str, str]:
    """The headers of a view as strings, without those that a middleware removes before the application."""
    headers = {_text(name): _text(value) for name, value in held.items()}
    return {name: value for name, value in headers.items() if name not in _REMOVED}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _value(held: Mapping[Any, Any], spelled: HeaderNames, name: str) -> str | None:
    value = held.get(spelled[name])
    return None if value is None else _text(value)


def _deciding_headers(decision: Decision) -> frozenset[str] | None:
    """The headers that the decision may have read; None if a location of the user's own class may read any."""
    way, app = decision._context, decision.app
    places: list[object] = []
    for holder in (way.gate if way is not None else None, app):
        if holder is not None:
            places += [*holder.app_locations, *holder.located_tokens.headers_and_query]
    if app is not None and app.identity_hash is not None:
        places += app.identity_hash.places
    if any(type(place).__module__ != Header.__module__ for place in places):
        return None
    return _ALWAYS.union(_header_names(places))


def _header_names(places: Iterable[object]) -> Iterable[str]:
    return (place.name for place in places if isinstance(place, Header))

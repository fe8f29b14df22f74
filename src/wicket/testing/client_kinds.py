"""Make a test client of any framework send headers, query parameters and cookies with every request.

This module imports no framework. It recognises a client by the package of its class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

Pairs = Mapping[str, str]


def add_to_requests(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    """Make `client` send these values with each request. It is changed in place.

    A header that a single request sets replaces the one here. A second call replaces the values of the first one.

    Args:
        client: A test client of Starlette, FastAPI, Litestar, Flask, Werkzeug, Quart, Django, Django REST framework,
            Falcon or aiohttp, a communicator of Channels, or a client of httpx.
        headers: The headers, with names in lower case.
        query: The query parameters.
        cookies: The cookies.
    """
    packages = [kind.__module__.partition(".")[0] for kind in type(client).__mro__]
    for package, add in _KINDS.items():
        if package in packages:
            add(client, headers, query, cookies)
            return
    _add_to_httpx(client, headers, query, cookies)


def _add_to_httpx(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    client.headers.update(headers)
    for name, value in cookies.items():
        client.cookies.set(name, value)

    def build_request(*args: Any, **kwargs: Any) -> Any:
        request = type(client).build_request(client, *args, **kwargs)
        missing = {name: value for name, value in query.items() if name not in request.url.params}
        request.url = request.url.copy_merge_params(missing) if missing else request.url
        return request

    client.build_request = build_request  # default parameters of the client would replace the query of a URL


def _add_to_werkzeug(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    own = _environ_of(headers)
    if hasattr(client, "environ_base"):  # of Flask
        client.environ_base, own = {**client.environ_base, **own}, {}
    for name, value in cookies.items():
        client.set_cookie(name, value)
    if own or query or "host" in headers:
        # Werkzeug's client has no defaults. All of its methods call `open`, so `open` is replaced.
        def open_with_values(*args: Any, **kwargs: Any) -> Any:
            path, requested = args[:1], kwargs.get("query_string") or ""
            if path and isinstance(path[0], str) and "?" in path[0]:
                args = (_extended_path(path[0], query), *args[1:])
            else:
                parameters = requested if isinstance(requested, str) else urlencode(requested)
                kwargs["query_string"] = _extended(parameters, query)
            if "host" in headers:  # the client sets its own from the base URL
                kwargs.setdefault("base_url", f"http://{headers['host']}")
            kwargs["environ_base"] = {**own, **(kwargs.get("environ_base") or {})}
            return type(client).open(client, *args, **kwargs)

        client.open = open_with_values


def _add_to_django(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    # All methods of the clients call `request` with the environ, or in the async client with the scope.
    original = type(client).request

    def request(**given: Any) -> Any:
        if inspect.iscoroutinefunction(original):
            given["headers"] = _merged_raw(given["headers"], headers)
            given["query_string"] = _extended(given.get("query_string", ""), query)
        else:
            given = {**_environ_of(headers), **given}
            given["QUERY_STRING"] = _extended(given.get("QUERY_STRING", ""), query)
        return original(client, **given)

    client.request = request
    for name, value in cookies.items():
        client.cookies[name] = value


def _add_to_falcon(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    own = {name: value for name, value in headers.items() if name != "host"}

    def simulate_request(method: str = "GET", path: str = "/", **kwargs: Any) -> Any:
        kwargs["headers"] = _merged(kwargs.get("headers"), own)
        kwargs["cookies"] = {**cookies, **(kwargs.get("cookies") or {})}
        if "host" in headers:
            kwargs.setdefault("host", headers["host"])
        if "?" in path:
            path = _extended_path(path, query)
        elif kwargs.get("params"):
            kwargs["params"] = {**query, **kwargs["params"]}
        else:
            kwargs["query_string"] = _extended(kwargs.get("query_string") or "", query)
        return type(client).simulate_request(client, method, path, **kwargs)

    client.simulate_request = simulate_request


def _add_to_quart(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    own = _with_cookie_header(headers, cookies)

    def with_values(method: Callable[..., Any]) -> Callable[..., Any]:
        def send(path: str, **kwargs: Any) -> Any:
            kwargs["headers"] = dict(_merged(kwargs.get("headers"), own))
            if "?" in path:
                path = _extended_path(path, query)
            else:
                kwargs["query_string"] = {**query, **(kwargs.get("query_string") or {})}
            return method(client, path, **kwargs)

        return send

    client.open, client.websocket = with_values(type(client).open), with_values(type(client).websocket)


def _add_to_aiohttp(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    client.session.headers.update(_with_cookie_header(headers, cookies))

    def with_query(method: Callable[..., Any]) -> Callable[..., Any]:
        def send(*args: Any, **kwargs: Any) -> Any:
            kwargs["params"] = {**query, **(kwargs.get("params") or {})}
            return method(client, *args, **kwargs)

        return send

    if query:
        client._request, client._ws_connect = with_query(type(client)._request), with_query(type(client)._ws_connect)


def _add_to_channels(client: Any, headers: Pairs, query: Pairs, cookies: Pairs) -> None:
    scope, own = client.scope, _raw(_with_cookie_header(headers, cookies))
    scope["headers"] = [*(pair for pair in scope["headers"] if pair[0].lower() not in own), *own.items()]
    kept = [(name, value) for name, value in parse_qsl(scope["query_string"].decode()) if name not in query]
    scope["query_string"] = _extended(urlencode(kept), query).encode()


_KINDS: dict[str, Callable[[Any, Pairs, Pairs, Pairs], None]] = {
    "channels": _add_to_channels,
    "django": _add_to_django,
    "falcon": _add_to_falcon,
    "quart": _add_to_quart,
    "aiohttp": _add_to_aiohttp,
    "werkzeug": _add_to_werkzeug,
}
"""The function for each package of clients. All other clients have the attributes of httpx's."""


def _environ_of(headers: Pairs) -> dict[str, str]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


def _extended(query_string: Any, query: Pairs) -> str:
    """Return a query string with further parameters."""
    given = query_string.decode() if isinstance(query_string, bytes) else query_string
    return "&".join(part for part in (given, urlencode(query)) if part)


def _extended_path(path: str, query: Pairs) -> str:
    before, _, query_string = path.partition("?")
    return f"{before}?{_extended(query_string, query)}"


def _with_cookie_header(headers: Pairs, cookies: Pairs) -> dict[str, str]:
    value = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {**headers, "cookie": value} if value else dict(headers)


def _raw(headers: Pairs) -> dict[bytes, bytes]:
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


def _merged(given: Any, own: Pairs) -> list[tuple[str, str]]:
    """Return the headers of one request, and those of `own` that it does not set."""
    pairs: list[tuple[str, str]] = list(given.items() if hasattr(given, "items") else given or [])
    names = {name.lower() for name, _ in pairs}
    return [*pairs, *((name, value) for name, value in own.items() if name not in names)]


def _merged_raw(given: list[tuple[bytes, bytes]], own: Pairs) -> list[tuple[bytes, bytes]]:
    """Return the raw headers of one request, and those of `own` that it does not set.

    The client's default `host` does not count as set.
    """
    raw = _raw(own)
    pairs = [(name, value) for name, value in given if name != b"host" or b"host" not in raw]
    names = {name for name, _ in pairs}
    return [*pairs, *((name, value) for name, value in raw.items() if name not in names)]

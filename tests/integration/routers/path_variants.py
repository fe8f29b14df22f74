"""Request targets that a router may route like a known path, and the scopes that servers make of a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

GATED: Final = ("/admin/secret", "/secret")
"""Handlers that no path rule of these tests opens."""
OPEN: Final = ("/public/hello", "/public/deep/er", "/health")
"""Handlers that need no token by the rules `EXEMPT` and `ONLY`."""
EXEMPT: Final[dict[str, Any]] = {"exempt": ["/public/*", "/health"]}
ONLY: Final[dict[str, Any]] = {"only": ["/admin/*", "/secret"]}
ROOTS: Final = ("", "/app", "/a/b", "/p")
"""`/public` also begins with `/p`."""


def plain(path: str, root: str) -> Iterator[str]:
    """Return the plain targets for `path`: with the root, and without it as a front server may send it."""
    yield f"{root}{path}"
    if root:
        yield path


def _with_roots(path: str, root: str) -> Iterator[str]:
    """Return `path` with the root at its start, in it and at its end, with a segment boundary and without one."""
    yield path
    if not root:
        yield from (f"/public{path}", f"{path}/public/hello")
        return
    bare = path.lstrip("/")
    for before in ("", root, "/public", "/health", f"{root}/public", f"/public{root}", "/x", root[:-1]):
        yield from (f"{before}{path}", f"{before}{root}{path}", f"{before}{root}{bare}", f"{before}/{root}{path}")
    yield from (f"{path}{root}", f"{path}{root}/public/hello", f"{root}{root}{root}{path}", f"{root[1:]}{path}")


def _folded(target: str) -> Iterator[str]:
    """Return variants that some router treats like `target`."""
    yield target
    head, _, tail = target[1:].partition("/")
    second = target.find("/", 1)
    yield from (f"/{target}", target.replace("/", "//"), f"{target}/", f"{target}//", target[1:], f"{target}/.")
    yield from (f"/.{target}", f"/x/..{target}", f"/public/..{target}", f"/public/%2e%2e{target}", f"/%2e{target}")
    yield from (target.replace("/", "%2F"), f"/{target[1:].replace('/', '%2f')}", target.replace("/", "\\"))
    yield from (f"{target};x=1", f"/{head};a/{tail}", f"/;{target}", f"{target}%00", f"{target}%0a", f"{target}%20")
    yield from (
        f"/public/..;{target}",
        f"/public/..%2f{target[1:]}",
        f"/public%2f..{target}",
        f"/public/..%5c{target[1:]}",
    )
    yield from (f"/%{ord(target[1]):02x}{target[2:]}", f"/%25{ord(target[1]):02x}{target[2:]}", target.upper())
    yield from (
        f"http://host{target}",
        f"http:{target}",
        f"http:/{target}",
        f"//host{target}",
        f"http://host/public{target}",
    )
    if second > 0:
        yield from (f"{target[:second]}/.{target[second:]}", f"{target[:second]}/y/..{target[second:]}")


def path_variants(paths: Iterable[str], root: str, *, every: bool = False) -> list[str]:
    """Return the variants of all paths without duplicates: the root at every position, and the plain targets folded.

    With `every`, the targets with the root at every position are folded too. There are ten times as many.
    """
    variants: dict[str, None] = {}
    for path in paths:
        plain_targets = {path, f"{root}{path}", f"/public{root}{path}"}
        for rooted in (*_with_roots(path, root), *sorted(plain_targets)):
            variants.update(dict.fromkeys(_folded(rooted) if every or rooted in plain_targets else (rooted,)))
    return [variant for variant in variants if variant]


def scopes(target: str, root: str) -> Iterator[dict[str, Any]]:
    """Return the scopes that uvicorn (with h11) and hypercorn make of a target if they serve under `root`."""
    decoded = unquote(target)
    yield _scope(f"{root}{decoded}", f"{root}{target}", root)
    if root:
        yield _scope(decoded, target, root)


def _scope(path: str, raw: str, root: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": raw.encode(),
        "root_path": root,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }


def environs(target: str, root: str) -> Iterator[dict[str, Any]]:
    """Return the environs that gunicorn and mod_wsgi make: the root removed at a boundary, and without one."""
    decoded = unquote(target).encode().decode("latin-1")
    paths = {decoded}
    if root and decoded.startswith(root):
        paths = {decoded.removeprefix(root)}
    for path in paths:
        yield {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": root,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "RAW_URI": target,
            "REQUEST_URI": target,
            "wsgi.url_scheme": "http",
        }

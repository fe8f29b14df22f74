"""Request targets that a router may take for a known path, and what servers make of a target."""

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
"""`/p` is also how `/public` begins."""


def plain(path: str, root: str) -> Iterator[str]:
    """The honest targets for `path`: with the root as a client sends it, and without it as a front server may."""
    yield f"{root}{path}"
    if root:
        yield path


def _with_roots(path: str, root: str) -> Iterator[str]:
    """`path` with the root before, within and after it, with a segment boundary and without one."""
    yield path
    if not root:
        yield from (f"/public{path}", f"{path}/public/hello")
        return
    bare = path.lstrip("/")
    for before in ("", root, "/public", "/health", f"{root}/public", f"/public{root}", "/x", root[:-1]):
        yield from (f"{before}{path}", f"{before}{root}{path}", f"{before}{root}{bare}", f"{before}/{root}{path}")
    yield from (f"{path}{root}", f"{path}{root}/public/hello", f"{root}{root}{root}{path}", f"{root[1:]}{path}")


def _folded(target: str) -> Iterator[str]:
    """Spellings that one router or another takes for `target`."""
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


def spellings(paths: Iterable[str], root: str, *, every: bool = False) -> list[str]:
    """Spellings for every path, each once: all places of the root, and all foldings of the honest spellings.

    With `every`, all foldings at all places of the root, ten times as many.
    """
    found: dict[str, None] = {}
    for path in paths:
        honest = {path, f"{root}{path}", f"/public{root}{path}"}
        for rooted in (*_with_roots(path, root), *sorted(honest)):
            found.update(dict.fromkeys(_folded(rooted) if every or rooted in honest else (rooted,)))
    return [each for each in found if each]


def scopes(target: str, root: str) -> Iterator[dict[str, Any]]:
    """What uvicorn (with h11) and hypercorn make of a target when they serve under `root`."""
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
    """What gunicorn and mod_wsgi make of a target: with the root removed at a boundary, and without one."""
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

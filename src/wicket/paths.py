"""Which paths a router may take a request for. Path rules and `PathSegment` both ask here.

A server may say under which root it serves the application (ASGI's `root_path`), and an application may set one itself.
Routers remove that root in different ways: Starlette at a segment boundary, Quart, Channels and Django without one,
Litestar wherever it occurs first, Falcon not at all.

    the path                                                        its readings
    begins with the root at a segment boundary, and has it once     the rest
    does not have the root, or there is no root                     the path as it is
    has the root otherwise                                          as it is, without the root at its beginning, and the
                                                                    rest after every later occurrence
    does not start with `/`                                         none
    any, with a root that is not `/segment…` without a slash at     none
    its end
"""

from __future__ import annotations

import re
from typing import Final

MOST_READINGS: Final = 8
"""A path with more readings has none: to compare all of them would cost more than the request is worth."""

MOST_CHARACTERS: Final = 4096
"""A longer path is never plain: anybody may send it, and to look through it costs more than the request is worth."""

# Empty segments, backslashes, parameters, a second encoding, and control characters: a router may drop a line feed.
_FOLDED: Final = ("//", "\\", ";", "%")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DOTS: Final = frozenset({".", ".."})


def is_plain(path: str) -> bool:
    """Whether `path` starts with a slash and means only itself for every server and router.

    A path with folded characters (see above), or with empty or dot segments, does not; nor does a very long one.
    """
    if not path.startswith("/") or len(path) > MOST_CHARACTERS or any(each in path for each in _FOLDED):
        return False
    if not path.isprintable() and _CONTROL.search(path):  # the first takes a tenth of the time of the second
        return False
    return "/." not in path or _DOTS.isdisjoint(path.split("/"))


def is_root(root: str) -> bool:
    """Whether `root` is a plain path of one segment or more, without a slash at its end."""
    return is_plain(root) and not root.endswith("/")


def readings(path: str, root: str) -> tuple[str, ...]:
    """Every path that a router may take `path` for when the application is served under `root`.

    `path` is decoded. An empty path is the application's own root. Returns no reading where nothing can be said.
    """
    if path and not path.startswith("/"):
        return ()
    if not root:
        return (path,)
    if not is_root(root):
        return ()
    begins = path.startswith(root)
    again = path.find(root, 1)
    rest = path[len(root) :]
    if begins and again < 0 and rest[:1] in ("", "/"):
        return (rest,)
    found = [path]
    if begins:
        found.append(rest)
    while again >= 0:
        if len(found) == MOST_READINGS:
            return ()
        found.append(path[again + len(root) :])
        again = path.find(root, again + 1)
    # Routers take a path without a slash at its beginning for the same path with one.
    return tuple(each if each[:1] in ("", "/") else f"/{each}" for each in found)

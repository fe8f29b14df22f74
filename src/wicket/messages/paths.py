"""Which paths a router may take a request for. Path rules and `PathSegment` both ask here.

A server may say under which root it serves the application (ASGI's `root_path`), and an application may set one itself.
Routers remove that root in different ways: Starlette at a segment boundary, Quart, Channels and Django without one,
Litestar wherever it occurs first, Falcon not at all.

    the path                                                        its readings
    begins with the root at a segment boundary, and has it once     the rest
    does not have the root, or there is no root                     the path as it is
    has the root otherwise                                          as it is, without the root at its beginning, and the
                                                                    rest after every later occurrence
    does not start with `/`, or is longer than `LONGEST_PATH`       none
    any, with a root that is not `/segment…` without a slash at     none
    its end
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONGEST_PATH: Final = 2048
"""How many characters a path may have to have a reading. Browsers and proxies send far shorter ones."""
MOST_READINGS: Final = 8
"""A path with more readings, or with several that are longer together than `LONGEST_PATH`, has none.

To compare all of them would cost more than the request is worth.
"""

# Backslashes, parameters, a second encoding, and control characters: a router may drop a line feed.
_FOLDED: Final = re.compile(r"[\\;%\x00-\x1f\x7f]")


def is_plain(path: str) -> bool:
    """Whether `path` starts with a slash and means only itself for every server and router.

    A path with folded characters (see above), or with empty or dot segments, does not; nor does a very long one.
    """
    if not path.startswith("/") or len(path) > LONGEST_PATH or "//" in path or _FOLDED.search(path):
        return False
    return not ("/./" in path or "/../" in path or path.endswith(("/.", "/..")))


def is_root(root: str) -> bool:
    """Whether `root` is a plain path of one segment or more, without a slash at its end."""
    return is_plain(root) and not root.endswith("/")


def readings(path: str, root: str) -> tuple[str, ...]:
    """Every path that a router may take `path` for when the application is served under `root`.

    `path` is decoded. An empty path is the application's own root. Returns no reading where nothing can be said.
    """
    if len(path) > LONGEST_PATH or (path and not path.startswith("/")):
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
    if len(found) > 1 and sum(map(len, found)) > LONGEST_PATH:
        return ()
    # Routers take a path without a slash at its beginning for the same path with one.
    return tuple(each if each[:1] in ("", "/") else f"/{each}" for each in found)


def loosened(found: tuple[str, ...], mounts: Iterable[str]) -> tuple[str, ...]:
    """`found`, with the readings of routers that give the part at a mount what follows it without a boundary, too."""
    more = (
        f"{mount}/{path[len(mount) :]}"
        for mount in mounts
        for path in found
        if path.startswith(mount) and path[len(mount) : len(mount) + 1] not in ("", "/")
    )
    return tuple(dict.fromkeys((*found, *more)))

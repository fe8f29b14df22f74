"""The paths that a router may derive from a request's path. Path rules and `PathSegment` use the same function.

A server can pass the root under which it serves the application (`root_path` of ASGI), and an application can set one
itself. Routers remove that root differently. Starlette removes it at a segment boundary. Quart, Channels and Django
remove it without a boundary. Litestar removes its first occurrence at any position. Falcon does not remove it.

    path                                                            readings
    It starts with the root at a segment boundary, and contains     the rest
    the root once.
    It does not contain the root, or there is no root.              the path itself
    It contains the root in any other position or number.           the path itself, the path without the root at its
                                                                    start, and the rest after every later occurrence
    It does not start with `/`, or is longer than `LONGEST_PATH`.   none
    Any, if the root is not a plain `/segment…` without a slash     none
    at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONGEST_PATH: Final = 2048
"""The maximum length of a path that has readings, in characters. Browsers and proxies send far shorter paths."""
MOST_READINGS: Final = 8
"""The maximum number of readings. A path with more readings has none.

A path with several readings that are together longer than `LONGEST_PATH` has none either. Comparing all of them would
cost too much.
"""

# Characters that a server or router may interpret: backslashes, parameters (`;`), a second percent-encoding, and
# control characters. For example, a router may drop a line feed.
_AMBIGUOUS: Final = re.compile(r"[\\;%\x00-\x1f\x7f]")


def is_plain(path: str) -> bool:
    """Return whether every server and router takes `path` literally.

    Args:
        path: a decoded path.

    Returns:
        False if the path does not start with a slash, has more than `LONGEST_PATH` characters, an ambiguous character
        (see above), or an empty or dot segment.
    """
    if not path.startswith("/") or len(path) > LONGEST_PATH or "//" in path or _AMBIGUOUS.search(path):
        return False
    return not ("/./" in path or "/../" in path or path.endswith(("/.", "/..")))


def is_root(root: str) -> bool:
    """Return whether `root` is a plain path of one or more segments, without a slash at its end."""
    return is_plain(root) and not root.endswith("/")


def readings(path: str, root: str) -> tuple[str, ...]:
    """Return every path that a router may derive from `path`.

    Args:
        path: the decoded path. Empty: the application's own root.
        root: the root under which the application is served. Empty: none.

    Returns:
        The readings, by the table above. Empty if they cannot be determined.
    """
    if len(path) > LONGEST_PATH or (path and not path.startswith("/")):
        return ()
    if not root:
        return (path,)
    if not is_root(root):
        return ()
    at_start = path.startswith(root)
    position = path.find(root, 1)
    rest = path[len(root) :]
    if at_start and position < 0 and rest[:1] in ("", "/"):
        return (rest,)
    paths = [path]
    if at_start:
        paths.append(rest)
    while position >= 0:
        if len(paths) == MOST_READINGS:
            return ()
        paths.append(path[position + len(root) :])
        position = path.find(root, position + 1)
    if len(paths) > 1 and sum(map(len, paths)) > LONGEST_PATH:
        return ()
    # Routers treat a path without a leading slash like the same path with one.
    return tuple(item if item[:1] in ("", "/") else f"/{item}" for item in paths)


def loosened(paths: tuple[str, ...], mounts: Iterable[str]) -> tuple[str, ...]:
    """Add the readings of routers that mount a sub-application without a segment boundary.

    Args:
        paths: the readings of a path.
        mounts: the mount points. Such a router passes everything after the mount point to the sub-application.

    Returns:
        `paths`, and for each path that starts with a mount point without a boundary, the path with a slash there.
    """
    more = (
        f"{mount}/{path[len(mount) :]}"
        for mount in mounts
        for path in paths
        if path.startswith(mount) and path[len(mount) : len(mount) + 1] not in ("", "/")
    )
    return tuple(dict.fromkeys((*paths, *more)))

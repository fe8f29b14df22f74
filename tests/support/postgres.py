"""A PostgreSQL server for the tests that need a real one, on a Unix socket in a temporary directory."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARIES = ("initdb", "pg_ctl", "postgres")


def postgres_missing() -> bool:
    """Whether a program of PostgreSQL is missing."""
    return any(shutil.which(name) is None for name in BINARIES)


def _as_user() -> dict[str, Any]:
    """The arguments that start a program as another user than root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    names = [entry.pw_name for entry in pwd.getpwall()]
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server. Yields the directory of its socket, which is the `host` of a connection."""
    folder = Path(tempfile.mkdtemp(prefix="wicket-pg-"))
    user = _as_user()
    if user:
        os.chown(folder, user["user"], user["group"])
    data, environment = folder / "data", {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    settings: dict[str, Any] = {"check": True, "cwd": folder, "env": environment, "capture_output": True, **user}
    try:
        initdb = ["initdb", "-D", str(data), "-U", "wicket", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, **settings)
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        start = ["pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "-t", "120", "start"]
        subprocess.run(start, **{**settings, "capture_output": False, "stdout": subprocess.DEVNULL})
        try:
            yield str(folder)
        finally:
            subprocess.run(["pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop"], **settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

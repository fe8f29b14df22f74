"""One Node process that signs everything this room looks at, with the libraries that the vendors' documents name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.cases import KEYS, orders
from tests.interop.node_signer import SignedElsewhere

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """The path of `node`, with the packages of package-lock.json installed beside the script."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are needed to sign tokens as the vendors' documents show")
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    with alone():
        if installed(wanted) != wanted:
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, timeout=240
            )
            if done.returncode != 0:
                pytest.skip("npm could not install the packages that sign: is there a network?")
    return node


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """No two processes that run the suite are in this block at once."""
    with (HERE / "package.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def installed(wanted: dict[str, str]) -> dict[str, str]:
    """Which of the wanted packages stand in node_modules, with their versions."""
    manifests = {name: HERE / "node_modules" / name / "package.json" for name in wanted}
    return {name: json.loads(path.read_text())["version"] for name, path in manifests.items() if path.is_file()}


@pytest.fixture(scope="session")
def elsewhere(node: str) -> SignedElsewhere:
    """Every token and hash of `orders`, signed by one run of sign.js at one time."""
    now = int(time.time())
    listed = [{"name": name, **each} for name, each in orders(now).items()]
    order = json.dumps({"orders": listed, "keys": KEYS, "now": now})
    done = subprocess.run([node, HERE / "sign.js"], input=order.encode(), capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return SignedElsewhere(now, answer["tokens"], answer["keys"])

"""What holds for every test of the suite: Wicket says no token and no secret, and no test relies on an old token."""

from __future__ import annotations

import os

from tests.leaks import plugin as leakwatch
from tests.leaks.plugin import leak_watch, pytest_configure, pytest_runtest_makereport

__all__ = [
    "leak_watch",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_plugins",
    "pytest_runtest_makereport",
]

pytest_plugins = ["tests.support.aging"]  # the hooks of a conftest do not see fixtures of the whole session

leakwatch.install()


def pytest_collection_finish() -> None:
    """Only the process that runs the tests is measured, not the servers and commands that it starts."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

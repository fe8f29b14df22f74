"""What holds for every test of the suite: nothing that Wicket says carries a token or a secret."""

from __future__ import annotations

from tests import leakwatch
from tests.leakwatch import leak_watch, pytest_configure, pytest_runtest_makereport

__all__ = ["leak_watch", "pytest_configure", "pytest_runtest_makereport"]

leakwatch.install()

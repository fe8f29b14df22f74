"""The finding for a malformed Origin if the app requires one."""

from __future__ import annotations

import pytest

from tests.support.unit import NOW, acme, token
from wicket import Gate
from wicket.diagnostics import diagnose


@pytest.mark.parametrize(("origin", "mistakes"), [("null", ["origin_malformed"]), ("https://a.example", [])])
def test_s16_diagnose_malformed_origin_is_a_finding(origin: str, mistakes: list[str]) -> None:
    gate = Gate([acme(require_origin=True, origins=[])], clock=lambda: NOW)
    diagnosis = diagnose(gate, "acme", token(), origin=origin)
    assert [finding.code for finding in diagnosis.findings] == mistakes

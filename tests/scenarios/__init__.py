"""The table of scenarios: a request, and what its client and the application must get.

`test_scenarios` runs every row through the ASGI and the WSGI middleware, with one gate. Nothing here knows a framework.
"""

from __future__ import annotations

from typing import Final

from tests.scenarios.bodies import body_rows
from tests.scenarios.handlers import handler_rows
from tests.scenarios.hashes import hash_rows
from tests.scenarios.model import Ask, Challenge, Expected, Form, Scenario
from tests.scenarios.naming import app_rows, contradiction_rows, named_rows
from tests.scenarios.origins import log_only_rows, origin_rows
from tests.scenarios.tokens import claim_rows, token_rows
from tests.scenarios.vendors import vendor_rows
from tests.scenarios.world import ERROR_DOCS, USERZ_ID, build_gate, key

__all__ = [
    "ERROR_DOCS",
    "SCENARIOS",
    "USERZ_ID",
    "Ask",
    "Challenge",
    "Expected",
    "Form",
    "Scenario",
    "build_gate",
    "key",
]

SCENARIOS: Final = (
    *named_rows(),
    *vendor_rows(),
    *token_rows(),
    *app_rows(),
    *contradiction_rows(),
    *origin_rows(),
    *log_only_rows(),
    *handler_rows(),
    *body_rows(),
    *hash_rows(),
    *claim_rows(),
)

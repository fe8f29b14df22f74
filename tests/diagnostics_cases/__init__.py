"""The known mistakes of integrators, one row for each.

Each row makes the mistake with PyJWT, or with hmac and hashlib, and not with Wicket.
"""

from __future__ import annotations

from tests.diagnostics_cases.claims import CLAIM_ROWS, USER_ROWS
from tests.diagnostics_cases.hashes import HASH_ROWS, PAIR_ROWS
from tests.diagnostics_cases.keys import KEY_ROWS
from tests.diagnostics_cases.origins import ORIGIN_ROWS

ROWS = [*KEY_ROWS, *USER_ROWS, *HASH_ROWS, *CLAIM_ROWS, *PAIR_ROWS, *ORIGIN_ROWS]

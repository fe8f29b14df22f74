"""Measures the highest cost of a request without a credential: each kind of request, against a named base.

    python -m benchmarks.unauthenticated          only this table
    python -m benchmarks --only unauthenticated   the same, as one part

The bases, all of the same run:

    honest      `gate.decide` of a known HS256 token of the profile `generic`, named by a header: at most 20 of them
    first-seen  the same, for a first-seen token of at most 16 KiB: at most 40 of them
    signature   one signature check with the same public key: at most 1.2 of them, or 20 honest requests if that is more
    json.loads  `json.loads` of the same bytes: at most 3 of them

Every request, the base too, includes the construction from its ASGI scope or WSGI environ and the decision; preflights
and path rules go through the middleware. Sizes are those that servers allow: 64 KiB of headers, 16 KiB of token,
64 KiB of body.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks import fixtures
from benchmarks.measure import Row, interleaved, repeated
from benchmarks.unauthenticated_cases import cases
from benchmarks.unauthenticated_requests import Call, scope_of
from wicket import (
    Request,
)

BOUNDS: Final = {"honest": 20.0, "first-seen": 40.0, "signature": 1.2, "json.loads": 3.0}
_CALLS: Final = 3
_ROUNDS: Final = 9


def rows() -> list[Row]:
    """Returns one row per kind of request."""
    return list(measured())


def measured() -> Iterator[Row]:
    """Yields the rows one after the other."""
    honest = _honest()
    for case in cases():
        base = case.base or honest
        samples = interleaved(
            {
                "request": repeated(case.call, _CALLS),
                "base": repeated(base, _CALLS * (1 if case.base else 20)),
                "honest": repeated(honest, _CALLS * 20),
            },
            calls=_CALLS,
            rounds=_ROUNDS,
        )
        request, below = samples.median("request"), samples.median("base") / (1 if case.base else 20)
        if case.against == "signature":  # a request may cost 20 honest ones, or 1.2 of its check if that is more
            below = max(below, samples.median("honest") / BOUNDS["signature"])
        yield Row(
            "unauthenticated",
            f"{case.what}, against {case.against}",
            request / below,
            BOUNDS[case.against],
            note=f"{request:.1f} µs; {case.against} {below:.1f} µs",
            micros={"request": request, case.against: below},
        )


def _honest() -> Call:
    gate, token = fixtures.gate_with(fixtures.app_with()), fixtures.token_for("user-1")
    scope = scope_of(fixtures.headers_of(token).items())
    fixtures.admitted(gate.decide(Request.from_asgi(scope)))
    return lambda: gate.decide(Request.from_asgi(scope))


def main() -> int:
    """Print the table. Returns 1 if a figure exceeds its bound, and 0 otherwise."""
    logging.disable(logging.CRITICAL)
    kept = [_print_row(row).holds for row in measured()]
    return 1 if False in kept else 0


def _print_row(row: Row) -> Row:
    held = "holds" if row.holds else "EXCEEDED"
    print(f"{row.what:94}{row.value:>8.2f}  {row.bound:>6.2f}  {held:8} {row.note}", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())

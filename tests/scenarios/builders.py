"""The words in which the rows are written."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.scenarios.model import Ask, Challenge, Expected, Form, Scenario
from wicket.errors import Code, Reason


def named(name: str) -> tuple[str, str]:
    return ("X-App-Id", name)


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


def from_origin(text: str) -> tuple[str, str]:
    return ("Origin", text)


def passes(identity: str, *, code: Code | None = None) -> Expected:
    """A verified user passes; `code` is what a part of the check in log-only reports."""
    return Expected(status=200, identity=identity, app_id=identity.partition(":")[0], enforced=code is None, code=code)


def passes_by_hash(identity: str) -> Expected:
    return Expected(status=200, identity=identity, app_id=identity.partition(":")[0], method="identity_hash")


def anonymous(app_id: str | None, *, claimed: str | None = None) -> Expected:
    return Expected(status=200, app_id=app_id, claimed=claimed, method=None)


def reported(app_id: str, code: Code, reason: Reason | None = None, *, claimed: str | None = None) -> Expected:
    """It would have been refused; log-only lets it pass as anonymous."""
    return Expected(status=200, code=code, reason=reason, app_id=app_id, enforced=False, claimed=claimed, method=None)


def bad_token(reason: Reason) -> Expected:
    return Expected(status=401, code="invalid_token", reason=reason, challenge=Challenge.ERROR)


def refused(
    status: int, code: Code, challenge: Challenge, *, form: Form = Form.PROBLEM, reason: Reason | None = None
) -> Expected:
    return Expected(
        status=status,
        code=code,
        reason=reason,
        challenge=challenge,
        form=form,
        retry_after=status in (429, 503),
    )


_TOKENS: Final = re.compile(r"eyJ[A-Za-z0-9_.-]{40,}")
_HASHES: Final = re.compile(r"[0-9a-f]{64}")
MISSING: Final = refused(401, "missing_token", Challenge.BARE)
INVALID_REQUEST: Final = refused(400, "invalid_request", Challenge.ERROR)
WRONG_ORIGIN: Final = refused(403, "origin_not_allowed", Challenge.NONE)


def row(
    name: str,
    expected: Expected,
    *headers: tuple[str, str],
    query: str = "",
    path: str = "/whoami",
    method: str = "GET",
    body: bytes = b"",
) -> Scenario:
    said = " ".join([query, *(value for _, value in headers), body.decode("utf-8", "replace")])
    secrets = (*_TOKENS.findall(said), *_HASHES.findall(said))
    return Scenario(name, Ask(method, path, query, headers, body), expected, secrets)


def posted(
    name: str,
    expected: Expected,
    content: object,
    *headers: tuple[str, str],
    query: str = "",
    media_type: str = "application/json; charset=utf-8",
) -> Scenario:
    """A row whose request has a body: a JSON value, or bytes as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    typed = (("Content-Type", media_type), *headers)
    return row(name, expected, *typed, query=query, method="POST", body=body)

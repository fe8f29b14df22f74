"""The result of a diagnosis. It contains no token, hash or key.

A value from a client is shown whole or not at all, with all characters but ASCII escaped. So the redactor finds every
secret in it, and the value cannot control a terminal.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from wicket.config.app import App
from wicket.errors import Refusal
from wicket.keys import Secret

_MAX_SHOWN: Final = 200
_MIN_REDACTED: Final = 8
_WITHHELD: Final = "(withheld)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake.

    Args:
        code: A stable word for programs.
        detail: Sentences in English: what was found, and how to correct it.
        expected: What is expected, if a few words can say it.
        found: What was found, if a few words can say it.
    """

    code: str
    detail: str
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the check.

    Args:
        name: The name of the step.
        expected: What is expected.
        found: What was found.
        passed: Whether the step passed; None if it checks nothing or could not be run.
    """

    name: str
    expected: str
    found: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of a diagnosis.

    It contains no token, secret, key or hash, so it can be shown to the owner of the app.

    Args:
        app: The id of the app; None for the diagnosis of a URL.
        passed: Whether the token or hash verifies. It is the decision of the gate.
        refusal: The refusal of the gate. The mode of the app and its `allow_anonymous` do not apply.
        findings: The mistakes. The most probable cause is first. If `passed` is true, they name values that the gate
            ignores.
        steps: The steps of the check. The last one is the decision.
    """

    app: str | None
    passed: bool
    refusal: Refusal | None
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as dictionaries, lists, strings, numbers, booleans and None, for JSON."""
        refusal = self.refusal
        return {
            "app": self.app,
            "passed": self.passed,
            "refusal": None if refusal is None else {**asdict(refusal), "status": refusal.status},
            "findings": [asdict(finding) for finding in self.findings],
            "steps": [asdict(step) for step in self.steps],
        }


def shown(value: object) -> str:
    """Return a value from a client in ASCII, or only its length if it is long."""
    escaped = ascii(value)
    return escaped if len(escaped) <= _MAX_SHOWN else f"({len(escaped)} characters)"


def listed(values: Iterable[object], none: str) -> str:
    """Return several values from a client, separated by commas. Return `none` if there are none."""
    return ", ".join(shown(value) for value in values) or none


class Redactor:
    """Withholds secrets and tokens in a diagnosis.

    The diagnosis itself adds none. A client may put one into a claim or a `kid`, for example.

    Args:
        app: The app whose secrets are withheld, in every common encoding.
        sensitive: Other strings to withhold. Strings of fewer than 8 characters are ignored.
    """

    __slots__ = ("_needles",)

    def __init__(self, app: App, sensitive: Iterable[str]) -> None:
        secrets = (*app.credentials, *app.hash_secrets)
        encoded = (form for secret in secrets if isinstance(secret, Secret) for form in _encodings(secret))
        needles = {
            form
            for value in (*sensitive, *encoded)
            for form in (value, ascii(value)[1:-1])
            if len(form) >= _MIN_REDACTED
        }
        self._needles = sorted(needles, key=len, reverse=True)

    def redact(self, diagnosis: Diagnosis) -> Diagnosis:
        """Return the diagnosis without these strings."""
        refusal = diagnosis.refusal
        return replace(
            diagnosis,
            refusal=None if refusal is None else self._redact_refusal(refusal),
            findings=tuple(
                Finding(
                    finding.code,
                    self._redact(finding.detail),
                    None if finding.expected is None else self._redact(finding.expected),
                    None if finding.found is None else self._redact(finding.found),
                )
                for finding in diagnosis.findings
            ),
            steps=tuple(
                Step(step.name, self._redact(step.expected), self._redact(step.found), step.passed)
                for step in diagnosis.steps
            ),
        )

    def _redact_refusal(self, refusal: Refusal) -> Refusal:
        expected = None if refusal.expected is None else self._redact(refusal.expected)
        return replace(refusal, detail=self._redact(refusal.detail), expected=expected)

    def _redact(self, value: str) -> str:
        for needle in self._needles:
            value = value.replace(needle, _WITHHELD)
        return value


def _encodings(secret: Secret) -> tuple[str, ...]:
    """Return a secret in every encoding that a client may send by mistake."""
    value: bytes = secret.keys[0].material
    standard, urlsafe = base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()
    return (
        value.decode("latin-1"),
        value.decode("utf-8", "ignore"),
        *(value.hex(), value.hex().upper()),
        *(standard.rstrip("="), urlsafe.rstrip("=")),
    )

"""What the checker says, as values: findings, steps, and the diagnosis that holds them. Never a token, a hash or a key.

Every value that a client wrote is shown whole or not at all, with everything but ASCII escaped. So the veil, which
takes out what must not be said, never misses a part of it, and a terminal is never steered.
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
_SHORTEST: Final = 8
_WITHHELD: Final = "(withheld)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. `mistake` is a stable word for programs; `detail` says in English what was found and what to do.

    `expected` and `found` are what was wanted and what was there, where that can be said in a few words.
    """

    code: str
    detail: str
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `passed` is None where it could not be judged or there is nothing to judge."""

    name: str
    expected: str
    found: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the checker says. It holds no token, no secret, no key and no hash, and so may be shown to the app's owner.

    `app` is the app's id; None for the check of a URL. `passed`: the token or hash verifies, by the gate's own
    decision. `refusal` is the one that the gate gives, whatever the app's mode and whether or not it admits anonymous
    users. `findings` are the mistakes, the likeliest cause first; where `passed` holds they are what was quietly left
    out. `steps` are the steps of the way, the decision last.
    """

    app: str | None
    passed: bool
    refusal: Refusal | None
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same in texts, numbers, lists and dictionaries, for JSON."""
        refusal = self.refusal
        return {
            "app": self.app,
            "passed": self.passed,
            "refusal": None if refusal is None else {**asdict(refusal), "status": refusal.status},
            "findings": [asdict(finding) for finding in self.findings],
            "steps": [asdict(step) for step in self.steps],
        }


def shown(value: object) -> str:
    """A value that somebody else wrote, in ASCII; only its length where it is long."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else f"({len(text)} characters)"


def listed(values: Iterable[object], none: str) -> str:
    """Several such values."""
    return ", ".join(shown(value) for value in values) or none


class Redactor:
    """Takes out of a diagnosis what must not be said, whichever way it came in: a secret pasted as a kid, for example.

    The checker puts no such thing into its words; this holds whatever a client writes into a claim.
    """

    __slots__ = ("_needles",)

    def __init__(self, app: App, others: Iterable[str]) -> None:
        rule = app.identity_hash
        secrets = (*app.credentials, *(rule.secrets if rule is not None else ()))
        texts = [*others, *(text for each in secrets if isinstance(each, Secret) for text in _spelled(each))]
        spelled = {form for text in texts for form in (text, ascii(text)[1:-1]) if len(form) >= _SHORTEST}
        self._needles = sorted(spelled, key=len, reverse=True)

    def redact(self, diagnosis: Diagnosis) -> Diagnosis:
        """The diagnosis with all such texts withheld."""
        refusal = diagnosis.refusal
        return replace(
            diagnosis,
            refusal=None if refusal is None else replace(refusal, detail=self._hide(refusal.detail)),
            findings=tuple(
                Finding(
                    each.code,
                    self._hide(each.detail),
                    None if each.expected is None else self._hide(each.expected),
                    None if each.found is None else self._hide(each.found),
                )
                for each in diagnosis.findings
            ),
            steps=tuple(
                Step(each.name, self._hide(each.expected), self._hide(each.found), each.passed)
                for each in diagnosis.steps
            ),
        )

    def _hide(self, text: str) -> str:
        for needle in self._needles:
            text = text.replace(needle, _WITHHELD)
        return text


def _spelled(secret: Secret) -> tuple[str, ...]:
    """A secret in every spelling in which somebody may have pasted it."""
    value: bytes = secret.keys[0].material
    standard, urlsafe = base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()
    return (
        value.decode("latin-1"),
        value.decode("utf-8", "ignore"),
        *(value.hex(), value.hex().upper()),
        *(standard.rstrip("="), urlsafe.rstrip("=")),
    )

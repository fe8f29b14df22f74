"""All of the checker for one token or hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wicket.config.app import App
from wicket.decision.context import GateContext
from wicket.decision.identity_hash import compute_hash
from wicket.diagnostics.case import Case, app_of, body_of, gather
from wicket.diagnostics.claims import claim_findings
from wicket.diagnostics.hashes import hash_findings, pairs_of
from wicket.diagnostics.keys import bare_token, key_findings
from wicket.diagnostics.origins import origin_findings
from wicket.diagnostics.report import Diagnosis, Finding, Redactor
from wicket.diagnostics.steps import steps_of, steps_without_app
from wicket.errors import Problems, Refusal, Refused, config_error
from wicket.gate import Gate

_LONG: Final = 32
_APART: Final = frozenset({"invalid_request", "too_large", "wrong_type", "context_too_large", "revoked"})
"""Refusals that no finding explains."""


def diagnose(
    gate: Gate,
    app: str,
    token: str | None = None,
    *,
    sent: Mapping[str, Any] | None = None,
    origin: str | None = None,
) -> Diagnosis:
    """Name the mistake behind a refused token or identity hash, for the dashboard of an app's owner.

    `app` is the app's id. `token` is the token alone; without it, the one that stands in `sent`, the JSON body that the
    client sent, or else the identity hash there. `origin` is the page's, where it matters. Whatever is given, nothing
    is accepted by it, reported as an event or counted; and the Diagnosis holds no secret, key, token or hash.

    Blocks while the app or its key sets are loaded, as long as `Limits` allow. A key set is fetched for each call, so
    bound how often a stranger may ask. Raises `ConfigError` for an app that the gate does not know, and for arguments
    of other types.
    """
    check_arguments(gate, app, token, sent, origin)
    diagnosis = run_diagnosis(gate, app, token, sent, origin)
    if diagnosis.refusal is not None and diagnosis.refusal.code == "unknown_app":
        raise config_error("app", "is not known to this gate")
    return diagnosis


def check_arguments(gate: object, app: object, token: object, sent: object, origin: object) -> None:
    """Raise `ConfigError` for arguments that no text, body or gate can be."""
    problems = Problems()
    if not isinstance(gate, Gate):
        problems.add("gate", "must be a Gate")
    if not isinstance(app, str):
        problems.add("app", "must be an app's id")
    for name, value in (("token", token), ("origin", origin)):
        if value is not None and not isinstance(value, str):
            problems.add(name, "must be a text, or None")
    if sent is not None and not isinstance(sent, Mapping):
        problems.add("sent", "must map texts to what a JSON body may hold, or be None")
    problems.raise_if_any()


def run_diagnosis(
    gate: Gate, app_id: str, token: str | None, sent: Mapping[str, Any] | None, origin: str | None
) -> Diagnosis:
    """As `diagnose`, for arguments of the right types; an app that is not known is a refusal, as for a request."""
    body_of(sent)
    house = gate._context
    try:
        app = app_of(house, app_id)
    except Refused as refused:
        refusal = refused.refusal
        return Diagnosis(
            app_id, False, refusal, (_refusal_finding(refusal),), tuple(steps_without_app(gate, app_id, refusal))
        )
    case = gather(gate, house, app, token, sent, origin)
    findings = tuple(_findings(gate, house, case))
    diagnosis = Diagnosis(app.id, case.passed, case.refusal, findings, tuple(steps_of(case)))
    return _veil(app, case).redact(diagnosis)


def _findings(gate: Gate, house: GateContext, case: Case) -> Iterator[Finding]:
    found = [*origin_findings(case), *_token_findings(gate, house, case), *hash_findings(case)]
    if case.refusal is not None and not _is_explained(case.refusal, found):
        found.append(_refusal_finding(case.refusal))
    yield from dict.fromkeys(found)


def _is_explained(refusal: Refusal, found: list[Finding]) -> bool:
    """Whether one of the findings explains the refusal, which may be no mistake of the table."""
    if refusal.reason in ("bad_claim", "missing_claim"):
        return any((refusal.claim or "") in each.detail for each in found)
    return bool(found) and (refusal.reason or refusal.code) not in _APART


def _token_findings(gate: Gate, house: GateContext, case: Case) -> Iterator[Finding]:
    if case.passed or case.text is None:
        return
    if case.token is None:
        bare, found = bare_token(case.text)
        yield from found
        if found:
            # What else is wrong with it is said too, as if it had been sent by itself.
            inner = gather(gate, house, case.app, bare, None, None)
            yield from (*key_findings(inner), *claim_findings(inner))
            return
    yield from key_findings(case)
    yield from claim_findings(case)


def _refusal_finding(refusal: Refusal) -> Finding:
    """A refusal that is no mistake of the table, or says all there is to say."""
    return Finding(refusal.reason or refusal.code, refusal.detail)


def _veil(app: App, case: Case) -> Redactor:
    texts = [case.text or ""]
    for pair in pairs_of(case):
        texts.append(pair.proof or "" if len(pair.proof or "") >= _LONG else "")
        if pair.value is not None and pair.value.isprintable():
            value = pair.normalized(pair.value)
            texts.extend(compute_hash(pair.secret, value, encoding) for encoding in ("hex", "base64"))
    return Redactor(app, texts)

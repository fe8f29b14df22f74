"""The diagnosis of a token or an identity hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wicket.config.app import App
from wicket.decision.identity_hash import compute_hash
from wicket.diagnostics.case import Case, build_case, encode_body, load_app
from wicket.diagnostics.claims import claim_findings
from wicket.diagnostics.hashes import hash_findings, hash_pairs
from wicket.diagnostics.keys import bare_token, key_findings
from wicket.diagnostics.origins import origin_findings
from wicket.diagnostics.report import Diagnosis, Finding, Redactor
from wicket.diagnostics.steps import steps_of_case, steps_without_app
from wicket.errors import Problems, Refusal, Refused, config_error, did_you_mean
from wicket.gate import Gate

_MIN_REDACTED_HASH: Final = 32
"""The shortest hash that is redacted. A shorter value is no HMAC-SHA256, and may be an identifier."""

_NEEDS_OWN_FINDING: Final = frozenset({"invalid_request", "too_large", "wrong_type", "context_too_large", "revoked"})
"""Codes and reasons that no other finding explains."""


def diagnose(
    gate: Gate,
    app: str,
    token: str | None = None,
    *,
    body: Mapping[str, Any] | None = None,
    origin: str | None = None,
) -> Diagnosis:
    """Name the mistake behind a refused token or identity hash, for example on a dashboard for the owner of an app.

    The function grants no access, reports no event and counts no outcome. The result contains no secret, key, token or
    hash. A call blocks while the app and its key sets are loaded, at most as long as `Limits` allow. Every
    call fetches the app's key sets, so limit how often an untrusted person can call it.

    Args:
        gate: The gate.
        app: The id or alias of the app.
        token: The token. Without it, the token in `body` is used, or else the identity hash in `body`.
        body: The JSON object that the client sent.
        origin: The origin of the page that sent the request.

    Raises:
        ConfigError: The gate does not know the app, or an argument has the wrong type.
    """
    check_arguments(gate, app, token, body, origin)
    diagnosis = run_diagnosis(gate, app, token, body, origin)
    if diagnosis.refusal is not None and diagnosis.refusal.code == "unknown_app":
        known = [app.id for app in gate.apps]
        raise config_error("app", "is not known to this gate", did_you_mean(app, known) if known else "check its id")
    return diagnosis


def check_arguments(gate: object, app: object, token: object, body: object, origin: object) -> None:
    """Check the types of the arguments of `diagnose`.

    Raises:
        ConfigError: An argument has the wrong type.
    """
    problems = Problems()
    if not isinstance(gate, Gate):
        problems.add("gate", "must be a Gate")
    if not isinstance(app, str):
        problems.add("app", "must be the id of an app")
    for name, value in (("token", token), ("origin", origin)):
        if value is not None and not isinstance(value, str):
            problems.add(name, "must be a string or None")
    if body is not None and not isinstance(body, Mapping):
        problems.add("body", "must be a mapping of strings to JSON values, or None")
    problems.raise_if_any()


def run_diagnosis(
    gate: Gate, app_id: str, token: str | None, body: Mapping[str, Any] | None, origin: str | None
) -> Diagnosis:
    """Return the diagnosis like `diagnose`. An unknown app is a refusal, and the types are not checked."""
    encode_body(body)
    try:
        app = load_app(gate._context, app_id)
    except Refused as refused:
        refusal = refused.refusal
        return Diagnosis(
            app_id, False, refusal, (_refusal_finding(refusal),), tuple(steps_without_app(gate, app_id, refusal))
        )
    case = build_case(gate, app, token, body, origin)
    findings = tuple(_findings(gate, case))
    diagnosis = Diagnosis(app.id, case.passed, case.refusal, findings, tuple(steps_of_case(case)))
    return _build_redactor(app, case).redact(diagnosis)


def _findings(gate: Gate, case: Case) -> Iterator[Finding]:
    findings = [*origin_findings(case), *_token_findings(gate, case), *hash_findings(case)]
    if case.refusal is not None and not _is_explained(case.refusal, findings):
        findings.append(_refusal_finding(case.refusal))
    yield from dict.fromkeys(findings)


def _is_explained(refusal: Refusal, findings: list[Finding]) -> bool:
    """Return whether one of the findings explains the refusal."""
    if refusal.reason in ("bad_claim", "missing_claim"):
        return refusal.claim is not None and any(refusal.claim in finding.detail for finding in findings)
    return bool(findings) and (refusal.reason or refusal.code) not in _NEEDS_OWN_FINDING


def _token_findings(gate: Gate, case: Case) -> Iterator[Finding]:
    if case.passed or case.raw_token is None:
        return
    if case.token is None:
        bare, findings = bare_token(case.raw_token)
        yield from findings
        if findings:
            # Report the other mistakes of the token too, as if it had been given without the extra characters.
            bare_case = build_case(gate, case.app, bare, None, None)
            yield from (*key_findings(bare_case), *claim_findings(bare_case))
            return
    yield from key_findings(case)
    yield from claim_findings(case)


def _refusal_finding(refusal: Refusal) -> Finding:
    """Return a finding for a refusal that no other finding explains."""
    return Finding(refusal.reason or refusal.code, refusal.detail)


def _build_redactor(app: App, case: Case) -> Redactor:
    sensitive = [case.raw_token or ""]
    for pair in hash_pairs(case):
        sensitive.append(pair.proof or "" if len(pair.proof or "") >= _MIN_REDACTED_HASH else "")
        if pair.value is not None and pair.value.isprintable():
            value = pair.normalized(pair.value)
            sensitive.extend(compute_hash(pair.secret, value, encoding) for encoding in ("hex", "base64"))
    return Redactor(app, sensitive)

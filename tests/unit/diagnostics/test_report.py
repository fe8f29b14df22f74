"""The values of a diagnosis, and the redactor."""

from __future__ import annotations

import base64

from tests.support.unit import KEY, acme
from wicket import Refusal, Secret
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.diagnostics.report import Diagnosis, Finding, Redactor, Step, listed, shown

TEXT = 'x7 "q2" k9 é w4 m1 z8 t5 v3 h6 p0 d2 j7 n4'
COMPANIES = "4e0f-a91b-77c2-d850-63ab, for the companies"


def test_diagnosis_shown_value_is_escaped_or_length_only() -> None:
    assert shown("é\x1b") == "'\\xe9\\x1b'"
    assert shown("x" * 300) == "(302 characters)"
    assert listed([], "none") == "none"
    assert listed(["a", "b"], "none") == "'a', 'b'"


def test_redactor_every_encoding_of_secrets_is_withheld() -> None:
    rule = IdentityHash(
        secret=Secret.from_text(TEXT),
        identifier="userId",
        companies=CompanyHash(secret=Secret.from_text(COMPANIES)),
    )
    redactor = Redactor(acme(identity_hash=rule), ["a.whole.token", "short"])
    encodings = [
        *(KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode()),
        *(TEXT, shown(TEXT), COMPANIES, "a.whole.token"),
    ]
    for text in encodings:
        redacted = redactor.redact(
            Diagnosis(
                "acme",
                False,
                Refusal("invalid_token", "bad_claim", f"in {text}."),
                (Finding("m", text, text, text), Finding("m", text)),
                (Step("s", text, text, None),),
            )
        )
        assert text not in repr(redacted)
        assert redacted.refusal is not None
        assert "(withheld)" in redacted.refusal.detail
        assert "(withheld)" in (redacted.findings[0].found or "")
        assert redacted.findings[1].found is None
        assert "(withheld)" in redacted.steps[0].found


def test_redactor_short_text_is_unchanged() -> None:
    diagnosis = Diagnosis(None, True, None, (), (Step("s", "short", "", True),))
    assert Redactor(acme(), ["short"]).redact(diagnosis) == diagnosis

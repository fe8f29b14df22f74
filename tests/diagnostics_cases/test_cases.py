"""`diagnose` names each known mistake of integrators, and reports none for a correct request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.diagnostics_cases import ROWS
from tests.diagnostics_cases.builders import (
    AUDIENCE,
    B64,
    COMPANY,
    HASHING,
    HEX,
    NAMED,
    NOW,
    ORIGIN,
    RAW,
    SECOND,
    SECRETS,
    TEXT,
    Row,
    app,
    binary,
    body,
    claimed,
    hashed,
    hashing,
    named_keys,
    sign,
    with_companies,
    with_issuer,
)
from wicket import App, Gate, Jwks, Rules, Secret
from wicket.diagnostics import Diagnosis, diagnose
from wicket.testing.issuer import LocalIssuer


def check(row: Row) -> Diagnosis:
    with Gate([row.app()], clock=lambda: NOW) as gate:
        return diagnose(gate, "acme", row.token, body=row.body, origin=row.origin)


def unsigned_values(diagnosis: Diagnosis) -> str:
    return repr(diagnosis) + json.dumps(diagnosis.as_dict()) + json.dumps(diagnosis.as_dict(), ensure_ascii=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_diagnose_known_mistake_finding_code(row: Row) -> None:
    diagnosis = check(row)
    assert not diagnosis.passed
    assert diagnosis.refusal is not None
    assert {each.code for each in diagnosis.findings} == {row.code, *row.also}
    finding = next(each for each in diagnosis.findings if each.code == row.code)
    sentences = " ".join(each.detail for each in diagnosis.findings)
    for words in row.says:
        assert words in sentences
    if row.found is not None:
        assert finding.found == row.found
    if row.expected is not None:
        assert finding.expected == row.expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_diagnose_known_mistake_output_without_secrets(row: Row) -> None:
    said = unsigned_values(check(row))
    for secret in SECRETS:
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert form not in said
    assert bytes.fromhex(HEX).decode("latin-1") not in said
    if row.token is not None:
        assert row.token not in said
        assert row.token.strip().rpartition(".")[2] not in said or row.token.endswith(".")
    for identifier in ("User-1 ", "User-1", "user-1", "Ann@Acme.com", "ann@acme.com", "c1", "u7", "17"):
        for key in (HASHING, COMPANY, TEXT):
            digest = hmac.new(key.encode(), identifier.encode(), hashlib.sha256).digest()
            for form in (digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode()):
                assert form not in said


HONEST: list[tuple[str, Callable[[], App], str | None, Mapping[str, Any] | None, str | None]] = [
    ("hex", lambda: binary("hex"), sign(bytes.fromhex(HEX)), None, None),
    ("base64", lambda: binary("base64"), sign(base64.b64decode(B64)), None, None),
    ("text", app, sign(TEXT), None, ORIGIN),
    ("bytes", lambda: app(credentials=[Secret(TEXT.encode())]), sign(TEXT), None, None),
    ("kid", named_keys, sign(SECOND, kid="k2"), None, None),
    ("no kid", named_keys, sign(SECOND), None, None),
    ("an unknown kid, and keys without an id", app, sign(TEXT, kid="k9"), None, None),
    ("an integer user", lambda: app(rules=Rules(allow_integer_user_id=True)), sign(TEXT, sub=42), None, None),
    ("issuer and audience", with_issuer, claimed(aud=["x", AUDIENCE]), None, None),
    ("a hash", hashing, None, body(RAW.hex()), None),
    ("a hash in base64", lambda: hashing(encoding="base64"), None, body(base64.b64encode(RAW).decode()), None),
    ("a normalized hash", lambda: hashing(normalize=["strip", "lower"]), None, body(hashed("user-1")), None),
    (
        "companies",
        with_companies,
        None,
        body(RAW.hex(), companies=[{"id": "c1", "companyHash": hashed("c1", secret=COMPANY)}]),
        None,
    ),
    ("a token in the body", hashing, None, {"jwt": sign(TEXT), "userId": "user-1"}, None),
    ("a token and the user's hash", hashing, sign(TEXT, userId="User-1 "), body(RAW.hex()), None),
    (
        "a web view that is listed",
        lambda: app(origins=["capacitor://localhost"]),
        sign(TEXT),
        None,
        "capacitor://localhost",
    ),
    ("an app that needs an origin", lambda: app(require_origin=True), sign(TEXT), None, None),
]


@pytest.mark.parametrize(("name", "make", "token", "sent", "origin"), HONEST, ids=[each[0] for each in HONEST])
def test_diagnose_valid_request_no_findings(
    name: str, make: Callable[[], App], token: str | None, sent: Mapping[str, Any] | None, origin: str | None
) -> None:
    with Gate([make()], clock=lambda: NOW) as gate:
        diagnosis = diagnose(gate, "acme", token, body=sent, origin=origin)
    assert (diagnosis.passed, diagnosis.refusal, diagnosis.findings) == (True, None, ())
    assert diagnosis.steps[-1].found.startswith("passes as acme:")
    said = unsigned_values(diagnosis)
    assert not any(secret in said for secret in SECRETS)
    assert token is None or token not in said
    assert RAW.hex() not in said


def test_diagnose_company_without_hash_passes_with_half_a_pair_finding() -> None:
    with Gate([with_companies()], clock=lambda: NOW) as gate:
        diagnosis = diagnose(gate, "acme", body=body(RAW.hex(), companies=[{"id": "c1"}, {"name": "One"}]))
    assert diagnosis.passed
    assert [(each.code, each.found) for each in diagnosis.findings] == [("half_a_pair", "id alone")]


# --- key sets


def remote(issuer: LocalIssuer, **settings: Any) -> tuple[Gate, App]:
    made = App("acme", issuer=issuer.issuer, credentials=[Jwks(issuer.jwks_url)], app_locations=NAMED, **settings)
    return Gate([made], network=issuer.network), made


def test_diagnose_key_set_lacks_kid_finding_contains_url(wicket_issuer: LocalIssuer) -> None:
    with remote(wicket_issuer)[0] as gate:
        good = wicket_issuer.token("user-1")
        assert diagnose(gate, "acme", good).findings == ()
        stranger = jwt.encode(
            jwt.decode(good, options={"verify_signature": False}),
            ec.generate_private_key(ec.SECP256R1()),
            algorithm="ES256",
            headers={"kid": "elsewhere-1"},
        )
        (finding,) = diagnose(gate, "acme", stranger).findings
    assert (finding.code, finding.found, finding.expected) == ("key_set_lacks_kid", "'elsewhere-1'", "'key-1'")
    assert wicket_issuer.jwks_url in finding.detail


def test_diagnose_missing_wrong_or_unknown_kid_finding_code(wicket_issuer: LocalIssuer) -> None:
    wicket_issuer.rotate()
    with remote(wicket_issuer)[0] as gate:
        claims = jwt.decode(wicket_issuer.token("user-1"), options={"verify_signature": False})
        (finding,) = diagnose(gate, "acme", jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256")).findings
        assert (finding.code, finding.found) == ("kid_missing", "none")
        assert "'key-1', 'key-2'" in finding.detail
        assert "'key-2' verifies it" in finding.detail
        named = jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256", headers={"kid": "key-1"})
        (finding,) = diagnose(gate, "acme", named).findings
        assert (finding.code, finding.found) == ("other_key", "the key 'key-2'")
        unknown = jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256", headers={"kid": "key-9"})
        (finding,) = diagnose(gate, "acme", unknown).findings
        assert finding.code == "kid_unknown"


def test_diagnose_key_set_404_key_set_unusable(wicket_issuer: LocalIssuer) -> None:
    wicket_issuer.fault = lambda exchange: exchange.answer(404)
    with remote(wicket_issuer)[0] as gate:
        diagnosis = diagnose(gate, "acme", wicket_issuer.token("user-1"))
    assert [(each.code, each.found) for each in diagnosis.findings] == [("key_set_unusable", "not_found")]
    assert wicket_issuer.jwks_url in diagnosis.findings[0].detail
    assert diagnosis.refusal is not None
    assert diagnosis.refusal.code == "config_invalid"

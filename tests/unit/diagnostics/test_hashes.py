"""The search for the value and the secret of a hash: its encodings and its limits."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from tests.support.cost import BOUNDED, steps_of
from tests.support.unit import NOW, acme, gate_of, secret, token
from wicket import JsonBody, MessageHash
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash
from wicket.diagnostics import Diagnosis, diagnose
from wicket.diagnostics.hashes import _MAX_MEMBERS, _decode_hash

KEY = bytes(range(100, 140))
DIGEST = hmac.new(KEY, b"user-1", hashlib.sha256).digest()


def ask(sent: dict[str, Any], **settings: Any) -> Diagnosis:
    rule = IdentityHash(secret=secret(KEY), identifier="userId", **settings)
    with gate_of(acme(identity_hash=rule), clock=lambda: NOW) as gate:
        return diagnose(gate, "acme", body=sent)


@pytest.mark.parametrize(
    ("proof", "encoding"),
    [
        (DIGEST.hex(), "hex"),
        (DIGEST.hex().upper(), "upper"),
        (DIGEST.hex(":"), "dashed"),
        (f" {DIGEST.hex()}", "spaces"),
        (f"{base64.b64encode(DIGEST).decode()}\n", "spaces"),
        (f"SHA256={DIGEST.hex()}", "prefix"),
        (base64.b64encode(DIGEST).decode(), "base64"),
        (base64.b64encode(DIGEST).decode().rstrip("="), "unpadded"),
    ],
)
def test_read_hash_known_encoding_returns_name_and_digest(proof: str, encoding: str) -> None:
    assert _decode_hash(proof) == (encoding, DIGEST)


@pytest.mark.parametrize("text", ["", " x ", "f" * 63, "f" * 128, "sha256=x", "é" * 43, "A" * 42 + "=="])
def test_read_hash_other_text_returns_none(text: str) -> None:
    assert _decode_hash(text) is None


def test_diagnose_hash_reports_fewest_mistakes() -> None:
    sent = {"userId": "USER-1", "email": "user-1", "userHash": DIGEST.hex()}
    assert [each.code for each in ask(sent).findings] == [
        "altered_identifier"
    ]  # the value of the identifier is tried first
    both = {"userId": "x", "email": "USER-1", "userHash": DIGEST.hex().upper()}
    assert [each.code for each in ask(both).findings] == ["hash_encoding", "wrong_identifier", "altered_identifier"]


def test_diagnose_hash_integer_identifier_is_hashed_as_digits() -> None:
    proof = hmac.new(KEY, b"42", hashlib.sha256).hexdigest()
    assert ask({"userId": 42, "userHash": proof}).passed
    assert [each.code for each in ask({"userId": 7, "nr": 42, "userHash": proof}).findings] == ["wrong_identifier"]


def test_diagnose_hash_step_describes_input_and_result() -> None:
    found = {step.name: step.found for step in ask({"userId": "user-1"}).steps}
    assert found["hash"] == "no hash"
    assert {step.name: step.found for step in ask({"userHash": "x"}).steps}["hash"] == "no userId"
    bad = {step.name: (step.found, step.passed) for step in ask({"userId": "u", "userHash": DIGEST.hex()}).steps}
    assert bad["hash"] == ("64 characters: does not verify", False)


def test_diagnose_hash_large_body_has_bounded_cost() -> None:
    sent: dict[str, Any] = {f"m{index}": {"a": "x" * 1000, "b": index} for index in range(20_000)}
    proof = hmac.new(KEY, b"none", hashlib.sha256).hexdigest()
    companies = [{**{f"n{index}": str(index) for index in range(200)}, "companyHash": proof}] * 200
    diagnoses: list[Diagnosis] = []

    def check() -> None:
        diagnoses.append(
            ask(
                {"userId": "u", "userHash": proof, "companies": companies, **sent},
                companies=CompanyHash(secret=secret(bytes(range(50, 90)))),
            )
        )

    assert steps_of(check, rounds=1) < 20 * BOUNDED
    (diagnosis,) = diagnoses
    assert {each.code for each in diagnosis.findings} == {"bad_identity_hash", "half_a_pair"}
    assert _MAX_MEMBERS < 200


def valid(text: str, key: bytes = KEY) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


VALUE_KEY = bytes(range(50, 90))
CONTEXT = ValueHash(name="context", secret=secret(VALUE_KEY), hash_location=JsonBody("contextHash"), form="json")
ADA = {"userId": "ada", "userHash": valid("ada")}


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ({"context": {"a": 1}, "contextHash": valid('{"a":1}', VALUE_KEY)}, []),
        ({}, []),
        ({"context": {"a": 1}}, ["half_a_pair"]),
        ({"contextHash": valid('{"a":1}', VALUE_KEY)}, ["half_a_pair", "bad_identity_hash"]),
        ({"context": {"a": 1}, "contextHash": valid('{"a":1}')}, ["other_key"]),
        ({"context": {"a": 1}, "contextHash": valid('{"a": 1}', VALUE_KEY)}, ["bad_identity_hash"]),
        ({"context": {"a": 1.5}, "contextHash": valid('{"a":1.5}', VALUE_KEY)}, ["bad_identity_hash"]),
    ],
    ids=repr,
)
def test_diagnose_value_hash_mistake_named(sent: dict[str, Any], codes: list[str]) -> None:
    diagnosis = ask({**ADA, **sent}, values=(CONTEXT,))
    assert diagnosis.passed is not bool(codes)
    assert [finding.code for finding in diagnosis.findings][: len(codes)] == codes[: len(diagnosis.findings)]
    assert bool(diagnosis.findings) is bool(codes)
    assert all("context" in finding.detail for finding in diagnosis.findings)


def test_diagnose_single_company_hash_mistake_named() -> None:
    rule = CompanyHash(
        secret=secret(VALUE_KEY), location=[JsonBody("companies"), JsonBody("company")], id_field=["companyId", "id"]
    )
    (finding,) = ask({**ADA, "company": {"id": "c1", "companyHash": valid("c1")}}, companies=rule).findings
    assert finding.code == "other_key"
    assert "The hash of company was made with the secret for users" in finding.detail
    (finding,) = ask({**ADA, "company": {"companyHash": valid("c1")}}, companies=rule).findings
    assert (finding.code, "without the companyId" in finding.detail) == ("half_a_pair", True)
    assert ask({**ADA, "company": {"id": "c1", "companyHash": valid("c1", VALUE_KEY)}}, companies=rule).passed
    assert ask({**ADA, "company": {"name": "One"}, "companies": "none"}, companies=rule).passed


def test_diagnose_hash_beside_token_of_other_identifier_step_verifies() -> None:
    app = acme(identity_hash=IdentityHash(secret=secret(KEY), identifier="email"), credentials=[secret(VALUE_KEY)])
    diagnosis = diagnose(gate_of(app), "acme", token(key=VALUE_KEY), body={"userHash": valid("user-1")})
    assert diagnosis.passed
    assert {step.name: step.passed for step in diagnosis.steps}["hash"]


def test_diagnose_token_or_hash_by_secret_of_messages_named() -> None:
    app = acme(
        identity_hash=IdentityHash(secret=secret(KEY)),
        message_hash=MessageHash(secret=secret(VALUE_KEY)),
    )
    with gate_of(app) as gate:
        (of_hash,) = diagnose(gate, "acme", body={"userId": "ada", "userHash": valid("ada", VALUE_KEY)}).findings
        (of_token,) = diagnose(gate, "acme", token(key=VALUE_KEY)).findings
        message = diagnose(gate, "acme", body={"userId": "ada", "userHash": VALUE_KEY.hex()})
    assert (of_hash.code, of_hash.found) == ("other_key", "the secret for messages")
    assert (of_token.code, of_token.found) == ("other_key", "the secret of hashes in messages")
    assert VALUE_KEY.hex() not in repr(message)

"""Wycheproof's json_web_signature_test.json: what must not verify does not, and what must does.

No payload of the suite is a JSON object, so even a valid vector is refused, but only as claims: its signature has been
verified by then. An invalid vector is refused before that.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.vectors import (
    UnusableKeyError,
    app_of,
    key_of,
    load,
    needs_vectors,
    stage_of_refusal,
    verifies_by_hand,
)
from wicket import Gate
from wicket.runtime import base64url

pytestmark = needs_vectors

SUITE: dict[str, Any] = load("wycheproof/json_web_signature_test.json")
DEFECTS: list[dict[str, Any]] = load("wycheproof/known_defects.json").get("overrides", [])
OVERRIDES = {defect["tcId"]: defect["use"].partition(" ")[0] for defect in DEFECTS}

Vector = tuple[dict[str, Any], dict[str, Any]]
VECTORS: list[Vector] = [(group, vector) for group in SUITE.get("testGroups", []) for vector in group["tests"]]


def expected(vector: dict[str, Any]) -> str:
    """What a vector demands, by the suite's label or by what is known to be wrong with the label."""
    label: str = OVERRIDES.get(vector["tcId"], vector["result"])
    return label


def named(vectors: list[Vector]) -> list[Any]:
    return [pytest.param(*each, id=f"{each[1]['tcId']}-{each[1]['comment']}") for each in vectors]


VALID = [each for each in VECTORS if expected(each[1]) == "valid"]
WITHOUT_PAYLOAD = [each for each in VALID if ".." in each[1]["jws"]]
INVALID = [each for each in VECTORS if expected(each[1]) != "valid"]


def test_wycheproof_suite_all_vectors_covered() -> None:
    assert len(VECTORS) == SUITE["numberOfTests"]
    assert OVERRIDES.keys() <= {vector["tcId"] for _, vector in VECTORS}
    assert set(OVERRIDES.values()) <= {"valid", "invalid"}


@pytest.mark.parametrize(("group", "vector"), named([each for each in VALID if each not in WITHOUT_PAYLOAD]))
def test_wycheproof_valid_vector_refused_only_at_payload(group: dict[str, Any], vector: dict[str, Any]) -> None:
    app = app_of(key_of(group.get("public") or group["private"]))

    assert stage_of_refusal(app, vector["jws"]) == "payload"
    assert refusal_through_a_gate(app, vector["jws"]) == ("invalid_token", "malformed")


@pytest.mark.parametrize(("group", "vector"), named(WITHOUT_PAYLOAD))
def test_wycheproof_valid_vector_empty_payload_malformed(group: dict[str, Any], vector: dict[str, Any]) -> None:
    """An empty payload can hold no claims, so its signature, though it verifies, need not be looked at."""
    key = key_of(group.get("public") or group["private"])
    app = app_of(key)

    header = json.loads(base64url.decode(vector["jws"].partition(".")[0]))
    assert verifies_by_hand(key, header["alg"], vector["jws"])
    assert stage_of_refusal(app, vector["jws"]) == "reading"
    assert refusal_through_a_gate(app, vector["jws"]) == ("invalid_token", "malformed")


@pytest.mark.parametrize(("group", "vector"), named(INVALID))
def test_wycheproof_invalid_vector_refused_before_payload(group: dict[str, Any], vector: dict[str, Any]) -> None:
    jwk = group.get("public") or group["private"]
    if jwk.get("use") == "enc" or "encrypt" in jwk.get("key_ops", ()) or jwk.get("alg") == "ES521":
        with pytest.raises(UnusableKeyError):  # for encryption, or bound to an algorithm that does not exist
            key_of(jwk)
        return
    key = key_of(jwk)
    app = app_of(key)

    assert stage_of_refusal(app, vector["jws"]) in ("reading", "choice of key", "signature", "spelling of payload")
    code, _ = refusal_through_a_gate(app, vector["jws"])
    assert code == ("invalid_token" if vector["jws"] else "missing_token")


@pytest.mark.parametrize("defect", [pytest.param(each, id=str(each["tcId"])) for each in DEFECTS])
def test_wycheproof_known_defect_label_wrong_for_stated_reason(defect: dict[str, Any]) -> None:
    ((group, vector),) = [each for each in VECTORS if each[1]["tcId"] == defect["tcId"]]
    text, jwk = vector["jws"], group.get("public") or group["private"]
    assert vector["result"] == defect["label"]

    if defect["use"] == "valid":  # the very same text as a valid vector of the same key
        twins = [each for each in group["tests"] if each["jws"] == text and each["result"] == "valid"]
        assert twins
    elif "?" in text:
        assert stage_of_refusal(app_of(key_of(jwk)), text) == "reading"
    elif jwk["alg"] == "ES521":
        with pytest.raises(UnusableKeyError):
            key_of(jwk)
    else:  # the key says that it serves one algorithm, the token's header says another
        key = key_of(jwk)
        assert stage_of_refusal(app_of(key), text) == "choice of key"
        freed = key_of({name: value for name, value in jwk.items() if name != "alg"})
        assert stage_of_refusal(app_of(freed), text) == "payload"


def refusal_through_a_gate(app: Any, text: str) -> tuple[str, str | None]:
    decision = Gate([app]).verify(text, app=app.id)
    assert not decision.allowed
    assert not decision.identity.verified
    assert decision.refusal is not None
    return decision.refusal.code, decision.refusal.reason

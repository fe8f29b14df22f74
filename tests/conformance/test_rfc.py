"""The examples of RFC 7515 appendix A and RFC 8037 appendix A.4."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.vectors import app_of, key_of, load, needs_vectors, stage_of_refusal, verifies_by_hand
from wicket import App, ConfigError, Gate, Rules, Secret
from wicket.runtime import base64url

pytestmark = needs_vectors

EXAMPLES: list[dict[str, Any]] = load("rfc/rfc7515_8037_vectors.json").get("vectors", [])
WITH_CLAIMS = [each for each in EXAMPLES if "frozen" in each["expect_middleware"]]
NO_CLAIMS = [each for each in EXAMPLES if "malformed" in each["expect_middleware"]]
UNSIGNED = [each for each in EXAMPLES if each["alg"] == "none"]


def named(examples: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(each, id=each["id"]) for each in examples]


def app_for(example: dict[str, Any]) -> App:
    """An app of joe's: the examples name no user, so `iss` is the user id."""
    rules = Rules(user_id_claims=("iss",), leeway=0)
    return app_of(key_of(example["jwk"], [example["alg"]]), rules=rules, issuer="joe")


def frozen_at(example: dict[str, Any]) -> int:
    found = re.search(r"frozen at (\d+)", example["expect_middleware"])
    assert found is not None
    return int(found[1])


def test_rfc_examples_all_covered() -> None:
    assert EXAMPLES
    assert len(WITH_CLAIMS) + len(NO_CLAIMS) + len(UNSIGNED) == len(EXAMPLES)


@pytest.mark.parametrize("example", named(WITH_CLAIMS))
def test_rfc_example_before_expiry_allowed(example: dict[str, Any]) -> None:
    moment = frozen_at(example)
    decision = Gate([app_for(example)], clock=lambda: moment).verify(example["token"], app="conformance")

    assert decision.allowed
    identity = decision.require()
    assert identity.user_id == "joe"
    assert identity.expires_at == moment + 1
    assert identity.claims == {"iss": "joe", "exp": moment + 1, "http://example.com/is_root": True}


@pytest.mark.parametrize("example", named(WITH_CLAIMS))
def test_rfc_example_after_expiry_expired(example: dict[str, Any]) -> None:
    app = app_for(example)
    for gate in (Gate([app]), Gate([app], clock=lambda: frozen_at(example) + 1)):
        decision = gate.verify(example["token"], app="conformance")
        assert not decision.allowed
        assert decision.refusal is not None
        assert (decision.refusal.code, decision.refusal.reason) == ("invalid_token", "expired")


@pytest.mark.parametrize("example", named(NO_CLAIMS))
def test_rfc_example_text_payload_refused_at_payload_stage(example: dict[str, Any]) -> None:
    key = key_of(example["jwk"], [example["alg"]])

    assert verifies_by_hand(key, example["alg"], example["token"])
    assert stage_of_refusal(app_of(key), example["token"]) == "payload"


@pytest.mark.parametrize("example", named(UNSIGNED))
def test_rfc_example_alg_none_algorithm_not_allowed(example: dict[str, Any]) -> None:
    keys = [key_of(each["jwk"], [each["alg"]]) for each in EXAMPLES if each["jwk"] is not None]
    decision = Gate([app_of(*keys, rules=Rules(user_id_claims=("iss",)))], clock=lambda: 1_300_819_379).verify(
        example["token"], app="conformance"
    )

    assert not decision.allowed
    assert decision.refusal is not None
    assert decision.refusal.reason == "algorithm_not_allowed"


def test_secret_printed_in_rfc_config_error() -> None:
    (printed,) = [each["jwk"]["k"] for each in EXAMPLES if each["alg"] == "HS256"]
    with pytest.raises(ConfigError, match="well-known example"):
        Secret(base64url.decode(printed))
    with pytest.raises(ConfigError, match="well-known example"):
        Secret.from_base64(printed)

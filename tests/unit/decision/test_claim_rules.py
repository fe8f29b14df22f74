"""Rules for claims of one's own: allowed values. Each is checked at a gate, for known and for new tokens."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.support.unit import KEY, NOW, acme, asks, claims, gate_of, problems_of, token
from wicket import App, Decision, Rules, mint, profiles
from wicket.diagnostics import diagnose


def outcome(app: App, text: str) -> Decision:
    """The decision about a token, which is the same each time: by the flow, by the fast path, and by `verify`."""
    with gate_of(app) as gate:
        decisions = [gate.decide(asks(text, headers=[("Origin", "https://acme.com")])) for _ in range(3)]
        decisions.append(gate.verify(text, app="acme"))
        diagnosis = diagnose(gate, "acme", text)
    assert len({(decision.allowed, decision.refusal) for decision in decisions}) == 1
    assert (diagnosis.passed, diagnosis.refusal) == (decisions[0].allowed, decisions[0].refusal)
    return decisions[0]


def read_claims(text: str) -> dict[str, Any]:
    """Return the claims of a token, verified by PyJWT."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    found: dict[str, Any] = jwt.decode(text, KEY, algorithms=["HS256"], options=options)
    return found


def why(app: App, text: str) -> tuple[str | None, str | None, str | None]:
    refusal = outcome(app, text).refusal
    assert refusal is not None
    return refusal.reason, refusal.claim, refusal.detail


# --- allowed values

AZP: dict[str, Any] = {"azp": ["https://acme.com", "https://app.acme.com"], "level": [2, True]}


def test_allowed_values_one_of_them_allowed() -> None:
    app = acme(rules=Rules(allowed_values=AZP))
    for azp in AZP["azp"]:
        for level in AZP["level"]:
            assert outcome(app, token(claims(azp=azp, level=level))).allowed


@pytest.mark.parametrize("azp", ["https://evil.example", "https://acme.com/", ["https://acme.com"], None, True])
def test_allowed_values_other_value_bad_claim(azp: Any) -> None:
    text = token({**claims(level=2), "azp": azp})
    detail = "The claim azp has none of the values that this app allows."
    assert why(acme(rules=Rules(allowed_values=AZP)), text) == ("bad_claim", "azp", detail)


@pytest.mark.parametrize("level", [1, 2.0, "2", False])
def test_allowed_values_other_type_bad_claim(level: Any) -> None:
    text = token(claims(azp="https://acme.com", level=level))
    assert why(acme(rules=Rules(allowed_values=AZP)), text)[:2] == ("bad_claim", "level")


def test_allowed_values_claim_missing_refused() -> None:
    refused = why(acme(rules=Rules(allowed_values=AZP)), token(claims(level=2)))
    assert refused == ("missing_claim", "azp", "The token lacks the claim azp.")


def test_allowed_values_diagnosis_names_the_missing_claim() -> None:
    with gate_of(acme(rules=Rules(allowed_values=AZP))) as gate:
        findings = diagnose(gate, "acme", token()).findings
    assert [finding.expected for finding in findings] == ["azp", "level"]
    assert {finding.code for finding in findings} == {"missing_claim"}


def test_allowed_values_refusal_expects_every_value() -> None:
    refusal = outcome(acme(rules=Rules(allowed_values=AZP)), token(claims(azp="x", level=2))).refusal
    assert refusal is not None
    assert refusal.expected == "'https://acme.com' or 'https://app.acme.com'"


@pytest.mark.parametrize("value", [[("azp", ["a"])], {5: ["a"]}, None, "azp"])
def test_allowed_values_not_a_mapping_of_claims_is_a_problem(value: Any) -> None:
    assert problems_of(lambda: Rules(allowed_values=value)) == {
        "rules.allowed_values": "must map claim names to lists of values"
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "must have at least one value"),
        ("abc", "must be a list of values, not one string"),
        (5, "must be a list of values"),
        (["a", None], "must be strings, integers or booleans"),
        ([1.5], "must be strings, integers or booleans"),
    ],
)
def test_allowed_values_invalid_values_problem_has_the_path_of_the_claim(values: Any, message: str) -> None:
    assert problems_of(lambda: Rules(allowed_values={"azp": values})) == {"rules.allowed_values.azp": message}


def test_allowed_values_of_app_added_to_those_of_profile() -> None:
    clerk = profiles.generic.extend(name="clerk", allowed_values={"azp": ["a"], "v": [2]})
    rules = clerk("acme", allowed_values={"azp": ["b", "c"]}).rules
    assert rules.allowed_values == {"azp": ("b", "c"), "v": (2,)}


def test_allowed_values_mint_first_value_unless_given() -> None:
    app = acme(rules=Rules(allowed_values=AZP, required_values={"level": 2}))
    assert read_claims(mint(app, "u", now=NOW))["azp"] == "https://acme.com"
    assert read_claims(mint(app, "u", now=NOW))["level"] == 2
    given = mint(app, "u", now=NOW, claims={"azp": "https://app.acme.com"})
    assert read_claims(given)["azp"] == "https://app.acme.com"
    assert "claims.azp" in problems_of(lambda: mint(app, "u", now=NOW, claims={"azp": "x"}))


def test_allowed_values_no_attributes_and_closed_to_unsigned_values() -> None:
    identity = outcome(acme(rules=Rules(allowed_values=AZP)), token(claims(azp=AZP["azp"][0], level=2, a=1))).identity
    assert identity.attributes == {"a": 1}
    assert identity.merge_unsigned({"azp": "x", "b": 2}).attributes == {"a": 1, "b": 2}

"""Rules for claims: allowed values, nested claims, the user id in a part of a claim. Known and new tokens are alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.known_tokens import outcome, read_claims, why
from tests.support.unit import NOW, OTHER_KEY, acme, claims, gate_of, problems_of, token
from wicket import IdentityHash, Revocations, Rules, Secret, mint, profiles
from wicket.decision.claims import bad_user_id
from wicket.diagnostics import diagnose

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


# --- scopes and attributes in nested claims

SCOPES: dict[str, Any] = {"allowed_scopes": ["read", "write", "admin"]}


def scopes_of(payload: dict[str, Any], *paths: str) -> frozenset[str]:
    decision = outcome(acme(rules=Rules(scopes_claim=paths), **SCOPES), token(claims(**payload)))
    assert decision.allowed
    return decision.identity.scopes


@pytest.mark.parametrize(
    ("payload", "paths", "scopes"),
    [
        ({"realm_access": {"roles": ["read", "other"]}}, ("realm_access.roles",), {"read"}),
        ({"realm_access": {"roles": "read write"}}, ("realm_access.roles",), {"read", "write"}),
        ({"resource_access": {"my.app": {"roles": ["admin"]}}}, ("resource_access.my.app.roles",), {"admin"}),
        ({"https://acme.com/auth": {"roles": ["read"]}}, ("https://acme.com/auth.roles",), {"read"}),
        ({"https://acme.com/roles": ["read"]}, ("https://acme.com/roles",), {"read"}),
        ({"scope": "read", "realm_access": {"roles": ["admin"]}}, ("scope", "realm_access.roles"), {"read", "admin"}),
        ({"scope": "read"}, ("scp", "scope"), {"read"}),
        ({"realm_access": {}}, ("realm_access.roles",), set()),
        ({"realm_access": "roles"}, ("realm_access.roles",), set()),
        ({"realm_access": [{"roles": ["admin"]}]}, ("realm_access.roles",), set()),
        ({"roles": ["admin"]}, ("realm_access.roles",), set()),
        ({}, ("realm_access.roles", "scope"), set()),
    ],
)
def test_scopes_claim_paths_scopes_of_every_claim(
    payload: dict[str, Any], paths: tuple[str, ...], scopes: set[str]
) -> None:
    assert scopes_of(payload, *paths) == scopes


@pytest.mark.parametrize("roles", [5, None, {"admin": True}, [["admin"]]])
def test_scopes_claim_nested_wrong_format_bad_claim(roles: Any) -> None:
    app = acme(rules=Rules(scopes_claim=("scope", "realm_access.roles")), **SCOPES)
    text = token(claims(scope="read", realm_access={"roles": roles}))
    detail = "The claim realm_access.roles must be a string or a list of strings."
    assert why(app, text) == ("bad_claim", "realm_access.roles", detail)


@pytest.mark.parametrize(
    "payload",
    [
        {"a.b": {"c": ["read"]}, "a": {"b": {"c": ["admin"]}}},
        {"a.b.c": ["read"], "a": {"b.c": ["read"]}},
        {"a": {"b": {"c": None}}, "a.b.c": ["read"]},
    ],
)
def test_scopes_claim_path_with_two_meanings_bad_claim(payload: dict[str, Any]) -> None:
    app = acme(rules=Rules(scopes_claim=("a.b.c",)), **SCOPES)
    assert why(app, token(claims(**payload))) == ("bad_claim", "a.b.c", "The claim a.b.c occurs more than once.")


def test_attributes_claim_path_attributes_of_the_nested_object() -> None:
    rules = Rules(attributes_claim="user.traits", scopes_claim=("user.roles",))
    app = acme(rules=rules, **SCOPES)
    identity = outcome(app, token(claims(user={"traits": {"plan": "pro", "x": None}, "roles": ["read"]}))).identity
    assert identity.attributes == {"plan": "pro"}
    assert identity.scopes == {"read"}
    assert identity.merge_unsigned({"user": {"traits": 1}, "plan": "free", "b": 2}).attributes == {
        "plan": "pro",
        "b": 2,
    }
    assert outcome(app, token(claims(user={"traits": None}))).identity.attributes == {}
    assert outcome(app, token(claims(user="x"))).identity.attributes == {}


@pytest.mark.parametrize("traits", [["a"], "a", 5, False])
def test_attributes_claim_path_no_object_bad_claim(traits: Any) -> None:
    app = acme(rules=Rules(attributes_claim="user.traits"))
    refused = why(app, token(claims(user={"traits": traits})))
    assert refused == ("bad_claim", "user.traits", "The claim user.traits must be an object.")


def test_attributes_claim_path_limits_apply() -> None:
    app = acme(rules=Rules(attributes_claim="user.traits", string_attributes_only=True, max_attributes_bytes=20))
    assert outcome(app, token(claims(user={"traits": {"a": "b"}}))).allowed
    assert why(app, token(claims(user={"traits": {"a": 1}})))[0] == "bad_claim"
    assert why(app, token(claims(user={"traits": {"a": "b" * 20}})))[0] == "context_too_large"


def test_scopes_claim_path_outermost_object_is_no_attribute() -> None:
    app = acme(rules=Rules(scopes_claim=("realm_access.roles",)), **SCOPES)
    identity = outcome(app, token(claims(realm_access={"roles": ["read"]}, plan="pro"))).identity
    assert identity.attributes == {"plan": "pro"}
    assert identity.merge_unsigned({"realm_access": {"roles": ["admin"]}}).attributes == {"plan": "pro"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("user.traits", {"user": {"traits": {"plan": "pro"}}}),
        ("https://acme.com/traits", {"https://acme.com/traits": {"plan": "pro"}}),
    ],
)
def test_attributes_claim_path_mint_nested(path: str, expected: dict[str, Any]) -> None:
    app = acme(rules=Rules(attributes_claim=path))
    text = mint(app, "u", now=NOW, attributes={"plan": "pro"})
    assert read_claims(text).items() >= expected.items()
    assert outcome(app, text).identity.attributes == {"plan": "pro"}


# --- the user id as a part of a claim

COURIER = Rules(user_id_claims=("scope",), user_id_patterns={"scope": "user_id:{user_id} *"}, scopes_claim=("scope",))


def test_user_id_pattern_user_id_is_a_part_of_the_claim() -> None:
    app = acme(rules=COURIER, allowed_scopes=["inbox:read"])
    identity = outcome(app, token(claims(sub=None, scope="user_id:u1 inbox:read write:tokens"))).identity
    assert (identity.user_id, identity.user_id_claim, identity.identity) == ("u1", "scope", "acme:u1")
    assert identity.scopes == {"inbox:read"}


@pytest.mark.parametrize(
    ("scope", "detail"),
    [
        ("inbox:read user_id:u1 x", "The claim scope must have the form user_id:{user_id} *."),
        ("user_id:u1", "The claim scope must have the form user_id:{user_id} *."),
        ("USER_ID:u1 x", "The claim scope must have the form user_id:{user_id} *."),
        (["user_id:u1 x"], "The claim scope must be a string that is not empty."),
        ("user_id: x", None),
        ("user_id:a\nb x", None),
        ("user_id:" + "a" * 257 + " x", None),
    ],
)
def test_user_id_pattern_other_form_or_no_user_id_bad_claim(scope: Any, detail: str | None) -> None:
    reason, claim, found = why(acme(rules=COURIER), token(claims(sub=None, scope=scope)))
    assert (reason, claim) == ("bad_claim", "scope")
    assert found == (detail or f"The claim scope {bad_user_id('')}.")


def test_user_id_pattern_of_one_claim_others_are_whole() -> None:
    app = acme(rules=Rules(user_id_claims=("sub", "email"), user_id_patterns={"sub": "auth0|{user_id}"}))
    assert outcome(app, token(claims(sub="auth0|7"))).identity.identity == "acme:sub:7"
    assert outcome(app, token(claims(sub=None, email="a@b.c"))).identity.identity == "acme:email:a%40b.c"
    assert why(app, token(claims(sub="google|7", email="a@b.c")))[:2] == ("bad_claim", "sub")


@pytest.mark.parametrize("revoked", [{"users": {"7": NOW}}, {"users_by_claim": {"sub": {"7": NOW}}}])
@pytest.mark.parametrize("names", [("sub", "email"), ("email", "sub")])
def test_user_id_pattern_revocation_by_the_part(revoked: dict[str, Any], names: tuple[str, ...]) -> None:
    rules = Rules(user_id_claims=names, user_id_patterns={"sub": "auth0|{user_id}"})
    text = token(claims(sub="auth0|7", email="a@b.c"))
    assert why(acme(rules=rules, revocations=Revocations(**revoked)), text)[0] == "revoked"
    assert outcome(acme(rules=rules, revocations=Revocations(users={"auth0|7": NOW, "8": NOW})), text).allowed


def test_user_id_pattern_of_second_claim_without_match_not_revoked() -> None:
    rules = Rules(user_id_claims=("email", "sub"), user_id_patterns={"sub": "auth0|{user_id}"})
    text = token(claims(sub="google|7", email="a@b.c"))
    assert outcome(acme(rules=rules, revocations=Revocations(users={"7": NOW})), text).allowed


def test_user_id_pattern_mint_fills_the_pattern() -> None:
    app = acme(rules=COURIER)
    text = mint(app, "u1", now=NOW)
    assert read_claims(text)["scope"] == "user_id:u1 "
    assert outcome(app, text).identity.user_id == "u1"
    longer = mint(app, "u1", now=NOW, claims={"scope": "user_id:u1 inbox:read"})
    assert outcome(app, longer).identity.user_id == "u1"
    cut: Any
    for cut in ("u1 x", 5):
        problems = problems_of(lambda cut=cut: mint(app, cut, now=NOW))  # type: ignore[misc]
        assert problems == {"subject": "cannot be read back by the pattern of the user-id claim"}


def test_user_id_pattern_diagnosis_names_the_form() -> None:
    with gate_of(acme(rules=COURIER)) as gate:
        diagnosis = diagnose(gate, "acme", token(claims(scope="inbox:read")))
    step = next(step for step in diagnosis.steps if step.name == "user")
    assert (step.expected, step.passed) == ("scope with user_id:{user_id} *", False)
    assert [finding.code for finding in diagnosis.findings] == ["bad_claim"]


@pytest.mark.parametrize("pattern", ["user_id", "{user_id}*", "*{user_id}", "{user_id}{user_id}", "{user_id}*a", 5, ""])
def test_user_id_patterns_invalid_pattern_problem_has_the_path_of_the_claim(pattern: Any) -> None:
    message = "must have {user_id} once, and * only at its end after a separator"
    assert problems_of(lambda: Rules(user_id_patterns={"sub": pattern})) == {"rules.user_id_patterns.sub": message}


@pytest.mark.parametrize("value", [None, "sub", {5: "{user_id}"}])
def test_user_id_patterns_not_a_mapping_is_a_problem(value: Any) -> None:
    assert problems_of(lambda: Rules(user_id_patterns=value)) == {
        "rules.user_id_patterns": "must map claim names to patterns"
    }


def test_user_id_patterns_other_claim_or_hashed_identifier_is_a_problem() -> None:
    assert problems_of(lambda: Rules(user_id_patterns={"email": "{user_id}"})) == {
        "rules.user_id_patterns.email": "is not a user-id claim"
    }
    rules = Rules(user_id_claims=("email",), user_id_patterns={"email": "mailto:{user_id}"})
    rule = IdentityHash(secret=Secret(OTHER_KEY), identifier="email")
    assert problems_of(lambda: acme(rules=rules, identity_hash=rule)) == {
        "rules.user_id_patterns.email": "is the identifier of the identity hash"
    }
    assert acme(rules=COURIER, identity_hash=rule).user_id_claims == ("scope", "email")

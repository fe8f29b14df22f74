"""`mint` signs tokens that the gate and PyJWT verify."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from tests.support.unit import KEY, NOW, acme, gate_of, jwk, private_key, problems_of, secret
from wicket import App, Jwks, Rules, mint, profiles


def read(text: str, key: Any = KEY, algorithm: str = "HS256") -> dict[str, Any]:
    """Return the claims, verified by PyJWT."""
    options: Any = {"verify_exp": False, "verify_aud": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(text, key, algorithms=[algorithm], options=options)
    return claims


def test_mint_token_is_readable_by_pyjwt() -> None:
    text = mint(acme(), "user-1", now=NOW)
    assert read(text) == {"sub": "user-1", "iat": NOW, "exp": NOW + 3600}
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize("profile", ["userz", "hissuno", "featurebase", "generic"])
def test_mint_vendor_profile_token_is_verified(profile: str) -> None:
    app = profiles.BY_NAME[profile]("acme", credentials=[secret()], publishable_key="pub_acme")
    attributes = {"plan": "pro"}
    with gate_of(app) as gate:
        identity = gate.verify(mint(app, "user-1", attributes=attributes, now=NOW), app="acme").require()
    assert identity.user_id == "user-1"
    assert identity.attributes == attributes


def test_mint_app_requirements_become_claims_and_header() -> None:
    app = acme(
        issuer="https://id",
        audience=["api", "second"],
        credentials=[secret(kid="k1")],
        rules=Rules(
            app_claim="app",
            required_values={"kind": "user"},
            allowed_typ=frozenset({"at+jwt"}),
            user_id_claims=("uid", "email"),
        ),
    )
    text = mint(app, "user-1", now=NOW, ttl=60)
    assert read(text) == {
        "uid": "user-1",
        "iat": NOW,
        "exp": NOW + 60,
        "kind": "user",
        "app": "acme",
        "iss": "https://id",
        "aud": "api",
    }
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
    with gate_of(app) as gate:
        assert gate.verify(text, app="acme").allowed


def test_mint_signs_with_first_secret_and_its_first_algorithm() -> None:
    long = bytes(range(64))
    keys = Jwks.static({"keys": [jwk(private_key("RS256"))]})
    app = acme(credentials=[keys, secret(long, algorithms=["HS512", "HS256"]), secret()])
    assert read(mint(app, "u", now=NOW), long, "HS512")["sub"] == "u"


def test_mint_without_secret_is_a_problem() -> None:
    keys = Jwks.static({"keys": [jwk(private_key("RS256"))]})
    for app in (App("acme"), acme(credentials=[keys])):
        found = problems_of(lambda app=app: mint(app, "u"))  # type: ignore[misc]
        assert found == {"credentials": "contain no shared secret, so no token can be signed for this app"}


def test_mint_without_now_uses_current_time() -> None:
    before = int(time.time())
    issued = read(mint(acme(), "u"))["iat"]
    assert before <= issued <= time.time()


def test_mint_fractional_times_become_whole_seconds() -> None:
    assert read(mint(acme(), "u", now=NOW + 0.9, ttl=10.9)) == {"sub": "u", "iat": NOW, "exp": NOW + 10}


@pytest.mark.parametrize(
    ("rules", "ttl", "message"),
    [
        ({"min_lifetime": 60, "max_lifetime": 3600}, 59, "must be 60 to 3600 seconds for this app"),
        ({"min_lifetime": 60, "max_lifetime": 3600}, 3601, "must be 60 to 3600 seconds for this app"),
        ({"min_lifetime": 60}, 59, "must be at least 60 seconds for this app"),
        ({"max_lifetime": 60}, 61, "must be 0 to 60 seconds for this app"),
        ({}, -1, "must be at least 0 seconds for this app"),
        ({}, float("nan"), "must be at least 0 seconds for this app"),
        ({}, float("inf"), "must be at least 0 seconds for this app"),
    ],
)
def test_mint_ttl_outside_lifetime_bounds_is_a_problem(rules: dict[str, Any], ttl: float, message: str) -> None:
    app = acme(rules=Rules(**rules))
    assert set(problems_of(lambda: mint(app, "u", ttl=ttl, now=NOW))) == {"ttl"}
    if ttl == ttl and ttl != float("inf"):
        assert problems_of(lambda: mint(app, "u", ttl=ttl, now=NOW)) == {"ttl": message}


def test_mint_attributes_are_placed_by_attributes_claim() -> None:
    in_claim = acme(rules=Rules(attributes_claim="ctx"))
    assert read(mint(in_claim, "u", attributes={"plan": "pro"}, now=NOW))["ctx"] == {"plan": "pro"}
    assert read(mint(acme(), "u", attributes={"plan": "é"}, now=NOW))["plan"] == "é"


def test_mint_attributes_override_no_claim_and_claims_override_any() -> None:
    attributes = {"sub": "evil", "exp": 1, "plan": "pro"}
    text = mint(acme(), "u", attributes=attributes, claims={"iat": 5, "plan": "free"}, now=NOW)
    assert read(text) == {"sub": "u", "exp": NOW + 3600, "iat": 5, "plan": "free"}


@pytest.mark.parametrize(
    ("subject", "settings"),
    [
        ("\ud800", {}),
        ("u", {"claims": {"x": object()}}),
        ("u", {"claims": {"x": "\udfff"}}),
        ("u", {"claims": {(1, 2): "x"}}),
        ("u", {"attributes": {"x": b"bytes"}}),
    ],
)
def test_mint_values_not_json_serializable_is_a_problem(subject: str, settings: dict[str, Any]) -> None:
    found = problems_of(lambda: mint(acme(), subject, now=NOW, **settings))
    assert found == {"claims": "cannot be encoded as JSON in UTF-8"}

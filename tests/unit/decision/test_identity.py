"""Anonymous identities are empty; verified identities have the content of the signed token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.unit import NOW
from wicket import App, Identity, Rules, VerifiedIdentity
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.http.auth_credentials import AuthCredentials


def signed(raw: bytes) -> VerifiedPayload:
    return VerifiedPayload(JOSEHeader("HS256", None, None), b"key", raw, json.loads(raw))


def verified(
    payload: dict[str, Any], user: str = "user-1", *, key_id: str | None = None, **rules: Any
) -> VerifiedIdentity:
    app = App("acme", rules=Rules(**rules), allowed_scopes=["read", "write"] if "scopes_claim" in rules else [])
    raw = json.dumps(payload).encode()
    return VerifiedIdentity(app, PassedClaims(app.revision, None, user, "sub"), signed(raw), key_id)


@pytest.mark.parametrize("app_id", ["acme", None])
def test_identity_anonymous_empty(app_id: str | None) -> None:
    identity = Identity(app_id)
    assert identity.app_id == app_id
    assert (identity.user_id, identity.user_id_claim, identity.method, identity.kid) == (None, None, None, None)
    assert (identity.verified, identity.is_authenticated) == (False, False)
    assert (identity.claims, identity.attributes, identity.companies) == ({}, {}, [])
    assert (identity.scopes, identity.expires_at) == (frozenset(), None)
    assert (identity.display_name, identity.identity) == ("", "")
    assert repr(identity) == f"Identity(app_id={app_id!r}, user_id=None)"


def test_verified_identity_token_claims_exposed() -> None:
    identity = verified({"sub": "user-1", "exp": NOW, "plan": "pro"}, key_id="k1")
    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("acme", "user-1", "sub")
    assert (identity.verified, identity.is_authenticated, identity.method) == (True, True, "jwt")
    assert identity.claims == {"sub": "user-1", "exp": NOW, "plan": "pro"}
    assert (identity.expires_at, identity.kid) == (NOW, "k1")
    assert (identity.display_name, identity.identity) == ("user-1", "acme:user-1")
    assert repr(identity) == "VerifiedIdentity(app_id='acme', user_id='user-1')"


def test_verified_identity_token_without_exp_expires_at_none() -> None:
    assert verified({"sub": "u"}).expires_at is None


def test_verified_identity_repr_contains_no_claims() -> None:
    assert "pro" not in repr(verified({"plan": "pro"}))


@pytest.mark.parametrize(
    ("user_id", "identity"),
    [("a:b", "acme:a%3Ab"), ("a/b c", "acme:a%2Fb%20c"), ("é", "acme:%C3%A9"), ("%", "acme:%25")],
)
def test_verified_identity_special_characters_percent_encoded(user_id: str, identity: str) -> None:
    assert verified({}, user_id).identity == identity


def test_verified_identity_claims_mutation_other_identity_unchanged() -> None:
    first, second = verified({"a": [1]}), verified({"a": [1]})
    first.claims["a"].append(2)
    first.claims["b"] = 3
    assert first.claims == {"a": [1, 2], "b": 3}
    assert second.claims == {"a": [1]}


def test_attributes_registered_and_rule_claims_excluded() -> None:
    identity = verified(
        {
            **dict.fromkeys(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"), "registered"),
            **dict.fromkeys(("app", "companies", "scope", "kind"), "of the rules"),
            "name": "N",
            "plan": "pro",
        },
        user_id_claims=("userId",),
        app_claim="app",
        companies_claim="companies",
        scopes_claim="scope",
        required_values={"kind": "user"},
    )
    assert identity.attributes == {"name": "N", "plan": "pro"}


def test_attributes_claim_configured_only_its_content() -> None:
    assert verified({"ctx": {"plan": "pro"}, "name": "N"}, attributes_claim="ctx").attributes == {"plan": "pro"}
    assert verified({"name": "N"}, attributes_claim="ctx").attributes == {}


def test_companies_claim_configured_companies_read() -> None:
    companies = [{"id": "1", "name": "A"}]
    assert verified({"companies": companies}, companies_claim="companies").companies == companies
    assert verified({}, companies_claim="companies").companies == []
    assert verified({"companies": companies}).companies == []


@pytest.mark.parametrize("scope", ["read admin", ["read", "admin"]])
def test_allowed_scopes_other_scopes_dropped(scope: Any) -> None:
    assert verified({"scope": scope}, scopes_claim="scope").scopes == {"read"}
    assert verified({"scope": scope}).scopes == frozenset()


def test_verified_identity_claims_mutation_scopes_and_expiry_unchanged() -> None:
    identity = verified({"scope": "read", "exp": 5}, scopes_claim="scope")
    identity.claims["scope"] = "read write"
    identity.claims["exp"] = NOW
    assert identity.scopes == {"read"}
    assert identity.expires_at == 5


def test_auth_credentials_verified_identity_authenticated_and_scopes() -> None:
    app_scopes = verified({"scope": "write read"}, scopes_claim="scope")
    assert AuthCredentials(app_scopes).scopes == ["authenticated", "read", "write"]
    assert AuthCredentials(Identity("acme")).scopes == []


def test_auth_credentials_scope_named_authenticated_listed_once() -> None:
    app = App("acme", rules=Rules(scopes_claim=("scope",)), allowed_scopes=["authenticated"])
    raw = b'{"scope": "authenticated"}'
    identity = VerifiedIdentity(app, PassedClaims(app.revision, None, "u", "sub"), signed(raw), None)
    assert AuthCredentials(identity).scopes == ["authenticated"]

"""Tokens without a user: `VerifiedApp`, at a gate and where the identity lands; and the identifiers of one proof."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from flask import Flask, request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.known_tokens import outcome, read_claims, why
from tests.support.unit import NOW, OTHER_KEY, acme, asks, claims, gate_of, problems_of, refusal_of, token
from wicket import App, Identity, IdentityHash, Revocations, Rules, Secret, VerifiedApp, VerifiedIdentity, mint
from wicket.asgi import WicketMiddleware
from wicket.contrib.flask import Wicket
from wicket.contrib.flask import decision_of as flask_decision_of
from wicket.contrib.flask import requires_identity as flask_requires
from wicket.contrib.starlette import decision_of, requires_identity
from wicket.decision.identity_hash import compute_hash
from wicket.diagnostics import diagnose
from wicket.http.auth_credentials import AuthCredentials

NO_USER: Final = Rules(require_user=False, scopes_claim=("scope",), user_id_claims=("sub", "userId"))
SCOPED: Final[dict[str, Any]] = {"rules": NO_USER, "allowed_scopes": ["read", "write"]}


@pytest.mark.parametrize("user", [{}, {"sub": ""}, {"userId": None}, {"sub": "", "userId": ""}])
def test_verified_app_token_without_user_accepted(user: dict[str, Any]) -> None:
    text = token({"iat": NOW, "exp": NOW + 60, "scope": "read", "plan": "pro", **user})
    identity = outcome(acme(**SCOPED), text).identity
    assert isinstance(identity, VerifiedApp)
    assert not isinstance(identity, VerifiedIdentity)
    assert (identity.verified, identity.is_authenticated, identity.method) == (True, False, "jwt")
    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("acme", None, None)
    assert (identity.identity, identity.display_name, identity.identifiers) == ("", "", {})
    assert identity.scopes == {"read"}
    assert identity.expires_at == NOW + 60
    assert identity.attributes == {"plan": "pro"}
    assert identity.merge_unsigned({"userId": "u", "plan": "free", "a": 1}).attributes == {"plan": "pro", "a": 1}
    assert repr(identity) == "VerifiedApp(app_id='acme', user_id=None)"


@pytest.mark.parametrize(
    ("user", "found"),
    [({"sub": "u"}, ("u", "sub")), ({"sub": "", "userId": "v"}, ("v", "userId")), ({"userId": "v"}, ("v", "userId"))],
)
def test_verified_app_token_with_user_is_of_the_user(user: dict[str, Any], found: tuple[str, str]) -> None:
    identity = outcome(acme(**SCOPED), token({"exp": NOW + 60, **user})).identity
    assert isinstance(identity, VerifiedIdentity)
    assert (identity.user_id, identity.user_id_claim) == found


@pytest.mark.parametrize("user", [{"sub": 5}, {"sub": None}, {"sub": "a\nb"}, {"userId": ["u"]}, {"userId": 0}])
def test_verified_app_invalid_user_id_still_refused(user: dict[str, Any]) -> None:
    assert why(acme(**SCOPED), token({"exp": NOW + 60, **user}))[0] == "bad_claim"


@pytest.mark.parametrize(("user", "reason"), [({}, "missing_claim"), ({"sub": ""}, "bad_claim")])
def test_verified_app_not_allowed_by_default(user: dict[str, Any], reason: str) -> None:
    assert why(acme(), token({"exp": NOW + 60, **user}))[:2] == (reason, "sub")


def test_verified_app_other_checks_apply() -> None:
    app = acme(**SCOPED, revocations=Revocations(token_ids=frozenset({"t"})), check=lambda claims: claims.get("why"))
    assert outcome(app, token({"exp": NOW + 60})).allowed
    assert why(app, token({"exp": NOW - 60}))[0] == "expired"
    assert why(app, token({"exp": NOW + 60, "jti": "t"}))[0] == "revoked"
    assert why(app, token({"exp": NOW + 60, "why": "no"}))[2] == "no"
    assert why(app, token({"exp": NOW + 60}, key=OTHER_KEY))[0] == "bad_signature"


def test_require_user_false_either_identity_returned() -> None:
    with gate_of(acme(**SCOPED)) as gate:
        of_app = gate.decide(asks(token({"exp": NOW + 60, "scope": "read"})))
        of_user = gate.decide(asks(token(claims(scope="read"))))
        nobody = gate.decide(asks())
    assert isinstance(of_app.require("read", user=False), VerifiedApp)
    assert of_user.require("read", user=False).user_id == "user-1"
    assert refusal_of(lambda: nobody.require(user=False)).code == "missing_token"
    lacking = refusal_of(lambda: of_app.require("write", user=False))
    assert (lacking.code, "write" in lacking.detail) == ("insufficient_scope", True)


def test_require_token_without_user_insufficient_scope() -> None:
    with gate_of(acme(**SCOPED)) as gate:
        decision = gate.decide(asks(token({"exp": NOW + 60, "scope": "read"})))
    refusal = refusal_of(lambda: decision.require("read"))
    assert (refusal.code, refusal.status) == ("insufficient_scope", 403)
    assert refusal.detail == "The token has no user, and this request requires one."
    assert decision.required_refusal is refusal


def test_verified_app_revalidation_same_as_user() -> None:
    now = [float(NOW)]
    with gate_of(acme(**SCOPED), clock=lambda: now[0]) as gate:
        decision = gate.decide(asks(token({"exp": NOW + 60})))
        assert gate.revalidate(decision) is None
        now[0] = NOW + 90
        refusal = gate.revalidate(decision)
    assert refusal is not None
    assert refusal.reason == "expired"


def test_verified_app_mint_without_subject() -> None:
    app = acme(**SCOPED)
    text = mint(app, None, now=NOW)
    assert read_claims(text) == {"iat": NOW, "exp": NOW + 3600}
    assert isinstance(outcome(app, text).identity, VerifiedApp)
    assert problems_of(lambda: mint(acme(), None, now=NOW)).keys() == {"subject"}


def test_verified_app_diagnosis_passes_without_a_user() -> None:
    with gate_of(acme(**SCOPED)) as gate:
        steps = {step.name: step for step in diagnose(gate, "acme", token({"exp": NOW + 60})).steps}
    assert (steps["user"].found, steps["user"].passed) == ("none", True)
    assert (steps["decision"].found, steps["decision"].passed) == ("passes as the app, without a user", True)


def test_verified_app_auth_credentials_no_scopes() -> None:
    identity = outcome(acme(**SCOPED), token({"exp": NOW + 60, "scope": "read"})).identity
    assert AuthCredentials(identity).scopes == []


TOKEN_HEADERS: Final = {"X-App-Id": "acme", "Authorization": f"Bearer {token({'exp': NOW + 60, 'scope': 'read'})}"}


def test_verified_app_flask_no_remote_user_and_user_required() -> None:
    site = Flask(__name__)

    @site.get("/seen")
    def seen() -> dict[str, Any]:
        identity = flask_decision_of(request).require("read", user=False)
        return {"remote": request.environ.get("REMOTE_USER"), "kind": type(identity).__name__}

    @site.get("/user")
    @flask_requires("read")
    def user() -> str:
        raise AssertionError("was called without a user")

    with gate_of(acme(**SCOPED)) as gate:
        Wicket(gate).init_app(site)
        client = site.test_client()
        for _ in range(2):
            answered = client.get("/seen", headers=TOKEN_HEADERS, environ_overrides={"REMOTE_USER": "forged"})
            assert answered.json == {"remote": None, "kind": "VerifiedApp"}
            refused = client.get("/user", headers=TOKEN_HEADERS)
            assert (refused.status_code, refused.get_json(force=True)["error"]) == (403, "insufficient_scope")


def test_verified_app_starlette_not_authenticated_and_user_required() -> None:
    async def seen(request: HTTPConnection) -> JSONResponse:
        identity = decision_of(request).require("read", user=False)
        assert request.user is identity
        return JSONResponse([request.user.is_authenticated, request.auth.scopes, type(identity).__name__])

    @requires_identity("read")
    async def user(request: HTTPConnection) -> JSONResponse:
        raise AssertionError("was called without a user")

    with gate_of(acme(**SCOPED)) as gate:
        site = Starlette(
            routes=[Route("/seen", seen), Route("/user", user)], middleware=[Middleware(WicketMiddleware, gate=gate)]
        )
        client = TestClient(site)
        for _ in range(2):
            assert client.get("/seen", headers=TOKEN_HEADERS).json() == [False, [], "VerifiedApp"]
            refused = client.get("/user", headers=TOKEN_HEADERS)
            assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


# --- the identifiers of one proof

HASHED: Final = IdentityHash(secret=Secret(OTHER_KEY), identifier="email", normalize=("strip", "lower"))


def migrating(**settings: Any) -> App:
    return acme(rules=Rules(user_id_claims=("userId", "email")), identity_hash=HASHED, **settings)


def identified(app: App, text: str | None, email: str | None = None) -> Identity:
    """The identity of a request with a token, with the hash of an e-mail address, or with both."""
    body: dict[str, str] = {}
    if email is not None:
        body = {"email": email, "userHash": compute_hash(HASHED.secret, HASHED.normalized(email), "hex")}
    with gate_of(app) as gate:
        headers = [("Content-Type", "application/json"), ("Origin", "https://acme.com")]
        decisions = [
            gate.decide(asks(text, method="POST", headers=headers, body=json.dumps(body).encode())) for _ in range(2)
        ]
    assert [decision.refusal for decision in decisions] == [None, None]
    assert decisions[0].identity.identifiers == decisions[1].identity.identifiers
    return decisions[0].identity


def test_identifiers_hash_its_identifier_only() -> None:
    identity = identified(migrating(), None, " Ann@acme.com")
    assert identity.method == "identity_hash"
    assert identity.identifiers == {"email": "ann@acme.com"}


@pytest.mark.parametrize(
    ("payload", "identifiers"),
    [
        ({"userId": "7"}, {"userId": "7"}),
        ({"userId": "7", "email": "Ann@acme.com"}, {"userId": "7", "email": "ann@acme.com"}),
        ({"email": "ann@acme.com"}, {"email": "ann@acme.com"}),
        ({"userId": "7", "email": None}, {"userId": "7"}),
        ({"userId": "7", "email": 5}, {"userId": "7"}),
        ({"userId": "7", "email": ["ann@acme.com"]}, {"userId": "7"}),
        ({"userId": "7", "email": "a\nb"}, {"userId": "7"}),
        ({"userId": "7", "email": ""}, {"userId": "7"}),
        ({"userId": "7", "other": "ann@acme.com"}, {"userId": "7"}),
    ],
)
def test_identifiers_token_those_that_it_signs(payload: dict[str, Any], identifiers: dict[str, str]) -> None:
    assert outcome(migrating(), token({"exp": NOW + 60, **payload})).identity.identifiers == identifiers


def test_identifiers_own_token_beside_hash_of_another_user_only_those_of_the_token() -> None:
    identity = identified(migrating(), token({"exp": NOW + 60, "userId": "mallory"}), "ann@acme.com")
    assert (identity.method, identity.user_id) == ("jwt", "mallory")
    assert identity.identifiers == {"userId": "mallory"}


def test_identifiers_token_and_hash_of_one_user_those_of_the_token() -> None:
    text = token({"exp": NOW + 60, "userId": "7", "email": "ANN@acme.com"})
    assert identified(migrating(), text, "ann@acme.com").identifiers == {"userId": "7", "email": "ann@acme.com"}


def test_identifiers_pattern_and_integers_as_the_rules_say() -> None:
    rules = Rules(user_id_claims=("sub", "n"), user_id_patterns={"sub": "auth0|{user_id}"}, allow_integer_user_id=True)
    app = acme(rules=rules)
    assert outcome(app, token(claims(sub="auth0|7", n=8))).identity.identifiers == {"sub": "7", "n": "8"}
    assert outcome(app, token(claims(sub=None, n=8))).identity.identifiers == {"n": "8"}


def test_identifiers_anonymous_none() -> None:
    assert Identity("acme").identifiers == {}


def test_identifiers_change_of_result_changes_no_identity() -> None:
    identity = outcome(acme(), token()).identity
    identity.identifiers["sub"] = "other"
    assert identity.identifiers == {"sub": "user-1"}

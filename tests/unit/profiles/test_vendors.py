"""The profile of each vendor: token and app locations, rules, and the format of refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.unit import KEY, NOW, OTHER_KEY, claims, gate_of, jwk, pem, private_key, problems_of, secret, token
from wicket import App, Decision, Gate, IdentityHash, Jwks, Mode, PublicKey, Refusal, Request, Secret, profiles
from wicket.keys import Credential


def decide(app: App, headers: dict[str, str] | None = None, query: str = "") -> Decision:
    """Decide a request with a gate that also has another app of the same vendor."""
    others = {"credentials": [secret(bytes(range(5, 37)))], "issuer": "https://other", "publishable_key": "pub_other"}
    other = profiles.BY_NAME[app.profile or ""].extend(name="other")
    settings: dict[str, Any] = dict(others)
    if app.profile == "getuserfeedback":
        settings["credentials"] = [PublicKey.from_pem(pem(private_key("ES256K")), algorithms=["ES256K"])]
    with gate_of(app, other("other", **settings)) as gate:
        return gate.decide(Request(headers=(headers or {}).items(), query=query))


def reason(decision: Decision) -> str | None:
    assert decision.refusal is not None, "was not refused"
    return decision.refusal.reason or decision.refusal.code


# --- Userz


@pytest.mark.parametrize(
    ("query", "body", "app_id"),
    [
        ("publicKey=pub_acme", None, "acme"),
        ("", {"publicKey": "pub_acme"}, "acme"),
        ("publicKey=pub_acme", {"publicKey": "pub_acme"}, "acme"),
        ("publicKey=pub_other", None, None),
        ("", {"publicKey": "pub_nobody"}, None),
        ("", {"publicKey": 7}, None),
    ],
)
def test_p14_userz_public_key_in_query_or_body_names_the_app(query: str, body: Any, app_id: str | None) -> None:
    other = profiles.userz("other", publishable_key="pub_other", credentials=[secret(OTHER_KEY)])
    headers = [("X-Userz-User-Token", token(userz_claims())), ("Content-Type", "application/json")]
    data = None if body is None else json.dumps(body).encode()
    with Gate([userz(), other], clock=lambda: NOW) as gate:
        decision = gate.decide(Request("POST", "/", query, headers, body=data))
        assert (decision.allowed, decision.identity.app_id if decision.allowed else None) == (
            app_id is not None,
            app_id,
        )
        both = gate.decide(
            Request("POST", "/", "publicKey=pub_other", [*headers, ("Authorization", "Bearer pub_acme")])
        )
        assert reason(both) == "invalid_request"


def userz(**settings: Any) -> App:
    return profiles.userz("acme", **{"publishable_key": "pub_acme", "credentials": [secret()], **settings})


def userz_claims(**changes: Any) -> dict[str, Any]:
    return claims(**{"app": "acme", **changes})


def at_userz(payload: dict[str, Any] | None = None, *, named: str = "pub_acme", **settings: Any) -> Decision:
    text = token(userz_claims() if payload is None else payload)
    return decide(userz(**settings), {"Authorization": f"Bearer {named}", "X-Userz-User-Token": text})


def test_userz_publishable_key_and_token_header_allowed() -> None:
    decision = at_userz()
    assert decision.require().user_id == "user-1"
    assert decision.app_id == "acme"


def test_userz_bearer_token_unknown_app() -> None:
    decision = decide(userz(), {"Authorization": f"Bearer {token(userz_claims())}"})
    assert reason(decision) == "unknown_app"


def test_userz_unknown_publishable_key_unknown_app() -> None:
    assert reason(at_userz(named="pub_unknown")) == "unknown_app"


@pytest.mark.parametrize("name", ["sub", "app", "iat", "exp"])
def test_userz_missing_sub_app_iat_or_exp_missing_claim(name: str) -> None:
    decision = at_userz(userz_claims(**{name: None}))
    assert reason(decision) == "missing_claim"
    assert decision.refusal is not None
    assert decision.refusal.claim == name


def test_userz_token_of_other_app_wrong_app() -> None:
    assert reason(at_userz(userz_claims(app="other"))) == "wrong_app"


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [(59, "lifetime_too_short"), (60, None), (3600, None), (86_400, None), (86_401, "lifetime_too_long")],
)
def test_userz_lifetime_outside_minute_to_day_refused(lifetime: int, expected: str | None) -> None:
    decision = at_userz(userz_claims(exp=NOW + lifetime))
    assert decision.allowed is (expected is None)
    if expected:
        assert reason(decision) == expected


def test_userz_leeway_is_30_seconds() -> None:
    assert profiles.userz.rules.leeway == 30


@pytest.mark.parametrize(("size", "fits"), [(2048, True), (2049, False)])
def test_userz_context_over_2048_bytes_context_too_large(size: int, fits: bool) -> None:
    decision = at_userz(userz_claims(ctx={"k": "x" * (size - len('{"k":""}'))}))
    assert decision.allowed is fits
    if not fits:
        assert reason(decision) == "context_too_large"


def test_userz_context_object_becomes_attributes() -> None:
    assert at_userz(userz_claims(ctx={"plan": "pro"})).require().attributes == {"plan": "pro"}
    assert reason(at_userz(userz_claims(ctx="pro"))) == "bad_claim"


def test_userz_text_secret_is_a_problem() -> None:
    for good in (Secret.from_hex(KEY.hex()), Secret.from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")):
        assert at_userz(credentials=[good]).allowed
    text = Secret.from_text("x1-a-secret-of-thirty-two-bytes!")
    problems = problems_of(lambda: userz(credentials=[text]))
    assert problems == {
        "credentials[0]": "must be binary like the vendor's secrets: use Secret.from_hex or Secret.from_base64"
    }


@pytest.mark.parametrize("vendor", ["userz", "hissuno", "featurebase"])
def test_vendor_credential_not_hs256_secret_is_a_problem(vendor: str) -> None:
    profile = profiles.BY_NAME[vendor]
    public = PublicKey.from_pem(pem(private_key("RS256")), algorithms=["RS256"])
    for credential in (
        public,
        secret(bytes(range(64)), algorithms=["HS512"]),
        secret(bytes(range(64)), algorithms=["HS256", "HS512"]),
    ):
        problems = problems_of(lambda credential=credential: profile("acme", credentials=[credential]))  # type: ignore[misc]
        assert problems == {"credentials[0]": "must be a Secret for HS256, the vendor's only algorithm"}


def test_userz_expired_token_response_has_code_and_message() -> None:
    decision = at_userz(userz_claims(exp=1))
    answer = decision.response()
    assert answer.status == 401
    assert answer.body == b'{"error": {"code": "expired", "message": "The token has expired."}}'


def test_userz_format_error_missing_token_returns_its_code() -> None:
    errors = profiles.userz.format_error
    assert errors is not None
    status, body = errors(Refusal("missing_token"))
    assert (status, body["error"]["code"]) == (401, "missing_token")
    assert errors(Refusal("origin_not_allowed"))[0] == 403


# --- Hissuno


def hissuno(**settings: Any) -> App:
    return profiles.hissuno("acme", **{"credentials": [secret()], **settings})


def hissuno_claims(**changes: Any) -> dict[str, Any]:
    return claims(**{"sub": None, "userId": "user-1", **changes})


def at_hissuno(payload: dict[str, Any] | None = None, query: str = "projectId=acme", **settings: Any) -> Decision:
    text = token(hissuno_claims() if payload is None else payload)
    return decide(hissuno(**settings), {"Authorization": f"Bearer {text}"}, query)


def test_hissuno_bearer_and_project_id_allowed() -> None:
    identity = at_hissuno().require()
    assert (identity.user_id, identity.user_id_claim, identity.app_id) == ("user-1", "userId", "acme")
    assert reason(at_hissuno(query="")) == "unknown_app"


def test_hissuno_sub_without_user_id_missing_claim() -> None:
    assert reason(at_hissuno(hissuno_claims(userId=None, sub="user-1"))) == "missing_claim"


def test_hissuno_missing_exp_refused_unless_dropped() -> None:
    assert reason(at_hissuno(hissuno_claims(exp=None))) == "missing_claim"
    assert at_hissuno(hissuno_claims(exp=None), drop_required_claims=["exp"]).allowed


def test_hissuno_missing_iat_allowed() -> None:
    assert at_hissuno(hissuno_claims(iat=None)).allowed


def test_hissuno_long_lifetime_allowed() -> None:
    assert at_hissuno(hissuno_claims(exp=NOW + 10**7)).allowed


@pytest.mark.parametrize(("late", "allowed"), [(59, True), (60, False)])
def test_hissuno_leeway_is_one_minute(late: int, allowed: bool) -> None:
    assert at_hissuno(hissuno_claims(exp=NOW - late)).allowed is allowed


def test_hissuno_metadata_with_non_string_value_bad_claim() -> None:
    assert at_hissuno(hissuno_claims(userMetadata={"plan": "pro"})).require().attributes == {"plan": "pro"}
    assert reason(at_hissuno(hissuno_claims(userMetadata={"seats": 5}))) == "bad_claim"


def test_hissuno_text_secret_allowed() -> None:
    text = "sk_live_0123456789abcdef0123456789abcdef"
    app = hissuno(credentials=[Secret.from_text(text)])
    signed = token(hissuno_claims(), key=text)
    assert decide(app, {"Authorization": f"Bearer {signed}"}, "projectId=acme").allowed


def test_hissuno_expired_token_response_is_problem_json_401() -> None:
    decision = at_hissuno(hissuno_claims(exp=1))
    answer = decision.response()
    assert (answer.status, dict(answer.headers)["content-type"]) == (401, "application/problem+json")


def test_hissuno_allow_anonymous_still_checks_origin() -> None:
    app = hissuno(allow_anonymous=True, origins=["https://acme.com"])
    assert decide(app, {}, "projectId=acme").allowed
    assert reason(decide(app, {"Origin": "https://evil.example"}, "projectId=acme")) == "origin_not_allowed"


# --- Featurebase


def featurebase(**settings: Any) -> App:
    return profiles.featurebase("acme", **{"credentials": [secret()], **settings})


def at_featurebase(payload: dict[str, Any], query: str = "appId=acme", **settings: Any) -> Decision:
    return decide(featurebase(**settings), {"Authorization": f"Bearer {token(payload)}"}, query)


@pytest.mark.parametrize("name", ["appId", "organization"])
def test_featurebase_app_by_app_id_or_organization_allowed(name: str) -> None:
    assert at_featurebase({"userId": "u"}, f"{name}=acme").require().app_id == "acme"


def test_featurebase_token_in_bearer_or_query_allowed() -> None:
    text = token({"userId": "u"})
    assert decide(featurebase(), {}, f"appId=acme&jwt={text}").require().user_id == "u"
    assert decide(featurebase(), {"Authorization": f"Bearer {text}"}, "appId=acme").require().user_id == "u"


@pytest.mark.parametrize(
    ("payload", "user"),
    [
        ({"userId": "u", "email": "e@x.y"}, ("u", "userId")),
        ({"email": "e@x.y"}, ("e@x.y", "email")),
        ({"userId": None, "email": "e@x.y"}, ("e@x.y", "email")),
    ],
)
def test_featurebase_user_id_falls_back_to_email(payload: dict[str, Any], user: tuple[str, str]) -> None:
    identity = at_featurebase(payload).require()
    assert (identity.user_id, identity.user_id_claim) == user


def test_featurebase_without_user_id_or_email_missing_claim() -> None:
    assert reason(at_featurebase({"name": "N", "sub": "u"})) == "missing_claim"


def test_featurebase_missing_exp_allowed_and_past_exp_expired() -> None:
    assert at_featurebase({"userId": "u"}).require().expires_at is None
    assert reason(at_featurebase({"userId": "u", "exp": NOW - 31})) == "expired"


def test_featurebase_companies_and_attributes_are_read() -> None:
    companies = [{"id": "1", "name": "A", "monthlySpend": 5}]
    identity = at_featurebase({"userId": "u", "companies": companies, "name": "N", "locale": "de"}).require()
    assert identity.companies == companies
    assert identity.attributes == {"name": "N", "locale": "de"}
    assert reason(at_featurebase({"userId": "u", "companies": [{"name": "A"}]})) == "bad_claim"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Refusal("invalid_token", "expired"), 400),
        (Refusal("missing_token"), 400),
        (Refusal("invalid_request", detail="Two tokens."), 400),
        (Refusal("origin_not_allowed"), 403),
        (Refusal("keys_unavailable"), 503),
    ],
)
def test_featurebase_format_error_token_refusal_returns_400(refusal: Refusal, status: int) -> None:
    errors = profiles.featurebase.format_error
    assert errors is not None
    expected = {"error": refusal.code, "reason": refusal.reason, "message": refusal.detail}
    assert errors(refusal) == (status, expected)


# --- getuserfeedback

ISSUER = "https://id.acme.com"
AUDIENCE = "https://api.getuserfeedback.com"


def getuserfeedback(**settings: Any) -> App:
    keys = Jwks.static({"keys": [jwk(private_key("RS256"), kid="r1"), jwk(private_key("ES256"), kid="e1")]})
    return profiles.getuserfeedback("acme", **{"issuer": ISSUER, "credentials": [keys], **settings})


def guf_token(algorithm: str = "RS256", kid: str = "r1", **changes: Any) -> str:
    payload = claims(**{"iss": ISSUER, "aud": AUDIENCE, **changes})
    return token(payload, key=private_key(algorithm), algorithm=algorithm, kid=kid)


def at_guf(text: str, query: str = "", **headers: str) -> Decision:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return decide(getuserfeedback(), {"Authorization": f"Bearer {text}", **named}, query)


def test_getuserfeedback_app_by_header_query_or_issuer_allowed() -> None:
    assert at_guf(guf_token(), X_App_Id="acme").require().app_id == "acme"
    assert at_guf(guf_token(), "appId=acme").require().app_id == "acme"
    assert at_guf(guf_token()).require().app_id == "acme"
    assert reason(at_guf(guf_token(), "appId=other")) == "algorithm_not_allowed"


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "r1"), ("ES256", "e1")])
def test_getuserfeedback_key_set_selects_key_by_kid(algorithm: str, kid: str) -> None:
    assert at_guf(guf_token(algorithm, kid)).require().kid == kid
    assert reason(at_guf(guf_token(algorithm, "unknown"))) == "key_not_found"


@pytest.mark.parametrize("name", ["aud", "exp", "sub"])
def test_getuserfeedback_missing_aud_exp_or_sub_missing_claim(name: str) -> None:
    changes: dict[str, Any] = {name: None}
    decision = at_guf(guf_token(**changes))
    assert reason(decision) == "missing_claim"
    assert decision.refusal is not None
    assert decision.refusal.claim == name


def test_getuserfeedback_missing_or_wrong_issuer_refused() -> None:
    assert reason(at_guf(guf_token(iss=None), "appId=acme")) == "missing_claim"
    assert reason(at_guf(guf_token(iss=ISSUER + "/"), "appId=acme")) == "wrong_issuer"


@pytest.mark.parametrize("aud", ["https://api.getuserfeedback.com/", "https://other", []])
def test_getuserfeedback_other_audience_wrong_audience(aud: object) -> None:
    assert reason(at_guf(guf_token(aud=aud))) == "wrong_audience"


def test_getuserfeedback_missing_issuer_and_shared_secret_are_problems() -> None:
    problems = problems_of(lambda: profiles.getuserfeedback("acme", credentials=[secret()]))
    assert problems == {
        "issuer": "must be set for an app of getuserfeedback",
        "credentials[0]": "must be a PublicKey or a Jwks, not a shared secret",
    }


def test_getuserfeedback_without_key_config_missing() -> None:
    app = getuserfeedback(credentials=[])
    decision = decide(app, {"Authorization": f"Bearer {guf_token()}"}, "appId=acme")
    assert reason(decision) == "config_missing"


@pytest.mark.parametrize("settings", [{}, {"issuer": ISSUER}])
@pytest.mark.parametrize("sent", [None, "a token"])
def test_p12_getuserfeedback_without_issuer_or_keys_config_missing(settings: Any, sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": f"Bearer {guf_token()}"}
    decision = decide(profiles.getuserfeedback("acme", **settings), headers, "appId=acme")
    assert (decision.allowed, reason(decision)) == (False, "config_missing")
    decision = decide(profiles.getuserfeedback("acme", mode=Mode.LOG_ONLY, **settings), headers, "appId=acme")
    assert (decision.allowed, reason(decision), decision.enforced) == (True, "config_missing", False)
    decision = decide(profiles.getuserfeedback("acme", allow_anonymous=True, **settings), {}, "appId=acme")
    assert (decision.allowed, decision.refusal) == (True, None)


def test_p12_app_with_identity_hash_alone_missing_token() -> None:
    app = profiles.featurebase("acme", identity_hash=IdentityHash(secret=secret(OTHER_KEY)))
    assert reason(decide(app, {}, "appId=acme")) == "missing_token"


def test_p12_getuserfeedback_apps_of_one_issuer_each_named_by_its_id() -> None:
    keys = Jwks.static({"keys": [jwk(private_key("RS256"), kid="r1")]})
    both = [profiles.getuserfeedback(id, issuer=ISSUER, credentials=[keys]) for id in ("prod", "staging")]
    gate = Gate(both, clock=lambda: NOW)
    sent = [("Authorization", f"Bearer {guf_token()}")]
    for id in ("prod", "staging"):
        assert gate.decide(Request(query=f"appId={id}", headers=sent)).require().app_id == id
    unnamed = gate.decide(Request(headers=sent)).refusal
    assert unnamed is not None
    assert (unnamed.code, "several apps have this issuer" in unnamed.detail) == ("unknown_app", True)


def test_getuserfeedback_without_token_missing_token() -> None:
    assert reason(decide(getuserfeedback(), {}, "appId=acme")) == "missing_token"


# --- no vendor


def test_generic_bearer_requires_sub_and_exp() -> None:
    app = profiles.generic("acme", credentials=[secret()])
    headers = {"X-App-Id": "acme"}
    assert decide(app, {**headers, "Authorization": f"Bearer {token()}"}).require().user_id == "user-1"
    for name in ("sub", "exp"):
        text = token(claims(**{name: None}))
        assert reason(decide(app, {**headers, "Authorization": f"Bearer {text}"})) == "missing_claim"


def test_generic_every_credential_type_allowed() -> None:
    keys: list[Credential] = [
        secret(),
        PublicKey.from_pem(pem(private_key("RS256")), algorithms=["RS256"]),
        Jwks.static({"keys": [jwk(private_key("ES256"))]}),
    ]
    assert len(profiles.generic("acme", credentials=keys).credentials) == 3

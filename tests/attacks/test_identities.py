"""Keys that anyone can sign with, and users that are mistaken for others: what a key proves, and for which user."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.attacks.clients import Behind
from tests.attacks.token_factory import NOW, app, claims, jwk, private_key, secret, signed, token
from tests.integration.key_set_apps import answering
from wicket import App, ConfigError, Gate, IdentityHash, Jwks, MergeResult, PublicKey, Revocations, Secret, profiles
from wicket.diagnostics.key_sets import cached_key_sets
from wicket.runtime import base64url
from wicket.testing.issuer import LocalIssuer

ADA = (200, "acme:ada", None)
WRONG_ISSUER = (401, "invalid_token", "wrong_issuer")
BAD_CLAIM = (401, "invalid_token", "bad_claim")
BLOCKED = (403, "origin_not_allowed", None)
REVOKED = (400, "invalid_token", "revoked")
UNREACHABLE = (401, 503)

P25519 = 2**255 - 19
ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
WEAK_POINTS = {
    "identity": (1).to_bytes(32, "little"),
    "identity, negative": (1 | 1 << 255).to_bytes(32, "little"),
    "identity, not reduced": (P25519 + 1).to_bytes(32, "little"),
    "order 2": (P25519 - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 4, not reduced": P25519.to_bytes(32, "little"),
    "order 8": bytes.fromhex(ORDER_8),
}


@pytest.mark.parametrize("name", WEAK_POINTS)
def test_s8_ed25519_small_order_key_refused(name: str, behind: Behind, issuer: LocalIssuer) -> None:
    weak = {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": base64url.encode(WEAK_POINTS[name])}
    with pytest.raises(ConfigError, match="small order"):
        PublicKey.from_jwk(weak)
    with pytest.raises(ConfigError, match="small order"):
        Jwks.static({"keys": [weak]}, algorithms=["EdDSA"])
    issuer.fault = answering(200, json.dumps({"keys": [weak, *issuer.document()["keys"]]}).encode())
    held = app("acme", Jwks(issuer.jwks_url, algorithms=["EdDSA", "ES256"]), issuer=issuer.issuer)
    door = behind(held, network=issuer.network)
    assert door.ask(issuer.token("ada", now=NOW)).said == ADA
    forged = WEAK_POINTS["identity"] + bytes(32)  # R is the identity and S is 0
    for number in range(8):
        text = token("EdDSA", ed25519.Ed25519PrivateKey.generate(), header={"kid": "1"}, iss=issuer.issuer, n=number)
        attempt = f"{text.rpartition('.')[0]}.{base64url.encode(forged)}"
        assert door.ask(attempt).said[0] == 401, number


def test_s8_rsa_prime_modulus_config_error() -> None:
    prime = 2**2203 - 1
    message = b"anything"
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    size = -(-prime.bit_length() // 8)
    padded = b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
    forged = pow(int.from_bytes(padded, "big"), pow(65537, -1, prime - 1), prime)
    assert pow(forged, 65537, prime) == int.from_bytes(padded, "big"), "whoever knows the modulus signs"
    key = {"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": base64url.encode(prime.to_bytes(size, "big"))}
    with pytest.raises(ConfigError, match="prime"):
        PublicKey.from_jwk(key)
    with pytest.raises(ConfigError, match="prime"):
        Jwks.static({"keys": [key]})


@pytest.mark.parametrize("factor", [2, 3, 9973])
def test_s8_rsa_modulus_small_factor_rejected_local_and_remote(
    factor: int, behind: Behind, issuer: LocalIssuer
) -> None:
    modulus = math.prod([factor, 2**1279 - 1, 2**2203 - 1])
    text = base64url.encode(modulus.to_bytes(-(-modulus.bit_length() // 8), "big"))
    key = {"kty": "RSA", "kid": "1", "alg": "RS256", "e": "AQAB", "n": text}
    with pytest.raises(ConfigError, match=r"even|small factor"):
        PublicKey.from_jwk(key)
    issuer.fault = answering(200, json.dumps({"keys": [key, *issuer.document()["keys"]]}).encode())
    door = behind(app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer), network=issuer.network)
    assert door.ask(issuer.token("ada", now=NOW)).said == ADA
    (held,) = cached_key_sets(door.gate, door.gate.apps[0]).values()
    assert held is not None
    assert len(held.keys.skipped) == 1


TENANT = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0"
OTHER_TENANT = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"


def of_issuer(*issuers: Any, **settings: Any) -> App:
    """An app whose key set has one key, once for each of these issuers."""
    keys = [jwk(private_key("ES256"), kid="1", **({} if each is ... else {"issuer": each})) for each in issuers]
    return app("acme", Jwks.static({"keys": keys}), **settings)


def said_by_tenant(**changes: Any) -> str:
    return token("ES256", header={"kid": "1"}, **changes)


def test_s7_key_issuer_token_of_other_issuer_wrong_issuer(behind: Behind) -> None:
    door = behind(of_issuer(OTHER_TENANT, issuer=TENANT))
    for _ in range(2):
        assert door.ask(said_by_tenant(iss=TENANT)).said == WRONG_ISSUER
        assert door.ask(said_by_tenant(iss=OTHER_TENANT)).said == WRONG_ISSUER, "the app's issuer counts too"
    door = behind(of_issuer(TENANT, issuer=TENANT))
    for _ in range(3):  # the third goes by the fast path
        assert door.ask(said_by_tenant(iss=TENANT)).said == ADA
    door = behind(of_issuer(TENANT))
    assert door.ask(said_by_tenant(iss=TENANT)).said == ADA
    for wrong in (OTHER_TENANT, TENANT + "/", TENANT.upper(), "", None):
        assert door.ask(said_by_tenant(iss=wrong)).said == WRONG_ISSUER, wrong


def test_s7_key_issuer_template_tenant_mismatch_wrong_issuer(behind: Behind) -> None:
    door = behind(of_issuer(TEMPLATE))
    tid = "11111111-1111-1111-1111-111111111111"
    assert door.ask(said_by_tenant(iss=TENANT, tid=tid)).said == ADA
    wrong: list[Any] = [None, "", 1, [tid], tid.upper() + "x", "9188040d-6c67-4c5b-b112-36a304b66dad", "{tenantid}"]
    for each in wrong:
        assert door.ask(said_by_tenant(iss=TENANT, tid=each)).said == WRONG_ISSUER, each
    for each in ("a/b", "..", "a?b", "a#b", "%2e", "a b", "a" * 65):
        filled = TEMPLATE.replace("{tenantid}", each)
        assert door.ask(said_by_tenant(iss=filled, tid=each)).said == WRONG_ISSUER, each
    assert door.ask(said_by_tenant(iss=TEMPLATE, tid="{tenantid}")).said == WRONG_ISSUER


def test_s7_key_issuer_duplicate_key_with_matching_issuer_allowed(behind: Behind) -> None:
    for issuers in ((OTHER_TENANT, TENANT), (OTHER_TENANT, ...), (..., OTHER_TENANT), (OTHER_TENANT, TEMPLATE)):
        door = behind(of_issuer(*issuers))
        text = said_by_tenant(iss=TENANT, tid="11111111-1111-1111-1111-111111111111")
        assert [door.ask(text).said for _ in range(2)] == [ADA] * 2, issuers


def test_s7_fetched_key_of_other_issuer_refused(behind: Behind, issuer: LocalIssuer) -> None:
    (good,) = issuer.document()["keys"]
    door = behind(app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer), network=issuer.network)
    for member, said in ((OTHER_TENANT, WRONG_ISSUER), (issuer.issuer, ADA), (7, None), (None, None), ("", None)):
        issuer.fault = answering(200, json.dumps({"keys": [{**good, "issuer": member}]}).encode())
        door.gate.refresh("acme", purge=True)
        answer = door.ask(issuer.token("ada", now=NOW)).said
        assert answer == said if said is not None else answer[0] in UNREACHABLE, member


def test_s7_still_verified_by_key_bound_to_other_issuer_false(behind: Behind) -> None:
    door = behind(of_issuer(..., issuer=TENANT))
    decision = door.gate.verify(said_by_tenant(iss=TENANT), app="acme")
    assert decision.identity.verified
    identity = decision.require()
    assert identity.still_verified_by(of_issuer(TENANT, issuer=TENANT))
    assert not identity.still_verified_by(of_issuer(OTHER_TENANT, issuer=TENANT))


def test_s10_forged_token_many_slow_keys_one_verification(monkeypatch: pytest.MonkeyPatch, behind: Behind) -> None:
    from wicket.keys.algorithms import Key

    keys = [PublicKey.from_jwk(jwk(private_key("ES384", f"twin {number}"))) for number in range(10)]
    door = behind(app("acme", *keys))
    door.times = 1
    tried: list[Key] = []
    done = Key.verify

    def counted(self: Key, *given: Any) -> bool:
        tried.append(self)
        return done(self, *given)

    monkeypatch.setattr(Key, "verify", counted)
    forged = token("ES384", private_key("ES384", "mallory"))
    assert door.ask(forged).said == (401, "invalid_token", "bad_signature")
    assert len(tried) == 1
    assert door.ask(token("ES384", private_key("ES384", "twin 0"))).said == ADA, "the first key is always tried"


def merged_of(held: App, said: dict[str, Any], stored: dict[str, Any] | None = None, **signs: Any) -> MergeResult:
    from wicket import Gate

    text = signed({"alg": "HS256"}, claims(**signs), secret(), "HS256")
    return Gate([held], clock=lambda: NOW).verify(text, app="acme").require().merge_unsigned(said, stored)


def test_s5_merge_unsigned_signed_claim_conflict_signed_kept() -> None:
    signs: dict[str, Any] = {"email": "me@corp.example", "role": "viewer"}
    said = {"email": "ceo@corp.example", "role": "admin", "plan": "gold", "city": "Rome", "exp": 1}
    held = [Secret(secret())]
    hissuno = profiles.hissuno("acme", credentials=held)
    userz = profiles.userz("acme", publishable_key="pub_a", credentials=held)
    vendors: list[tuple[App, dict[str, Any]]] = [
        (hissuno, {"userId": "ada", "userMetadata": {"plan": "free"}}),
        (userz, {"app": "acme", "ctx": {"plan": "free"}}),
    ]
    for each, more in vendors:
        agreed = merged_of(each, {"email": "me@corp.example"}, **signs, **more)
        assert (agreed.attributes, agreed.conflicts) == ({"plan": "free"}, ())
        merged = merged_of(each, said, **signs, **more)
        assert merged.attributes == {"plan": "free", "city": "Rome"}
        told = {conflict.attribute: (conflict.kept, conflict.source) for conflict in merged.conflicts}
        assert told == {
            "email": ("me@corp.example", "signed"),
            "role": ("viewer", "signed"),
            "plan": ("free", "signed"),
            "exp": (NOW + 3600, "signed"),
        }
        stored = merged_of(each, {"role": "admin"}, {"role": "owner", "city": "Oslo"}, **signs, **more)
        assert stored.attributes == {"plan": "free", "city": "Oslo", "role": "viewer"}
        (conflict,) = stored.conflicts
        assert (conflict.attribute, conflict.kept, conflict.source) == ("role", "viewer", "signed")


def test_s5_merge_unsigned_companies_signed_as_attributes_kept() -> None:
    held = app("acme", companies_claim="companies", attributes_claim="ctx")
    told = merged_of(held, {"companies": [{"id": "evil"}]}, ctx={"companies": [{"id": "c1", "name": "One"}]})
    assert told.companies == [{"id": "c1", "name": "One"}]
    assert [conflict.attribute for conflict in told.conflicts] == ["companies[evil]"]
    assert merged_of(held, {"companies": [{"id": "c2"}]}).companies == [{"id": "c2"}]


@pytest.mark.parametrize("name", ["hissuno", "userz", "featurebase", "generic"])
def test_s5_a_stored_identifier_does_not_overrule_the_signed_one(name: str) -> None:
    profile = profiles.BY_NAME[name]
    held = profile("acme", credentials=[Secret(secret())])
    claim = held.rules.user_id_claims[-1]
    members = {"app": "acme", "iat": NOW, "exp": NOW + 60, claim: "ada"}
    with Gate([held], clock=lambda: NOW) as gate:
        user = gate.verify(signed({"alg": "HS256"}, members, secret(), "HS256"), app="acme").require()
    stored = {claim: "bob", "exp": "when the trial ends"}
    assert user.merge_unsigned({claim: "eve"}, stored).attributes == {
        **user.attributes,
        claim: "ada",
        "exp": "when the trial ends",
    }


def featurebase(normalize: tuple[str, ...] = (), **settings: Any) -> App:
    """An app that names its users by `userId` or `email`, by token or by the hash of an e-mail address."""
    rule = IdentityHash(secret=Secret(hashlib.sha256(b"hashes").digest()), identifier="email", normalize=normalize)
    return profiles.featurebase("acme", credentials=[Secret(secret())], identity_hash=rule, **settings)


def by_hash(email: str) -> dict[str, str]:
    proof = hmac.digest(hashlib.sha256(b"hashes").digest(), email.encode(), "sha256").hex()
    return {"appId": "acme", "email": email, "userHash": proof}


def of_user(**members: Any) -> str:
    return signed({"alg": "HS256"}, {"iat": NOW - 60, **members}, secret(), "HS256")


def test_s15_user_id_same_value_in_other_claim_distinct_identity(behind: Behind) -> None:
    door = behind(featurebase(), app_locations=profiles.featurebase.app_locations)
    seen = set()
    for text in (of_user(userId="x"), of_user(email="x")):
        answer = door.post({"appId": "acme", "featurebaseJwt": text})
        seen.add(answer.said[1])
        assert answer.body["user"] == answer.said[1], "the framework's user is the gate's"
    assert seen == {"acme:userId:x", "acme:email:x"}
    assert door.post(by_hash("x")).said == (200, "acme:email:x", None)
    names = {door.gate.verify(of_user(**{claim: "x"}), app="acme").identity.identity for claim in ("userId", "email")}
    assert names == {"acme:userId:x", "acme:email:x"}


def test_s15_qualified_user_id_similar_inputs_distinct() -> None:
    from wicket import Gate

    plain = app("acme", allow := Secret(secret()))
    several = app("acme", allow, user_id_claims=("userId", "email"))
    seen = set()
    for held, members in (
        (several, {"userId": "x"}),
        (several, {"email": "x"}),
        (several, {"userId": "email:x"}),
        (plain, {"sub": "userId:x"}),
        (plain, {"sub": "x"}),
    ):
        gate = Gate([held], clock=lambda: NOW)
        text = signed({"alg": "HS256"}, {"sub": "s", "exp": NOW + 60, **members}, secret(), "HS256")
        seen.add(gate.verify(text, app="acme").require().identity)
    assert len(seen) == 5


@pytest.mark.parametrize("revoked", [{"users": {"x": NOW}}, {"users_by_claim": {"email": {"x": NOW}}}])
def test_s15_revocation_any_proven_identifier_revoked(revoked: dict[str, Any], behind: Behind) -> None:
    door = behind(featurebase(revocations=Revocations(**revoked)), app_locations=profiles.featurebase.app_locations)

    def said(body: dict[str, Any]) -> Any:
        return door.post({"appId": "acme", **body}).said

    both = of_user(userId="ada", email="x")
    assert said({"featurebaseJwt": both}) == REVOKED
    assert said({"featurebaseJwt": of_user(email="x")}) == REVOKED
    assert said(by_hash("x")) == REVOKED
    assert said({**by_hash("x"), "featurebaseJwt": of_user(userId="ada")}) == REVOKED
    assert said(by_hash("y")) == (200, "acme:email:y", None)
    assert said({"featurebaseJwt": of_user(userId="ada", email="y")}) == (200, "acme:userId:ada", None)
    later = signed({"alg": "HS256"}, {"iat": NOW + 31, "userId": "ada", "email": "x"}, secret(), "HS256")
    assert door.gate.verify(later, app="acme").refusal.reason == "issued_in_future"  # type: ignore[union-attr]  # it has one
    one = said({"featurebaseJwt": of_user(userId="x")})
    assert one == (REVOKED if "users" in revoked else (200, "acme:userId:x", None))


@pytest.mark.parametrize("revoked", [{"users": {"Ada@X": NOW}}, {"users_by_claim": {"email": {"Ada@X": NOW}}}])
def test_s15_a_revocation_covers_every_spelling_that_is_hashed_as_one(revoked: dict[str, Any], behind: Behind) -> None:
    held = featurebase(("strip", "lower"), revocations=Revocations(**revoked))
    door = behind(held, app_locations=profiles.featurebase.app_locations)
    assert held.hash_cutoffs == {("email", "ada@x"): NOW}
    hashed = by_hash("ada@x")
    for email in ("ada@x", "Ada@X", " ADA@x"):
        assert door.post({**hashed, "email": email}).said == REVOKED, email
        assert door.post({"appId": "acme", "featurebaseJwt": of_user(email=email)}).said == REVOKED, email
    assert door.post(by_hash("bob@x")).said == (200, "acme:email:bob%40x", None)
    exact = behind(featurebase(revocations=Revocations(**revoked)), app_locations=profiles.featurebase.app_locations)
    assert exact.post(hashed).said == (200, "acme:email:ada%40x", None), "without a rule, spellings are identifiers"


def test_s15_revocations_users_by_claim_invalid_config_error() -> None:
    with pytest.raises(ConfigError, match="is not a user-id claim"):
        featurebase(revocations=Revocations(users_by_claim={"mail": {"x": NOW}}))
    wrong: list[Any] = [{"email": 1}, {"email": {"x": "y"}}, {1: {"x": NOW}}, [("email", {})]]
    for each in wrong:
        with pytest.raises(ConfigError, match="users_by_claim"):
            Revocations(users_by_claim=each)


MALFORMED = ["", "null", "NULL", "x", "https://", "https://a.example/", "https://a.example?x", "https://u@a.example"]
MALFORMED += ["https://a.example:0", "https://a.example:99999", "https://a example", "//a.example", "a.example"]
MALFORMED += ["https://*.example", "https://-a.example", "https://a..example", "https://[::1", "https://[:::]"]
MALFORMED += ["://a", "1x://a", "file://:80", "https://" + "a" * 300 + ".example", "https://a.example b"]
WELL_FORMED = ["https://a.example", "http://localhost:3000", "https://[::1]:8443", "capacitor://localhost", "app://."]
WELL_FORMED += ["app://-", "file://", "chrome-extension://abcdefghijklmnop", "HTTPS://A.EXAMPLE", "https://a_b.example"]


@pytest.mark.parametrize("origins", [[], ["*"]])
def test_s16_require_origin_malformed_value_origin_not_allowed(origins: list[str], behind: Behind) -> None:
    door = behind(app("acme", require_origin=True, origins=origins))
    good = token()
    for origin in WELL_FORMED:
        assert door.ask(good, ("Origin", origin)).said == ADA, origin
    for origin in MALFORMED:
        assert door.ask(good, ("Origin", origin)).said == BLOCKED, origin
    assert door.ask(good).said == BLOCKED
    lax = behind(app("acme", origins=origins))
    assert lax.ask(good, ("Origin", "null")).said == ADA, "a page without an origin, where none is required"


def test_s16_user_id_line_break_or_bidi_control_refused(behind: Behind) -> None:
    door = behind(app())
    for char in "\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        assert door.ask(token(sub=f"ada{char}")).said == BAD_CLAIM, char
        assert door.ask(token(sub=char)).said == BAD_CLAIM, char
    assert door.ask(token(sub="\u05d0\u200d\u0627")).status == 200, "letters of any script, and what joins them"
    hashed = behind(featurebase(), app_locations=profiles.featurebase.app_locations)
    assert hashed.post(by_hash("ada\u202e")).said == (400, "invalid_token", "bad_identity_hash")

"""One token and one app: keys, signature, claims and revocation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.key_selection import choice_of, no_key_sets
from tests.support.unit import (
    KEY,
    NOW,
    OTHER_KEY,
    acme,
    claims,
    jwk,
    pem,
    private_key,
    refusal_of,
    secret,
    segment,
    token,
)
from wicket import App, Jwks, PublicKey, Refusal, Revocations, Rules, VerifiedIdentity
from wicket.decision.key_selection import LoadTimeouts, select_keys
from wicket.decision.signature import verify_signature
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import JOSEHeader, parse_token_or_raise
from wicket.decision.verified import build_identity
from wicket.keys.algorithms import Key

OLD_KEY = bytes(range(2, 34))


def fresh() -> SignatureCache:
    return SignatureCache(total=10, per_app=10, max_bytes=4096)


def verify(app: App, text: str, cache: SignatureCache | None = None, now: float = NOW) -> VerifiedIdentity:
    read = parse_token_or_raise(text, 16_384)
    choice = choice_of(app, read)
    signed, key = verify_signature(app, read, choice.keys, fresh() if cache is None else cache)
    identity = build_identity(app, signed, key, now)
    assert isinstance(identity, VerifiedIdentity)
    return identity


def refused(app: App, text: str, cache: SignatureCache | None = None, now: float = NOW) -> Refusal:
    return refusal_of(lambda: verify(app, text, cache, now))


def test_verify_secret_signed_token_identity_of_user() -> None:
    identity = verify(acme(), token(claims(plan="pro")))
    assert (identity.app_id, identity.user_id, identity.kid) == ("acme", "user-1", None)
    assert identity.claims["plan"] == "pro"


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "ES512", "EdDSA"])
def test_verify_public_key_signed_token_verified(algorithm: str) -> None:
    private = private_key(algorithm)
    app = acme(credentials=[PublicKey.from_pem(pem(private), algorithms=[algorithm], kid="k1")])
    identity = verify(app, token(key=private, algorithm=algorithm, kid="k1"))
    assert (identity.user_id, identity.kid) == ("user-1", "k1")


def test_verify_static_key_set_key_selected_by_kid() -> None:
    document = {"keys": [jwk(private_key("RS256"), kid="a"), jwk(private_key("ES256"), kid="b")]}
    app = acme(credentials=[Jwks.static(document)])
    assert verify(app, token(key=private_key("ES256"), algorithm="ES256", kid="b")).kid == "b"
    wrong = token(key=private_key("ES256"), algorithm="ES256", kid="a")
    assert refused(app, wrong).reason == "key_not_found"


@pytest.mark.parametrize("key", [OLD_KEY, KEY], ids=["old", "new"])
@pytest.mark.parametrize("kid", [None, "unknown"])
def test_verify_key_rotation_old_or_new_key_verified(key: bytes, kid: str | None) -> None:
    app = acme(credentials=[secret(OLD_KEY), secret(KEY)])
    assert verify(app, token(key=key, kid=kid)).user_id == "user-1"


def test_verify_app_without_credentials_config_missing() -> None:
    refusal = refused(acme(credentials=[]), token())
    assert (refusal.code, refusal.reason) == ("config_missing", None)


@pytest.mark.parametrize("algorithm", ["none", "HS512", "hs256", "RS256", "", "ES256"])
def test_verify_alg_of_no_key_algorithm_not_allowed(algorithm: str) -> None:
    text = f"{segment({'alg': algorithm})}.{segment(claims())}."
    assert refused(acme(), text).reason == "algorithm_not_allowed"


def test_verify_public_key_app_hmac_alg_algorithm_not_allowed() -> None:
    private = private_key("RS256")
    app = acme(credentials=[PublicKey.from_pem(pem(private), algorithms=["RS256"])])
    head = segment({"alg": "HS256", "typ": "JWT"})
    assert refused(app, f"{head}.{segment(claims())}.AAAA").reason == "algorithm_not_allowed"


def test_verify_unknown_kid_key_not_found() -> None:
    app = acme(credentials=[secret(kid="k1")])
    assert refused(app, token(kid="k2")).reason == "key_not_found"
    assert verify(app, token(kid="k1")).kid == "k1"
    assert verify(app, token()).kid == "k1"


def test_p4_verify_key_bound_to_another_algorithm_named() -> None:
    private = private_key("Ed25519")
    bound = jwk(private, alg="Ed25519", kid="a")
    app = acme(credentials=[Jwks.static({"keys": [bound]}, algorithms=["EdDSA"])])
    refusal = refused(app, token(key=private, algorithm="EdDSA", kid="a"))
    assert (refusal.reason, refusal.detail) == (
        "algorithm_not_allowed",
        "This app does not allow the token's algorithm EdDSA. Its keys are for Ed25519.",
    )
    both = {"keys": [bound, jwk(private_key("ES256"), kid="b")]}
    refusal = refused(
        acme(credentials=[Jwks.static(both)]), token(key=private_key("ES256"), algorithm="ES256", kid="a")
    )
    assert (refusal.reason, refusal.detail) == (
        "key_not_found",
        "This app's key with the token's kid is for other algorithms: Ed25519.",
    )


def test_p4_verify_algorithm_that_is_no_name_not_repeated() -> None:
    text = f"{segment({'alg': 'anything'})}.{segment(claims())}."
    assert refused(acme(), text).detail == "This app does not allow the token's algorithm. Its keys are for HS256."


@pytest.mark.parametrize("text", [token(key=OTHER_KEY), token().rsplit(".", 1)[0] + ".", token() + "AAAA"])
def test_verify_signature_of_no_key_bad_signature(text: str) -> None:
    assert refused(acme(), text).reason == "bad_signature"


def test_verify_non_canonical_signature_malformed() -> None:
    assert refused(acme(), token()[:-1] + "_").reason == "malformed"


def test_verify_bad_signature_and_other_defects_bad_signature() -> None:
    assert refused(acme(), token(claims(exp=1), key=OTHER_KEY)).reason == "bad_signature"
    text = f"{segment({'alg': 'HS256'})}.{segment('not json')}.AAAA"
    assert refused(acme(), text).reason == "bad_signature"


@pytest.mark.parametrize("payload", [[], "text", 5, None])
def test_verify_signed_non_object_payload_malformed_and_not_cached(payload: Any) -> None:
    import json

    import jwt

    cache = fresh()
    text = jwt.api_jws.encode(json.dumps(payload).encode(), KEY, "HS256")
    assert refused(acme(), text, cache).reason == "malformed"
    assert len(cache) == 0


def test_signature_cache_valid_signature_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, app, text = fresh(), acme(), token()
    first = verify(app, text, cache)
    assert len(cache) == 1

    def untouched(*args: object) -> bool:
        raise AssertionError("the signature was verified twice")

    monkeypatch.setattr(Key, "verify", untouched)
    assert verify(app, text, cache).claims == first.claims


def test_signature_cache_bad_signature_not_cached() -> None:
    cache = fresh()
    refused(acme(), token(key=OTHER_KEY), cache)
    assert len(cache) == 0


def test_signature_cache_key_removed_bad_signature() -> None:
    cache, text = fresh(), token()
    verify(acme(), text, cache)
    assert refused(acme(credentials=[secret(OTHER_KEY)]), text, cache).reason == "bad_signature"


def test_signature_cache_hit_times_claims_and_revocation_checked() -> None:
    cache, text = fresh(), token()
    verify(acme(), text, cache)
    assert refused(acme(), text, cache, NOW + 4000).reason == "expired"
    assert refused(acme(issuer="https://id"), text, cache).reason == "missing_claim"
    assert refused(acme(revocations=Revocations(issued_before=NOW)), text, cache).reason == "revoked"
    assert refused(acme(revocations=Revocations(users={"user-1": NOW})), text, cache).reason == "revoked"


def test_verify_expired_and_revoked_token_expired() -> None:
    assert refused(acme(revocations=Revocations(issued_before=NOW)), token(claims(exp=1))).reason == "expired"


def test_signature_cache_app_with_revocations_claims_kept_for_next_request() -> None:
    cache, text = fresh(), token()
    app = acme(revocations=Revocations(users={"user-2": NOW}))
    verify(app, text, cache)
    (remembered,) = cache.partitions["acme"].values()
    kept = remembered.cached_claims
    assert kept is not None
    verify(app, text, cache)
    assert remembered.cached_claims is kept


@pytest.mark.parametrize(("members", "kept"), [(10, True), (100, False)])
def test_signature_cache_hit_any_payload_size_same_claims(members: int, kept: bool) -> None:
    cache, text = fresh(), token(claims(**{f"m{number}": number for number in range(members)}))
    first = verify(acme(), text, cache)
    (remembered,) = cache.partitions["acme"].values()
    assert remembered.cached_claims is None, "the claims have passed"
    assert remembered.claims == first.claims
    assert (remembered.cached_claims is not None) is kept
    second = verify(acme(), text, cache)
    assert first.claims == second.claims
    assert first.attributes == second.attributes
    assert (second.user_id, second.expires_at) == ("user-1", NOW + 3600)
    assert refused(acme(), text, cache, now=NOW + 4000).reason == "expired"


def test_require_kid_token_without_kid_key_not_found() -> None:
    lax, strict = (
        acme(credentials=[secret(kid="k1")], rules=Rules(require_kid=required)) for required in (False, True)
    )
    assert verify(lax, token()).user_id == "user-1"
    assert verify(strict, token(kid="k1")).kid == "k1"
    nameless = refused(strict, token())
    assert (nameless.code, nameless.reason) == ("invalid_token", "key_not_found")
    assert "kid" in nameless.detail


def test_require_kid_unknown_kid_key_without_kid_verified() -> None:
    app = acme(credentials=[secret(OTHER_KEY, kid="k1"), secret()], rules=Rules(require_kid=True))
    assert verify(app, token(kid="k2")).kid is None


def test_require_kid_remote_key_set_no_kid_key_not_found_without_fetch() -> None:
    app = acme(
        credentials=[Jwks("https://id.example/keys")], issuer="https://id.example", rules=Rules(require_kid=True)
    )
    flow = select_keys(no_key_sets(), app, JOSEHeader("RS256", None, "JWT"), LoadTimeouts(1, 1))
    assert refusal_of(lambda: next(flow)).reason == "key_not_found"


def test_select_keys_remote_key_set_without_verification_value_error() -> None:
    app = acme(credentials=[Jwks("https://id.example/keys")], issuer="https://id.example")
    flow = select_keys(no_key_sets(), app, JOSEHeader("RS256", "k1", "JWT"), LoadTimeouts(1, 1))
    with pytest.raises(ValueError, match="verification"):
        next(flow)

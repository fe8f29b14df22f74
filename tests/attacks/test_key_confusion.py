"""Incidents in which a key of one kind, or a word of the token's own, served in place of the app's key."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.clients import Behind, Door
from tests.attacks.key_encodings import spellings
from tests.attacks.key_kinds import KEY_MODES, Held
from tests.attacks.token_factory import (
    ASYMMETRIC,
    HASHES,
    NOW,
    app,
    certificate,
    claims,
    credential,
    der,
    jwk,
    of_any_kind,
    pem,
    private_key,
    public_key,
    secret,
    signed,
    token,
)
from wicket import App, AppRef, ConfigError, Gate, Header, Jwks, PublicKey, Secret, TokenIssuer, profiles
from wicket.testing.issuer import LocalIssuer

NOT_ALLOWED = (401, "invalid_token", "algorithm_not_allowed")
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
ADA = (200, "acme:ada", None)


def refuses_as_secret(door: Door, algorithm: str, texts: dict[str, bytes]) -> None:
    """The honest token passes; none that takes one of these texts for a secret does."""
    assert texts
    assert door.ask(token(algorithm)).said == ADA
    for name, text in texts.items():
        for mac in HASHES:
            assert door.ask(token(mac, text)).said == NOT_ALLOWED, (name, mac)
    assert door.ask(token(algorithm)).said == ADA


def those(algorithm: str, *words: str) -> dict[str, bytes]:
    """The spellings of the public key whose names begin with one of the words."""
    return {name: text for name, text in spellings(algorithm).items() if name.startswith(words)}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_cve_2015_9235_public_key_as_hmac_secret_algorithm_not_allowed(behind: Behind, algorithm: str) -> None:
    refuses_as_secret(behind(app("acme", public_key(algorithm))), algorithm, spellings(algorithm))


def test_cve_2017_11424_pkcs1_public_key_as_hmac_secret_refused(behind: Behind) -> None:
    refuses_as_secret(behind(app("acme", public_key("RS256"))), "RS256", those("RS256", "PKCS#1"))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_cve_2022_29217_ssh_public_key_as_hmac_secret_refused(behind: Behind, algorithm: str) -> None:
    texts = those(algorithm, "SSH")
    line = texts["SSH"]
    assert line.startswith((b"ssh-rsa ", b"ecdsa-sha2-", b"ssh-ed25519 "))
    refuses_as_secret(behind(app("acme", public_key(algorithm))), algorithm, texts)
    with pytest.raises(ConfigError, match="public key"):
        Secret(line)


def test_cve_2024_33663_hs256_allowed_public_key_as_secret_bad_signature(behind: Behind) -> None:
    """Where the app allows HS256 as well, the algorithm is no obstacle: the kind of key must be."""
    door = behind(app("acme", public_key("ES256"), Secret(secret())))
    assert door.ask(token("ES256")).said == ADA
    assert door.ask(token("HS256")).said == ADA
    for name, text in spellings("ES256").items():
        assert door.ask(token("HS256", text)).said == BAD_SIGNATURE, name


def test_cve_2026_48526_jwk_text_as_hmac_secret_refused(behind: Behind) -> None:
    members = jwk(private_key("RS256"))
    door = behind(app("acme", PublicKey.from_jwk(members, algorithms=["RS256"])))
    refuses_as_secret(door, "RS256", those("RS256", "JWK", "a list of JWK"))
    for text in (json.dumps(members), json.dumps({"keys": [members]}), json.dumps([members])):
        with pytest.raises(ConfigError, match="public key"):
            Secret.from_text(text)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_ghsa_r6x4_923q_g947_secret_from_public_key_config_error(behind: Behind, algorithm: str) -> None:
    """Shapes that PyJWT learned to refuse one by one; here no secret is guessed to be a key, or a key a secret."""
    key = private_key(algorithm)
    members = json.dumps(jwk(key)).encode()
    shapes = [
        *(pem(key), pem(key).strip(), b"\xef\xbb\xbf" + pem(key), b"\n" + pem(key), der(key), der(key) + b"\n"),
        *(base64.b64encode(der(key)), der(key).hex().encode(), base64.b64encode(pem(key))),
        *(members, b"[" + members + b"]", b'{"keys":[' + members + b"]}", base64.b64encode(members)),
        *(those(algorithm, "SSH")["SSH"], b" " + those(algorithm, "SSH")["SSH"]),
    ]
    for shape in shapes:
        with pytest.raises(ConfigError, match="public key"):
            Secret(shape)
    door = behind(app("acme", public_key(algorithm)))
    for shape in shapes:
        assert door.ask(token("HS256", shape)).said == NOT_ALLOWED
    assert door.ask(token(algorithm)).said == ADA


def test_advisory_database_7123_der_public_key_as_hmac_secret_refused(behind: Behind) -> None:
    refuses_as_secret(behind(app("acme", public_key("RS256"))), "RS256", those("RS256", "DER", "PKCS#1 in DER"))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_cve_2024_37568_hmac_signed_with_public_key_algorithm_not_allowed(behind: Behind, algorithm: str) -> None:
    door = behind(app("acme", public_key(algorithm)))
    refuses_as_secret(door, algorithm, {"PEM": pem(private_key(algorithm)), "DER": der(private_key(algorithm))})


def test_cve_2026_39999_header_alg_not_of_app_algorithm_not_allowed(behind: Behind) -> None:
    door = behind(app("acme", public_key("RS256")))
    assert door.ask(token("RS256")).said == ADA
    for name in ("HS256", "HS384", "HS512"):
        assert door.ask(token(name, pem(private_key("RS256")))).said == NOT_ALLOWED
    assert door.ask(token("PS256")).said == NOT_ALLOWED, "the app's own key, and an algorithm that it does not allow"


def test_cve_2026_33322_key_set_key_as_hmac_secret_algorithm_not_allowed(behind: Behind, issuer: LocalIssuer) -> None:
    held = app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer)
    door = behind(held, network=issuer.network)
    honest = issuer.token("ada", now=1_800_000_000)
    assert door.ask(honest).said == ADA
    (kid,) = issuer.keys
    public = issuer.keys[kid]
    for text in (pem(public), der(public), json.dumps(issuer.document()).encode(), json.dumps(jwk(public)).encode()):
        forged = token("HS256", text, header={"kid": kid}, iss=issuer.issuer)
        assert door.ask(forged).said == NOT_ALLOWED
    assert door.ask(honest).said == ADA


def test_cve_2023_48223_public_key_after_whitespace_as_secret_refused(behind: Behind) -> None:
    texts = {repr(blank): blank + pem(private_key("RS256")) for blank in (b" ", b"\n", b"\t", b"\r\n", b"\xef\xbb\xbf")}
    for text in texts.values():
        with pytest.raises(ConfigError, match="public key"):
            Secret(text)
    refuses_as_secret(behind(app("acme", public_key("RS256"))), "RS256", texts)


def test_cve_2026_22817_jwk_without_alg_header_alg_not_adopted(behind: Behind) -> None:
    with pytest.raises(ConfigError):
        PublicKey.from_jwk(jwk(private_key("RS256")))
    door = behind(app("acme", PublicKey.from_jwk(jwk(private_key("ES256")))))
    assert door.ask(token("ES256")).said == ADA
    text = json.dumps(jwk(private_key("ES256"))).encode()
    assert door.ask(token("HS256", text)).said == NOT_ALLOWED
    message = signed({"alg": "ES384", "typ": "JWT"}, claims(), private_key("ES256"), "ES256")
    assert door.ask(message).said == NOT_ALLOWED


def test_cve_2026_48523_key_bound_alg_other_header_alg_refused(behind: Behind) -> None:
    key = private_key("RS256")
    bound = behind(app("acme", Jwks.static({"keys": [jwk(key, alg="RS512", kid="1")]}, algorithms=["RS256", "RS512"])))
    head = {"kid": "1", "typ": "JWT"}
    assert bound.ask(signed({**head, "alg": "RS512"}, claims(), key, "RS512")).said == ADA
    assert bound.ask(signed({**head, "alg": "RS256"}, claims(), key, "RS512")).said == NOT_ALLOWED
    assert bound.ask(signed({**head, "alg": "RS256"}, claims(), key, "RS256")).said == NOT_ALLOWED
    assert bound.ask(signed({**head, "alg": "RS512"}, claims(), key, "RS256")).said == BAD_SIGNATURE
    with pytest.raises(ConfigError, match="no usable key"):
        Jwks.static({"keys": [jwk(key, alg="RS512", kid="1")]}, algorithms=["RS256"])


def test_cve_2026_28498_header_alg_unknown_algorithm_not_allowed(behind: Behind) -> None:
    door = behind(app("acme", credential("HS256")))
    assert door.ask(token()).said == ADA
    for name in (
        "HS257",
        "XX256",
        "",
        "null",
        "HS",
        "SHA256",
        "RS256 ",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    ):
        for signature in ("", "AA"):
            head = {"alg": name, "typ": "JWT"}
            forged = signed(head, claims(), secret(), "HS256")
            assert door.ask(forged).said == NOT_ALLOWED, name
            assert door.ask(f"{forged.rpartition('.')[0]}.{signature}").said == NOT_ALLOWED, name


def test_cve_2026_44351_empty_secret_config_error_and_token_refused(behind: Behind) -> None:
    for empty in (b"", bytes(32)):
        with pytest.raises(ConfigError):
            Secret(empty, allow_short=True)
    with pytest.raises(ConfigError):
        Secret.from_text("", allow_short=True)
    door = behind(
        app("acme", Secret(secret(), kid="1")),
        app("bare", credential("ES256")),
        app("none", Secret(secret("x"), kid="2")),
    )
    assert door.ask(token(header={"kid": "1"})).said == ADA
    for kid in ("2", "unknown", ""):
        assert door.ask(token("HS256", b"", header={"kid": kid})).said == (401, "invalid_token", "key_not_found")
    assert door.ask(token("HS256", b"")).said == BAD_SIGNATURE
    assert door.ask(token("HS256", b""), app="bare").said == NOT_ALLOWED
    assert door.ask(token("HS256", b""), app="nobody").said == (401, "unknown_app", None)


def test_cve_2026_44351_registry_non_app_result_apps_unavailable(behind: Behind) -> None:
    """A registry returns None if it has no such app. Any other value that is no App is an error, never an empty key."""
    found: dict[str, Any] = {"acme": app()}
    with Gate(registry=lambda ref: found.get(ref.value), app_locations=[Header("X-App-Id")], clock=lambda: NOW) as gate:
        door = behind(gate=gate)
        assert door.ask(token()).said == ADA
        texts = [token(mac, key) for mac in HASHES for key in (b"", b"\0", b"None", b"null", secret())]
        texts.append(signed({"alg": "none"}, claims(), b"", "HS256").rpartition(".")[0] + ".")
        for nothing in of_any_kind("", b"", [], (), {}, 0, False, secret(), Secret(secret())):
            found["broken"] = nothing
            gate.refresh("broken", purge=True)
            for text in (None, *texts):
                assert door.ask(text, app="broken").said == (503, "apps_unavailable", None), nothing
        for text in (None, *texts):
            assert door.ask(text, app="nobody").said == (401, "unknown_app", None)
        assert door.ask(token()).said == ADA


def test_cve_2026_44351_registry_app_without_key_config_invalid(behind: Behind) -> None:
    """The registry finds the app, but the look-up of its secret gives nothing: nothing of it becomes a key."""
    keys: dict[str, Any] = {"acme": Secret(secret())}

    def find(ref: AppRef) -> App:
        return app(ref.value, keys[ref.value])

    def spelled(ref: AppRef) -> App:
        return app(ref.value, Secret.from_text(keys[ref.value]))

    with Gate(registry=find, app_locations=[Header("X-App-Id")], clock=lambda: NOW) as gate:
        door = behind(gate=gate)
        assert door.ask(token()).said == ADA
        for nothing in of_any_kind("", b"", None, []):
            keys["acme"] = nothing
            gate.refresh("acme", purge=True)
            for text in (token("HS256", b""), token("HS256", b"None"), token()):
                assert door.ask(text).said == (401, "config_invalid", None), nothing
    with Gate(registry=spelled, app_locations=[Header("X-App-Id")], clock=lambda: NOW) as gate:
        door = behind(gate=gate)
        for nothing in of_any_kind("", b"", None, []):
            keys["acme"] = nothing
            gate.refresh("acme", purge=True)
            assert door.ask(token("HS256", b"")).said == (401, "config_invalid", None), nothing
        keys["acme"] = secret().hex()
        gate.refresh("acme", purge=True)
        assert door.ask(token("HS256", secret().hex().encode())).said == ADA


def test_cve_2018_0114_header_jwk_bad_signature(behind: Behind) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    door = behind(app("acme", public_key("ES256")))
    assert door.ask(token("ES256")).said == ADA
    for extra in ({}, {"kid": "mine"}):
        forged = token("ES256", own, header={"jwk": jwk(own, **extra), **extra})
        assert door.ask(forged).said == BAD_SIGNATURE


def test_cve_2026_27962_header_jwk_app_key_absent_refused(behind: Behind) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    forged = token("ES256", own, header={"jwk": jwk(own), "kid": "unknown"})
    door = behind(
        app("acme", public_key("ES256", kid="1")), app("new", Secret(secret("new"))), profiles.generic("bare")
    )
    assert door.ask(token("ES256", header={"kid": "1"})).said == ADA
    assert door.ask(forged).said == (401, "invalid_token", "key_not_found")
    assert door.ask(forged, app="new").said == NOT_ALLOWED
    assert door.ask(forged, app="bare").said == (401, "config_missing", None)


def test_cve_2025_24976_header_key_members_refused_without_fetch(behind: Behind, issuer: LocalIssuer) -> None:
    own = rsa.generate_private_key(65537, 2048)
    held = app("acme", Jwks(issuer.jwks_url, algorithms=["RS256", "ES256"]), issuer=issuer.issuer)
    door = behind(held, network=issuer.network)
    assert door.ask(issuer.token("ada", now=1_800_000_000)).said == ADA
    chain = base64.b64encode(certificate("RS256").public_bytes(Encoding.DER)).decode()
    for member, value in {
        "jwk": jwk(own),
        "x5c": [chain],
        "jku": f"{issuer.issuer}/mine.json",
        "x5u": f"{issuer.issuer}/mine.pem",
    }.items():
        for kid in ({}, {"kid": "key-1"}):
            forged = token("RS256", own, header={member: value, **kid}, iss=issuer.issuer)
            status, code, reason = door.ask(forged).said
            assert (status, code) == (401, "invalid_token"), member
            assert reason in ("key_not_found", "bad_signature")
    assert set(issuer.requests) == {"/.well-known/jwks.json"}, "nothing that a token names is fetched"


def test_cve_2026_31837_key_set_unavailable_default_key_refused(behind: Behind, issuer: LocalIssuer) -> None:
    issuer.fault = lambda exchange: exchange.answer(503)
    held = app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer)
    door = behind(held, network=issuer.network)
    well_known = ec.derive_private_key(1, ec.SECP256R1())
    for key in (well_known, private_key("ES256")):
        forged = token("ES256", key, header={"kid": "key-1"}, iss=issuer.issuer)
        answered = door.ask(forged)
        assert answered.said == (503, "config_invalid", None)
        assert int(answered.headers["retry-after"]) >= 1
    issuer.fault = None
    door.gate.refresh("acme", purge=True)
    assert door.ask(issuer.token("ada", now=1_800_000_000)).said == ADA
    assert door.ask(token("ES256", well_known, header={"kid": "key-1"}, iss=issuer.issuer)).said == BAD_SIGNATURE


def test_ghsa_869p_cjfg_cm3x_token_issuer_other_app_secret_refused(behind: Behind) -> None:
    """The token's own issuer names the app; the signature must then be that app's, and its claims must say so."""
    apps = [app(name, issuer=f"https://{name}.example") for name in ("acme", "mallory")]
    door = behind(*apps, app_locations=[TokenIssuer()])
    assert door.ask(token(iss="https://acme.example"), app=None).said == ADA
    assert door.ask(token("HS256", secret("mallory"), iss="https://mallory.example"), app=None).said[:2] == (
        200,
        "mallory:ada",
    )
    assert door.ask(token("HS256", secret("mallory"), iss="https://acme.example"), app=None).said == BAD_SIGNATURE
    assert door.ask(token("HS256", secret("mallory"), iss="https://nobody.example"), app=None).said == (
        401,
        "unknown_app",
        None,
    )


@pytest.mark.parametrize("mode", KEY_MODES)
def test_cve_2026_23518_every_credential_kind_bad_signature_refused(
    behind: Behind, mode: str, issuer: LocalIssuer
) -> None:
    """A bad token is refused where a user is required, and where an app or a path allows anonymous requests."""
    held = Held(mode, issuer)
    good = held.token()
    message, _, signature = good.rpartition(".")
    swapped = f"{message}.{held.token(sub='eve').rpartition('.')[2]}"
    for door in (
        held.door(behind),
        held.door(behind, allow_anonymous=True),
        held.door(behind, paths={"optional": ["/whoami"]}),
    ):
        assert door.ask(good).said == ADA
        for bad in (swapped, f"{message}.{'A' * len(signature)}", f"{message}.", held.token("mallory")):
            assert door.ask(bad).said == BAD_SIGNATURE
        assert door.ask(good).said == ADA


def test_cve_2025_45768_key_too_short_config_error(behind: Behind) -> None:
    for name, least in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        for size in (8, 16, least - 1):
            with pytest.raises(ConfigError, match="needs at least"):
                Secret(secret()[:size], algorithms=[name])
        door = behind(app("acme", Secret(secret()[:least], algorithms=[name])))
        assert door.ask(token(name, secret()[:least])).said == ADA
    for size in (1024, 2047):
        short = rsa.generate_private_key(65537, size)
        text = short.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ConfigError, match="2048 to 8192 bits"):
            PublicKey.from_pem(text, algorithms=["RS256"])
        with pytest.raises(ConfigError, match="2048 to 8192 bits"):
            Jwks.static({"keys": [jwk(short)]}, algorithms=["RS256"])


def test_ghsa_pxh4_856f_4h89_key_set_oct_key_skipped(behind: Behind) -> None:
    wide = base64.urlsafe_b64encode(secret()).rstrip(b"=").decode()
    members = [{"kty": "oct", "alg": "HS256", "k": k, "kid": "1"} for k in ("", "AA", wide)]
    held = Jwks.static({"keys": [*members, jwk(private_key("ES256"), kid="1")]})
    assert len(held.skipped) == len(members)
    door = behind(app("acme", held))
    assert door.ask(token("ES256", header={"kid": "1"})).said == ADA
    for key in (b"", b"\0", secret()):
        assert door.ask(token("HS256", key, header={"kid": "1"})).said == NOT_ALLOWED
    for jwk_text in members:
        with pytest.raises(ConfigError):
            PublicKey.from_jwk(jwk_text)

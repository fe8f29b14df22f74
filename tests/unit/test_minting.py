"""`mint` signs tokens that the gate and PyJWT verify."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.support.unit import (
    KEY,
    NOW,
    OTHER_KEY,
    PrivateKey,
    acme,
    gate_of,
    jwk,
    pem,
    private_key,
    problems_of,
    secret,
)
from wicket import App, ConfigError, Jwks, PublicKey, Revocations, Rules, Secret, mint, profiles
from wicket.profiles import BY_NAME


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


def test_mint_without_secret_or_key_is_a_problem() -> None:
    keys = Jwks.static({"keys": [jwk(private_key("RS256"), alg="RS256")]})
    for app in (App("acme"), acme(credentials=[keys])):
        assert problems_of(lambda app=app: mint(app, "u")) == {"credentials": "contain no shared secret"}  # type: ignore[misc]


def test_mint_kid_and_algorithm_select_secret() -> None:
    long = bytes(range(64))
    app = acme(
        credentials=[secret(), secret(OTHER_KEY, kid="k2"), secret(long, kid="k3", algorithms=["HS256", "HS512"])]
    )
    assert read(mint(app, "u", now=NOW, kid="k2"), OTHER_KEY)["sub"] == "u"
    assert read(mint(app, "u", now=NOW, algorithm="HS512"), long, "HS512")["sub"] == "u"
    unknown = mint(app, "u", now=NOW, kid="k9")  # the secret without kid verifies tokens with any kid
    assert (jwt.get_unverified_header(unknown)["kid"], read(unknown)["sub"]) == ("k9", "u")
    assert problems_of(lambda: mint(app, "u", kid="k2", algorithm="HS512")) == {
        "algorithm": "is not allowed for this key by the app's credentials"
    }
    named = acme(credentials=[secret(kid="k1")])
    assert problems_of(lambda: mint(named, "u", kid="k2")) == {
        "kid": "is not the kid of this key in the app's credentials"
    }
    assert problems_of(lambda: mint(named, "u", kid="")) == {"kid": "must be a string of 1 to 256 characters"}


def test_mint_short_secret_that_app_allows_signs_without_warning() -> None:
    app = acme(credentials=[Secret.from_text("short-secret", allow_short=True)])
    with gate_of(app) as gate:
        assert gate.verify(mint(app, "u", now=NOW), app="acme").allowed


def test_mint_secret_that_pyjwt_refuses_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise jwt.InvalidKeyError

    monkeypatch.setattr(jwt.algorithms.HMACAlgorithm, "prepare_key", refuse)
    assert problems_of(lambda: mint(acme(), "u")) == {"credentials": "contain a secret that PyJWT does not sign with"}


ASYMMETRIC = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"),
)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("kind", ["pem", "jwk", "static"])
def test_mint_private_key_of_public_credential_is_verified(algorithm: str, kind: str) -> None:
    key = private_key(algorithm)
    credentials: dict[str, Any] = {
        "pem": lambda: PublicKey.from_pem(pem(key), algorithms=[algorithm], kid="k1"),
        "jwk": lambda: PublicKey.from_jwk(jwk(key, kid="k1"), algorithms=[algorithm]),
        "static": lambda: Jwks.static({"keys": [jwk(key, kid="k1")]}, algorithms=[algorithm]),
    }
    app = acme(credentials=[secret(), credentials[kind]()], issuer="https://id")
    text = mint(app, "u", now=NOW, key=key)
    assert jwt.get_unverified_header(text) == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    with gate_of(app) as gate:
        assert gate.verify(text, app="acme").require().user_id == "u"


def private_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """A private key in PEM, encrypted if there is a password."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "Ed448"])
def test_mint_private_key_in_pem_signs(algorithm: str) -> None:
    key = private_key(algorithm)
    app = acme(credentials=[PublicKey.from_pem(pem(key), algorithms=[algorithm])])
    in_pem = private_pem(key)
    with gate_of(app) as gate:
        for held in (in_pem, in_pem.decode(), in_pem.decode().replace("\n", "\\n")):
            assert gate.verify(mint(app, "u", now=NOW, key=held), app="acme").allowed


def test_mint_key_defaults_to_first_allowed_algorithm_of_key() -> None:
    key = private_key("RS256")
    app = acme(credentials=[PublicKey.from_pem(pem(key), algorithms=["PS512", "RS384"])])
    assert jwt.get_unverified_header(mint(app, "u", now=NOW, key=key))["alg"] == "RS384"
    assert jwt.get_unverified_header(mint(app, "u", now=NOW, key=key, algorithm="PS512"))["alg"] == "PS512"
    assert set(problems_of(lambda: mint(app, "u", key=key, algorithm="RS256"))) == {"algorithm"}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("no key", "is not a private key in PEM"),
        (private_pem(private_key("ES256")) * 2, "contains 2 keys, and must contain one"),
        ("\ud800", "is not a private key in PEM"),
        (pem(private_key("ES256")), "is not a private key in PEM"),
        (private_pem(private_key("ES256"), b"password"), "is encrypted"),
        (x25519.X25519PrivateKey.generate(), "is not a private key that can sign a JWT"),
        (private_key("ES256").public_key(), "is not a private key that can sign a JWT"),
        (ec.generate_private_key(ec.SECP224R1()), "its curve is not P-256, P-384, P-521 or secp256k1"),
        (private_key("ES384"), "is not the private key of a credential of this app"),
    ],
)
def test_mint_unusable_key_is_a_problem(key: Any, message: str) -> None:
    app = acme(credentials=[PublicKey.from_pem(pem(private_key("ES256")), algorithms=["ES256"])])
    assert problems_of(lambda: mint(app, "u", key=key)) == {"key": message}


@pytest.mark.parametrize("credential", [Jwks("https://id/jwks"), Jwks.discover("https://id")])
def test_mint_key_of_remote_key_set_signs_for_its_issuer(credential: Jwks) -> None:
    key = private_key("ES256")
    app = acme(credentials=[credential], issuer="https://id")
    text = mint(app, "u", now=NOW, key=key, kid="k1")
    assert jwt.get_unverified_header(text) == {"alg": "ES256", "typ": "JWT", "kid": "k1"}
    assert read(text, key.public_key(), "ES256") == {"sub": "u", "iat": NOW, "exp": NOW + 3600, "iss": "https://id"}
    problems = problems_of(lambda: mint(app, "u", now=NOW, key=key, claims={"iss": "https://other"}))
    assert set(problems) == {"claims.iss"}
    assert "wrong_issuer" in problems["claims.iss"]
    assert set(problems_of(lambda: mint(app, "u", key=private_key("ES384")))) == {"key"}


def test_mint_issuer_selects_among_remote_key_sets() -> None:
    key = private_key("ES256")
    sets = [Jwks("https://a/jwks", issuer="https://a"), Jwks("https://b/jwks", issuer="https://b")]
    app = acme(credentials=sets)
    for given, expected in (
        ({}, "https://a"),
        ({"iss": "https://a"}, "https://a"),
        ({"iss": "https://b"}, "https://b"),
    ):
        assert read(mint(app, "u", now=NOW, key=key, claims=given), key.public_key(), "ES256")["iss"] == expected


@pytest.mark.parametrize("remote", [True, False])
def test_mint_app_that_requires_kid_needs_one(remote: bool) -> None:
    key = private_key("ES256")
    credential: Any = Jwks("https://id/jwks") if remote else PublicKey.from_pem(pem(key), algorithms=["ES256"])
    app = acme(credentials=[credential], issuer="https://id", rules=Rules(require_kid=True))
    assert problems_of(lambda: mint(app, "u", key=key)) == {"kid": "must be given, because this app requires one"}
    assert jwt.get_unverified_header(mint(app, "u", key=key, kid="k1"))["kid"] == "k1"


def test_mint_key_beyond_budget_of_attempts_is_a_problem() -> None:
    keys = [private_key("ES256"), *(ec.generate_private_key(ec.SECP256R1()) for _ in range(7))]
    app = acme(credentials=[PublicKey.from_pem(pem(key), algorithms=["ES256"]) for key in keys])
    problems = problems_of(lambda: mint(app, "u", key=keys[-1]))
    assert set(problems) == {"credentials"}
    assert "bad_signature" in problems["credentials"]


def test_mint_typ_is_jwt_if_app_allows_it() -> None:
    for allowed, typ in (({"jwt", "at+jwt"}, "JWT"), ({"z+jwt", "at+jwt"}, "at+jwt")):
        text = mint(acme(rules=Rules(allowed_typ=frozenset(allowed))), "u", now=NOW)
        assert jwt.get_unverified_header(text)["typ"] == typ


ROUND_BOUNDS = Rules(
    required_claims=frozenset({"exp", "email"}), attributes_claim="ctx", max_attributes_bytes=20, max_token_bytes=600
)


@pytest.mark.parametrize(
    ("settings", "path", "reason"),
    [
        ({"subject": ""}, "subject", "bad_claim"),
        ({"subject": "a\nb"}, "subject", "bad_claim"),
        ({"subject": "u" * 257}, "subject", "bad_claim"),
        ({"subject": 5}, "subject", "bad_claim"),
        ({"claims": {"sub": ""}}, "claims.sub", "bad_claim"),
        ({"claims": {"exp": NOW - 60}}, "claims.exp", "expired"),
        ({"claims": {"exp": "soon"}}, "claims.exp", "bad_claim"),
        ({"claims": {"nbf": NOW + 60}}, "claims.nbf", "not_yet_valid"),
        ({"claims": {"aud": "other"}}, "claims.aud", "wrong_audience"),
        ({"claims": {"jti": 5}}, "claims.jti", "bad_claim"),
        ({"now": -1e11, "claims": {"exp": NOW}}, "now", "bad_claim"),
        ({"rules": Rules(leeway=0), "ttl": 0.5}, "ttl", "expired"),
        ({"rules": ROUND_BOUNDS}, "claims.email", "missing_claim"),
        ({"rules": ROUND_BOUNDS, "attributes": {"a": "x" * 30}}, "claims.email", "missing_claim"),
        (
            {"rules": ROUND_BOUNDS, "attributes": {"a": "x" * 30}, "claims": {"email": "e"}},
            "attributes",
            "context_too_large",
        ),
        ({"rules": ROUND_BOUNDS, "attributes": {"a": "x" * 600}}, "attributes", "too_large"),
        ({"rules": ROUND_BOUNDS, "claims": {"email": "x" * 600}}, "claims.email", "too_large"),
        ({"rules": ROUND_BOUNDS, "subject": "x" * 600}, "subject", "too_large"),
        ({"attributes": {"jti": 5}}, "attributes.jti", "bad_claim"),
        ({"revocations": Revocations(users={"u": NOW})}, "subject", "revoked"),
        ({"revocations": Revocations(issued_before=NOW)}, "now", "revoked"),
        ({"revocations": Revocations(issued_before=NOW), "claims": {"iat": NOW - 5}}, "claims.iat", "revoked"),
        ({"revocations": Revocations(token_ids=frozenset({"x"})), "claims": {"jti": "x"}}, "claims.jti", "revoked"),
        ({"revocations": Revocations(users={"u": NOW}, issued_before=5)}, "subject", "revoked"),
    ],
)
def test_mint_token_that_app_refuses_is_a_problem(settings: dict[str, Any], path: str, reason: str) -> None:
    of_app = {name: settings[name] for name in settings.keys() & {"rules", "revocations"}}
    given = {"subject": "u", "now": NOW, **{name: settings[name] for name in settings.keys() - of_app.keys()}}
    problems = problems_of(lambda: mint(acme(**of_app), **given))
    assert set(problems) == {path}
    assert problems[path].startswith(f"the app would refuse the token ({reason}): ")


@pytest.mark.parametrize(
    ("profile", "subject", "arguments", "path", "claim"),
    [
        ("generic", "", {}, "subject", "sub"),
        ("generic", 7, {}, "subject", "sub"),
        ("userz", "u", {"attributes": {"note": "x" * 3000}}, "attributes", "ctx"),
        ("hissuno", "u", {"attributes": {"age": 7}}, "attributes", "userMetadata"),
        ("generic", "u", {"required_claims": ["email"]}, "claims.email", "email"),
    ],
)
def test_p11_mint_value_that_the_app_refuses_config_error_names_the_claim(
    profile: str, subject: Any, arguments: dict[str, Any], path: str, claim: str
) -> None:
    arguments = dict(arguments)
    settings: Any = {name: arguments.pop(name) for name in ("required_claims",) if name in arguments}
    app = BY_NAME[profile]("acme", credentials=[Secret.from_hex("6c" * 31 + "02")], **settings)
    with pytest.raises(ConfigError) as caught:
        mint(app, subject, **arguments)
    (problem,) = caught.value.problems
    assert (problem.path, f" {claim} " in problem.message or f" {claim}." in problem.message) == (path, True)


def test_mint_value_that_only_app_determines_is_a_problem_of_app() -> None:
    key = private_key("ES256")
    bound = Jwks.static({"keys": [jwk(key, issuer="https://other")]}, algorithms=["ES256"])
    problems = problems_of(lambda: mint(acme(credentials=[bound], issuer="https://id"), "u", now=NOW, key=key))
    assert set(problems) == {"app"}
    assert "wrong_issuer" in problems["app"]


def test_mint_now_in_the_past_signs_token_that_expired_since() -> None:
    with gate_of(acme()) as gate:
        refusal = gate.verify(mint(acme(), "u", now=NOW - 7200), app="acme").refusal
    assert refusal is not None
    assert refusal.reason == "expired"


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


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"subject": "\ud800"}, "subject"),
        ({"claims": {"x": object()}}, "claims.x"),
        ({"claims": {"x": "\udfff"}}, "claims.x"),
        ({"claims": {"x": [{"\udfff": 1}]}}, "claims.x"),
        ({"claims": {"\udfff": 1}}, "claims"),
        ({"claims": {(1, 2): "x"}}, "claims"),
        ({"claims": {1: "x"}}, "claims"),
        ({"claims": {"x": {1: "x"}}}, "claims.x"),
        ({"claims": {"x": ({"1": "x", 1: "y"},)}}, "claims.x"),
        ({"claims": {"x": [None, {None: "x"}]}}, "claims.x"),
        ({"claims": {"x": float("nan")}}, "claims.x"),
        ({"claims": {"x": [float("-inf")]}}, "claims.x"),
        ({"claims": {"x": 10**400}}, "claims.x"),
        ({"claims": {"x": 10**5000}}, "claims.x"),
        ({"claims": {"x": nested(32)}}, "claims.x"),
        ({"claims": {"x": nested(100_000)}}, "claims.x"),
        ({"attributes": {"x": b"bytes"}}, "attributes.x"),
        ({"attributes": {"x": b"bytes"}, "rules": Rules(attributes_claim="ctx")}, "attributes"),
        ({"kid": "\ud800"}, "kid"),
    ],
)
def test_mint_value_that_is_not_strict_json_is_a_problem(settings: dict[str, Any], path: str) -> None:
    app = acme(rules=settings.get("rules", Rules()))
    given = {name: value for name, value in settings.items() if name != "rules"}
    found = problems_of(lambda: mint(app, **{"subject": "u", "now": NOW, **given}))
    assert found == {path: "cannot be encoded as JSON"}


def test_mint_deepest_value_and_tuples_are_signed() -> None:
    claims = {"x": nested(31), "y": ("a", ["b"]), "é": None}
    assert read(mint(acme(), "u", now=NOW, claims=claims)) == {
        "sub": "u",
        "iat": NOW,
        "exp": NOW + 3600,
        "x": nested(31),
        "y": ["a", ["b"]],
        "é": None,
    }

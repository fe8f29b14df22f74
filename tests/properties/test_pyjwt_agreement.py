"""Whatever Wicket accepts, PyJWT with the same pinned key, algorithm and rules accepts too, with the same claims.

But for a short list, by name: a fractional `exp`, `Ed25519` and `Ed448` as names of algorithms, integer user ids where
a profile admits them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.properties.reference_libraries import Pair, pairs, pem_of, pyjwt, same_time
from tests.properties.strategies import ALMOST_GOOD, CLAIMS, HEADERS
from tests.properties.tokens import NOW, app, good_claims
from tests.support.thorough import example_count
from wicket import App, Gate, PublicKey, Rules
from wicket.runtime import base64url

quick = settings(max_examples=example_count(120), deadline=None)


@pytest.fixture(autouse=True, scope="module")
def _same_time_for_both() -> Iterator[None]:
    with same_time():
        yield


def agree(pair: Pair, token: str, held: App) -> bool:
    """Whether Wicket accepts; if it does, PyJWT must accept as well, and both must read the same."""
    decision = Gate([held], clock=lambda: NOW).verify(token, app=held.id)
    if not decision.allowed:
        return False
    claims = decision.identity.claims
    exp = claims.get("exp")
    fractional = isinstance(exp, float) and not exp.is_integer()
    read = pyjwt(pair, token, held, verify_exp=not fractional)
    assert read == claims
    assert json.dumps(read) == json.dumps(claims)  # 1 is not 1.0, and not True
    return True


APPS: list[dict[str, Any]] = [
    {},
    {"issuer": "https://id.example"},
    {"audience": "https://api.example"},
    {"audience": ["https://api.example", "x"], "issuer": "https://id.example"},
    {"rules": Rules(required_claims=frozenset({"sub", "exp", "iat"}), leeway=0)},
    {"rules": Rules(required_claims=frozenset(), leeway=0.5)},
    {"rules": Rules(required_claims=frozenset({"exp"}), max_lifetime=7200, min_lifetime=60)},
]


@pytest.mark.long
@quick
@given(claims=CLAIMS | ALMOST_GOOD, header=HEADERS, settings=st.sampled_from(APPS))
def test_verify_any_allowed_token_pyjwt_agrees(claims: dict[str, Any], header: Any, settings: dict[str, Any]) -> None:
    pair = pairs()["HS256"]
    header = header if isinstance(header, dict) else {}

    agree(pair, pair.sign(claims, {**header, "alg": "HS256"}), app(**settings))


@pytest.mark.long
@pytest.mark.parametrize("settings_", range(len(APPS)))
@quick
@given(changes=CLAIMS)
def test_verify_almost_valid_claims_pyjwt_agrees(settings_: int, changes: dict[str, Any]) -> None:
    pair = pairs()["HS256"]
    good = good_claims(iss="https://id.example", aud="https://api.example")
    if "audience" not in APPS[settings_]:
        del good["aud"]
    assert agree(pair, pair.sign(good), app(**APPS[settings_]))

    for name, value in changes.items():
        agree(pair, pair.sign({**good, name: value}), app(**APPS[settings_]))
        agree(pair, pair.sign({key: held for key, held in good.items() if key != name}), app(**APPS[settings_]))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                       "ES384", "ES512", "ES256K", "EdDSA"])  # fmt: skip
@settings(max_examples=example_count(8), deadline=None)
@given(claims=ALMOST_GOOD)
def test_verify_every_algorithm_pyjwt_agrees(algorithm: str, claims: dict[str, Any]) -> None:
    pair = pairs()[algorithm]
    held = app(credentials=[pair.credential])

    assert agree(pair, pair.sign(good_claims()), held)
    agree(pair, pair.sign(claims), held)


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS256", "ES256", "EdDSA"])
@settings(max_examples=example_count(25), deadline=None)
@given(mutation=st.binary(min_size=1, max_size=4), at=st.integers(0, 511))
def test_verify_altered_signature_refused_by_both(algorithm: str, mutation: bytes, at: int) -> None:
    pair = pairs()[algorithm]
    held = app(credentials=[pair.credential])
    token = pair.sign(good_claims())
    text, _, spelled = token.rpartition(".")
    signature = base64url.decode(spelled)
    at %= len(signature)
    changed = signature[:at] + mutation + signature[at + len(mutation) :]
    assume(changed != signature)
    for bad in (changed, signature + mutation, signature[:at], b""):
        assert not agree(pair, f"{text}.{base64url.encode(bad)}", held)
        with pytest.raises(jwt.InvalidTokenError):
            pyjwt(pair, f"{text}.{base64url.encode(bad)}", held)


@pytest.mark.parametrize("claim", ["email", "plan", "sub", "exp", "iat", "iss", "aud", "jti"])
def test_verify_required_claim_null_refused_by_both(claim: str) -> None:
    pair = pairs()["HS256"]
    held = app(rules=Rules(required_claims=frozenset({"exp", claim}), user_id_claims=("sub", "uid")))
    token = pair.sign(good_claims(uid="user-1", **{claim: None}))

    with pytest.raises(jwt.InvalidTokenError):
        pyjwt(pair, token, held)
    assert not Gate([held], clock=lambda: NOW).verify(token, app="acme").allowed


# --- the exceptions, by name


def test_verify_fractional_exp_valid_until_fraction() -> None:
    """PyJWT cuts the fraction off, so that such a token ends up to a second earlier there."""
    pair = pairs()["HS256"]
    held = app(rules=Rules(required_claims=frozenset({"exp"}), leeway=0))

    assert agree(pair, pair.sign(good_claims(exp=NOW + 0.5)), held)
    with pytest.raises(jwt.ExpiredSignatureError):
        pyjwt(pair, pair.sign(good_claims(exp=NOW + 0.5)), held)
    assert not agree(pair, pair.sign(good_claims(exp=NOW - 0.5)), held)


@pytest.mark.parametrize("name", ["Ed25519", "Ed448"])
def test_verify_eddsa_full_curve_name_allowed(name: str) -> None:
    key: Any = ed25519.Ed25519PrivateKey.generate() if name == "Ed25519" else ed448.Ed448PrivateKey.generate()
    held = app(credentials=[PublicKey.from_pem(pem_of(key), algorithms=["EdDSA"])])
    gate = Gate([held], clock=lambda: NOW)

    def token(algorithm: str) -> str:
        text = ".".join(base64url.encode(json.dumps(part).encode()) for part in ({"alg": algorithm}, good_claims()))
        return f"{text}.{base64url.encode(key.sign(text.encode()))}"

    other = {"Ed25519": "Ed448", "Ed448": "Ed25519"}[name]
    assert gate.verify(token(name), app="acme").allowed
    assert gate.verify(token("EdDSA"), app="acme").allowed
    assert not gate.verify(token(other), app="acme").allowed
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(token(name), key.public_key(), algorithms=[name])


def test_verify_integer_user_id_allowed_as_text() -> None:
    pair = pairs()["HS256"]
    token = pair.sign(good_claims(sub=42))
    held = app(rules=Rules(allow_integer_user_id=True))
    decision = Gate([held], clock=lambda: NOW).verify(token, app="acme")

    assert decision.require().user_id == "42"
    with pytest.raises(jwt.exceptions.InvalidSubjectError):
        pyjwt(pair, token, held)
    assert not agree(pair, token, app())

"""Key sets: the input is a document as an endpoint would send it. What is imported from it is held against peers."""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.properties.key_rules import used_alone
from wicket import ConfigError, Jwks, PublicKey
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.jwks.loader import KeySetLoader
from wicket.keys.algorithms import ASYMMETRIC, Key, UnusableKeyError
from wicket.keys.jwk import import_jwk
from wicket.keys.jwks import MAX_KEYS
from wicket.keys.key_set import KeySetRef, KeySource
from wicket.keys.urls import KeySetUrl
from wicket.keys.weak_keys import LOCAL

WORDS: Final = (
    *('"keys":[', '"kty":"RSA"', '"kty":"EC"', '"kty":"OKP"', '"kty":"oct"', '"crv":"P-256"', '"crv":"P-384"'),
    *('"crv":"P-521"', '"crv":"secp256k1"', '"crv":"Ed25519"', '"crv":"Ed448"', '"crv":"X25519"', '"alg":"ES256"'),
    *('"alg":"RS256"', '"alg":"PS256"', '"alg":"EdDSA"', '"alg":"Ed25519"', '"alg":"none"', '"use":"sig"', '"use":"x"'),
    *('"key_ops":["verify"]', '"key_ops":["sign"]', '"kid":"a"', '"e":"AQAB"', '"e":"Aw"', '"d":"AA"', '"k":"AA"'),
    *('"x":"', '"y":"', '"n":"', "null", "[]", "{}", "},{", '"kid":null', '"alg":null', '"x5t":7', '"x5u":"x"'),
    *('"oth":[]', '"p":7', '"key_ops":["verify","zzz"]', '"key_ops":["verify",7]', '"key_ops":["verify","encrypt"]'),
)  # fmt: skip

_URL: Final = KeySetUrl("id.example", 443, "/keys")
_LONG: Final = 16
_ALLOWED: Final = tuple(sorted(ASYMMETRIC))


def check(data: bytes) -> None:
    """One input."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        members = [document]
    keys = [key for key in map(_imported, members[:MAX_KEYS]) if key is not None]
    _static(document, keys)
    _fetched(document, keys)


def _imported(member: Any) -> Key | None:
    try:
        key = import_jwk(member, _ALLOWED)
    except UnusableKeyError as unusable:
        _quotes_nothing(str(unusable), member)
        _agrees(None, member)
        return None
    _agrees(key, member)
    assert isinstance(member, dict)
    assert not used_alone(member, key), "used, though a peer has no such key and no exception says why"
    assert "d" not in member
    assert member["kty"] in ("RSA", "EC", "OKP")
    assert member.get("use", "sig") == "sig"
    assert "verify" in member.get("key_ops", ["verify"])
    assert key.kid == member.get("kid")
    assert key.algorithms
    material = key.material
    if isinstance(material, rsa.RSAPublicKey):
        assert 2048 <= material.key_size <= 8192
        assert 3 <= material.public_numbers().e < 2**32
        assert all(name[:2] in ("RS", "PS") for name in key.algorithms)
    elif isinstance(material, ec.EllipticCurvePublicKey):
        assert len(key.algorithms) == 1
        assert key.algorithms[0].startswith("ES")
    else:
        assert set(key.algorithms) <= {"EdDSA", "Ed25519", "Ed448"}
    for name in key.algorithms:
        bound = member.get("alg")
        assert bound in (None, name) or {bound, name} <= {"EdDSA", "Ed25519", "Ed448"}
        for length in (0, 64, 96, 256):
            assert key.verify(name, b"message", bytes(length)) is False, "signed by nobody"
    return key


def _agrees(key: Key | None, member: Any) -> None:
    """What one import decides, the others decide too."""
    try:
        given: PublicKey | None = PublicKey.from_jwk(member, algorithms=_ALLOWED)
    except ConfigError as error:
        _quotes_nothing(str(error), member)
        given = None
    assert (given is None) is (key is None)
    assert given is None or key is None or given.keys[0].fingerprint == key.fingerprint


def _static(document: Any, keys: list[Key]) -> None:
    try:
        held = Jwks.static(document, algorithms=_ALLOWED)
    except ConfigError as error:
        _quotes_nothing(str(error), document)
        whole = isinstance(document, dict) and isinstance(document.get("keys"), list)
        assert not (whole and keys and len(document["keys"]) <= MAX_KEYS)
        return
    assert [key.fingerprint for key in held.keys] == [key.fingerprint for key in keys]
    assert len(held.keys) + len(held.skipped) == len(document["keys"])


def _fetched(document: Any, keys: list[Key]) -> None:
    def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        return Fetched(document, None, None, None, 0.0, None)

    told: list[Any] = []
    loader = KeySetLoader(
        lambda _: fetch,
        min_lifetime=1,
        max_lifetime=2,
        default_lifetime=1,
        max_keys=MAX_KEYS,
        report=told.append,
        bounds=LOCAL,
    )
    source = KeySource(_URL, "https://id.example", _ALLOWED)
    try:
        loaded = loader(KeySetRef("a", source), None)
    except FetchFailed:
        assert (
            not (isinstance(document, dict) and isinstance(document.get("keys"), list) and keys)
            or len(document["keys"]) > MAX_KEYS
        )
        return
    finally:
        report = repr(told)
        for kid in sorted((key.kid for key in keys if key.kid), key=len, reverse=True):
            report = report.replace(repr(kid), "a kid")  # which a report names, though it be spelled like a coordinate
        _quotes_nothing(report, document)
    assert [key.fingerprint for key in loaded.value.keys.keys] == [key.fingerprint for key in keys]
    assert all(key.issuer == "https://id.example" for key in loaded.value.keys.keys)


def _quotes_nothing(text: str, document: Any) -> None:
    """No message repeats what a key is made of."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name not in ("kid", "kty", "crv", "alg"):
                _quotes_nothing(text, value)
    elif isinstance(document, list):
        for value in document:
            _quotes_nothing(text, value)
    elif isinstance(document, str) and len(document) >= _LONG:
        assert document not in text

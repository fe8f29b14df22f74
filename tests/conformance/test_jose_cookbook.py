"""The JOSE cookbook (RFC 7520 section 4, RFC 8037, RFC 7797): compact JWS verify, every other form is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.vectors import (
    VECTORS,
    UnusableKeyError,
    app_of,
    key_of,
    load,
    needs_vectors,
    public_half,
    stage_of_refusal,
    verifies_by_hand,
)
from tests.properties.tokens import signed_bytes
from wicket import Gate
from wicket.keys.algorithms import ASYMMETRIC
from wicket.keys.jwk import import_jwk

pytestmark = needs_vectors

FOLDER = VECTORS / "jose_cookbook"
EXAMPLES = {
    str(path.relative_to(FOLDER)): json.loads(path.read_text("utf-8"))
    for path in sorted(FOLDER.glob("*/*.json"))
    if path.parent.name != "jwk"
}
SIGNED = {name: each for name, each in EXAMPLES.items() if "signing" in each}
UNENCODED = {name: each for name, each in SIGNED.items() if name.startswith("rfc7797")}
COMPACT = {
    name: each
    for name, each in SIGNED.items()
    if "compact" in each["output"] and name not in UNENCODED and "detached" not in name
}


def keys_of(example: dict[str, Any]) -> list[Any]:
    given = example["input"]["key"]
    return [key_of(public_half(each)) for each in (given if isinstance(given, list) else [given])]


def test_jose_cookbook_examples_all_present() -> None:
    assert len(COMPACT) == 5  # sections 4.1 to 4.4, and Ed25519
    assert len(UNENCODED) == 2
    assert len(SIGNED) == 11


@pytest.mark.parametrize("name", COMPACT)
def test_jose_cookbook_compact_example_refused_only_at_payload(name: str) -> None:
    example = COMPACT[name]
    (key,) = keys_of(example)
    text = example["output"]["compact"]

    assert verifies_by_hand(key, example["input"]["alg"], text)
    assert stage_of_refusal(app_of(key), text) == "payload"


@pytest.mark.parametrize("name", COMPACT)
def test_jose_cookbook_compact_example_other_key_refused(name: str) -> None:
    (own,) = keys_of(COMPACT[name])
    keys = [key for example in COMPACT.values() for key in keys_of(example)]
    others = [key for key in keys if key.fingerprint != own.fingerprint]  # sections 4.1 and 4.2 share one

    assert stage_of_refusal(app_of(*others), COMPACT[name]["output"]["compact"]) in ("choice of key", "signature")


@pytest.mark.parametrize("form", ["json", "json_flat"])
@pytest.mark.parametrize("name", SIGNED)
def test_jose_cookbook_json_serialization_malformed(name: str, form: str) -> None:
    output = SIGNED[name]["output"]
    if form not in output:
        assert name.startswith("jws/4_8")  # several signatures cannot be flattened
        return
    for text in (json.dumps(output[form]), json.dumps(output[form], separators=(",", ":"))):
        assert_malformed(app_of(*keys_of(SIGNED[name])), text)


def test_jose_cookbook_detached_payload_malformed() -> None:
    (example,) = [each for name, each in SIGNED.items() if "detached" in name]

    assert_malformed(app_of(*keys_of(example)), example["output"]["compact"])


@pytest.mark.parametrize("name", UNENCODED)
def test_jose_cookbook_unencoded_payload_malformed(name: str) -> None:
    example = UNENCODED[name]
    app = app_of(*keys_of(example))
    texts = [f"{part['protected']}.{part['payload']}.{part['signature']}" for part in [example["output"]["json_flat"]]]
    texts.extend(text for text in [example["output"].get("compact")] if text)

    for text in texts:
        assert_malformed(app, text)


@pytest.mark.parametrize("name", UNENCODED)
def test_jose_cookbook_b64_header_valid_signature_malformed(name: str) -> None:
    (key,) = keys_of(UNENCODED[name])
    header = json.dumps(UNENCODED[name]["signing"]["protected"]).encode()

    assert_malformed(app_of(key), signed_bytes(header, b'{"sub":"user-1"}', secret=key.material))
    assert (
        Gate([app_of(key)])
        .verify(signed_bytes(b'{"alg":"HS256"}', b'{"sub":"user-1"}', secret=key.material), app="conformance")
        .allowed
    )


@pytest.mark.parametrize("name", ["jwk/3_1.ec_public_key.json", "jwk/3_3.rsa_public_key.json"])
def test_import_jwk_cookbook_public_key_algorithms_by_key_type(name: str) -> None:
    jwk = load(f"jose_cookbook/{name}")
    key = import_jwk(jwk, ASYMMETRIC)

    assert key.kid == jwk["kid"]
    assert set(key.algorithms) == (
        {"ES512"} if jwk["kty"] == "EC" else {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    )


@pytest.mark.parametrize(
    "name",
    [
        "jwk/3_2.ec_private_key.json",
        "jwk/3_4.rsa_private_key.json",
        "jwk/3_5.symmetric_key_mac_computation.json",
        "jwk/3_6.symmetric_key_encryption.json",
    ],
)
def test_import_jwk_cookbook_private_or_symmetric_key_unusable(name: str) -> None:
    with pytest.raises(UnusableKeyError):
        import_jwk(load(f"jose_cookbook/{name}"), ASYMMETRIC)


def test_import_jwk_cookbook_x25519_key_unusable() -> None:
    example = load("jose_cookbook/curve25519/ecdh-es.json")
    found = [value for value in walk(example) if isinstance(value, dict) and value.get("crv") == "X25519"]

    assert found
    for jwk in found:
        with pytest.raises(UnusableKeyError):
            import_jwk(public_half(jwk), ASYMMETRIC)


def walk(value: Any) -> list[Any]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(each for part in below for each in walk(part))]


def assert_malformed(app: Any, text: str) -> None:
    assert stage_of_refusal(app, text) == "reading"
    refusal = Gate([app]).verify(text, app="conformance").refusal
    assert refusal is not None
    assert (refusal.code, refusal.reason) == ("invalid_token", "malformed")

"""Incidents in the reading of a token: what is critical, encrypted, in another form, too large or spelled twice."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.attacks.clients import Behind
from tests.attacks.token_factory import (
    CRITICAL,
    NOW,
    app,
    claims,
    credential,
    der,
    encrypted,
    jwk,
    of_any_kind,
    private_key,
    public_key,
    secret,
    segment,
    signed,
    token,
)
from tests.support.cost import AT_ONCE, QUICKLY, steps_of
from wicket import ConfigError, Jwks, Secret
from wicket.keys import Credential
from wicket.runtime import base64url

ADA = (200, "acme:ada", None)
MALFORMED = (401, "invalid_token", "malformed")
TOO_LARGE = (401, "invalid_token", "too_large")
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
NOT_ALLOWED = (401, "invalid_token", "algorithm_not_allowed")


def refuses_critical(behind: Behind, held: Credential, algorithm: str) -> None:
    """Every `crit` is refused, though the app's own key signed the token."""
    door = behind(app("acme", held))
    assert door.ask(token(algorithm)).said == ADA
    for critical in CRITICAL:
        members: dict[str, Any] = {"crit": critical, "b64": True} if critical == ["b64"] else {"crit": critical, "x": 1}
        assert door.ask(token(algorithm, header=members)).said == MALFORMED, critical


def test_cve_2026_32597_crit_with_secret_malformed(behind: Behind) -> None:
    refuses_critical(behind, credential("HS256"), "HS256")


def test_cve_2025_59420_crit_with_public_key_malformed(behind: Behind) -> None:
    refuses_critical(behind, public_key("RS256"), "RS256")


def test_cve_2026_35042_crit_with_key_set_malformed(behind: Behind) -> None:
    refuses_critical(behind, Jwks.static({"keys": [jwk(private_key("ES256"))]}), "ES256")


def test_cve_2026_48525_b64_large_unencoded_payload_too_large(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(token()).said == ADA
    for value in (False, True, 0, "false", None):
        small = token(header={"b64": value, "crit": ["b64"]})
        assert door.ask(small).said == MALFORMED
        assert door.ask(token(header={"b64": value})).said == MALFORMED
    head, _, signature = token(header={"b64": False, "crit": ["b64"]}).split(".")
    large = f"{head}.{'A' * 5_000_000}.{signature}"
    assert door.ask(large).said == TOO_LARGE
    assert steps_of(lambda: door.gate.verify(large, app="acme")) < AT_ONCE


def test_ghsa_8wjv_2p76_3863_token_deeply_nested_json_malformed(behind: Behind) -> None:
    door = behind(app("acme", max_token_bytes=2_000_000))
    assert door.ask(token(plan=[[[[1]]]])).said == ADA
    for deep in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000):
        assert door.ask(f"{base64url.encode(deep.encode())}.e30.AA").said == MALFORMED
        header = '{"alg":"HS256","a":' + deep + "}"
        assert door.ask(signed(header, claims(), secret(), "HS256")).said == MALFORMED
    assert door.ask(token()).said == ADA


def test_ghsa_w6j9_cwv2_h6wq_key_set_broken_key_skipped(behind: Behind) -> None:
    deep: object = "end"
    for _ in range(500):
        deep = [deep]
    broken: list[object] = [
        {"kty": "oct"},
        {"kty": "RSA", "alg": "none", "n": "AQ", "e": "AQ"},
        {"kty": "EC", "alg": ["ES256"], "crv": ["P-256"]},
        {"kty": {"a": 1}},
        {"kty": "RSA", "n": deep, "e": 3},
        *(None, 7, "key", [], {}),
    ]
    held = Jwks.static({"keys": [*broken, jwk(private_key("ES256"), kid="1")]})
    assert len(held.skipped) == len(broken)
    door = behind(app("acme", held))
    assert door.ask(token("ES256", header={"kid": "1"})).said == ADA
    assert door.ask(token("ES256", private_key("ES256", "mallory"), header={"kid": "1"})).said == BAD_SIGNATURE


def test_ghsa_hxm8_2xgr_2p9m_token_noncanonical_encoding_malformed(behind: Behind) -> None:
    door = behind(app())
    good = token()
    assert door.ask(good).said == ADA
    parts = good.split(".")
    for index, part in enumerate(parts):
        for stray in "!\"#$%&'()*+/:;<=>?@[\\]^`{|}~":
            for spelled in (stray + part, part + stray, part[:5] + stray + part[5:]):
                assert door.ask(".".join([*parts[:index], spelled, *parts[index + 1 :]])).said == MALFORMED, stray
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    signature = parts[2]
    assert len(signature) % 4 == 3
    same = alphabet.index(signature[-1]) // 4 * 4
    for last in alphabet[same + 1 : same + 4]:
        assert door.ask(good[:-1] + last).said == MALFORMED, "bits that spell nothing"
    for blank in (" ", "\n", "\t", "\r\n"):
        assert door.gate.verify(good[:9] + blank + good[9:], app="acme").allowed is False
        assert door.gate.verify(good + blank, app="acme").allowed is False
    assert door.ask(good).said == ADA


def test_pyjwt_2_15_0_deep_payload_or_non_numeric_time_refused(behind: Behind) -> None:
    door = behind(app("acme", max_token_bytes=2_000_000))
    assert door.ask(token()).said == ADA
    deep = '{"sub":"ada","exp":' + str(NOW + 60) + ',"a":' + "[" * 50_000 + "]" * 50_000 + "}"
    assert door.ask(signed({"alg": "HS256"}, deep, secret(), "HS256")).said == MALFORMED
    for name in ("exp", "nbf", "iat"):
        for value in of_any_kind([1], {}, "1", True, [[]], {"a": NOW}):
            assert door.ask(token(**{name: value})).said == (401, "invalid_token", "bad_claim"), (name, value)
        null = json.dumps({**claims(), name: None})
        assert door.ask(signed({"alg": "HS256"}, null, secret(), "HS256")).said == (401, "invalid_token", "bad_claim")


def test_pyjwt_2_15_1_base64url_padding_malformed(behind: Behind) -> None:
    door = behind(app())
    good = token()
    head, body, signature = good.split(".")
    assert door.ask(good).said == ADA
    for padded in (f"{good}=", f"{good}==", f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}"):
        assert door.ask(padded).said == MALFORMED
    assert door.ask(good).said == ADA


def test_cve_2024_33664_encrypted_token_with_zip_malformed(behind: Behind) -> None:
    bomb = encrypted({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"})
    door = behind(app("acme", public_key("RS256"), max_token_bytes=100_000))
    assert door.ask(token("RS256")).said == ADA
    assert door.ask(bomb).said == MALFORMED
    assert steps_of(lambda: door.gate.verify(bomb, app="acme")) < AT_ONCE
    for zipped in ("DEF", "GZ", None):
        assert door.ask(token("RS256", header={"zip": zipped})).said == MALFORMED


def test_cve_2025_61920_token_part_eight_megabytes_too_large(behind: Behind) -> None:
    door = behind(app())
    good = token()
    head, body, signature = good.split(".")
    assert door.ask(good).said == ADA
    huge = "A" * 8_000_000
    for large in (f"{huge}.{body}.{signature}", f"{head}.{body}.{huge}", huge):
        assert door.ask(large).said == TOO_LARGE
        assert steps_of(lambda large=large: door.gate.verify(large, app="acme")) < AT_ONCE  # type: ignore[misc]


def test_cve_2026_48990_empty_secret_b64_or_padding_refused(behind: Behind) -> None:
    with pytest.raises(ConfigError, match="is empty"):
        Secret(b"", allow_short=True)
    door = behind(app())
    assert door.ask(token()).said == ADA
    assert door.ask(token("HS256", b"")).said == BAD_SIGNATURE
    assert door.ask(token(header={"b64": False})).said == MALFORMED
    assert door.ask(token() + "=").said == MALFORMED
    for algorithm in ("PBES2-HS256+A128KW", "PBES2-HS512+A256KW"):
        costly = {"alg": algorithm, "p2c": 2**31 - 1, "p2s": "AAAA"}
        assert door.ask(signed(costly, claims(), secret(), "HS256")).said == NOT_ALLOWED
        assert steps_of(lambda c=costly: door.gate.verify(signed(c, claims(), secret(), "HS256"), app="acme")) < AT_ONCE  # type: ignore[misc]


def test_cve_2022_3102_token_encrypted_to_public_key_refused(behind: Behind) -> None:
    door = behind(app("acme", public_key("RS256")))
    assert door.ask(token("RS256")).said == ADA
    for algorithm in ("RSA-OAEP", "RSA1_5", "dir"):
        sealed = encrypted({"alg": algorithm, "enc": "A128GCM", "typ": "JWT"})[:12_000]
        assert door.ask(sealed).said == MALFORMED
        head, key, nonce, *_ = sealed.split(".")
        assert door.ask(f"{head}.{key}.{nonce}").said[:2] == (401, "invalid_token"), "three of its five parts"


def test_cve_2023_6681_pbes2_encrypted_token_malformed_bounded_cost(behind: Behind) -> None:
    door = behind(app("acme", max_token_bytes=100_000))
    assert door.ask(token()).said == ADA
    costly = encrypted({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "zip": "DEF", "p2c": 10**9, "p2s": "AAAA"})
    assert door.ask(costly).said == MALFORMED
    assert steps_of(lambda: door.gate.verify(costly, app="acme")) < AT_ONCE


def test_cve_2023_51774_token_extra_parts_malformed(behind: Behind) -> None:
    door = behind(app())
    good = token()
    assert door.ask(good).said == ADA
    for tail in (".", "..", ".AA", ".AA.AA", f".{good}"):
        assert door.ask(good + tail).said == MALFORMED
        assert door.ask(tail + good).said == MALFORMED


def test_cve_2022_39227_json_serialization_polyglot_refused(behind: Behind) -> None:
    door = behind(app())
    good = token()
    head, body, signature = good.split(".")
    eve = segment(claims(sub="eve"))
    assert door.ask(good).said == ADA
    polyglot = '{"  ' + head + "." + eve + '.":"","protected":"' + head + '","payload":"' + body
    polyglot += '","signature":"' + signature + '"}'
    assert door.gate.verify(polyglot, app="acme").allowed is False
    assert door.ask(polyglot.replace(" ", "").replace(",", ";")).said == MALFORMED
    assert door.ask(polyglot).said == (400, "invalid_request", None)
    assert door.ask(good).said == ADA


def test_ghsa_jc38_x7x8_2xc8_json_unprotected_header_malformed(behind: Behind) -> None:
    door = behind(app("acme", public_key("RS256")))
    good = token("RS256")
    head, body, signature = good.split(".")
    assert door.ask(good).said == ADA
    forms: list[dict[str, object]] = [
        {"payload": body, "header": {"alg": "none"}, "signature": ""},
        {"payload": body, "protected_attributes": head, "header": {"alg": "HS256"}, "signature": signature},
        {"payload": body, "signatures": [{"protected_attributes": head, "signature": signature}]},
    ]
    for form in forms:
        text = json.dumps(form, separators=(",", ":"))
        refusal = door.gate.verify(text, app="acme").refusal
        assert refusal is not None
        assert (refusal.code, refusal.reason) == ("invalid_token", "malformed")
        assert door.ask(base64url.encode(text.encode())).said == MALFORMED


def test_cve_2016_9122_token_several_signatures_refused(behind: Behind) -> None:
    door = behind(app())
    good = token()
    head, body, signature = good.split(".")
    assert door.ask(good).said == ADA
    bad = {"protected_attributes": head, "signature": "AAAA"}
    fine = {"protected_attributes": head, "signature": signature}
    for several in ([bad, fine], [fine, bad], [fine, fine]):
        text = json.dumps({"payload": body, "signatures": several})
        assert door.gate.verify(text, app="acme").allowed is False
    for joined in (f"{good}.{signature}", f"{head}.{body}.{signature}{signature}", f"{good}~{signature}"):
        assert door.ask(joined).said[:2] == (401, "invalid_token")


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_cve_2020_28042_empty_signature_bad_signature(behind: Behind, algorithm: str) -> None:
    door = behind(app("acme", credential(algorithm)))
    good = token(algorithm)
    message = good.rpartition(".")[0]
    assert door.ask(good).said == ADA
    assert door.ask(f"{message}.").said == BAD_SIGNATURE
    for short in ("AA", "AAAA", base64url.encode(bytes(16))):
        assert door.ask(f"{message}.{short}").said == BAD_SIGNATURE
    assert door.ask(message).said == MALFORMED
    for name in ("none", "None", "NONE", "nOnE"):
        unsigned = signed({"alg": name, "typ": "JWT"}, claims(), b"", "HS256").rpartition(".")[0]
        assert door.ask(f"{unsigned}.").said == NOT_ALLOWED


def test_cve_2025_30204_token_million_dots_bounded_cost(behind: Behind) -> None:
    door = behind(app("acme", max_token_bytes=2_000_000))
    assert door.ask(token()).said == ADA
    for dots in ("." * 1_000_000, "a." * 500_000, token() + "." * 1_000_000):
        assert door.ask(dots).said == MALFORMED
        assert steps_of(lambda dots=dots: door.gate.verify(dots, app="acme")) < QUICKLY  # type: ignore[misc]
    strict = behind(app())
    assert strict.ask("." * 1_000_000).said == TOO_LARGE


def test_cve_2019_12995_malformed_token_invalid_token(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(token()).said == ADA
    head, body, signature = token().split(".")
    seeds = [
        *(
            "a",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            "e30.e30.",
            "e30.e30.e30",
            "bnVsbA.bnVsbA.AA",
            "W10.W10.AA",
            "Ig.Ig.AA",
        ),
        *(f".{body}.{signature}", f"{head}..{signature}", f"{head}.{body}", f"{head}.{head}.{signature}"),
        *(f"{segment(bytes([255, 254, 253]))}.{body}.{signature}", f"{segment(b'{')}.{body}.{signature}"),
        *(
            f"{segment(text.encode())}.{body}.{signature}"
            for text in ("0", "1e999", "NaN", "-", '"\\ud800"', "{}", "[{}]")
        ),
        *(
            f"{segment({'alg': value})}.{body}.{signature}"
            for value in of_any_kind(None, 1, [], {}, True, "", "\0", "💥")
        ),
        *(f"{segment({'alg': 'HS256', 'kid': value})}.{body}.{signature}" for value in of_any_kind(None, 1, [], {})),
        *(base64.b64encode(der(private_key("RS256"))).decode().replace("+", "-").replace("/", "_").rstrip("="),),
    ]
    for text in seeds:
        status, code, _ = door.ask(text).said
        assert (status, code) == (401, "invalid_token"), text
    assert door.ask(token()).said == ADA


def test_cve_2024_51744_expired_and_forged_token_bad_signature(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(token()).said == ADA
    assert door.ask(token(exp=NOW - 3600)).said == (401, "invalid_token", "expired")
    forged = door.ask(token("HS256", secret("mallory"), exp=NOW - 3600, aud="elsewhere"))
    assert forged.said == BAD_SIGNATURE
    assert "expire" not in forged.raw.decode().lower()
    assert "expire" not in forged.headers["www-authenticate"].lower()

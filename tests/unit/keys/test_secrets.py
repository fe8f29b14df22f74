"""Secrets: their encodings and lengths, the configuration errors, and that no error or repr contains the key."""

from __future__ import annotations

import base64
import copy
import hmac
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.unit import KEY, pem, problems_of, rsa_key
from wicket import ConfigError, Jwks, PublicKey, Secret

TEXT = "x1-a-secret-of-thirty-two-bytes!"


def test_secret_bytes_hex_and_base64_same_key() -> None:
    secrets = [
        Secret(KEY),
        Secret.from_hex(KEY.hex()),
        Secret.from_hex(KEY.hex().upper()),
        Secret.from_base64(base64.b64encode(KEY).decode()),
        Secret.from_base64(base64.urlsafe_b64encode(KEY).decode().rstrip("=")),
    ]
    assert {secret.keys[0].material for secret in secrets} == {KEY}
    assert [secret.encoding for secret in secrets] == ["bytes", "hex", "hex", "base64", "base64"]


def test_secret_from_base64_standard_and_urlsafe_alphabet_accepted() -> None:
    value = b"\xfb\xff\xfe" * 11
    for text in (base64.b64encode(value), base64.urlsafe_b64encode(value)):
        assert Secret.from_base64(text.decode()).keys[0].material == value


def test_secret_from_text_uses_utf8_bytes() -> None:
    secret = Secret.from_text("ä" * 15 + "bc")
    assert secret.keys[0].material == "ä".encode() * 15 + b"bc"
    assert secret.encoding == "text"


def test_secret_algorithms_default_hs256_or_as_given() -> None:
    assert Secret(KEY).algorithms == ("HS256",)
    assert Secret(KEY).kid is None
    secret = Secret(bytes(range(64)), kid="k1", algorithms=["HS512", "HS256"])
    assert secret.algorithms == ("HS512", "HS256")
    assert (secret.keys[0].kid, secret.keys[0].algorithms) == ("k1", ("HS512", "HS256"))


def test_secret_repr_excludes_key() -> None:
    assert repr(Secret.from_text(TEXT, kid="k1")) == "Secret(kid='k1', algorithms=('HS256',))"


@pytest.mark.parametrize(
    ("size", "algorithms", "least"),
    [(31, ["HS256"], 32), (47, ["HS384"], 48), (63, ["HS512"], 64), (32, ["HS256", "HS512"], 64)],
)
def test_secret_shorter_than_hash_config_error(size: int, algorithms: list[str], least: int) -> None:
    value = bytes(range(size))
    found = problems_of(lambda: Secret(value, algorithms=algorithms))
    assert found == {"value": f"has {size} bytes, and needs at least {least}"}
    assert Secret(bytes(range(least)), algorithms=algorithms).algorithms == tuple(algorithms)


def test_secret_allow_short_short_secret_accepted_with_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wicket"):
        assert Secret(b"short", allow_short=True).keys[0].material == b"short"
    assert [record.getMessage() for record in caplog.records] == [
        "a secret of 5 bytes is in use, although at least 32 bytes are required (allow_short)"
    ]


def test_secret_allow_short_long_secret_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    Secret(KEY, allow_short=True)
    assert caplog.records == []


@pytest.mark.parametrize(
    "value",
    [
        b"secret",
        b"your-256-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        b"sk_live_...",
        b"iv_your-secret-key",
        b" secret\n",
        bytes(32),
        b"a" * 64,
        base64.urlsafe_b64decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
        ),
    ],
)
def test_secret_well_known_example_config_error(value: bytes) -> None:
    assert problems_of(lambda: Secret(value, allow_short=True)) == {
        "value": "is a well-known example, or one byte repeated"
    }


@pytest.mark.parametrize("value", ["text", None, bytearray(KEY), 5])
def test_secret_value_not_bytes_config_error(value: Any) -> None:
    assert problems_of(lambda: Secret(value)) == {"value": "must be bytes"}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Secret(b""),
        *(lambda read=read: read("") for read in (Secret.from_text, Secret.from_hex, Secret.from_base64)),
    ],
)
def test_secret_empty_config_error(build: Callable[[], Secret]) -> None:
    assert problems_of(build) == {"value": "is empty"}


@pytest.mark.parametrize("text", [f"{TEXT}\n", f" {TEXT}", f'"{TEXT}"', f"'{TEXT}'", f"\t{TEXT}\r\n"])
def test_secret_from_text_surrounding_blanks_or_quotes_config_error(text: str) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "has spaces, a line break or quotes around it"}


@pytest.mark.parametrize("text", [f'"{TEXT}', f"{TEXT}'", f"{TEXT[:5]} {TEXT[5:]}"])
def test_secret_from_text_inner_blank_or_unpaired_quote_kept(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


def test_secret_from_text_lone_quote_config_error() -> None:
    assert "needs at least" in problems_of(lambda: Secret.from_text("'x"))["value"]
    assert problems_of(lambda: Secret.from_text("'")) == {"value": "is a well-known example, or one byte repeated"}


def test_secret_from_text_lone_surrogate_config_error() -> None:
    assert problems_of(lambda: Secret.from_text("\ud800" * 32)) == {
        "value": "contains a byte order mark or a lone surrogate"
    }


@pytest.mark.parametrize("text", [b"bytes", 5, None])
def test_secret_from_text_hex_or_base64_not_str_config_error(text: Any) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "must be a string"}
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize(
    "text", [KEY.hex()[:-1], KEY.hex() + "\n", " " + KEY.hex(), "0x" + KEY.hex(), "zz" * 32, "٣" * 64]
)
def test_secret_from_hex_malformed_config_error(text: str) -> None:
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}


@pytest.mark.parametrize("text", ["AAAA\n" * 11, "AA+_" * 11, "A" * 45, "A" * 44 + "===", "A=AA" * 11, "AAA*" * 11])
def test_secret_from_base64_malformed_config_error(text: str) -> None:
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize("algorithms", [["RS256"], ["hs256"], ["none"], ["HS256", "ES256"], ["EdDSA"]])
def test_secret_algorithms_not_hmac_config_error(algorithms: list[str]) -> None:
    wrong = algorithms[-1]
    assert problems_of(lambda: Secret(KEY, algorithms=algorithms)) == {"algorithms": f"{wrong!r} cannot serve a secret"}


# --- attacks


@pytest.mark.parametrize("allow_short", ["no", 1, None])
def test_secret_allow_short_not_bool_config_error(allow_short: Any) -> None:
    assert problems_of(lambda: Secret(KEY, allow_short=allow_short)) == {"allow_short": "must be true or false"}


def test_credential_algorithms_secret_text_not_quoted_in_error() -> None:
    for build in (
        lambda: Secret(KEY, algorithms=[TEXT]),
        lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=[TEXT]),
        lambda: Jwks.static({"keys": []}, algorithms=[TEXT]),
    ):
        assert problems_of(build)["algorithms"].startswith("another value cannot serve")
    assert problems_of(lambda: Secret(KEY, algorithms=["0123456789"]))["algorithms"].startswith("'0123456789' ")


def messages_of(error: BaseException | None) -> str:
    """The messages of an exception and of its causes."""
    if error is None:
        return ""
    return f"{error!s} {error.args!r} {vars(error)!r} {messages_of(error.__context__)} {messages_of(error.__cause__)}"


@pytest.mark.parametrize("mark", ["\ufeff", chr(0xD800), chr(0xDFFF)])
@pytest.mark.parametrize("form", ["{mark}{text}", "{text}{mark}", "{mark} {text}"])
def test_secret_from_text_bom_or_surrogate_error_excludes_secret(form: str, mark: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret.from_text(form.format(mark=mark, text=TEXT))
    assert [problem.path for problem in caught.value.problems] == ["value"]
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert TEXT[:8] not in messages_of(caught.value)


def test_secret_copied_after_use_verifies() -> None:
    secret = Secret(bytes(range(32)))
    key = secret.keys[0]
    signature = hmac.digest(bytes(range(32)), b"message", "sha256")
    unused = copy.deepcopy(secret)
    assert key.verify("HS256", b"message", signature)
    for copied in (unused, copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):
        assert copied.keys[0].fingerprint == key.fingerprint
        assert copied.keys[0].verify("HS256", b"message", signature)

"""Secrets: how they are spelled, how long they are, what is a configuration error, and that none tells its key."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.support import KEY, pem, problems_of, rsa_key
from wicket import ConfigError, Jwks, PublicKey, Secret

TEXT = "x1-a-secret-of-thirty-two-bytes!"


def test_the_four_spellings_of_a_secret_give_the_same_key() -> None:
    secrets = [
        Secret(KEY),
        Secret.from_hex(KEY.hex()),
        Secret.from_hex(KEY.hex().upper()),
        Secret.from_base64(base64.b64encode(KEY).decode()),
        Secret.from_base64(base64.urlsafe_b64encode(KEY).decode().rstrip("=")),
    ]
    assert {secret.keys[0].material for secret in secrets} == {KEY}
    assert [secret.encoding for secret in secrets] == ["bytes", "hex", "hex", "base64", "base64"]


def test_both_alphabets_of_base64_are_read() -> None:
    value = b"\xfb\xff\xfe" * 11
    for text in (base64.b64encode(value), base64.urlsafe_b64encode(value)):
        assert Secret.from_base64(text.decode()).keys[0].material == value


def test_a_text_is_its_utf8_bytes() -> None:
    secret = Secret.from_text("ä" * 15 + "bc")
    assert secret.keys[0].material == "ä".encode() * 15 + b"bc"
    assert secret.encoding == "text"


def test_a_secret_serves_hs256_and_what_else_is_said() -> None:
    assert Secret(KEY).algorithms == ("HS256",)
    assert Secret(KEY).kid is None
    secret = Secret(bytes(range(64)), kid="k1", algorithms=["HS512", "HS256"])
    assert secret.algorithms == ("HS512", "HS256")
    assert (secret.keys[0].kid, secret.keys[0].algorithms) == ("k1", ("HS512", "HS256"))


def test_the_repr_of_a_secret_holds_no_key() -> None:
    assert repr(Secret.from_text(TEXT, kid="k1")) == "Secret(id='k1', algorithms=('HS256',))"


@pytest.mark.parametrize(
    ("size", "algorithms", "least"),
    [(31, ["HS256"], 32), (47, ["HS384"], 48), (63, ["HS512"], 64), (32, ["HS256", "HS512"], 64)],
)
def test_a_secret_is_as_long_as_the_hash(size: int, algorithms: list[str], least: int) -> None:
    value = bytes(range(size))
    found = problems_of(lambda: Secret(value, algorithms=algorithms))
    assert found == {"value": f"has {size} bytes, and needs at least {least}"}
    assert Secret(bytes(range(least)), algorithms=algorithms).algorithms == tuple(algorithms)


def test_a_short_secret_that_is_known_is_taken_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wicket"):
        assert Secret(b"short", allow_short=True).keys[0].material == b"short"
    assert [record.getMessage() for record in caplog.records] == [
        "a secret of 5 bytes is in use where 32 are the least (allow_short)"
    ]


def test_a_long_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
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
def test_a_well_known_example_is_no_secret(value: bytes) -> None:
    assert problems_of(lambda: Secret(value, allow_short=True)) == {
        "value": "is a well-known example, or one byte repeated"
    }


@pytest.mark.parametrize("value", ["text", None, bytearray(KEY), 5])
def test_a_secret_is_bytes(value: Any) -> None:
    assert problems_of(lambda: Secret(value)) == {"value": "must be bytes"}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Secret(b""),
        *(lambda read=read: read("") for read in (Secret.from_text, Secret.from_hex, Secret.from_base64)),
    ],
)
def test_a_secret_is_not_empty(build: Callable[[], Secret]) -> None:
    assert problems_of(build) == {"value": "is empty"}


@pytest.mark.parametrize("text", [f"{TEXT}\n", f" {TEXT}", f'"{TEXT}"', f"'{TEXT}'", f"\t{TEXT}\r\n"])
def test_a_text_has_nothing_around_it(text: str) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "has blanks, a line break or quotes around it"}


@pytest.mark.parametrize("text", [f'"{TEXT}', f"{TEXT}'", f"{TEXT[:5]} {TEXT[5:]}"])
def test_a_quote_or_blank_of_its_own_is_kept(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


def test_one_quote_is_a_short_text() -> None:
    assert "needs at least" in problems_of(lambda: Secret.from_text("'x"))["value"]
    assert problems_of(lambda: Secret.from_text("'")) == {"value": "is a well-known example, or one byte repeated"}


def test_a_lone_surrogate_is_no_text() -> None:
    assert problems_of(lambda: Secret.from_text("\ud800" * 32)) == {
        "value": "has a byte order mark or half a character in it"
    }


@pytest.mark.parametrize("text", [b"bytes", 5, None])
def test_a_text_is_a_string(text: Any) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "must be a string"}
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize(
    "text", [KEY.hex()[:-1], KEY.hex() + "\n", " " + KEY.hex(), "0x" + KEY.hex(), "zz" * 32, "٣" * 64]
)
def test_hexadecimal_is_pairs_of_digits(text: str) -> None:
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}


@pytest.mark.parametrize("text", ["AAAA\n" * 11, "AA+_" * 11, "A" * 45, "A" * 44 + "===", "A=AA" * 11, "AAA*" * 11])
def test_base64_is_one_alphabet_and_padding(text: str) -> None:
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize("algorithms", [["RS256"], ["hs256"], ["none"], ["HS256", "ES256"], ["EdDSA"]])
def test_a_secret_serves_only_hmac(algorithms: list[str]) -> None:
    wrong = algorithms[-1]
    assert problems_of(lambda: Secret(KEY, algorithms=algorithms)) == {"algorithms": f"{wrong!r} cannot serve a secret"}


# --- what an attacker tried


@pytest.mark.parametrize("allow_short", ["no", 1, None])
def test_allow_short_is_true_or_false(allow_short: Any) -> None:
    assert problems_of(lambda: Secret(KEY, allow_short=allow_short)) == {"allow_short": "must be true or false"}


def test_a_secret_that_stands_in_place_of_an_algorithm_is_not_quoted() -> None:
    for build in (
        lambda: Secret(KEY, algorithms=[TEXT]),
        lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=[TEXT]),
        lambda: Jwks.static({"keys": []}, algorithms=[TEXT]),
    ):
        assert problems_of(build)["algorithms"].startswith("another value cannot serve")
    assert problems_of(lambda: Secret(KEY, algorithms=["0123456789"]))["algorithms"].startswith("'0123456789' ")


def told(error: BaseException | None) -> str:
    """All that an exception and those behind it tell."""
    if error is None:
        return ""
    return f"{error!s} {error.args!r} {vars(error)!r} {told(error.__context__)} {told(error.__cause__)}"


@pytest.mark.parametrize("mark", ["\ufeff", chr(0xD800), chr(0xDFFF)])
@pytest.mark.parametrize("form", ["{mark}{text}", "{text}{mark}", "{mark} {text}"])
def test_a_text_with_a_mark_or_half_a_character_is_refused_and_never_told(form: str, mark: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret.from_text(form.format(mark=mark, text=TEXT))
    assert [problem.path for problem in caught.value.problems] == ["value"]
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert TEXT[:8] not in told(caught.value)

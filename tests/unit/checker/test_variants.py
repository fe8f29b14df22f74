"""The keys that integrators make of a secret: each once, never the right one, and never of what cannot be read."""

from __future__ import annotations

import base64

import pytest

from wicket import Secret
from wicket.checker.variants import variants

HEX = "00ff10" * 12
SECRETS = [
    Secret.from_text("sk_live_0123456789abcdefghijklmnopqrs"),
    Secret.from_text("a text with spaces, and é, of some length"),
    Secret.from_text("01234567" * 5),
    Secret.from_hex(HEX),
    Secret.from_base64(base64.b64encode(bytes(range(255, 200, -1))).decode()),
    Secret(bytes(range(120, 180))),
    Secret(b"some bytes that are text, all the same"),
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_each_variant_is_another_key_and_there_once(secret: Secret) -> None:
    values = [each.value for each in variants(secret)]
    assert len(set(values)) == len(values)
    assert secret.keys[0].material not in values
    assert b"" not in values
    assert {each.mistake for each in variants(secret)} == {"secret_encoding", "secret_not_stripped"}


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_no_variant_says_what_it_is(secret: Secret) -> None:
    for variant in variants(secret):
        finding = variant.finding("The token")
        assert finding.detail.startswith("The token was made with the secret")
        said = repr(finding)
        for value in (variant.value, secret.keys[0].material):
            for form in (value.decode("latin-1"), value.hex(), base64.b64encode(value).decode().rstrip("=")):
                assert form not in said


def test_bytes_may_have_been_any_spelling() -> None:
    raw = bytes(range(120, 180))
    held = {each.value: each.found for each in variants(Secret(raw))}
    assert held[raw.hex().encode()] == "text"
    assert held[base64.b64encode(raw)] == "text"
    assert held[base64.b64encode(raw).rstrip(b"=") + b"\n"] == "the secret with a line break behind it"

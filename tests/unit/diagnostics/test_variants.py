"""The keys that integrators make from a secret by mistake. Each is unique and differs from the correct key."""

from __future__ import annotations

import base64

import pytest

from wicket import Secret
from wicket.diagnostics.variants import secret_variants

HEX = "00ff10" * 12
SECRETS = [
    Secret.from_text("sk_live_0k3v9q1x7m5z2h8t4w6r0j3n1p5dy"),
    Secret.from_text("7k 2w é q9 d4 m1, x8 b3 z6 v5 h0 p7 n2"),
    Secret.from_text("01234567" * 5),
    Secret.from_hex(HEX),
    Secret.from_base64(base64.b64encode(bytes(range(255, 200, -1))).decode()),
    Secret(bytes(range(120, 180))),
    Secret(b"j4 t8 q1 m7 w3, c9 x5 k2 z6 n0 d8 h4 p1"),
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_secret_variants_are_unique_and_differ_from_secret(secret: Secret) -> None:
    values = [each.value for each in secret_variants(secret)]
    assert len(set(values)) == len(values)
    assert secret.keys[0].material not in values
    assert b"" not in values
    assert {each.code for each in secret_variants(secret)} == {"secret_encoding", "secret_not_stripped"}


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_secret_variants_finding_contains_no_value(secret: Secret) -> None:
    for variant in secret_variants(secret):
        finding = variant.finding("The token")
        assert finding.detail.startswith("The token was made with the secret")
        said = repr(finding)
        for value in (variant.value, secret.keys[0].material):
            for form in (value.decode("latin-1"), value.hex(), base64.b64encode(value).decode().rstrip("=")):
                assert form not in said


def test_secret_variants_of_bytes_include_text_encodings() -> None:
    raw = bytes(range(120, 180))
    held = {each.value: each.found for each in secret_variants(Secret(raw))}
    assert held[raw.hex().encode()] == "text"
    assert held[base64.b64encode(raw)] == "text"
    assert held[base64.b64encode(raw).rstrip(b"=") + b"\n"] == "the secret with a line break after it"

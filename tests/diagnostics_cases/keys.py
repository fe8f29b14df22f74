"""Mistakes with secrets, algorithms and keys."""

from __future__ import annotations

import base64
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.diagnostics_cases.builders import (
    B64,
    HASHING,
    HEX,
    NOW,
    SECOND,
    TEXT,
    Row,
    app,
    binary,
    by_hmac,
    hashing,
    named_keys,
    sign,
)
from wicket import Secret

KEY_ROWS = [
    # base64 or hex secret used as text, or the reverse
    Row("hex as text", lambda: binary("hex"), sign(HEX), "secret_encoding", ("text", "hex"), found="text"),
    Row("upper-case hex as text", lambda: binary("hex"), sign(HEX.upper()), "secret_encoding", ("text",)),
    Row(
        "hex as base64",
        lambda: binary("hex"),
        by_hmac(base64.b64decode(HEX)),
        "secret_encoding",
        ("base64",),
        found="base64",
    ),
    Row("base64 as text", lambda: binary("base64"), sign(B64), "secret_encoding", ("text", "base64"), found="text"),
    Row(
        "base64url as text",
        lambda: binary("base64"),
        sign(B64.replace("+", "-").replace("/", "_").rstrip("=")),
        "secret_encoding",
        ("text",),
    ),
    Row(
        "text as hex",
        lambda: app(credentials=[Secret.from_text(HEX)]),
        by_hmac(bytes.fromhex(HEX)),
        "secret_encoding",
        ("hex", "no decoding"),
        found="hex",
        expected="text",
    ),
    Row(
        "text as base64",
        app,
        by_hmac(base64.b64decode(TEXT + "==")),  # Python skips characters outside the alphabet
        "secret_encoding",
        ("base64",),
        found="base64",
    ),
    Row(
        "text as base64url",
        app,
        by_hmac(base64.urlsafe_b64decode(TEXT + "=" * (-len(TEXT) % 4))),
        "secret_encoding",
        ("base64url",),
        found="base64url",
    ),
    # newline, space or quotes around the secret; whitespace in the token
    Row("newline after the secret", app, sign(TEXT + "\n"), "secret_not_stripped", ("line break after it",)),
    Row("CR and newline", app, sign(TEXT + "\r\n"), "secret_not_stripped", ("line break after it",)),
    Row("space before the secret", app, sign(" " + TEXT), "secret_not_stripped", ("space before it",)),
    Row("double quotes", app, sign(f'"{TEXT}"'), "secret_not_stripped", ("double quotes",)),
    Row("single quotes", app, sign(f"'{TEXT}'"), "secret_not_stripped", ("single quotes",)),
    Row(
        "newline in the configuration",
        lambda: app(credentials=[Secret(TEXT.encode() + b"\n")]),
        sign(TEXT),
        "secret_not_stripped",
        ("in this app's configuration",),
    ),
    Row("newline after the token", app, sign(TEXT) + "\n", "token_whitespace", ("around it",)),
    Row("line-wrapped token", app, "\n".join(sign(TEXT).partition(".")), "token_whitespace", ("in it",)),
    Row(
        "newline after token and secret",
        app,
        sign(TEXT + "\n") + "\n",
        "token_whitespace",
        ("around it",),
        also=("secret_not_stripped",),
    ),
    Row("Bearer", app, f"Bearer {sign(TEXT)}", "token_prefix", ("Bearer",)),
    Row("quoted token", app, json.dumps(sign(TEXT)), "token_quotes", ("quotes",)),
    # wrong algorithm
    Row("HS384", app, sign(TEXT, algorithm="HS384"), "wrong_algorithm", ("HS384", "HS256"), expected="HS256"),
    Row(
        "RS256",
        app,
        sign(rsa.generate_private_key(65537, 2048), algorithm="RS256"),
        "wrong_algorithm",
        ("RS256", "HS256"),
    ),
    Row(
        "none",
        app,
        jwt.encode({"sub": "user-1", "exp": NOW + 60}, "", algorithm="none"),
        "wrong_algorithm",
        ("none", "HS256"),
    ),
    # kid missing or unknown; another key of the same app
    Row("kid unknown", named_keys, sign(SECOND, kid="k9"), "kid_unknown", ("'k9'", "'k1'", "'k2' verifies it")),
    Row("kid and key unknown", named_keys, sign(TEXT, kid="k9"), "kid_unknown", ("'k9'", "None of these keys")),
    Row("other key", named_keys, sign(SECOND, kid="k1"), "other_key", ("'k1'", "'k2'"), found="the key 'k2'"),
    Row(
        "the secret of the hashes",
        hashing,
        sign(HASHING),
        "other_key",
        ("identity hashes",),
    ),
    Row(
        "the secret for HS384",
        lambda: app(credentials=[Secret.from_text(TEXT), Secret(b"x" * 24 + b"y" * 24, algorithms=["HS384"])]),
        sign("x" * 24 + "y" * 24),
        "other_key",
        ("HS384",),
    ),
    Row("a stranger's secret", app, sign("z" * 20 + TEXT), "bad_signature", ("another app or environment",)),
]

"""Mistakes with identity hashes."""

from __future__ import annotations

import base64
import hashlib

from tests.diagnostics_cases.builders import (
    COMPANY,
    HASHING,
    RAW,
    TEXT,
    URLSAFE,
    Row,
    app,
    body,
    hashed,
    hashing,
    with_companies,
)
from wicket import Secret
from wicket.config.identity_hash import IdentityHash

HASH_ROWS = [
    # HMAC of the wrong identifier, of a trimmed or lower-cased one
    Row(
        "hash of the e-mail", hashing, None, "wrong_identifier", ("email", "userId"), body=body(hashed("Ann@Acme.com"))
    ),
    Row("hash of the trimmed id", hashing, None, "altered_identifier", ("spaces",), body=body(hashed("User-1"))),
    Row(
        "hash of the lower-cased e-mail",
        lambda: hashing(identifier="email"),
        None,
        "altered_identifier",
        ("email", "in lower case"),
        body=body(hashed("ann@acme.com")),
    ),
    Row(
        "hash of the trimmed and lower-cased id",
        hashing,
        None,
        "altered_identifier",
        ("spaces", "lower case"),
        body=body(hashed("user-1")),
    ),
    Row(
        "hash as sent, where the app lower-cases",
        lambda: hashing(identifier="email", normalize=["lower"]),
        None,
        "altered_identifier",
        ("normalizes",),
        body=body(hashed("Ann@Acme.com")),
    ),
    Row(
        "hash of the lower-cased e-mail instead of the id",
        hashing,
        None,
        "wrong_identifier",
        ("email",),
        body=body(hashed("ann@acme.com")),
        also=("altered_identifier",),
    ),
    Row(
        "hash of a nested member",
        hashing,
        None,
        "wrong_identifier",
        ("user.ref",),
        body=body(hashed("17"), user={"ref": 17}),
    ),
    Row(
        "hash of neither of two identifiers",
        lambda: hashing(identifier=["userId", "email"]),
        None,
        "wrong_identifier",
        ("user.ref", "userId or email"),
        body=body(hashed("17"), user={"ref": 17}),
    ),
    Row(
        "hash of the second identifier in lower case",
        lambda: hashing(identifier=["userId", "email"]),
        None,
        "altered_identifier",
        ("email", "in lower case"),
        body=body(hashed("ann@acme.com")),
    ),
    # raw id sent as hash; base64, upper-case or dashed hex
    Row("raw id", hashing, None, "raw_id_as_hash", ("userId itself",), body=body("User-1 ")),
    Row("raw e-mail", hashing, None, "raw_id_as_hash", ("email itself",), body=body("Ann@Acme.com")),
    Row(
        "base64 for hex",
        hashing,
        None,
        "hash_encoding",
        ("base64", "hexadecimal"),
        body=body(base64.b64encode(RAW).decode()),
        found="base64",
    ),
    Row(
        "base64url for hex",
        hashing,
        None,
        "hash_encoding",
        ("base64url",),
        body={"userId": URLSAFE[0], "userHash": URLSAFE[1]},
        found="base64url",
    ),
    Row(
        "base64 without padding",
        lambda: hashing(encoding="base64"),
        None,
        "hash_encoding",
        ("without padding",),
        body=body(base64.b64encode(RAW).decode().rstrip("=")),
    ),
    Row("upper-case hex", hashing, None, "hash_encoding", ("upper-case",), body=body(RAW.hex().upper())),
    Row("dashed hex", hashing, None, "hash_encoding", ("separators",), body=body(RAW.hex("-"))),
    Row("hex with spaces", hashing, None, "hash_encoding", ("spaces",), body=body(f"{RAW.hex()}\n")),
    Row("prefixed hex", hashing, None, "hash_encoding", ("prefix",), body=body(f"sha256={RAW.hex()}")),
    Row("hex for base64", lambda: hashing(encoding="base64"), None, "hash_encoding", ("hex",), body=body(RAW.hex())),
    Row(
        "no known encoding",
        hashing,
        None,
        "not_a_hash",
        ("40 characters",),
        body=body(hashlib.sha1(b"User-1 ").hexdigest()),
    ),
    Row(
        "a plain SHA-256",
        hashing,
        None,
        "hash_without_secret",
        ("plain SHA-256",),
        body=body(hashlib.sha256(b"User-1 ").hexdigest()),
    ),
    Row(
        "hash with the tokens' secret",
        hashing,
        None,
        "other_key",
        ("tokens",),
        body=body(hashed("User-1 ", secret=TEXT)),
    ),
    Row(
        "hash with a newline after the secret",
        hashing,
        None,
        "secret_not_stripped",
        ("The user's hash", "line break"),
        body=body(hashed("User-1 ", secret=HASHING + "\n")),
    ),
    Row(
        "hash with a stranger's secret",
        hashing,
        None,
        "bad_identity_hash",
        ("different secret",),
        body=body(hashed("User-1 ", secret="stranger")),
    ),
    Row(
        "company hash with the users' secret",
        with_companies,
        None,
        "other_key",
        ("companies[0]", "users"),
        body=body(RAW.hex(), companies=[{"id": "c1", "companyHash": hashed("c1")}]),
    ),
    Row(
        "company hash of the name",
        with_companies,
        None,
        "wrong_identifier",
        ("companies[1]", "name"),
        body=body(
            RAW.hex(),
            companies=["none", {"id": "c1", "name": "One", "companyHash": hashed("One", secret=COMPANY)}],
        ),
    ),
]

PAIR_ROWS = [
    # half a pair
    Row("id alone", hashing, None, "half_a_pair", ("userId", "alone"), body=body(), found="userId alone"),
    Row(
        "id alone, where anonymous users may pass",
        lambda: app(
            allow_anonymous=True, identity_hash=IdentityHash(secret=Secret.from_text(HASHING), identifier="userId")
        ),
        None,
        "half_a_pair",
        ("userId",),
        body=body(),
    ),
    Row("hash alone", hashing, None, "half_a_pair", ("without the userId",), body={"userHash": RAW.hex()}),
    Row(
        "company hash alone",
        with_companies,
        None,
        "half_a_pair",
        ("companies[0]",),
        body=body(RAW.hex(), companies=[{"companyHash": hashed("c1", secret=COMPANY)}]),
    ),
]

"""Secrets are compared in constant time: checked in the source, and by a spy on `hmac.compare_digest`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wicket
from tests.attacks.clients import Behind
from tests.attacks.token_factory import app, credential, public_key, secret, token
from wicket.runtime import base64url

SOURCE = Path(wicket.__file__).parent
SECRETS = re.compile(
    r"secret|signature|digest|hmac|\bmac\b|password|fingerprint|hash|expected|given|actual|received|candidate|proof|computed|\btoken\b"
)
"""Words in the names of values that may be a secret or a proof. In `keys/`, `value` is a secret too."""
IN_KEYS = re.compile(f"{SECRETS.pattern}|value|material")

_SHA_256_OF_A_KEY = "SHA-256 of the app's own keys, one of which signed the cached token; no part of the token"

REVIEWED = {
    ("config/identity_hash.py", "self.hash_field in id_fields"): "configuration; the names of fields",
    ("decision/attributes.py", "name not in ('id', rule.hash_field, *rule.id_fields)"): "the names of fields",
    ("decision/context.py", "ctx.token.text == token"): "two tokens of one request, both the client's own",
    ("decision/key_selection.py", "key.fingerprint == signed.fingerprint"): _SHA_256_OF_A_KEY,
    (
        "decision/outcome.py",
        "token_from(locations, locations.body, request, (app.publishable_key,))[0] not in (None, token)",
    ): "two tokens of one request, both the client's own",
    (
        "decision/outcome.py",
        "ctx.naming_token not in (None, token)",
    ): "two tokens of one request, both the client's own",
    ("config/encoded_location.py", "binascii.b2a_base64(token, newline=False) != encoded"): "two forms of one token",
    ("decision/verified.py", "key.fingerprint == signed.fingerprint"): _SHA_256_OF_A_KEY,
    (
        "decision/identity_hash.py",
        "self._hash_keys(self._app) == self._hash_keys(app)",
    ): "configuration; two secrets of one app, by their SHA-256",
    ("decision/signature.py", "key.fingerprint == cached.fingerprint"): _SHA_256_OF_A_KEY,
    (
        "decision/signature.py",
        "copy.fingerprint == key.fingerprint",
    ): "two of the app's own keys; no part of the token",
    (
        "decision/signature.py",
        "key.fingerprint not in self._tried",
    ): "keys that were tried for this token; no part of the token",
    (
        "decision/token_parser.py",
        "signature[-1:] not in LAST[len(signature) % 4]",
    ): "the client's own signature in base64, against the last characters of every canonical encoding",
    ("minting.py", "key.fingerprint == fingerprint"): "the caller's own private key, by the SHA-256 of its public key",
    ("diagnostics/hashes.py", "stripped != proof"): "the value sent, with and without spaces around it",
    ("diagnostics/hashes.py", "name.lower() != hash_name.lower()"): "the names of members",
    ("diagnostics/hashes.py", "proof == proof.lower()"): "the value sent, whether it is in lower case",
    ("diagnostics/hashes.py", "value.strip().lower() == proof.strip().lower()"): "two strings of one request",
    ("diagnostics/keys.py", "token.header.algorithm in key.algorithms"): "the names of algorithms",
    ("diagnostics/keys.py", "token.header.algorithm not in case.algorithms"): "the names of algorithms",
    ("diagnostics/keys.py", "algorithm in HASH_BYTES"): "the names of algorithms",
    ("keys/algorithms.py", "_TENANT in expected"): "whether an issuer, which is public, has a placeholder",
    ("keys/algorithms.py", "issuer == expected"): "the issuers of a token and of a key, both public",
    (
        "keys/kid_limiter.py",
        "(source, version, _digest(kid)) in self._absent",
    ): "a digest of a kid, which is public",
    ("keys/public_key_detection.py", "value[:1] in (b'{', b'[')"): "configuration; one byte, the first of any JSON",
    ("keys/public_key_detection.py", "value[:1] != b'0'"): "configuration; one byte, the first of any DER",
    ("keys/public_key_detection.py", "b'\\x00' in value"): "configuration; whether a value may be UTF-16",
    ("keys/public_key_detection.py", "b'\"kty\"' in value"): "configuration; whether a value is a JWK",
    ("keys/secret.py", "value.strip() in _EXAMPLES"): "configuration, against a published list",
    ("runtime/entry_store.py", "hash(key) in self._loaded"): "the hash of a cache key",
}
"""Comparisons of values with such names that do not compare a secret with client input, each with the reason."""

COMPARING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the source, parsed."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text("utf-8"))


def compared(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each comparison of two expressions that are not literals, with the names in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(each, COMPARING[:4]) for each in node.ops):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and not isinstance(side.value, bytes) for side in sides):
                continue  # a literal of the source is no secret
            yield ast.unparse(node), [name for side in sides for name in names_in(side)]


def names_in(node: ast.expr) -> Iterator[str]:
    """The names of values in an expression, except those inside `len()` and `type()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("len", "type"):
        return
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.expr):
            yield from names_in(each)
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


def suspects() -> set[tuple[str, str]]:
    """Comparisons of values that may be a secret."""
    return {
        (path, text)
        for path, tree in trees()
        for text, names in compared(tree)
        if any((IN_KEYS if path.startswith("keys/") else SECRETS).search(name.lower()) for name in names)
    }


def test_source_equality_on_secret_names_only_reviewed() -> None:
    assert suspects() - REVIEWED.keys() == set(), "compare in constant time, or add the reason to the list"
    assert REVIEWED.keys() - suspects() == set(), "these comparisons no longer exist: remove them from the list"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("if signature == expected: pass", True),
        ("ok = self.secret != given", True),
        ("return user_hash in hashes", True),
        ("return expected == given", True),
        ("return proof in computed", True),
        ("a = hmac.digest(k, m, 'sha256') == given", True),
        ("a = len(signature) == len(other)", False),
        ("a = hmac.compare_digest(signature, expected)", False),
        ("a = reason == other", False),
    ],
)
def test_secret_comparison_detector_sample_line_classified(line: str, found: bool) -> None:
    names = [name for _, names in compared(ast.parse(line)) for name in names]
    assert any(SECRETS.search(name.lower()) for name in names) is found


def test_source_signature_verification_single_call_site() -> None:
    """Only `Key.verify` verifies. `hmac` is imported as a module, so that a spy can replace its function."""
    verifying: dict[str, int] = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "_TABLE[algorithm].verify":
                verifying[path] = verifying.get(path, 0) + 1
            if isinstance(node, ast.ImportFrom):
                assert node.module != "hmac", path
    assert verifying == {"keys/algorithms.py": 1}


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_cve_2016_7036_hmac_signature_one_constant_time_comparison(
    behind: Behind, compares: list[tuple[int, int, bool]], algorithm: str, size: int
) -> None:
    door = behind(app("acme", credential(algorithm)))
    door.times = 1
    good = token(algorithm)
    message = good.rpartition(".")[0]
    assert door.ask(good).said == (200, "acme:ada", None)
    assert compares == [(size, size, True)]
    compares.clear()
    bad = [token(algorithm, secret("mallory")), f"{message}.", f"{message}.{base64url.encode(bytes(size))}"]
    raw = base64url.decode(good.rpartition(".")[2])
    bad += [f"{message}.{base64url.encode(raw[:index] + bytes(size - index))}" for index in (1, size // 2, size - 1)]
    for text in bad:
        compares.clear()
        assert door.ask(text).said == (401, "invalid_token", "bad_signature")
        assert [result for *_, result in compares] == [False], "one whole comparison, wherever the first difference is"


def test_cve_2024_42368_signature_cache_hit_no_byte_comparison(
    behind: Behind, compares: list[tuple[int, int, bool]]
) -> None:
    """The cache key is a SHA-256 of the token, so a client cannot guess an entry byte by byte."""
    door = behind(app())
    door.times = 1
    good = token()
    assert door.ask(good).said == (200, "acme:ada", None)
    compares.clear()
    assert door.ask(good).said == (200, "acme:ada", None)
    assert compares == [], "found by its hash"
    near = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    assert door.ask(near).said == (401, "invalid_token", "bad_signature")
    assert [result for *_, result in compares] == [False], "a token that is not cached is verified"


def test_public_key_signature_no_hmac_comparison(behind: Behind, compares: list[tuple[int, int, bool]]) -> None:
    door = behind(app("acme", public_key("RS256")))
    assert door.ask(token("RS256")).said == (200, "acme:ada", None)
    assert door.ask(token("RS256", sub="eve")[:-4] + "AAAA").status == 401
    assert compares == []

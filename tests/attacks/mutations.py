"""Mutations of a token's header, claims and encoding. No result may verify as a user."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from tests.attacks.fixtures import Made, honest, key_of
from tests.attacks.token_factory import ASYMMETRIC, HASHES, NOW, claims, jwk, of_any_kind, signed, token
from wicket.runtime import base64url

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


# --- the header


def of_the_header(algorithm: str, chance: random.Random) -> Made:
    """Another header with claims signed by someone else, and headers that are never accepted."""
    good = honest(algorithm)
    _, body, signature = good.split(".")
    own = key_of(algorithm, "mallory")
    names = ["none", "None", "NONE", "nOnE", "", " ", "null", algorithm.lower(), f"{algorithm} ", f" {algorithm}"]
    names += [f"{algorithm}\0", f"{algorithm},none", f"{algorithm}\u200b", "RS1", "HS1", "XS256", "dir", "A128KW"]
    others = [
        each for each in (*HASHES, *ASYMMETRIC, "RS384", "PS384", "ES256K", "Ed448") if not _same(each, algorithm)
    ]
    for name in [*names, *others]:
        head = base64url.encode(json.dumps({"alg": name, "typ": "JWT"}).encode())
        for what, tail in (("its signature", signature), ("none", ""), ("another", "AAAA")):
            yield f"alg {name!r} with {what}", f"{head}.{body}.{tail}"
        yield f"alg {name!r}, signed", signed({"alg": name, "typ": "JWT"}, _claims(), key_of(algorithm), algorithm)
    for value in (None, 1, True, [], {}, [algorithm], {"alg": algorithm}, [[algorithm]], 1.5):
        yield f"alg {value!r}", signed({"alg": value}, _claims(), key_of(algorithm), algorithm)
    for name, values in _FORBIDDEN.items():
        for value in values:
            members = {"alg": algorithm, "typ": "JWT", name: value}
            yield f"{name} {value!r}", signed(members, _claims(), key_of(algorithm), algorithm)
    brought: dict[str, Any] = {"jku": "https://evil.example", "x5u": "https://evil.example", "x5c": ["AA"], "x5t": "AA"}
    if algorithm not in HASHES:
        brought["jwk"] = jwk(own)
    for name, value in brought.items():
        for kid in ({}, {"kid": "1"}, {"kid": "../../dev/null"}):
            yield f"{name} of its own", signed({"alg": algorithm, name: value, **kid}, _claims(), own, algorithm)
    for text in _spoiled(f'{{"alg":"{algorithm}","typ":"JWT"}}'):
        yield f"the header {text[:30]!r}", signed(text, _claims(), key_of(algorithm), algorithm)
    for number in range(40):
        extra = {f"x{number}": chance.randrange(10**9)}
        head = base64url.encode(json.dumps({"alg": algorithm, "typ": "JWT", **extra}).encode())
        yield f"a member more, {number}", f"{head}.{body}.{signature}"


_FORBIDDEN: Final[dict[str, list[Any]]] = {
    "crit": [["x"], [], None, "x", [1], ["alg"], ["b64", "b64"], ["exp"], {}],
    "b64": [False, True, 0, "false", None],
    "zip": ["DEF", "GZ", None],
    "enc": ["A128GCM", None],
    "typ": ["at+jwt", "logout+jwt", "JWE", "", None, 1, ["JWT"], {}],
    "kid": [None, 1, [], {}, True, ["1"]],
}


def _same(name: str, algorithm: str) -> bool:
    """Whether a token that says `name` is one of the app's own: `EdDSA` allows its full name, not the other way."""
    return name == algorithm or (name, algorithm) == ("Ed25519", "EdDSA")


def _spoiled(text: str) -> Iterator[bytes]:
    """A JSON object that is none, or not only one, or in another encoding."""
    raw = text.encode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        yield text.encode(encoding)
    for put in (b"x", b",", b"{}", b"\0", b"]", b"//", b"\xff", b"\xc3"):
        yield raw + put
        yield put + raw
    inner = raw[1:-1]
    first = inner.split(b",")[0]
    yield from (b"[" + raw + b"]", json.dumps(text).encode(), b"{" + inner + b",}", b"{" + inner + b"," + first + b"}")
    for member in (
        b'"a":NaN',
        b'"a":1e999',
        b'"a":Infinity',
        b'"a":"\\ud800"',
        b'"a":{"b":1,"b":1}',
        b'"a":01',
        b'"a"',
    ):
        yield b"{" + inner + b"," + member + b"}"
    yield b"{" + inner + b',"a":' + b"[" * 40 + b"]" * 40 + b"}"
    yield b"{" + inner + b',"a":' + b"9" * 400 + b"}"


# --- the claims


def _claims(**changes: Any) -> dict[str, Any]:
    return claims(**{"iss": "https://acme.example", **changes})


def of_the_claims(algorithm: str, chance: random.Random) -> Made:
    """Other claims with the signature of the original ones, and claims that are never accepted."""
    head, _, signature = honest(algorithm).split(".")
    for number in range(120):
        wanted = chance.choice(["sub", "exp", "iat", "nbf", "scope", "role", "email", "app", "aud"])
        value = chance.choice([f"user-{number}", number, NOW + number * 60, ["admin"], True])
        body = base64url.encode(json.dumps(_claims(**{wanted: value, "n": number})).encode())
        yield f"{wanted} changed to {value!r}", f"{head}.{body}.{signature}"
    wrong: list[dict[str, Any]] = [
        *({"exp": NOW - ago} for ago in (30, 31, 600, NOW)),
        *({name: NOW + later} for name in ("nbf", "iat") for later in (31, 600, 10**9)),
        *({name: value} for name in ("exp", "nbf", "iat") for value in _NO_TIMES),
        *({"sub": value} for value in of_any_kind("", 7, True, [], {}, "a\n", "a\0", "a" * 257, ["ada"])),
        *({"iss": value} for value in _NO_ISSUERS),
        *({"aud": value} for value in of_any_kind("api", ["api"], [], 1, "", [""], {"api": 1})),
        *({"jti": value} for value in of_any_kind(1, [], {}, True)),
        {"exp": None},
        {"sub": None},
        {"iss": None},
    ]
    for changes in wrong:
        yield (
            f"{changes!r:.50}, signed",
            token(algorithm, key_of(algorithm), **{"iss": "https://acme.example", **changes}),
        )
    for raw in _spoiled(json.dumps(_claims())):
        yield f"the claims {raw[:30]!r}", signed({"alg": algorithm}, raw, key_of(algorithm), algorithm)


_NO_TIMES: Final[list[Any]] = ["1", str(NOW + 60), True, [], {}, [NOW + 60], -62135596801, -1e12, 1e300, 253402300800]
_NO_ISSUERS: Final[list[Any]] = [
    *("", "a", "https://acme.exampl", "https://acme.example/", "HTTPS://ACME.EXAMPLE", "https://mallory.example"),
    *(["https://acme.example"], {"iss": "https://acme.example"}, 1, True, "https://acme.example\0"),
]


# --- the encoding


def of_the_encoding(algorithm: str, chance: random.Random) -> Made:
    """Other spellings of a token that is honest."""
    good = honest(algorithm)
    parts = good.split(".")
    for stray in "=+/{}[]()<>\"'`~!#$%^&*;:?|\\@":
        for position in {0, len(good), good.index("."), chance.randrange(len(good)), chance.randrange(len(good))}:
            yield f"{stray!r} at {position}", good[:position] + stray + good[position:]
    for index, part in enumerate(parts):
        rest = len(part) % 4
        if rest:
            base = _ALPHABET.index(part[-1])
            for last in range(base + 1, base + (16 if rest == 2 else 4)):
                yield f"stray bits in part {index}", _with(parts, index, part[:-1] + _ALPHABET[last])
        raw = base64url.decode(part)
        standard = base64.b64encode(raw).decode()
        for what, spelled in (
            ("padding", part + "=" * (-len(part) % 4 or 1)),
            ("hexadecimal", raw.hex()),
            ("base32", base64.b32encode(raw).decode()),
            ("base64 of base64", base64url.encode(part.encode())),
            ("percent", quote(part, safe="").replace("A", "%41")),
            ("nothing", ""),
            ("half of it", part[: len(part) // 2]),
            ("twice", part + part),
            ("backwards", part[::-1]),
            ("a length that spells nothing", part + "A" * ((1 - len(part)) % 4 or 4)),
        ):
            if spelled != part:
                yield f"part {index} in {what}", _with(parts, index, spelled)
        if standard.rstrip("=") != part:
            yield f"part {index} in the other alphabet", _with(parts, index, standard.rstrip("="))
    head, body, signature = parts
    shapes = {
        "no dots": head + body + signature,
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "five parts": f"{good}.{head}.{body}",
        "leading dot": f".{good}",
        "trailing dot": f"{good}.",
        "two dots": good.replace(".", "..", 1),
        "backwards": ".".join(reversed(parts)),
        "swapped": f"{body}.{head}.{signature}",
        "header twice": f"{head}.{head}.{signature}",
        "JSON": json.dumps(
            {"protected_attributes": head, "payload": body, "signature": signature}, separators=(",", ":")
        ),
        "quoted": f'"{good}"',
        "percent": good.replace(".", "%2E"),
        "other dots": good.replace(".", "\u00b7"),
        "upper case": good.upper(),
        "lower case": good.lower(),
        "base64 of it": base64url.encode(good.encode()),
        "too large": f"{head}.{'A' * 20_000}.{signature}",
    }
    yield from shapes.items()


def _with(parts: list[str], index: int, spelled: str) -> str:
    return ".".join([*parts[:index], spelled, *parts[index + 1 :]])

"""Confusions: of signatures, of keys, of apps, of key ids, of what is remembered, and of the name of an app."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.attacks.fixtures import Headers, Made, Sent, asked, honest, issuer_of, key_of
from tests.attacks.key_encodings import spellings
from tests.attacks.token_factory import ASYMMETRIC, HASHES, claims, secret, signature_of, signed, token
from wicket.runtime import base64url

_ORDERS: Final = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    "ES512": int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
    "EdDSA": 2**252 + 27742317777372353535851937790883648493,
}


def of_the_signature(algorithm: str, chance: random.Random) -> Made:
    """Another signature below an honest message."""
    good = honest(algorithm)
    message, _, spelled = good.rpartition(".")
    raw = base64url.decode(spelled)

    def spoiled() -> Iterator[tuple[str, bytes]]:
        for index in range(len(raw)):
            yield (
                f"bit of byte {index}",
                raw[:index] + bytes([raw[index] ^ 1 << chance.randrange(8)]) + raw[index + 1 :],
            )
        for length in {0, 1, len(raw) // 4, len(raw) // 2, len(raw) - 2, len(raw) - 1}:
            yield f"the first {length} bytes", raw[:length]
            yield f"the last {length} bytes", raw[len(raw) - length :]
        for put in (b"\0", b"\xff", b"\n", b" ", raw):
            yield f"{put[:1]!r} behind it", raw + put
            yield f"{put[:1]!r} before it", put + raw
        for fill in (0, 1, 0x7F, 0xFF):
            yield f"only {fill}", bytes([fill]) * len(raw)
        yield "backwards", raw[::-1]
        yield "its hash", hashlib.sha256(raw).digest()
        yield "that of another token", base64url.decode(honest(algorithm, sub="eve").rpartition(".")[2])
        yield "that of the claims alone", signature_of(message.partition(".")[2].encode(), key_of(algorithm), algorithm)
        yield "that of nothing", signature_of(b"", key_of(algorithm), algorithm)
        yield "that of mallory", signature_of(message.encode(), key_of(algorithm, "mallory"), algorithm)
        yield from _of_kind(algorithm, message.encode(), raw)

    for what, signature in spoiled():
        yield what, f"{message}.{base64url.encode(signature)}"


def _of_kind(algorithm: str, message: bytes, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """What only a signature of that kind can be."""
    key = key_of(algorithm)
    half = len(raw) // 2
    r, s = raw[:half], raw[half:]
    if algorithm in HASHES:
        for other in ("HS384", "HS512"):
            yield f"that of {other}", signature_of(message, key, other)
            yield f"that of {other}, cut", signature_of(message, key, other)[: len(raw)]
        yield "a hash without a key", hashlib.sha256(message).digest()
        yield "a hash behind the key", hashlib.sha256(key + message).digest()
    elif algorithm in ("RS256", "PS256"):
        for digest in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
            for salt in (0, 20, digest.digest_size, 64):
                if (algorithm, digest.name, salt) != ("PS256", "sha256", 32):
                    yield (
                        f"PSS of {digest.name} with {salt}",
                        key.sign(message, padding.PSS(padding.MGF1(digest), salt), digest),
                    )
            if (algorithm, digest.name) != ("RS256", "sha256"):
                yield f"PKCS#1 of {digest.name}", key.sign(message, padding.PKCS1v15(), digest)
        modulus = key.public_key().public_numbers().n
        yield "and the modulus more", (int.from_bytes(raw, "big") + modulus).to_bytes(len(raw) + 1, "big")
        for number in (0, 1, modulus - 1, modulus):
            yield f"the number {number % 7}", number.to_bytes(len(raw), "big")
    elif algorithm in ("EdDSA", "Ed25519"):
        more = int.from_bytes(s, "little") + _ORDERS["EdDSA"]
        yield "S and the order more", r + more.to_bytes(half, "little")
        yield "R of small order", bytes([1, *bytes(31)]) + bytes(32)
        yield "R that is not canonical", bytes([0xEE, *[0xFF] * 30, 0x7F]) + s
        yield "halves swapped", s + r
    else:
        for hashed in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
            yield f"{hashed.name} in DER", key.sign(message, ec.ECDSA(hashed))
        zero, order = bytes(half), _ORDERS[algorithm].to_bytes(half, "big")
        one = (1).to_bytes(half, "big")
        for left, right in itertools.product((zero, one, order, r), (zero, one, order, s)):
            if (left, right) != (r, s):
                yield f"r {left[-2:].hex()} and s {right[-2:].hex()}", left + right
        yield "r and s, both with a zero before", b"\0" + r + b"\0" + s
        yield "s with a zero before", r + b"\0" + s
        yield "r and s in DER", encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        yield "halves swapped", s + r


def of_the_key(algorithm: str, chance: random.Random) -> Made:
    """What is public of a key, or known of a secret, taken for a secret; and keys of another kind."""
    texts = spellings(algorithm) if algorithm not in HASHES else _around(secret())
    for what, text in texts.items():
        for mac in HASHES:
            yield f"{what} for {mac}", token(mac, text, iss=issuer_of("acme"))
        if algorithm not in HASHES:
            forged = token("HS256", text, iss=issuer_of("mixed"))
            yield f"{what} beside a secret", Sent(asked(forged, "mixed"))
            lying = signed({"alg": algorithm, "typ": "JWT"}, claims(iss=issuer_of("acme")), text, "HS256")
            yield f"{what}, and the header says {algorithm}", lying
    for other in ASYMMETRIC:
        for owner in ("acme", "mallory"):
            if owner == "mallory" or not _allowed(other, algorithm):
                yield f"{other} of {owner}", honest(other, owner, iss=issuer_of("acme"), sub=f"{other}-{owner}")
    for text in _WELL_KNOWN:
        for mac in HASHES:
            yield f"the secret {text!r}", token(mac, text, iss=issuer_of("acme"), plan=str(chance.random()))


_WELL_KNOWN: Final = (
    *(b"", b"\0", b"secret", b"changeme", b"your-256-bit-secret", b"password", b"acme", b"null", b"None", b"undefined"),
    *(b"pub_acme", b"https://acme.example", b"a-string-secret-at-least-256-bits-long", b"key", b"test", b"0", b"{}"),
)


def _allowed(other: str, algorithm: str) -> bool:
    return other == algorithm or (algorithm, other) == ("EdDSA", "Ed25519")


def _around(value: bytes) -> dict[str, bytes]:
    """What a secret is not, though it is made of it."""
    return {
        "hexadecimal": value.hex().encode(),
        "upper-case hexadecimal": value.hex().upper().encode(),
        "base64": base64.b64encode(value),
        "base64url": base64url.encode(value).encode(),
        "a line break more": value + b"\n",
        "a blank before": b" " + value,
        "NUL more": value + b"\0",
        "a byte less": value[:-1],
        "half": value[:32],
        "the other half": value[32:],
        "backwards": value[::-1],
        "twice": value * 2,
        "its hash": hashlib.sha256(value).digest(),
        "its other hash": hashlib.sha512(value).digest(),
        "as Python writes it": repr(value).encode(),
        "as UTF-8": value.decode("latin-1").encode(),
    }


def of_the_app(algorithm: str, chance: random.Random) -> Made:
    """The token of one app for another."""
    owners = {"acme": "acme", "mallory": "mallory", "twins": "twin 1", "mixed": "acme"}
    names = ("acme", "mallory", "twins", "sibling", "mixed")
    for signer, name in itertools.product(owners, names):
        if name == signer:
            continue
        text = honest(algorithm, owners[signer], iss=issuer_of(signer))
        yield f"{signer}'s for {name}", Sent(asked(text, name))
        if (owners[signer], name) in (("acme", "sibling"), ("acme", "mixed"), ("acme", "acme"), ("twin 1", "twins")):
            continue
        for sub in ("ada", "root", f"user-{chance.randrange(1000)}"):
            text = honest(algorithm, owners[signer], iss=issuer_of(name), sub=sub)
            if not (algorithm in HASHES and signer == "mixed"):
                yield f"{signer}'s for {name}, which says {name}", Sent(asked(text, name))


def of_the_kid(algorithm: str, chance: random.Random) -> Made:
    """A key id that names another key than the one that signed, and ids that are no names at all."""
    ids = ["2", "3", "", "01", "1 ", " 1", "1\0", "１", "1,2", "*", "%", "../1", "' OR 1=1 --", "1\n", "[1]", "k" * 300]
    ids += [f"{chance.randrange(10**9)}" for _ in range(10)]
    issuer = issuer_of("twins")
    for kid in ids:
        one = honest(algorithm, "twin 1", iss=issuer)
        forged = signed(
            {"alg": algorithm, "kid": kid}, base64url.decode(one.split(".")[1]), key_of(algorithm, "twin 1"), algorithm
        )
        yield f"key 1 under the id {kid!r}", Sent(asked(forged, "twins"))
    for kid in ("1", "2", *ids):
        text = token(algorithm, key_of(algorithm, "mallory"), header={"kid": kid}, iss=issuer)
        yield f"mallory's key under the id {kid!r}", Sent(asked(text, "twins"))
        text = token(algorithm, key_of(algorithm, "mallory"), header={"kid": kid}, iss=issuer_of("acme"))
        yield f"mallory's key under the id {kid!r} for acme", text
    for value in (None, 1, True, [], ["1"], {}, {"kid": "1"}):
        text = token(algorithm, key_of(algorithm, "twin 1"), header={"kid": value}, iss=issuer)
        yield f"the id {value!r}", Sent(asked(text, "twins"))


def of_the_memory(algorithm: str, chance: random.Random) -> Made:
    """An honest token is asked about first, so that its signature is remembered; then something near it."""
    for number in range(40):
        good = honest(algorithm, sub="ada", jti=f"remembered-{number}")
        before = (asked(good),) * (1 + number % 2)
        head, body, signature = good.split(".")
        index = chance.randrange(len(signature) - 1)
        letter = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ".replace(signature[index], ""))
        other = honest(algorithm, sub="eve", jti=f"remembered-{number}").split(".")[1]
        named = base64url.encode(f'{{"alg":"{algorithm}","typ":"JWT","kid":"{number}"}}'.encode())
        renamed = base64url.encode(f'{{"alg":"{_another(algorithm)}","typ":"JWT"}}'.encode())
        blank = base64url.encode(f'{{"alg":"{algorithm}", "typ":"JWT"}}'.encode())
        near = {
            "another signature": f"{head}.{body}.{signature[:index]}{letter}{signature[index + 1 :]}",
            "other claims": f"{head}.{other}.{signature}",
            "a kid more": f"{named}.{body}.{signature}",
            "another algorithm": f"{renamed}.{body}.{signature}",
            "a blank more": f"{blank}.{body}.{signature}",
            "a character more": f"{good}A",
            "padding": f"{good}=",
            "no signature": f"{head}.{body}.",
        }
        for what, text in near.items():
            yield f"{what}, {number}", Sent(asked(text), before=before)
        for name in ("mallory", "twins", "sibling", "mixed"):
            yield f"the same for {name}, {number}", Sent(asked(good, name), before=before)
        own = honest(algorithm, "mallory", jti=f"remembered-{number}")
        yield f"mallory's own, {number}", Sent(asked(own), before=(asked(own, "mallory"),))


def _another(algorithm: str) -> str:
    return {"HS256": "HS512", "RS256": "PS256", "PS256": "RS256", "Ed25519": "EdDSA"}.get(algorithm, "HS256")


def of_the_name(algorithm: str, chance: random.Random) -> Made:
    """Two names, one place twice, and other spellings of a name, with a token that is honest for one of them."""
    own, good = honest(algorithm, "mallory"), honest(algorithm)
    for owner, text in (("mallory", own), ("acme", good)):
        bearer = ("Authorization", f"Bearer {text}")
        for first, second in (("acme", "mallory"), ("mallory", "acme"), ("acme", "nobody"), ("nobody", "mallory")):
            for left, right in itertools.combinations(_PLACES, 2):
                placed = _place(left, first, _place(right, second, Sent((bearer,))))
                yield f"{left} {first}, {right} {second}, a token of {owner}", placed
            twice = f"app={first}&app={second}"
            yield f"the query {twice}", Sent((bearer,), query=twice)
            yield f"the query {twice}, encoded", Sent((bearer,), query=f"%61pp={first}&app={second}")
            names: Headers = (("X-App-Id", first), ("x-app-id", second))
            yield f"the header {first} and {second}", Sent((*names, bearer))
            yield f"the header {first}, {second}", Sent((("X-App-Id", f"{first},{second}"), bearer))
        for spelled in _MISSPELLED:
            yield f"the header {spelled!r}", Sent((("X-App-Id", spelled), bearer))
        for spelled in _MISSPELLED_URL:
            yield f"the query {spelled!r}", Sent((bearer,), query=f"app={spelled}")
            yield f"the path {spelled!r}", Sent((bearer,), path=f"/in/{spelled}")
        number = chance.randrange(10**6)
        for spelled in (f"acme-{number}", f"{number}acme", "a" * 128, "a" * 129, "-", "."):
            yield f"the header {spelled[:20]!r}", Sent((("X-App-Id", spelled), bearer))
    forged = honest(algorithm, "mallory", iss=issuer_of("acme"))
    for name in (None, "acme"):
        headers: Headers = (("Authorization", f"Bearer {forged}"),)
        yield "mallory says that it is acme", Sent(headers if name is None else (("X-App-Id", name), *headers))
    for place in _PLACES:
        yield f"mallory's token, {place} acme", _place(place, "acme", Sent((("Authorization", f"Bearer {own}"),)))


_PLACES: Final = ("header", "query", "path", "host")
_MISSPELLED: Final = (
    *(
        "ACME",
        "Acme",
        "acmE",
        "acme\0",
        "acme/",
        "/acme",
        "acme.",
        "acme\xe9",
        "acme;mallory",
        "acme|mallory",
        "acme\x0b",
    ),
    *(
        '"acme"',
        "{acme}",
        "acme%20",
        "%61cme",
        "acme#",
        "acme?",
        "id:acme",
        "acme mallory",
        "acme\tmallory",
        "\xa0acme",
    ),
    *("https://acme.example", "acme\x7f", "a\xadcme", "null", "undefined", "*", "..", "acme@mallory"),
)
_MISSPELLED_URL: Final = (
    *("ACME", "%41cme", "acme%00", "acme%20", "%20acme", "acme%0a", "acme%0d%0a", "acme%09", "acme%c2%a0", "acme%2e"),
    *("%ef%bd%81cme", "a%cc%88cme", "acme%ff", "ac%25me", "%2561cme", "acm%D0%B5", "acme%E2%80%8B", "acme%7f"),
)


def _place(where: str, name: str, sent: Sent) -> Sent:
    """The request with one more name."""
    if where == "header":
        return Sent((("X-App-Id", name), *sent.headers), sent.path, sent.query)
    if where == "query":
        return Sent(sent.headers, sent.path, f"app={name}")
    if where == "path":
        return Sent(sent.headers, f"/in/{name}", sent.query)
    return Sent((("Host", f"{name}.widgets.example"), *sent.headers), sent.path, sent.query)

"""Measures the cost of a first-seen token, and of an invalid one.

Each first-seen token is used once. The rounds need fewer tokens than the signature cache holds for one app (5,000), so
there is no hit and no eviction. The time to write the cache entry is part of the figure. Tokens of one issuer have one
header, which Wicket caches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from benchmarks import apps, fixtures, peers
from benchmarks.fixtures import APP_ID, Algorithm, admitted, refused
from benchmarks.measure import Row, fresh, interleaved, repeated, warm_rounds
from wicket.runtime import base64url

_GATE: Final = "gate.verify"
_CALLS: Final = 50
_ROUNDS: Final = 100


def first_seen() -> list[Row]:
    """Measures first-seen tokens: HS256 against `jwt.decode`, the others against OpenSSL with a prepared key."""
    return [_against_pyjwt(), _against_openssl("RS256", 1.7), _against_openssl("ES256", 1.35)]


def _against_pyjwt() -> Row:
    calls, rounds = 20, 150
    tokens = fixtures.tokens_for(warm_rounds(rounds) * calls)
    gate, decode = fixtures.gate_with(fixtures.app_with()), peers.pyjwt("HS256")
    samples = interleaved(
        {
            _GATE: fresh(lambda token: admitted(gate.verify(token, app=APP_ID)), tokens, calls),
            "jwt.decode": fresh(decode, tokens, calls),
        },
        calls=calls,
        rounds=rounds,
    )
    ratio, spread = samples.ratio(_GATE, "jwt.decode")
    micros = {name: samples.median(name) for name in samples.of}
    return Row(
        "first-seen",
        "first-seen token, HS256: gate.verify against jwt.decode",
        ratio,
        0.40,
        spread=spread,
        note=_note(micros),
        micros=micros,
    )


def _against_openssl(algorithm: Algorithm, bound: float) -> Row:
    calls, rounds = 8, 120
    tokens = fixtures.tokens_for(warm_rounds(rounds) * calls, algorithm)
    gate, decode, bare = fixtures.gate_with(fixtures.app_with(algorithm)), peers.pyjwt(algorithm), _openssl(algorithm)
    samples = interleaved(
        {
            _GATE: fresh(lambda token: admitted(gate.verify(token, app=APP_ID)), tokens, calls),
            "jwt.decode": fresh(decode, tokens, calls),
            "OpenSSL": fresh(lambda parts: bare(*parts), [_parts(token, algorithm) for token in tokens], calls),
        },
        calls=calls,
        rounds=rounds,
    )
    ratio, spread = samples.ratio(_GATE, "OpenSSL")
    micros = {name: samples.median(name) for name in samples.of}
    return Row(
        "first-seen",
        f"first-seen token, {algorithm}: gate.verify against bare OpenSSL",
        ratio,
        bound,
        spread=spread,
        note=_note(micros),
        micros=micros,
    )


def _openssl(algorithm: Algorithm) -> Callable[[bytes, bytes], None]:
    """Returns a verification with OpenSSL, with every object prepared that can be."""
    public = fixtures.signing_key(algorithm).public_key()
    digest = hashes.SHA256()
    scheme: tuple[Any, ...] = (padding.PKCS1v15(), digest) if algorithm == "RS256" else (ec.ECDSA(digest),)
    verify = public.verify

    def bare(signature: bytes, message: bytes) -> None:
        verify(signature, message, *scheme)

    return bare


def _parts(token: str, algorithm: Algorithm) -> tuple[bytes, bytes]:
    """Returns the signature in the format of OpenSSL, and the message."""
    message, _, last = token.rpartition(".")
    signature = base64url.decode(last)
    if algorithm == "ES256":
        half = len(signature) // 2
        signature = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    return signature, message.encode()


def refusals() -> list[Row]:
    """Measures refusals of malformed tokens against `jwt.decode` of a valid one, and of a large header."""
    return [*_malformed(), *_huge()]


def _malformed() -> list[Row]:
    good = fixtures.token_for("user-1")
    head, payload, signature = good.split(".")
    bad = {
        "two parts": f"{head}.{payload}",
        "a stray character": f"{head}.{payload[:40]}!{payload[41:]}.{signature}",
        "padding": f"{good}=",
        "a header that is no JSON": f"{head[:-4]}.{payload}.{signature}",
        "an empty payload": f"{head}..{signature}",
    }
    rest, number = f"{payload}.{signature}", warm_rounds(_ROUNDS) * _CALLS
    ended = [f'{{"alg":"HS256","kid":"{each}","typ":"JW' for each in range(number)]
    noise = random.Random(number)
    sent: dict[str, Iterable[str]] = {
        **{name: _endless(token) for name, token in bad.items()},
        "a header that ends too early, another one each time": [_headed(each.encode(), rest) for each in ended],
        "a header of noise, another one each time": [_headed(noise.randbytes(27), rest) for _ in range(number)],
    }
    chosen = {
        "a member twice": [
            _headed(f'{{"alg":"HS256","kid":"{each}","alg":""}}'.encode(), rest) for each in range(number)
        ],
        "a list that does not end": [
            _headed(f'{{"alg":"HS256","a":[{each}}}'.encode(), rest) for each in range(number)
        ],
        "a number that is not finite": [
            _headed(f'{{"alg":"","a":1e{999 + each}}}'.encode(), rest) for each in range(number)
        ],
    }
    return [
        _refusal("a malformed token", sent, 0.10),
        _refusal("one whose header must be parsed to be refused", chosen, None),
    ]


def _refusal(what: str, sent: Mapping[str, Iterable[str]], bound: float | None) -> Row:
    good, gate, decode = fixtures.token_for("user-1"), fixtures.gate_with(fixtures.app_with()), peers.pyjwt("HS256")
    batches = {"jwt.decode": repeated(lambda: decode(good), _CALLS)}
    for name, tokens in sent.items():
        batches[name] = fresh(lambda each: refused(gate.verify(each, app=APP_ID)), tokens, _CALLS)
    samples = interleaved(batches, calls=_CALLS, rounds=_ROUNDS)
    micros = {name: samples.median(name) for name in samples.of}
    worst = max(sent, key=micros.__getitem__)
    ratio, spread = samples.ratio(worst, "jwt.decode")
    return Row(
        "refusals",
        f"refusal of {what}, the dearest of {len(sent)} kinds, against jwt.decode of a good one",
        ratio,
        bound,
        spread=spread,
        note=f"{worst}: {micros[worst]:.1f} µs; jwt.decode {micros['jwt.decode']:.1f} µs",
        micros=micros,
    )


def _endless(token: str) -> Iterator[str]:
    """Returns copies of the token, each a new `str`, as a server makes them."""
    half = len(token) // 2
    while True:
        yield token[:half] + token[half:]


def _headed(header: bytes, rest: str) -> str:
    return f"{base64url.encode(header)}.{rest}"


def _huge() -> list[Row]:
    """Measures headers of up to 1 MB through the whole middleware of Starlette and of Flask."""
    token = fixtures.token_for("user-1")
    million = 1_000_000
    kinds: dict[str, Callable[[int], dict[str, str]]] = {
        "a token of letters": lambda size: {"authorization": "Bearer " + "a" * size},
        "a token of points": lambda size: {"authorization": "Bearer " + "a." * (size // 2)},
        "blanks after Bearer": lambda size: {"authorization": "Bearer " + " " * size},
        "commas": lambda size: {"authorization": "Bearer " + "," * size},
        "a payload": lambda size: {"authorization": f"Bearer {token.replace('.', '.' + 'a' * size, 1)}"},
        "the Origin": lambda size: {"origin": "https://" + "a." * (size // 2)},
        "the app's name": lambda size: {"x-app-id": "a" * size},
    }
    # Growth is measured with sizes above the caches of a CPU, because smaller sizes depend on the cache level.
    sizes = {"1 MB": million, "4 MB": 4 * million, "8 MB": 8 * million}
    worst: tuple[float, str, dict[str, float]] = (0.0, "", {})
    for framework, build in (("Starlette", apps.starlettes), ("Flask", apps.flasks)):
        client = build("HS256")[0][apps.WICKET]
        for kind, change in kinds.items():
            batches = {}
            for size, count in sizes.items():
                headers = {**fixtures.headers_of(token), **change(count)}
                if client(headers, 1) & {200, 500, 503}:
                    raise RuntimeError(f"a huge header was not refused: {kind}")
                batches[size] = _one(client, headers)
            samples = interleaved(batches, calls=1, rounds=9)
            micros = {size: samples.median(size) for size in sizes}
            worst = max(worst, (micros["1 MB"], f"{framework}, {kind}", micros), key=lambda each: each[0])
    most, which, micros = worst
    return [
        Row(
            "refusals",
            f"refusal of a header of 1 MB, the dearest of {len(kinds)} kinds and both frameworks",
            most / 1000,
            2.0,
            unit="ms",
            note=which,
            micros=micros,
        ),
        Row(
            "refusals",
            "    what 8 MB cost more than 4 MB (linear: 2)",
            micros["8 MB"] / micros["4 MB"],
            2.5,
            note=_note(micros),
            micros=micros,
        ),
    ]


def _one(client: apps.Client, headers: dict[str, str]) -> Callable[[], object]:
    return lambda: client(headers, 1)


def _note(micros: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} µs" for name, value in micros.items())

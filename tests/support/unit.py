"""What the unit tests share: keys, tokens signed by PyJWT, apps, and a short way to what was refused."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket import App, ConfigError, Gate, Header, Refusal, Refused, Request, Secret
from wicket.runtime.base64url import encode
from wicket.runtime.cache import Loaded
from wicket.runtime.pool import Pool

NOW = 1_800_000_000
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
ORIGIN = "https://acme.com"
BY_HEADER = (Header("X-App-Id"),)

ANYTHING: dict[Any, Any] = {each: each for each in (5, "0", "nonsense")}
"""Values of a type that a checker would refuse."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def private_key(algorithm: str) -> PrivateKey:
    """One key for each algorithm, made once."""
    if algorithm.startswith(("RS", "PS")):
        return rsa_key()
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[algorithm])


def pem(key: Any) -> str:
    """The public half of a private key, or a public key, in PEM."""
    public = key.public_key() if hasattr(key, "public_key") else key
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """The public half of a private key as a JWK, by PyJWT, with further members."""
    public: Any = key.public_key()
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        ed448.Ed448PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(each for kind, each in kinds.items() if isinstance(key, kind))
    made: dict[str, Any] = algorithm.to_jwk(public, as_dict=True)
    made.pop("key_ops", None)
    return {**made, **members}


def rsa_jwk() -> dict[str, Any]:
    return jwk(rsa_key())


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that hold at NOW, with changes; None leaves a claim out."""
    held = {"sub": "user-1", "iat": NOW, "exp": NOW + 3600, **changes}
    return {name: value for name, value in held.items() if value is not None}


def token(payload: Mapping[str, Any] | None = None, *, key: Any = KEY, algorithm: str = "HS256", **header: Any) -> str:
    """A token signed by PyJWT. `payload` goes in as it is; a header member that is None is left out."""
    raw = json.dumps(claims() if payload is None else payload).encode()
    held = {name: value for name, value in header.items() if value is not None}
    return jwt.api_jws.encode(raw, key, algorithm, headers=held or None)


def segment(value: object) -> str:
    """One segment of an unsigned token: strings and bytes unchanged, any other value as JSON."""
    if isinstance(value, bytes):
        return encode(value)
    return encode((value if isinstance(value, str) else json.dumps(value)).encode())


def secret(key: bytes = KEY, **settings: Any) -> Secret:
    return Secret(key, **settings)


def acme(**settings: Any) -> App:
    """An app with one secret and one origin, named by the header X-App-Id."""
    return App("acme", **{"credentials": [secret()], "origins": [ORIGIN], "app_locations": BY_HEADER, **settings})


def gate_of(*apps: App, **settings: Any) -> Gate:
    """A gate whose clock always returns NOW."""
    return Gate(apps, **{"clock": lambda: NOW, **settings})


def asks(text: str | None = None, *, app: str | None = "acme", **settings: Any) -> Request:
    """A request with a bearer token, for an app."""
    headers = list(settings.pop("headers", ()))
    if app is not None:
        headers.append(("X-App-Id", app))
    if text is not None:
        headers.append(("Authorization", f"Bearer {text}"))
    return Request(headers=headers, **settings)


def refusal_of(call: Callable[[], object]) -> Refusal:
    """Why `call` was refused."""
    try:
        result = call()
    except Refused as refused:
        return refused.refusal
    raise AssertionError(f"was not refused: {result!r}")


def problems_of(call: Callable[[], object]) -> dict[str, str]:
    """What `call` found wrong with a configuration: message by path."""
    try:
        result = call()
    except ConfigError as error:
        problems = error.problems
    else:
        raise AssertionError(f"was not found wrong: {result!r}")
    assert len({problem.path for problem in problems}) == len(problems), problems
    return {problem.path: problem.message for problem in problems}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class HandPool(Pool):
    """Jobs wait until the test runs them; `full` refuses them."""

    def __init__(self) -> None:
        super().__init__("hand", threads=1, queue=1)
        self.jobs: list[tuple[Callable[[], None], Future[None]]] = []
        self.full = False

    def submit(
        self, job: Callable[[], None], done: Future[None], lane: Hashable = None, owner: Hashable = None
    ) -> bool:
        if self.full:
            return False
        self.jobs.append((job, done))
        return True

    def run(self) -> int:
        """Run what waits; how many jobs that were."""
        jobs, self.jobs = self.jobs, []
        for job, done in jobs:
            job()
            done.set_result(None)
        return len(jobs)


def loads(source: Callable[[Any], Any]) -> Callable[[Any, Any], Loaded[Any] | None]:
    """A function of a key as the loader of a cache."""

    def load(key: Any, held: Any) -> Loaded[Any] | None:
        value = source(key)
        return None if value is None else Loaded(value)

    return load

"""A key set as an issuer publishes it, served by a fetcher without a network, and gates on clocks that a test moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jwt.algorithms import ECAlgorithm

from tests.attacks.token_factory import NOW, app, private_key, token
from wicket import App, Jwks
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

ISSUER: Final = "https://id.example"
URL: Final = f"{ISSUER}/keys"


class Clocks:
    """The time of day and the monotonic clock of one gate, which move together."""

    def __init__(self) -> None:
        self.day = FakeClock(float(NOW))
        self.monotonic = FakeClock(1000.0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.day.advance(seconds)
        self.monotonic.advance(seconds)

    def settings(self) -> dict[str, Any]:
        """The settings of a gate on these clocks."""
        return {"clock": self.day, "monotonic": self.monotonic}


class Published:
    """Give it as `fetcher`: it serves `keys`, owners by kid (None for a key without one), or raises `failure`."""

    def __init__(self, keys: Mapping[str | None, str], algorithm: str = "ES256") -> None:
        self.keys = dict(keys)
        self.algorithm = algorithm
        self.failure: FetchFailed | None = None
        self.fetches = 0

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.fetches += 1
        if self.failure is not None:
            raise self.failure
        members = [member(owner, kid, self.algorithm) for kid, owner in self.keys.items()]
        return Fetched({"keys": members}, None, None, 3600.0, 0.0, "192.0.2.1")


def member(owner: str, kid: str | None, algorithm: str = "ES256") -> dict[str, Any]:
    """The public key of an owner as a member of a key set."""
    held = json.loads(ECAlgorithm.to_jwk(private_key(algorithm, owner).public_key()))
    return {**held, "alg": algorithm, "use": "sig", **({} if kid is None else {"kid": kid})}


def of_set(id: str = "acme", algorithm: str = "ES256", **settings: Any) -> App:
    """An app whose only credential is the published set."""
    return app(id, Jwks(URL, algorithms=[algorithm]), issuer=ISSUER, **settings)


def is_signed_by(owner: str, kid: str | None, iat: float | None, algorithm: str = "ES256", **changes: Any) -> str:
    """A token of the issuer, signed with the key of an owner."""
    issued = {"iat": None if iat is None else int(iat), "iss": ISSUER, **changes}
    return token(algorithm, private_key(algorithm, owner), header={} if kid is None else {"kid": kid}, **issued)

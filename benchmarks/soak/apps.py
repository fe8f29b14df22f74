"""The apps of the soak, which the servers and their clients build alike, and the gate."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from wicket import App, AppRef, Gate, Header, JsonBody, Jwks, Limits, Network, Query, Secret, profiles

ISSUER: Final = "WICKET_SOAK_ISSUER"
SEED: Final = "WICKET_SOAK_SEED"
ORIGIN: Final = "https://gamma.example"
SET_LIFETIME: Final = 2
"""The lifetime of a key set in seconds: removed keys stay valid, and new keys stay unknown, for that long."""
STORED: Final = 50
"""The number of apps in the registry; the gate caches fewer, so that cached apps are replaced."""

LIMITS: Final = Limits(
    app_lifetime=2,
    negative_cache_lifetime=1,
    max_apps=20,
    negative_cache_size=40,
    key_set_min_lifetime=1,
    unknown_kid_interval=1,
    unknown_kid_negative_lifetime=5,
    signature_cache_size=100,
    signature_cache_per_app=20,
)
"""All caches are full within the first half of the shortest run, so a resource that grows after that is a leak."""


def secret_of(seed: str, id: str) -> Secret:
    """Returns the secret of an app, which is the same in every process of one run."""
    return Secret(hashlib.sha256(f"{seed} {id}".encode()).digest())


def app_of(seed: str, id: str) -> App:
    """Returns an app with a secret: `brief` without skew, `gamma` with origins, `body` with its token in the body."""
    credentials = [secret_of(seed, id)]
    if id == "body":
        return profiles.hissuno(id, credentials=credentials)
    return profiles.generic(
        id, credentials=credentials, leeway=0 if id == "brief" else 30, origins=[ORIGIN] if id == "gamma" else []
    )


def gate_of(issuer: str, seed: str) -> Gate:
    """Returns the gate of a server; the app of the local issuer is defined in code."""

    def stored(ref: AppRef) -> App | None:
        name, _, number = ref.value.partition("-")
        known = name == "stored" and number.isdecimal() and int(number) < STORED
        return app_of(seed, ref.value) if known else None

    keyed = profiles.generic("keyed", issuer=issuer, credentials=[Jwks(f"{issuer}/.well-known/jwks.json")])
    return Gate(
        [*(app_of(seed, id) for id in ("alpha", "beta", "gamma", "body", "brief")), keyed],
        registry=stored,
        app_locations=[Header("X-App-Id"), Query("projectId"), JsonBody("projectId")],
        limits=LIMITS,
        network=Network(["127.0.0.0/8"], [int(issuer.rpartition(":")[2])], resolver=lambda *_: ["127.0.0.1"]),
    )


def gate_from_environment() -> Gate:
    """Returns the gate that the environment of a server configures."""
    return gate_of(os.environ[ISSUER], os.environ[SEED])

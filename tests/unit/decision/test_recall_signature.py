"""`recall_signature`: which key it finds for a token whose signature was verified before."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import jwt
import pytest
from jwt.algorithms import ECAlgorithm

from tests.support.unit import NOW, OTHER_KEY, acme, claims, pem, private_key, secret, token
from wicket import App, Gate, Jwks, PublicKey, Rules
from wicket.decision.key_selection import recall_signature
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

ISSUER = "https://id.example"


def signed(kid: str | None = None, issuer: str = ISSUER) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode({**claims(), "iss": issuer}, private_key("ES256"), "ES256", headers=headers)


def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
    public: Any = private_key("ES256").public_key()
    key = {**ECAlgorithm.to_jwk(public, as_dict=True), "kid": "k1"}
    return Fetched({"keys": [key]}, None, None, None, 0.0, None)


def app_of(*urls: str, local: bool = False, **settings: Any) -> App:
    credentials: list[Any] = [Jwks(url, algorithms=["ES256"], issuer=ISSUER) for url in urls]
    credentials.append(Jwks("https://id.example/rsa", algorithms=["RS256"], issuer=ISSUER))
    if local:
        credentials.append(PublicKey.from_pem(pem(private_key("ES256")), algorithms=["ES256"]))
    return App("acme", credentials=credentials, issuer=ISSUER, **settings)


def recalled(gate: Gate, text: str) -> bool:
    context, app = gate._context, gate.apps[0]
    found = recall_signature(app, sha256(text.encode()).digest(), context.signature_cache, context.key_sets)
    assert found is None or found[0].header.algorithm == found[1].algorithms[0]
    return found is not None


@pytest.mark.parametrize(
    ("app", "text", "expected"),
    [
        (app_of("https://id.example/a"), signed("k1"), True),
        (app_of("https://id.example/a"), signed(), True),
        (app_of("https://id.example/a", "https://id.example/b"), signed("k1"), False),
        (app_of("https://id.example/a", local=True), signed(), True),
        (app_of("https://id.example/a", local=True), signed("k1"), False),
    ],
    ids=["of one set", "without kid", "of two sets", "local without kid", "local, and a set has the kid"],
)
def test_recall_signature_app_with_key_sets_key_found_if_unambiguous(app: App, text: str, expected: bool) -> None:
    with Gate([app], clock=lambda: NOW, fetcher=fetch) as gate:
        assert not recalled(gate, text)
        assert gate.verify(text, app="acme").allowed
        assert recalled(gate, text) is expected
        assert gate.verify(text, app="acme").allowed


def test_recall_signature_set_that_is_due_no_key_found() -> None:
    age, text = FakeClock(0.0), signed("k1")
    with Gate([app_of("https://id.example/a")], clock=lambda: NOW, fetcher=fetch, monotonic=age) as gate:
        assert gate.verify(text, app="acme").allowed
        assert recalled(gate, text)
        age.advance(10_000_000)
        assert not recalled(gate, text)
        assert gate.verify(text, app="acme").allowed
        assert recalled(gate, text)


def test_recall_signature_other_issuer_no_key_found() -> None:
    text = signed("k1", "https://else.example")
    with Gate([app_of("https://id.example/a")], clock=lambda: NOW, fetcher=fetch) as gate:
        gate.verify(signed("k1"), app="acme")
        for _ in range(2):
            refusal = gate.verify(text, app="acme").refusal
            assert refusal is not None
            assert refusal.reason == "wrong_issuer"
        assert not recalled(gate, text)


@pytest.mark.parametrize(
    "now",
    [{"credentials": [secret(OTHER_KEY)]}, {"rules": Rules(require_kid=True)}],
    ids=["another key", "a kid is required"],
)
def test_recall_signature_changed_app_no_key_found(now: dict[str, Any]) -> None:
    text = token()
    with Gate([acme()], clock=lambda: NOW) as gate:
        assert gate.verify(text, app="acme").allowed
        context = gate._context
        digest = sha256(text.encode()).digest()
        assert recall_signature(gate.apps[0], digest, context.signature_cache, context.key_sets) is not None
        changed = App("acme", **{"credentials": [secret()], **now})
        assert recall_signature(changed, digest, context.signature_cache, context.key_sets) is None

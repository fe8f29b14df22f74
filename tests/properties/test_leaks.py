"""No answer, log record, event, repr or exception carries a token, a secret or the text of a key."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

import wicket
from tests.properties.tokens import NOW, SECRET, app, good_claims, signed, signed_bytes
from tests.support.clients import DOORS
from tests.support.key_selection import choice_of
from wicket import (
    App,
    AppRef,
    ConfigError,
    Gate,
    Header,
    Jwks,
    Mode,
    PublicKey,
    Refused,
    Request,
    Rules,
    Secret,
    profiles,
)
from wicket.decision.signature import verify_signature
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import parse_token_or_raise

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
PEM = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE_PEM = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
EC_JWK: dict[str, Any] = {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "ec-1"}
RSA_JWK: dict[str, Any] = {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa-1"}
PRIVATE_JWK: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(EC_KEY))
TEXT_SECRET = "sk_of_these_tests_" + SECRET.hex()[:24]
SHORT = "only-20-bytes-of-it!"

TOKENS = {
    "good": signed(good_claims()),
    "expired": signed(good_claims(exp=NOW - 999)),
    "no user": signed({"exp": NOW + 99}),
    "a number as user": signed(good_claims(sub=123456789)),
    "bad signature": signed(good_claims(), secret=bytes(32)),
    "other algorithm": signed(good_claims(), algorithm="HS512"),
    "unknown kid": signed(good_claims(), {"alg": "ES256", "kid": "unknown-kid-of-a-stranger"}),
    "no JSON": signed_bytes(b'{"alg":"HS256"}', b"payload-that-is-no-json"),
    "no base64": "header!of!no!base64.payload-of-it.signature-of-it",
    "one part": "a-token-that-consists-of-only-one-part",
    "for an audience": signed(good_claims(aud="https://elsewhere.example")),
    "crit": signed(good_claims(), {"alg": "HS256", "crit": ["a-critical-extension"]}),
    "too large": signed(good_claims(filler="x" * 20_000)),
}


def needles() -> Iterator[tuple[str, str]]:
    """What must never be seen, each with what it is."""
    for name, token in TOKENS.items():
        yield f"the token {name!r}", token
        for part in token.split("."):
            if len(part) > 20 and part != TOKENS["good"].partition(".")[0]:
                yield f"a part of the token {name!r}", part[:60]
    for name, secret in (("secret", SECRET), ("text", TEXT_SECRET.encode()), ("short", SHORT.encode())):
        yield f"the {name}, raw", repr(secret)[2:-1]
        yield f"the {name}, as latin-1", secret.decode("latin-1")
        yield f"the {name}, in hex", secret.hex()
        yield f"the {name}, in base64", base64.b64encode(secret).decode().rstrip("=")
        yield f"the {name}, in base64url", base64.urlsafe_b64encode(secret).decode().rstrip("=")
    for name, pem in (("public", PEM), ("private", PRIVATE_PEM)):
        for line in pem.splitlines()[1:-1]:
            yield f"a line of the {name} key", line
    for jwk in (EC_JWK, RSA_JWK, PRIVATE_JWK):
        for member in ("x", "y", "n", "d"):
            if member in jwk:
                yield f"the member {member} of a key", jwk[member]
                number = int.from_bytes(base64.urlsafe_b64decode(jwk[member] + "=="), "big")
                yield f"the member {member} of a key, as a number", str(number)


NEEDLES = list(needles())


def assert_nothing_of_it(text: str, where: str) -> None:
    found = [what for what, needle in NEEDLES if needle.lower() in text.lower()]
    assert not found, f"{where} shows {', '.join(found)}"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Every record as a handler could write it: the message, the traceback, and all fields."""
    formatter = logging.Formatter("%(message)s")
    return "\n".join(
        formatter.format(record) + repr(sorted(record.__dict__.items(), key=str)) for record in caplog.records
    )


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def apps() -> list[App]:
    return [
        app("acme"),
        app("observed", credentials=[Secret.from_text(TEXT_SECRET)], mode=Mode.LOG_ONLY),
        app("short", credentials=[Secret.from_text(SHORT, allow_short=True)]),
        app("by-key", credentials=[PublicKey.from_pem(PEM, algorithms=["ES256"], kid="ec-0")]),
        app("by-set", credentials=[Jwks.static({"keys": [RSA_JWK, PRIVATE_JWK, {"kty": "oct", "k": SECRET.hex()}]})]),
        app("none", credentials=[]),
    ]


def gates(on_event: Callable[[Any], None] | None = None) -> Gate:
    return Gate(apps(), app_locations=[Header("X-App-Id")], clock=lambda: NOW, on_event=on_event)


@pytest.mark.parametrize("door", sorted(DOORS))
def test_middleware_any_token_response_and_log_leak_nothing(door: str, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []
    gate = gates(events.append)
    passed = 0
    for held in apps():
        for name, token in TOKENS.items():
            for app_id in (held.id, token):  # a token by mistake where the app's name belongs
                answered = DOORS[door](
                    gate, [(b"X-App-Id", app_id.encode()), (b"Authorization", b"Bearer " + token.encode())]
                )
                passed += answered.passed
                assert_nothing_of_it(f"{answered.headers} {answered.body.decode()}", f"the answer to {name!r}")
                assert_nothing_of_it(repr(answered.decision), f"the decision about {name!r}")
    assert passed
    assert caplog.records
    assert_nothing_of_it(logged(caplog), "the log")
    assert_nothing_of_it(repr(events) + repr(gate.outcomes()), "the events and outcomes")
    assert {event.code for event in events} >= {None, "invalid_token", "unknown_app", "config_missing"}


@pytest.mark.parametrize("door", sorted(DOORS))
@pytest.mark.parametrize(
    "profile", [profiles.userz, profiles.hissuno, profiles.featurebase], ids=lambda each: each.name
)
def test_profile_error_format_any_token_leaks_nothing(
    profile: Any, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = profile("acme", credentials=[Secret(SECRET)], app_locations=[], token_locations=[wicket.Bearer()])
    for token in TOKENS.values():
        answered = DOORS[door](Gate([held], clock=lambda: NOW), [(b"Authorization", b"Bearer " + token.encode())])
        assert_nothing_of_it(f"{answered.headers} {answered.body.decode()}", "the answer")
    assert_nothing_of_it(logged(caplog), "the log")


def test_public_objects_repr_leaks_nothing() -> None:
    gate = gates()
    decisions = [gate.verify(token, app=held.id) for token in TOKENS.values() for held in apps()]
    objects: list[object] = [
        gate,
        *apps(),
        *(credential for held in apps() for credential in held.credentials),
        *(key for held in apps() for key in held.keyring.keys),
        *(held.keyring for held in apps()),
        *(held.origin_policy for held in apps()),
        *decisions,
        *(decision.identity for decision in decisions),
        *(decision.refusal for decision in decisions),
        *(Jwks.static({"keys": [RSA_JWK, PRIVATE_JWK]}).skipped),
        *profiles.BY_NAME.values(),
        Rules(),
        wicket.Revocations(),
        wicket.Limits(),
        Request(headers=[("Authorization", f"Bearer {TOKENS['good']}")], query=f"token={TOKENS['good']}"),
        wicket.DecisionEvent("wicket", "acme", True, True, True),
    ]
    assert any(decision.allowed for decision in decisions)
    for each in objects:
        assert_nothing_of_it(f"{each!r} {each} {each:}", f"the repr of a {type(each).__name__}")


def test_internal_objects_repr_leaks_nothing() -> None:
    held = app()
    token = parse_token_or_raise(TOKENS["good"], 10_000)
    choice = choice_of(held, token)
    signed_ = verify_signature(held, token, choice.keys, SignatureCache(total=9, per_app=9, max_bytes=9999))
    for each in (token, token.header, choice, *signed_):
        assert_nothing_of_it(repr(each), f"the repr of a {type(each).__name__}")


def test_refused_exception_leaks_nothing() -> None:
    gate = gates()
    raised = 0
    for token in TOKENS.values():
        for held in apps():
            try:
                gate.verify(token, app=held.id).require()
            except Refused as refused:
                raised += 1
                assert_nothing_of_it(spoken(refused), "a Refused")
    assert raised > len(TOKENS)


WRONG: dict[str, Callable[[], object]] = {
    "short": lambda: Secret.from_text(SHORT),
    "short bytes": lambda: Secret(SECRET[:31]),
    "blank around": lambda: Secret.from_text(TEXT_SECRET + "\n"),
    "quotes around": lambda: Secret.from_text(f'"{TEXT_SECRET}"'),
    "text for bytes": lambda: Secret(TEXT_SECRET),  # type: ignore[arg-type]
    "no hex": lambda: Secret.from_hex(TEXT_SECRET),
    "no base64": lambda: Secret.from_base64(TEXT_SECRET + "!"),
    "base64 of a wrong length": lambda: Secret.from_base64(base64.b64encode(SECRET).decode()[:41]),
    "surrogates": lambda: Secret.from_text(TEXT_SECRET + "\ud800"),
    "a public key as secret": lambda: Secret.from_text(PEM.strip()),
    "a JWK as secret": lambda: Secret.from_text(json.dumps(EC_JWK)),
    "a private key": lambda: PublicKey.from_pem(PRIVATE_PEM, algorithms=["ES256"]),
    "another algorithm": lambda: PublicKey.from_pem(PEM, algorithms=["ES384"]),
    "half a key": lambda: PublicKey.from_pem(PEM[:90] + PEM[-30:], algorithms=["ES256"]),
    "a private JWK": lambda: PublicKey.from_jwk(PRIVATE_JWK),
    "a JWK off the curve": lambda: PublicKey.from_jwk({**EC_JWK, "y": EC_JWK["x"]}),
    "a JWK of another type": lambda: PublicKey.from_jwk({**EC_JWK, "kty": "RSA", "alg": "RS256"}),
    "a JWK without its type": lambda: PublicKey.from_jwk({**EC_JWK, "kty": EC_JWK["x"]}),
    "a secret JWK": lambda: PublicKey.from_jwk({"kty": "oct", "k": base64.b64encode(SECRET).decode()}),
    "a set without a key": lambda: Jwks.static({"keys": [PRIVATE_JWK, {"kty": "oct", "k": SECRET.hex()}, EC_JWK["x"]]}),
    "the same secret twice": lambda: Gate([app("a"), app("b")], app_locations=[Header("X-App-Id")]),
    "an app of texts": lambda: App("a", credentials=[TEXT_SECRET]),  # type: ignore[list-item]
    "a vendor's secret as text": lambda: profiles.userz("a", credentials=[Secret.from_text(TEXT_SECRET)]),
    "a secret for a public key": lambda: profiles.getuserfeedback("a", credentials=[Secret(SECRET)]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_config_error_leaks_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError) as caught:
        WRONG[name]()
    assert_nothing_of_it(spoken(caught.value), "a ConfigError")
    assert_nothing_of_it(logged(caplog), "the log")


def spoken(error: BaseException) -> str:
    """All that an exception says of itself, what led to it included."""
    held: Any = error
    parts = [str(error), repr(error), repr(error.args), *traceback.format_exception(error)]
    if isinstance(error, ConfigError):
        parts.extend(repr(dataclasses.asdict(problem)) for problem in held.problems)
    if isinstance(error, Refused):
        parts.append(repr(held.refusal))
    while held is not None:  # a logger of exceptions may follow the chain even where it is suppressed
        parts.append(str(held))
        held = held.__cause__ or held.__context__
    return "\n".join(parts)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("door", sorted(DOORS))
def test_internal_error_response_and_log_leak_nothing(
    door: str, mode: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError(f"{TOKENS['good']} {SECRET!r}")

    monkeypatch.setattr("wicket.decision.fast_path.build_identity", fail)
    monkeypatch.setattr("wicket.decision.flow.build_identity", fail)
    answered = DOORS[door](
        Gate([app(mode=mode)], clock=lambda: NOW), [(b"Authorization", b"Bearer " + TOKENS["good"].encode())]
    )

    assert answered.passed is (mode is Mode.LOG_ONLY)
    assert "RuntimeError" in logged(caplog)
    assert_nothing_of_it(logged(caplog), "the log")
    assert_nothing_of_it(f"{answered.headers} {answered.body.decode()}", "the answer")


def test_failing_event_hook_or_registry_log_leaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: object) -> None:
        raise ValueError(TOKENS["good"], SECRET)

    def registry(ref: AppRef) -> App | None:
        if ref.value == "broken":
            return app(credentials=[Secret.from_text(SHORT)])
        raise ConnectionError(f"postgresql://wicket:{TEXT_SECRET}@db/wicket")

    with Gate(registry=registry, app_locations=[Header("X-App-Id")], on_event=hook) as gate:
        broken, failing = (gate.verify(TOKENS["good"], app=name) for name in ("broken", "any"))

    assert broken.refusal is not None
    assert broken.refusal.code == "config_invalid"
    assert failing.refusal is not None
    assert failing.refusal.code == "apps_unavailable"
    text = logged(caplog)
    assert "ConnectionError" in text
    assert "ValueError" in text
    assert_nothing_of_it(text, "the log")

"""Any body: the request is decided, the application gets the whole body, and no forged proof is accepted."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import itertools
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import wicket.asgi
import wicket.wsgi
from tests.properties.strategies import ANY_TEXT, JSON, TOKENS
from tests.properties.tokens import NOW, app, good_claims, signed
from tests.support.thorough import example_count
from wicket import App, Bearer, BodyField, Decision, Gate, Header, JsonBody, Limits, Mode, Request, Secret
from wicket.config.identity_hash import CompanyHash, IdentityHash

quick = settings(max_examples=example_count(150), deadline=None)

HASH_SECRET = bytes(range(1, 33))
LAX_SECRET = bytes(range(2, 34))
PLACES: dict[str, Any] = {
    "app_locations": [Header("X-App-Id"), BodyField("app"), BodyField("in.app")],
    "token_locations": [Bearer(), JsonBody("token"), JsonBody("in.token")],
    "claimed_user_locations": [JsonBody("userId")],
}
RULE = IdentityHash(secret=Secret(HASH_SECRET), companies=CompanyHash(secret=Secret(bytes(range(3, 35)))))
GATE = Gate(
    [
        app(identity_hash=RULE, **PLACES),
        App("lax", credentials=[Secret(LAX_SECRET)], allow_anonymous=True, **PLACES),
    ],
    clock=lambda: NOW,
    limits=Limits(max_body_bytes=200),
)
WIDE = Gate(GATE.apps, clock=lambda: NOW)
OBSERVED = Gate(GATE.apps, clock=lambda: NOW, limits=GATE.limits, mode=Mode.LOG_ONLY)
LATE = Gate(GATE.apps, clock=lambda: NOW, limits=Limits(body_timeout=1e-9), mode=Mode.LOG_ONLY)
"""The same apps where nothing is enforced, so that every request reaches the application."""

MEMBERS = st.sampled_from(["app", "token", "userId", "userHash", "companies", "in", "x"])
SAID = (
    JSON
    | TOKENS
    | ANY_TEXT
    | st.sampled_from(["acme", "lax", "ada", signed(good_claims())])
    | st.dictionaries(MEMBERS, JSON | st.sampled_from(["acme", "lax"]), max_size=3)
    | st.lists(st.fixed_dictionaries({"id": ANY_TEXT | JSON, "companyHash": ANY_TEXT | JSON}), max_size=2)
)
PAIRS = st.lists(st.tuples(MEMBERS, SAID), max_size=6)


def document(pairs: list[tuple[str, Any]]) -> bytes:
    """An object with these members in this order, repeated ones too, as no encoder would write it."""
    return ("{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}").encode()


def asked(body: bytes, *headers: tuple[str, str]) -> Request:
    return Request("POST", headers=[("Content-Type", "application/json"), *headers], body=body)


def checked(decision: Decision) -> Decision:
    assert decision.refusal is None or decision.refusal.code != "internal_error"
    assert decision.allowed is (decision.refusal is None)
    if decision.claimed_user_id is not None:
        decision.claimed_user_id.encode()
    repr(decision)
    return decision


@quick
@given(st.binary(max_size=300) | PAIRS.map(document) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b'{"app": "acme", "userId": "\\ud800", "userHash": "x"}')
@example(b'{"app": "lax", "userId": "\\udfff"}')
@example(b'{"app": "\\ud800", "token": "\\ud800"}')
@example(b"[" * 100_000)
def test_decide_any_body_returns_decision(body: bytes) -> None:
    for headers in ([], [("X-App-Id", "acme")], [("X-App-Id", "lax")]):
        checked(WIDE.decide(asked(body, *headers)))


@quick
@given(PAIRS, st.sampled_from(["acme", "lax"]), st.data())
def test_decide_body_duplicate_app_field_invalid_request(pairs: list[tuple[str, Any]], name: str, data: Any) -> None:
    both = [*pairs, ("app", name)]
    both.insert(data.draw(st.integers(0, len(pairs))), ("app", data.draw(st.sampled_from(["acme", "lax", name]))))
    body = document(both)
    # Another parser takes one of the two, the last for one: what it would do is the application's to know.
    assert json.loads(body)["app"] == both[-1][1]
    decision = checked(WIDE.decide(asked(body)))
    assert (decision.allowed, decision.app_id) == (False, None)
    assert decision.refusal is not None
    assert decision.refusal.code == "invalid_request"


@quick
@given(PAIRS)
def test_decide_allowed_body_app_ref_matches_json_loads(pairs: list[tuple[str, Any]]) -> None:
    body = document(pairs)
    decision = checked(WIDE.decide(asked(body)))
    if decision.allowed:
        held = json.loads(body)
        inner = held.get("in")
        named = {held.get("app") or None, (inner.get("app") or None) if isinstance(inner, dict) else None} - {None}
        assert named == {decision.app_id}


@quick
@given(
    user=ANY_TEXT | st.sampled_from(["ada", "bob"]),
    proof=ANY_TEXT | st.binary(min_size=32, max_size=32).map(bytes.hex),
    change=st.sampled_from(["", "other", "upper", "cut", "space"]),
)
@example(user="\ud800", proof="", change="")
def test_identity_hash_altered_or_other_value_refused(user: str, proof: str, change: str) -> None:
    spelled = user.encode("utf-8", "surrogatepass")
    block = HASH_SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + spelled).digest()
    right = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()  # RFC 2104, without a library
    assert hmac.compare_digest(right, hmac.new(HASH_SECRET, spelled, "sha256").hexdigest())
    sent = {"": right, "other": proof, "upper": right.upper(), "cut": right[:-1], "space": f" {right}"}[change]
    decision = checked(WIDE.decide(asked(json.dumps({"app": "acme", "userId": user, "userHash": sent}).encode())))
    codes = [ord(each) for each in user]
    plain = codes and not any(code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 for code in codes)
    assert decision.allowed is bool(sent == right and plain)
    if decision.allowed:
        assert decision.identity.user_id == user


# --- it arrives whole


CUTS = st.lists(st.integers(0, 400), max_size=6)
BODIES = st.binary(max_size=400) | st.builds(
    lambda fill, name: document([("app", name), ("token", signed(good_claims())), ("fill", "x" * fill)]),
    st.integers(0, 300),
    st.sampled_from(["acme", "lax"]),
)
KINDS = st.sampled_from(["application/json", "text/plain", ""])


@quick
@given(body=BODIES, cuts=CUTS, declared=st.booleans(), kind=KINDS, gone=st.booleans())
def test_asgi_body_any_chunks_forwarded_unchanged(
    body: bytes, cuts: list[int], declared: bool, kind: str, gone: bool
) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = [body[one:other] for one, other in itertools.pairwise(edges)] or [b""]
    messages: list[Any] = [
        {"type": "http.request", "body": piece, "more_body": gone or index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]
    messages.append({"type": "http.disconnect"})
    waiting, got = iter(messages), []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.extend([await receive() for _ in messages])

    async def receive() -> Any:
        return next(waiting)

    async def send(message: Any) -> None: ...

    headers = [(b"content-type", kind.encode()), (b"x-app-id", b"lax")]
    if declared:
        headers.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(wicket.asgi.WicketMiddleware(application, OBSERVED)(scope, receive, send))
    assert got == messages
    assert all(one is other for one, other in zip(got, messages, strict=True))


class Drip(io.RawIOBase):
    """A stream that gives so many bytes at a time, and waits for ever for one byte too many unless it ends."""

    def __init__(self, data: bytes, most: int, *, ends: bool) -> None:
        self.data, self.most, self.ends = data, most, ends

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert self.ends or 0 <= size <= len(self.data), "waits for ever"
        size = min(size if size >= 0 else len(self.data), self.most)
        piece, self.data = self.data[:size], self.data[size:]
        return piece


@quick
@given(
    body=BODIES,
    most=st.integers(1, 500),
    declared=st.booleans(),
    kind=KINDS,
    late=st.booleans(),
    step=st.integers(1, 500),
)
def test_wsgi_body_any_read_sizes_forwarded_unchanged(
    body: bytes, most: int, declared: bool, kind: str, late: bool, step: int
) -> None:
    got = b""

    def application(environ: Any, start_response: Any) -> Any:
        nonlocal got
        stream = environ["wsgi.input"]
        while (declared and len(got) < len(body)) or not declared:
            piece = stream.read(min(step, len(body) - len(got)) if declared else step)
            if not piece:
                break
            got += piece
        return []

    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": kind,
        "HTTP_X_APP_ID": "lax",
        "wsgi.input": Drip(body, most, ends=not declared),
        **({"CONTENT_LENGTH": str(len(body))} if declared else {"wsgi.input_terminated": True}),
    }
    wicket.wsgi.WicketMiddleware(application, LATE if late else OBSERVED)(environ, lambda *_: lambda _: None)
    assert got == body

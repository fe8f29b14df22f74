"""Earlier requests do not change a response: a gate that has answered others agrees with a new one.

A gate's caches (signatures, headers of tokens, fast-path entries, response headers) are shared by all requests of all
apps. So each request of a sequence is sent twice, to the gate that has answered all earlier ones and to a new one,
through either middleware. Both responses must be identical.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jwt import api_jws

from tests.support.clients import Answered, Headers, through_asgi, through_wsgi
from tests.support.thorough import example_count
from wicket import App, Bearer, Cookie, Gate, Header, Mode, PublicKey, Query, Revocations, profiles
from wicket.decision import context

NOW: Final = 1_761_000_000
KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
DOORS: Final[dict[str, Callable[[Gate, Headers], Answered]]] = {"asgi": through_asgi, "wsgi": through_wsgi}


def apps() -> list[App]:
    # Public keys, which apps may share: so that a token may be good for several, and an answer for another's request.
    def app(id: str, key: Any = KEY, **changes: Any) -> App:
        return profiles.generic(id, **{"credentials": [public(key)], **changes})

    return [
        app("listed", origins=["https://a.example", "*.b.example"], aliases=["also"]),
        app("wide", origins=["*"]),
        app("strict", key=OTHER, origins=["https://a.example"], require_origin=True),
        app("watched", origins=["https://a.example"], mode=Mode.LOG_ONLY),
        app("half", origins=["https://a.example"], origin_mode=Mode.LOG_ONLY),
        app("open", origins=["https://a.example"], allow_anonymous=True),
        app("revoked", revocations=Revocations(users={"user-2": NOW})),
        app("cookies", origins=["https://a.example"], token_locations=[Bearer(), Cookie("t")]),
        app("own-header", token_locations=[Header("X-Token")]),
        app("two-keys", credentials=[public(KEY), public(OTHER)]),
    ]


def public(key: ed25519.Ed25519PrivateKey) -> PublicKey:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey.from_pem(pem, algorithms=["EdDSA"])


def signed(key: ed25519.Ed25519PrivateKey, **changes: Any) -> bytes:
    given = {"sub": "user-1", "iat": NOW, "exp": NOW + 600, **changes}
    claims = {name: value for name, value in given.items() if value is not None}
    return api_jws.encode(json.dumps(claims).encode(), key, "EdDSA").encode()


TOKENS: Final = [
    *(signed(KEY), signed(OTHER), signed(KEY, sub="user-2"), signed(KEY, exp=NOW - 60), signed(KEY, exp=None)),
    *(
        signed(KEY, iat="soon"),
        signed(KEY, iss=7),
        signed(KEY, aud="x"),
        signed(KEY)[:-1],
        signed(KEY) + b"=",
        b"junk",
        b"",
    ),
]
APPS: Final = apps()
NAMES: Final = [*(app.id.encode() for app in APPS), b"also", b"nobody", b"LISTED", b"listed,wide", b" listed"]
ORIGINS: Final = [
    b"https://a.example",
    b"https://x.b.example",
    b"https://evil.example",
    b"HTTPS://A.example",
    b"null",
    b" https://a.example",
    b"https://a.example,https://x.b.example",
    b"",
]


@dataclass(frozen=True)
class Asked:
    """One request."""

    door: str
    headers: tuple[tuple[bytes, bytes], ...]


def one_of(name: bytes, values: list[bytes]) -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    once = st.sampled_from(values).map(lambda value: ((name, value),))
    return st.one_of(once, once, once, st.just(()), st.tuples(once, once).map(lambda both: both[0] + both[1]))


def bearers() -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    spelled = [scheme + token for token in TOKENS for scheme in (b"Bearer ", b"Bearer ", b"bearer ", b"Bearer  ")]
    return st.one_of(
        one_of(b"Authorization", spelled), one_of(b"X-Token", TOKENS), one_of(b"Cookie", [b"t=" + t for t in TOKENS])
    )


def just(name: bytes, values: list[bytes]) -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    return st.sampled_from(values).map(lambda value: ((name, value),))


ORDINARY: Final = (
    just(b"X-App-Id", [app.id.encode() for app in APPS]),
    just(b"Origin", ORIGINS[:2]),
    just(b"Authorization", [b"Bearer " + token for token in TOKENS[:3]]),
)
ODD: Final = (one_of(b"X-App-Id", NAMES), one_of(b"Origin", ORIGINS), bearers())


def requests(*parts: st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]) -> st.SearchStrategy[Asked]:
    return st.builds(lambda door, *headers: Asked(door, sum(headers, ())), st.sampled_from(sorted(DOORS)), *parts)


REQUESTS: Final = st.one_of(
    requests(*ORDINARY),
    *(requests(*ORDINARY[:at], ODD[at], *ORDINARY[at + 1 :]) for at in range(3)),  # one thing is odd
    requests(*ODD),
)
NAMINGS: Final = [[Header("X-App-Id")], [Header("X-App-Id"), Query("appId")]]


def gate(app_locations: Any) -> Gate:
    return Gate(APPS, app_locations=app_locations, clock=lambda: NOW)


def told(answered: Answered) -> tuple[Any, ...]:
    decision = answered.decision
    seen: tuple[Any, ...] = ()
    if decision is not None:
        identity = decision.identity
        seen = (
            *(decision.allowed, decision.refusal, decision.enforced, decision.app_id, decision.credentials_sent),
            *(identity.verified, identity.identity, identity.claims, identity.kid, identity.expires_at),
        )
    return answered.status, answered.headers, answered.body, seen


@pytest.mark.long
@pytest.mark.parametrize("room", [4096, 2])
@settings(max_examples=example_count(100), deadline=None)
@given(app_locations=st.sampled_from(NAMINGS), requests=st.lists(REQUESTS, min_size=4, max_size=12))
def test_gate_any_history_same_responses(room: int, app_locations: list[Any], requests: list[Asked]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "MAX_FAST_PATH_ENTRIES", room)
        old = gate(app_locations)
    with old:
        for asked in [*requests, *requests]:  # the second time with all of them in its past
            with gate(app_locations) as new:
                first, second = (DOORS[asked.door](each, asked.headers) for each in (old, new))
            assert told(first) == told(second)
        assert len(old._context.fast_path.entries) <= room
        event(f"roads: {min(2, len(old._context.fast_path.entries))}")


def test_fast_path_refused_request_not_cached() -> None:
    def asks(token: bytes, number: int) -> Headers:
        origin = f"https://{number}.example".encode()
        return [(b"X-App-Id", b"wide"), (b"Origin", origin), (b"Authorization", b"Bearer " + token)]

    with gate(NAMINGS[0]) as held:
        for number in range(20):
            assert through_asgi(held, asks(signed(OTHER), number)).status == 401
        assert held._context.fast_path.entries == {}
        for number in range(3):
            for _ in range(2):
                answered = through_asgi(held, asks(signed(KEY), number))
                assert answered.status == 200
                assert answered.headers["access-control-allow-origin"] == f"https://{number}.example"
        assert len(held._context.fast_path.entries) == 3

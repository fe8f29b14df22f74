"""What apps admit, in plain words, and a simple model of what a gate may say of a token.

`Rule` says what an app admits, `Pass` what a token says; `judged` holds one against the other at one moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.properties.tokens import NOW, SECRET
from wicket import (
    App,
    Bearer,
    Header,
    Jwks,
    Mode,
    PublicKey,
    Revocations,
    Rules,
    Secret,
)

SKEW: Final = 30
A: Final = "https://a.example"
B: Final = "https://b.example"
EVIL: Final = "https://evil.example"


@dataclass(frozen=True)
class Rule:
    """What an app admits, for a while. `keys` are those of the app itself, `published` those of its key set."""

    id: str
    keys: tuple[str, ...]
    published: tuple[str, ...] = ()
    kids: bool = False
    origins: tuple[str, ...] = (A, B)
    require_origin: bool = False
    mode: Mode = Mode.ENFORCE
    revoked: frozenset[str] = frozenset()
    before: float | None = None
    stolen: frozenset[str] = frozenset()
    header: str = "Authorization"


IN_CODE: Final = (
    Rule("plain", ("plain/0",)),
    Rule("other", ("other/0",), origins=(A,), require_origin=True),
    Rule("kids", ("kids/0", "kids/1"), kids=True, header="X-Token"),
    Rule("wary", ("wary/0",), revoked=frozenset({"u1"}), before=NOW - 500, stolen=frozenset({"stolen"})),
    Rule("lax", ("lax/0",), mode=Mode.LOG_ONLY),
    Rule("mixed", ("mixed/0",), published=("mixed/1",)),
)
LOADED: Final = (Rule("r0", ("r0/0",)), Rule("r1", ("r1/0",)))
ALIASES: Final = {"plain-2": "plain", "other-2": "other"}


@dataclass(frozen=True)
class Pass:
    """A token: who signed it, for whom, and when it counts."""

    key: str
    issuer: str
    user: str = "u0"
    kid: str | None = None
    issued: int = NOW - 10
    expires: int = NOW + 3600
    starts: int | None = None
    jti: str | None = None


@dataclass(frozen=True)
class Ask:
    """A request: by which name, with which token, from where. By hand (`Gate.verify`) there is no mode."""

    name: str
    token: Pass
    origin: str | None
    by_hand: bool = False

    @property
    def app(self) -> str:
        return ALIASES.get(self.name, self.name)


Said = tuple[str, bool, str, str | None]
"""The outcome in a word, whether it is enforced, `app:user`, and the name of the key that proved it."""


def passes_of(id: str) -> list[Pass]:
    """Tokens of one app, good ones and such as are good for a while or never."""
    kid = {"kids": f"{id}/0"}.get(id)
    good = Pass(f"{id}/0", f"https://{id}.example", kid=kid)
    made = [good, replace(good, user="u1"), replace(good, expires=NOW + 100), replace(good, starts=NOW + 200)]
    made += [replace(good, user="u1", issued=NOW + 100), replace(good, issued=NOW - 1000), replace(good, jti="stolen")]
    made += [replace(good, issuer="https://else.example"), replace(good, key=f"{id}/2")]
    if id == "kids":
        made += [replace(good, kid=None), replace(good, kid="kids/1"), replace(good, key="kids/1", kid="kids/1")]
    if id == "mixed":
        made += [replace(good, key=key, kid=key) for key in ("mixed/1", "mixed/2", "mixed/1")]
    # Each of a user of its own, so that no two are mistaken for each other; u1 is the one who is revoked.
    return [each if each.user == "u1" else replace(each, user=f"u{2 + index}") for index, each in enumerate(made)]


# --- what stands behind the plain words


def secret(key: str) -> bytes:
    return key.encode() + SECRET


@cache
def private_key(key: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def token(held: Pass) -> str:
    claims = {"sub": held.user, "iss": held.issuer, "iat": held.issued, "exp": held.expires}
    claims |= {name: value for name, value in (("nbf", held.starts), ("jti", held.jti)) if value is not None}
    headers = {"kid": held.kid} if held.kid is not None else None
    if held.key.startswith("mixed"):
        return jwt.encode(claims, private_key(held.key), "ES256", headers=headers)
    return jwt.encode(claims, secret(held.key), "HS256", headers=headers)


@cache
def app_of(rule: Rule) -> App:
    """The app of that rule."""
    credentials: list[Any] = [Secret(secret(key), kid=key if rule.kids else None) for key in rule.keys]
    if rule.id == "mixed":
        pem = private_key("mixed/0").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        credentials = [PublicKey.from_pem(pem, algorithms=["ES256"])]
        credentials.append(Jwks("https://mixed.example/keys", algorithms=["ES256"]))
    return App(
        rule.id,
        credentials=credentials,
        issuer=f"https://{rule.id}.example",
        rules=Rules(leeway=SKEW, require_kid=rule.kids),
        origins=rule.origins,
        require_origin=rule.require_origin,
        mode=rule.mode,
        aliases=[alias for alias, id in ALIASES.items() if id == rule.id],
        revocations=Revocations(
            users=dict.fromkeys(rule.revoked, NOW), issued_before=rule.before, token_ids=rule.stolen
        ),
        token_locations=[Bearer() if rule.header == "Authorization" else Header(rule.header)],
    )


# --- the model


def judged(rule: Rule | None, ask: Ask, now: float) -> Said:
    """What is right by one rule, at one time."""
    if rule is None:
        return "unknown_app", True, "", None
    reason, enforced = _against(rule, ask, now), ask.by_hand or rule.mode is Mode.ENFORCE
    if reason is not None:
        return reason, enforced, "", None
    kid = ask.token.key if rule.kids or ask.token.key in rule.published else None
    return "accepted", enforced, f"{rule.id}:{ask.token.user}", kid


def _against(rule: Rule, ask: Ask, now: float) -> str | None:
    held = ask.token
    missing = ask.origin is None and rule.require_origin and not ask.by_hand
    if missing or (ask.origin is not None and ask.origin not in rule.origins):
        return "origin_not_allowed"
    if held.key.startswith("mixed") is not (rule.id == "mixed"):
        return "algorithm_not_allowed" if not rule.kids or held.kid is not None else "key_not_found"
    if rule.kids and held.kid not in rule.keys:
        return "key_not_found"
    if held.key not in rule.keys + rule.published or (rule.kids and held.key != held.kid):
        return "bad_signature"
    if held.key in rule.published and held.kid is None and len(rule.published) > 1:
        return "bad_signature"  # of several published keys none is tried for a token that names none
    if now >= held.expires + SKEW:
        return "expired"
    if held.starts is not None and held.starts > now + SKEW:
        return "not_yet_valid"
    if held.issued > now + SKEW:
        return "issued_in_future"
    if held.issuer != f"https://{rule.id}.example":
        return "wrong_issuer"
    cutoffs = [NOW] if held.user in rule.revoked else []
    cutoffs += [int(rule.before)] if rule.before is not None else []
    revoked = held.jti in rule.stolen or any(held.issued <= cutoff + SKEW for cutoff in cutoffs)
    return "revoked" if revoked else None


# --- chance


def asks_by(chance: random.Random, count: int) -> list[Ask]:
    """Requests as they come: mostly of an app's own tokens, a few times in a row, and now and then sent to another."""
    ids = [rule.id for rule in (*IN_CODE, *LOADED)]
    names = [*ids, *ids, *ALIASES, "nobody"]
    asks: list[Ask] = []
    while len(asks) < count:
        name = chance.choice(names)
        owner = ALIASES.get(name, name) if name != "nobody" else chance.choice(ids)
        ask = Ask(name, chance.choice(passes_of(owner)), chance.choice([A, A, A, B, EVIL, None]))
        asks += [ask] * chance.randint(1, 4)
        if chance.random() < 0.5:
            asks += [
                replace(ask, name=chance.choice(names)),
                replace(ask, origin=chance.choice([A, B, EVIL, None])),
                ask,
            ]
    return asks[:count]

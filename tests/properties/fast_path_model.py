"""A simple model of the decision about a token.

`Rule` describes an app and `TokenSpec` a token. `expected_answer` returns the answer for both at one time.
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

LEEWAY: Final = 30
A: Final = "https://a.example"
B: Final = "https://b.example"
EVIL: Final = "https://evil.example"


@dataclass(frozen=True)
class Rule:
    """The rules of an app. `keys` are its local keys, `published` the keys of its key set."""

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
class TokenSpec:
    """A token: its key, its issuer, its user, and the times at which it is valid."""

    key: str
    issuer: str
    user: str = "u0"
    kid: str | None = None
    issued: int = NOW - 10
    expires: int = NOW + 3600
    starts: int | None = None
    jti: str | None = None


@dataclass(frozen=True)
class RequestSpec:
    """A request: the name of its app, its token, its origin. `Gate.verify` (`verify_only`) has no mode."""

    name: str
    token: TokenSpec
    origin: str | None
    verify_only: bool = False

    @property
    def app(self) -> str:
        return ALIASES.get(self.name, self.name)


Answer = tuple[str, bool, str, str | None]
"""The outcome, whether it is enforced, `app:user`, and the kid of the key that verified the token."""


def token_specs_of(id: str) -> list[TokenSpec]:
    """Return tokens of one app: valid ones, and some that are valid for a while or never."""
    kid = {"kids": f"{id}/0"}.get(id)
    good = TokenSpec(f"{id}/0", f"https://{id}.example", kid=kid)
    made = [good, replace(good, user="u1"), replace(good, expires=NOW + 100), replace(good, starts=NOW + 200)]
    made += [replace(good, user="u1", issued=NOW + 100), replace(good, issued=NOW - 1000), replace(good, jti="stolen")]
    made += [replace(good, issuer="https://else.example"), replace(good, key=f"{id}/2")]
    if id == "kids":
        made += [replace(good, kid=None), replace(good, kid="kids/1"), replace(good, key="kids/1", kid="kids/1")]
    if id == "mixed":
        made += [replace(good, key=key, kid=key) for key in ("mixed/1", "mixed/2", "mixed/1")]
    # Each token has another user, so that no two answers are equal. The user u1 is revoked.
    return [spec if spec.user == "u1" else replace(spec, user=f"u{2 + index}") for index, spec in enumerate(made)]


# --- the real tokens and apps


def secret(key: str) -> bytes:
    return key.encode() + SECRET


@cache
def private_key(key: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def token(spec: TokenSpec) -> str:
    claims = {"sub": spec.user, "iss": spec.issuer, "iat": spec.issued, "exp": spec.expires}
    claims |= {name: value for name, value in (("nbf", spec.starts), ("jti", spec.jti)) if value is not None}
    headers = {"kid": spec.kid} if spec.kid is not None else None
    if spec.key.startswith("mixed"):
        return jwt.encode(claims, private_key(spec.key), "ES256", headers=headers)
    return jwt.encode(claims, secret(spec.key), "HS256", headers=headers)


@cache
def app_of(rule: Rule) -> App:
    """Return the app of a rule."""
    credentials: list[Any] = [Secret(secret(key), kid=key if rule.kids else None) for key in rule.keys]
    if rule.id == "mixed":
        pem = private_key("mixed/0").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        credentials = [PublicKey.from_pem(pem, algorithms=["ES256"])]
        credentials.append(Jwks("https://mixed.example/keys", algorithms=["ES256"]))
    return App(
        rule.id,
        credentials=credentials,
        issuer=f"https://{rule.id}.example",
        rules=Rules(leeway=LEEWAY, require_kid=rule.kids),
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


def expected_answer(rule: Rule | None, request: RequestSpec, now: float) -> Answer:
    """Return the correct answer by one rule at one time."""
    if rule is None:
        return "unknown_app", True, "", None
    reason, enforced = _refusal_of(rule, request, now), request.verify_only or rule.mode is Mode.ENFORCE
    if reason is not None:
        return reason, enforced, "", None
    kid = request.token.key if rule.kids or request.token.key in rule.published else None
    return "accepted", enforced, f"{rule.id}:{request.token.user}", kid


def _refusal_of(rule: Rule, request: RequestSpec, now: float) -> str | None:
    spec = request.token
    missing = request.origin is None and rule.require_origin and not request.verify_only
    if missing or (request.origin is not None and request.origin not in rule.origins):
        return "origin_not_allowed"
    if spec.key.startswith("mixed") is not (rule.id == "mixed"):
        return "algorithm_not_allowed" if not rule.kids or spec.kid is not None else "key_not_found"
    if rule.kids and spec.kid not in rule.keys:
        return "key_not_found"
    if spec.key not in rule.keys + rule.published or (rule.kids and spec.key != spec.kid):
        return "bad_signature"
    if spec.key in rule.published and spec.kid is None and len(rule.published) > 1:
        return "bad_signature"  # no key of several published keys is tried for a token without kid
    if now >= spec.expires + LEEWAY:
        return "expired"
    if spec.starts is not None and spec.starts > now + LEEWAY:
        return "not_yet_valid"
    if spec.issued > now + LEEWAY:
        return "issued_in_future"
    if spec.issuer != f"https://{rule.id}.example":
        return "wrong_issuer"
    cutoffs = [NOW] if spec.user in rule.revoked else []
    cutoffs += [int(rule.before)] if rule.before is not None else []
    revoked = spec.jti in rule.stolen or any(spec.issued <= cutoff + LEEWAY for cutoff in cutoffs)
    return "revoked" if revoked else None


# --- chance


def random_requests(chance: random.Random, count: int) -> list[RequestSpec]:
    """Return random requests: mostly an app's own tokens, some in a row, and sometimes with another app or origin."""
    ids = [rule.id for rule in (*IN_CODE, *LOADED)]
    names = [*ids, *ids, *ALIASES, "nobody"]
    requests: list[RequestSpec] = []
    while len(requests) < count:
        name = chance.choice(names)
        owner = ALIASES.get(name, name) if name != "nobody" else chance.choice(ids)
        request = RequestSpec(name, chance.choice(token_specs_of(owner)), chance.choice([A, A, A, B, EVIL, None]))
        requests += [request] * chance.randint(1, 4)
        if chance.random() < 0.5:
            requests += [
                replace(request, name=chance.choice(names)),
                replace(request, origin=chance.choice([A, B, EVIL, None])),
                request,
            ]
    return requests[:count]

"""Apps, tokens and random requests of every shape that a gate can be configured for."""

from __future__ import annotations

import hmac
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket import (
    App,
    AppRef,
    Bearer,
    Cookie,
    Header,
    Host,
    IdentityHash,
    JsonBody,
    Jwks,
    Mode,
    PathSegment,
    PublicKey,
    PublishableKeyBearer,
    Query,
    Request,
    Revocations,
    Rules,
    Secret,
    TokenIssuer,
    profiles,
)
from wicket.config.locations import AppLocation, TokenLocation
from wicket.messages.request import BytesBody

NOW: Final = 1_761_000_000
ORIGIN: Final = "https://acme.com"
ISSUER: Final = "https://id.guf.example"
KEYS: Final = {name: f"{name}-".encode() * 16 for name in ("plain", "uz", "his", "fea", "ck", "ih", "new")}
HASH_KEY: Final = b"hash-key-" * 4
VARIANTS: Final = 16
IDS: Final = ("plain", "uz", "his", "fea", "guf", "ck", "ih", "jw")
APP_LOCATIONS: Final[tuple[AppLocation, ...]] = (
    *(Header("X-App-Id"), Query("appId"), Query("projectId"), PublishableKeyBearer()),
    *(JsonBody("appId"), JsonBody("projectId"), TokenIssuer()),
)
TOKEN_LOCATIONS: Final[tuple[TokenLocation, ...]] = (
    *(Bearer(), Header("X-Userz-User-Token"), Query("jwt"), JsonBody("featurebaseJwt"), JsonBody("widgetToken")),
)
NAMED_BY: Final[dict[str, tuple[AppLocation, ...]]] = {
    "every location": APP_LOCATIONS,
    "one header": (Header("X-App-Id"),),
    "two headers": (Header("X-App-Id"), Header("X-Other")),
    "header and query": (Header("X-App-Id"), Query("appId")),
    "path": (PathSegment(0),),
    "host": (Host("*.widgets.example"),),
    "body or issuer": (JsonBody("appId"), TokenIssuer()),
}


@cache
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def app_of(id: str, variant: int = 0) -> App:
    """Return one version of an app. Variant 0 allows the good token; each other variant changes one setting."""
    variants: list[dict[str, Any]] = [
        {},
        {"origins": ["https://other.example"]},
        {"required_values": {"role": "admin"}},
        {"revocations": Revocations(users={"user-1": NOW})},
        {"mode": Mode.LOG_ONLY},
        {"allow_anonymous": True},
        {"require_kid": True},
        {"app_claim": "app"},
        {"credentials": [Secret(id.encode() + KEYS["new"])]} if id not in ("guf", "jw", "ck") else {},
        {"allowed_values": {"role": ["admin", "editor"]}},
        {"allowed_values": {"role": [7, "user"]}},
        {"scopes_claim": ["role", "app.roles"]},
        {"check": refuse_role},
        {"require_user": False, "drop_required_claims": ["sub"]} if id in ("plain", "ck") else {"require_user": False},
        {"check": fail_for_other_users},
        {"user_id_patterns": {"userId" if id in ("his", "fea") else "sub": "user-{user_id}"}},
    ]
    changes = variants[variant % VARIANTS]
    if id == "plain":
        settings = {"credentials": [Secret(KEYS["plain"])], "origins": [ORIGIN], "aliases": ["plain-2"], **changes}
        return profiles.generic(id, **settings)
    if id == "uz":
        settings = {"credentials": [Secret(KEYS["uz"])], "origins": [ORIGIN, "*.acme.com"], **changes}
        return profiles.userz(id, **{"publishable_key": "pub_uz", **settings})
    if id == "his":
        settings = {"credentials": [Secret(KEYS["his"])], "origins": [ORIGIN], "origin_mode": Mode.LOG_ONLY, **changes}
        return profiles.hissuno(id, **settings)
    if id == "fea":
        settings = {"credentials": [Secret(KEYS["fea"])], "aliases": ["org"], "require_origin": True, **changes}
        return profiles.featurebase(id, **settings)
    if id == "guf":
        key = PublicKey.from_pem(public_pem("guf"), algorithms=["ES256"])
        settings = {"issuer": ISSUER, "credentials": [key], "origins": [ORIGIN], **changes}
        return profiles.getuserfeedback(id, **settings)
    if id == "jw":
        key_set = Jwks("https://id.jw.example/keys", algorithms=["ES256"], issuer="https://id.jw.example")
        other = Jwks("https://id.jw.example/rsa", algorithms=["RS256"], issuer="https://id.jw.example")
        return App(id, **{"credentials": [key_set, other], "origins": [ORIGIN], **changes_of_rules(changes)})
    if id == "ih":
        rule = IdentityHash(
            secret=Secret(HASH_KEY), identifier_location=Header("X-User"), hash_location=Header("X-Identity-Hash")
        )
        settings = {"credentials": [Secret(KEYS["ih"])], "identity_hash": rule, "origins": [ORIGIN], **changes}
        return profiles.generic(id, **settings)
    locations: list[TokenLocation] = [Cookie("t"), Bearer(), Query("tok")]
    settings = {"credentials": [Secret(KEYS["ck"]), Secret(KEYS["new"])], "origins": [ORIGIN], **changes}
    return profiles.generic("ck", token_locations=locations, **settings)


def refuse_role(claims: Mapping[str, Any]) -> str | None:
    return "The claim role is not allowed." if "role" in claims else None


def fail_for_other_users(claims: Mapping[str, Any]) -> None:
    if claims["sub"] != "user-1":
        raise RuntimeError("the database is down")


def changes_of_rules(changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes of an app with the changed rules as a value."""
    rules = {name: value for name, value in changes.items() if name in Rules.__dataclass_fields__}
    return {"rules": Rules(**rules)} if rules else changes


@cache
def token(id: str, **changes: Any) -> str:
    claims: dict[str, Any] = {"sub": "user-1", "userId": "user-1", "iat": NOW, "exp": NOW + 600}
    if id == "uz":
        claims["app"] = "uz"
    if id in ("guf", "jw"):
        claims |= {"iss": ISSUER if id == "guf" else "https://id.jw.example"}
        claims |= {"aud": "https://api.getuserfeedback.com"} if id == "guf" else {}
        claims |= changes
        return jwt.encode(claims, private_key(id), "ES256", headers={"kid": "k1"} if id == "jw" else None)
    return jwt.encode({**claims, **changes}, KEYS[id], "HS256")


@cache
def tokens() -> dict[str, list[str]]:
    """Return for each app a good token and some that are refused now or later."""
    return {
        id: [
            token(id),
            token(id, sub="user-2", userId="user-2"),
            token(id, exp=NOW - 100, iat=NOW - 500),
            token(id, exp=NOW + 40),
            token(id, iat=NOW + 45),
            token(id, app="other", role=7),
            token(id, sub="", userId="", email=None),
            token(id)[:-6] + "AAAAAA",
        ]
        for id in IDS
    }


JUNK: Final = ("junk", "a.b.c", "e30.e30.e30", "é", "x" * 20_000)


@dataclass(frozen=True)
class Asked:
    """One request. `request` builds a new object for each gate that decides it."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    form: str
    optional: bool

    def request(self) -> Request:
        body = BytesBody(self.body) if self.body is not None else None
        if self.form == "plain":
            return Request(self.method, self.path, self.query, self.headers, body=body)
        if self.form == "asgi":
            headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers]
            scope = {"type": "http", "method": self.method, "path": self.path, "headers": headers}
            return Request.from_asgi({**scope, "query_string": self.query.encode()}, body)
        environ: dict[str, Any] = {"REQUEST_METHOD": self.method, "PATH_INFO": self.path, "QUERY_STRING": self.query}
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return Request.from_wsgi(environ, body)


def random_request(chance: random.Random, known: str | None = None) -> Asked:
    """Return a request: mostly one that its app allows, and sometimes with one or more unusual parts.

    Args:
        chance: The source of randomness.
        known: The app of a usual request with a good token; None for any request of any app.
    """
    id = known or chance.choice(IDS)
    usual_request = known is not None or chance.random() < 0.6
    text = (
        tokens()[id][0]
        if known is not None or chance.random() < 0.5
        else chance.choice([*tokens()[id], *tokens()[chance.choice(IDS)]])
    )
    text = text if known is not None or chance.random() < 0.95 else chance.choice(JUNK)
    name = (
        id
        if usual_request or chance.random() < 0.85
        else chance.choice([*IDS, "plain-2", "org", "nobody", "pub_uz", ""])
    )
    headers: list[tuple[str, str]] = []
    query: list[str] = []
    body: dict[str, str] = {}
    usual = {"uz": "x", "ck": chance.choice("bcq"), "fea": chance.choice("bqj"), "his": chance.choice("bbj")}.get(
        id, "b"
    )
    where = usual if usual_request or chance.random() < 0.85 else chance.choice("bqcjxn")
    if where == "b":
        scheme = (
            "Bearer "
            if usual_request or chance.random() < 0.9
            else chance.choice(["bearer ", "Bearer  ", "Bearer", "Token "])
        )
        headers.append(("Authorization", scheme + text))
    elif where == "q":
        query.append(chance.choice(["jwt=", "tok=", "t%6Fk="]) + text)
    elif where == "c":
        headers.append(("Cookie", f"a=b; t={text}"))
    elif where == "j":
        body[chance.choice(["featurebaseJwt", "widgetToken", "jwtToken"])] = text
    elif where == "x":
        headers.append(("X-Userz-User-Token", text))
    if id == "uz" and where == "x" and (usual_request or chance.random() < 0.8):
        headers.append(("Authorization", "Bearer pub_uz"))
    if not usual_request and chance.random() < 0.06:
        headers.append(("Authorization", f"Bearer {chance.choice(tokens()[chance.choice(IDS)])}"))
    if chance.random() < 0.1:
        query.append(chance.choice(["jwt=", "tok="]) + chance.choice([text, chance.choice(tokens()[id])]))
    for named in "ho" if usual_request else chance.choice(["h", "h", "h", "q", "p", "o", "j", "n", "hq"]):
        if named == "h":
            headers.append(("X-App-Id", name if chance.random() < 0.95 else chance.choice([f" {name}", f"{name},"])))
        elif named == "q":
            query.append(chance.choice(["appId=", "projectId=", "organization="]) + name)
        elif named == "j":
            body[chance.choice(["appId", "projectId", "organization"])] = name
        elif named == "o":
            headers.append(("Host", f"{name}.widgets.example"))
    origin = (
        ORIGIN
        if usual_request
        else chance.choice([ORIGIN] * 6 + ["https://x.acme.com", "https://evil.example", "null", "", f" {ORIGIN}"])
    )
    if origin:
        headers.append(("Origin", origin))
    if not usual_request and chance.random() < 0.05:
        headers.append(("Origin", ORIGIN))
    if id in ("ck", "fea") and chance.random() < 0.15:
        query.append(("tok=" if id == "ck" else "jwt=") + chance.choice([text, tokens()[id][1], "junk"]))
    if id == "ih" and chance.random() < 0.5:
        proof = hmac.digest(HASH_KEY, b"user-1", "sha256").hex() if chance.random() < 0.5 else "00" * 32
        headers += [("X-User", "user-1"), ("X-Identity-Hash", proof)]
    if body:
        headers.append(("Content-Type", "application/json" if chance.random() < 0.95 else "text/plain"))
    method = "POST" if body or chance.random() < 0.3 else "GET"
    path = f"/{name}/x" if usual_request or chance.random() < 0.3 else "/"
    raw = json.dumps(body).encode() if body else b"" if chance.random() < 0.2 else None
    form = chance.choice(["plain", "asgi", "asgi", "wsgi"])
    return Asked(method, path, "&".join(query), tuple(headers), raw, form, chance.random() < 0.1)


def refs_of(apps: list[App]) -> dict[AppRef, App]:
    return {ref: app for app in apps for ref in app.refs()}

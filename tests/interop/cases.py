"""What is ordered from the signers: for each vendor a token or hash as its document has it, and one per broken rule.

An order says when its token is issued and when it expires. Therefore every order is a function of the time at which it
is signed, in whole seconds since 1970.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

HISSUNO_SECRET: Final = "sk_live_" + hashlib.sha256(b"a project of these tests").hexdigest()[:32]
FEATUREBASE_SECRET: Final = "fb-jwt-7c1e0a5e4d0b4a0f9f6b2d8c"
FEATUREBASE_IV: Final = "iv_7f2a9c41d8e35b60c1f4a7d2e9b83605"
FEATUREBASE_COMPANY_IV: Final = "ivc_0b6d3f8e2a915c74d7e0b3a6f9c28415"
USERZ_HEX: Final = "9f1d4c6b8a70e2534f0c1b2a3948576655443322110ffeeddccbbaa998877661"
USERZ_BASE64: Final = "nx1Ma4pw4lNPDBsqOUhXZlVEMyIRD/7t3Mu6qZiHdmE="  # the same 32 bytes
USERZ_APP: Final = "65fa1f3e8a1e5f2d9c1a5c01"
AUDIENCE: Final = "https://api.getuserfeedback.com"
ISSUER: Final = "https://id.globex.com"

KEYS: Final = [
    {"kid": "rsa-1", "alg": "RS256"},
    {"kid": "ec-1", "alg": "ES256"},
    {"kid": "ed-1", "alg": "EdDSA"},
    {"kid": "rsa-512", "alg": "RS512"},
    {"kid": "stranger", "alg": "ES256"},
]

USER: Final = {"id": "user-1", "name": "Ada Lovelace", "email": "ada@acme.com"}

TOKEN_DATA: Final[dict[str, Any]] = {
    "name": "Ada Lovelace",
    "email": "ada@acme.com",
    "userId": "user-1",
    "profilePicture": "https://example.com/images/yourcustomer.png",
    "title": "Product Manager",
    "plan": "Premium",
    "number": "123",
    "companies": [
        {
            "id": "987654321",
            "name": "Business Inc. 23",
            "monthlySpend": 500,
            "createdAt": "2023-05-19T15:35:49.915Z",
            "industry": "Fintech",
            "location": "Canada",
        }
    ],
}

USERZ_CONTEXT: Final = {"email": "ada@acme.com", "plan": "pro", "name": "Ada Łovelace"}


def userz_payload(now: int) -> dict[str, Any]:
    """The claims of Userz's document, good for an hour."""
    return {"sub": "user-1", "app": USERZ_APP, "ctx": USERZ_CONTEXT, "iat": now, "exp": now + 3600}


def issuer_payload(now: int) -> dict[str, Any]:
    """The claims of an issuer's token, good for five minutes."""
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user_2abc",
        "iat": now,
        "exp": now + 300,
        "email": "ada@globex.com",
    }


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    """The claims less these."""
    return {name: value for name, value in claims.items() if name not in names}


def _hissuno(changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"by": "hissuno", "user": USER, "secret": HISSUNO_SECRET, "changes": changes or {}, **more}


def _featurebase(token_data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"by": "featurebase", "tokenData": token_data, "secret": FEATUREBASE_SECRET, **more}


def _userz(now: int, changes: dict[str, Any] | None = None, *without_claims: str, **more: Any) -> dict[str, Any]:
    payload = without({**userz_payload(now), **(changes or {})}, *without_claims)
    return {"by": "userz", "payload": payload, "secret": USERZ_HEX, "encoding": "hex", **more}


def _issuer(now: int, changes: dict[str, Any] | None = None, *without_claims: str, **more: Any) -> dict[str, Any]:
    payload = without({**issuer_payload(now), **(changes or {})}, *without_claims)
    return {"by": "issuer", "payload": payload, "kid": "rsa-1", **more}


def hissuno(now: int) -> dict[str, dict[str, Any]]:
    """A good token of Hissuno's, and those that break a rule."""
    return {
        "hissuno": _hissuno(),
        "hissuno: expired": _hissuno({"exp": now - 3600, "iat": now - 7200}, options={"expiresIn": None}),
        "hissuno: no expiry": _hissuno(options={"expiresIn": None}),
        "hissuno: no user": _hissuno({"userId": None}),
        "hissuno: a number as user": _hissuno({"userId": 42}),
        "hissuno: an empty user": _hissuno({"userId": ""}),
        "hissuno: metadata that is no text": _hissuno({"userMetadata": {"age": 36}}),
        "hissuno: metadata that is no object": _hissuno({"userMetadata": "Ada"}),
        "hissuno: another key": _hissuno(secret=HISSUNO_SECRET + "x"),
        "hissuno: HS512": _hissuno(options={"algorithm": "HS512"}),
        "hissuno: issued tomorrow": _hissuno({"iat": now + 86_400}),
        "hissuno: not before tomorrow": _hissuno(options={"notBefore": "1h"}),
        "hissuno: for an audience": _hissuno(options={"audience": "https://elsewhere.example"}),
        "hissuno: unsigned": {"by": "unsigned", "payload": {"userId": "user-1", "exp": now + 3600}},
    }


def featurebase(now: int) -> dict[str, dict[str, Any]]:
    """Good tokens of Featurebase's, and those that break a rule."""
    return {
        "featurebase": _featurebase(TOKEN_DATA),
        "featurebase: only an address": _featurebase(without(TOKEN_DATA, "userId")),
        "featurebase: with an expiry": _featurebase(TOKEN_DATA, options={"expiresIn": "1h"}),
        "featurebase: nobody": _featurebase(without(TOKEN_DATA, "userId", "email")),
        "featurebase: expired": _featurebase({**TOKEN_DATA, "iat": now - 7200}, options={"expiresIn": "1h"}),
        "featurebase: a number as user": _featurebase({**TOKEN_DATA, "userId": 123456}),
        "featurebase: a company without a name": _featurebase({**TOKEN_DATA, "companies": [{"id": "987654321"}]}),
        "featurebase: a company without an id": _featurebase({**TOKEN_DATA, "companies": [{"name": "Business Inc."}]}),
        "featurebase: one company, no list": _featurebase({**TOKEN_DATA, "companies": TOKEN_DATA["companies"][0]}),
        "featurebase: another key": _featurebase(TOKEN_DATA, secret="iv_of-another-organisation-altogether"),
        "featurebase: HS384": _featurebase(TOKEN_DATA, options={"algorithm": "HS384"}),
        "featurebase: unsigned": {"by": "unsigned", "payload": TOKEN_DATA},
    }


def _hash(identifier: str, secret: str = FEATUREBASE_IV, **more: Any) -> dict[str, Any]:
    return {"by": "hash", "identifier": identifier, "secretKey": secret, **more}


FEATUREBASE_HASHES: Final = {
    "hash": _hash("ada@acme.com"),
    "hash: another secret": _hash("ada@acme.com", "iv_of-another-organisation-altogether"),
    "hash: the token's secret": _hash("ada@acme.com", FEATUREBASE_SECRET),
    "hash: another user": _hash("eve@acme.com"),
    "hash: another identifier": _hash("user-1"),
    "hash: a blank behind the address": _hash("ada@acme.com "),
    "hash: capital letters in the address": _hash("Ada@Acme.com"),
    "hash: base64": _hash("ada@acme.com", digest="base64"),
    "hash: SHA-1": _hash("ada@acme.com", algorithm="sha1"),
    "hash: a company": _hash("123", FEATUREBASE_COMPANY_IV),
    "hash: a company by the user's secret": _hash("123"),
}


def userz(now: int) -> dict[str, dict[str, Any]]:
    """Good tokens of Userz's, and those that break a rule."""
    return {
        "userz": _userz(now),
        "userz: base64": _userz(now, secret=USERZ_BASE64, encoding="base64"),
        "userz: jose": _userz(now, by="userzByJose"),
        "userz: without a context": _userz(now, {}, "ctx"),
        "userz: the shortest life": _userz(now, {"exp": now + 60}),
        "userz: the longest life": _userz(now, {"exp": now + 86_400}),
        "userz: the largest context": _userz(now, {"ctx": {"x": "y" * (2048 - len('{"x":""}'))}}),
        "userz: another app": _userz(now, {"app": "65fa1f3e8a1e5f2d9c1a5c02"}),
        "userz: no app": _userz(now, {}, "app"),
        "userz: no user": _userz(now, {}, "sub"),
        "userz: a number as user": _userz(now, {"sub": 7}),
        "userz: no iat": _userz(now, {}, "iat"),
        "userz: no exp": _userz(now, {}, "exp"),
        "userz: expired": _userz(now, {"iat": now - 7200, "exp": now - 3600}),
        "userz: issued in the future": _userz(now, {"iat": now + 3600, "exp": now + 7200}),
        "userz: too long a life": _userz(now, {"exp": now + 86_401}),
        "userz: too short a life": _userz(now, {"exp": now + 59}),
        "userz: exp in milliseconds": _userz(now, {"exp": (now + 3600) * 1000}),
        "userz: exp as a text": _userz(now, {"exp": str(now + 3600)}),
        "userz: too large a context": _userz(now, {"ctx": {"x": "y" * (2049 - len('{"x":""}'))}}),
        "userz: a list as context": _userz(now, {"ctx": ["ada@acme.com"]}),
        "userz: the hex digits as key": _userz(now, encoding="utf8"),
        "userz: the base64 text as key": _userz(now, secret=USERZ_BASE64, encoding="utf8"),
        "userz: HS512": _userz(now, header={"alg": "HS512", "typ": "JWT"}, hash="sha512"),
        "userz: HS512 by jose": _userz(now, by="userzByJose", alg="HS512", secret=USERZ_HEX * 2),
        "userz: says RS256": _userz(now, header={"alg": "RS256", "typ": "JWT"}),
        "userz: of another type": _userz(now, header={"alg": "HS256", "typ": "at+jwt"}),
        "userz: unsigned": {"by": "unsigned", "payload": userz_payload(now)},
    }


def getuserfeedback(now: int) -> dict[str, dict[str, Any]]:
    """Good tokens of an issuer's, and those that break a rule."""
    return {
        **{f"issuer: {key['kid']}": _issuer(now, kid=key["kid"]) for key in KEYS},
        "issuer: several audiences": _issuer(now, {"aud": ["https://globex.com", AUDIENCE]}),
        "issuer: another audience": _issuer(now, {"aud": "https://globex.com"}),
        "issuer: audience with a slash": _issuer(now, {"aud": AUDIENCE + "/"}),
        "issuer: no audience": _issuer(now, {}, "aud"),
        "issuer: another issuer": _issuer(now, {"iss": "https://id.initech.com"}),
        "issuer: issuer with a slash": _issuer(now, {"iss": ISSUER + "/"}),
        "issuer: no issuer": _issuer(now, {}, "iss"),
        "issuer: no user": _issuer(now, {}, "sub"),
        "issuer: no exp": _issuer(now, {}, "exp"),
        "issuer: expired": _issuer(now, {"iat": now - 900, "exp": now - 600}),
        "issuer: not before tomorrow": _issuer(now, {"nbf": now + 86_400}),
        "issuer: names another's key": _issuer(now, kid="stranger", header={"kid": "ec-1"}),
        "issuer: critical extension": _issuer(now, header={"b64": True, "crit": ["b64"]}),
        "issuer: public key as secret": {"by": "confused", "payload": issuer_payload(now), "kid": "rsa-1"},
        "issuer: unsigned": {"by": "unsigned", "payload": issuer_payload(now)},
    }


def orders(now: int) -> dict[str, dict[str, Any]]:
    """Every order, by its name."""
    return {
        **hissuno(now),
        **featurebase(now),
        **FEATUREBASE_HASHES,
        **userz(now),
        **getuserfeedback(now),
    }

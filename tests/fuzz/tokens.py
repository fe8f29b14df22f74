"""Reading and verifying tokens: the first byte says what the rest is, the second by which app's rules it is judged.

0   the rest is the token itself          1   the rest is a payload, properly signed
2   the rest is a header, properly signed 3   header and payload with a line break between, properly signed
"""

from __future__ import annotations

import json
from typing import Any, Final

import jwt

from tests.fuzz.models import canonical, sound, strict_object
from tests.properties.reference_libraries import joserfc_claims, pairs, pyjwt, same_time
from tests.properties.tokens import NOW, SECRET, good_claims, signed_bytes
from wicket import App, Gate, Refused, Rules, Secret
from wicket.config.rules import MAX_TOKEN_BYTES
from wicket.decision.token_parser import parse_token_or_raise

WORDS: Final = (
    *('"alg":"HS256"', '"typ":"JWT"', '"kid":"k"', '"crit":[]', '"b64":false', '"zip":"DEF"', '"cty":"JWT"'),
    *('"sub":"user-1"', f'"exp":{NOW + 60}', f'"iat":{NOW}', f'"nbf":{NOW}', '"iss":"https://id.example"'),
    *('"aud":"https://api.example"', '"jti":"1"', '"app":"a3"', '"ctx":{}', '"companies":[]', '"scope":"read"'),
    *('{"id":"1","name":"n"}', "\\ud800", "\\u0000", "1e400", "NaN", "[[[[[[[[", "]]]]]]", "eyJhbGciOiJIUzI1NiJ9."),
)  # fmt: skip

HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'
_REQUIRED: Final = frozenset({"sub", "exp"})
_SETTINGS: Final[tuple[dict[str, Any], ...]] = (
    {"rules": Rules(required_claims=_REQUIRED)},
    {
        "rules": Rules(required_claims=frozenset(), leeway=0, user_id_claims=("sub", "email")),
        "issuer": "https://id.example",
    },
    {"rules": Rules(required_claims=_REQUIRED, max_lifetime=7200, min_lifetime=60), "audience": "https://api.example"},
    {
        "rules": Rules(
            required_claims=_REQUIRED,
            app_claim="app",
            attributes_claim="ctx",
            companies_claim="companies",
            scopes_claim=("scope",),
            max_attributes_bytes=64,
            string_attributes_only=True,
            required_values={"v": 1},
        ),
        "allowed_scopes": ["read"],
    },
)


def _secret(index: int) -> bytes:
    return SECRET if index == 0 else bytes([index]) * 2 + SECRET


APPS: Final = tuple(
    App(f"a{index}", credentials=[Secret(_secret(index))], origins=["https://a.example"], **settings)
    for index, settings in enumerate(_SETTINGS)
)
_GATES: Final = tuple(Gate([app], clock=lambda: NOW) for app in APPS)


def check(data: bytes) -> None:
    """One input. Raises whatever is not a refusal, and `AssertionError` where the slow way disagrees."""
    kind, index, rest = data[:1], data[1:2], data[2:]
    which = index[0] % len(APPS) if index else 0
    if kind[:1] == b"1":
        _signed(HEADER, rest, which)
    elif kind[:1] == b"2":
        _signed(rest, json.dumps(good_claims()).encode(), which)
    elif kind[:1] == b"3":
        header, _, payload = rest.partition(b"\n")
        _signed(header, payload, which)
    else:
        _any_text(rest, which)


def _any_text(raw: bytes, which: int) -> None:
    text = raw.decode("utf-8", "surrogatepass") if _is_text(raw) else raw.decode("latin-1")
    decision = sound(_GATES[which].verify(text, app=APPS[which].id))
    assert not decision.allowed, "nobody signed this"
    try:
        token = parse_token_or_raise(text, MAX_TOKEN_BYTES)
    except Refused as refused:
        reason = refused.refusal.reason
    else:
        reason = None
    if reason is not None:
        assert reason in ("malformed", "too_large", "algorithm_not_allowed")
        return
    parts = text.split(".")
    assert len(parts) == 3
    assert all(canonical(part) is not None for part in parts)
    assert ".".join(parts).encode() == token.signing_input + b"." + token.signature.encode()
    head = strict_object(canonical(parts[0]) or b"")
    assert head is not None
    _same_header(head, token.header.algorithm, token.header.kid, token.header.typ)
    assert jwt.get_unverified_header(text) == head


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8", "surrogatepass")
    except ValueError:
        return False
    return True


def _same_header(head: dict[str, Any], algorithm: str, kid: str | None, typ: str | None) -> None:
    assert head["alg"] == algorithm
    assert head.get("kid") == kid
    assert head.get("typ") == typ
    assert not head.keys() & {"crit", "b64", "zip", "enc"}


def _signed(header: bytes, payload: bytes, which: int) -> None:
    gate, app = _GATES[which], APPS[which]
    token = signed_bytes(header, payload, secret=_secret(which))
    first, again = (sound(gate.verify(token, app=app.id)) for _ in range(2))
    assert (first.allowed, first.refusal) == (again.allowed, again.refusal), "what is remembered changes the answer"
    head, claims = strict_object(header), strict_object(payload)
    if not first.allowed:
        assert first.refusal is not None
        good = head == {"alg": "HS256", "typ": "JWT"} and claims is not None and len(token) <= MAX_TOKEN_BYTES
        assert not (good and first.refusal.reason in ("malformed", "bad_signature", "algorithm_not_allowed"))
        return
    assert head is not None
    assert claims is not None, "accepted, though the payload is malformed"
    _same_header(head, "HS256", head.get("kid"), head.get("typ"))
    assert first.identity.claims == again.identity.claims == claims
    _peers_agree(token, app, claims, which)


def _peers_agree(token: str, app: App, claims: dict[str, Any], which: int) -> None:
    pair = pairs()["HS256"]
    mine = type(pair)("HS256", _secret(which), _secret(which), pair.credential)
    exp = claims.get("exp")
    with same_time():
        # DESIGN section 6, an exception by name: PyJWT cuts the fraction of an exp off.
        fractional = isinstance(exp, float) and not exp.is_integer()
        assert pyjwt(mine, token, app, verify_exp=not fractional) == claims
    if "iss" not in claims or isinstance(claims["iss"], str):  # joserfc wants a string, asked for or not
        assert joserfc_claims(mine, token, app) == claims

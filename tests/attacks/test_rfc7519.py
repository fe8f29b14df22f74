"""The requirements of RFC 7519 on claims, and of RFC 9068 on access tokens, one test each."""

from __future__ import annotations

import json

from tests.attacks.clients import Behind
from tests.attacks.token_factory import NOW, app, claims, of_any_kind, public_key, secret, signed, token
from tests.support.cost import QUICKLY, steps_of

ADA = (200, "acme:ada", None)
MALFORMED = (401, "invalid_token", "malformed")
BAD_CLAIM = (401, "invalid_token", "bad_claim")
EXPIRED = (401, "invalid_token", "expired")
MISSING = (401, "invalid_token", "missing_claim")
EARLY = (401, "invalid_token", "not_yet_valid")
HEAD = {"alg": "HS256", "typ": "JWT"}


def raw(payload: str) -> str:
    """A token whose payload is exactly this text, with the app's own signature."""
    return signed(HEAD, payload, secret(), "HS256")


def with_member(name: str, value: str) -> str:
    """The honest claims with one that is spelled out, properly signed."""
    held = json.dumps({each: held for each, held in claims().items() if each != name})
    return raw(f'{held[:-1]},"{name}":{value}}}')


def test_rfc7519_4_claims_not_an_object_malformed(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(raw(json.dumps(claims()))).said == ADA
    for payload in (
        "[]",
        '["sub"]',
        '"ada"',
        "1",
        "null",
        "true",
        "{",
        "}",
        '{"sub"}',
        " ",
        "{}{}",
        json.dumps([claims()]),
    ):
        assert door.ask(raw(payload)).said == MALFORMED, payload
    assert door.ask(raw("{}")).said == MISSING


def test_rfc7519_4_1_4_exp_past_leeway_expired(behind: Behind) -> None:
    strict, lax = behind(app("acme", leeway=0)), behind(app("acme", leeway=30))
    for door, edge in ((strict, NOW), (lax, NOW - 30)):
        assert door.ask(token(exp=edge + 1)).said == ADA
        assert door.ask(token(exp=edge + 0.5)).said == ADA
        for exp in (edge, edge - 1, edge - 0.5, 0):
            assert door.ask(token(exp=exp)).said == EXPIRED, exp


def test_rfc7519_4_1_5_nbf_beyond_leeway_not_yet_valid(behind: Behind) -> None:
    strict, lax = behind(app("acme", leeway=0)), behind(app("acme", leeway=30))
    for door, edge in ((strict, NOW), (lax, NOW + 30)):
        for nbf in (edge, edge - 1, 0):
            assert door.ask(token(nbf=nbf)).said == ADA, nbf
        for early in (edge + 1, edge + 0.5, NOW * 2):
            assert door.ask(token(nbf=early)).said == EARLY, early


def test_rfc7519_2_time_not_a_valid_number_refused(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(with_member("exp", str(NOW + 60))).said == ADA
    assert door.ask(with_member("exp", f"{NOW + 60}.5")).said == ADA
    wrong = [
        f'"{NOW + 60}"',
        "true",
        "null",
        "[]",
        "{}",
        f"[{NOW + 60}]",
        '" 1_0 "',
        "-62135596801",
        "-62135596800.5",
        "1e300",
        "253402300800",
    ]
    for value in wrong:
        for name in ("exp", "nbf", "iat"):
            assert door.ask(with_member(name, value)).said == BAD_CLAIM, (name, value)
    for value in (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e999",
        "9" * 4_000,
        f"0{NOW}",
        f"+{NOW}",
        "0x7fffffff",
        "1_0",
    ):
        for name in ("exp", "nbf", "iat"):
            assert door.ask(with_member(name, value)).said == MALFORMED, (name, value)
    huge = behind(app("acme", max_token_bytes=200_000))
    digits = with_member("exp", "9" * 100_000)
    assert huge.ask(digits).said == MALFORMED
    assert steps_of(lambda: huge.gate.verify(digits, app="acme")) < QUICKLY


def test_rfc7519_4_1_3_audience_not_string_or_list_bad_claim(behind: Behind) -> None:
    door = behind(app("acme", audience="api"))
    for good in ("api", ["api"], ["x", "api"]):
        assert door.ask(token(aud=good)).said == ADA
    for bad in of_any_kind({"api": 1}, 1, True, ["api", 1], [["api"]], ["api", None]):
        assert door.ask(token(aud=bad)).said == BAD_CLAIM, bad
    for bad in ("api,x", "x api", ["ap", "i"], "API", "api ", ["api\0"]):
        assert door.ask(token(aud=bad)).said == (401, "invalid_token", "wrong_audience"), bad


def test_rfc7519_4_duplicate_claim_malformed(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(with_member("plan", '"pro"')).said == ADA
    base = json.dumps(claims())[:-1]
    for twice in (
        '"sub":"eve"',
        '"sub":"ada"',
        '"exp":1',
        '"\\u0073ub":"eve"',
        '"a":{"b":1,"b":2}',
        '"a":[{"b":1,"b":1}]',
    ):
        assert door.ask(raw(f"{base},{twice}}}")).said == MALFORMED, twice


def test_rfc7519_2_issuer_unnormalized_variant_wrong_issuer(behind: Behind) -> None:
    issuer = "https://id.acme.example/tenant"
    door = behind(app("acme", issuer=issuer))
    assert door.ask(token(iss=issuer)).said == ADA
    for other in (
        *(f"{issuer}/", issuer.upper(), "https://ID.acme.example/tenant", "https://id.acme.example:443/tenant"),
        *("https://id.acme.example/%74enant", "https://id.acme.example/./tenant", "https://id.acme.example//tenant"),
        *(f" {issuer}", f"{issuer} ", f"{issuer}?", f"{issuer}#", "http://id.acme.example/tenant", f"{issuer}\u200b"),
    ):
        assert door.ask(token(iss=other)).said == (401, "invalid_token", "wrong_issuer"), other
    assert door.ask(token(iss=[issuer])).said == BAD_CLAIM
    assert door.ask(token(sub="Ada", iss=issuer)).said == (200, "acme:Ada", None), "another user than ada"


def test_rfc7519_4_1_4_exp_absent_missing_claim(behind: Behind) -> None:
    door = behind(app(), app("lax", drop_required_claims=["exp"]))
    assert door.ask(token()).said == ADA
    assert door.ask(token(exp=None)).said == MISSING
    own = secret("lax")
    assert door.ask(token("HS256", own, exp=None), app="lax").said == (200, "lax:ada", None)
    assert door.ask(token("HS256", own, exp=NOW - 31), app="lax").said == EXPIRED


def test_rfc8259_8_2_lone_surrogate_malformed(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(with_member("plan", '"\\ud83d\\ude00"')).said == ADA
    for half in ('"\\ud800"', '"\\udfff"', '"\\udc00\\ud800"', '{"\\ud800":1}', '["\\ud83dx"]'):
        assert door.ask(with_member("plan", half)).said == MALFORMED, half
    assert door.ask(with_member("sub", '"\\ud800"')).said == MALFORMED
    assert door.ask(signed('{"alg":"HS256","kid":"\\ud800"}', claims(), secret(), "HS256")).said == MALFORMED
    refusal = door.gate.verify(token() + "\ud800", app="acme").refusal
    assert refusal is not None
    assert refusal.reason == "malformed"


def test_rfc9068_4_access_token_profile_mismatch_refused(behind: Behind) -> None:
    required = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
    settings = {"issuer": "https://id.example", "audience": "https://api.example", "required_claims": required}
    held = app(
        "acme", public_key("RS256"), allowed_typ=["at+jwt"], allowed_scopes=["read"], scopes_claim="scope", **settings
    )
    door = behind(held)
    access = {
        "iss": "https://id.example",
        "aud": "https://api.example",
        "client_id": "web",
        "jti": "1",
        "scope": "read all",
    }
    head = {"typ": "at+jwt"}
    passed = door.ask(token("RS256", header=head, **access))
    assert passed.said == ADA
    assert passed.body["scopes"] == ["read"]
    assert door.ask(token("RS256", header={"typ": "application/at+jwt"}, **access)).said == ADA
    for typ in ("JWT", "id+jwt"):
        assert door.ask(token("RS256", header={"typ": typ}, **access)).said == (401, "invalid_token", "wrong_type")
    for name in ("client_id", "jti", "iss", "aud"):
        lacking = {each: value for each, value in access.items() if each != name}
        assert door.ask(token("RS256", header=head, **lacking)).said == MISSING, name
    for name in ("sub", "iat", "exp"):
        assert door.ask(token("RS256", header=head, **{**access, name: None})).said == MISSING, name
    assert door.ask(token("RS256", header=head, **{**access, "iss": "https://id.example/"})).status == 401
    assert door.ask(token("RS256", header=head, **{**access, "aud": "https://other.example"})).status == 401
    assert door.ask(token("HS256", header=head, **access)).said == (
        401,
        "invalid_token",
        "algorithm_not_allowed",
    )

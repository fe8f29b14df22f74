"""Incidents in which claims were not held against the rules, or not exactly, or not every time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.attacks.clients import Behind
from tests.attacks.key_kinds import KEY_MODES, Held
from tests.attacks.token_factory import (
    ASYMMETRIC,
    NOW,
    app,
    credential,
    jwk,
    of_any_kind,
    private_key,
    secret,
    signed,
    token,
)
from tests.support.cost import QUICKLY, steps_of
from wicket import App, AppRef, Gate, Header, Jwks, Revocations
from wicket.keys import Credential
from wicket.testing import FakeClock
from wicket.testing.issuer import LocalIssuer

ADA = (200, "acme:ada", None)
ISSUER = "https://id.acme.example"
AUDIENCE = "https://api.acme.example"
WRONG_ISSUER = (401, "invalid_token", "wrong_issuer")
WRONG_AUDIENCE = (401, "invalid_token", "wrong_audience")
BAD_CLAIM = (401, "invalid_token", "bad_claim")
MISSING = (401, "invalid_token", "missing_claim")


def key_modes() -> dict[str, tuple[Credential, str]]:
    """Every way in which an app can hold a key, with the algorithm of its tokens."""
    held = {algorithm: (credential(algorithm), algorithm) for algorithm in ("HS256", *ASYMMETRIC)}
    return {**held, "static key set": (Jwks.static({"keys": [jwk(private_key("ES256"), kid="1")]}), "ES256")}


MODES = ["HS256", *ASYMMETRIC, "static key set"]


def test_cve_2024_53861_issuer_partial_match_wrong_issuer(behind: Behind) -> None:
    door = behind(app("acme", issuer="https://abc.example"))
    assert door.ask(token(iss="https://abc.example")).said == ADA
    for issuer in ("a", "", "abc", "https://abc.exampl", "https://abc.example.evil.example", "https://abc.example\0"):
        assert door.ask(token(iss=issuer)).said == WRONG_ISSUER, issuer
    for wrong in of_any_kind(["https://abc.example"], list("https://abc.example"), {"https://abc.example": 1}, 1, True):
        assert door.ask(token(iss=wrong)).said == BAD_CLAIM, wrong
    assert door.ask(token()).said == MISSING


def test_cve_2025_30144_issuer_list_with_trusted_value_bad_claim(behind: Behind) -> None:
    door = behind(app("acme", issuer=ISSUER))
    assert door.ask(token(iss=ISSUER)).said == ADA
    for issuers in (["https://evil.example", ISSUER], [ISSUER, "https://evil.example"], [[ISSUER]]):
        assert door.ask(token(iss=issuers)).said == BAD_CLAIM


def test_python_jose_407_audience_configured_aud_absent_missing_claim(behind: Behind) -> None:
    door = behind(app("acme", audience=AUDIENCE))
    assert door.ask(token(aud=AUDIENCE)).said == ADA
    assert door.ask(token()).said == MISSING
    assert door.ask(token(aud=[])).said == WRONG_AUDIENCE
    null = {"sub": "ada", "exp": NOW + 60, "aud": None}
    assert door.ask(signed({"alg": "HS256"}, null, secret(), "HS256")).said == BAD_CLAIM


def test_cve_2020_26160_audience_without_exact_match_refused(behind: Behind) -> None:
    door = behind(app("acme", audience=AUDIENCE))
    for good in (AUDIENCE, [AUDIENCE], ["others", AUDIENCE]):
        assert door.ask(token(aud=good)).said == ADA
    for bad in ([], [""], "", ["others"], "others", AUDIENCE[:-1], AUDIENCE + "/", [AUDIENCE.upper()]):
        assert door.ask(token(aud=bad)).said == WRONG_AUDIENCE, bad
    for wrong in of_any_kind([[AUDIENCE]], [AUDIENCE, 1], [None, AUDIENCE], {AUDIENCE: 1}, {"0": AUDIENCE}, 0, True):
        assert door.ask(token(aud=wrong)).said == BAD_CLAIM, wrong


@pytest.mark.parametrize("mode", KEY_MODES)
def test_cve_2024_5798_audience_every_key_kind_checked(behind: Behind, mode: str, issuer: LocalIssuer) -> None:
    held = Held(mode, issuer)
    door = held.door(behind, audience=AUDIENCE)
    assert door.ask(held.token(aud=AUDIENCE)).said == ADA
    assert door.ask(held.token(aud="https://api.other.example")).said == WRONG_AUDIENCE
    assert door.ask(held.token()).said == MISSING
    without = held.door(behind)
    assert without.ask(held.token()).said == ADA
    assert without.ask(held.token(aud=AUDIENCE)).said == WRONG_AUDIENCE


@pytest.mark.parametrize("mode", MODES)
def test_go_2026_5732_times_every_key_kind_checked(behind: Behind, mode: str) -> None:
    held, algorithm = key_modes()[mode]
    door = behind(app("acme", held))
    assert door.ask(token(algorithm)).said == ADA
    assert door.ask(token(algorithm, exp=NOW - 31)).said == (401, "invalid_token", "expired")
    assert door.ask(token(algorithm, nbf=NOW + 31)).said == (401, "invalid_token", "not_yet_valid")
    assert door.ask(token(algorithm, iat=NOW + 31)).said == (401, "invalid_token", "issued_in_future")
    assert door.ask(token(algorithm, exp=None)).said == MISSING


def test_cve_2026_35041_issuer_and_audience_regex_characters_literal(behind: Behind) -> None:
    door = behind(app("acme", issuer="https://id.acme.example", audience="a.c"))
    assert door.ask(token(iss=ISSUER, aud="a.c")).said == ADA
    for issuer in ("https://idXacme.example", "https://id.acmeXexample"):
        assert door.ask(token(iss=issuer, aud="a.c")).said == WRONG_ISSUER
    assert door.ask(token(iss=ISSUER, aud="abc")).said == WRONG_AUDIENCE
    greedy = behind(app("acme", issuer="(a+)+$", audience="(a|aa)+$", max_token_bytes=200_000))
    assert greedy.ask(token(iss="(a+)+$", aud="(a|aa)+$")).said == ADA
    slow = token(iss="a" * 50_000 + "!", aud="a" * 50_000 + "!")
    assert greedy.ask(slow).said == WRONG_ISSUER
    assert steps_of(lambda: greedy.gate.verify(slow, app="acme")) < QUICKLY


def test_cve_2026_41164_typ_of_other_token_kind_wrong_type(behind: Behind) -> None:
    door = behind(app(), app("api", allowed_typ=["at+jwt"]))
    own = secret("api")
    assert door.ask(token()).said == ADA
    assert door.ask(token("HS256", own, header={"typ": "at+jwt"}), app="api").said == (200, "api:ada", None)
    for typ in ("at+jwt", "logout+jwt", "application/secevent+jwt", "dpop+jwt", "JWE", "", "jwt2"):
        assert door.ask(token(header={"typ": typ})).said == (401, "invalid_token", "wrong_type"), typ
    for typ in ("JWT", "logout+jwt", "at+jwtx", "application/application/at+jwt"):
        asked = door.ask(token("HS256", own, header={"typ": typ}), app="api")
        assert asked.said == (401, "invalid_token", "wrong_type"), typ


def _registry_of(apps: dict[str, App]) -> dict[str, Any]:
    return {
        "registry": lambda ref: apps.get(ref.value) if ref.kind == "id" else None,
        "app_locations": [Header("X-App-Id")],
    }


def test_cve_2020_10594_revocation_cached_token_revoked(behind: Behind) -> None:
    apps = {"acme": app()}
    with Gate(clock=lambda: NOW, **_registry_of(apps)) as gate:
        door = behind(gate=gate)
        good = token(jti="stolen")
        assert door.ask(good).said == ADA
        assert door.ask(token(iat=None)).said == ADA
        for revocations in (
            Revocations(token_ids=frozenset({"stolen"})),
            Revocations(users={"ada": NOW}),
            Revocations(issued_before=NOW),
        ):
            apps["acme"] = app("acme", revocations=revocations)
            gate.refresh("acme", purge=True)
            assert door.ask(good).said == (401, "invalid_token", "revoked")
            if not revocations.token_ids:
                undated = door.ask(token(iat=None))
                assert undated.said == (401, "invalid_token", "revoked"), "nobody knows when it was issued"
        apps["acme"] = app("acme", revocations=Revocations(users={"eve": NOW}))
        gate.refresh("acme", purge=True)
        assert door.ask(good).said == ADA


@pytest.mark.parametrize(
    "revocations",
    [
        Revocations(token_ids=frozenset({"stolen"})),
        Revocations(users={"ada": NOW - 10}),
        Revocations(issued_before=NOW - 10),
    ],
)
def test_cve_2020_10594_revocation_fast_path_app_revoked(behind: Behind, revocations: Revocations) -> None:
    """The fast path, which an app in code uses: its bad tokens were parsed before, too."""
    door = behind(app("acme", revocations=revocations, leeway=0))
    assert door.ask(token(jti="other", iat=NOW)).said == ADA
    assert door.ask(token(jti="stolen", iat=NOW - 20)).said == (401, "invalid_token", "revoked")
    assert door.ask(token(jti="other", iat=NOW)).said == ADA


@pytest.mark.parametrize("mode", MODES)
def test_go_2026_5732_times_cached_token_rechecked(behind: Behind, mode: str) -> None:
    """A token that the fast path accepted, after it is no longer valid."""
    held, algorithm = key_modes()[mode]
    clock = FakeClock(float(NOW))
    door = behind(app("acme", held), clock=clock)
    good = token(algorithm, nbf=NOW - 60, exp=NOW + 60)
    assert door.ask(good).said == ADA
    clock.advance(89)
    assert door.ask(good).said == ADA
    assert door.gate.verify(good, app="acme").allowed
    clock.advance(1)
    assert door.ask(good).said == (401, "invalid_token", "expired")
    assert not door.gate.verify(good, app="acme").allowed
    clock.advance(-181)
    assert door.ask(good).said == (401, "invalid_token", "not_yet_valid")
    assert not door.gate.verify(good, app="acme").allowed


def test_cve_2021_32701_signature_cache_changed_rules_rechecked(behind: Behind) -> None:
    """A token that was accepted is asked about again where more is demanded, and after it has expired."""
    clock = FakeClock(float(NOW))
    apps = {"acme": app("acme", allowed_scopes=["read"], scopes_claim="scope")}
    with Gate(clock=clock, **_registry_of(apps)) as gate:
        door = behind(gate=gate)
        good = token(scope="read write", exp=NOW + 600)
        assert door.ask(good).said == ADA
        assert door.ask(good).body["scopes"] == ["read"]
        demands: dict[str, tuple[dict[str, Any], str]] = {
            "audience": ({"audience": AUDIENCE}, "missing_claim"),
            "issuer": ({"issuer": ISSUER}, "missing_claim"),
            "a claim": ({"required_claims": ["jti"]}, "missing_claim"),
            "a shorter life": ({"max_lifetime": 60}, "lifetime_too_long"),
            "a type": ({"allowed_typ": ["at+jwt"]}, "wrong_type"),
            "a smaller token": ({"max_token_bytes": 60}, "too_large"),
        }
        for what, (settings, reason) in demands.items():
            apps["acme"] = app("acme", **settings)
            gate.refresh("acme")
            door.ask(good)
            eventually = door.ask(good).said
            assert eventually == (401, "invalid_token", reason), what
        apps["acme"] = app("acme", allowed_scopes=[], scopes_claim="scope")
        gate.refresh("acme", purge=True)
        assert door.ask(good).body["scopes"] == []
        clock.advance(629)
        assert door.ask(good).said == ADA
        clock.advance(1)
        assert door.ask(good).said == (401, "invalid_token", "expired")


def test_cve_2026_35039_signature_cache_other_app_or_token_refused(behind: Behind) -> None:
    """The signature cache is keyed by the token, the app, the algorithm and the key.

    If one of them differs, the signature is verified again.
    """
    shared = credential("RS256")
    apps = [app("acme", shared, issuer="https://a.example"), app("acmer", shared, issuer="https://b.example")]
    door = behind(*apps)
    good = token("RS256", iss="https://a.example")
    assert door.ask(good).said == ADA
    assert door.ask(good, app="acmer").said == WRONG_ISSUER
    head, body, signature = good.split(".")
    for index in range(0, len(signature), 37):
        swapped = "A" if signature[index] != "A" else "B"
        changed = f"{head}.{body}.{signature[:index]}{swapped}{signature[index + 1 :]}"
        assert door.ask(changed).said == (401, "invalid_token", "bad_signature"), index
    assert door.ask(f"{head}.{token('RS256', sub='eve', iss='https://a.example').split('.')[1]}.{signature}").said == (
        401,
        "invalid_token",
        "bad_signature",
    )
    assert door.ask(good).said == ADA


def test_cve_2026_9094_tenant_token_at_other_app_refused(behind: Behind) -> None:
    apps = [app("acme", app_claim="app"), app("mallory", app_claim="app")]
    door = behind(*apps)
    own = token("HS256", secret("mallory"), app="mallory")
    assert door.ask(token(app="acme")).said == ADA
    assert door.ask(own, app="mallory").said == (200, "mallory:ada", None)
    assert door.ask(own).said == (401, "invalid_token", "bad_signature")
    assert door.ask(token("HS256", secret("mallory"), app="acme")).said == (401, "invalid_token", "bad_signature")
    for claim in ("mallory", ["acme"], None, "ACME", "acme "):
        status, code, _ = door.ask(token(app=claim)).said
        assert (status, code) == (401, "invalid_token"), claim
    asked = door.ask(token("HS256", secret("mallory"), app="acme"), app="mallory")
    assert asked.said == (401, "invalid_token", "wrong_app")
    for header in ("X-Tenant", "X-Forwarded-App-Id", "App-Id"):
        assert door.ask(own, (header, "acme"), app="mallory").said == (200, "mallory:ada", None)


def test_cve_2026_33496_signature_cache_token_at_other_app_refused(behind: Behind) -> None:
    door = behind(app(), app("other"), app("lax", allow_anonymous=True))
    good = token()
    for _ in range(3):
        assert door.ask(good).said == ADA
        assert door.ask(good, app="other").said == (401, "invalid_token", "bad_signature")
        assert door.ask(good, app="lax").said == (401, "invalid_token", "bad_signature")
        assert door.gate.verify(good, app="acme").require().identity == "acme:ada"
        for other in ("other", AppRef("id", "lax"), "nobody"):
            assert not door.gate.verify(good, app=other).allowed
            assert not asyncio.run(door.gate.averify(good, app=other)).allowed
    assert door.ask(None, app="lax").said == (200, None, None)

"""Incidents with remote key sets: their addresses, the number of fetches, the app of a set, and its cache."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.attacks.clients import Behind
from tests.attacks.token_factory import NOW, app, claims, signed, token
from tests.integration.key_set_apps import DEADLINE, Held, Told, answering, network_of
from tests.integration.servers import eventually
from wicket import App, Bearer, ConfigError, Jwks, Query, TokenIssuer
from wicket.testing import FakeClock
from wicket.testing.issuer import Exchange, LocalIssuer

ADA = (200, "acme:ada", None)
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
NOT_FOUND = (401, "invalid_token", "key_not_found")


def honest(issuer: LocalIssuer, subject: str = "ada") -> str:
    """A token of the issuer's, by the time of the gates here."""
    return issuer.token(subject, now=NOW)


def held_by(issuer: LocalIssuer, id: str = "acme") -> App:
    """An app whose key set is the issuer's."""
    return app(id, Jwks(issuer.jwks_url), issuer=issuer.issuer)


def invented(issuer: LocalIssuer, kid: str) -> str:
    """A token that names a key of the attacker's own invention."""
    key = next(iter(issuer.keys.values()))
    return signed({"alg": "ES256", "kid": kid}, claims(iss=issuer.issuer), key, "ES256")


def test_cve_2026_48522_key_set_url_scheme_not_https_config_error(behind: Behind, issuer: LocalIssuer) -> None:
    schemes = ["file:///etc/passwd", "ftp://id.example/jwks", "data:application/json,{}", "http://id.example/jwks"]
    schemes += [
        "FILE:///etc/passwd",
        "Data:,{}",
        "HTTP://id.example",
        "gopher://id.example",
        "jar:https://id.example!/",
    ]
    schemes += ["//id.example/jwks", "/jwks.json", "jwks.json", "", "https:id.example", "https:/id.example"]
    for url in schemes:
        with pytest.raises(ConfigError):
            Jwks(url)
        with pytest.raises(ConfigError):
            Jwks.discover(url)
    door = behind(held_by(issuer), network=issuer.network)
    assert door.ask(honest(issuer)).said == ADA


def test_authlib_1_8_0_url_with_userinfo_config_error(behind: Behind, issuer: LocalIssuer) -> None:
    for url in (
        *("https://localhost:80@attacker.test/jwks", "https://id.example@attacker.test", "https://a:b@id.example/"),
        *("https://id.example\\@attacker.test/", "https://id.example#@attacker.test/", "https://@id.example/"),
    ):
        with pytest.raises(ConfigError):
            Jwks(url)
        with pytest.raises(ConfigError):
            app("acme", origins=[url])
    door = behind(held_by(issuer), network=issuer.network)
    assert door.ask(honest(issuer)).said == ADA


def test_cve_2026_48524_unknown_kid_flood_failing_endpoint_keys_retained(behind: Behind, issuer: LocalIssuer) -> None:
    clock = FakeClock(1000.0)
    door = behind(held_by(issuer), network=issuer.network, monotonic=clock)
    good = honest(issuer)
    assert door.ask(good).said == ADA
    issuer.fault = answering(500)
    for number in range(50):
        status, code, _ = door.ask(invented(issuer, f"kid-{number}")).said
        assert (status, code) in ((503, "keys_unavailable"), (401, "invalid_token"))
        assert door.ask(good).said == ADA
    assert len(issuer.requests) <= 3, "the first fetch, and what a cooldown admits"


def test_ghsa_2gx3_rcp4_g85q_unknown_kid_flood_fetches_limited(behind: Behind, issuer: LocalIssuer) -> None:
    clock = FakeClock(1000.0)
    door = behind(held_by(issuer), network=issuer.network, monotonic=clock)
    assert door.ask(honest(issuer)).said == ADA
    for number in range(100):
        assert door.ask(invented(issuer, f"kid-{number}")).said == NOT_FOUND
    assert len(issuer.requests) == 3, "one, and two for kids that it lacks"
    clock.advance(30)
    for number in range(100):
        assert door.ask(invented(issuer, f"more-{number}")).said == NOT_FOUND
    assert len(issuer.requests) == 4
    assert door.ask(honest(issuer)).said == ADA


def test_ghsa_9v7f_9g4p_ffgj_key_set_redirect_not_followed(
    behind: Behind, issuer: LocalIssuer, other: LocalIssuer
) -> None:
    door = behind(held_by(issuer), network=network_of(issuer, other))
    for status in (301, 302, 303, 307, 308):
        issuer.fault = answering(status, headers={"Location": other.jwks_url})
        door.gate.refresh("acme", purge=True)
        assert door.ask(honest(other)).said == (503, "config_invalid", None), status
    assert other.requests == []
    issuer.fault = None
    door.gate.refresh("acme", purge=True)
    assert door.ask(honest(issuer)).said == ADA


def test_cve_2026_49478_discovery_redirect_not_followed_no_credentials(
    behind: Behind, issuer: LocalIssuer, other: LocalIssuer
) -> None:
    seen: list[dict[str, str]] = []

    def redirect(exchange: Exchange) -> None:
        seen.append({name.lower(): value for name, value in exchange.headers.items()})
        exchange.answer(302, headers={"Location": f"{other.issuer}/.well-known/openid-configuration"})

    issuer.fault = redirect
    door = behind(app("acme", Jwks.discover(issuer.issuer)), network=network_of(issuer, other))
    assert door.ask(honest(other), ("Cookie", "session=1")).said == (503, "config_invalid", None)
    assert seen
    for headers in seen:
        assert not {"authorization", "cookie", "proxy-authorization"} & headers.keys()
    assert other.requests == []
    issuer.fault = None
    door.gate.refresh("acme", purge=True)
    assert door.ask(honest(issuer)).said == ADA


def test_cve_2026_32871_key_set_url_request_input_not_interpolated(behind: Behind, issuer: LocalIssuer) -> None:
    for url in (
        *("https://id.example/{tenant}/jwks", "https://id.example/../jwks", "https://id.example/a/%2e%2e/jwks"),
        *("https://id.example/./jwks", "https://{tenant}.example/jwks", "https://id.example/%(tenant)s/jwks"),
    ):
        with pytest.raises(ConfigError):
            Jwks(url)
    door = behind(held_by(issuer), network=issuer.network, app_locations=[Query("app")])
    good = honest(issuer)
    assert door.ask(good, app=None, query="app=acme").said == ADA
    for name in ("../acme", "acme/../../x", "acme?x=1", "acme%23", "acme%2f..%2fx", "%2e%2e", "acme%00", "acme;x"):
        assert door.ask(good, app=None, query=f"app={name}").said == (401, "unknown_app", None), name
    assert set(issuer.requests) == {"/.well-known/jwks.json"}


def test_cve_2026_32301_unverified_issuer_unknown_app_without_request(behind: Behind, issuer: LocalIssuer) -> None:
    door = behind(held_by(issuer), app("other"), network=issuer.network, app_locations=[TokenIssuer()])
    assert door.ask(honest(issuer), app=None).said == ADA
    asked = len(issuer.requests)
    key = next(iter(issuer.keys.values()))
    for name in (
        *(f"{issuer.issuer}/../x", f"{issuer.issuer}@attacker.test", f"{issuer.issuer}#x", f"{issuer.issuer}?x"),
        *(
            "https://attacker.test",
            "https://169.254.169.254/latest",
            "file:///etc/passwd",
            "../../x",
            f"{issuer.issuer}/",
        ),
    ):
        forged = signed({"alg": "ES256", "kid": "key-1"}, claims(iss=name, aud=name, tenant=name), key, "ES256")
        assert door.ask(forged, app=None).said == (401, "unknown_app", None), name
    assert len(issuer.requests) == asked


def test_cve_2026_49998_same_kid_of_other_app_bad_signature(
    behind: Behind, issuer: LocalIssuer, other: LocalIssuer
) -> None:
    assert set(issuer.keys) == set(other.keys) == {"key-1"}
    door = behind(held_by(issuer), held_by(other, "globex"), network=network_of(issuer, other))
    forged = signed({"alg": "ES256", "kid": "key-1"}, claims(iss=other.issuer), issuer.keys["key-1"], "ES256")
    assert door.ask(honest(issuer)).said == ADA
    assert door.ask(forged, app="globex").said == BAD_SIGNATURE
    assert door.ask(honest(other), app="globex").said == (200, "globex:ada", None)
    assert door.ask(forged, app="globex").said == BAD_SIGNATURE
    assert door.ask(honest(issuer), app="globex").said == BAD_SIGNATURE
    door.gate.refresh("acme", purge=True)
    door.gate.refresh("globex", purge=True)
    together = threading.Barrier(8)

    def ask(index: int) -> tuple[int, str | None, str | None]:
        together.wait(DEADLINE)
        texts = ((honest(issuer), "acme"), (forged, "globex"), (honest(other), "globex"), (honest(other), "acme"))
        text, name = texts[index % 4]
        return door.ask(text, app=name).said

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(ask, range(8)))
    assert said == [ADA, BAD_SIGNATURE, (200, "globex:ada", None), BAD_SIGNATURE] * 2


def test_cve_2024_45809_two_tokens_during_key_set_load_invalid_request(behind: Behind, issuer: LocalIssuer) -> None:
    held = Held(issuer)
    places = [Bearer(), Query("jwt")]
    two = app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer, token_locations=places)
    door = behind(two, network=issuer.network)
    good = honest(issuer)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(door.ask, good) for _ in range(3)]
        assert held.entered.wait(DEADLINE)
        asked = door.ask(good, query=f"jwt={honest(issuer, 'eve')}")
        assert asked.said == (400, "invalid_request", None)
        held.release()
        assert [each.result(DEADLINE).said for each in waiting] == [ADA] * 3
    assert len(issuer.requests) == 1


def test_cve_2025_22149_withdrawn_key_key_not_found(behind: Behind, issuer: LocalIssuer) -> None:
    clock = FakeClock(1000.0)
    door = behind(held_by(issuer), network=issuer.network, monotonic=clock)
    old = honest(issuer)
    assert door.ask(old).said == ADA
    issuer.rotate()
    issuer.remove("key-1")
    clock.advance(3601)
    assert door.ask(honest(issuer)).said == ADA
    eventually("the set is the new one", lambda: door.ask(old).said == NOT_FOUND)
    assert door.ask(honest(issuer)).said == ADA


def test_ghsa_8wjv_2p76_3863_key_set_deeply_nested_not_json(behind: Behind, issuer: LocalIssuer) -> None:
    told = Told()
    door = behind(held_by(issuer), network=issuer.network, on_event=told)
    good = honest(issuer)
    (key,) = issuer.document()["keys"]
    whole = "[" * 100_000 + "]" * 100_000
    within = json.dumps({"keys": [{**key, "x5c": "deep"}]}).replace('"deep"', whole)
    for deep in ("[" * 100_000, whole, '{"keys":' * 30_000, '{"keys":[' + "[" * 100_000, within):
        assert door.ask(good).said == ADA
        issuer.fault = answering(200, deep.encode(), {"Content-Type": "application/json"})
        door.gate.refresh("acme", purge=True)
        asked = len(issuer.requests)
        for text in (good, invented(issuer, "another"), good):
            assert door.ask(text).said[0] == 503, deep[:20]
        assert len(issuer.requests) == asked + 1, "what trying again will not mend is not asked for by each request"
        issuer.fault = None
        door.gate.refresh("acme", purge=True)
        assert door.ask(good).said == ADA
    assert told.outcomes() == ["loaded", *["not_json", "loaded"] * 5]


def test_cve_2021_21378_optional_path_unknown_issuer_token_refused(behind: Behind, issuer: LocalIssuer) -> None:
    door = behind(held_by(issuer), network=issuer.network, paths={"optional": ["/open"]})
    assert door.ask(path="/open").said == (200, None, None)
    assert door.ask(honest(issuer), path="/open").said == ADA
    key = issuer.keys["key-1"]
    stranger = signed({"alg": "ES256", "kid": "key-1"}, claims(iss="https://evil.example"), key, "ES256")
    assert door.ask(stranger, path="/open").said == (401, "invalid_token", "wrong_issuer")
    assert door.ask(token(), path="/open").said == (401, "invalid_token", "algorithm_not_allowed")
    assert door.ask("garbage", path="/open").said == (401, "invalid_token", "malformed")
    lobby = behind(
        app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer, allow_anonymous=True), network=issuer.network
    )
    assert lobby.ask().said == (200, None, None)
    assert lobby.ask(stranger).said == (401, "invalid_token", "wrong_issuer")

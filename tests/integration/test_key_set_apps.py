"""Each app has its own key sets: no key of another app, two sources, local keys; a vendor's app end to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest

from tests.integration.key_set_apps import (
    Headers,
    Held,
    Told,
    answering,
    app_of,
    ask_asgi,
    ask_wsgi,
    gate_of,
    headers_of,
    held_at,
    network_of,
    planned_waits,
    said,
    ticking,
)
from wicket import Decision, Gate, Jwks, Mode, PublicKey, Refusal, Request, profiles
from wicket.testing.issuer import LocalIssuer

# --- nothing is shared


@pytest.mark.parametrize("order", ["one first", "other first", "both at once"])
def test_key_set_same_kid_two_apps_foreign_token_bad_signature(
    issuer: LocalIssuer, other: LocalIssuer, order: str
) -> None:
    claims = {"iss": "https://id.example", "sub": "ada", "exp": int(time.time()) + 600}
    tokens = {
        name: jwt.encode(claims, each.keys["key-1"], "ES256", {"kid": "key-1"})
        for name, each in (("one", issuer), ("other", other))
    }
    apps = [
        profiles.generic(name, issuer="https://id.example", credentials=[Jwks(each.jwks_url)])
        for name, each in (("one", issuer), ("other", other))
    ]
    with gate_of(issuer, *apps, network=network_of(issuer, other)) as gate, ThreadPoolExecutor(4) as threads:
        if order == "both at once":
            pairs = [(token, app) for token in tokens for app in tokens] * 5
        else:
            first = order.partition(" ")[0]
            names = sorted(tokens, key=lambda name: name != first)
            pairs = [(token, app) for app in names for token in (app, *names)] * 2
        workers = 4 if order == "both at once" else 1
        asked: Callable[[tuple[str, str]], Decision] = lambda pair: gate.verify(tokens[pair[0]], app=pair[1])  # noqa: E731
        decisions = list(threads.map(asked, pairs)) if workers > 1 else [asked(pair) for pair in pairs]
        for (token, app), decision in zip(pairs, decisions, strict=True):
            assert said(decision) == ("allowed" if token == app else "invalid_token bad_signature")
            assert decision.identity.app_id == app
    # A bad signature by a known kid asks each set again, within its budget.
    assert max(len(issuer.requests), len(other.requests)) <= 1 + 2


def test_key_set_same_url_two_apps_cached_separately(issuer: LocalIssuer) -> None:
    clock, told = ticking(), Told()
    token = issuer.token("ada")
    with gate_of(issuer, app_of(issuer), app_of(issuer, "twin"), monotonic=clock, on_event=told) as gate:
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert (held_at(gate, "acme"), held_at(gate, "twin")) == (clock.now, None)
        assert said(gate.verify(token, app="twin")) == "allowed"
        assert (len(told.fetched("acme")), len(told.fetched("twin")), len(issuer.requests)) == (1, 1, 2)
        issuer.rotate()
        issuer.remove("key-1")
        gate.refresh("acme")
        assert said(gate.verify(token, app="acme")) == "invalid_token key_not_found"
        assert said(gate.verify(token, app="twin")) == "allowed", "its own set is fresh"


def test_key_set_two_sources_keys_bound_to_their_issuer(issuer: LocalIssuer, other: LocalIssuer) -> None:
    sources = [Jwks(issuer.jwks_url, issuer=issuer.issuer), Jwks(other.jwks_url, issuer=other.issuer)]
    app = profiles.generic("acme", credentials=sources)
    with gate_of(issuer, app, network=network_of(issuer, other)) as gate:
        for each, stranger in ((issuer, other), (other, issuer)):
            assert said(gate.verify(each.token("ada"), app="acme")) == "allowed"
            assert said(gate.verify(each.token("ada", iss=stranger.issuer), app="acme")) == "invalid_token wrong_issuer"
        other.fault = answering(500)
        gate.refresh("acme", purge=True)
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
        assert said(gate.verify(other.token("ada"), app="acme")) == "keys_unavailable", "nobody can tell"


def test_key_set_down_local_key_allowed_other_token_config_invalid(issuer: LocalIssuer, other: LocalIssuer) -> None:
    (member,) = other.document()["keys"]
    local = PublicKey.from_jwk({name: value for name, value in member.items() if name != "kid"})
    issuer.fault = answering(500)
    with gate_of(issuer, app_of(issuer, credentials=[local, Jwks(issuer.jwks_url)])) as gate:
        mine = other.token("ada", iss=issuer.issuer)
        assert said(gate.verify(mine, app="acme")) == "allowed"
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
        assert said(gate.verify(mine, app="acme")) == "allowed"


def test_key_set_hanging_local_kid_verified_without_waiting(
    issuer: LocalIssuer, other: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = PublicKey.from_jwk({**other.document()["keys"][0], "kid": "local"})
    token = jwt.encode(
        {"iss": issuer.issuer, "sub": "ada", "exp": int(time.time()) + 600},
        other.keys["key-1"],
        "ES256",
        {"kid": "local"},
    )
    hanging = Held(issuer)
    with gate_of(issuer, app_of(issuer, credentials=[local, Jwks(issuer.jwks_url)])) as gate:
        waits = planned_waits(monkeypatch)
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert sum(waits) == 0
        hanging.release()


# --- getuserfeedback, end to end

Door = Callable[[Gate, Headers], tuple[int, dict[str, Any]]]


def _asgi(gate: Gate, headers: Headers) -> tuple[int, dict[str, Any]]:
    return asyncio.run(ask_asgi(gate, headers))


AUDIENCE = "https://api.getuserfeedback.com"


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.LOG_ONLY], ids=["enabled", "disabled"])
@pytest.mark.parametrize("door", [_asgi, ask_wsgi], ids=["asgi", "wsgi"])
def test_getuserfeedback_both_modes_expected_status_and_event(issuer: LocalIssuer, door: Door, mode: Mode) -> None:
    jwks = Jwks(issuer.jwks_url)
    wrong = Jwks(issuer.jwks_url.replace("jwks.json", "nothing"))
    seen: list[object] = []
    apps = [
        profiles.getuserfeedback(id, issuer=f"{issuer.issuer}/{id}", credentials=credentials, mode=mode)
        for id, credentials in (("globex", [jwks]), ("unset", []), ("broken", [wrong]))
    ]

    def token(app: str, **claims: Any) -> Headers:
        text = issuer.token("user_2abc", **{"iss": f"{issuer.issuer}/{app}", "aud": AUDIENCE, **claims})
        return [("Authorization", f"Bearer {text}")]

    with gate_of(issuer, *apps, on_event=seen.append) as gate:
        status, body = door(gate, token("globex"))
        assert (status, body) == (200, {"user": "user_2abc"}), "the token's own issuer names the app"
        for headers, code in (
            ([("X-App-Id", "globex")], "missing_token"),
            (token("unset"), "config_missing"),
            (token("broken"), "config_invalid"),
            (token("globex", exp=1), "invalid_token"),
            (token("globex", aud="https://elsewhere.example"), "invalid_token"),
        ):
            status, body = door(gate, headers)
            if mode is Mode.ENFORCE:
                assert (status, body["error"]) == (503 if code == "config_invalid" else 401, code)
            else:
                assert (status, body) == (200, {"user": None}), "it passes as anonymous"
            assert getattr(seen[-1], "code", None) == code, "and is reported in either mode"
            assert getattr(seen[-1], "enforced", None) is (mode is Mode.ENFORCE)
        issuer.rotate()
        assert door(gate, token("globex"))[0] == 200


@pytest.mark.parametrize("door", [_asgi, ask_wsgi], ids=["asgi", "wsgi"])
def test_key_set_outage_503_with_retry_after(issuer: LocalIssuer, door: Door) -> None:
    clock = ticking()
    with gate_of(issuer, monotonic=clock) as gate:
        gate.verify(issuer.token("ada"), app="acme")
        clock.advance(300 + 3600)
        issuer.fault = answering(503, headers={"Retry-After": "120"})
        status, body = door(gate, headers_of(issuer.token("ada")))
        decision = gate.decide(Request(headers=headers_of(issuer.token("ada"))))
    assert (status, body["error"]) == (503, "keys_unavailable")
    assert isinstance(decision.refusal, Refusal)
    assert decision.refusal.retry_after is not None
    assert 115 <= decision.refusal.retry_after <= 120

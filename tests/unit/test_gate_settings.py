"""The arguments of a gate: defaults, problems, warnings at the start, and a TOML file."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate_harness import Registry, acme_two, code, messages, over
from tests.support.unit import (
    BY_HEADER,
    KEY,
    NOW,
    ORIGIN,
    acme,
    asks,
    claims,
    gate_of,
    jwk,
    private_key,
    problems_of,
    secret,
    token,
)
from wicket import (
    App,
    Bearer,
    ConfigError,
    DecisionEvent,
    Gate,
    Header,
    Jwks,
    Mode,
    Query,
    Request,
    Rules,
    Secret,
    TokenIssuer,
)
from wicket.config.app import BrokenApp

# --- defaults


def test_gate_apps_and_repr_contain_each_app_once() -> None:
    apps = [acme(publishable_key="pub_acme"), acme_two(hosts=["two.example"])]
    with gate_of(*apps) as gate:
        assert gate.apps == tuple(apps)
        assert repr(gate) == "Gate(name='wicket', apps=2, registry=False)"


def test_gate_broken_configured_app_config_invalid_and_others_allowed() -> None:
    broken = BrokenApp("broken", publishable_key="pub_broken")
    with Gate([broken, acme(), acme_two()], clock=lambda: NOW) as gate:
        assert code(gate.decide(asks(token(), app="broken"))) == "config_invalid"
        assert gate.decide(asks(token())).allowed
        assert gate.broken_apps == (broken,)
        assert [app.id for app in gate.apps] == ["acme", "two"]


def test_gate_app_locations_default_to_those_of_all_apps() -> None:
    two = acme_two(app_locations=[Query("appId"), *BY_HEADER])
    with gate_of(acme(), two) as gate:
        assert gate.app_locations == (Header("X-App-Id"), Query("appId"))
    with gate_of(acme(), two, app_locations=[Query("x")]) as gate:
        assert gate.app_locations == (Query("x"),)


def test_gate_token_locations_default_to_those_of_apps() -> None:
    apps = (acme(token_locations=[Header("X-Token")], issuer="https://id"), acme_two(issuer="https://two"))
    request = Request(headers=[("X-Token", token(claims(iss="https://id")))])
    with gate_of(*apps, app_locations=[TokenIssuer()]) as gate:
        assert gate.decide(request).allowed
    with gate_of(*apps, app_locations=[TokenIssuer()], token_locations=[Bearer()]) as gate:
        assert code(gate.decide(request)) == "unknown_app"


def test_gate_realm_defaults_to_name() -> None:
    with gate_of(acme(), name="widgets") as gate:
        assert (gate.name, gate.realm, gate.error_docs) == ("widgets", "widgets", None)
    with gate_of(acme(), realm="Our API", error_docs="https://docs/") as gate:
        assert (gate.name, gate.realm, gate.error_docs) == ("wicket", "Our API", "https://docs/")


def test_gate_settings_has_every_argument() -> None:
    app = acme(token_locations=[Header("X-Token")])
    with gate_of(app, name="widgets") as gate:
        settings = gate.settings
        assert (settings.apps, settings.name, settings.realm) == ((app,), "widgets", "widgets")
        assert (settings.registry, settings.token_locations) == (None, (Header("X-Token"),))
        assert settings.limits is gate.limits


def test_gate_unknown_argument_raises_type_error() -> None:
    unknown: Any = {"colour": "blue"}
    with pytest.raises(TypeError, match="colour"):
        Gate([acme()], **unknown)


# --- problems


UNNAMED = "must not be empty if the gate has several apps"


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"apps": ["acme"]}, "apps[0]", "is not an App"),
        ({"apps": [acme(), acme(credentials=[])]}, "apps", "two apps have the id 'acme'"),
        (
            {"apps": [acme(publishable_key="pub"), acme_two(publishable_key="pub")]},
            "apps",
            "the apps 'acme' and 'two' have the publishable key 'pub'",
        ),
        (
            {"apps": [acme(hosts=["A.b"]), acme_two(hosts=["a.B"])]},
            "apps",
            "the apps 'acme' and 'two' have the host 'a.b'",
        ),
        (
            {"apps": [acme(), acme_two(credentials=[secret(kid="other")])]},
            "apps",
            "the apps 'acme' and 'two' have the same secret",
        ),
        ({"apps": [acme(app_locations=()), acme_two(app_locations=())]}, "app_locations", UNNAMED),
        (
            {"apps": [acme()], "app_locations": ["X-App-Id"]},
            "app_locations[0]",
            "is not a valid AppLocation",
        ),
        ({"apps": [acme()], "app_locations": [Bearer()]}, "app_locations[0]", "is not a valid AppLocation"),
        ({"apps": [acme()], "network": 5}, "network", "must be a Network"),
        ({"apps": [acme()], "fetcher": 5}, "fetcher", "must be a function"),
        (
            {"apps": [acme()], "token_locations": ["X-Token"]},
            "token_locations[0]",
            "is not a valid TokenLocation",
        ),
        ({"apps": [acme()], "mode": "enforce"}, "mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None"),
        ({"apps": [acme()], "name": "my gate"}, "name", "must be an identifier"),
        ({"apps": [acme()], "name": 5}, "name", "must be an identifier"),
        (
            {"registry": 5, "app_locations": BY_HEADER},
            "registry",
            "must be a function that takes an AppRef and returns an App or None, or AsyncRegistry",
        ),
        ({"registry": Registry()}, "app_locations", "must be set if a registry loads the apps"),
    ],
)
def test_gate_invalid_configuration_problem_has_its_path(settings: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(lambda: Gate(**settings)) == {path: message}


@pytest.mark.parametrize(
    "settings", [{"apps": acme()}, {"apps": 5}, {"app_locations": 5}, {"apps": [acme()], "token_locations": 5}]
)
def test_gate_list_setting_not_a_list_raises_config_error(settings: dict[str, Any]) -> None:
    problems_of(lambda: Gate(**settings))


def test_gate_several_invalid_settings_all_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        Gate([acme(app_locations=()), 5], registry=5, mode=5, name="")  # type: ignore[list-item,arg-type]
    assert {problem.path for problem in caught.value.problems} == {
        "apps[1]",
        "registry",
        "app_locations",
        "mode",
        "name",
    }


def test_gate_shared_issuer_without_token_issuer_location_allowed() -> None:
    gate_of(acme(issuer="i"), acme_two(issuer="i")).close()


def test_gate_without_apps_unknown_app() -> None:
    with Gate() as gate:
        assert code(gate.decide(asks(token()))) == "unknown_app"


async def hear_later(event: DecisionEvent) -> None:
    return None


class HearsLater:
    async def __call__(self, event: object) -> None:
        """Take any event."""


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"realm": 5}, "realm", "must be a string"),
        ({"error_docs": b"https://docs/"}, "error_docs", "must be a string"),
        ({"on_event": 5}, "on_event", "must be a function of one event that is not async"),
        ({"on_event": hear_later}, "on_event", "must be a function of one event that is not async"),
        ({"on_event": HearsLater()}, "on_event", "must be a function of one event that is not async"),
        ({"clock": NOW}, "clock", "must be a function that returns the seconds since 1970"),
        ({"limits": {"load_timeout": 5}}, "limits", "must be a Limits object"),
        ({"app_locations": [TokenIssuer]}, "app_locations[0]", "is not a valid AppLocation"),
        ({"token_locations": [Bearer]}, "token_locations[0]", "is not a valid TokenLocation"),
    ],
)
def test_gate_setting_of_wrong_type_is_a_problem(settings: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(lambda: Gate([acme()], **settings)) == {path: message}


def test_gate_empty_location_lists_are_kept() -> None:
    with gate_of(acme(issuer="https://id"), app_locations=[], token_locations=[]) as gate:
        assert gate.app_locations == ()
        assert gate.token_locations == ()
        assert gate.decide(
            asks(token(claims(iss="https://id")), app="other")
        ).allowed  # the name in the request is not read
    assert problems_of(lambda: gate_of(acme(), acme_two(), app_locations=[])) == {"app_locations": UNNAMED}


def digest_and_long() -> tuple[bytes, bytes]:
    long = bytes(range(65))
    return long, hashlib.sha256(long).digest()


@pytest.mark.parametrize("values", [(KEY, KEY), (KEY, KEY + b"\0"), digest_and_long()])
def test_gate_secrets_equal_for_hmac_are_a_problem(values: tuple[bytes, bytes]) -> None:
    first, second = values
    same = {"apps": "the apps 'acme' and 'two' have the same secret"}
    for one, other in ((first, second), (second, first)):
        apps = acme(credentials=[Secret(one)]), acme_two(credentials=[Secret(other)])
        assert token(key=one) == token(key=other)
        assert problems_of(lambda apps=apps: gate_of(*apps)) == same  # type: ignore[misc]


# --- warnings at the start


@pytest.mark.parametrize(
    ("settings", "gate", "warned"),
    [
        ({"origins": []}, {}, True),
        ({"origins": [], "mode": Mode.LOG_ONLY}, {}, False),
        ({"origins": [ORIGIN]}, {}, False),
        ({"origins": ["*"]}, {}, False),
        ({"origins": [], "mode": Mode.LOG_ONLY}, {"mode": Mode.ENFORCE}, True),
        ({"origins": []}, {"mode": Mode.LOG_ONLY}, False),
    ],
)
def test_gate_app_without_origins_warns_only_when_enforcing(
    settings: dict[str, Any], gate: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gate_of(acme(**settings), **gate).close()
    assert ("app acme: it has no origins, so every origin is allowed" in messages(caplog)) is warned


@pytest.mark.parametrize("mode", list(Mode))
def test_gate_mode_override_is_logged(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    gate_of(acme(), mode=mode).close()
    assert messages(caplog) == [f"gate wicket: the mode {mode.value} overrides the mode of every app"]


SHARED = (
    "apps acme and two accept each other's tokens: same key and audience."
    " Set app_claim, issuer or audience to separate them."
)


@pytest.mark.parametrize(
    ("first", "second", "warned"),
    [
        ({}, {}, True),
        ({"audience": "api"}, {"audience": ["api", "b"]}, True),
        ({"audience": "a"}, {"audience": "b"}, False),
        ({"audience": "a"}, {}, False),
        ({"issuer": "a"}, {"issuer": "b"}, False),
        ({"issuer": "a"}, {"issuer": "a"}, True),
        ({"issuer": "a"}, {}, True),
        ({"rules": Rules(app_claim="app")}, {"rules": Rules(app_claim="app")}, False),
        ({"rules": Rules(app_claim="app")}, {}, True),
        ({}, {"rules": Rules(app_claim="app")}, True),
    ],
)
def test_gate_apps_accepting_each_others_tokens_warns(
    first: dict[str, Any], second: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Jwks.static({"keys": [jwk(private_key("ES256"))]})
    shared: dict[str, Any] = {"credentials": [keys], "origins": [ORIGIN]}
    gate_of(acme(**{**shared, **first}), acme_two(**{**shared, **second})).close()
    assert (SHARED in messages(caplog)) is warned


def test_gate_app_with_same_key_twice_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    gate_of(acme(credentials=[secret(), secret(kid="k1")])).close()
    assert caplog.records == []


def test_gate_without_apps_or_registry_warns(caplog: pytest.LogCaptureFixture) -> None:
    Gate().close()
    assert messages(caplog) == ["gate wicket: it has no apps and no registry, so every request is refused"]
    caplog.clear()
    over(Registry()).close()
    assert messages(caplog) == []


def test_p4_gate_static_key_set_with_unusable_keys_warns(caplog: pytest.LogCaptureFixture) -> None:
    members = [jwk(private_key("ES256"), kid="a"), {"kty": "oct"}, {**jwk(private_key("ES384")), "use": "enc"}]
    Gate([acme(credentials=[secret(), Jwks.static({"keys": members})])]).close()
    assert [message for message in messages(caplog) if "credentials" in message] == [
        "app acme: credentials[1]: keys are not used: keys[1]: a secret (kty oct) is never taken from a key set; "
        "keys[2]: its use is not sig"
    ]


def test_gate_app_unreachable_by_app_locations_warns(caplog: pytest.LogCaptureFixture) -> None:
    by_key = [Header("X-Key", "publishable_key")]
    gate_of(acme(publishable_key="pub_acme"), acme_two(origins=[ORIGIN]), app_locations=by_key).close()
    assert messages(caplog) == ["app two: no app location of the gate can name it"]
    caplog.clear()
    both = acme(issuer="https://one"), acme_two(issuer="https://one", origins=[ORIGIN])
    gate_of(*both, app_locations=[TokenIssuer()]).close()
    assert messages(caplog) == [f"app {id}: no app location of the gate can name it" for id in ("acme", "two")]


def test_gate_three_apps_sharing_key_warns_for_each_pair(caplog: pytest.LogCaptureFixture) -> None:
    keys = Jwks.static({"keys": [jwk(private_key("ES256"))]})
    shared: dict[str, Any] = {"credentials": [keys], "origins": [ORIGIN]}
    third = App("three", app_locations=BY_HEADER, **shared)
    gate_of(acme(**shared), acme_two(**shared), third).close()
    assert [text.split(" accept ")[0] for text in messages(caplog)] == [
        "apps acme and two",
        "apps acme and three",
        "apps two and three",
    ]


# --- a TOML file


def test_gate_from_file_keyword_settings_override_file(tmp_path: Path) -> None:
    path = tmp_path / "wicket.toml"
    (tmp_path / "acme.key").write_text(KEY.hex())
    path.write_text(
        textwrap.dedent(
            """
            [gate]
            name = "widgets"

            [[apps]]
            id = "acme"

            [[apps.credentials]]
            kind = "secret"
            encoding = "hex"
            file = "acme.key"
            """
        )
    )
    with Gate.from_file(path, clock=lambda: NOW) as gate:
        assert gate.name == "widgets"
        assert gate.decide(asks(token())).require().app_id == "acme"
    with Gate.from_file(str(path), name="other") as gate:
        assert gate.name == "other"

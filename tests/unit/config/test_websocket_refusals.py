"""`WebSocketRefusals`: the close codes, and where the setting comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.toml_files import problems_of as problems_of_file
from tests.support.toml_files import write
from tests.support.unit import acme, problems_of
from wicket import Gate, Refusal, WebSocketRefusals, profiles
from wicket.config.websocket_refusals import close_reason

SAYS = WebSocketRefusals(accept=True)


@pytest.mark.parametrize(
    ("refusal", "code", "reason"),
    [
        (Refusal("missing_token"), 4401, "missing_token"),
        (Refusal("invalid_token", "expired"), 4401, "expired"),
        (Refusal("invalid_request", detail="Two tokens."), 4400, "invalid_request"),
        (Refusal("origin_not_allowed"), 4403, "origin_not_allowed"),
        (Refusal("rate_limited", detail="Slowly."), 4429, "rate_limited"),
        (Refusal("keys_unavailable"), 4503, "keys_unavailable"),
        (Refusal("internal_error"), 4503, "internal_error"),
    ],
)
def test_websocket_refusals_default_codes(refusal: Refusal, code: int, reason: str) -> None:
    assert WebSocketRefusals().code_for(refusal) == code
    assert close_reason(refusal) == reason


def test_websocket_refusals_listed_codes_replace_defaults() -> None:
    refusals = WebSocketRefusals(codes={401: 3000, 503: 1008})
    assert refusals.code_for(Refusal("missing_token")) == 3000
    assert refusals.code_for(Refusal("internal_error")) == 1008
    assert refusals.code_for(Refusal("origin_not_allowed")) == 4403
    assert refusals.accept is False


def test_websocket_refusals_status_without_code_is_policy_violation() -> None:
    class Teapot(Refusal):
        @property
        def status(self) -> int:
            return 418

    assert WebSocketRefusals().code_for(Teapot("missing_token")) == 1008


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"accept": 1}, "accept"),
        ({"codes": [4401]}, "codes"),
        ({"codes": {399: 4401}}, "codes[399]"),
        ({"codes": {600: 4401}}, "codes[600]"),
        ({"codes": {"401": 4401}}, "codes['401']"),
        ({"codes": {True: 4401}}, "codes[True]"),
        ({"codes": {401: 1000}}, "codes[401]"),
        ({"codes": {401: 2999}}, "codes[401]"),
        ({"codes": {401: 5000}}, "codes[401]"),
        ({"codes": {401: "4401"}}, "codes[401]"),
        ({"codes": {401: True}}, "codes[401]"),
    ],
)
def test_websocket_refusals_invalid_config_error(settings: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: WebSocketRefusals(**settings))) == [path]


def test_app_websocket_refusals_of_wrong_type_config_error() -> None:
    assert problems_of(lambda: acme(websocket_refusals=True)) == {"websocket_refusals": "must be WebSocketRefusals"}
    assert acme().websocket_refusals == WebSocketRefusals()


def test_profile_websocket_refusals_used_by_its_apps_and_replaced_by_an_app() -> None:
    says = profiles.generic.extend(websocket_refusals=SAYS)
    assert says("acme").websocket_refusals is SAYS
    other = WebSocketRefusals(codes={401: 4001})
    assert says("acme", websocket_refusals=other).websocket_refusals is other
    assert profiles.generic("acme").websocket_refusals.accept is False


def test_toml_websocket_refusals_read(tmp_path: Path) -> None:
    text = '[[apps]]\nid = "acme"\n[apps.websocket_refusals]\naccept = true\ncodes = { 401 = 4001, "403" = 4003 }\n'
    with Gate.from_file(write(tmp_path, text)) as gate:
        assert gate.apps[0].websocket_refusals == WebSocketRefusals(accept=True, codes={401: 4001, 403: 4003})


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("5", "apps[0].websocket_refusals"),
        ("{ colour = 1 }", "apps[0].websocket_refusals.colour"),
        ("{ accept = 1 }", "apps[0].websocket_refusals.accept"),
        ("{ codes = 5 }", "apps[0].websocket_refusals.codes"),
        ("{ codes = { unauthorized = 4401 } }", "apps[0].websocket_refusals.codes['unauthorized']"),
        ("{ codes = { 401 = 1000 } }", "apps[0].websocket_refusals.codes[401]"),
    ],
)
def test_toml_websocket_refusals_invalid_config_error(tmp_path: Path, setting: str, path: str) -> None:
    text = f'[[apps]]\nid = "acme"\nwebsocket_refusals = {setting}\n'
    assert list(problems_of_file(tmp_path, text, strict=True)) == [path]

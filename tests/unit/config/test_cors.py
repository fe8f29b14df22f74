"""`CORS`: valid values, and where the settings come from: the gate, an app, a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.toml_files import problems_of as problems_of_file
from tests.support.toml_files import write
from tests.support.unit import ANYTHING, acme, gate_of, problems_of
from wicket import CORS, Gate, profiles


def test_cors_defaults() -> None:
    cors = CORS()
    assert (cors.credentials, cors.expose, cors.max_age, cors.private_network) == (False, (), 600, False)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"credentials": 1}, "credentials"),
        ({"private_network": "yes"}, "private_network"),
        ({"expose": "X-Request-ID"}, "expose"),
        ({"expose": ["X-Request-ID", "*"]}, "expose[1]"),
        ({"expose": ["X Y"]}, "expose[0]"),
        ({"expose": ["X\r\nY: z"]}, "expose[0]"),
        ({"expose": [5]}, "expose[0]"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": 86_401}, "max_age"),
        ({"max_age": 1.5}, "max_age"),
        ({"max_age": True}, "max_age"),
    ],
)
def test_cors_invalid_value_config_error(settings: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: CORS(**settings))) == [path]


@pytest.mark.parametrize("origins", [[], ["*"], ["https://a.com", "*"]])
def test_app_cors_credentials_without_explicit_origins_config_error(origins: list[str]) -> None:
    problems = problems_of(lambda: acme(origins=origins, cors=CORS(credentials=True)))
    assert problems == {"cors.credentials": "needs explicit origins"}
    assert acme(origins=origins, cors=CORS(expose=["X-Request-ID"])).cors is not None


def test_app_and_gate_cors_of_wrong_type_config_error() -> None:
    assert problems_of(lambda: acme(cors=ANYTHING[5])) == {"cors": "must be CORS, or None"}
    assert problems_of(lambda: gate_of(acme(), cors=ANYTHING[5])) == {"cors": "must be CORS"}
    assert profiles.generic("acme", cors=CORS(max_age=5)).cors == CORS(max_age=5)
    assert acme().cors is None


def test_toml_cors_of_gate_and_app_read(tmp_path: Path) -> None:
    text = (
        '[gate.cors]\nexpose = ["X-Request-ID"]\nmax_age = 60\n'
        '[[apps]]\nid = "acme"\norigins = ["https://a.com"]\n[apps.cors]\ncredentials = true\nprivate_network = true\n'
    )
    with Gate.from_file(write(tmp_path, text)) as gate:
        assert gate._context.cors.default == CORS(expose=["X-Request-ID"], max_age=60)
        assert gate.apps[0].cors == CORS(credentials=True, private_network=True)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[gate]\ncors = 5", "gate.cors"),
        ("[gate.cors]\ncolour = 1", "gate.cors.colour"),
        ("[gate.cors]\nmax_age = -1", "gate.cors.max_age"),
        ('[[apps]]\nid = "two"\ncors = 5', "apps[1].cors"),
        ('[[apps]]\nid = "two"\n[apps.cors]\nexpose = "X"', "apps[1].cors.expose"),
        ('[[apps]]\nid = "two"\n[apps.cors]\ncredentials = true', "apps[1].cors.credentials"),
    ],
)
def test_toml_cors_invalid_config_error_with_path(tmp_path: Path, text: str, path: str) -> None:
    apps, gate = ('[[apps]]\nid = "acme"\n' + text, "") if text.startswith("[[") else ('\n[[apps]]\nid = "acme"', text)
    assert list(problems_of_file(tmp_path, gate + apps, strict=True)) == [path]

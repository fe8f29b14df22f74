"""`wicket keys fetch` prints a key set, and has the restrictions of the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from wicket import Gate, Jwks, profiles
from wicket.cli.commands import wicket
from wicket.diagnostics import diagnose
from wicket.jwks.fetcher import MEANING, Kind
from wicket.testing.issuer import LocalIssuer


@pytest.fixture
def authorities(wicket_issuer: LocalIssuer, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(wicket_issuer.authority_pem)
    return str(path)


def fetch(issuer: LocalIssuer, authorities: str, *args: str) -> Result:
    options = ["--allow", "127.0.0.0/8", "--port", str(issuer.port), "--ca", authorities]
    return CliRunner().invoke(wicket, ["keys", "fetch", *args, *options])


def test_keys_fetch_url_prints_each_key_without_material(wicket_issuer: LocalIssuer, authorities: str) -> None:
    wicket_issuer.max_age = 100
    result = fetch(wicket_issuer, authorities, wicket_issuer.jwks_url)
    assert result.exit_code == 0
    for said in ("'key-1'", "ES256", "used", "at 127.0.0.1", "fresh for 100 s", "ETag"):
        assert said in result.output
    assert wicket_issuer.document()["keys"][0]["x"] not in result.output


def test_keys_fetch_issuer_discovers_key_set(wicket_issuer: LocalIssuer, authorities: str) -> None:
    result = fetch(wicket_issuer, authorities, wicket_issuer.issuer)
    assert result.exit_code == 0
    assert wicket_issuer.jwks_url in result.output


def test_keys_fetch_skipped_key_prints_reason(wicket_issuer: LocalIssuer, authorities: str) -> None:
    members = [*wicket_issuer.document()["keys"], {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA", "use": "enc"}]
    body = json.dumps(
        {"keys": [*members, {name: value for name, value in members[0].items() if name != "kid"}]}
    ).encode()
    wicket_issuer.fault = lambda exchange: exchange.answer(200, body)
    result = fetch(wicket_issuer, authorities, wicket_issuer.jwks_url)
    assert "never taken from a key set" in result.output
    assert "its use is not sig" in result.output
    assert "(none)" in result.output
    assert "each fetch is complete" in result.output
    assert "c2VjcmV0" not in result.output


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (404, "not_found", "a retry will not help"),
        (500, "status", "a retry may help"),
        (302, "redirect", "a retry will not help"),
    ],
)
def test_keys_fetch_failure_prints_kind_and_refusal_codes(
    wicket_issuer: LocalIssuer, authorities: str, status: int, kind: str, advice: str
) -> None:
    wicket_issuer.fault = lambda exchange: exchange.answer(status)
    result = fetch(wicket_issuer, authorities, wicket_issuer.jwks_url)
    assert result.exit_code == 1
    shown = " ".join(result.output.split())
    for said in (kind, f"status {status}", advice, "config_invalid (503)", "keys_unavailable"):
        assert said in shown


def test_keys_fetch_forbidden_address_is_not_connected(wicket_issuer: LocalIssuer, authorities: str) -> None:
    result = CliRunner().invoke(wicket, ["keys", "fetch", wicket_issuer.jwks_url, "--port", str(wicket_issuer.port)])
    assert (result.exit_code, "forbidden_address" in result.output) == (1, True)
    assert wicket_issuer.requests == []


def test_keys_fetch_app_uses_its_configuration(wicket_issuer: LocalIssuer, authorities: str, tmp_path: Path) -> None:
    config = tmp_path / "wicket.toml"
    config.write_text(
        f"""
[gate]
network = {{ allowed_networks = ["127.0.0.0/8"], extra_ports = [{wicket_issuer.port}], ca_file = "{authorities}" }}
[[apps]]
id = "globex"
profile = "getuserfeedback"
issuer = "{wicket_issuer.issuer}"
[[apps.credentials]]
kind = "jwks"
url = "{wicket_issuer.jwks_url}"
[[apps.credentials]]
kind = "jwks"
discover = "{wicket_issuer.issuer}"
""",
        "utf-8",
    )
    command = ["keys", "fetch", "--config", str(config), "--app"]
    result = CliRunner().invoke(wicket, [*command, "globex"])
    assert (result.exit_code, result.output.count("'key-1'")) == (0, 2)
    unknown = CliRunner().invoke(wicket, [*command, "nobody"])
    assert (unknown.exit_code, "'nobody'" in unknown.output) == (2, True)
    token = wicket_issuer.token("user-4", aud="https://api.getuserfeedback.com")
    explained = CliRunner().invoke(wicket, ["explain", token, "--app", "globex", "--config", str(config)])
    assert (explained.exit_code, "passes as globex:user-4" in explained.output) == (0, True)
    assert "'key-1'" in explained.output
    assert "1 keys used, 0 skipped, at 127.0.0.1" in explained.output
    wicket_issuer.fault = lambda exchange: exchange.answer(404)
    lost = CliRunner().invoke(wicket, ["explain", token, "--app", "globex", "--config", str(config)])
    assert (lost.exit_code, "not_found (status 404): there is no document at this URL" in lost.output) == (1, True)
    assert "config_invalid" in lost.output


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            (404, b""),
            "not_found (status 404): there is no document at this URL; correct the URL; a retry will not help",
        ),
        ((500, b""), "status (status 500): the endpoint answered with an error status; a retry may help"),
        (
            (200, b'{"keys": []}'),
            "no_usable_key: none of the keys can be used (the key set is empty); a retry will not",
        ),
        (
            (200, json.dumps({"keys": [{"kty": "RSA", "use": "enc"}] * 9}).encode()),
            "no_usable_key: none of the keys can be used (keys[0]: its use is not sig; keys[1]: its use is not sig; "
            "keys[2]: its use is not sig; keys[3]: its use is not sig; keys[4]: its use is not sig; keys[5]: its use "
            "is not sig; keys[6]: its use is not sig; keys[7]: its use is not sig, and 1 more); a retry will not help",
        ),
    ],
)
def test_p4_key_set_failure_same_sentence_in_log_diagnosis_and_command_line(
    wicket_issuer: LocalIssuer,
    authorities: str,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, bytes],
    sentence: str,
) -> None:
    wicket_issuer.fault = lambda exchange: exchange.answer(*answer)
    printed = " ".join(fetch(wicket_issuer, authorities, wicket_issuer.jwks_url).output.split())
    assert sentence in printed
    app = profiles.getuserfeedback("globex", issuer=wicket_issuer.issuer, credentials=[Jwks(wicket_issuer.jwks_url)])
    token = wicket_issuer.token("user-4", aud="https://api.getuserfeedback.com")
    with Gate([app], network=wicket_issuer.network) as gate:
        assert not gate.verify(token, app="globex").allowed
        (record,) = [record for record in caplog.records if "key set of app=globex" in record.getMessage()]
        assert sentence in record.getMessage()
        assert getattr(record, "status") == (answer[0] if answer[0] != 200 else None)  # noqa: B009 - a field of extra
        assert sentence in diagnose(gate, "globex", token).findings[0].detail


@pytest.mark.parametrize("args", [[], ["http://a.example/"], ["--allow", "everywhere", "https://a.example/x"]])
def test_keys_fetch_invalid_arguments_exit_2(args: list[str]) -> None:
    result = CliRunner().invoke(wicket, ["keys", "fetch", *args])
    assert (result.exit_code, bool(result.output)) == (2, True)


def test_keys_fetch_every_failure_kind_has_a_meaning() -> None:
    assert set(MEANING) == set(get_args(Kind))

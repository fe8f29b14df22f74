"""`[gate.network]` of a TOML file: the rules for single origins, with secrets and certificates from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests.support.toml_files import problems_of, write
from wicket import Gate, Network
from wicket.config.network import Destination, Proxy

APP = """
[[apps]]
id = "acme"
origins = ["https://acme.com"]
"""
CORP = "https://id.corp.example"
RULE = f'[gate.network.rules."{CORP}"]\n'


def network_of(folder: Path, text: str) -> Network:
    """The network rules of a file."""
    with Gate.from_file(write(folder, APP + text)) as gate:
        return gate._fetcher._network


def rule_of(folder: Path, text: str) -> Destination:
    return network_of(folder, RULE + text).rules[CORP]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_TOKEN", "Bearer s3cret")
    monkeypatch.setenv("CORP_PROXY", "http://me:s3cret@proxy:3128")


def test_toml_rule_every_setting_read(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("from a file\n")
    rule = rule_of(
        tmp_path,
        'headers = { Authorization = { env = "CORP_TOKEN" }, X-Key = { file = "key.txt" }, X-Plain = "a" }\n'
        'proxy = { env = "CORP_PROXY" }\napps = ["tenant"]\n',
    )
    assert rule.headers == {"Authorization": "Bearer s3cret", "X-Key": "from a file", "X-Plain": "a"}
    assert rule.proxy == Proxy("http", "proxy", 3128, ("me", "s3cret"))
    assert (rule.apps, rule.allow_http, rule.ssl_context) == (frozenset({"tenant"}), False, None)


def test_toml_rule_http_origin_read(tmp_path: Path) -> None:
    network = network_of(tmp_path, '[gate.network.rules."http://keycloak:8080"]\nallow_http = true\n')
    assert network.rules["http://keycloak:8080"].allow_http
    credential = '[[apps.credentials]]\nkind = "jwks"\nurl = "http://keycloak:8080/keys"\nissuer = "http://keycloak"\n'
    refused = problems_of(tmp_path, APP + credential)["apps[0].credentials[0].url"]
    assert "must start with https://" in refused
    with Gate.from_file(write(tmp_path, APP + credential + "allow_http = true\n")) as gate:
        assert [source.allow_http for source in gate.apps[0].sources] == [True]


def test_toml_certificates_relative_to_file(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("gate@corp.example")
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "cert.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    network = network_of(
        tmp_path,
        '[gate.network]\nca_file = "ca.pem"\n'
        f'{RULE}ca_file = "ca.pem"\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
        '[gate.network.rules."https://two.example"]\ncert_file = "both.pem"\n',
    )
    assert network.ssl_context is not None
    assert len(network.ssl_context.get_ca_certs()) == 1
    contexts = [network.rules[origin].ssl_context for origin in (CORP, "https://two.example")]
    assert all(context is not None for context in contexts)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[gate.network]\nrules = 5", "gate.network.rules"),
        ("[gate.network]\nca_file = 5", "gate.network.ca_file"),
        ('[gate.network.rules]\n"https://id.corp.example" = 5', f"gate.network.rules['{CORP}']"),
        (RULE + "colour = 1", f"gate.network.rules['{CORP}']"),
        (RULE + "headers = 5", f"gate.network.rules['{CORP}'].headers"),
        (RULE + 'headers = { Host = "a" }', f"gate.network.rules['{CORP}'].headers.Host"),
        (RULE + 'headers = { A = { env = "NO_SUCH" } }', f"gate.network.rules['{CORP}'].headers.A.env"),
        (RULE + 'headers = { A = { env = "A", b = 1 } }', f"gate.network.rules['{CORP}'].headers.A"),
        (RULE + 'proxy = { file = "none" }', f"gate.network.rules['{CORP}'].proxy.file"),
        (RULE + 'proxy = "socks5://a"', f"gate.network.rules['{CORP}'].proxy"),
        (RULE + "allow_http = true", f"gate.network.rules['{CORP}'].allow_http"),
        (RULE + 'apps = "acme"', f"gate.network.rules['{CORP}'].apps"),
        (RULE + 'ca_file = "none.pem"', f"gate.network.rules['{CORP}'].ca_file"),
        (RULE + 'cert_file = "none.pem"', f"gate.network.rules['{CORP}'].cert_file"),
        (RULE + 'cert_file = "wicket.toml"', f"gate.network.rules['{CORP}'].cert_file"),
        (RULE + 'key_file = "none.pem"', f"gate.network.rules['{CORP}'].key_file"),
        (RULE + "cert_file = 5", f"gate.network.rules['{CORP}'].cert_file"),
        ('[gate.network.rules."https://a/b"]', "gate.network.rules['https://a/b']"),
    ],
)
def test_toml_rule_invalid_config_error_with_path(tmp_path: Path, text: str, path: str) -> None:
    assert list(problems_of(tmp_path, APP + text)) == [path]


def test_toml_rule_every_problem_reported(tmp_path: Path) -> None:
    text = f"[gate.network]\nextra_ports = [0]\n{RULE}apps = 5\nca_file = 'none.pem'\n"
    assert list(problems_of(tmp_path, APP + text)) == [
        f"gate.network.rules['{CORP}'].ca_file",
        f"gate.network.rules['{CORP}'].apps",
        "gate.network.extra_ports[0]",
    ]


def test_toml_rule_encrypted_key_config_error_without_prompt(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    certificate = trustme.CA().issue_cert("gate@corp.example")
    (tmp_path / "cert.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    (tmp_path / "key.pem").write_bytes(encrypted)
    text = APP + RULE + 'cert_file = "cert.pem"\nkey_file = "key.pem"\n'
    assert list(problems_of(tmp_path, text)) == [f"gate.network.rules['{CORP}'].cert_file"]

"""The table `[gate.network]` of a TOML file: addresses, ports, certificates, and the rules for single origins."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wicket.config.network import Destination, Network
from wicket.errors import ConfigError, Problems, config_error
from wicket.registry.credentials import SecretReader
from wicket.registry.tables import TableContext

_SETTINGS: Final = ("allowed_networks", "extra_ports", "ca_file", "rules")
_RULE_SETTINGS: Final = ("headers", "ca_file", "cert_file", "key_file", "proxy", "allow_http", "apps")
_CERTIFICATE_FILES: Final = ("ca_file", "cert_file", "key_file")


def read_network(problems: Problems, path: str, table: Any, context: TableContext) -> Network | None:
    """Return the network rules of the table `[gate.network]`, or None.

    If the value is no such table, add a problem.

    Args:
        problems: Collects the problems.
        path: The path to the table.
        table: The table.
        context: What the table refers to. Its reader reads the headers and the proxy of a rule from an environment
            variable or a file.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
    """
    if not isinstance(table, dict) or table.keys() - {*_SETTINGS}:
        problems.add(path, f"must be a table of {', '.join(_SETTINGS)}")
        return None
    directory, reader = context.directory, context.reader
    options = dict(table)
    found = Problems()
    try:
        options["ssl_context"] = _read_ssl_context({"ca_file": options.pop("ca_file", None)}, directory)
    except ConfigError as error:
        found.merge("network", error)
    options["rules"] = _read_rules(found, options.get("rules", {}), directory, reader)
    network: Network | None = None
    try:
        network = Network(**options)
    except ConfigError as error:
        found.merge("", error)
    found.raise_if_any()
    return network


def _read_rules(problems: Problems, tables: Any, directory: Path, reader: SecretReader) -> dict[str, Destination]:
    if not isinstance(tables, dict):
        problems.add("network.rules", "must be tables", '[gate.network.rules."https://id.corp.example"]')
        return {}
    rules: dict[str, Destination] = {}
    for origin, table in tables.items():
        try:
            rules[origin] = _read_rule(table, directory, reader)
        except ConfigError as error:
            problems.merge(f"network.rules[{origin!r}]", error)
    return rules


def _read_rule(table: Any, directory: Path, reader: SecretReader) -> Destination:
    """Return the rule of one table.

    Raises:
        ConfigError: A setting is invalid. It has every problem of the rule.
    """
    if not isinstance(table, dict) or table.keys() - {*_RULE_SETTINGS}:
        raise config_error("", f"must be a table of {', '.join(_RULE_SETTINGS)}")
    problems = Problems()
    options = {name: table[name] for name in table.keys() & {"allow_http", "apps"}}
    headers = table.get("headers", {})
    if isinstance(headers, dict):
        headers = {name: _read_value(problems, f"headers.{name}", value, reader) for name, value in headers.items()}
    if "proxy" in table:
        options["proxy"] = _read_value(problems, "proxy", table["proxy"], reader)
    problems.raise_if_any()
    try:
        files = {name: table.get(name) for name in _CERTIFICATE_FILES}
        options["ssl_context"] = _read_ssl_context(files, directory)
    except ConfigError as error:
        problems.merge("", error)
    try:
        rule = Destination(headers=headers, **options)
    except ConfigError as error:
        problems.merge("", error)
        raise ConfigError(problems.found) from None
    problems.raise_if_any()
    return rule


def _read_value(problems: Problems, path: str, value: Any, reader: SecretReader) -> Any:
    """Return the string of a table `{ env = … }` or `{ file = … }`. Any other value is returned unchanged."""
    if not isinstance(value, dict):
        return value
    try:
        if value.keys() - {*reader.fields}:
            raise config_error("", f"must have exactly one of {' and '.join(reader.fields)}")
        return reader.read(value)
    except ConfigError as error:
        problems.merge(path, error)
    return ""


def _read_ssl_context(files: Mapping[str, Any], directory: Path) -> ssl.SSLContext | None:
    """Return a context with these certificate authorities and this client certificate, or None if no file is named.

    Raises:
        ConfigError: A file cannot be read, or is not PEM.
    """
    named = {name: value for name, value in files.items() if value is not None}
    if not named:
        return None
    problems = Problems()
    for name, value in named.items():
        if not isinstance(value, str):
            problems.add(name, "must be the path of a file in PEM")
    if "key_file" in named and "cert_file" not in named:
        problems.add("key_file", "needs cert_file", "the certificate of the key")
    problems.raise_if_any()
    paths = {name: directory / value for name, value in named.items()}
    try:
        context = ssl.create_default_context(cafile=paths.get("ca_file"))
    except (OSError, ValueError):
        hint = "a file that starts with -----BEGIN CERTIFICATE-----"
        raise config_error("ca_file", "cannot be read as certificate authorities in PEM", hint) from None
    if "cert_file" in paths:
        try:
            context.load_cert_chain(paths["cert_file"], paths.get("key_file"), _no_password)
        except (OSError, ValueError):
            message = "cannot be read as a certificate in PEM with its unencrypted key"
            raise config_error("cert_file", message, "name the file of the key in key_file") from None
    return context


def _no_password() -> str:
    """Return no password for a key, so that OpenSSL does not ask for one on the terminal."""
    return ""

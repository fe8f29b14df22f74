"""Credentials from configuration tables: secrets, public keys and key sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from wicket.errors import ConfigError, Problems, config_error, did_you_mean
from wicket.keys import Credential, Jwks, PublicKey, Secret

_KINDS: Final = ("secret", "public_key", "jwks")
_ENCODINGS: Final[Mapping[str, Callable[..., Secret]]] = {
    "text": Secret.from_text,
    "hex": Secret.from_hex,
    "base64": Secret.from_base64,
}
_OPTIONS: Final = {
    "secret": "kid, algorithms, allow_short",
    "public_key": "algorithms (required), kid",
    "jwks": "algorithms; or url, issuer; or discover",
}


class SecretReader(NamedTuple):
    """Reads the key material of a credential's table. Each kind of registry has its own.

    Args:
        fields: The fields of the table that locate the key material.
        read: Takes the table and returns the key material as a string. It raises `ConfigError` if that fails.
    """

    fields: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], str]


def read_credentials(problems: Problems, tables: Any, reader: SecretReader) -> list[Credential]:
    """Return the credentials of an app.

    Args:
        problems: Collects the problems. The problem of an invalid credential has the path `credentials[index]`.
        tables: The list of credential tables.
        reader: Reads the key material.
    """
    credentials: list[Credential] = []
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.add("credentials", "must be a list of tables", "start each with [[apps.credentials]]")
        return credentials
    for index, table in enumerate(tables):
        try:
            credentials.append(read_credential(table, reader))
        except ConfigError as error:
            problems.merge(f"credentials[{index}]", error)
    return credentials


def read_credential(table: Mapping[str, Any], reader: SecretReader) -> Credential:
    """Return the credential of one table.

    Args:
        table: The table. Its `kind` is `secret`, `public_key` or `jwks`.
        reader: Reads the key material.

    Raises:
        ConfigError: A field is invalid, or the key material cannot be read.
    """
    kind = table.get("kind")
    if kind not in _KINDS:
        raise config_error("kind", "is not a kind of credential", did_you_mean(kind, _KINDS))
    options = {name: table[name] for name in table.keys() - {"kind", "encoding", "discover", *reader.fields}}
    if kind == "jwks" and {"url", "discover"} & table.keys():
        return _remote_key_set(table, options)
    if kind != "secret" and "encoding" in table:
        raise config_error("encoding", "is only for a secret", "remove it")
    encoding = table.get("encoding")
    if kind == "secret" and encoding not in list(_ENCODINGS):
        raise config_error("encoding", "must be the encoding of the secret", f"one of {', '.join(_ENCODINGS)}")
    material = reader.read(table)
    try:
        if kind == "secret":
            return _ENCODINGS[str(encoding)](material, **options)
        if kind == "public_key":
            return PublicKey.from_pem(material, **options)
        return Jwks.static(_parse_key_set(material), **options)
    except TypeError:
        message = f"contains an unknown option, or lacks a required one, for the kind {kind}"
        raise config_error("", message, f"{_OPTIONS[kind]}, and {' or '.join(reader.fields)}") from None


def _remote_key_set(table: Mapping[str, Any], options: dict[str, Any]) -> Credential:
    """Return a key set that is fetched: from its URL, or from the URL in the metadata of the issuer `discover`."""
    try:
        return Jwks.discover(table["discover"], **options) if "discover" in table else Jwks(**options)
    except TypeError:
        message = "contains an unknown option for a remote key set"
        hint = "url, issuer, algorithms, allow_http; or discover, algorithms, allow_http"
        raise config_error("", message, hint) from None


def _parse_key_set(document: str) -> Any:
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        raise config_error("file", "is not JSON", 'an object with a list "keys"') from None

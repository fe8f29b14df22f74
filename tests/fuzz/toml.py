"""Configuration files: any content gives a gate or a `ConfigError`, and each app of the gate decides."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path
from typing import Final
from unittest.mock import patch

from tests.fuzz.models import sound
from tests.properties.tokens import NOW, SECRET
from wicket import ConfigError, Gate
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.keys.urls import KeySetUrl

WORDS: Final = (
    *("[gate]\n", "[[apps]]\n", "[[apps.credentials]]\n", "[apps.rules]\n", "[apps.revocations]\n", "[gate.limits]\n"),
    *("[gate.network]\n", "[apps.identity_hash]\n", "[apps.identity_hash.secret]\n", 'id = "a"\n', 'kind = "secret"\n'),
    *('env = "FUZZ_HEX"\n', 'encoding = "hex"\n', 'encoding = "text"\n', 'encoding = "base64"\n', 'kind = "jwks"\n'),
    *('kind = "public_key"\n', 'algorithms = ["HS256"]\n', 'profile = "userz"\n', 'profile = "featurebase"\n'),
    *('mode = "log_only"\n', 'origin_mode = "enforce"\n', 'app_locations = ["header:X-App-Id"]\n'),
    *('token_locations = ["bearer"]\n', 'origins = ["https://a.com"]\n', 'issuer = "https://id.example"\n'),
    *('publishable_key = "pub_a"\n', "leeway = 10\n", "max_lifetime = 60\n", "issued_before = 1\n"),
    *('url = "https://id.example/keys"\n', 'discover = "https://id.example"\n', 'hosts = ["a.example"]\n'),
    *('aliases = ["b"]\n', 'claimed_user_locations = ["json_body:user"]\n', 'identifier = "email"\n'),
    *("allow_short = true\n", "1979-05-27T07:32:00Z", "inf", "nan", "{}", "[[]]", "'''", '"""', "\\u0000", "true"),
)  # fmt: skip

_VARIABLES: Final = {"FUZZ_HEX": SECRET.hex(), "FUZZ_TEXT": "é" * 20, "FUZZ_EMPTY": "", "FUZZ_JSON": '{"keys": []}'}
_PATH: Final = Path(tempfile.gettempdir()) / f"wicket-fuzz-{os.getpid()}.toml"


def _nowhere(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
    raise FetchFailed("timeout")


def check(data: bytes) -> None:
    """One input."""
    _PATH.write_bytes(data)
    try:
        with patch.dict(os.environ, _VARIABLES):
            lenient, strict = _built(strict=False), _built(strict=True)
        text = _PATH.read_text("utf-8", "replace")  # as Wicket reads it: a lone carriage return ends a line too
    finally:
        _PATH.unlink()
    if lenient is None:
        assert strict is None, "good only where more is demanded"
        return
    tables = tomllib.loads(text).get("apps", [])
    assert len(tables) == len(lenient.apps) + len(lenient.broken_apps)
    assert (strict is None) is bool(lenient.broken_apps)
    assert lenient.apps or not tables
    named = {table["id"] for table in tables}
    assert named == {app.id for app in lenient.apps} | {app.id for app in lenient.broken_apps}
    assert len(named) == len(tables)
    _answers(lenient)


def _built(*, strict: bool) -> Gate | None:
    try:
        gate = Gate.from_file(_PATH, strict=strict, fetcher=_nowhere, clock=lambda: NOW)
    except ConfigError as error:
        _said_without_the_secret(error)
        return None
    gate.close()  # nothing here is loaded from elsewhere
    return gate


def _answers(gate: Gate) -> None:
    for broken in gate.broken_apps:
        assert broken.id is not None
        refusal = sound(gate.verify("a.b.c", app=broken.id)).refusal
        assert refusal is not None
        assert refusal.code == "config_invalid"
    for app in gate.apps:
        decision = sound(gate.verify("e30.e30.e30", app=app.id))
        assert not decision.allowed
        assert decision.app_id == app.id
        assert SECRET.hex() not in repr(app)


def _said_without_the_secret(error: ConfigError) -> None:
    assert error.problems
    assert SECRET.hex() not in str(error)

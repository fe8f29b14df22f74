"""The watch over the whole suite finds what it is there for, wherever Wicket might say it, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.leaks.plugin import WATCH, LeakWatch
from wicket import ConfigError, DecisionEvent, Gate, Header, Problem, Refusal, Refused, Secret, mint, profiles
from wicket.reporting.reporter import Reporter

LOG = logging.getLogger("wicket")
VALUE = hashlib.sha256(b"the secret of these tests alone").digest()
TEXT = f"sk_live_{hashlib.sha256(b'and its text').hexdigest()}"
APP = profiles.generic("watched", credentials=[Secret(VALUE)])
TOKEN = mint(APP, "ada", claims={"plan": "pro"})
_IN_TEXT = Secret.from_text(TEXT)


def _raised(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        LOG.exception("a fault")


def _chained(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        ConfigError([Problem("value", "is wrong")])


SAYINGS: dict[str, Callable[[str], object]] = {
    "a message": lambda text: LOG.warning("a token: %s", text),
    "a message below the logger's level": lambda text: LOG.debug("a token: %s", text),
    "a message without arguments": LOG.error,
    "an argument that is not written": lambda text: LOG.warning("%(a)s", {"a": "b", "token": text}),
    "a field": lambda text: LOG.info("fine", extra={"kid": text}),
    "a traceback": _raised,
    "an event": lambda text: Reporter("wicket", None, 9).emit(DecisionEvent("wicket", text, True, True, True)),
    "the text of a configuration error": lambda text: ConfigError([Problem("value", f"is {text}")]),
    "the hint of a configuration error": lambda text: ConfigError([Problem("value", "is wrong", text)]),
    "what led to a configuration error": _chained,
    "the detail of a refusal": lambda text: Refused(Refusal("invalid_token", "malformed", f"It was {text}.")),
    "a repr": lambda text: repr(Secret(VALUE, kid=text)),
    "a repr that a dataclass makes": lambda text: repr(Refusal("invalid_token", "malformed", text)),
}
SPELLINGS = {
    "a token": TOKEN,
    "a token's claims": TOKEN.rpartition(".")[0],
    "hexadecimal": VALUE.hex(),
    "upper-case hexadecimal": VALUE.hex().upper(),
    "base64": base64.b64encode(VALUE).decode(),
    "base64url": base64.urlsafe_b64encode(VALUE).decode().rstrip("="),
    "Python": repr(VALUE),
    "text": TEXT,
    "the first half": VALUE.hex()[:32],
}


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_leak_watch_credential_in_any_output_detected(saying: str, spelling: str, leak_watch: LeakWatch) -> None:
    SAYINGS[saying]("nothing to hide: app=watched, https://id.example/jwks.json, key-1")
    assert leak_watch.taken() == []
    SAYINGS[saying](SPELLINGS[spelling])
    assert leak_watch.taken() != []


def test_leak_watch_decision_with_secret_user_id_detected(leak_watch: LeakWatch) -> None:
    with Gate([APP], app_locations=[Header("X-App-Id")]) as gate:
        assert gate.verify(mint(APP, "ada"), app="watched").allowed
        assert leak_watch.taken() == []
        assert gate.verify(mint(APP, f"user {VALUE.hex()}"), app="watched").allowed
    assert leak_watch.taken() != [], "the id of a user that is a secret"


def test_leak_watch_refused_short_secret_detected(leak_watch: LeakWatch) -> None:
    short = hashlib.sha256(b"short").hexdigest()[:20]
    with pytest.raises(ConfigError):
        Secret.from_text(short)
    LOG.warning("%s", short)
    assert leak_watch.taken() != []


@pytest.mark.parametrize(
    "value", [b"short", b"\0" * 40, b"-----BEGIN PUBLIC KEY-----\nMIIB", b"abababab" * 4, b'{"kty":"oct"}']
)
def test_leak_watch_short_or_common_value_ignored(value: bytes) -> None:
    watch = LeakWatch()
    watch.know(value)
    watch.scan("a text", f"{value!r} {value.hex()} {value.decode()} -----BEGIN PUBLIC KEY----- {'0' * 99}")
    assert watch.found == []


def test_leak_watch_logger_level_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    LOG.info("not to be heard")
    LOG.warning("to be heard")
    with caplog.at_level(logging.INFO, "wicket"):
        LOG.info("to be heard too")
        LOG.debug("not to be heard either")
    assert caplog.messages == ["to be heard", "to be heard too"]


LEAKING = """
import logging
import pytest
from wicket import Secret
from wicket.errors import Problems

def test_honest():
    logging.getLogger("wicket").warning("all is well")

def test_leaks():
    Secret.from_hex("{value}")
    logging.getLogger("wicket").warning("the key is %s", "{value}")

@pytest.mark.says_parts("this test is let off")
def test_says_a_part(leak_watch):
    leak_watch.meet(["{value}"[::-1]])
    logging.getLogger("wicket").warning("a part: %s", "{value}"[::-1])

@pytest.mark.says_parts("but for secrets")
def test_raises():
    Secret.from_hex("{value}")
    Problems().as_tuple("field", (int("{value}") for _ in "x"), "things")
"""


def test_leak_watch_leaking_test_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import leak_watch, pytest_configure, pytest_runtest_makereport\n"
    )
    (tmp_path / "test_it.py").write_text(LEAKING.format(value=VALUE.hex()))
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 failed, 3 passed, 2 errors" in ran.stdout
    assert "a log record ('the key is %s') carries a secret" in ran.stdout
    assert "a ValueError that was raised carries a secret" in ran.stdout


def test_leak_watch_fixture_is_suite_watch(leak_watch: LeakWatch, request: Any) -> None:
    assert leak_watch is WATCH
    assert "leak_watch" in request.fixturenames

"""The targets over their corpus, and that each would see a fault; the fuzzing itself is `python -m tests.fuzz`."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wicket.asgi
import wicket.messages.json_body
from tests.fuzz import TARGETS, bodies, key_sets, origins, tokens, toml
from tests.fuzz.__main__ import run
from tests.fuzz.engine import CORPUS, load, mutated, seeds, unguided
from tests.fuzz.models import strict_object
from wicket import Gate, OriginPolicy
from wicket.http.bodies import ASGIBody, WSGIBody
from wicket.keys.jwk import import_jwk


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_corpus_small_and_passes_target(target: str) -> None:
    check, words = load(target)
    held = seeds(target)

    assert 10 <= len(held) <= 40
    assert max(map(len, held)) <= 2048
    assert words
    for data in held:
        check(data)


def test_fuzz_corpus_folders_match_targets() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_target_mutated_seeds_pass(target: str) -> None:
    (check, words), held, chance = load(target), seeds(target), random.Random(target)
    for _ in range(150):
        check(mutated(chance.choice(held), held, words, chance))


@pytest.mark.long
def test_fuzz_engine_without_coverage_runs_unguided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unguided("origins", 1, tmp_path)

    assert "unguided: " in capsys.readouterr().err


@pytest.mark.long
def test_fuzz_runner_counts_executions_and_logs_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = run("origins", 1, tmp_path / "good")
    assert (good.failed, good.executions > 0) == (False, True), good.log

    bad = run("nothing", 1, tmp_path / "bad")
    assert bad.failed
    assert "ModuleNotFoundError" in bad.log


def test_fuzz_command_unknown_target_exit_code_2() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", "nothing"], capture_output=True, check=False)

    assert done.returncode == 2


# --- the targets see what would be wrong


def test_fuzz_tokens_target_lenient_json_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(raw: bytes) -> Any:
        return json.loads(raw)

    for room in ("signature", "verified"):
        monkeypatch.setattr(f"wicket.decision.{room}.parse_json_object", lenient)
    with pytest.raises(AssertionError, match="the payload is malformed"):
        tokens.check((CORPUS / "tokens" / "duplicate").read_bytes())


def test_fuzz_origins_target_prefix_match_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(policy: OriginPolicy, origin: str | None) -> bool:
        return origin is None or any(origin.startswith(pattern) for pattern in policy.patterns)

    monkeypatch.setattr(OriginPolicy, "allows", careless)
    with pytest.raises(AssertionError):
        origins.check(b"https://a.com\nhttps://a.com")


def test_fuzz_key_sets_target_invalid_key_accepted_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.loads((CORPUS / "key_sets" / "es256").read_bytes())
    data["keys"][0]["x"] = "AAAA"
    good = import_jwk(json.loads((CORPUS / "key_sets" / "es256").read_bytes())["keys"][0], ["ES256"])
    monkeypatch.setattr(key_sets, "import_jwk", lambda *_: good)
    monkeypatch.setattr(key_sets, "_agrees", lambda *_: None)
    with pytest.raises(AssertionError, match="no such key"):
        key_sets.check(json.dumps(data).encode())


def test_fuzz_toml_target_unexpected_exception_propagates(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Gate:
        raise KeyError("apps")

    monkeypatch.setattr(Gate, "from_file", broken)
    with pytest.raises(KeyError):
        toml.check(b"")


@pytest.mark.parametrize(
    ("kind", "member", "careless"),
    [
        (ASGIBody, "started", property(lambda _: False)),
        (WSGIBody, "replay", lambda _: io.BytesIO()),
    ],
)
def test_fuzz_bodies_target_lost_body_detected(
    kind: type, member: str, careless: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, member, careless)
    with pytest.raises(AssertionError, match="something else"):
        bodies.check((CORPUS / "bodies" / "anonymous").read_bytes())


def test_fuzz_bodies_target_duplicate_member_accepted_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bodies, "parse_body", lambda raw: wicket.messages.json_body.JSONObject(list(json.loads(raw).items()))
    )
    with pytest.raises(AssertionError):
        bodies.check((CORPUS / "bodies" / "name-twice").read_bytes())


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":{"b":1,"b":1}}', None),
        (b'{"a":"\\ud800"}', None),
        (b'{"a":NaN}', None),
        (b"[]", None),
        (b'\xef\xbb\xbf{"a":1}', None),
        (b'{"a":' + b"[" * 31 + b"]" * 31 + b"}", {"a": json.loads("[" * 31 + "]" * 31)}),
        (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", None),
    ],
)
def test_strict_object_non_strict_json_returns_none(raw: bytes, read: dict[str, Any] | None) -> None:
    assert strict_object(raw) == read

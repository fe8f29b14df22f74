"""Every example runs and prints the output that it documents. The code of the README and of docs/ is valid."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import types
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import trustme

ROOT: Final = Path(__file__).resolve().parents[1]
README: Final = ROOT / "README.md"
PAGES: Final = [README, *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS: Final = [*PAGES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]

PRINTS: Final = {
    "starlette_app.py": ["'user': 'user-1'", "403 insufficient_scope", "201 {'thanks': 'user-1'}"],
    "fastapi_app.py": [
        "me        401 missing_token",
        "feedback  201 {'thanks': 'user-1'}",
        "security  [{'wicket': ['feedback:write'], 'wicket_app': []}]",
        "unguarded ['GET /health']",
    ],
    "django_app.py": [
        "greet     {'hello': 'anonymous'}",
        "feedback  403 insufficient_scope",
        "feedback  201 {'thanks': 'user-1'}",
        "unguarded ['ANY /health']",
    ],
    "flask_app.py": ['401 missing_token | Bearer realm="wicket"', "'user': 'user-2'", "403 insufficient_scope"],
    "getuserfeedback_rollout.py": [
        "no token          200 {'user': None, 'would_refuse': 'missing_token'}",
        "by discovery      200 {'user': 'user-4', 'would_refuse': None}",
        "no token          401 missing_token",
        "expired           401 invalid_token",
        "no key set yet    401 config_missing",
        "wrong key-set URL 503 config_invalid",
    ],
    "log_only_rollout.py": ["would refuse: 1 x invalid_token expired", "old   -> 401 invalid_token"],
    "recipes.py": [
        "intercom           200 7 by user_id, jwt",
        "intercom, by hash  200 7 by user_id, identity_hash",
        "zendesk            200 7 by external_id, jwt",
        "canny              200 7 by id, jwt",
        "chatwoot           200 7 by identifier, identity_hash",
        "knock              200 7 by sub, jwt",
        "pylon              200 ada@acme.com by email, identity_hash",
        "novu               200 7 by subscriberId, identity_hash",
        "help scout         200 ada@acme.com by email, identity_hash",
    ],
    "graphql_sockets.py": [
        "tick 0 for user-1\nconnection 1 ended: 4401 expired\ntick 0 for user-1\nconnection 2 ended: 4401 expired",
        "without a valid token: 4403 Forbidden",
    ],
    "own_database.py": ["app-2718:user-1      (1 look-ups", "broken    -> config_invalid", "missing   -> unknown_app"],
}


def test_examples_directory_matches_expected_output_table() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == PRINTS.keys()


@pytest.mark.parametrize("name", PRINTS)
def test_example_script_exits_zero_with_expected_output(name: str) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr
    for expected in PRINTS[name]:
        assert expected in result.stdout


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of `page` in `language`."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def all_blocks(language: str) -> list[Any]:
    """One pytest parameter for each code block of the README and of docs/."""
    return [
        pytest.param(block, id=f"{page.name}-{index}")
        for page in PAGES
        for index, block in enumerate(blocks(page, language))
    ]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables that the code blocks read."""
    for name in ("ACME_SECRET", "ACME_SECRET_OLD"):
        monkeypatch.setenv(name, "5f" * 31 + f"0{len(name) % 10}")
    umbrella = ("UMBRELLA_JWT_SECRET", "UMBRELLA_HASH_SECRET", "UMBRELLA_COMPANY_SECRET")
    for name in ("INITECH_SECRET", "CHAT_SECRET", "TALK_SECRET", "NOVU_SECRET", *umbrella):
        monkeypatch.setenv(name, f"{name}-0123456789abcdef0123456789abcdef")
    own_location = next(block for block in blocks(ROOT / "docs" / "apps.md", "python") if "WidgetParameter" in block)
    module = types.ModuleType("acme.locations")  # a block in TOML names it
    exec(compile(own_location, "documentation", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "acme", types.ModuleType("acme"))
    monkeypatch.setitem(sys.modules, "acme.locations", module)
    monkeypatch.setenv("CORP_AUTHORIZATION", "Bearer abc")
    monkeypatch.setenv("CORP_PROXY", "http://me:password@proxy.corp.example:3128")


FRAGMENTS: Final = (
    "TestClient(",
    "merge_unsigned(",
    "print(mint(",
    "diagnose(gate",
    "WicketMiddleware(s",
    "Gate(apps,",
    "decision = gate.verify(",
    "gate.averify(token",
    "decision = gate.decide(",
    "Quart(__name__)",
)
"""Marks of the blocks that use names which their page does not define."""


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("block", all_blocks("python"))
def test_documentation_python_block_executes(block: str) -> None:
    tree = ast.parse(block)
    if any(
        mark in block for mark in (*FRAGMENTS, "SECRETS[", "KNOCK_")
    ):  # test_recipes_document.py compares docs/recipes.md with the example
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(tree, "documentation", "exec"), {"os": os, "__name__": "documentation"})


def test_readme_python_applications_are_complete() -> None:
    whole = [block for block in blocks(README, "python") if "Starlette(routes" in block or "Flask(__name__)" in block]
    assert len(whole) == 2
    assert not any(mark in block for block in whole for mark in FRAGMENTS)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("block", all_blocks("toml"))
def test_documentation_toml_block_strict_load_succeeds(block: str, tmp_path: Path) -> None:
    from wicket import Gate

    if "apps" not in tomllib.loads(block):
        block += '\n[[apps]]\nid = "acme"\n'
    trustme.CA().issue_cert("gate@corp.example").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "client.pem")
    )
    (tmp_path / "wicket.toml").write_text(block, "utf-8")
    with Gate.from_file(tmp_path / "wicket.toml", strict=True) as gate:
        assert gate.apps


@pytest.mark.usefixtures("environment")
def test_documentation_toml_apps_have_documented_settings(tmp_path: Path) -> None:
    from wicket import Gate

    (tmp_path / "wicket.toml").write_text(blocks(ROOT / "docs" / "apps.md", "toml")[0], "utf-8")
    apps = Gate.from_file(tmp_path / "wicket.toml", strict=True).apps
    assert [app.profile for app in apps] == ["userz", "featurebase"]
    assert apps[1].identity_hash is not None
    assert apps[1].identity_hash.accept_until == datetime(2027, 12, 28, 13, 20, tzinfo=UTC).timestamp()


def test_refusals_page_documents_every_code_and_reason() -> None:
    from wicket.errors import STATUS, Code, Reason

    page = (ROOT / "docs" / "refusals.md").read_text("utf-8")
    for word in (*get_args(Code), *get_args(Reason)):
        assert f"`{word}`" in page, word
    for code, status in STATUS.items():
        assert re.search(rf"^\| `{code}` \| {status}\b", page, re.MULTILINE), code


def test_vendors_page_documents_every_profile() -> None:
    from wicket.profiles import BY_NAME

    for page in (README, ROOT / "docs" / "vendors.md"):
        table = page.read_text("utf-8").partition("\n| profile |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert sorted(rows) == sorted(BY_NAME), page.name


def test_apps_page_documents_every_toml_location() -> None:
    from wicket.registry.toml_locations import LOCATIONS

    page = (ROOT / "docs" / "apps.md").read_text("utf-8")
    for factories in LOCATIONS.values():
        for kind in factories:
            assert re.search(rf"`{kind}[:`]", page), kind


def test_log_only_page_documents_every_event_field() -> None:
    from dataclasses import fields

    from wicket import DecisionEvent, KeySetFetched, OutcomeCount, UnknownKidLimited

    page = (ROOT / "docs" / "log-only.md").read_text("utf-8")
    for event in (DecisionEvent, KeySetFetched, OutcomeCount, UnknownKidLimited):
        assert f"`{event.__name__}`" in page
        for field in fields(event):
            assert f"`{field.name}`" in page, field.name


def test_identity_hashes_page_joins_users_only_by_one_token() -> None:
    page = ROOT / "docs" / "identity-hashes.md"
    example: dict[str, Any] = {}
    exec(next(block for block in blocks(page, "python") if "def number_of" in block), example)

    def number_of(app_id: str = "umbrella", **identifiers: str) -> int:
        number: int = example["number_of"](types.SimpleNamespace(app_id=app_id, identifiers=identifiers))
        return number

    ann = number_of(email="ann@umbrella.com")
    assert number_of(userId="mallory") != ann
    assert number_of(userId="7", email="ann@umbrella.com") == ann
    assert number_of(userId="7") == ann
    assert number_of(email="ann@umbrella.com") == ann
    assert number_of("other", userId="7") != ann


def test_readme_is_one_page() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_documentation_link_target_exists(page: Path) -> None:
    def anchors(target: Path) -> set[str]:
        headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_readme_lists_every_documentation_page() -> None:
    linked = set(re.findall(r"\(docs/([a-z-]+\.md)\)", README.read_text("utf-8")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_documentation_named_file_exists(page: Path) -> None:
    for name in re.findall(
        r"`((?:src|tests|docs|examples|\.ci)/(?!wicket/throttle)[\w./-]+)`", page.read_text("utf-8")
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_documentation_named_setting_exists(page: Path) -> None:
    import inspect

    import wicket

    for name, setting in re.findall(r"\b([A-Z]\w+)[(.]([a-z]\w+)\b(?=[=`])", page.read_text("utf-8")):
        named = getattr(wicket, name, None)
        if inspect.isclass(named):
            assert setting in inspect.signature(named).parameters or hasattr(named, setting), f"{name}({setting}=)"

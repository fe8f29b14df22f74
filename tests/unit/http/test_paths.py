"""Path rules: which paths are gated. A path with several readings is always gated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import problems_of
from wicket.http.paths import Access, Paths

OPEN, OPTIONAL, GATED = Access.OPEN, Access.OPTIONAL, Access.GATED


@pytest.mark.parametrize("path", ["/", "", "/a", "/a/b", "//a", "/../a"])
def test_paths_no_patterns_gated(path: str) -> None:
    assert Paths().access(path) is GATED


@pytest.mark.parametrize(
    ("path", "access"),
    [
        ("/v1", GATED),
        ("/v1/", GATED),
        ("/v1/users", GATED),
        ("/v1/health", OPEN),
        ("/v1/health/", GATED),
        ("/v1/health/x", GATED),
        ("/v1/public", OPTIONAL),
        ("/v1/public/x/y", OPTIONAL),
        ("/v1/publicity", GATED),
        ("/v10", OPEN),
        ("/", OPEN),
        ("", OPEN),
        ("/V1/users", OPEN),
    ],
)
def test_paths_only_exempt_and_optional_combined_access(path: str, access: Access) -> None:
    paths = Paths(only=["/v1/*"], exempt=["/v1/health"], optional=["/v1/public/*"])
    assert paths.access(path) is access


@pytest.mark.parametrize("pattern", ["/admin", "/admin/"])
@pytest.mark.parametrize("path", ["/admin", "/admin/"])
def test_paths_only_trailing_slash_gated(pattern: str, path: str) -> None:
    assert Paths(only=[pattern]).access(path) is GATED
    assert Paths(only=[pattern]).access("/administration") is OPEN


def test_paths_optional_outside_only_optional() -> None:
    paths = Paths(only=["/v1/*"], optional=["/greet"])
    assert [paths.access(path) for path in ("/greet", "/v1/a", "/")] == [OPTIONAL, GATED, OPEN]
    assert paths.access("/greet/") is GATED
    assert Paths(only=["/v1/*"], optional=["/greet/"]).access("/greet") is GATED


@pytest.mark.parametrize(("path", "access"), [("/docs", OPEN), ("/docs/a", OPEN), ("/doc", GATED), ("/", GATED)])
def test_paths_exempt_other_paths_gated(path: str, access: Access) -> None:
    assert Paths(exempt=["/docs/*"]).access(path) is access


def test_paths_optional_other_paths_gated() -> None:
    paths = Paths(optional=("/a" for _ in range(1)))
    assert [paths.access(path) for path in ("/a", "/b")] == [OPTIONAL, GATED]


def test_paths_exempt_and_optional_same_path_open() -> None:
    assert Paths(exempt=["/a"], optional=["/a"]).access("/a") is OPEN


def test_paths_exempt_root_wildcard_all_open() -> None:
    paths = Paths(exempt=["/*"])
    assert [paths.access(path) for path in ("/", "", "/a/b")] == [OPEN] * 3


@pytest.mark.parametrize(
    "path",
    [
        "//docs/a",
        "/docs//a",
        "/docs/../v1",
        "/docs/..",
        "/docs/./a",
        "/./docs/a",
        "/docs\\..\\v1",
        "/docs/%2e%2e/v1",
        "/docs/%2Fv1",
        "/docs/a;x=1",
        "/docs/..;/v1",
    ],
)
@pytest.mark.parametrize("kind", ["exempt", "optional"])
def test_paths_exempt_or_optional_ambiguous_path_gated(kind: str, path: str) -> None:
    rules: Any = {kind: ["/docs/*"]}
    assert Paths(**rules).access(path) is GATED


@pytest.mark.parametrize("path", ["//other", "/other/../v1", "/other\\v1", "/%76%31/users"])
def test_paths_only_ambiguous_path_gated(path: str) -> None:
    assert Paths(only=["/v1/*"]).access(path) is GATED


def test_paths_exempt_dots_in_name_open() -> None:
    assert Paths(exempt=["/docs/*"]).access("/docs/a..b/.hidden/...") is OPEN


@pytest.mark.parametrize("name", ["only", "exempt", "optional"])
@pytest.mark.parametrize("pattern", ["docs", "", "*", "/docs*", "/*/docs", "/docs/*/a", "/docs/**", 5, None, "^/docs"])
def test_paths_pattern_invalid_format_config_error(name: str, pattern: Any) -> None:
    rules: Any = {name: ["/ok", pattern]}
    assert problems_of(lambda: Paths(**rules)) == {
        f"{name}[1]": "must be a path that starts with /, exact or ending in /*"
    }


@pytest.mark.parametrize("pattern", ["//docs", "/docs/../a", "/./docs", "/a\\b", "/%61", "/a;b"])
def test_paths_pattern_ambiguous_config_error(pattern: str) -> None:
    assert problems_of(lambda: Paths(exempt=[pattern])) == {
        "exempt[0]": "must have at most 2,048 characters, no empty or dot segments, and no backslash, semicolon, "
        "percent sign or control character"
    }


@pytest.mark.parametrize("name", ["only", "exempt", "optional"])
@pytest.mark.parametrize("value", ["/docs", b"/docs"])
def test_paths_setting_single_string_config_error(name: str, value: Any) -> None:
    settings: Any = {name: value}
    assert problems_of(lambda: Paths(**settings)) == {name: "must be a list of paths, not one string"}


@pytest.mark.parametrize("value", [None, 5])
def test_paths_setting_non_list_config_error(value: Any) -> None:
    assert set(problems_of(lambda: Paths(only=value))) == {"only"}


def test_paths_several_invalid_patterns_all_reported() -> None:
    assert set(problems_of(lambda: Paths(only=["a"], exempt=["/", "b"], optional="/"))) == {
        "only[0]",
        "exempt[1]",
        "optional",
    }


@pytest.mark.parametrize("pattern", ["/admin", "/admin/*"])
@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin\n",
        "admin",
        "x:admin",
        "*",
        "/admin\x00",
        "/\x1fadmin",
        "/admin\x7f",
        "/other\t",
        "/%61dmin",
        "/other;x=/admin",
        "\\admin",
        "/other/..\\admin",
    ],
)
def test_paths_only_router_equivalent_path_gated(pattern: str, path: str) -> None:
    assert Paths(only=[pattern]).access(path) is GATED


@pytest.mark.parametrize("path", ["/administrator", "/", "", "/other", "/other/admin"])
def test_paths_only_other_path_open(path: str) -> None:
    assert Paths(only=["/admin"]).access(path) is OPEN


def test_paths_empty_path_treated_as_root() -> None:
    assert Paths(only=["/"]).access("") is GATED
    assert Paths(exempt=["/"]).access("") is OPEN
    assert Paths(exempt=["/docs"]).access("") is GATED


def test_paths_exempt_trailing_slash_matched_exactly() -> None:
    assert Paths(exempt=["/docs"]).access("/docs/") is GATED
    assert Paths(only=["/v1"], exempt=["/v1/"]).access("/v1/") is OPEN


@pytest.mark.parametrize("pattern", ["/a\n", "/a\x00", "/\x7f"])
def test_paths_pattern_control_character_config_error(pattern: str) -> None:
    assert set(problems_of(lambda: Paths(only=[pattern]))) == {"only[0]"}

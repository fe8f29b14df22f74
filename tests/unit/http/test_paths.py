"""Which paths stand behind the gate, and that a path of two meanings always does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.support import problems_of
from wicket.http.paths import Access, Paths

OPEN, OPTIONAL, GATED = Access.OPEN, Access.OPTIONAL, Access.GATED


@pytest.mark.parametrize("path", ["/", "", "/a", "/a/b", "//a", "/../a"])
def test_without_patterns_every_path_is_gated(path: str) -> None:
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
def test_only_exempt_and_optional_go_together(path: str, access: Access) -> None:
    paths = Paths(only=["/v1/*"], exempt=["/v1/health"], optional=["/v1/public/*"])
    assert paths.access(path) is access


@pytest.mark.parametrize("pattern", ["/admin", "/admin/"])
@pytest.mark.parametrize("path", ["/admin", "/admin/"])
def test_a_slash_at_the_end_opens_nothing(pattern: str, path: str) -> None:
    assert Paths(only=[pattern]).access(path) is GATED
    assert Paths(only=[pattern]).access("/administration") is OPEN


def test_what_is_optional_is_gated_though_only_others_are() -> None:
    paths = Paths(only=["/v1/*"], optional=["/greet"])
    assert [paths.access(path) for path in ("/greet", "/v1/a", "/")] == [OPTIONAL, GATED, OPEN]
    assert paths.access("/greet/") is GATED
    assert Paths(only=["/v1/*"], optional=["/greet/"]).access("/greet") is GATED


@pytest.mark.parametrize(("path", "access"), [("/docs", OPEN), ("/docs/a", OPEN), ("/doc", GATED), ("/", GATED)])
def test_exempt_alone_leaves_the_rest_gated(path: str, access: Access) -> None:
    assert Paths(exempt=["/docs/*"]).access(path) is access


def test_optional_alone_leaves_the_rest_gated() -> None:
    paths = Paths(optional=("/a" for _ in range(1)))
    assert [paths.access(path) for path in ("/a", "/b")] == [OPTIONAL, GATED]


def test_what_is_exempt_and_optional_is_exempt() -> None:
    assert Paths(exempt=["/a"], optional=["/a"]).access("/a") is OPEN


def test_a_star_alone_is_everything_below_the_root() -> None:
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
def test_no_exception_is_made_for_a_path_of_two_meanings(kind: str, path: str) -> None:
    given: Any = {kind: ["/docs/*"]}
    assert Paths(**given).access(path) is GATED


@pytest.mark.parametrize("path", ["//other", "/other/../v1", "/other\\v1", "/%76%31/users"])
def test_a_path_of_two_meanings_is_gated_though_only_others_are(path: str) -> None:
    assert Paths(only=["/v1/*"]).access(path) is GATED


def test_dots_in_a_name_are_no_dot_segments() -> None:
    assert Paths(exempt=["/docs/*"]).access("/docs/a..b/.hidden/...") is OPEN


@pytest.mark.parametrize("name", ["only", "exempt", "optional"])
@pytest.mark.parametrize("pattern", ["docs", "", "*", "/docs*", "/*/docs", "/docs/*/a", "/docs/**", 5, None, "^/docs"])
def test_a_pattern_is_a_path_or_a_path_and_a_star(name: str, pattern: Any) -> None:
    given: Any = {name: ["/ok", pattern]}
    assert problems_of(lambda: Paths(**given)) == {
        f"{name}[1]": "must be a path that starts with /, exact or ending in /*"
    }


@pytest.mark.parametrize("pattern", ["//docs", "/docs/../a", "/./docs", "/a\\b", "/%61", "/a;b"])
def test_a_pattern_means_only_itself(pattern: str) -> None:
    assert problems_of(lambda: Paths(exempt=[pattern])) == {
        "exempt[0]": "must mean only itself: no empty or dot segments, no encoded or control characters"
    }


@pytest.mark.parametrize("name", ["only", "exempt", "optional"])
@pytest.mark.parametrize("given", ["/docs", b"/docs"])
def test_one_string_is_no_list_of_paths(name: str, given: Any) -> None:
    settings: Any = {name: given}
    assert problems_of(lambda: Paths(**settings)) == {name: "must be a list of paths, not one string"}


@pytest.mark.parametrize("given", [None, 5])
def test_what_is_no_list_is_a_configuration_error(given: Any) -> None:
    assert set(problems_of(lambda: Paths(only=given))) == {"only"}


def test_every_wrong_pattern_is_named_at_once() -> None:
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
def test_what_a_router_may_take_for_a_gated_path_is_gated(pattern: str, path: str) -> None:
    assert Paths(only=[pattern]).access(path) is GATED


@pytest.mark.parametrize("path", ["/administrator", "/", "", "/other", "/other/admin"])
def test_what_no_router_takes_for_a_gated_path_is_open(path: str) -> None:
    assert Paths(only=["/admin"]).access(path) is OPEN


def test_a_path_that_is_empty_is_the_root() -> None:
    assert Paths(only=["/"]).access("") is GATED
    assert Paths(exempt=["/"]).access("") is OPEN
    assert Paths(exempt=["/docs"]).access("") is GATED


def test_a_slash_at_the_end_of_an_exempt_path_makes_it_another_path() -> None:
    assert Paths(exempt=["/docs"]).access("/docs/") is GATED
    assert Paths(only=["/v1"], exempt=["/v1/"]).access("/v1/") is OPEN


@pytest.mark.parametrize("pattern", ["/a\n", "/a\x00", "/\x7f"])
def test_a_pattern_has_no_control_characters(pattern: str) -> None:
    assert set(problems_of(lambda: Paths(only=[pattern]))) == {"only[0]"}

"""The paths that a router may derive from a request."""

from __future__ import annotations

import pytest

from wicket import Request
from wicket.messages.paths import LONGEST_PATH, MOST_READINGS, is_plain, is_root, loosened, readings


@pytest.mark.parametrize(
    ("path", "root", "rest"),
    [
        ("/app/x", "/app", "/x"),
        ("/app", "/app", ""),
        ("/app/", "/app", "/"),
        ("/a/b/x", "/a/b", "/x"),
        ("/app//x", "/app", "//x"),
        ("/x", "", "/x"),
        ("", "", ""),
        ("/x", "/app", "/x"),
        ("", "/app", ""),
        ("/ap", "/app", "/ap"),
    ],
)
def test_path_readings_root_prefix_once_or_absent_has_one_reading(path: str, root: str, rest: str) -> None:
    assert readings(path, root) == (rest,)


@pytest.mark.parametrize(
    ("path", "root", "found"),
    [
        ("/appx", "/app", {"/appx", "/x"}),
        ("/app/app/x", "/app", {"/app/app/x", "/app/x", "/x"}),
        ("/app/appx", "/app", {"/app/appx", "/appx", "/x"}),
        ("/public/app/x", "/app", {"/public/app/x", "/x"}),
        ("/public/appx", "/app", {"/public/appx", "/x"}),
        ("/public/app", "/app", {"/public/app", ""}),
        ("/app/x/app/y/app/z", "/app", {"/app/x/app/y/app/z", "/x/app/y/app/z", "/y/app/z", "/z"}),
        ("/a/a/a/x", "/a/a", {"/a/a/a/x", "/a/x", "/x"}),
    ],
)
def test_path_readings_ambiguous_root_has_every_reading(path: str, root: str, found: set[str]) -> None:
    assert set(readings(path, root)) == found


@pytest.mark.parametrize("path", ["x", "app/x", "http://host/x", "*", " /x"])
@pytest.mark.parametrize("root", ["", "/app"])
def test_path_readings_without_leading_slash_is_empty(path: str, root: str) -> None:
    assert readings(path, root) == ()


@pytest.mark.parametrize("root", ["/", "app", "/app/", "//app", "/a//b", "/a/../b", "/a;b", "/%61", "http://host/app"])
def test_path_readings_invalid_root_is_empty(root: str) -> None:
    assert readings("/app/x", root) == ()
    assert not is_root(root)


def test_path_readings_root_repeated_above_maximum_is_empty() -> None:
    assert len(readings("/a" * (MOST_READINGS - 1), "/a")) == MOST_READINGS
    assert readings("/a" * MOST_READINGS, "/a") == ()
    assert readings("/a" * 30_000, "/a") == ()


@pytest.mark.parametrize("root", ["", "/app"])
def test_a_path_that_is_too_long_has_no_reading(root: str) -> None:
    longest = "/" + "a" * (LONGEST_PATH - 1)
    assert readings(longest, root) == (longest,)
    assert readings(f"{longest}a", root) == ()


def test_readings_that_are_too_long_together_are_none() -> None:
    assert sum(map(len, readings("/a/a/" + "b" * 679, "/a"))) == LONGEST_PATH - 2
    assert readings("/a/a/" + "b" * 680, "/a") == ()


@pytest.mark.parametrize(
    ("found", "loose"),
    [
        (("/adminx",), ("/adminx", "/admin/x")),
        (("/admin/x",), ("/admin/x",)),
        (("/admin",), ("/admin",)),
        (("/other", "/admin.x/y"), ("/other", "/admin.x/y", "/admin/.x/y")),
        (("/bx", "/b/x"), ("/bx", "/b/x")),
        ((), ()),
    ],
)
def test_a_mount_without_a_boundary_adds_what_follows_it(found: tuple[str, ...], loose: tuple[str, ...]) -> None:
    assert loosened(found, ("/admin", "/b")) == loose


@pytest.mark.parametrize("path", ["/", "/a", "/a/b/", "/.hidden", "/a..b", "/...", "/é", "/a b"])
def test_is_plain_normalized_path_true(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize("path", ["", "a", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/a;b", "/a\\b", "/%", "/\n"])
def test_is_plain_ambiguous_path_false(path: str) -> None:
    assert not is_plain(path)


def test_a_very_long_path_is_not_plain() -> None:
    assert is_plain("/" + "a" * (LONGEST_PATH - 1))
    assert not is_plain("/" + "a" * LONGEST_PATH)


@pytest.mark.parametrize("code", [*range(32), 127])
def test_a_path_with_a_control_character_is_not_plain(code: int) -> None:
    assert not is_plain(f"/a{chr(code)}b")


@pytest.mark.parametrize("path", ["/\xa0", "/\x85", "/\u2028", "/\ue000"])
def test_a_path_with_what_is_not_printable_and_no_control_character_is_plain(path: str) -> None:
    assert is_plain(path)


def test_request_wsgi_path_after_script_name_has_one_reading() -> None:
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/app", "PATH_INFO": "/app/app/x"}
    assert Request.from_wsgi(environ).readings == ("/app/app/x",)
    assert Request.from_wsgi({**environ, "PATH_INFO": "app/x"}).readings == ()


@pytest.mark.parametrize("character", ["\u00fc", "\u20ac", "\U0001f600"])
def test_a_wsgi_path_beyond_ascii_is_as_long_as_its_characters(character: str) -> None:
    longest = "/" + character * (LONGEST_PATH - 1)
    for path, found in ((longest, (longest,)), (f"{longest}{character}", ()), (longest * 9, ())):
        variable = path.encode().decode("latin-1")
        assert Request.from_wsgi({"REQUEST_METHOD": "GET", "PATH_INFO": variable}).readings == found


@pytest.mark.parametrize(
    ("path", "root", "found"),
    [
        ("/b/x", "/a", ("/b/x", "/x")),
        ("/a/x", "/a", ("/x", "/a/x")),
        ("/x", "/a", ("/x",)),
        ("/b/x", "", ("/b/x", "/x")),
        ("/b" * 9, "/a", ()),
        ("/a" * 9, "/a", ()),
    ],
)
def test_a_request_has_the_readings_of_every_root(path: str, root: str, found: tuple[str, ...]) -> None:
    request = Request("GET", path)
    request.root, request.roots = root, ("/b",)
    assert request.readings == found
    request.mounts = ("/q",)
    assert request.readings == found


@pytest.mark.parametrize(
    ("root", "found"), [("/api", ("/sub/x", "/x")), ("/api/sub", ("/x",)), ("", ("/api/sub/x",)), (None, ("/x",))]
)
def test_request_mounted_below_given_root_has_readings_of_both(root: str | None, found: tuple[str, ...]) -> None:
    request = Request.from_asgi({"type": "http", "path": "/api/sub/x", "root_path": "/api/sub", "headers": []})
    request.root = root
    assert request.readings == found

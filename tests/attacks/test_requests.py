"""Incidents around the token: paths that were skipped, headers that were believed, words that leaked."""

from __future__ import annotations

import logging

import pytest

from tests.attacks.clients import FORGED, Answered, Behind, WSGIDoor
from tests.attacks.token_factory import app, pem, private_key, public_key, secret, token
from wicket import ConfigError, Header, Host, PathSegment, Query

ADA = (200, "acme:ada", None)
MISSING = (401, "missing_token", None)
TWICE = (400, "invalid_request", None)

EXEMPT = {"exempt": ["/public", "/assets/*"]}


def reached_ungated(answered: Answered) -> bool:
    """Whether the application was called without the gate's decision."""
    return answered.status == 200 and not answered.body["gated"]


@pytest.mark.parametrize(
    "host", ["x/public?", "x/public#", "gate.example/public", "x?/public", "x@/public", "/public", ""]
)
def test_cve_2026_48710_malformed_host_path_not_exempt(behind: Behind, host: str) -> None:
    door = behind(app(), paths=EXEMPT)
    assert reached_ungated(door.ask(path="/public"))
    assert door.ask(None, ("Host", host), path="/private").said == MISSING
    assert door.ask(token(), ("Host", host), path="/private").said == ADA


def test_cve_2020_25032_exempt_path_not_plain_gated(behind: Behind) -> None:
    door = behind(app(), paths=EXEMPT)
    for plain in ("/public", "/assets", "/assets/", "/assets/app.js", "/assets/a/b"):
        assert reached_ungated(door.ask(path=plain)), plain
    for path in (
        *(
            "//public",
            "/./public",
            "/%2e/public",
            "/public;a",
            "/public/",
            "/PUBLIC",
            "/Public",
            "/public%20",
            "/public+",
        ),
        *(
            "/assets/../private",
            "/assets/%2e%2e/private",
            "/assets//../private",
            "/assets/..;/private",
            "/assets\\..\\x",
        ),
        *("/assets/%2e%2e%2fprivate", "/assets/%252e%252e/private", "/assets/.", "/x/../public", "/assets/a//b"),
        *("/public%00", "/public%0a", "/assets/%5c..%5cprivate", "/assetsx", "/assets%2fapp.js%2f..", "/public%2f"),
    ):
        assert door.ask(path=path).said == MISSING, path
        assert door.ask(token(), path=path).said == ADA, path


def test_cve_2021_31920_only_path_duplicate_or_encoded_slash_gated(behind: Behind) -> None:
    door = behind(app(), paths={"only": ["/private/*"], "exempt": ["/private/health"]})
    assert reached_ungated(door.ask(path="/private/health"))
    assert reached_ungated(door.ask(path="/elsewhere"))
    for path in ("/private", "/private/x", "//private/x", "/private//health", "/private/%2Fhealth", "/private/health/"):
        assert door.ask(path=path).said == MISSING, path
    for path in ("/./private/x", "/x/../private/x", "/private%2fx", "/elsewhere//x", "/%2fprivate/x"):
        assert door.ask(path=path).said == MISSING, path


def test_cve_2020_8595_exempt_path_in_query_or_fragment_gated(behind: Behind) -> None:
    door = behind(app(), paths=EXEMPT)
    assert reached_ungated(door.ask(path="/public", query="x=/private"))
    assert reached_ungated(door.ask(path="/public", query="?#"))
    for path in ("/private%3f/public", "/private%23/public", "/private%3fx=/public", "/public%3f", "/public%23x"):
        assert door.ask(path=path).said == MISSING, path
    assert door.ask(path="/private", query="/public").said == MISSING


def test_cve_2025_54576_exempt_path_in_query_or_header_gated(behind: Behind) -> None:
    door = behind(app(), paths=EXEMPT)
    assert reached_ungated(door.ask(path="/public"))
    for query in ("/public", "path=/public", "x=%2Fpublic", "#/public", "&/public"):
        assert door.ask(path="/private", query=query).said == MISSING
    for name in (
        "X-Forwarded-Uri",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "User-Agent",
    ):
        assert door.ask(None, (name, "/public"), path="/private").said == MISSING, name
        assert door.ask(None, (name, "GET /public"), path="/private").said == MISSING, name


def test_cve_2026_33495_forwarded_headers_ignored(behind: Behind) -> None:
    door = behind(
        app("acme", origins=["https://acme.example"]),
        app("lax", allow_anonymous=True),
        app_locations=[Header("X-App-Id"), Host("*.widgets.example")],
        paths=EXEMPT,
    )
    home = ("Origin", "https://acme.example")
    assert door.ask(token(), home).said == ADA
    assert door.ask(None, ("Host", "lax.widgets.example"), app=None).said == (200, None, None)
    for header in (
        *(("X-Forwarded-Host", "lax.widgets.example"), ("Forwarded", "host=lax.widgets.example")),
        *(("X-Forwarded-Proto", "https"), ("X-Forwarded-Uri", "/public"), ("X-Forwarded-Method", "OPTIONS")),
        *(("X-HTTP-Method-Override", "OPTIONS"), ("X-Original-Host", "lax.widgets.example")),
    ):
        assert door.ask(None, home, header, path="/private").said == MISSING, header
        assert door.ask(None, header, app=None, path="/private").said == (401, "unknown_app", None), header
    forwarded = ("X-Forwarded-Origin", "https://acme.example")
    assert door.ask(token(), ("Origin", "https://evil.example"), forwarded).said == (403, "origin_not_allowed", None)


def test_cve_2025_64484_client_identity_headers_ignored(behind: Behind) -> None:
    """A WSGI server hands `X_App_Id` on as `X-App-Id`: beside the real one it is a repetition, and no second name."""
    door = behind(app(), app("mallory", allow_anonymous=True))
    forged = [(name, FORGED) for name in ("Remote-User", "Remote_User", "X-Forwarded-User", "X_Forwarded_User")]
    forged += [(name, FORGED) for name in ("Wicket-Identity", "Wicket.Identity", "X-Remote-User")]
    passed = door.ask(token(), *forged)
    assert passed.said == ADA
    assert passed.body["user"] == "acme:ada"
    assert door.ask(None, *forged).said == MISSING
    anonymous = door.ask(None, *forged, app="mallory")
    assert anonymous.said == (200, None, None)
    assert anonymous.body["user"] is None
    mixed = door.ask(token(), ("X_App_Id", "mallory"))
    wsgi = isinstance(door, WSGIDoor)
    assert mixed.said == (TWICE if wsgi else ADA), "the name with an underscore is a repetition, or another header"
    assert door.ask(None, ("X_App_Id", "mallory")).said == (TWICE if wsgi else MISSING)


@pytest.mark.parametrize("joined", [False, True], ids=["two headers", "one with a comma"])
def test_cve_2026_31838_duplicate_header_invalid_request(behind: Behind, joined: bool) -> None:
    door = behind(app("acme", origins=["https://acme.example"]), app("mallory"), app("open"), app("any", origins=["*"]))

    def twice(name: str, first: str, second: str) -> list[tuple[str, str]]:
        return [(name, f"{first}, {second}")] if joined else [(name, first), (name, second)]

    good, home = f"Bearer {token()}", ("Origin", "https://acme.example")
    id, authorization = ("X-App-Id", "acme"), ("Authorization", good)
    forged = f"Bearer {token('HS256', secret('mallory'))}"
    assert door.send("GET", "/", "", [id, authorization, home]).said == ADA
    for pair in ((good, good), (good, forged), (forged, good), ("Basic YTpi", good), (good, "Basic YTpi")):
        assert door.send("GET", "/", "", [id, home, *twice("Authorization", *pair)]).said == TWICE
    for pair in (("acme", "acme"), ("acme", "mallory"), ("mallory", "acme")):
        assert door.send("GET", "/", "", [authorization, home, *twice("X-App-Id", *pair)]).said == TWICE
    for pair in (("https://acme.example",) * 2, ("https://acme.example", "https://evil.example"), ("null", "null")):
        assert door.send("GET", "/", "", [id, authorization, *twice("Origin", *pair)]).said == TWICE
        for name in ("open", "any"):
            other = [("X-App-Id", name), ("Authorization", f"Bearer {token('HS256', secret(name))}")]
            for _ in range(3):
                assert door.send("GET", "/", "", [*other, ("Origin", pair[0])]).said == (200, f"{name}:ada", None)
                assert door.send("GET", "/", "", [*other, *twice("Origin", *pair)]).said == TWICE


def test_cve_2022_29266_refusal_and_log_contain_no_secret(behind: Behind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    door = behind(app(), app("keyed", public_key("RS256")), app("bare", public_key("ES256", kid="1")))
    assert door.ask(token()).said == ADA
    tokens = [
        token(),
        token("HS256", secret("x")),
        token("RS256"),
        token(exp=1),
        token(header={"kid": "zz" * 20}),
        "a.b.c",
    ]
    said = ""
    for name in ("acme", "keyed", "bare", "nobody"):
        for text in tokens:
            answered = door.ask(text, app=name)
            if answered.status != 200:
                said += f"{answered.headers} {answered.raw.decode()}"
    said += caplog.text
    assert said.count("invalid_token") > 10
    body = "".join(pem(private_key("RS256")).decode().splitlines()[1:-1])
    for needle in (secret().hex(), secret().decode("latin-1"), repr(secret())[2:-1], body[:40], body[100:140]):
        assert needle not in said
    for text in tokens[:-1]:
        for part in text.split(".")[1:]:
            assert part not in said
    assert "Traceback" not in said


def test_cve_2026_44883_unconfigured_query_token_ignored_not_logged(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    door = behind(app(), app("url", token_locations=[Query("jwt")]))
    good = token()
    assert door.ask(good).said == ADA
    for name in ("access_token", "token", "jwt", "id_token", "authorization"):
        assert door.ask(query=f"{name}={good}").said == MISSING, name
    own = token("HS256", secret("url"))
    assert door.ask(app="url", query=f"jwt={own}").said == (200, "url:ada", None)
    assert door.ask(app="url", query=f"jwt={good}").said == (401, "invalid_token", "bad_signature")
    assert "invalid_token" in caplog.text
    for text in (good, own):
        for part in text.split("."):
            assert part not in caplog.text


def test_cve_2026_55438_host_crafted_label_unknown_app(behind: Behind) -> None:
    door = behind(
        app(),
        app("mallory", allow_anonymous=True),
        app("mallory.acme", allow_anonymous=True),
        app_locations=[Host("*.widgets.example"), PathSegment(1)],
    )
    for good in (
        *("acme.widgets.example", "ACME.widgets.example", "acme.widgets.example:443"),
        *("acme.widgets.example.", "acme.widgets.example.:443"),
    ):
        assert door.ask(token(), ("Host", good), app=None).said == ADA
    for bad in (
        *("mallory.acme.widgets.example", "acme.mallory.widgets.example", "acme.widgets.example.evil.example"),
        *(
            "acmewidgets.example",
            "acme.widgets.example..",
            "acme@mallory.widgets.example",
            "acme%2emallory.widgets.example",
        ),
        *(
            ".widgets.example",
            "widgets.example",
            "acme.widgets.example:x",
            "acme\t.widgets.example",
            "*.widgets.example",
        ),
    ):
        assert door.ask(token(), ("Host", bad), app=None).said == (401, "unknown_app", None), bad
    both = door.ask(token(), ("Host", "mallory.widgets.example"), app=None, path="/in/acme")
    assert both.said == TWICE
    with pytest.raises(ConfigError):
        Host("*widgets.example")

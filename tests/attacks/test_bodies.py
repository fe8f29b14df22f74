"""RFC 6750 section 2.2: tokens in bodies, and the names of apps beside them."""

from __future__ import annotations

import json
from typing import Final

from tests.attacks.clients import Behind
from tests.attacks.token_factory import app, of_any_kind, secret, token
from tests.support.cost import BOUNDED, steps_of
from wicket import App, Bearer, Header, JsonBody, Query

ADA: Final = (200, "acme:ada", None)
MISSING: Final = (401, "missing_token", None)
UNKNOWN: Final = (401, "unknown_app", None)
MALFORMED: Final = (401, "invalid_token", "malformed")
TWO: Final = (400, "invalid_request", None)
NAMING: Final = [Header("X-App-Id"), JsonBody("app"), JsonBody("project.id")]
PLACES: Final = [Bearer(), Query("t"), JsonBody("token"), JsonBody("auth.token")]


def bodied(name: str = "acme") -> App:
    """An app that takes tokens from a header, from the query, and from two places of a body."""
    return app(name, token_locations=PLACES, app_locations=NAMING)


def test_rfc6750_2_2_body_token_unconfigured_location_missing_token(behind: Behind) -> None:
    door = behind(bodied(), app("plain", app_locations=NAMING), app_locations=NAMING)
    good, of_plain = token(), token("HS256", secret("plain"))
    assert door.post({"token": good}, app="acme").said == ADA
    assert door.post({"auth": {"token": good}}, app="acme").said == ADA
    assert door.ask(of_plain, app="plain").said == (200, "plain:ada", None)
    for name in ("token", "access_token", "jwt", "Authorization"):
        assert door.post({name: of_plain}, app="plain").said == MISSING, name
    for name in ("access_token", "Token", "TOKEN", "token ", "auth.token", "jwt", "\u0442oken"):
        assert door.post({name: good}, app="acme").said == MISSING, name
    for elsewhere in of_any_kind(
        {"auth": [{"token": good}]}, {"auth": good}, {"x": {"token": good}}, [{"token": good}]
    ):
        assert door.post(elsewhere, app="acme").said == MISSING, elsewhere
    assert door.post(f"token={good}", app="acme", media="application/x-www-form-urlencoded").said == MISSING
    for media in ("text/plain", "application/jsonp", "application/x-json", "multipart/form-data", "", "json", "a, b"):
        assert door.post({"token": good}, app="acme", media=media).said == MISSING, media
    for media in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=utf-7"):
        assert door.post({"token": good}, app="acme", media=media).said == ADA, media
    described = ("Content-Type", "application/json"), ("Content-Length", "400")
    raw = json.dumps({"token": good}).encode()
    for method in ("GET", "HEAD", "OPTIONS"):
        assert door.ask(None, *described, method=method, body=raw).status == 401, method
    beacons = JsonBody("beacon", types=("text/plain",))
    mixed = behind(app("acme", token_locations=[JsonBody("token"), beacons]), app("other"))
    for name, media, other in (
        ("token", "application/json", "text/plain"),
        ("beacon", "text/plain", "application/json"),
    ):
        assert mixed.post({name: good}, app="acme", media=media).said == ADA
        assert mixed.post({name: good}, app="acme", media=other).said == MISSING, "each place under its own type"


def test_rfc6750_2_2_body_token_conflict_invalid_request_header_wins(behind: Behind) -> None:
    """Where a header carries one, that of the body does not count: it can neither replace it nor mend it."""
    door = behind(bodied(), bodied("other"), app_locations=NAMING)
    ada, eve = token(), token(sub="eve")
    assert door.post({"token": ada, "auth": {"token": ada}}, app="acme").said == ADA
    for first, second in ((ada, eve), (eve, ada), (ada, "a.b.c"), ("a.b.c", ada)):
        assert door.post({"token": first, "auth": {"token": second}}, app="acme").said == TWO
    bearer = ("Authorization", f"Bearer {ada}")
    assert door.post({"token": eve}, bearer, app="acme").said == ADA
    assert door.post({"token": ada}, ("Authorization", "Bearer a.b.c"), app="acme").said == MALFORMED
    assert door.post({"token": ada}, ("Authorization", f"Bearer {token(exp=1)}"), app="acme").status == 401
    assert door.post({"token": ada}, ("Authorization", "Bearer"), app="acme").said == TWO
    assert door.post({"token": ada}, bearer, ("Authorization", f"Bearer {eve}"), app="acme").said == TWO
    for repeated in (
        f'{{"token": "{ada}", "token": "{eve}"}}',
        f'{{"token": "{eve}", "token": "{ada}"}}',
        f'{{"token": "{ada}", "token": null}}',
        f'{{"token": "{ada}", "t\\u006fken": "{eve}"}}',
        f'{{"auth": {{"token": "{ada}"}}, "auth": {{"token": "{eve}"}}}}',
        f'{{"auth": {{"token": "{ada}", "token": "{eve}"}}}}',
    ):
        assert door.post(repeated, app="acme").said == TWO, repeated[:30]


def test_rfc6750_2_2_body_app_ref_conflict_invalid_request(behind: Behind) -> None:
    door = behind(bodied(), bodied("mallory"), app_locations=NAMING)
    good, forged = token(), token("HS256", secret("mallory"))
    assert door.post({"app": "acme", "token": good}).said == ADA
    assert door.post({"app": "acme", "project": {"id": "acme"}, "token": good}, app="acme").said == ADA
    for names in (
        {"app": "acme", "project": {"id": "mallory"}},
        {"app": "mallory", "project": {"id": "acme"}},
        {"app": "acme", "project": {"id": "nobody"}},
    ):
        for text in (good, forged):
            assert door.post({**names, "token": text}).said == TWO, names
    for header, name in (("acme", "mallory"), ("mallory", "acme"), ("acme", "nobody")):
        for text in (good, forged):
            assert door.post({"app": name, "token": text}, app=header).said == TWO
    for text, name in ((good, "mallory"), (forged, "acme")):
        assert door.post({"app": name, "token": text}).said == (401, "invalid_token", "bad_signature")
    for value in of_any_kind(1, True, ["acme"], {"id": "acme"}, 1.5, []):
        assert door.post({"app": value, "token": good}).said == TWO, value
    for near in ("Acme", "acme ", "acme\0", "\u0430cme", "acme/", "*"):
        assert door.post({"app": near, "token": good}).said == UNKNOWN, near
    assert door.post(f'{{"app": "acme", "app": "mallory", "token": "{forged}"}}').said == TWO
    assert door.post(f'{{"app": "mallory", "app": "acme", "token": "{forged}"}}').said == TWO
    assert door.post({"token": good}).said == UNKNOWN
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert door.post({"app": "acme", "token": good}, media=media).said == UNKNOWN


def test_rfc6750_2_2_body_unreadable_unknown_app_bounded_cost(behind: Behind) -> None:
    """Neither its size, nor its depth, nor its encoding makes a token of it, or trouble."""
    door = behind(bodied(), bodied("other"), app_locations=NAMING)
    door.times = 1  # one request is timed
    good = token()
    document = {"app": "acme", "token": good}
    text = json.dumps(document)
    assert door.post(document).said == ADA
    assert door.post({**document, "more": "x" * 60_000}).said == ADA
    deep = "[" * 20_000 + "]" * 20_000
    for raw in (
        *(text.encode("utf-16"), text.encode("utf-32"), text.encode("utf-8-sig"), text.encode() + b"\xff"),
        *(
            text.encode() + b"x",
            text.encode() * 2,
            b"[" + text.encode() + b"]",
            text[:-1].encode(),
            b"\0" + text.encode(),
        ),
        *(
            json.dumps({**document, "more": "x" * 66_000}).encode(),
            f'{text[:-1]}, "x": {deep}}}'.encode(),
            b"",
            b"null",
        ),
        *(f'{text[:-1]}, "x": 1{"0" * 5_000}}}'.encode(), json.dumps(text).encode(), text.replace('"', "'").encode()),
    ):
        assert door.post(raw).said == UNKNOWN, raw[:20]
        assert door.post(raw, app="acme").said == MISSING, raw[:20]
        assert steps_of(lambda raw=raw: door.post(raw)) < BOUNDED, raw[:20]  # type: ignore[misc]  # mypy sees no default
    for value in of_any_kind(1, True, [good], {"token": good}, 1.5):
        assert door.post({"token": value}, app="acme").said == MALFORMED, value
    for value in of_any_kind("", None):
        assert door.post({"token": value}, app="acme").said == MISSING
    for value in (f" {good}", f"{good}\n", f"Bearer {good}", good + "\0", good.replace(".", "\u2024"), "\ud800"):
        assert door.post({"token": value}, app="acme").said == MALFORMED, value


def test_rfc6750_2_2_body_token_blocked_origin_refused_without_leak(behind: Behind) -> None:
    door = behind(
        app("acme", token_locations=PLACES, app_locations=NAMING, origins=["https://acme.example"]),
        bodied("other"),
        app_locations=NAMING,
    )
    good, bad = token(), token("HS256", secret("mallory"))
    home, evil = ("Origin", "https://acme.example"), ("Origin", "https://evil.example")
    assert door.post({"app": "acme", "token": good}, home).said == ADA
    for names in ({"app": "acme"}, {"project": {"id": "acme"}}):
        assert door.post({**names, "token": good}, evil).said == (403, "origin_not_allowed", None)
        assert door.post({**names, "token": good}, home, evil).said == TWO
    refused = door.post({"app": "acme", "token": bad}, home)
    assert refused.said == (401, "invalid_token", "bad_signature")
    assert refused.headers["cache-control"] == "no-store"
    for part in bad.split("."):
        assert part.encode() not in refused.raw
        assert not any(part in value for value in refused.headers.values())

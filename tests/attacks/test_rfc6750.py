"""The requirements of RFC 6750, 9110 and 9457 on how a request is refused, one test each."""

from __future__ import annotations

import re

from tests.attacks.clients import Answered, Behind, Door
from tests.attacks.token_factory import NOW, app, public_key, secret, token
from wicket import Bearer, Query, Revocations

ADA = (200, "acme:ada", None)
BARE = 'Bearer realm="wicket"'
TWICE = (400, "invalid_request", None)
MISSING = (401, "missing_token", None)
MEMBERS = {"type", "title", "status", "detail", "error", "reason"}
CHALLENGE = re.compile(r'Bearer realm="([^"\\]*)"(?:, error="([a-z_]+)", error_description="([^"\\]*)")?')


def challenge(answered: Answered) -> tuple[str | None, str | None]:
    """Error code and description of the challenge, which must be well-formed."""
    found = CHALLENGE.fullmatch(answered.headers["www-authenticate"])
    assert found is not None, answered.headers
    return found[2], found[3]


def test_rfc6750_3_challenge_without_credentials_no_error(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(token()).said == ADA
    for headers in ((), (("Authorization", "Basic YTpi"),), (("Authorization", "Digest x"),), (("Authorization", ""),)):
        answered = door.ask(None, *headers)
        assert answered.said == MISSING
        assert answered.headers["www-authenticate"] == BARE
    assert challenge(door.ask("a.b.c"))[0] == "invalid_token"


def test_rfc6750_3_challenge_realm_special_characters_replaced(behind: Behind) -> None:
    door = behind(app(), realm='a "b" \\ c\r\nX: y é')
    assert door.ask(token()).said == ADA
    for answered in (
        door.ask(),
        door.ask("a.b.c"),
        door.ask(app="nobody"),
        door.ask(None, ("Authorization", "Bearer")),
    ):
        assert challenge(answered)
        assert answered.headers["www-authenticate"].startswith('Bearer realm="a ?b? ? c??X: y ?"')
        assert "x" not in answered.headers


def test_rfc6750_3_1_contradictory_request_invalid_request(behind: Behind) -> None:
    door = behind(app("acme", token_locations=[Bearer(), Query("jwt")]))
    good = token()
    assert door.ask(good).said == ADA
    assert door.ask(query=f"jwt={good}").said == ADA
    eve = token(sub="eve")
    for answered in (
        door.ask(good, query=f"jwt={eve}"),
        door.ask(query=f"jwt={good}&jwt={good}"),
        door.ask(f"{good} {eve}"),
        door.ask(None, ("Authorization", "Bearer")),
        door.ask(None, ("Authorization", "Bearer ")),
        door.ask(None, ("Authorization", "Bearer a b")),
        door.ask(good, ("Authorization", f"Bearer {good}")),
        door.ask(good, ("X-App-Id", "acme")),
    ):
        assert answered.said == TWICE
        assert challenge(answered)[0] == "invalid_request"


def test_rfc6750_3_1_bad_token_invalid_token(behind: Behind) -> None:
    door = behind(app("acme", revocations=Revocations(token_ids=frozenset({"stolen"}))))
    assert door.ask(token()).said == ADA
    for text in (token(exp=1), token(jti="stolen"), "a.b.c", token("HS256", secret("x")), token(aud="x"), "x"):
        answered = door.ask(text)
        assert answered.said[:2] == (401, "invalid_token")
        code, description = challenge(answered)
        assert code == "invalid_token"
        assert description == answered.body["detail"]


def test_rfc6750_3_1_missing_scope_insufficient_scope(behind: Behind) -> None:
    door = behind(app("acme", allowed_scopes=["read"], scopes_claim="scope"))
    good = token(scope="read write")
    assert door.ask(good, ("X-Demand", "read")).said == ADA
    for demand in ("write", "READ", "read write", "*"):
        answered = door.ask(good, ("X-Demand", demand))
        assert answered.said == (403, "insufficient_scope", None), "what the app may not give, or the token does not"
        assert challenge(answered)[0] == "insufficient_scope"
    assert door.ask(token(), ("X-Demand", "read")).said == (403, "insufficient_scope", None)
    assert door.ask(None, ("X-Demand", "read")).said == MISSING


def test_rfc6750_3_challenge_token_text_not_injected(behind: Behind) -> None:
    door = behind(
        app("acme", required_claims=["jti"], issuer="https://id.example"), app("keyed", public_key("ES256", kid="1"))
    )
    assert door.ask(token(jti="1", iss="https://id.example")).said == ADA
    for evil in ('x" error="none', "x\r\nSet-Cookie: a=b", "x\\", "é", "\x7f", "a\nb", '", realm="x'):
        for answered in (
            door.ask(token(iss=evil, jti="1")),
            door.ask(token(iss="https://id.example", sub=evil + "\n", jti="1")),
            door.ask(token("ES256", header={"kid": evil}), app="keyed"),
            door.ask(token(header={"typ": evil})),
            door.ask(token(header={"alg": evil})),
        ):
            assert answered.status == 401
            _, description = challenge(answered)
            assert description is not None
            assert description.isascii()
            assert description.isprintable()
            assert evil not in f"{answered.headers}{answered.raw.decode()}"
            assert "set-cookie" not in answered.headers


def test_rfc9110_11_1_bearer_scheme_any_case_allowed(behind: Behind) -> None:
    door = behind(app())
    good = token()
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        assert door.ask(None, ("Authorization", f"{scheme} {good}")).said == ADA
    assert door.ask(None, ("Authorization", f"Bearer   {good}")).said == ADA
    for value in (f"Bearer\t{good}", f"Bearer \t{good}", f"Bearer {good}\x0b", f"Bearer \u00a0{good}"):
        assert door.ask(None, ("Authorization", value)).said == TWICE, value
    for value in (f"Bearer{good}", f"Bearer={good}", f"Bearerx {good}", f"Token {good}", good, f"Bear er {good}"):
        assert door.ask(None, ("Authorization", value)).said == MISSING, value


def test_rfc6750_2_3_query_token_unconfigured_missing_token(behind: Behind) -> None:
    door = behind(app(), app("url", token_locations=[Query("access_token")]))
    good = token()
    assert door.ask(good).said == ADA
    assert door.ask(query=f"access_token={good}").said == MISSING
    own = token("HS256", secret("url"))
    assert door.ask(app="url", query=f"access_token={own}").said == (200, "url:ada", None)
    assert door.ask(own, app="url").said == MISSING
    for answered in (
        door.ask(),
        door.ask("a.b.c"),
        door.ask(app="nobody"),
        door.ask(None, ("Authorization", "Bearer")),
        door.ask(app="url", query=f"access_token={token('HS256', secret('url'), exp=1)}"),
    ):
        assert answered.headers["cache-control"] == "no-store"
    passed = door.ask(app="url", query=f"access_token={own}")
    assert "cache-control" not in passed.headers, "what the application answers is its own"


def test_rfc6750_5_3_forged_token_refusal_independent_of_user(behind: Behind) -> None:
    """Ids of apps and of keys are public, and told apart; what is told of a token goes to whoever holds it."""
    revoked = Revocations(users={"eve": NOW}, token_ids=frozenset({"stolen"}))
    door = behind(app("acme", revocations=revoked), app("keyed", public_key("ES256", kid="1")))
    assert door.ask(token()).said == ADA
    assert door.ask(token(sub="eve")).said == (401, "invalid_token", "revoked"), "told to the holder alone"

    def same(first: Answered, second: Answered) -> bool:
        return (first.status, first.headers, first.raw) == (second.status, second.headers, second.raw)

    assert same(door.ask(token(), app="nobody"), door.ask(token(), app="nobody-else"))
    assert same(door.ask(token("HS256", secret("x"))), door.ask(token("HS256", secret("x"), sub="eve", exp=1)))
    assert same(*(door.ask(token("ES256", header={"kid": kid}), app="keyed") for kid in ("2", "acme")))
    forged = [
        door.ask(token("HS256", secret("x"), **changes))
        for changes in (
            {},
            {"sub": "eve"},
            {"sub": "nobody"},
            {"jti": "stolen"},
            {"sub": None},
            {"aud": "x"},
            {"nbf": 1e11},
        )
    ]
    assert [each for each in forged if not same(each, forged[0])] == [], "nothing of a forged token is looked at"
    assert forged[0].said == (401, "invalid_token", "bad_signature")
    assert door.ask(token(), app="nobody").said == (401, "unknown_app", None)
    absent = door.ask(token("ES256", header={"kid": "2"}), app="keyed")
    assert absent.said == (401, "invalid_token", "key_not_found")
    assert not same(door.ask(token(exp=NOW - 99)), door.ask(token("HS256", secret("x"))))


def every_refusal(door: Door) -> list[Answered]:
    """One answer of each kind that needs no outage."""
    evil = ("Origin", "https://evil.example")
    return [
        *(door.ask(), door.ask("a.b.c"), door.ask(token(exp=1)), door.ask(token(), app="nobody"), door.ask(app=None)),
        *(door.ask(token(), evil), door.ask(None, ("Authorization", "Bearer")), door.ask(token("RS256"))),
    ]


def test_rfc9457_3_refusal_every_kind_problem_json(behind: Behind) -> None:
    door = behind(app("acme", origins=["https://acme.example"]), app("other"), error_docs="https://docs.example/#")
    assert door.ask(token()).said == ADA
    titles: dict[str, set[str]] = {}
    answers = every_refusal(door)
    assert {each.status for each in answers} == {400, 401, 403}
    for answered in answers:
        body = answered.body
        assert answered.headers["content-type"] == "application/problem+json"
        assert set(body) == MEMBERS
        assert body["status"] == answered.status
        assert body["type"] == f"https://docs.example/#{body['error']}"
        assert body["detail"]
        titles.setdefault(body["type"], set()).add(body["title"])
        assert int(answered.headers["content-length"]) == len(answered.raw)
    assert all(len(each) == 1 for each in titles.values()), "one title for each type"
    plain = behind(app())
    assert plain.ask().body["type"] == "about:blank"


def test_rfc9110_15_5_2_refusal_with_status_401_has_challenge(behind: Behind) -> None:
    door = behind(app("acme", origins=["https://acme.example"]), app("other"))
    assert "www-authenticate" not in door.ask(token()).headers
    answers = every_refusal(door)
    for answered in answers:
        if answered.status == 401:
            assert challenge(answered)
    assert any(answered.status == 401 for answered in answers)
    head = door.ask(method="HEAD")
    assert head.status == 401
    assert head.headers["www-authenticate"] == BARE
    assert head.raw == b""

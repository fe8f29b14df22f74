"""`diagnose`: its arguments, its decision, and that it reports nothing as an event."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.attacks.published import member
from tests.attacks.token_factory import NOW as FORGED
from tests.attacks.token_factory import private_key
from tests.attacks.token_factory import token as by_key
from tests.support.unit import KEY, NOW, ORIGIN, acme, claims, gate_of, problems_of, secret, segment, token
from wicket import App, AppRef, ConfigError, Gate, Header, Jwks, Mode, Revocations, Rules, Secret
from wicket.config.app import BrokenApp
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import Cookie, JsonBody, Query
from wicket.diagnostics import Diagnosis, diagnose
from wicket.reporting.events import DecisionEvent
from wicket.testing.issuer import LocalIssuer

HASHING = secret(bytes(range(100, 140)))


def words(diagnosis: Diagnosis) -> list[str]:
    return [each.code for each in diagnosis.findings]


def ask(app: App, text: str | None = None, **given: Any) -> Diagnosis:
    with gate_of(app) as gate:
        return diagnose(gate, "acme", text, **given)


def test_diagnose_as_dict_is_json_serializable() -> None:
    passed, refused = ask(acme(), token()), ask(acme(), token(claims(sub=7)))
    assert passed.as_dict()["refusal"] is None
    said = json.loads(json.dumps(refused.as_dict()))
    assert said["app"] == "acme"
    assert said["passed"] is False
    assert said["refusal"] == {
        "code": "invalid_token",
        "reason": "bad_claim",
        "detail": "The claim sub must be a string.",
        "retry_after": None,
        "claim": "sub",
        "limited": False,
        "impatient": False,
        "expected": None,
        "status": 401,
    }
    assert said["findings"] == [
        {
            "code": "numeric_user_id",
            "detail": "The claim sub is the number 7: write it as a string, in quotes.",
            "expected": "a string",
            "found": "a number",
        }
    ]
    assert said["steps"][0] == {
        "name": "app",
        "expected": "an app of this gate",
        "found": "'acme', profile None",
        "passed": True,
    }


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"gate": None}, "gate"),
        ({"app": None}, "app"),
        ({"app": b"acme"}, "app"),
        ({"token": b"x"}, "token"),
        ({"origin": 7}, "origin"),
        ({"body": "text"}, "body"),
        ({"body": [1]}, "body"),
        ({"body": {"a": {1, 2}}}, "body"),
        ({"body": {("a",): 1}}, "body"),
        ({"app": "nobody"}, "app"),
        ({"app": "\ud800 no name"}, "app"),
    ],
)
def test_diagnose_unknown_app_or_wrong_type_raises_config_error(given: dict[str, Any], path: str) -> None:
    with gate_of(acme()) as gate:
        arguments = {"gate": gate, "app": "acme", **given}
        problems = problems_of(lambda: diagnose(**arguments))
    assert set(problems) == {path}
    assert "acme" not in str(problems)


def test_diagnose_circular_body_raises_config_error() -> None:
    sent: dict[str, Any] = {}
    sent["body"] = sent
    assert set(problems_of(lambda: ask(acme(), body=sent))) == {"body"}


WILD = [
    "", " ", ".", "..", "a.b.c", "Bearer", "Bearer ", "\x00", "\ud800", "null", '"', "''", "é" * 10, "\u200b",
    "x" * 100_000,
    "[object Promise]", f"{segment([])}.{segment({})}.", f"{segment({'alg': 'HS256'})}.{segment('[]')}.AAAA",
    f"{segment({'alg': 'HS256', 'kid': chr(27)})}.{segment({'exp': 10**300, 'iat': True, 'aud': {}, 'iss': []})}.AAAA",
    f"{segment({'alg': 'ES256'})}.{segment({'exp': None, 'iat': -1, 'nbf': 1e300, 'sub': 1.5})}.AAAA",
]  # fmt: skip
BODIES: list[Mapping[Any, Any]] = [
    {}, {"userId": None}, {"userId": []}, {"userId": "x", "userHash": []}, {"userId": "\ud800", "userHash": "\ud800"},
    {"userId": "x" * 100_000, "userHash": "f" * 64}, {"userId": "\x00", "userHash": "f" * 64}, {"jwt": 7},
    {1: 2, None: "x"},
    {"userId": float("nan"), "companies": [{"id": "a"}, 7, None, {"companyHash": {}}]},
    {"a": {"b": {"c": {"d": {"e": 1}}}}},
    {"userId": 10**299, "userHash": "f" * 64}, {"jwt": "a.b.c", "x-hash": "f" * 64}, {"é": "x", "userHash": "A" * 43},
]  # fmt: skip


@pytest.mark.parametrize("text", [None, *WILD])
@pytest.mark.parametrize("sent", [None, *BODIES])
@pytest.mark.filterwarnings("ignore")
def test_diagnose_arbitrary_input_returns_findings_without_raising(
    text: str | None, sent: Mapping[Any, Any] | None
) -> None:
    rule = IdentityHash(secret=HASHING, identifier="userId")
    app = acme(identity_hash=rule, token_locations=[JsonBody("jwt"), Query("token")], issuer="https://id.example")
    for origin in (None, *WILD[:12]):
        diagnosis = ask(app, text, body=sent, origin=origin)
        assert not diagnosis.passed
        assert diagnosis.refusal is not None
        assert diagnosis.findings
        json.dumps(diagnosis.as_dict())
        repr(diagnosis)


def test_diagnose_emits_no_event_or_outcome() -> None:
    events: list[Any] = []
    with Gate([acme()], clock=lambda: NOW, on_event=events.append) as gate:
        diagnose(gate, "acme", token())
        diagnose(gate, "acme", "nonsense")
        assert (events, gate.outcomes()) == ([], ())
        gate.verify("nonsense", app="acme")
    assert [type(event) for event in events] == [DecisionEvent]


@pytest.mark.parametrize(
    "settings", [{"mode": Mode.LOG_ONLY}, {"allow_anonymous": True}, {"origin_mode": Mode.LOG_ONLY}]
)
def test_diagnose_log_only_or_anonymous_app_still_reports_findings(settings: dict[str, Any]) -> None:
    app = acme(**settings)
    assert not ask(app).passed
    assert words(ask(app)) == ["missing_token"]
    assert words(ask(app, token(key=bytes(40)))) == ["bad_signature"]
    assert words(ask(app, token(), origin="https://b.com")) == ["origin_not_allowed"]
    assert ask(app, token(), origin=ORIGIN).passed


def test_diagnose_registry_app_and_alias_are_found() -> None:
    def load(ref: AppRef) -> App | None:
        return acme() if ref.value == "acme" else None

    with Gate(registry=load, app_locations=[Header("X-App-Id")], clock=lambda: NOW) as gate:
        assert diagnose(gate, "acme", token()).passed
        with pytest.raises(ConfigError):
            diagnose(gate, "nobody", token())
    with gate_of(acme(aliases=["other-name"])) as gate:
        assert diagnose(gate, "other-name", token()).app == "acme"


def test_diagnose_broken_or_unavailable_app_reports_its_code() -> None:
    def failing(ref: AppRef) -> App | None:
        raise OSError("the database is down")

    with Gate([acme(), BrokenApp("globex")], app_locations=[Header("X-App-Id")]) as gate:
        broken = diagnose(gate, "globex", token())
    with Gate(registry=failing, app_locations=[Header("X-App-Id")]) as gate:
        lost = diagnose(gate, "globex", token())
    assert words(broken) == ["config_invalid"]
    assert "its configuration is broken" in broken.steps[0].found
    assert words(lost) == ["apps_unavailable"]
    assert "acme" not in json.dumps(broken.as_dict())


@pytest.mark.parametrize(
    ("app", "text", "mistakes"),
    [
        (acme(credentials=[]), token(claims(sub=7)), ["config_missing", "numeric_user_id"]),
        (acme(revocations=Revocations(issued_before=NOW)), token(), ["revoked"]),
        (acme(), token(typ="at+jwt", payload=claims(exp=NOW - 99)), ["exp_before_iat", "wrong_type"]),
        (acme(rules=Rules(attributes_claim="ctx")), token(claims(ctx=7)), ["bad_claim"]),
        (acme(rules=Rules(max_lifetime=60)), token({"sub": "u", "iat": NOW}), ["missing_claim"]),
        (
            acme(rules=Rules(required_claims=frozenset({"exp"}))),
            token({"sub": 7}),
            ["numeric_user_id", "missing_claim"],
        ),
        (
            acme(rules=Rules(user_id_claims=("userId",), required_claims=frozenset())),
            token({"sub": "u"}),
            ["missing_claim"],
        ),
        (acme(rules=Rules(max_token_bytes=99)), token(), ["too_large"]),
        (acme(), "nonsense", ["malformed"]),
        (acme(), f"{segment({'typ': 'JWT'})}.{segment(claims())}.AAAA", ["wrong_algorithm"]),
    ],
)
def test_diagnose_refused_token_reports_expected_findings(app: App, text: str, mistakes: list[str]) -> None:
    assert words(ask(app, text)) == mistakes


def test_diagnose_body_token_is_found_at_token_locations() -> None:
    app = acme(token_locations=[JsonBody("auth.token"), Query("jwt"), Header("X-User"), Cookie("session")])
    assert ask(app, body={"auth": {"token": token()}}).passed
    assert ask(app, body={"jwt": token()}).passed
    assert ask(app, body={"X-USER": token()}).passed
    assert words(ask(app, body={"elsewhere": token()})) == ["missing_token"]
    assert words(ask(app, body={"jwt": token(), "x-user": token(claims(sub="other"))})) == ["invalid_request"]
    assert words(ask(app, body={"auth": {"token": 7}})) == ["malformed"]
    assert words(ask(app, body={"auth": {"token": token(key=bytes(40))}})) == ["bad_signature"]
    assert ask(app, token(), body={"jwt": "another"}).passed


def test_diagnose_json_body_of_other_media_type_is_searched() -> None:
    app = acme(token_locations=[JsonBody("jwt", types=("text/plain",))])
    assert ask(app, body={"jwt": token()}).passed


def test_diagnose_hash_in_header_and_query_is_checked() -> None:
    proof = hmac.new(bytes(range(100, 140)), b"user-1", hashlib.sha256).hexdigest()
    rule = IdentityHash(
        secret=HASHING, identifier="id", identifier_location=Query("uid"), hash_location=Header("X-Hash")
    )
    app = acme(identity_hash=rule)
    assert ask(app, body={"uid": "user-1", "X-Hash": proof}).passed
    assert words(ask(app, body={"uid": "user-1"})) == ["half_a_pair"]
    assert words(ask(app, body={"uid": "user-1", "x-hash": proof.upper()})) == ["hash_encoding"]
    assert words(ask(app, body={"uid": "USER-1", "x-hash": proof})) == ["altered_identifier"]


def test_diagnose_hash_after_accept_until_missing_token() -> None:
    rule = IdentityHash(secret=HASHING, identifier="userId", accept_until=NOW)
    (finding,) = ask(acme(identity_hash=rule), body={"userId": "x", "userHash": "X"}).findings
    assert (finding.code, "no longer accepts identity hashes" in finding.detail) == ("missing_token", True)


def test_diagnose_hash_disagreeing_with_token_reported_if_body_is_read() -> None:
    proof = hmac.new(bytes(range(100, 140)), b"user-2", hashlib.sha256).hexdigest()
    rule = IdentityHash(secret=HASHING, identifier="userId")
    app = acme(identity_hash=rule, token_locations=[JsonBody("jwt")])
    text = token(claims(userId="user-1"))
    assert words(ask(app, text, body={"userId": "user-2", "userHash": proof})) == ["invalid_request"]
    assert words(ask(app, text, body={"userId": "user-1", "userHash": proof.upper()})) == [
        *("hash_encoding", "bad_identity_hash"),
    ]
    named = acme(identity_hash=rule, app_locations=[JsonBody("appId")])
    assert words(ask(named, text, body={"userId": "user-2", "userHash": proof})) == ["invalid_request"]
    unread = acme(
        identity_hash=rule
    )  # the token and the name of the app are in headers, so the gate does not read the body
    assert ask(unread, text, body={"userId": "user-2", "userHash": proof}).passed


def test_diagnose_secrets_in_input_are_redacted() -> None:
    held = Secret.from_text("pasted-4b8d-19f3-a6c0-72e5-d81b-acme")
    text = token(
        claims(iss=held.keys[0].material.decode(), aud=KEY.hex()), key=KEY, kid="pasted-4b8d-19f3-a6c0-72e5-d81b-acme"
    )
    app = acme(credentials=[secret(), held], issuer="https://id.example", audience="https://api.example")
    diagnosis = ask(app, text, origin="pasted-4b8d-19f3-a6c0-72e5-d81b-acme")
    said = repr(diagnosis) + json.dumps(diagnosis.as_dict())
    assert "the-secret-of" not in said
    assert KEY.hex() not in said
    assert "(withheld)" in said


def test_diagnose_long_value_is_reported_by_length_only() -> None:
    app = acme(issuer="https://id.example")
    diagnosis = ask(app, token(claims(iss="x" * 500)))
    assert words(diagnosis) == ["issuer_wrong"]
    assert diagnosis.findings[0].found == "(502 characters)"


def test_diagnose_secret_and_jwks_keys_finding_depends_on_kid(wicket_issuer: LocalIssuer) -> None:
    wicket_issuer.rotate()
    both = App("acme", issuer=wicket_issuer.issuer, credentials=[secret(kid="k1"), Jwks(wicket_issuer.jwks_url)])
    with Gate([both], network=wicket_issuer.network) as gate:
        body = {"iss": wicket_issuer.issuer, "sub": "u", "exp": 4_000_000_000}
        assert diagnose(gate, "acme", token(body, kid="k1")).passed
        assert words(diagnose(gate, "acme", token(body, key=bytes(40), kid="k1"))) == ["bad_signature"]
        assert words(diagnose(gate, "acme", token(body, key=bytes(40)))) == ["bad_signature"]
        assert words(diagnose(gate, "acme", token(body, key=bytes(40), kid="k2"))) == ["key_set_lacks_kid"]


def test_diagnose_unknown_kid_reported_only_if_a_key_with_kid_signed() -> None:
    app = acme(credentials=[secret(kid="k1"), secret(bytes(range(7, 39)))])
    assert words(ask(app, token(key=bytes(40), kid="k9"))) == ["bad_signature"]
    assert words(ask(app, token(key=bytes(range(7, 39)), kid="k1"))) == []
    assert words(ask(acme(credentials=[secret(kid="k1"), secret(bytes(range(7, 39)))]), token(kid="k9"))) == [
        "kid_unknown"
    ]


@pytest.mark.parametrize(
    ("said", "bound", "mistakes"),
    [
        ({"iss": "https://a.example"}, "https://a.example", []),
        ({"iss": "https://b.example"}, "https://a.example", ["issuer_wrong"]),
        ({}, "https://a.example", ["issuer_missing"]),
        ({"iss": "https://l.example/t1", "tid": "t1"}, "https://l.example/{tenantid}", []),
        ({"iss": "https://l.example/t1", "tid": "t2"}, "https://l.example/{tenantid}", ["issuer_wrong"]),
    ],
)
def test_diagnose_key_of_another_issuer_finding_names_its_issuer(
    said: dict[str, str], bound: str, mistakes: list[str]
) -> None:
    published = member("first", "1")
    held = App("acme", credentials=[Jwks.static({"keys": [{**published, "issuer": bound}]}, algorithms=["ES256"])])
    text = by_key("ES256", private_key("ES256", "first"), header={"kid": "1"}, **{"iss": None, **said})
    found = diagnose(Gate([held], clock=lambda: float(FORGED)), "acme", text)
    assert [each.code for each in found.findings] == mistakes
    assert all(each.expected == repr(bound) for each in found.findings)
    steps = {each.name: each for each in found.steps}
    assert (steps["iss"].expected, steps["claims"].passed) == (bound, not mistakes)


def test_diagnose_key_of_two_issuers_step_names_issuer_of_token() -> None:
    issuers = ("https://a.example", "https://b.example")
    published = [{**member("first", "1"), "issuer": each} for each in issuers]
    held = App("acme", credentials=[Jwks.static({"keys": published}, algorithms=["ES256"])])
    gate = Gate([held], clock=lambda: float(FORGED))
    for issuer in issuers:
        text = by_key("ES256", private_key("ES256", "first"), header={"kid": "1"}, iss=issuer)
        found = diagnose(gate, "acme", text)
        assert found.passed
        assert next(each for each in found.steps if each.name == "iss").expected == issuer

"""`App.check`: a check of the claims in code of the operator, for each request and wherever a token is verified."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from tests.support.known_tokens import outcome, why
from tests.support.unit import KEY, NOW, OTHER_KEY, acme, asks, claims, gate_of, problems_of, token
from wicket import App, AppRef, Gate, IdentityHash, Mode, Refusal, Refused, Revocations, Secret, mint, profiles
from wicket.decision.identity_hash import compute_hash
from wicket.diagnostics import diagnose

Check = Callable[[Mapping[str, Any]], Any]


class Recorder:
    """A check that records the claims of each call. `result` is what it returns, or raises if it is an exception."""

    def __init__(self, result: Any = None) -> None:
        self.result = result
        self.calls: list[Mapping[str, Any]] = []

    def __call__(self, claims: Mapping[str, Any]) -> Any:
        self.calls.append(claims)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_check_none_token_accepted_and_called_for_each_request() -> None:
    check = Recorder()
    with gate_of(acme(check=check)) as gate:
        for count in (1, 2, 3, 4):
            assert gate.decide(asks(token())).identity.user_id == "user-1"
            assert len(check.calls) == count
        assert gate.verify(token(), app="acme").allowed
        assert len(check.calls) == 5
    assert check.calls == [claims()] * 5


@pytest.mark.parametrize("detail", ["The plan is not paid.", "A line\r\nX: y", "\ud800"])
def test_check_string_bad_claim_with_that_detail(detail: str) -> None:
    assert why(acme(check=lambda claims: detail), token()) == ("bad_claim", None, detail)


def test_check_empty_string_bad_claim() -> None:
    refused = why(acme(check=lambda claims: ""), token())
    assert refused == ("bad_claim", None, "A claim of the token does not have the required form.")


REFUSED: Final = Refused(Refusal("insufficient_scope"))


async def _later(claims: object) -> None:
    """Accept any claims."""


@pytest.mark.parametrize(
    "result",
    [True, False, 0, [], ("a",), b"no", RuntimeError("the database is down"), REFUSED, "coroutine"],
    ids=repr,
)
def test_check_other_value_or_exception_internal_error(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    check: Check = _as_function if result == "coroutine" else Recorder(result)
    refusal = outcome(acme(check=check), token()).refusal
    assert refusal is not None
    assert (refusal.code, refusal.reason, refusal.status, refusal.retry_after) == ("internal_error", None, 503, 1)
    assert "the check of the claims failed" in caplog.text
    assert "the database is down" not in caplog.text


def _as_function(claims: object) -> Any:
    return _later(claims)


def test_check_result_changes_next_request_has_the_new_result() -> None:
    check = Recorder()
    with gate_of(acme(check=check)) as gate:
        assert gate.decide(asks(token())).allowed
        check.result = "The user is blocked."
        refusal = gate.decide(asks(token())).refusal
        assert refusal is not None
        assert (refusal.reason, refusal.detail) == ("bad_claim", "The user is blocked.")
        check.result = None
        assert gate.decide(asks(token())).allowed


def test_check_claims_are_a_deep_read_only_view() -> None:
    seen: list[Mapping[str, Any]] = []
    payload = claims(orgs=[{"id": "o", "roles": ["a", ["b"]]}], plan={"name": "pro", "none": []})
    with gate_of(acme(check=seen.append)) as gate:
        for _ in range(2):
            identity = gate.decide(asks(token(payload))).identity
            assert identity.claims == payload
            found: Any = seen.pop()
            assert found["orgs"] == ({"id": "o", "roles": ("a", ("b",))},)
            assert found["plan"] == {"name": "pro", "none": ()}
            for mapping in (found, found["orgs"][0], found["plan"]):
                with pytest.raises(TypeError):
                    mapping["name"] = "free"
                with pytest.raises(TypeError):
                    del mapping["name"]
            for items in (found["orgs"], found["orgs"][0]["roles"], found["plan"]["none"]):
                with pytest.raises(AttributeError):
                    items.append("c")


@pytest.mark.parametrize(
    "text",
    [
        token(key=OTHER_KEY),
        token(claims(exp=NOW - 100)),
        token(claims(sub=5)),
        token(claims(sub=None)),
        token(claims(jti="stolen")),
        "junk",
        None,
    ],
)
def test_check_token_that_fails_another_check_not_called(text: str | None) -> None:
    check = Recorder()
    with gate_of(acme(check=check, revocations=Revocations(token_ids=frozenset({"stolen"})))) as gate:
        assert not gate.decide(asks(text)).allowed
        diagnose(gate, "acme", text or "junk")
    assert check.calls == []


def test_check_anonymous_user_or_identity_hash_not_called() -> None:
    check = Recorder("no")
    rule = IdentityHash(secret=Secret(OTHER_KEY))
    app = acme(check=check, identity_hash=rule, allow_anonymous=True)
    proof = compute_hash(rule.secret, "u", "hex")
    body = b'{"userId": "u", "userHash": "%s"}' % proof.encode()
    headers = [("Content-Type", "application/json")]
    with gate_of(app) as gate:
        assert gate.decide(asks()).allowed
        decision = gate.decide(asks(method="POST", headers=headers, body=body))
        assert decision.identity.method == "identity_hash"
        assert gate.revalidate(decision) is None
    assert check.calls == []


def test_check_log_only_allowed_as_anonymous() -> None:
    with gate_of(acme(check=lambda claims: "no", mode=Mode.LOG_ONLY)) as gate:
        for _ in range(2):
            decision = gate.decide(asks(token()))
            assert decision.allowed
            assert not decision.identity.verified
            assert decision.refusal is not None
            assert decision.refusal.reason == "bad_claim"


@pytest.mark.parametrize(
    ("result", "code", "reason"),
    [("The user is blocked.", "invalid_token", "bad_claim"), (RuntimeError(), "internal_error", None)],
)
def test_check_revalidation_calls_it_again(result: Any, code: str, reason: str | None) -> None:
    check = Recorder()
    with gate_of(acme(check=check)) as gate:
        decision = gate.decide(asks(token()))
        assert gate.revalidate(decision) is None
        assert len(check.calls) == 2
        check.result = result
        refusal = gate.revalidate(decision)
    assert refusal is not None
    assert (refusal.code, refusal.reason) == (code, reason)


def test_check_revalidation_of_registry_app_calls_the_check_of_its_current_version() -> None:
    versions: list[App] = [acme()]

    def load(ref: AppRef) -> App | None:
        return versions[-1]

    with Gate(registry=load, app_locations=acme().app_locations, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(token()))
        assert gate.revalidate(decision) is None
        versions.append(acme(check=lambda claims: "no"))
        gate.refresh("acme", purge=True)
        assert not gate.decide(asks(token())).allowed
        refusal = gate.revalidate(decision)
    assert refusal is not None
    assert refusal.reason == "bad_claim"


def test_check_mint_signs_no_token_that_it_refuses() -> None:
    def paid(claims: Mapping[str, Any]) -> str | None:
        return None if claims.get("plan") == "pro" else "The plan is not paid."

    app = acme(check=paid)
    assert outcome(app, mint(app, "u", now=NOW, attributes={"plan": "pro"})).allowed
    message = "the app would refuse the token (bad_claim): The plan is not paid."
    assert problems_of(lambda: mint(app, "u", now=NOW)) == {"claims": message}
    broken = acme(check=Recorder(RuntimeError()))
    assert problems_of(lambda: mint(broken, "u", now=NOW)).keys() == {"claims"}


def test_check_diagnosis_has_its_step_and_finding() -> None:
    check = Recorder("The plan is not paid.")
    with gate_of(acme(check=check)) as gate:
        diagnosis = diagnose(gate, "acme", token())
        assert len(check.calls) == 1
        assert [(finding.code, finding.detail) for finding in diagnosis.findings] == [
            ("bad_claim", "The plan is not paid.")
        ]
        assert _step(diagnosis) == (False, "invalid_token (bad_claim). The plan is not paid.")
        check.result = RuntimeError()
        assert _step(diagnose(gate, "acme", token()))[0] is False
        check.result = None
        assert _step(diagnose(gate, "acme", token())) == (True, "None")
        assert _step(diagnose(gate, "acme", token(claims(exp=NOW - 100)))) == (None, "not called")


def _step(diagnosis: Any) -> tuple[bool | None, str]:
    (step,) = [step for step in diagnosis.steps if step.name == "check"]
    return step.passed, step.found


class _AsyncCallable:
    async def __call__(self, claims: object) -> None:
        """Accept any claims."""


@pytest.mark.parametrize("check", [_later, functools.partial(_later), _AsyncCallable(), "check", 5])
def test_check_async_or_no_function_is_a_problem(check: Any) -> None:
    message = "must be a function of the claims that is not async and returns a string or None, or None"
    assert problems_of(lambda: acme(check=check)) == {"check": message}


def test_check_of_profile_used_by_its_apps() -> None:
    vendor = profiles.generic.extend(name="vendor", check=lambda claims: "no")
    secret = Secret(KEY)
    assert why(vendor("acme", credentials=[secret]), token())[0] == "bad_claim"
    assert outcome(vendor("acme", credentials=[secret], check=None), token()).allowed

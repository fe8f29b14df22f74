"""A fetcher of the operator's own: its types, its errors, and the warning that it replaces the protection."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.unit import NOW, jwk, problems_of, rsa_key, token
from wicket import App, ConfigError, Fetched, Fetcher, FetchFailed, Gate, Header, Jwks, KeySetUrl

URL = "https://id.example.com/keys"


class OwnFetcher:
    """A fetcher that returns or raises `answer`."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.urls: list[str] = []

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.urls.append(url.text)
        if isinstance(self.answer, BaseException):
            raise self.answer
        answer: Fetched = self.answer
        return answer


def gate_with(fetcher: Fetcher) -> Gate:
    app = App("acme", issuer="https://id.example.com", credentials=[Jwks(URL)], app_locations=[Header("X-App-Id")])
    return Gate([app], fetcher=fetcher, clock=lambda: NOW)


def signed() -> str:
    from tests.support.unit import claims

    return token(claims(iss="https://id.example.com"), key=rsa_key(), algorithm="RS256", kid="a")


def test_custom_fetcher_document_verifies_token() -> None:
    fetcher = OwnFetcher(Fetched({"keys": [jwk(rsa_key(), kid="a")]}))
    with gate_with(fetcher) as gate:
        assert gate.verify(signed(), app="acme").allowed
    assert fetcher.urls == [URL]


def test_custom_fetcher_warning_says_that_it_replaces_the_protection(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wicket"), gate_with(OwnFetcher(None)):
        assert "gate wicket: fetcher replaces the protection against SSRF" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "wicket"), Gate([App("acme", origins=["https://acme.com"])]):
        assert caplog.text == ""


def test_custom_fetcher_failure_reported_with_kind(caplog: pytest.LogCaptureFixture) -> None:
    with gate_with(OwnFetcher(FetchFailed("proxy", status=502))) as gate:
        refusal = gate.verify(signed(), app="acme").refusal
        assert refusal is not None
        assert (refusal.code, refusal.status) == ("config_invalid", 503)
    assert "the proxy of the rule for this origin could not be reached" in caplog.text


@pytest.mark.parametrize("answer", [{"keys": []}, None, b"{}", "text"])
def test_custom_fetcher_wrong_type_logged_with_what_it_must_return(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with gate_with(OwnFetcher(answer)) as gate:
        refusal = gate.verify(signed(), app="acme").refusal
        assert refusal is not None
        assert refusal.status == 503
    assert f"returned an object of the type {type(answer).__name__}. It must return a wicket.Fetched" in caplog.text


def test_custom_fetcher_lambda_that_returns_coroutine_logged_and_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def fetch() -> None: ...

    def lazily(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Any:
        return fetch()

    with gate_with(lazily) as gate:
        assert not gate.verify(signed(), app="acme").allowed
    assert "returned an object of the type coroutine" in caplog.text
    assert "must not be async" in caplog.text


def test_custom_fetcher_exception_logged_without_message(caplog: pytest.LogCaptureFixture) -> None:
    with gate_with(OwnFetcher(RuntimeError("s3cret"))) as gate:
        refusal = gate.verify(signed(), app="acme").refusal
        assert refusal is not None
        assert refusal.status == 503
    assert "RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


def test_custom_fetcher_async_config_error() -> None:
    async def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        return Fetched({})

    class Later:
        async def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
            return Fetched({})

    for fetcher in (fetch, Later()):
        wrong: Any = fetcher
        problems = problems_of(lambda wrong=wrong: gate_with(wrong))  # type: ignore[misc]
        assert problems == {"fetcher": "must not be async: it runs on a thread of the gate"}
    not_callable: Any = 5
    with pytest.raises(ConfigError, match="must be a function"):
        gate_with(not_callable)


def test_fetch_failed_unknown_kind_value_error() -> None:
    kind: Any = "gone"
    with pytest.raises(ValueError, match="the kind of a FetchFailed must be one of forbidden_address"):
        FetchFailed(kind)

"""Apps of a registry under attack: names that are not an app's own, trouble of the registry, and floods of loads."""

from __future__ import annotations

import copy
import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm

from tests.attacks.clients import Behind
from tests.attacks.token_factory import NOW, app, claims, private_key, secret, signed, token
from tests.integration.key_set_apps import DEADLINE
from tests.integration.servers import eventually
from wicket import App, AppRef, Gate, Header, Jwks, Limits, Mode, Revocations
from wicket.errors import config_error
from wicket.jwks.fetcher import Fetched
from wicket.keys.key_set import KeySetRef
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

ADA = (200, "acme:ada", None)
UNKNOWN = (401, "unknown_app", None)
PATIENT = Limits(stale_timeout=DEADLINE, load_timeout=DEADLINE)


def names_in_any_case(name: str) -> Iterator[str]:
    """The other spellings of a name that differ in nothing but case."""
    for letters in itertools.product(*({each, each.upper()} for each in name)):
        if "".join(letters) != name:
            yield "".join(letters)


class Table:
    """A table that compares names without case, as some databases do; `trouble` is raised or returned instead."""

    def __init__(self, *apps: App) -> None:
        self.apps = list(apps)
        self.trouble: Any = None
        self.asked = 0

    def __call__(self, ref: AppRef) -> App | None:
        self.asked += 1
        if isinstance(self.trouble, BaseException):
            raise copy.copy(self.trouble)
        if self.trouble is not None:
            return self.trouble  # type: ignore[no-any-return]
        for each in self.apps:
            if any(own.kind == ref.kind and own.value.lower() == ref.value.lower() for own in each.refs()):
                return each
        return None


# --- S11


def test_s11_registry_case_insensitive_lookup_unknown_app(behind: Behind, caplog: pytest.LogCaptureFixture) -> None:
    table = Table(app(publishable_key="pub_acme"))
    door = behind(registry=table, app_locations=[Header("X-App-Id", kind="publishable_key")], limits=PATIENT)
    assert door.ask(token(), app="pub_acme").said == ADA
    for name in itertools.islice(names_in_any_case("pub_acme"), 20):
        assert door.ask(token(), app=name).said == UNKNOWN
    assert door.ask(token(), app="pub_acme").said == ADA
    (told,) = [each for each in caplog.records if "not one of the app's names" in each.getMessage()]
    assert told.levelno == logging.WARNING
    assert "the app acme" in told.getMessage()


def test_s11_app_cache_name_variants_of_one_app_evict_no_other(behind: Behind) -> None:
    tenants = [app(f"tenant-{number}", publishable_key=f"pub_{number}", aliases=[f"t-{number}"]) for number in range(5)]
    loud = app("loud", publishable_key="pub_loud", aliases=[f"loud-{number}" for number in range(30)])
    table = Table(*tenants, loud)
    limits = Limits(max_apps=8, stale_timeout=DEADLINE, load_timeout=DEADLINE)
    naming = [Header("X-App-Id"), Header("X-Key", kind="publishable_key")]
    door = behind(registry=table, app_locations=naming, limits=limits)
    door.times = 1

    def users() -> list[int]:
        return [
            door.ask(token("HS256", secret(f"tenant-{number}")), ("X-Key", f"pub_{number}"), app=None).status
            for number in range(5)
        ]

    assert users() == [200] * 5
    for name in itertools.islice(names_in_any_case("pub_loud"), 60):
        assert door.ask(None, ("X-Key", name), app=None).status == 401
    for number in range(30):
        assert door.ask(None, app=f"loud-{number}").said == (401, "missing_token", None)
    table.trouble = OSError()
    assert users() == [200] * 5


def test_s11_app_removed_publishable_key_unknown_app(behind: Behind) -> None:
    table = Table(app(publishable_key="pub_old"))
    naming = [Header("X-App-Id"), Header("X-Key", kind="publishable_key")]
    door = behind(registry=table, app_locations=naming, limits=PATIENT)
    by_key = ("X-Key", "pub_old")
    assert door.ask(token(), by_key, app=None).said == ADA
    assert door.ask(token()).said == ADA
    table.apps = [app(publishable_key="pub_new")]
    door.gate.refresh("acme")
    assert door.ask(token()).said == ADA
    assert door.ask(token(), by_key, app=None).said == UNKNOWN
    assert door.ask(token(), ("X-Key", "pub_new"), app=None).said == ADA


# --- S13


class Endpoints:
    """Answers for every key set: those of slow hosts only once `released`; tells which hosts were asked."""

    def __init__(self, jwk: dict[str, Any]) -> None:
        self.jwk = jwk
        self.asked: list[str] = []
        self.released = threading.Event()

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.asked.append(url.host)
        if url.host.startswith("slow-"):
            self.released.wait(DEADLINE)
        return Fetched({"keys": [self.jwk]}, None, None, None, 0.0, None)

    @property
    def slow(self) -> int:
        return sum(host.startswith("slow-") for host in list(self.asked))


@pytest.fixture
def endpoints() -> Iterator[Endpoints]:
    jwk = ECAlgorithm.to_jwk(private_key("ES256").public_key(), as_dict=True)
    found = Endpoints({**jwk, "kid": "1"})
    yield found
    found.released.set()


def by_key_set(id: str, *hosts: str, **settings: Any) -> App:
    """An app whose keys are at these hosts; the last of several hosts has keys of another algorithm."""
    sets = [Jwks(f"https://{host}/keys", algorithms=["ES256"]) for host in hosts[: len(hosts) - 1 or 1]]
    last = [Jwks(f"https://{hosts[-1]}/keys", algorithms=["RS256"])] if len(hosts) > 1 else []
    return app(id, *sets, *last, issuer=f"https://{id}.example", **settings)


def asked_of(id: str, algorithm: str = "ES256") -> str:
    header = {"alg": algorithm, "kid": "1"}
    return signed(header, claims(iss=f"https://{id}.example"), private_key(algorithm), algorithm)


IMPATIENT = Limits(log_only_timeout=0.01, load_timeout=DEADLINE, fetch_timeout=DEADLINE)


def test_s13_key_set_pool_300_slow_sets_other_app_served(behind: Behind, endpoints: Endpoints) -> None:
    many = by_key_set("many", *(f"slow-{number}.example" for number in range(300)), mode=Mode.LOG_ONLY)
    gate = Gate(
        [many, by_key_set("acme", "quick.example")],
        app_locations=[Header("X-App-Id")],
        clock=lambda: NOW,
        fetcher=endpoints,
        limits=IMPATIENT,
    )
    door = behind(gate=gate)
    for _ in range(3):
        assert door.ask(asked_of("many"), app="many").status == 200  # in log-only it is allowed as anonymous
    eventually("four fetches run", lambda: endpoints.slow == 4)
    assert door.ask(asked_of("acme")).said == ADA
    assert endpoints.slow == 4


def test_s13_key_set_pool_share_exhausted_keys_unavailable(behind: Behind, endpoints: Endpoints) -> None:
    many = by_key_set("many", *(f"slow-{number}.example" for number in range(6)))
    gate = Gate([many], app_locations=[Header("X-App-Id")], clock=lambda: NOW, fetcher=endpoints, limits=PATIENT)
    door = behind(gate=gate)
    for source in many.sources[:4]:
        gate._key_sets.cache.start(KeySetRef(many.id, source), 0)
    eventually("four fetches run", lambda: endpoints.slow == 4)
    answer = door.ask(asked_of("many", "RS256"), app="many")
    assert answer.said == (503, "keys_unavailable", None)
    assert answer.headers["retry-after"] == "1"
    assert "www-authenticate" not in answer.headers
    decision = gate.verify(asked_of("many", "RS256"), app="many")
    assert decision.refusal is not None
    assert decision.refusal.limited
    assert endpoints.slow == 4


# --- A8


HICCUPS = [config_error("credentials[0]", "is empty"), OSError("down"), "no app"]


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a8_registry_error_cached_app_served(behind: Behind, hiccup: Any) -> None:
    clock, table = FakeClock(1000.0), Table(app())
    door = behind(registry=table, monotonic=clock, limits=PATIENT)
    assert door.ask(token()).said == ADA
    table.trouble = hiccup
    for _ in range(5):
        clock.advance(61)
        assert door.ask(token()).said == ADA
    table.trouble = None
    table.apps = [app(revocations=Revocations(users={"ada": NOW}))]
    clock.advance(61)
    assert door.ask(token()).said == (401, "invalid_token", "revoked")


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a8_registry_error_after_purge_refused(behind: Behind, hiccup: Any) -> None:
    table = Table(app())
    door = behind(registry=table, limits=PATIENT)
    assert door.ask(token()).said == ADA
    table.trouble = hiccup
    door.gate.refresh("acme", purge=True)
    code = "apps_unavailable" if hiccup is not HICCUPS[0] else "config_invalid"
    assert door.ask(token()).said[1] == code


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a8_log_only_registry_error_request_allowed(behind: Behind, hiccup: Any) -> None:
    table = Table(app())
    table.trouble = hiccup
    door = behind(registry=table, mode=Mode.LOG_ONLY, limits=PATIENT)
    answer = door.ask(token())
    assert (answer.status, answer.body["identity"], answer.body["verified"]) == (200, None, False)

"""Shared by the tests of the flow: a gate context, a fake registry, and a driver that performs each effect."""

from __future__ import annotations

from typing import Any

from tests.support.key_selection import no_key_sets
from tests.support.unit import BY_HEADER, NOW, OTHER_KEY, Clock, HandPool, loads, secret
from wicket import App, AppRef, Bearer, Decision, Limits, Request
from wicket.config.app import BrokenApp
from wicket.config.token_locations import TokenLocations
from wicket.decision.context import GateContext
from wicket.decision.flow import Flow, decide
from wicket.decision.io import LoadEntry
from wicket.decision.signature_cache import SignatureCache
from wicket.runtime.cache import Cache, Lifetimes

ELSEWHERE = ("Origin", "https://evil.example")
TIMES = Lifetimes(lifetime=60, stale=3600, absent=10, backoff_initial=1, backoff_max=60, timeout=5)


class FakeRegistry:
    """A registry with a cache whose loads run when the test says so."""

    def __init__(self, **apps: Any) -> None:
        self.apps: dict[str, Any] = apps
        self.pool = HandPool()
        self.clock = Clock()
        self.waits: list[float] = []
        self.cache: Cache[AppRef, App | BrokenApp] = Cache(
            loads(self.load),
            pool=self.pool,
            lifetimes=TIMES,
            size=10,
            negative_size=10,
            on_failure=lambda key, error: None,
            clock=self.clock,
        )

    def load(self, ref: AppRef) -> App | BrokenApp | None:
        found = self.apps.get(ref.value)
        if isinstance(found, Exception):
            raise found
        assert found is None or isinstance(found, App | BrokenApp)
        return found


def gate_context(*apps: App | BrokenApp, registry: FakeRegistry | None = None, **changes: Any) -> GateContext:
    index = {ref: app for app in apps for ref in app.refs()}
    settings: dict[str, Any] = {
        "apps": index,
        "only_app": apps[0] if len(apps) == 1 and registry is None else None,
        "registry": registry.cache if registry else None,
        "app_locations": BY_HEADER,
        "located_tokens": TokenLocations((Bearer(),)),
        "key_sets": no_key_sets(),
        "signature_cache": SignatureCache(total=10, per_app=10, max_bytes=4096),
        "mode": None,
        "clock": lambda: NOW,
        "limits": Limits(),
    }
    return GateContext(**{**settings, **changes})


def run(flow: Flow, registry: FakeRegistry | None = None, load: bool = True) -> Decision:
    """Run a flow. Loads run at once, or never if `load` is false."""
    try:
        fetch = next(flow)
        while True:
            assert registry is not None
            assert isinstance(fetch, LoadEntry)
            registry.waits.append(fetch.timeout)
            fetch.cache.start(fetch.key, fetch.known_version)
            if load:
                registry.pool.run()
            fetch.entry = fetch.cache.read(fetch.key)
            fetch = flow.send(None)
    except StopIteration as end:
        decision: Decision = end.value
        return decision


def decided(request: Request, *apps: App | BrokenApp, optional: bool = False, **changes: Any) -> Decision:
    return run(decide(gate_context(*apps, **changes), request, optional=optional), changes.get("registry"))


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def reason(decision: Decision) -> str | None:
    return decision.refusal.reason if decision.refusal else None


def acme_two(**settings: Any) -> App:
    """A second app with its own key."""
    return App(
        "two", **{"credentials": [secret(OTHER_KEY)], "publishable_key": "pub_two", "issuer": "https://two", **settings}
    )

"""The remote key sets of an app in the cache of a gate."""

from __future__ import annotations

from wicket import App, Gate, Jwks
from wicket.diagnostics.key_sets import cached_key_sets
from wicket.testing.issuer import LocalIssuer


def test_cached_key_sets_contain_key_set_only_after_load(wicket_issuer: LocalIssuer) -> None:
    app = App("acme", issuer=wicket_issuer.issuer, credentials=[Jwks(wicket_issuer.jwks_url)])
    with Gate([app], network=wicket_issuer.network) as gate:
        assert list(cached_key_sets(gate, app).values()) == [None]
        gate.verify(wicket_issuer.token("user-1"), app="acme").require()
        (key_set,) = cached_key_sets(gate, app).values()
    assert key_set is not None
    assert [key.kid for key in key_set.keys.keys] == ["key-1"]

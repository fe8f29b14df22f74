"""Tools for tests of applications with a gate: requests as a user, without disabling the gate.

    client = as_user(TestClient(app), "user-1", app="acme", plan="pro")
    assert client.get("/me").status_code == 200

The token is real: it is signed with the app's secret by the gate's clock, and sent where the app expects its tokens.
"""

from wicket.testing.clients import as_user
from wicket.testing.clock import FakeClock
from wicket.testing.identities import inject_identity, make_identity
from wicket.testing.routes import unguarded

__all__ = ["FakeClock", "as_user", "inject_identity", "make_identity", "unguarded"]

"""For the tests of applications that stand behind a gate: send requests as a user, with the gate on.

    client = as_user(TestClient(app), "user-1", app="acme", plan="pro")
    assert client.get("/me").status_code == 200

The token is a real one, signed with the app's own secret by the gate's clock, and rides where the app's own tokens do.
"""

from wicket.testing.clients import as_user
from wicket.testing.clock import FakeClock

__all__ = ["FakeClock", "as_user"]

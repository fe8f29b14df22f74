"""As `wsgi_site`, with a gate that has already answered when the process forks: its threads and caches are in use."""

from __future__ import annotations

from tests.integration.registry import request_of
from tests.integration.wsgi_site import app as app
from tests.integration.wsgi_site import gate

if not gate.decide(request_of("stored-early")).allowed:
    raise RuntimeError("the registry did not answer before the fork")

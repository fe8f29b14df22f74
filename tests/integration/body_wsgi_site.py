"""What gunicorn serves in the tests of bodies: a plain WSGI application behind the gate."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tests.integration.body_apps import Revoking, gate_of
from wicket.wsgi import WicketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

gate = gate_of(Revoking())


def _digest(environ: dict[str, Any]) -> dict[str, Any]:
    """Reads the body in pieces and keeps nothing of it."""
    digest, size, pieces = hashlib.sha256(), 0, 0
    left = int(environ.get("CONTENT_LENGTH") or -1)
    while left:
        piece = environ["wsgi.input"].read(min(left, 65_536) if left > 0 else 65_536)
        if not piece:
            break
        digest.update(piece)
        size, pieces, left = size + len(piece), pieces + 1, left - len(piece) if left > 0 else left
    user = environ["wicket.identity"].user_id
    return {"digest": digest.hexdigest(), "size": size, "messages": pieces, "user": user}


def _events() -> Iterator[bytes]:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        yield b"data: x\n\n"
        time.sleep(0.02)


def _site(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return _events()
    status = {"/fail": "500 Own", "/nowhere": "404 Nothing"}.get(path, "200 OK")
    if path == "/control":
        told: Any = {"pid": os.getpid()}
    elif path in ("/ignore", "/fail", "/nowhere"):
        told = environ["wicket.identity"].user_id
    else:
        told = _digest(environ)
    body = json.dumps(told).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


app = WicketMiddleware(_site, gate, exempt=["/control"], optional=["/greet"], close_on_expiry=True)

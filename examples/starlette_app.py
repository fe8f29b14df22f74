"""A Starlette application behind the gate: two customers' apps, one public path, one path that also serves strangers.

Run it:  python examples/starlette_app.py            (sends itself a few requests and prints the answers)
Serve it: uvicorn examples.starlette_app:app          (needs uvicorn)
"""

import os
import secrets

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wicket import Gate, Secret, profiles
from wicket.asgi import WicketMiddleware
from wicket.contrib.starlette import decision_of, identity_of, requires_identity
from wicket.testing import as_user

gate = Gate(
    [
        profiles.userz(
            "65fa1f3e8a1e5f2d9c1a5c01",
            publishable_key="pub_acme",
            credentials=[Secret.from_hex(os.environ.get("ACME_SECRET") or secrets.token_hex(32))],
            origins=["https://acme.example", "*.acme.example"],
            scopes_claim="scope",
            allowed_scopes=["feedback:write"],
        ),
        profiles.generic(
            "globex",
            credentials=[Secret.from_text(os.environ.get("GLOBEX_SECRET") or secrets.token_urlsafe(32))],
            origins=["https://globex.example"],
        ),
    ]
)


async def health(request: Request) -> JSONResponse:
    return JSONResponse({"ok": True})


async def me(request: Request) -> JSONResponse:
    identity = identity_of(request)  # verified, or the refusal's own 401
    return JSONResponse({"app": identity.app_id, "user": identity.user_id, "attributes": identity.attributes})


async def greet(request: Request) -> JSONResponse:
    identity = decision_of(request).identity  # may be anonymous: this path is optional
    return JSONResponse({"hello": identity.user_id or "stranger"})


@requires_identity("feedback:write")
async def feedback(request: Request) -> JSONResponse:
    return JSONResponse({"thanks": identity_of(request).user_id}, status_code=201)


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/me", me),
        Route("/greet", greet),
        Route("/feedback", feedback, methods=["POST"]),
    ],
    # Pages of the customers' origins can read every answer, refusals too: CORS is on by default in the middleware.
    middleware=[Middleware(WicketMiddleware, gate=gate, exempt=["/health"], optional=["/greet"])],
)


def main() -> None:
    stranger = TestClient(app, headers={"X-App-Id": "globex"})
    print("health  ", stranger.get("/health").json())
    print("greet   ", stranger.get("/greet").json())
    print("me      ", stranger.get("/me").status_code, stranger.get("/me").json()["error"])

    user = as_user(TestClient(app), "user-1", app="65fa1f3e8a1e5f2d9c1a5c01", attributes={"plan": "pro"})
    print("me      ", user.get("/me").json())
    print("feedback", user.post("/feedback").status_code, user.post("/feedback").json()["error"]["code"])

    writer = as_user(TestClient(app), "user-1", app="65fa1f3e8a1e5f2d9c1a5c01", scope="feedback:write")
    print("feedback", writer.post("/feedback").status_code, writer.post("/feedback").json())


if __name__ == "__main__":
    main()

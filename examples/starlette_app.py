"""A gated Starlette application: two customers' apps, one public path, and one path for anonymous users too.

Run it:  python examples/starlette_app.py            (sends itself a few requests and prints the responses)
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
    identity = identity_of(request)  # raises Refused if the request has no verified identity
    return JSONResponse({"app": identity.app_id, "user": identity.user_id, "attributes": identity.attributes})


async def greet(request: Request) -> JSONResponse:
    identity = decision_of(request).identity  # anonymous if there is no token: this path is optional
    return JSONResponse({"hello": identity.user_id or "anonymous"})


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
    # CORS is on by default: pages of the customers' origins can read every response, refusals too.
    middleware=[Middleware(WicketMiddleware, gate=gate, exempt=["/health"], optional=["/greet"])],
)


def main() -> None:
    anonymous = TestClient(app, headers={"X-App-Id": "globex"})
    print("health  ", anonymous.get("/health").json())
    print("greet   ", anonymous.get("/greet").json())
    print("me      ", anonymous.get("/me").status_code, anonymous.get("/me").json()["error"])

    user = as_user(TestClient(app), "user-1", app="65fa1f3e8a1e5f2d9c1a5c01", attributes={"plan": "pro"})
    print("me      ", user.get("/me").json())
    print("feedback", user.post("/feedback").status_code, user.post("/feedback").json()["error"]["code"])

    writer = as_user(TestClient(app), "user-1", app="65fa1f3e8a1e5f2d9c1a5c01", scope="feedback:write")
    print("feedback", writer.post("/feedback").status_code, writer.post("/feedback").json())


if __name__ == "__main__":
    main()

"""A FastAPI application: the identity as a dependency, scopes, and the OpenAPI document.

Run it:   python examples/fastapi_app.py              (sends itself a few requests and prints the responses)
Serve it: uvicorn examples.fastapi_app:app            (needs uvicorn)
"""

import os
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, Security
from fastapi.testclient import TestClient

from wicket import Gate, Identity, Secret, VerifiedIdentity, profiles
from wicket.contrib.fastapi import Wicket
from wicket.testing import as_user, unguarded


def secret(name: str) -> Secret:
    return Secret.from_hex(os.environ.get(name) or secrets.token_hex(32))


gate = Gate(
    [
        profiles.generic(
            id,
            credentials=[secret(f"{id.upper()}_SECRET")],
            origins=[f"https://{id}.example"],
            scopes_claim="scope",
            allowed_scopes=["feedback:write"],
        )
        for id in ("acme", "globex")
    ]
)
wicket = Wicket(gate, exempt=["/health"], optional=["/greet"])
User = Annotated[VerifiedIdentity, Depends(wicket)]
Writer = Annotated[VerifiedIdentity, Security(wicket, scopes=["feedback:write"])]

app = FastAPI(title="Feedback")
wicket.init_app(app)


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


@app.get("/me")
def me(user: User) -> dict[str, str]:
    return {"app": user.app_id, "user": user.user_id}


@app.get("/greet")
async def greet(identity: Annotated[Identity, Depends(wicket.optional)]) -> dict[str, str]:
    return {"hello": identity.user_id or "anonymous"}


@app.post("/feedback", status_code=201)
async def feedback(user: Writer) -> dict[str, str]:
    return {"thanks": user.user_id}


def main() -> None:
    stranger = TestClient(app, headers={"X-App-Id": "acme"})
    print("greet    ", stranger.get("/greet").json())
    print("me       ", stranger.get("/me").status_code, stranger.get("/me").json()["error"])
    user = as_user(TestClient(app), "user-1", app="acme")
    print("me       ", user.get("/me").json())
    print("feedback ", user.post("/feedback").status_code, user.post("/feedback").json()["error"])
    writer = as_user(TestClient(app), "user-1", app="acme", scope="feedback:write")
    print("feedback ", writer.post("/feedback").status_code, writer.post("/feedback").json())
    print("security ", app.openapi()["paths"]["/feedback"]["post"]["security"])
    print("unguarded", unguarded(app, gate))


if __name__ == "__main__":
    main()

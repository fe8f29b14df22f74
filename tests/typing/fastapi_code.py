"""Code as a user of FastAPI would write it, under mypy strict and pyright. It is type-checked, and never run."""

from __future__ import annotations

from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Request, Security, WebSocket
from fastapi.testclient import TestClient

from wicket import Decision, Gate, Identity, VerifiedIdentity
from wicket.contrib.fastapi import Wicket, decision_of, identity_of, requires_identity
from wicket.testing import as_user, inject_identity, make_identity, unguarded

gate = Gate()
wicket = Wicket(gate, exempt=["/health"], close_on_expiry=True)
app = FastAPI(responses=wicket.responses())
wicket.init_app(app)

User = Annotated[VerifiedIdentity, Depends(wicket)]
Writer = Annotated[VerifiedIdentity, Security(wicket, scopes=["feedback:write"])]


@app.get("/me")
def me(user: User) -> dict[str, str]:
    return {"app": user.app_id, "user": user.user_id}


@app.post("/feedback")
async def feedback(user: Writer, decision: Annotated[Decision, Depends(decision_of)]) -> str | None:
    assert_type(decision.allowed, bool)
    return user.user_id_claim


@app.get("/greet")
async def greet(identity: Annotated[Identity, Depends(wicket.optional)]) -> str | None:
    return identity.user_id


@app.get("/read")
@requires_identity("read", gate=gate)
async def read(request: Request) -> str:
    assert_type(identity_of(request), VerifiedIdentity)
    assert_type(decision_of(request, gate), Decision)
    return identity_of(request, scopes=["read"]).user_id


@app.websocket("/talk")
async def talk(socket: WebSocket, user: User) -> None:
    await socket.send_text(user.user_id)


assert_type(as_user(TestClient(app), "user-1", app="acme"), TestClient)
assert_type(make_identity("ada", app="acme", scopes=["read"], plan="pro"), VerifiedIdentity)
assert_type(unguarded(app, gate), list[str])
inject_identity({"type": "http"}, make_identity(), gate=gate)

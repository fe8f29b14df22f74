"""Code as a user would write it, under mypy strict and pyright. It is type-checked, and never run.

`assert_type` fails the check where a name's type is not the one that users program against.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_type

from flask import Blueprint, Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient

import wicket.wsgi
from wicket import (
    App,
    AppRef,
    Decision,
    DecisionEvent,
    Gate,
    Header,
    Identity,
    Jwks,
    KeySetFetched,
    Mode,
    OriginPolicy,
    Profile,
    PublicKey,
    PublishableKeyBearer,
    Refusal,
    Refused,
    Response,
    Revocations,
    Rules,
    Secret,
    UnknownKidLimited,
    VerifiedApp,
    VerifiedIdentity,
    mint,
    profiles,
    refusal_response,
)
from wicket.asgi import WicketMiddleware
from wicket.contrib.flask import Wicket, current_identity, exempt, optional
from wicket.contrib.flask import identity_of as flask_identity_of
from wicket.contrib.flask import requires_identity as flask_requires_identity
from wicket.contrib.starlette import decision_of, identity_of, requires_identity
from wicket.testing import FakeClock, as_user

acme = profiles.userz(
    "65fa1f3e8a1e5f2d9c1a5c01",
    publishable_key="pub_acme",
    credentials=[Secret.from_hex("5f" * 31 + "01", kid="2026")],
    origins=["https://acme.com", "*.acme.com"],
    mode=Mode.LOG_ONLY,
    leeway=10,
    revocations=Revocations(issued_before=1.0, users={"user-1": 2.0}, token_ids=frozenset({"t1"})),
)
globex = App(
    "globex",
    credentials=[PublicKey.from_pem("", algorithms=["ES256"]), Jwks.static({"keys": []})],
    rules=Rules(required_claims=frozenset({"exp"}), max_lifetime=3600),
    audience="https://api.example",
    app_locations=[Header("X-App-Id"), PublishableKeyBearer()],
)
stricter = profiles.userz.extend(name="strict-userz", leeway=0, required_claims=["jti"])
assert_type(stricter("another"), App)
widget = Profile("widget", rules=Rules(user_id_claims=("id",)), token_locations=(Header("X-Token"),))
assert_type(widget("initech", allowed_scopes=["read"], scopes_claim="scope").audience, tuple[str, ...])

# A checker that no longer reports one of these reports an unused comment. `Any` would accept them all.
App("initech", colour="blue")  # type: ignore[call-arg]
App("initech", mode="enforce")  # type: ignore[arg-type]
widget("initech", leeway="5")  # type: ignore[arg-type]
widget.extend(origins=["*"])  # type: ignore[call-arg]
Profile("other", mode=Mode.LOG_ONLY)  # type: ignore[call-arg]
Gate([acme], realm=5)  # type: ignore[arg-type]
Gate.from_file("wicket.toml", colour="blue")  # type: ignore[call-arg]


def load(ref: AppRef) -> App | None:
    return acme if ref == AppRef("id", "acme") else None


def watch(event: DecisionEvent | KeySetFetched | UnknownKidLimited) -> None:
    if isinstance(event, DecisionEvent):
        assert_type(event.app_id, str | None)


gate = Gate([acme, globex], registry=load, app_locations=[Header("X-App-Id")], on_event=watch, clock=FakeClock())
on_asgi = Starlette(middleware=[Middleware(WicketMiddleware, gate=gate, exempt=["/health"])])
on_wsgi = Flask("typed")
on_wsgi.wsgi_app = wicket.wsgi.WicketMiddleware(on_wsgi.wsgi_app, gate)  # type: ignore[method-assign]  # Flask's own way
Wicket(gate).init_app(on_wsgi)

decision = gate.verify("token", app="acme")
assert_type(decision, Decision)
assert_type(decision.identity, Identity)
assert_type(decision.identity.user_id, str | None)
assert_type(decision.refusal, Refusal | None)
assert_type(decision.require(), VerifiedIdentity)
assert_type(decision.require().user_id, str)
assert_type(decision.require("read", user=False), VerifiedIdentity | VerifiedApp)
assert_type(decision.require(user=False).user_id, str | None)
assert_type(OriginPolicy(["https://a.com"]).allows(None), bool)
assert_type(mint(acme, "user-1", ttl=60, attributes={"plan": "pro"}), str)
assert_type(mint(acme, "user-1", key="-----BEGIN PRIVATE KEY-----", kid="k1", algorithm="ES256"), str)


async def me(request: Request) -> JSONResponse:
    user_id: str = identity_of(request).user_id
    return JSONResponse({"user": user_id, "allowed": decision_of(request).allowed})


@requires_identity("read")
async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(identity_of(request, gate).user_id)


@on_wsgi.get("/me")
@flask_requires_identity()
def me_too() -> dict[str, str]:
    user_id: str = current_identity.user_id
    return {"user": user_id, "app": flask_identity_of(flask_request).app_id}


handler: Callable[[], dict[str, str]] = me_too

module_level = Blueprint("module", __name__)
extension = Wicket(optional=["/maybe"])
extension.init_app(module_level, cors=False)
extension.init_app(on_wsgi, gate, exempt=["/health"])
assert_type(extension.gate, Gate)


@module_level.get("/health")
@exempt
def health() -> str:
    return "ok"


@module_level.get("/maybe/<int:item>")
@optional
async def maybe(item: int) -> str:
    return str(item)


synchronous: Callable[[], str] = health
asynchronous: Callable[[int], Awaitable[str]] = maybe
answer: Response = gate.verify(None, app="acme").response(cors=False)
assert_type(refusal_response(Refused(Refusal("missing_token")), flask_request.environ, gate), Response)
status, headers, body = answer
assert_type(body, bytes)
assert_type(as_user(TestClient(on_asgi), "user-1", app="acme", role="admin"), TestClient)

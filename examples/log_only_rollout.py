"""Roll out the gate without refusing requests: use log-only, read the outcomes, then enforce.

Run it:  python examples/log_only_rollout.py
"""

import logging
import secrets
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wicket import Gate, Mode, Secret, mint, profiles
from wicket.asgi import WicketMiddleware
from wicket.contrib.starlette import decision_of

SECRET = secrets.token_urlsafe(32)


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse(decision_of(request).identity.user_id or "anonymous")


def application(mode: Mode) -> tuple[Gate, TestClient]:
    acme = profiles.generic("acme", credentials=[Secret.from_text(SECRET)], origins=["https://acme.example"], mode=mode)
    gate = Gate([acme])
    app = Starlette(routes=[Route("/", home)], middleware=[Middleware(WicketMiddleware, gate=gate)])
    return gate, TestClient(app, headers={"X-App-Id": "acme"})


def traffic(gate: Gate, client: TestClient) -> None:
    (acme,) = gate.apps
    good = mint(acme, "user-1")
    old = mint(acme, "user-1", now=time.time() - 86_400)  # a backend that does not renew its tokens
    requests = {"good": {"Authorization": f"Bearer {good}"}, "old": {"Authorization": f"Bearer {old}"}, "none": {}}
    for name, headers in requests.items():
        response = client.get("/", headers=headers)
        print(
            f"  {name:5} -> {response.status_code} {response.text if response.is_success else response.json()['error']}"
        )
    for outcome in gate.outcomes():
        verdict = "refused" if outcome.enforced else "would refuse"
        if outcome.code not in ("allowed", "anonymous"):
            print(f"  {verdict}: {outcome.count} x {outcome.code} {outcome.reason or ''}")


def main() -> None:
    logging.getLogger("wicket").setLevel(logging.ERROR)  # this example prints the outcomes
    for mode in (Mode.LOG_ONLY, Mode.ENFORCE):
        print(f"mode {mode.value}:")
        traffic(*application(mode))


if __name__ == "__main__":
    main()

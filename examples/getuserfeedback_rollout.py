"""The rollout checklist of getuserfeedback's document, step by step, with a local issuer.

Run it:  python examples/getuserfeedback_rollout.py      (needs the extra `issuer`)
"""

import logging

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wicket import App, Gate, Jwks, Mode, profiles
from wicket.asgi import WicketMiddleware
from wicket.contrib.starlette import decision_of
from wicket.testing.issuer import LocalIssuer

AUDIENCE = "https://api.getuserfeedback.com"


async def surveys(request: Request) -> JSONResponse:
    decision = decision_of(request)
    code = decision.refusal.code if decision.refusal else None
    return JSONResponse({"user": decision.identity.user_id, "would_refuse": code})


def client_of(issuer: LocalIssuer, app: App) -> TestClient:
    gate = Gate([app], network=issuer.network)
    middleware = Middleware(WicketMiddleware, gate=gate)
    return TestClient(Starlette(routes=[Route("/surveys", surveys)], middleware=[middleware]))


def send(client: TestClient, token: str | None) -> str:
    response = client.get("/surveys", headers={"Authorization": f"Bearer {token}"} if token else {})
    body = response.json()
    return f"{response.status_code} {body['error']}" if response.is_error else f"200 {body}"


def main() -> None:
    logging.getLogger("wicket").setLevel(logging.CRITICAL)
    with LocalIssuer() as issuer:
        good = issuer.token("user-4", aud=AUDIENCE)
        other_audience = issuer.token("user-4", aud="https://api.example.com")
        expired = issuer.token("user-4", aud=AUDIENCE, ttl=-600)
        key_set = Jwks(issuer.jwks_url)

        print("App Security is off (log-only): the widget works, and tokens are still checked")
        off = client_of(
            issuer, profiles.getuserfeedback("acme", issuer=issuer.issuer, credentials=[key_set], mode=Mode.LOG_ONLY)
        )
        print("  no token         ", send(off, None))
        print("  good             ", send(off, good))
        print("  wrong audience   ", send(off, other_audience))

        print("1. the app points at the correct issuer and key set")
        discovered = Jwks.discover(issuer.issuer)
        by_discovery = client_of(
            issuer, profiles.getuserfeedback("acme", issuer=issuer.issuer, credentials=[discovered])
        )
        print("  by discovery     ", send(by_discovery, good))

        on = client_of(issuer, profiles.getuserfeedback("acme", issuer=issuer.issuer, credentials=[key_set]))
        print("2. the widget sends the token")
        print("  no token         ", send(on, None))
        print("3. the audience matches", AUDIENCE)
        print("  wrong audience   ", send(on, other_audience))
        print("4. one success and one intended failure")
        print("  good             ", send(on, good))
        print("  expired          ", send(on, expired))

        print("What a wrong configuration looks like")
        unset = client_of(issuer, profiles.getuserfeedback("acme", issuer=issuer.issuer))
        print("  no key set yet   ", send(unset, good))
        wrong = Jwks(f"{issuer.issuer}/wrong.json")
        lost = client_of(issuer, profiles.getuserfeedback("acme", issuer=issuer.issuer, credentials=[wrong]))
        print("  wrong key-set URL", send(lost, good))


if __name__ == "__main__":
    main()

"""A server of the MCP SDK whose tokens the gate verifies, and the same tools behind the plain middleware."""

from __future__ import annotations

from typing import Any, Final

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from pydantic import AnyHttpUrl

from wicket import App, Gate, Header, Rules, Secret
from wicket.asgi import WicketMiddleware

RESOURCE: Final = "http://127.0.0.1:8000/mcp"
SECRETS: Final = {id: Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce") for id in ("acme", "globex")}
APPS: Final = {
    id: App(
        id,
        credentials=[secret],
        audience=RESOURCE,
        origins=["https://a.example"],
        rules=Rules(scopes_claim=("scope",)),
        allowed_scopes=["tools"],
        app_locations=[Header("X-App-Id")],
    )
    for id, secret in SECRETS.items()
}
gate: Final = Gate(APPS.values())


class GateTokenVerifier:
    """Verifies the tokens of one app. The SDK binds a session to its client id, which is the app, and its subject."""

    async def verify_token(self, token: str) -> AccessToken | None:
        decision = await gate.averify(token, app="acme")
        if not decision.allowed:
            return None
        identity = decision.require()
        return AccessToken(
            token=token,
            client_id=identity.app_id,
            subject=identity.user_id,
            scopes=sorted(identity.scopes),
            expires_at=None if identity.expires_at is None else int(identity.expires_at + APPS["acme"].rules.leeway),
            resource=RESOURCE,
        )


def verified_application() -> Any:
    settings = AuthSettings(
        issuer_url=AnyHttpUrl("https://id.acme.example"),
        resource_server_url=AnyHttpUrl(RESOURCE),
        required_scopes=["tools"],
        validate_token_resource=True,
    )
    server = MCPServer("site", token_verifier=GateTokenVerifier(), auth=settings)

    @server.tool()
    async def whoami() -> str:
        token = get_access_token()
        assert token is not None
        return f"{token.client_id}:{token.subject}"

    return server.streamable_http_app()


def gated_application() -> Any:
    server = MCPServer("site")

    @server.tool()
    async def whoami(context: Context[Any, Any]) -> str:
        request: Any = context.request_context.request
        identity: str = request.user.identity
        return identity

    return WicketMiddleware(server.streamable_http_app(stateless_http=True), gate)


verified, gated = verified_application(), gated_application()

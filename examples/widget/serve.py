"""Serve the widget on several origins, and its API on another.

Run it: python examples/widget/serve.py        (needs uvicorn; open the addresses that it prints)

Browsers resolve every `*.localhost` name to this machine. Tokens expire after a minute, which shows their renewal.
"""

import json
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from api import application, customers
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from wicket import App, mint
from wicket.asgi import ASGIApp

PAGE = Path(__file__).with_name("page.html")


def site(api: str, app: App, name: str) -> Starlette:
    """A customer's site: a page with the widget, and the backend that signs a token for the user who is logged in."""
    named = {"publicKey": app.publishable_key} if app.publishable_key else {"projectId": app.id}
    values = {
        "name": name,
        "api": api,
        "app": json.dumps(named),
        "tokenIn": "header" if app.publishable_key else "body",
    }

    async def page(request: Request) -> HTMLResponse:
        text = PAGE.read_text("utf-8")
        for key, value in values.items():
            text = text.replace(f"{{{{{key}}}}}", value)
        return HTMLResponse(text)

    async def token(request: Request) -> JSONResponse:
        # A real backend reads the user from its session.
        return JSONResponse({"token": mint(app, "user-1", ttl=60, attributes={"name": "Ada Lovelace"})})

    return Starlette(routes=[Route("/", page), Route("/token", token)])


def serve(application: ASGIApp, listening: socket.socket) -> None:
    """Serve until the program ends."""
    uvicorn.Server(uvicorn.Config(application, log_level="warning")).run(sockets=[listening])


def main() -> None:
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 8800  # 0: free ports
    listening = [socket.create_server(("127.0.0.1", first and first + index)) for index in range(4)]
    api, acme, initech, copy = (each.getsockname()[1] for each in listening)
    gate = customers(
        acme=[f"http://localhost:{acme}", f"http://*.acme.localhost:{acme}"],
        initech=[f"http://initech.localhost:{initech}"],
    )
    address = f"http://api.localhost:{api}"
    applications = [
        application(gate),
        site(address, gate.apps[0], "Acme"),
        site(address, gate.apps[1], "Initech"),
        site(address, gate.apps[0], "A copy of Acme"),
    ]
    for served, each in zip(applications, listening, strict=True):
        threading.Thread(target=serve, args=(served, each), daemon=True).start()
    print(f"the API             {address}")
    print(f"Acme, allowed       http://localhost:{acme}")
    print(f"Acme, allowed       http://shop.acme.localhost:{acme}")
    print(f"Initech, allowed    http://initech.localhost:{initech}")
    print(f"a copy, blocked     http://localhost:{copy}   (see its console)", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

"""Async registries over real drivers: asyncpg with PostgreSQL, and SQLAlchemy's asyncio extension with SQLite."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.postgres import postgres, postgres_missing
from wicket import App, AppRef, AsyncRegistry, Gate, Header, Limits, Secret, mint, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

DEADLINE = 60.0
SECRETS = {f"app-{number}": f"{number:064x}" for number in range(1, 9)}
SCHEMA = "CREATE TABLE apps (id TEXT PRIMARY KEY, secret TEXT NOT NULL)"

Lookup = Callable[[AppRef], Awaitable[App | None]]
Open = Callable[[], AbstractAsyncContextManager[Lookup]]

pytestmark = pytest.mark.long


def app_of(id: str, secret: str) -> App:
    return profiles.generic(id, credentials=[Secret.from_hex(secret)], origins=["https://a.example"])


@asynccontextmanager
async def asyncpg_registry(host: str) -> AsyncIterator[Lookup]:
    """The registry as an application with asyncpg writes it."""
    async with asyncpg.create_pool(host=host, user="wicket", database="postgres", min_size=1, max_size=4) as pool:

        async def find(ref: AppRef) -> App | None:
            row = await pool.fetchrow("SELECT id, secret FROM apps WHERE id = $1", ref.value)
            return None if row is None else app_of(row["id"], row["secret"])

        yield find


@asynccontextmanager
async def sqlalchemy_registry(path: Path) -> AsyncIterator[Lookup]:
    """The registry as an application with SQLAlchemy writes it."""
    engine: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    async def find(ref: AppRef) -> App | None:
        async with engine.connect() as connection:
            statement = text("SELECT id, secret FROM apps WHERE id = :id")
            row = (await connection.execute(statement, {"id": ref.value})).one_or_none()
        return None if row is None else app_of(row.id, row.secret)

    try:
        yield find
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def postgres_host() -> Iterator[str]:
    if postgres_missing():
        pytest.skip("PostgreSQL is not installed")

    async def fill(host: str) -> None:
        connection = await asyncpg.connect(host=host, user="wicket", database="postgres")
        await connection.execute(SCHEMA)
        await connection.executemany("INSERT INTO apps VALUES ($1, $2)", list(SECRETS.items()))
        await connection.close()

    with postgres() as host:
        asyncio.run(fill(host))
        yield host


@pytest.fixture(scope="module")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sqlite3

    path = tmp_path_factory.mktemp("apps") / "apps.sqlite"
    database = sqlite3.connect(path)
    with database:
        database.execute(SCHEMA)
        database.executemany("INSERT INTO apps VALUES (?, ?)", SECRETS.items())
    database.close()
    return path


@pytest.fixture(params=["asyncpg", "sqlalchemy"])
def open_registry(request: pytest.FixtureRequest) -> Open:
    """A function that opens the registry, for each driver."""
    if request.param == "asyncpg":
        host: str = request.getfixturevalue("postgres_host")
        return lambda: asyncpg_registry(host)
    path: Path = request.getfixturevalue("sqlite_path")
    return lambda: sqlalchemy_registry(path)


def gate_with(registry: Any) -> Gate:
    limits = Limits(load_timeout=DEADLINE)
    return Gate(registry=registry, app_locations=[Header("X-App-Id")], limits=limits)


def headers_of(id: str) -> dict[str, str]:
    token = mint(app_of(id, SECRETS[id]), "ada")
    return {"X-App-Id": id, "Authorization": f"Bearer {token}", "Origin": "https://a.example"}


async def whoami(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.user.identity})


def test_async_registry_asgi_application_loads_apps(open_registry: Open) -> None:
    with gate_with(AsyncRegistry(open_registry)) as gate:
        site = ASGIMiddleware(Starlette(routes=[Route("/", whoami)]), gate)
        with TestClient(site) as client:
            for id in SECRETS:
                assert client.get("/", headers=headers_of(id)).json() == {"user": f"{id}:ada"}
            unknown = client.get("/", headers={"X-App-Id": "none", "Authorization": "Bearer a.b.c"})
            assert (unknown.status_code, unknown.json()["error"]) == (401, "unknown_app")


def test_async_registry_wsgi_application_loads_apps_on_many_threads(open_registry: Open) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [json.dumps(environ["REMOTE_USER"]).encode()]

    users: list[str] = []

    def ask(site: Any, id: str) -> None:
        sent = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers_of(id).items()}
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": BytesIO(), **sent}
        users.append(json.loads(b"".join(site(environ, lambda status, headers, error=None: None))))

    with gate_with(AsyncRegistry(open_registry)) as gate:
        site = WSGIMiddleware(application, gate)
        threads = [threading.Thread(target=ask, args=(site, id)) for id in SECRETS for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    assert sorted(users) == sorted(f"{id}:ada" for id in SECRETS for _ in range(3))


def test_async_registry_requests_on_two_loops_and_warm_up(open_registry: Open) -> None:
    with gate_with(AsyncRegistry(open_registry)) as gate:
        assert gate.warm_up(["app-1", "app-2"]).ok
        for id in ("app-1", "app-3"):  # each in a loop that ends before the next
            token = headers_of(id)["Authorization"].removeprefix("Bearer ")
            assert asyncio.run(gate.averify(token, app=id)).allowed


def test_async_function_uses_pool_of_lifespan(open_registry: Open) -> None:
    """The application opens its pool in its lifespan, and the registry is a bare async function over it."""
    opened: list[Lookup] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_registry() as find:
            opened.append(find)
            yield

    async def registry(ref: AppRef) -> App | None:
        return await opened[-1](ref)

    with gate_with(registry) as gate:
        site = Starlette(routes=[Route("/", whoami)], lifespan=lifespan)
        with TestClient(ASGIMiddleware(site, gate)) as client:
            for id in SECRETS:
                assert client.get("/", headers=headers_of(id)).json() == {"user": f"{id}:ada"}

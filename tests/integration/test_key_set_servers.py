"""Key sets under real servers: forks with loaded keys, several workers, greenlets, and shutdown during a fetch."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration import servers
from tests.integration.key_set_apps import Held, authorities, headers_of, with_kid
from tests.integration.servers import Server, eventually
from wicket.testing.issuer import LocalIssuer

pytestmark = pytest.mark.long


@pytest.fixture
def issuer(issuer: LocalIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalIssuer:
    """An issuer in this process that the servers know of, and trust as they trust the system's authorities."""
    authority = tmp_path / "authority.pem"
    authority.write_text(ssl.DER_cert_to_PEM_cert(authorities(issuer)))
    monkeypatch.setenv("WICKET_ISSUER", issuer.issuer)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return issuer


def _ask(server: Server, token: str, target: str = "/") -> dict[str, Any]:
    answer = server.ask(target, headers_of(token))
    assert answer.status == 200, answer.body
    told: dict[str, Any] = json.loads(answer.body)
    return told


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn_preload_workers_inherit_key_set_and_fetch_rotation(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    token = issuer.token("ada")
    monkeypatch.setenv("WICKET_PRELOAD", token)
    options = ["--preload", "--workers", "2", "--worker-class", kind]
    if kind == "gthread":
        options += ["--threads", "1", "--worker-connections", "1"]  # so that one takes only one request at a time

    def meet(name: str, text: str) -> list[dict[str, Any]]:
        """What two workers said, each to one of two requests at once."""
        place = tmp_path / name
        place.mkdir()
        asked = [clients.submit(_ask, server, text, f"/?{place}") for _ in range(2)]
        told = [each.result() for each in asked]
        assert len({each["pid"] for each in told}) == 2
        return told

    with servers.gunicorn("tests.integration.key_set_site:wsgi", *options) as server, ThreadPoolExecutor(2) as clients:
        assert len(issuer.requests) == 1
        early = meet("early", token)
        assert [each["fetches"] for each in early] == [1, 1], "the one of their parent, before the fork"
        assert len(issuer.requests) == 1
        issuer.rotate()
        late = meet("late", issuer.token("ada"))
        assert [each["fetches"] for each in late] == [2, 2]
        assert len(issuer.requests) == 3
        assert {each["user"] for each in (*early, *late)} == {"ada"}


def test_uvicorn_workers_fetch_key_set_once_each(issuer: LocalIssuer) -> None:
    token = issuer.token("ada")
    with (
        servers.uvicorn("tests.integration.key_set_site:asgi", "--workers", "2") as server,
        ThreadPoolExecutor(16) as clients,
    ):
        seen: dict[int, int] = {}

        def both_have_answered() -> bool:
            for told in clients.map(lambda _: _ask(server, token), range(16)):
                seen[told["pid"]] = told["fetches"]
            return len(seen) == 2

        eventually("both workers have answered", both_have_answered)
    assert list(seen.values()) == [1, 1]
    assert len(issuer.requests) == 2


@pytest.mark.parametrize("preload", [False, True], ids=["loaded in the worker", "preloaded"])
def test_gevent_requests_share_key_set_fetch_without_blocking(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, preload: bool
) -> None:
    token = issuer.token("ada")
    options = ["--worker-class", "gevent"]
    if preload:
        monkeypatch.setenv("WICKET_PRELOAD", token)
        options.append("--preload")
    with servers.gunicorn("tests.integration.key_set_site:wsgi", *options) as server, ThreadPoolExecutor(20) as clients:
        assert _ask(server, token)["fetches"] == 1
        issuer.rotate()
        fetch = Held(issuer)
        waiting = [clients.submit(_ask, server, issuer.token("eve")) for _ in range(20)]
        eventually("a fetch began or failed", lambda: fetch.entered.is_set() or any(each.done() for each in waiting))
        assert fetch.entered.is_set()
        assert _ask(server, token)["user"] == "ada", "the hub goes on while the fetch is held"
        assert not any(each.done() for each in waiting)
        fetch.release()
        assert {each.result()["user"] for each in waiting} == {"eve"}
        assert server.ask("/", headers_of(with_kid(token, "nobody's"))).status == 401
    assert len(issuer.requests) == 3


@pytest.mark.parametrize("worker", ["uvicorn", "gthread"])
def test_client_disconnect_during_key_set_fetch_others_served(issuer: LocalIssuer, worker: str) -> None:
    running = (
        servers.uvicorn("tests.integration.key_set_site:asgi")
        if worker == "uvicorn"
        else servers.gunicorn("tests.integration.key_set_site:wsgi", "--worker-class", "gthread", "--threads", "4")
    )
    fetch = Held(issuer)
    headers = headers_of(issuer.token("ada"))
    with running as server, ThreadPoolExecutor(1) as clients:
        leaving = server.connection()
        servers.send(leaving, "/", headers)
        assert fetch.entered.wait(servers.DEADLINE)
        staying = clients.submit(_ask, server, issuer.token("ada"))
        leaving.close()
        fetch.release()
        assert staying.result()["user"] == "ada"
    assert len(issuer.requests) == 1


_HANGING = """
import asyncio, threading
from tests.integration.key_set_apps import Held, app_of
from wicket import Gate, Limits
from wicket.testing.issuer import LocalIssuer

issuer = LocalIssuer().__enter__()
fetch = Held(issuer)
gate = Gate([app_of(issuer)], network=issuer.network, limits=Limits(fetch_timeout=60.0, load_timeout=60.0))
token = issuer.token("ada")


def on_a_thread():
    threading.Thread(target=gate.verify, args=[token], kwargs={"app": "acme"}, daemon=True).start()
    fetch.entered.wait()


async def in_a_loop():
    waiting = asyncio.create_task(gate.averify(token, app="acme"))
    await asyncio.to_thread(fetch.entered.wait)
    assert not waiting.done()


"""


@pytest.mark.parametrize(
    "ending",
    ["on_a_thread()", "asyncio.run(in_a_loop())", "on_a_thread(); gate.close()"],
    ids=["wsgi", "asgi", "closed"],
)
def test_interpreter_exit_during_hanging_fetch_not_delayed(ending: str) -> None:
    script = f"{textwrap.dedent(_HANGING)}{ending}\nprint('hangs', flush=True)\n"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        cwd=servers.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "hangs\n", process.stderr.read()
            begun = time.monotonic()
            _, complaints = process.communicate(timeout=servers.DEADLINE)
            assert (process.returncode, complaints.replace(_ADVICE, "")) == (0, "")
            assert time.monotonic() - begun < servers.DEADLINE, "it waited for no fetch"
        finally:
            process.kill()


_ADVICE = "app acme: it has no origins, so every origin is allowed\n"

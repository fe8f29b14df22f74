"""The two drivers: each performs the I/O of a flow and raises a `WicketError` in the flow."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.clients import finished
from wicket import Request, WicketError
from wicket.decision.io import Effect, ReadBody, arun, run
from wicket.messages.request import Body, BytesBody

ended: list[str] = []


def reading(body: Body, limit: int = 10) -> Generator[Effect, None, bytes | None]:
    try:
        return (yield from ReadBody(body, limit, 1.0))
    finally:
        ended.append("flow")


def catching(body: Body) -> Generator[Effect, None, str]:
    try:
        yield from ReadBody(body, 10, 1.0)
    except WicketError as error:
        # After a failure the flow continues and may request more I/O.
        again = yield from ReadBody(BytesBody(b"more"), 10, 1.0)
        return f"{error} {again!r}"
    return "read"


@pytest.mark.parametrize(("limit", "found"), [(4, b"body"), (3, None)])
def test_drivers_read_body_returns_bytes_or_none_above_limit(limit: int, found: bytes | None) -> None:
    assert run(reading(BytesBody(b"body"), limit)) == found
    assert finished(arun(reading(BytesBody(b"body"), limit))) == found


def test_drivers_flow_without_effects_returns_its_result() -> None:
    def flow() -> Generator[Effect, None, str]:
        return "done"
        yield

    assert run(flow()) == "done"
    assert finished(arun(flow())) == "done"


def test_drivers_unsupported_body_read_raises_into_flow() -> None:
    assert run(catching(Body())) == "this body can only be awaited: use adecide b'more'"
    assert finished(arun(catching(Body()))) == "this body can only be read by blocking: use decide b'more'"


def test_drivers_arun_cancelled_closes_flow() -> None:
    class Slow(Body):
        async def aread(self, limit: int, seconds: float) -> bytes | None:
            await asyncio.Event().wait()
            return None

    async def main() -> None:
        ended.clear()
        task = asyncio.ensure_future(arun(reading(Slow())))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["flow"]

    asyncio.run(main())


def test_request_body_bytes_are_wrapped_and_bodies_kept() -> None:
    held: Any = Request(body=b"x").body
    assert isinstance(held, BytesBody)
    assert Request(body=held).body is held
    assert Request().body is None

"""The two drivers of the decision's flow, one for threads and one for an event loop; nothing else is written twice."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Generator
from typing import Any, TypeVar, cast

from wicket.decision.io import Effect, LoadEntry, Pause, ReadBody
from wicket.errors import WicketError

R = TypeVar("R")


def run(flow: Generator[Effect, None, R]) -> R:
    """Run `flow` to its decision, waiting on this thread for what it lacks."""
    try:
        effect = next(flow)
        while True:
            try:
                if isinstance(effect, ReadBody):
                    effect.raw = effect.body.read(effect.limit, effect.seconds)
                elif isinstance(effect, Pause):
                    with effect.waiters.place(effect.key, effect.seconds, on_thread=True) as effect.waited:
                        if effect.waited:
                            time.sleep(effect.seconds)
                else:
                    done, seconds = _start_load(effect)
                    if seconds:
                        concurrent.futures.wait([done], seconds)
                    effect.completed = done.done()
            except WicketError as error:
                effect = flow.throw(error)
            else:
                effect = _resume(flow, effect)
    except StopIteration as end:
        return cast("R", end.value)


async def arun(flow: Generator[Effect, None, R]) -> R:
    """Run `flow` to its decision; the event loop goes on meanwhile, and whoever hangs up stops no load."""
    try:
        effect = next(flow)
        while True:
            try:
                if isinstance(effect, ReadBody):
                    effect.raw = await effect.body.aread(effect.limit, effect.seconds)
                elif isinstance(effect, Pause):
                    with effect.waiters.place(effect.key, effect.seconds, on_thread=False) as effect.waited:
                        if effect.waited:
                            await _wait(concurrent.futures.Future(), effect.seconds)
                else:
                    done, seconds = _start_load(effect)
                    if seconds:
                        await _wait(done, seconds)
                    effect.completed = done.done()
            except WicketError as error:
                effect = flow.throw(error)
            else:
                effect = _resume(flow, effect)
    except StopIteration as end:
        return cast("R", end.value)
    finally:
        flow.close()


def _resume(flow: Generator[Effect, None, Any], effect: Effect) -> Effect:
    if isinstance(effect, LoadEntry):
        effect.slot = effect.cache.read(effect.key)
    return flow.send(None)


def _start_load(fetch: LoadEntry) -> tuple[concurrent.futures.Future[None], float]:
    """Start what `fetch` asks for; what to wait for, and for how many seconds, 0 where waiting would bring nothing."""
    started = fetch.cache.start(fetch.key, fetch.known_version)
    fetch.limited = started is not None and started.limited
    if started is None or started.limited:
        return concurrent.futures.Future(), 0.0
    return started.done, min(fetch.timeout, started.seconds)


async def _wait(done: concurrent.futures.Future[None], seconds: float) -> None:
    """Wait in an event loop for a load, without ever cancelling it: whoever hangs up leaves it to the others."""
    import asyncio  # it takes a sixth of the time of `import wicket`, and who waits here has it already

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise WicketError(
            "an app must be loaded, and that needs asyncio: no other event loop can wait for it"
        ) from None
    arrived = asyncio.Event()

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed while the load ran: nobody waits any more
            loop.call_soon_threadsafe(arrived.set)

    done.add_done_callback(tell)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await arrived.wait()

"""Async registries: coroutines that a thread of the gate's pool runs on an event loop and waits for.

    AsyncRegistry(open)     One event loop of the gate, on a separate thread. `open` is entered there once, so that
                            connection pools are made on the loop that uses them. Works with ASGI and WSGI.
    async def registry      The event loop of the request that needs the load. Works with ASGI only.

In both cases the load is a job of the registry's pool: its threads and its queue are the bounds, and every request that
needs the app waits for one thread-safe future.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wicket.config.app import App
from wicket.config.locations import AppRef
from wicket.errors import ConfigError, WicketError, config_error
from wicket.runtime.logs import log_internal_error

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

AsyncLookup = Callable[[AppRef], Awaitable[App | None]]
"""An async function that takes a name and returns the app, or None. It raises like `Registry` (`registry.loader`)."""

_CLOSE_TIMEOUT: Final = 5.0
"""How long `Gate.close` waits until the context manager has exited, in seconds."""

_abandoned: Final[list[object]] = []
"""The loops of a parent process. To close one, even by garbage collection, would change the parent's epoll."""


class AsyncRegistry:
    """A registry whose connections belong to an event loop: `Gate(registry=AsyncRegistry(open))`.

    The gate runs one event loop on a separate thread. At the first load it enters `open()` on this loop, and exits it
    in `Gate.close`. If entering raises, the load fails and the next one enters again. A look-up that takes longer than
    `Limits.load_timeout` is cancelled.

    Args:
        open: A function without arguments that returns an async context manager, for example one that is decorated with
            `contextlib.asynccontextmanager`. The context manager returns the registry: an async function that takes an
            `AppRef` and returns the `App`, or None.

    Raises:
        ConfigError: `open` is not such a function.
    """

    __slots__ = ("open",)

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[AsyncLookup]]) -> None:
        if not callable(open) or inspect.iscoroutinefunction(open) or inspect.isasyncgenfunction(open):
            raise config_error(
                "open",
                "must be a function that returns an async context manager",
                "decorate an async generator with contextlib.asynccontextmanager",
            )
        self.open = open


def is_async_function(registry: object) -> bool:
    """Return whether a registry is an async function, or an object whose call is one."""
    return inspect.iscoroutinefunction(registry) or inspect.iscoroutinefunction(type(registry).__call__)


def only_for_asgi() -> ConfigError:
    """Return the error for a call without an event loop that may need an async function."""
    return config_error(
        "registry",
        "is an async function, which runs on the event loop of a request. WSGI and the methods that block have none",
        "AsyncRegistry(open), or a synchronous function",
    )


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], timeout: float) -> T:
    """Run a coroutine on the loop of another thread and wait for its result.

    Args:
        loop: The loop.
        coroutine: The coroutine.
        timeout: After this time in seconds the coroutine is cancelled.

    Raises:
        TimeoutError: The coroutine took longer.
        RuntimeError: The loop is closed.
    """
    import asyncio  # a program that has a loop has imported it

    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:
        coroutine.close()
        raise
    try:
        return future.result(timeout)
    except TimeoutError:
        future.cancel()
        if loop.is_closed():
            coroutine.close()  # the loop ended before it started the coroutine
        raise


async def look_up(lookup: AsyncLookup, ref: AppRef) -> App | None:
    """Return the app that an async function returns for a name."""
    return await lookup(ref)


class RegistryLoop:
    """The event loop of an `AsyncRegistry`, on a thread that starts at the first call.

    It is a `Registry`: call it on a thread of the pool.

    Args:
        registry: The settings.
        name: The name of the thread.
        timeout: The longest duration of a look-up, in seconds.
    """

    def __init__(self, registry: AsyncRegistry, name: str, timeout: float) -> None:
        self._open = registry.open
        self._name = name
        self._timeout = timeout
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started: Future[_Session] | None = None

    def after_fork(self) -> None:
        """Forget the loop, which only the parent process runs. The child enters the context manager again."""
        _abandoned.append(self._started)
        self._lock = threading.Lock()
        self._thread = self._started = None

    def __call__(self, ref: AppRef) -> App | None:
        """Look up an app. Blocks.

        Args:
            ref: The name.

        Raises:
            TimeoutError: The look-up took too long.
        """
        session = self._running_session()
        return run_on(session.loop, session.find(ref), self._timeout)

    def close(self) -> None:
        """Exit the context manager and end the loop. Wait at most 5 seconds."""
        with self._lock:
            thread, started = self._thread, self._started
        if thread is not None and started is not None and started.exception() is None:
            started.result().close()
            thread.join(_CLOSE_TIMEOUT)

    def _running_session(self) -> _Session:
        """Return the session on the loop. Start the loop if it does not run."""
        with self._lock:
            started = self._started
            if started is None or (started.done() and started.exception() is not None):
                started = Future()
                thread = threading.Thread(target=_run_loop, args=(self._open, started), name=self._name, daemon=True)
                thread.start()
                self._thread, self._started = thread, started
        return started.result()


class _Session:
    """The state of an `AsyncRegistry` on its loop. All coroutines run on the loop.

    Attributes:
        loop: The loop.
        closed: Set when the loop must end.
    """

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[AsyncLookup]]) -> None:
        import asyncio

        self.loop = asyncio.get_running_loop()
        self.closed = asyncio.Event()
        self._open = open
        self._lookup: asyncio.Future[AsyncLookup] | None = None
        self._task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """End the loop, from another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.closed.set)

    async def until_closed(self) -> None:
        """Return when the loop must end and the context manager has exited."""
        await self.closed.wait()
        if self._task is not None:
            await self._task

    async def find(self, ref: AppRef) -> App | None:
        """Return the app that the registry returns for a name. Enter the context manager if that is not done."""
        import asyncio

        if self._lookup is None or (self._lookup.done() and self._lookup.exception() is not None):
            self._lookup = self.loop.create_future()
            # One task enters and exits the context manager, because a cancel scope belongs to a task.
            self._task = asyncio.create_task(self._hold_open(self._lookup))
        # A look-up that is cancelled must not cancel the entering, which other look-ups wait for.
        lookup = await asyncio.shield(self._lookup)
        found: object = lookup(ref)
        if not inspect.isawaitable(found):
            raise WicketError("AsyncRegistry(open): the context manager must return an async function")
        app: App | None = await found
        return app

    async def _hold_open(self, entered: asyncio.Future[AsyncLookup]) -> None:
        """Enter the context manager, hand over what it returns, and exit it when the loop must end."""
        entered.add_done_callback(lambda future: future.exception())  # asyncio logs an exception that is not read
        try:
            manager: Any = self._open()
            if not hasattr(manager, "__aenter__"):
                raise WicketError("AsyncRegistry(open): open must return an async context manager")
            async with manager as lookup:
                entered.set_result(lookup)
                await self.closed.wait()
        except Exception as error:  # noqa: BLE001 - an operator's context manager may raise any exception
            if entered.done():
                log_internal_error("closing the async registry failed", error)
            else:
                entered.set_exception(error)


def _run_loop(open: Callable[[], AbstractAsyncContextManager[AsyncLookup]], started: Future[_Session]) -> None:
    """Run the loop of a session on this thread until it is closed."""
    import asyncio

    async def run_session() -> None:
        session = _Session(open)
        started.set_result(session)
        await session.until_closed()

    try:
        asyncio.run(run_session())
    except Exception as error:  # noqa: BLE001 - the look-up that waits gets the exception
        started.set_exception(error)

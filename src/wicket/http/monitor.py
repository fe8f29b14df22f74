"""Close the connections of one middleware whose token has expired or is no longer valid for another reason.

One task per event loop checks them, more than twice a second. A round costs little if nothing has changed:

    expiry              A heap orders connections by expiry. Only due connections are checked.
    app in code         The app never changes, so nothing else is checked.
    app of a registry   One look-up per app and round. If the app has changed, all of its connections are checked.
    app with a check    The check may depend on anything, so all of its connections are checked in each round.

A round loads no app itself and waits for no load. It yields to the event loop after `_CHECKS_PER_YIELD` checks, and
after `_CLOSINGS_PER_YIELD` closed connections.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
import weakref
from collections.abc import Iterator
from typing import Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef
from wicket.config.websocket_refusals import DEFAULT_WEBSOCKET_REFUSALS, close_reason
from wicket.decision.decision import Decision
from wicket.decision.io import arun
from wicket.decision.revalidation import app_now, can_end, judge, name_in_registry
from wicket.errors import Refusal, Refused, WicketError
from wicket.gate import Gate
from wicket.http.asgi_types import Receive, Send
from wicket.http.long_lived import LiveConnection
from wicket.runtime.logs import log_internal_error

_PERIOD: Final = 0.4
"""The pause between two rounds, in seconds."""
_CHECKS_PER_YIELD: Final = 256
_CLOSINGS_PER_YIELD: Final = 32
_CLOSE_TIMEOUT: Final = 5.0
"""How long the server may delay the closing message after the application has returned, in seconds."""


class ConnectionMonitor:
    """The long-lived connections of one middleware.

    Args:
        gate: The gate that decides about the connections.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopMonitor] = weakref.WeakKeyDictionary()

    def track(
        self,
        decision: Decision,
        receive: Receive,
        send: Send,
        *,
        websocket: bool,
    ) -> LiveConnection:
        """Return a connection that is checked until `untrack` is called with it.

        Args:
            decision: The decision about the request.
            receive: The server's `receive`.
            send: The server's `send`.
            websocket: Whether the connection is a WebSocket.

        Raises:
            WicketError: If the running event loop is not asyncio's.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("close_on_expiry needs asyncio; other event loops are not supported") from None
        monitor = self._loops.get(loop)
        if monitor is None:
            monitor = self._loops[loop] = _LoopMonitor(self._gate)
        return LiveConnection(decision, receive, send, websocket=websocket, on_begin=monitor.add, on_end=monitor.remove)

    async def untrack(self, connection: LiveConnection) -> None:
        """End `connection` after its application has returned.

        If the closing message is still being sent, this waits for it for `_CLOSE_TIMEOUT` seconds at most.
        """
        connection.end()
        if connection.ended:
            await self._loops[asyncio.get_running_loop()].wait_closed(connection)


class _Group:
    """The connections whose app has one name in the registry, and the app that was last looked up by that name."""

    __slots__ = ("app", "connections", "known")

    def __init__(self) -> None:
        self.connections: set[LiveConnection] = set()
        self.app: App | BrokenApp | None = None
        self.known = False


class _LoopMonitor:
    """The connections of one event loop, and the task that checks them."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._connections: dict[LiveConnection, AppRef | None] = {}
        self._groups: dict[AppRef, _Group] = {}
        self._expiries: list[tuple[float, int, LiveConnection]] = []
        self._count = itertools.count()
        self._unjudged: set[LiveConnection] = set()
        self._closing: dict[LiveConnection, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, connection: LiveConnection) -> None:
        """Check `connection` in each round until it is removed. A connection that can never end is not added."""
        gate = self._gate._context
        if not can_end(gate, connection.decision):
            return
        ref = self._connections[connection] = name_in_registry(gate, connection.decision)
        if ref is not None:
            self._groups.setdefault(ref, _Group()).connections.add(connection)
        self._unjudged.add(connection)
        if self._task is None or self._task.done():
            # An empty context: the task must not keep the context variables of the first request.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    def remove(self, connection: LiveConnection) -> None:
        """Stop checking `connection`."""
        if connection not in self._connections:
            return
        ref = self._connections.pop(connection)
        self._unjudged.discard(connection)
        if ref is not None:
            group = self._groups[ref]
            group.connections.discard(connection)
            if not group.connections:
                del self._groups[ref]
        self._compact()
        if not self._connections and self._task is not None:
            self._task.cancel()
            self._task = None

    async def wait_closed(self, connection: LiveConnection) -> None:
        """Wait until the closing message of `connection` is sent. Cancel it after `_CLOSE_TIMEOUT` seconds."""
        task = self._closing.get(connection)
        if task is None or task.done():
            return
        try:
            await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)
        finally:
            task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            await self._look_up_apps()
            await self._check_connections()

    async def _look_up_apps(self) -> None:
        """Look up each app once. Mark all connections of an app that has changed as unjudged."""
        for number, (ref, group) in enumerate(tuple(self._groups.items()), 1):
            try:
                app = await arun(app_now(self._gate._context, ref))
            except Refused:
                pass  # the app is temporarily unavailable, so the last known app still applies
            except Exception as error:  # noqa: BLE001 - an error with one app must not end the round
                log_internal_error("looking up the app of long-lived connections failed", error)
            else:
                if not group.known or app is not group.app:
                    group.app, group.known = app, True
                    self._unjudged |= group.connections
            if number % _CHECKS_PER_YIELD == 0:
                await asyncio.sleep(0)

    async def _check_connections(self) -> None:
        """Judge every connection that is new, due or of a changed app. Close those that are no longer valid."""
        checks = closings = 0
        for connection in self._due():
            checks += 1
            try:
                verdict = self._judge(connection)
            except Exception as error:  # noqa: BLE001 - an error with one connection must not end the round
                log_internal_error("checking a long-lived connection failed", error)
                self._unjudged.add(connection)
                continue
            if isinstance(verdict, Refusal):
                closings += 1
                self._close(connection, verdict)
            elif verdict != connection.check_at:
                connection.check_at = verdict
                if verdict is not None:
                    heapq.heappush(self._expiries, (verdict, next(self._count), connection))
                    self._compact()
            if checks >= _CHECKS_PER_YIELD or closings >= _CLOSINGS_PER_YIELD:
                checks = closings = 0
                await asyncio.sleep(0)

    def _due(self) -> Iterator[LiveConnection]:
        """Yield the unjudged connections, then those whose expiry has passed."""
        for connection in tuple(self._unjudged):
            if connection in self._unjudged:  # it may have been removed since the round yielded
                self._unjudged.discard(connection)
                yield connection
        while self._expiries and self._expiries[0][0] <= self._now():
            check_at, _, connection = heapq.heappop(self._expiries)
            if connection in self._connections and connection.check_at == check_at:
                connection.check_at = None
                yield connection

    def _now(self) -> float:
        """Return the time of the gate's clock. Return minus infinity if the clock raises."""
        try:
            return self._gate.clock()
        except Exception as error:  # noqa: BLE001 - the clock is the operator's; the next round calls it again
            log_internal_error("the clock of the gate failed", error)
            return -math.inf

    def _compact(self) -> None:
        """Remove outdated heap entries if they are the majority: removed connections and replaced expiries."""
        if len(self._expiries) > 2 * len(self._connections) + _CHECKS_PER_YIELD:
            self._expiries = [
                entry for entry in self._expiries if entry[2] in self._connections and entry[2].check_at == entry[0]
            ]
            heapq.heapify(self._expiries)

    def _judge(self, connection: LiveConnection) -> Refusal | float | None:
        """Return the refusal that ends `connection`, or the time of its next check, or None if there is none."""
        ref = self._connections[connection]
        group = self._groups[ref] if ref is not None else None
        app = group.app if group is not None and group.known else connection.decision.app
        verdict = judge(self._gate._context, connection.decision, app)
        checked = app if isinstance(app, App) else connection.decision.app
        if checked is not None and checked.check is not None and not isinstance(verdict, Refusal):
            self._unjudged.add(connection)
        return verdict

    def _close(self, connection: LiveConnection, refusal: Refusal) -> None:
        self.remove(connection)
        app = connection.decision.app
        code = (app.websocket_refusals if app is not None else DEFAULT_WEBSOCKET_REFUSALS).code_for(refusal)
        task = self._closing[connection] = asyncio.create_task(connection.close(code, close_reason(refusal)))
        task.add_done_callback(lambda _: self._closing.pop(connection, None))

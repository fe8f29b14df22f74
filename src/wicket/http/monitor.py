"""Closes the connections of one middleware whose token has expired, or no longer holds for another reason.

In each event loop one task looks after them, more than twice a second. It costs little while nothing changes:

    expiry            a heap by time of expiry; only the connections that are due are looked at
    app in code       it never changes, so nothing else is looked at
    app of a registry asked for once in a round for all its connections, which are looked at again when it has changed

The round loads nothing itself and waits for no load. It yields to the event loop after `_LOOKS` connections, and
after `_CLOSINGS` that it closes.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef
from wicket.decision.decision import Decision
from wicket.decision.io import arun
from wicket.decision.revalidation import app_now, can_end, judge, name_in_registry
from wicket.errors import Refusal, Refused, WicketError
from wicket.gate import Gate
from wicket.http.long_lived import LiveConnection, Message
from wicket.runtime.logs import log_internal_error

_PERIOD: Final = 0.4
_LOOKS: Final = 256
_CLOSINGS: Final = 32
_CLOSE_TIMEOUT: Final = 5.0
"""For how many seconds the server may keep the closing message back once the application has returned."""


class ConnectionMonitor:
    """Looks after the lasting connections of one middleware, in each event loop in which it has any."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopMonitor] = weakref.WeakKeyDictionary()

    def track(
        self,
        decision: Decision,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        websocket: bool,
    ) -> LiveConnection:
        """Look after a connection until it is left. Raises `WicketError` in another event loop than asyncio's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("close_on_expiry needs asyncio: no other event loop can wait for it") from None
        held = self._loops.get(loop)
        if held is None:
            held = self._loops[loop] = _LoopMonitor(self._gate)
        return LiveConnection(decision, receive, send, websocket=websocket, watch=held.add, unwatch=held.remove)

    async def untrack(self, lasting: LiveConnection) -> None:
        """The application has returned. Wait a few seconds for the closing message, if it is still to be sent."""
        lasting.end()
        if lasting.ended:
            await self._loops[asyncio.get_running_loop()].closed(lasting)


class _Group:
    """The connections whose app the registry knows by one name, and that app as it was found last."""

    __slots__ = ("app", "held", "known")

    def __init__(self) -> None:
        self.held: set[LiveConnection] = set()
        self.app: App | BrokenApp | None = None
        self.known = False


class _LoopMonitor:
    """The connections of one event loop, and the task that looks after them."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held: dict[LiveConnection, AppRef | None] = {}
        self._groups: dict[AppRef, _Group] = {}
        self._expiries: list[tuple[float, int, LiveConnection]] = []
        self._count = itertools.count()
        self._unjudged: set[LiveConnection] = set()
        self._closing: dict[LiveConnection, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, lasting: LiveConnection) -> None:
        """Look after `lasting` until it is removed."""
        house = self._gate._context
        if not can_end(house, lasting.decision):
            return
        ref = self._held[lasting] = name_in_registry(house, lasting.decision)
        if ref is not None:
            self._groups.setdefault(ref, _Group()).held.add(lasting)
        self._unjudged.add(lasting)
        if self._task is None or self._task.done():
            # In a context of its own: the request that comes first must not lend it its variables.
            self._task = asyncio.create_task(self._go(), context=contextvars.Context())

    def remove(self, lasting: LiveConnection) -> None:
        """Forget `lasting`."""
        if lasting not in self._held:
            return
        ref = self._held.pop(lasting)
        self._unjudged.discard(lasting)
        if ref is not None:
            group = self._groups[ref]
            group.held.discard(lasting)
            if not group.held:
                del self._groups[ref]
        self._compact()
        if not self._held and self._task is not None:
            self._task.cancel()
            self._task = None

    async def closed(self, lasting: LiveConnection) -> None:
        """Wait until the closing message of `lasting` is sent, or cancel it after some seconds."""
        task = self._closing.get(lasting)
        if task is None or task.done():
            return
        try:
            await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)
        finally:
            task.cancel()

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            await self._ask_registry()
            await self._look()

    async def _ask_registry(self) -> None:
        """Ask for each app once; look again at all its connections if it has changed."""
        for number, (ref, group) in enumerate(tuple(self._groups.items()), 1):
            try:
                found = await arun(app_now(self._gate._context, ref))
            except Refused:
                pass  # it cannot be had right now: what is known of it counts
            except Exception as error:  # noqa: BLE001 - a fault of one app must not end the round
                log_internal_error("the app of lasting connections could not be looked at", error)
            else:
                if not group.known or found is not group.app:
                    group.app, group.known = found, True
                    self._unjudged |= group.held
            if number % _LOOKS == 0:
                await asyncio.sleep(0)

    async def _look(self) -> None:
        """Judge every connection that is new, due or of a changed app, and close those that no longer hold."""
        looks = closings = 0
        for lasting in self._due():
            looks += 1
            try:
                found = self._judge(lasting)
            except Exception as error:  # noqa: BLE001 - a fault of one look must not end all that follow
                log_internal_error("a lasting connection could not be looked at", error)
                self._unjudged.add(lasting)
                continue
            if isinstance(found, Refusal):
                closings += 1
                self._close(lasting, found)
            elif found != lasting.until:
                lasting.until = found
                if found is not None:
                    heapq.heappush(self._expiries, (found, next(self._count), lasting))
                    self._compact()
            if looks >= _LOOKS or closings >= _CLOSINGS:
                looks = closings = 0
                await asyncio.sleep(0)

    def _due(self) -> Iterator[LiveConnection]:
        for lasting in tuple(self._unjudged):
            if lasting in self._unjudged:  # otherwise it was removed meanwhile
                self._unjudged.discard(lasting)
                yield lasting
        while self._expiries and self._expiries[0][0] <= self._now():
            until, _, lasting = heapq.heappop(self._expiries)
            if lasting in self._held and lasting.until == until:
                lasting.until = None
                yield lasting

    def _now(self) -> float:
        try:
            return self._gate.clock()
        except Exception as error:  # noqa: BLE001 - the clock is the operator's: the next round asks it again
            log_internal_error("the clock of the gate failed", error)
            return -math.inf

    def _compact(self) -> None:
        """Drop what was left, and what has another time of expiry by now, from the heap if that is most of it."""
        if len(self._expiries) > 2 * len(self._held) + _LOOKS:
            self._expiries = [each for each in self._expiries if each[2] in self._held and each[2].until == each[0]]
            heapq.heapify(self._expiries)

    def _judge(self, lasting: LiveConnection) -> Refusal | float | None:
        ref = self._held[lasting]
        group = self._groups[ref] if ref is not None else None
        app = group.app if group is not None and group.known else lasting.decision.app
        return judge(self._gate._context, lasting.decision, app)

    def _close(self, lasting: LiveConnection, refusal: Refusal) -> None:
        self.remove(lasting)
        task = self._closing[lasting] = asyncio.create_task(lasting.close(refusal.reason or refusal.code))
        task.add_done_callback(lambda _: self._closing.pop(lasting, None))

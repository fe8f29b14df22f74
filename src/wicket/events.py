"""What a gate tells about its work: events for a hook, log records, and counted outcomes. Never a token or a name.

Log records go to the logger `wicket` with the fields `gate`, `app_id`, `code`, `reason`, `enforced`, `key_id`,
`claimed` (a short keyed hash of a name that no app has) and `suppressed` (how many like it were left out before).
Allowed requests are logged at DEBUG, refused ones at INFO, those that log-only let pass at WARNING; a token that is
merely absent is never a warning. Refusals are limited per app and reason: the first at once, then one a minute.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wicket.decision.flow import Decision, log_fault
from wicket.decision.house import Counted
from wicket.errors import Code, Reason
from wicket.jwks.loader import LoadReport
from wicket.keys.keyset import SourceRef

_log: Final = logging.getLogger("wicket")
_HASH_KEY: Final = secrets.token_bytes(16)
_PERIOD: Final = 60.0
_FOLD_AT: Final = 1024
_GOOD: Final = frozenset({"loaded", "not_modified", "empty"})


def short_hash(name: str) -> str:
    """A short hash of an unverified name, keyed for this process: equal names can be told apart from others."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), key=_HASH_KEY, digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Decided:
    """A request was decided about. `code` is None where nothing was wrong; `claimed` hashes a name that no app has.

    `limited` and `impatient` are those of the refusal (see `Refusal`): a spent budget or a full queue of this process,
    and a wait that is shorter than that of an enforced app.
    """

    gate: str
    app_id: str | None
    allowed: bool
    verified: bool
    enforced: bool
    code: Code | None = None
    reason: Reason | None = None
    key_id: str | None = None
    claimed: str | None = None
    limited: bool = False
    impatient: bool = False


@dataclass(frozen=True, slots=True)
class Fetched(LoadReport):
    """A key set was fetched by this gate: what that brought, and what changed."""

    gate: str = ""


@dataclass(frozen=True, slots=True)
class BudgetSpent:
    """A token named a key id that the set lacks, and the source's budget admits no fetch for it now."""

    gate: str
    app_id: str
    url: str


Event = Decided | Fetched | BudgetSpent
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of `Gate.outcomes()`. `code` is `allowed`, `anonymous` or that of a refusal.

    `enforced` tells refusals from those that log-only let pass. `app_id` is None for requests of no known app, and
    `…` for what was too much to be told apart. `limited` and `impatient` are those of the refusal.
    """

    app_id: str | None
    code: str
    reason: str | None
    enforced: bool
    count: int
    limited: bool = False
    impatient: bool = False


class Reporter:
    """Tells the hook, the log and the counters about each decision of one gate."""

    def __init__(self, gate: str, on_event: OnEvent | None, max_outcomes: int) -> None:
        self._gate = gate
        self._on_event = on_event
        self._max = max_outcomes
        self._counts: Counter[Counted] = Counter()
        self._pending: deque[Counted] = deque()  # appending is atomic: no lock on the way of a request
        self._spoken: dict[Counted, tuple[float | None, int]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()

    def decided(self, decision: Decision) -> None:
        """Report one decision. Never raises: what the hook raises is logged and goes no further."""
        way, refusal = decision.way, decision.refusal
        key = way.outcome if way is not None else None
        level = logging.DEBUG
        if refusal is not None:
            level = logging.INFO if decision.enforced or refusal.code == "missing_token" else logging.WARNING
            key = (decision.app_id, refusal.code, refusal.reason, decision.enforced)
            if refusal.limited or refusal.impatient:
                key = (*key, refusal.limited, refusal.impatient)
        elif key is None:
            key = (decision.app_id, "allowed" if decision.identity.verified else "anonymous", None, decision.enforced)
        pending = self._pending
        pending.append(key)
        if len(pending) >= _FOLD_AT:
            self._fold()
        if self._on_event is None and not _log.isEnabledFor(level):  # as nearly always: nobody listens
            return
        verified = decision.identity.verified
        code = None if refusal is None else refusal.code
        event = Decided(
            self._gate,
            decision.app_id,
            decision.allowed,
            verified,
            decision.enforced,
            code,
            None if refusal is None else refusal.reason,
            decision.identity.key_id,
            short_hash(str(decision.asked_for.value)) if code == "unknown_app" and decision.asked_for else None,
            refusal is not None and refusal.limited,
            refusal is not None and refusal.impatient,
        )
        self.emit(event)
        self._write(event, key, level)

    def emit(self, event: Event) -> None:
        """Hand one event to the hook."""
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception as error:  # noqa: BLE001 - a hook that fails must not decide about a request
                log_fault("on_event failed", error)

    def fetched(self, event: Fetched) -> None:
        """Report one fetch: what changed at INFO, a failure at WARNING and limited, all else at DEBUG."""
        self.emit(event)
        good = event.outcome in _GOOD
        level = logging.WARNING if not good else logging.INFO if event.added or event.removed else logging.DEBUG
        if not good and self._limited((event.app_id, event.outcome, event.url, False)) is None:
            return
        _log.log(
            level,
            "key set of app=%s at %s: %s in %.3f s, added %s, removed %s, skipped %d",
            event.app_id,
            event.url,
            event.outcome,
            event.seconds,
            list(event.added),
            list(event.removed),
            len(event.skipped),
            extra={"gate": event.gate, "app_id": event.app_id, "outcome": event.outcome, "stale_age": event.stale_age},
        )

    def budget_spent(self, ref: SourceRef) -> None:
        """Report that a source's budget for unknown kids is spent, as often as refusals are reported."""
        event = BudgetSpent(self._gate, ref.app_id, ref.source.public)
        if self._limited((event.app_id, "budget_spent", event.url, False)) is not None:
            self.emit(event)
            _log.warning("key set of app=%s at %s: too many unknown key ids", event.app_id, event.url)

    def fault(self, what: str, error: BaseException) -> None:
        """Log a fault, as often as refusals are: the first at once, then one a minute for each kind."""
        if self._limited((None, what, type(error).__name__, True)) is not None:
            log_fault(what, error)

    def outcomes(self) -> tuple[Outcome, ...]:
        """The counts so far, most frequent first."""
        self._fold()
        with self._lock:
            return tuple(Outcome(*key[:4], count, *key[4:]) for key, count in self._counts.most_common())

    def _fold(self) -> None:
        with self._lock:
            while self._pending:
                key = self._pending.popleft()
                if key not in self._counts and len(self._counts) >= self._max:
                    key = ("…", *key[1:])
                self._counts[key] += 1

    def _write(self, event: Decided, key: Counted, level: int) -> None:
        if not _log.isEnabledFor(level):
            return
        suppressed = 0 if event.code is None else self._limited(key)
        if suppressed is None:
            return
        _log.log(
            level,
            "%s app=%s %s%s%s%s",
            "allowed" if event.code is None else "refused" if event.enforced else "would refuse",
            event.app_id,
            key[1],
            f" ({event.reason})" if event.reason else "",
            f" name#{event.claimed}" if event.claimed else "",
            f" [{suppressed} more like it since]" if suppressed else "",
            extra={
                "gate": event.gate,
                "app_id": event.app_id,
                "code": event.code,
                "reason": event.reason,
                "enforced": event.enforced,
                "key_id": event.key_id,
                "claimed": event.claimed,
                "suppressed": suppressed,
            },
        )

    def _limited(self, key: Counted) -> int | None:
        """How many records like this were left out since the last; None where this one is left out too."""
        now = time.monotonic()
        with self._lock:
            last, count = self._spoken.pop(key, (None, 0))
            if last is not None and now - last < _PERIOD:
                self._spoken[key] = (last, count + 1)
                return None
            if len(self._spoken) >= self._max:
                del self._spoken[next(iter(self._spoken))]
            self._spoken[key] = (now, 0)
            return count

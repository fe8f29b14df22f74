"""Reports decisions to the hook, the log and the counters."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from typing import Any, Final

from wicket.config.app import BrokenApp
from wicket.decision.context import OutcomeKey, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.errors import Code, Refusal
from wicket.jwks.fetcher import MEANING
from wicket.keys.key_set import KeySetRef
from wicket.keys.keyring import warn_of_untried
from wicket.reporting.events import DecisionEvent, Event, KeySetFetched, OnEvent, OutcomeCount, UnknownKidLimited
from wicket.reporting.redaction import short_hash, shown
from wicket.runtime.logs import log_internal_error

_PERIOD: Final = 60.0

_FOLD_AT: Final = 1024

_GOOD: Final = frozenset({"loaded", "not_modified", "empty"})

_MAX_ORIGINS: Final = 16

_MORE_ORIGINS: Final = "…"

_UNCONFIRMED: Final[OutcomeKey] = (None, "config_invalid", None, True, "gate", False, False)
"""What the names of broken apps that no configuration confirms are told apart by: anybody may invent such a name."""

_REMEDY: Final[dict[Code, str]] = {
    "config_missing": "Add a credential, or an issuer with a key set, to the app.",
    "config_invalid": "Correct the app's configuration; the log says what is wrong with it. "
    "`wicket keys fetch --app` shows the state of its key sets.",
    "keys_unavailable": "The log says why the key set could not be fetched; `wicket keys fetch --app` tries it again.",
    "apps_unavailable": "Check the registry and its database; the log says what the registry raised.",
    "internal_error": "Report the traceback in the log.",
}
"""The refusals that are not the user's doing, each with what the operator can do about it."""

_LIMIT_REMEDY: Final = "A limit of this process was reached. If the requests are genuine, raise it in Limits."


class Reporter:
    """Tells the hook, the log and the counters about each decision of one gate."""

    def __init__(self, gate: str, on_event: OnEvent | None, max_outcomes: int) -> None:
        self._gate = gate
        self._on_event = on_event
        self._max = max_outcomes
        self._counts: Counter[OutcomeKey] = Counter()
        self._pending: deque[OutcomeKey] = deque()  # appending is atomic: no lock on the way of a request
        self._last_logged: dict[tuple[object, ...], tuple[float | None, int]] = {}
        self._origins: dict[OutcomeKey, set[str]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()

    def decided(self, decision: Decision) -> None:
        """Report one decision. Never raises: what the hook raises is logged and goes no further."""
        way, refusal = decision._context, decision.refusal
        key: OutcomeKey
        level = logging.DEBUG
        if refusal is not None:
            users = refusal.code not in _REMEDY and (decision.enforced or refusal.code == "missing_token")
            level = logging.INFO if users else logging.WARNING
            app_id = decision.app_id
            if way is not None and isinstance(way.app, BrokenApp) and not way.app.confirmed:
                app_id = self._told_apart(_UNCONFIRMED, app_id)
            key = (app_id, refusal.code, refusal.reason, decision.enforced, "gate", refusal.limited, refusal.impatient)
        elif way is not None and way.outcome_key is not None:  # as nearly always
            key = way.outcome_key
        else:
            code = "allowed" if decision.identity.verified else "anonymous"
            key = (decision.app_id, code, None, decision.enforced, "gate", False, False)
        pending = self._pending
        pending.append(key)
        if len(pending) >= _FOLD_AT:
            self._flush()
        if self._on_event is None and not _log.isEnabledFor(level):  # as nearly always: nobody listens
            return
        verified = decision.identity.verified
        event = DecisionEvent(
            self._gate,
            decision.app_id,
            decision.allowed,
            verified,
            decision.enforced,
            None if refusal is None else refusal.code,
            None if refusal is None else refusal.reason,
            decision.identity.kid,
            _unknown_name(decision),
            body_unread=None if way is None else way.body_unread,
            **({} if refusal is None else _what_was_refused(refusal, way)),
        )
        self.emit(event)
        self._write(event, key, level)

    def handler_refused(self, decision: Decision | None, refusal: Refusal) -> None:
        """Report a refusal that a handler raised. It is always enforced. Never raises."""
        app_id = decision.app_id if decision is not None else None
        identity = decision.identity if decision is not None else Identity(None)
        key: OutcomeKey = (app_id, refusal.code, refusal.reason, True, "handler", refusal.limited, refusal.impatient)
        self._pending.append(key)
        if len(self._pending) >= _FOLD_AT:
            self._flush()
        event = DecisionEvent(
            self._gate,
            app_id,
            False,
            identity.verified,
            True,
            refusal.code,
            refusal.reason,
            identity.kid,
            stage="handler",
            **_what_was_refused(refusal, None),
        )
        self.emit(event)
        self._write(event, key, logging.WARNING if refusal.code in _REMEDY else logging.INFO)

    def emit(self, event: Event) -> None:
        """Hand one event to the hook."""
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception as error:  # noqa: BLE001 - a hook that fails must not decide about a request
                log_internal_error("on_event failed", error)

    def fetched(self, event: KeySetFetched) -> None:
        """Report one fetch: what changed at INFO, a failure at WARNING and limited, all else at DEBUG."""
        self.emit(event)
        good = event.outcome in _GOOD
        warn_of_untried(f"key set of app={event.app_id} at {event.url}", event.never_tried)
        level = logging.WARNING if not good else logging.INFO if event.added or event.removed else logging.DEBUG
        if not good and self._rate_limited((event.app_id, event.outcome, event.url, False)) is None:
            return
        meaning = MEANING.get(event.outcome)  # type: ignore[call-overload]  # an outcome that is no failure has none
        _log.log(
            level,
            "key set of app=%s at %s: %s after %.3f s, added %s, removed %s, skipped %d",
            event.app_id,
            event.url,
            event.outcome if meaning is None else f"{event.outcome} ({meaning})",
            event.seconds,
            list(event.added),
            list(event.removed),
            len(event.skipped),
            extra={"gate": event.gate, "app_id": event.app_id, "outcome": event.outcome, "stale_age": event.stale_age},
        )

    def budget_spent(self, ref: KeySetRef) -> None:
        """Report that a source's budget for unknown kids is spent, as often as refusals are reported."""
        event = UnknownKidLimited(self._gate, ref.app_id, ref.source.redacted)
        if self._rate_limited((event.app_id, "budget_spent", event.url, False)) is not None:
            self.emit(event)
            _log.info(
                "key set of app=%s at %s: tokens with unknown kids have used up limits.unknown_kid_burst and _every",
                event.app_id,
                event.url,
            )

    def fault(self, what: str, error: BaseException) -> None:
        """Log a fault, as often as refusals are: the first at once, then one a minute for each kind."""
        if self._rate_limited((None, what, type(error).__name__, True)) is not None:
            log_internal_error(what, error)

    def trouble(
        self, level: int, app_id: str | None, kind: str, message: str, *args: object, unverified: str | None = None
    ) -> None:
        """Log trouble with one app, once a minute for each app and kind.

        `unverified` is the name of an app that no configuration confirms: of such names at most 16 are logged a minute.
        """
        if self._rate_limited((unverified or app_id, kind, None, True)) is None:
            return
        if unverified is not None and all(
            self._rate_limited((None, kind, str(number), True)) is None for number in range(_MOST_NAMES)
        ):
            return
        _log.log(level, message, *args, extra={"gate": self._gate, "app_id": app_id})

    def outcomes(self) -> tuple[OutcomeCount, ...]:
        """The counts so far, most frequent first."""
        self._flush()
        with self._lock:
            return tuple(OutcomeCount(*key[:4], count, *key[4:]) for key, count in self._counts.most_common())

    def _flush(self) -> None:
        with self._lock:
            while self._pending:
                key: Any = self._pending.popleft()
                if key not in self._counts and len(self._counts) >= self._max:
                    key = ("…", *key[1:])
                self._counts[key] += 1

    def _write(self, event: DecisionEvent, key: OutcomeKey, level: int) -> None:
        if not _log.isEnabledFor(level):
            return
        # Trouble that is not the user's is the same from everywhere: nobody multiplies its records by origins.
        origin = None if event.code in _REMEDY else event.origin
        suppressed = 0 if event.code is None else self._rate_limited((*key, self._told_apart(key, origin)))
        if suppressed is None:
            return
        _log.log(
            level,
            "%s%s app=%s %s%s%s%s%s%s%s",
            "allowed" if event.code is None else "refused" if event.enforced else "would refuse",
            " by a handler" if event.stage == "handler" else "",
            event.app_id,
            key[1],
            f" ({event.reason})" if event.reason else "",
            f" name#{event.unknown_app_hash}" if event.unknown_app_hash else "",
            "" if event.method is None else f" {event.method} {event.path} origin={event.origin}",
            "" if event.code is None else _explained(event),
            f" [{suppressed} more like it since]" if suppressed else "",
            f" {event.body_unread}" if event.body_unread and event.body_unread not in (event.detail or "") else "",
            extra={
                "gate": event.gate,
                "app_id": event.app_id,
                "code": event.code,
                "reason": event.reason,
                "enforced": event.enforced,
                "stage": event.stage,
                "key_id": event.kid,
                "claimed": event.unknown_app_hash,
                "detail": event.detail,
                "claim": event.claim,
                "origin": event.origin,
                "method": event.method,
                "path": event.path,
                "body_unread": event.body_unread,
                "suppressed": suppressed,
            },
        )

    def _told_apart(self, key: OutcomeKey, origin: str | None) -> str | None:
        """The origin by which the records of one kind are limited: one of the first 16, or one name for all others.

        So it is with the names of broken apps that no configuration confirms.
        """
        if origin is None:
            return None
        with self._lock:
            origins = self._origins.get(key)
            if origins is None:
                if len(self._origins) >= self._max:
                    del self._origins[next(iter(self._origins))]
                origins = self._origins[key] = set()
            if len(origins) < _MAX_ORIGINS:
                origins.add(origin)
            return origin if origin in origins else _MORE_ORIGINS

    def _rate_limited(self, key: tuple[object, ...]) -> int | None:
        """How many records like this were left out since the last; None where this one is left out too."""
        now = time.monotonic()
        with self._lock:
            last, count = self._last_logged.pop(key, (None, 0))
            if last is not None and now - last < _PERIOD:
                self._last_logged[key] = (last, count + 1)
                return None
            if len(self._last_logged) >= self._max:
                del self._last_logged[next(iter(self._last_logged))]
            self._last_logged[key] = (now, 0)
            return count


def _unknown_name(decision: Decision) -> str | None:
    """A keyed hash of the name that no app has, if that is why the request is refused."""
    refusal, ref = decision.refusal, decision.app_ref
    return short_hash(str(ref.value)) if refusal is not None and refusal.code == "unknown_app" and ref else None


def _what_was_refused(refusal: Refusal, way: RequestContext | None) -> dict[str, Any]:
    """The fields of an event about a refusal, of the refusal itself and of its request."""
    told: dict[str, Any] = {
        "detail": refusal.detail,
        "claim": refusal.claim,
        "limited": refusal.limited,
        "impatient": refusal.impatient,
    }
    asked = way.request if way is not None else None
    if asked is not None:
        origin = asked.header("origin")
        told["origin"] = None if origin is None else shown(origin)
        told["method"] = shown(asked.method)
        told["path"] = shown(asked.path)
    return told


def _explained(event: DecisionEvent) -> str:
    """What was wrong, and what the operator can do about it."""
    remedy = _LIMIT_REMEDY if event.limited else _REMEDY.get(event.code) if event.code is not None else None
    return f": {event.detail}" if remedy is None else f": {event.detail} {remedy}"


_log: Final = logging.getLogger("wicket")

_MOST_NAMES: Final = 16

"""Reports decisions as events, in the log and in the counts."""

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
from wicket.jwks.fetcher import explain, list_reasons
from wicket.keys.key_set import KeySetRef
from wicket.keys.keyring import log_untried_keys
from wicket.reporting.events import DecisionEvent, Event, KeySetFetched, OnEvent, OutcomeCount, UnknownKidLimited
from wicket.reporting.redaction import short_hash, shown
from wicket.runtime.logs import log_internal_error

_log: Final = logging.getLogger("wicket")

_LOG_INTERVAL: Final = 60.0
"""Seconds between two log records of one kind."""

_FLUSH_AT: Final = 1024
"""The number of pending outcomes that are added to the counts at once."""

_GOOD: Final = frozenset({"loaded", "not_modified", "empty"})
"""The outcomes of a fetch that are no failures."""

_MAX_ORIGINS: Final = 16

_OTHER_ORIGINS: Final = "…"

_MAX_UNVERIFIED_NAMES: Final = 16

_UNCONFIRMED: Final[OutcomeKey] = (None, "config_invalid", None, True, "gate", False, False)
"""The key that limits the names of broken apps that no configuration confirms: a client can invent such names."""

_REMEDY: Final[dict[Code, str]] = {
    "config_missing": "Add a credential, or an issuer with a key set, to the app.",
    "config_invalid": "Correct the app's configuration. The log says what is wrong with it. "
    "`wicket check` shows the problems of a file, and `wicket keys fetch --app` the state of the app's key sets.",
    "keys_unavailable": "The log says why the fetch of the key set failed. `wicket keys fetch --app` repeats it.",
    "apps_unavailable": "Check the registry and its database. The log names the registry's exception.",
    "internal_error": "Report the traceback in the log.",
}
"""The codes whose cause is not the request, each with what the operator can do."""

_LIMIT_REMEDY: Final = "A limit of this process was reached. If the requests are legitimate, raise it in Limits."


class Reporter:
    """Reports the decisions and the key-set fetches of one gate.

    Args:
        gate: The name of the gate.
        on_event: The function that is called with each event, if there is one.
        max_outcomes: `Limits.max_outcomes`. It also bounds the memory of the rate limits.
    """

    def __init__(self, gate: str, on_event: OnEvent | None, max_outcomes: int) -> None:
        self._gate = gate
        self._on_event = on_event
        self._max = max_outcomes
        self._counts: Counter[OutcomeKey] = Counter()
        self._pending: deque[OutcomeKey] = deque()  # appending is atomic, so a request needs no lock
        self._last_logged: dict[tuple[object, ...], tuple[float | None, int]] = {}
        self._origins: dict[OutcomeKey, set[str]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock in a forked child, because a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def decided(self, decision: Decision) -> None:
        """Report one decision. An exception of the hook is logged and not raised."""
        ctx, refusal = decision._context, decision.refusal
        key: OutcomeKey
        level = logging.DEBUG
        if refusal is None:
            if ctx is not None and ctx.outcome_key is not None:
                key = ctx.outcome_key
            else:
                code = "allowed" if decision.identity.verified else "anonymous"
                key = (decision.app_id, code, None, decision.enforced, "gate", False, False)
        else:
            is_info = refusal.code not in _REMEDY and (decision.enforced or refusal.code == "missing_token")
            level = logging.INFO if is_info else logging.WARNING
            app_id = decision.app_id
            if ctx is not None and isinstance(ctx.app, BrokenApp) and not ctx.app.confirmed:
                app_id = self._limited_value(_UNCONFIRMED, app_id)
            key = (app_id, refusal.code, refusal.reason, decision.enforced, "gate", refusal.limited, refusal.impatient)
        pending = self._pending
        pending.append(key)
        if len(pending) >= _FLUSH_AT:
            self._flush()
        if self._on_event is None and not _log.isEnabledFor(level):
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
            _unknown_app_hash(decision),
            body_unread=None if ctx is None else ctx.body_unread,
            **({} if refusal is None else _refusal_fields(refusal, ctx)),
        )
        self.emit(event)
        self._write(event, key, level)

    def handler_refused(self, decision: Decision | None, refusal: Refusal) -> None:
        """Report a refusal that a handler raised. It is always enforced. An exception of the hook is not raised."""
        app_id = decision.app_id if decision is not None else None
        identity = decision.identity if decision is not None else Identity(None)
        key: OutcomeKey = (app_id, refusal.code, refusal.reason, True, "handler", refusal.limited, refusal.impatient)
        self._pending.append(key)
        if len(self._pending) >= _FLUSH_AT:
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
            **_refusal_fields(refusal, None),
        )
        self.emit(event)
        self._write(event, key, logging.WARNING if refusal.code in _REMEDY else logging.INFO)

    def emit(self, event: Event) -> None:
        """Call the hook with one event. Log what it raises."""
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception as error:  # noqa: BLE001 - a failing hook must not change a decision
                log_internal_error("on_event failed", error)

    def fetched(self, event: KeySetFetched) -> None:
        """Report one fetch of a key set.

        A failure is logged at WARNING and rate-limited, a change of the keys at INFO, any other fetch at DEBUG.
        """
        self.emit(event)
        good = event.outcome in _GOOD
        log_untried_keys(f"key set of app={event.app_id} at {event.url}", event.never_tried)
        level = logging.WARNING if not good else logging.INFO if event.added or event.removed else logging.DEBUG
        if not good and self._rate_limited((event.app_id, event.outcome, event.url, False)) is None:
            return
        if good:
            result = f"{event.outcome}, added {list(event.added)}, removed {list(event.removed)}"
            result += f", skipped {len(event.skipped)}{list_reasons(event.skipped)}"
        else:
            result = explain(event.outcome, event.status, event.skipped)  # type: ignore[arg-type]  # it is a failure
        _log.log(
            level,
            "key set of app=%s at %s: %s. It took %.3f s",
            event.app_id,
            event.url,
            result,
            event.seconds,
            extra={
                "gate": event.gate,
                "app_id": event.app_id,
                "outcome": event.outcome,
                "status": event.status,
                "stale_age": event.stale_age,
            },
        )

    def unknown_kid_limited(self, ref: KeySetRef) -> None:
        """Report that a key set has reached its limit of fetches for unknown kids. Rate-limited."""
        event = UnknownKidLimited(self._gate, ref.app_id, ref.source.redacted)
        if self._rate_limited((event.app_id, "budget_spent", event.url, False)) is not None:
            self.emit(event)
            _log.info(
                "key set of app=%s at %s: tokens with unknown kids reached limits.unknown_kid_burst and"
                " limits.unknown_kid_interval",
                event.app_id,
                event.url,
            )

    def internal_error(self, message: str, error: BaseException) -> None:
        """Log an unexpected exception. Rate-limited for each message and type of exception."""
        if self._rate_limited((None, message, type(error).__name__, True)) is not None:
            log_internal_error(message, error)

    def log_problem(
        self, level: int, app_id: str | None, kind: str, message: str, *args: object, unverified: str | None = None
    ) -> None:
        """Log a problem of one app. Rate-limited for each app and kind.

        Args:
            level: The level of the log record.
            app_id: The id of the app, if it is known.
            kind: What the limit distinguishes.
            message: The message of the log record.
            args: The arguments of the message.
            unverified: The name of an app that no configuration confirms. At most 16 such names are logged per minute,
                because a client can invent them.
        """
        if self._rate_limited((unverified or app_id, kind, None, True)) is None:
            return
        if unverified is not None and all(
            self._rate_limited((None, kind, str(number), True)) is None for number in range(_MAX_UNVERIFIED_NAMES)
        ):
            return
        _log.log(level, message, *args, extra={"gate": self._gate, "app_id": app_id})

    def outcomes(self) -> tuple[OutcomeCount, ...]:
        """Return the counts. The highest count is first."""
        self._flush()
        with self._lock:
            return tuple(OutcomeCount(*key[:4], count, *key[4:]) for key, count in self._counts.most_common())

    def _flush(self) -> None:
        pending, counts = self._pending, self._counts
        with self._lock:
            drained = Counter([pending.popleft() for _ in range(len(pending))])  # only a holder of the lock removes
            for key, count in drained.items():
                if key not in counts and len(counts) >= self._max:
                    key = ("…", *key[1:])
                counts[key] += count

    def _write(self, event: DecisionEvent, key: OutcomeKey, level: int) -> None:
        if not _log.isEnabledFor(level):
            return
        # The origin does not matter if the operator must correct the cause: one record is enough for all origins.
        origin = None if event.code in _REMEDY else event.origin
        suppressed = 0 if event.code is None else self._rate_limited((*key, self._limited_value(key, origin)))
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
            "" if event.code is None else _explain(event),
            f" [similar records left out: {suppressed}]" if suppressed else "",
            f" {event.body_unread}" if event.body_unread and event.body_unread not in (event.detail or "") else "",
            extra={
                "gate": event.gate,
                "app_id": event.app_id,
                "code": event.code,
                "reason": event.reason,
                "enforced": event.enforced,
                "stage": event.stage,
                "kid": event.kid,
                "unknown_app_hash": event.unknown_app_hash,
                "detail": event.detail,
                "claim": event.claim,
                "expected": event.expected,
                "origin": event.origin,
                "method": event.method,
                "path": event.path,
                "body_unread": event.body_unread,
                "suppressed": suppressed,
            },
        )

    def _limited_value(self, key: OutcomeKey, value: str | None) -> str | None:
        """Return `value` if it is one of the first 16 values for `key`, or else one placeholder.

        The values are origins or names of apps that a client can invent. The bound keeps the number of log records and
        counts small.
        """
        if value is None:
            return None
        with self._lock:
            values = self._origins.get(key)
            if values is None:
                if len(self._origins) >= self._max:
                    del self._origins[next(iter(self._origins))]
                values = self._origins[key] = set()
            if len(values) < _MAX_ORIGINS:
                values.add(value)
            return value if value in values else _OTHER_ORIGINS

    def _rate_limited(self, key: tuple[object, ...]) -> int | None:
        """Return the number of records with this key that were left out since the last one.

        Return None if this record must be left out too.
        """
        now = time.monotonic()
        with self._lock:
            last, count = self._last_logged.pop(key, (None, 0))
            if last is not None and now - last < _LOG_INTERVAL:
                self._last_logged[key] = (last, count + 1)
                return None
            if len(self._last_logged) >= self._max:
                del self._last_logged[next(iter(self._last_logged))]
            self._last_logged[key] = (now, 0)
            return count


def _unknown_app_hash(decision: Decision) -> str | None:
    """Return a keyed hash of the name of the app if the request is refused as `unknown_app`."""
    refusal, ref = decision.refusal, decision.app_ref
    return short_hash(str(ref.value)) if refusal is not None and refusal.code == "unknown_app" and ref else None


def _refusal_fields(refusal: Refusal, ctx: RequestContext | None) -> dict[str, Any]:
    """Return the fields of an event that describe the refusal and its request."""
    values: dict[str, Any] = {
        "detail": refusal.detail,
        "claim": refusal.claim,
        "expected": None if refusal.expected is None else shown(refusal.expected),
        "limited": refusal.limited,
        "impatient": refusal.impatient,
    }
    request = ctx.request if ctx is not None else None
    if request is not None:
        origin = request.header("origin")
        values["origin"] = None if origin is None else shown(origin)
        values["method"] = shown(request.method)
        values["path"] = shown(request.path)
    return values


def _explain(event: DecisionEvent) -> str:
    """Return the detail of a refusal, what the app expects, and what the operator can do."""
    remedy = _LIMIT_REMEDY if event.limited else _REMEDY.get(event.code) if event.code is not None else None
    subject = f" for the claim {event.claim}" if event.claim is not None else ""
    expected = f" Expected{subject}: {event.expected}." if event.expected is not None else ""
    return f": {event.detail}{expected}" if remedy is None else f": {event.detail}{expected} {remedy}"

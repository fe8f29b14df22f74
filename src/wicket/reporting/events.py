"""The events of a gate. No event and no log record contains a token.

Log records go to the logger `wicket`. A record about a decision has these fields:

    gate, app_id, code, reason, enforced, stage     as in `DecisionEvent`
    kid, unknown_app_hash, claim, expected, detail  as in `DecisionEvent`
    origin, method, path, body_unread               as in `DecisionEvent`
    suppressed                                      how many similar records were left out before this one

Its level depends on the decision:

    DEBUG      the request is allowed
    INFO       the request is refused because of the request or its token, or log-only mode allowed a request that has
               no token
    WARNING    log-only mode allowed any other request that would be refused
    WARNING    the request is refused, or would be, because of the configuration, an internal error, or an issuer; the
               message says what the operator can do

Records about refusals are rate-limited per app, reason and origin. The first one is logged at once, then one per
minute. At most 16 origins are distinguished for each app and reason. If the operator must correct the cause, the limit
is per app and reason only. At most 16 names are distinguished for apps that a registry reports as broken and that were
never loaded. Values that a client sent are escaped and truncated to 256 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wicket.errors import Code, Reason
from wicket.jwks.loader import LoadReport


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """The gate, or a handler, decided a request.

    Args:
        gate: The name of the gate.
        app_id: The id of the app; None if the app is unknown.
        allowed: Whether the request may continue.
        verified: Whether it has a verified identity.
        enforced: Whether a refusal is enforced. It is False in log-only mode.
        code: The code of the refusal; None if there is none.
        reason: The reason of the refusal, if its code has reasons.
        kid: The `kid` of the key that verified the token.
        unknown_app_hash: If the app is unknown: a hash of its name, keyed for this process.
        detail: The sentence of the refusal.
        claim: The name of the claim that caused the refusal, if one did.
        origin: The Origin of the refused request, escaped and truncated to 256 characters; None for a token that was
            verified without a request.
        method: The method of the refused request, likewise.
        path: The path of the refused request without its query, likewise.
        limited: `Refusal.limited`.
        impatient: `Refusal.impatient`.
        stage: `gate`, or `handler` if the gate allowed the request and its handler refused it. Such a request has two
            events.
        body_unread: A sentence that says why the body was not read, if the app or the token was looked for in it.
        expected: What the app expects of the claim or the header parameter that caused the refusal, escaped and
            truncated to 256 characters.
    """

    gate: str
    app_id: str | None
    allowed: bool
    verified: bool
    enforced: bool
    code: Code | None = None
    reason: Reason | None = None
    kid: str | None = None
    unknown_app_hash: str | None = None
    detail: str | None = None
    claim: str | None = None
    origin: str | None = None
    method: str | None = None
    path: str | None = None
    limited: bool = False
    impatient: bool = False
    stage: Literal["gate", "handler"] = "gate"
    body_unread: str | None = None
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class KeySetFetched(LoadReport):
    """The gate fetched a key set. The fields before `gate` are those of `LoadReport`.

    Args:
        gate: The name of the gate.
    """

    gate: str = ""


@dataclass(frozen=True, slots=True)
class UnknownKidLimited:
    """A token has a `kid` that the key set lacks, and the limit of fetches for unknown kids is reached.

    Args:
        gate: The name of the gate.
        app_id: The id of the app.
        url: The URL of the key set, or its issuer, without a query.
    """

    gate: str
    app_id: str
    url: str


Event = DecisionEvent | KeySetFetched | UnknownKidLimited
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """One entry of `Gate.outcomes()`: the number of requests with one outcome.

    Args:
        app_id: The id of the app; None for requests of an unknown app; `…` for the outcomes that exceed
            `Limits.max_outcomes`.
        code: `allowed`, `anonymous`, or the code of the refusal.
        reason: The reason of the refusal, if its code has reasons.
        enforced: False if log-only mode allowed the request.
        count: The number of requests.
        stage: `gate`, or `handler` for refusals that handlers raised after the gate had allowed the request. Such a
            request is counted in both stages.
        limited: `Refusal.limited`.
        impatient: `Refusal.impatient`.
    """

    app_id: str | None
    code: str
    reason: str | None
    enforced: bool
    count: int
    stage: Literal["gate", "handler"] = "gate"
    limited: bool = False
    impatient: bool = False

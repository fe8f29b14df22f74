"""What a gate reports about its work: events for a hook, log records, and counted outcomes. Never a token.

Log records go to the logger `wicket` with the fields `gate`, `app_id`, `code`, `reason`, `enforced`, `stage`,
`key_id`, `claimed` (a short keyed hash of a name that no app has), `claim`, `detail`, `origin`, `method`, `path`,
`body_unread` (why a body was not read) and `suppressed` (how many similar records were left out before).

    allowed                                              DEBUG
    refused because of the request or its token          INFO
    log-only let such a request pass                     WARNING (INFO if it carried no token)
    refused, or let pass, because of our configuration,
    our own trouble, or an issuer's                      WARNING, and what the operator can do about it

Refusals are limited per app, reason and origin: the first at once, then one a minute; for one app and reason at most 16
origins are told apart. Those that are not the user's doing are limited per app and reason only; of apps that a
registry calls broken and that were never loaded, at most 16 names are told apart. Values that a client sent are escaped
and cut at 256 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wicket.errors import Code, Reason
from wicket.jwks.loader import LoadReport


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """A request was decided about.

    `code` is None if nothing was wrong. `claimed` is a keyed hash of a name that no app has. If the request was
    refused, or would have been: `detail` is one sentence for people, `claim` names the claim at fault, and `origin`,
    `method` and `path` (without the query) are those of the request, escaped and cut at 256 characters; None for what
    was verified without a request. `limited` and `impatient` are the marks of `Refusal`.
    `body_unread` says why the body was not read, if the app or the token was looked for in it.
    `stage` is `handler` if the gate allowed the request and its handler refused it. `gate` was reported before.
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


@dataclass(frozen=True, slots=True)
class KeySetFetched(LoadReport):
    """A key set was fetched by this gate: what that brought, and what changed."""

    gate: str = ""


@dataclass(frozen=True, slots=True)
class UnknownKidLimited:
    """A token named a key id that the set lacks, and the source's budget admits no fetch for it now."""

    gate: str
    app_id: str
    url: str


Event = DecisionEvent | KeySetFetched | UnknownKidLimited
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """One line of `Gate.outcomes()`. `code` is `allowed`, `anonymous` or that of a refusal.

    `enforced` tells refusals from those that log-only let pass. `app_id` is None for requests of no known app, and
    `…` for what was too much to be told apart. `limited` and `impatient` are those of the refusal. `stage` is `handler`
    for refusals that handlers raised after the gate had allowed the request: such a request is counted in both stages.
    """

    app_id: str | None
    code: str
    reason: str | None
    enforced: bool
    count: int
    stage: Literal["gate", "handler"] = "gate"
    limited: bool = False
    impatient: bool = False

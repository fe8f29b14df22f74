"""What a row of the table is: one request, and what must come of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from wicket.errors import Code, Reason


class Challenge(enum.Enum):
    """What `WWW-Authenticate` says: nothing, who asks for a token, or what was wrong with the one that was sent.

    `EITHER` is for what one may well call a token and just as well not: `Bearer` with nothing, or a public key.
    """

    NONE = "none"
    BARE = "bare"
    ERROR = "error"
    EITHER = "either"


class Form(enum.Enum):
    """Whose body a refusal has."""

    PROBLEM = "application/problem+json"
    USERZ = "userz"
    FEATUREBASE = "featurebase"
    UNUSUAL = "unusual"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Headers may repeat; the query is raw."""

    method: str = "GET"
    path: str = "/whoami"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What comes of it.

    For a request that passes, `code` and `reason` are what log-only reports, and `identity` is `app_id:user_id`, or
    None for an anonymous one; `method` is what verified it, `claimed` whom an anonymous one says it is. `enforced` is
    what the decision says; `app_id` the app whose request it is.
    """

    status: int
    code: Code | None = None
    reason: Reason | None = None
    identity: str | None = None
    app_id: str | None = None
    enforced: bool = True
    challenge: Challenge = Challenge.NONE
    form: Form = Form.PROBLEM
    retry_after: bool = False
    claimed: str | None = None
    method: str | None = "jwt"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table."""

    name: str
    ask: Ask
    expected: Expected
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that no answer and no log record may carry."""

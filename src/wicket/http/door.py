"""What both doors are set up with and ask first about a request: whose turn it is, and what Wicket answers itself."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable

from wicket.decision.flow import Decision
from wicket.errors import Problems, Refused
from wicket.gate import Gate
from wicket.http.answers import answer_refused, answer_to
from wicket.http.cors import NOTHING, Additions, answer_preflight, cors_headers, own_headers
from wicket.http.paths import Access, Paths
from wicket.request import Answer, Request


class Turn(enum.Enum):
    """What happens with a request."""

    OPEN = "open"
    OPTIONAL = "optional"
    GATED = "gated"
    PREFLIGHT = "preflight"
    QUESTION = "question"


class Door:
    """The settings of a door, checked. Raises `ConfigError` with every problem."""

    def __init__(
        self,
        gate: Gate,
        *,
        only: Iterable[str],
        exempt: Iterable[str],
        optional: Iterable[str],
        cors: bool,
        origin_question: str | None,
        close_on_expiry: bool = False,
    ) -> None:
        problems = Problems()
        if not isinstance(gate, Gate):
            problems.add("gate", "must be a Gate")
        for name, value in (("cors", cors), ("close_on_expiry", close_on_expiry)):
            if not isinstance(value, bool):
                problems.add(name, "must be true or false")
        if origin_question is not None and (not isinstance(origin_question, str) or origin_question[:1] != "/"):
            problems.add("origin_question", "must be a path that starts with /, or None")
        problems.raise_if_any()
        self.gate = gate
        self.cors = cors
        self.close_on_expiry = close_on_expiry
        self._question = origin_question
        self._paths = Paths(only, exempt, optional)
        self.plain = self._paths.everything and origin_question is None
        self._own = own_headers(gate)

    def turn(self, request: Request) -> Turn:
        """What happens with `request`."""
        if self._question is not None and request.path == self._question and request.method in ("GET", "HEAD"):
            return Turn.QUESTION
        access = self._paths.access(request.path)
        if access is Access.OPEN:
            return Turn.OPEN
        if request.preflight:
            return Turn.PREFLIGHT if self.cors else Turn.OPEN
        return Turn.OPTIONAL if access is Access.OPTIONAL else Turn.GATED

    def refusal(self, request: Request, decision: Decision) -> Answer:
        """The answer to a request that is turned away."""
        return self._readable(answer_to(self.gate, decision), request, decision)

    def refused(self, request: Request, decision: Decision, refused: Refused) -> Answer:
        """The answer where the application itself demanded more."""
        return self._readable(answer_refused(self.gate, decision, refused), request, decision)

    def preflight(self, request: Request, decision: Decision) -> Answer:
        """The answer to a preflight. Only an origin that the app is known not to admit is refused."""
        if not decision.allowed and decision.refusal is not None and decision.refusal.code == "origin_not_allowed":
            return self.refusal(request, decision)
        return answer_preflight(request, decision, self._own)

    def question(self, request: Request, decision: Decision) -> Answer:
        """The answer to a widget that asks whether it may render here: yes, or the refusal."""
        if not decision.allowed:
            return self.refusal(request, decision)
        body = json.dumps({"allowed": True}).encode()
        headers = (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
        )
        return self._readable(Answer(200, headers, body), request, decision)

    def additions(self, request: Request, decision: Decision) -> Additions:
        """The headers that the application's answer shall have besides its own."""
        return cors_headers(request, decision) if self.cors else NOTHING

    def _readable(self, answer: Answer, request: Request, decision: Decision) -> Answer:
        more = self.additions(request, decision).text
        return Answer(answer.status, (*answer.headers, *((name.lower(), value) for name, value in more)), answer.body)

"""`wicket explain`: the steps of one token's way, each with what was expected and what was found.

It calls the very functions that the decision calls, goes on where the decision would stop, and ends with the
decision itself. Nothing is accepted by it, and no key material is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wicket.app import App
from wicket.cli.keys import describe_key_set
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.tokens import UnverifiedToken, decode, read_object, read_token
from wicket.drivers import run
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.keys.algorithms import Key, expand

R = TypeVar("R")

_TIMES = ("iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `passed` is None where it could not be judged or there is nothing to judge."""

    name: str
    expected: str
    found: str
    passed: bool | None


def explain_token(gate: Gate, app_id: str, token: str, origin: str | None) -> list[Step]:
    """Every step of `token`'s way for the app with this id; the last one is the decision."""
    return list(_steps(gate, app_id, token, origin))


def _steps(gate: Gate, app_id: str, text: str, origin: str | None) -> Iterator[Step]:
    app = next((app for app in gate.apps if app.id == app_id), None)
    if app is None:
        broken = " (its configuration is broken)" if any(each.id == app_id for each in gate.broken) else ""
        yield Step("app", f"one of: {', '.join(sorted(each.id for each in gate.apps))}", f"{app_id!a}{broken}", False)
    else:
        yield Step("app", "an app of the configuration", f"{app.id!a}, profile {app.profile}", True)
        patterns = ", ".join(app.origins) or "any origin"
        allowed = app.origin_policy.allows(origin)
        yield Step("origin", patterns, "none given" if origin is None else f"{origin!a}", allowed)
        yield from _token_steps(gate, app, text)
    yield _decision(gate, app_id, text, origin)


def _token_steps(gate: Gate, app: App, text: str) -> Iterator[Step]:
    now = gate.clock()
    limit = app.rules.max_token_bytes
    token, refused = _attempt(lambda: read_token(text, limit))
    shape = f"three base64url parts, at most {limit} bytes"
    if token is None:
        found = "it starts with Bearer: give the token alone" if text[:6].lower() == "bearer" else _words(refused)
        yield Step("read", shape, f"{len(text)} characters: {found}", False)
        return
    yield Step("read", shape, f"{len(text)} characters", True)
    header, keyring = token.header, app.keyring
    allowed = keyring.algorithms.union(*(expand(source.algorithms) for source in app.sources))
    algorithms = ", ".join(sorted(allowed)) or "no credential"
    yield Step("algorithm", algorithms, f"{header.algorithm!a}", header.algorithm in allowed)
    for source in app.sources:
        found, usable = describe_key_set(gate, app.id, source)
        yield Step("key set", source.public, found, usable)
    choice, refused = _attempt(lambda: run(gate.choose_keys(app, header)))
    keys = choice.keys if choice is not None else ()
    known = [*keyring.keys, *(key for held in gate.key_sets(app).values() if held for key in held.keys.keys)]
    kids = ", ".join("(no id)" if key.kid is None else f"{key.kid!a}" for key in known)
    chosen = f"{len(keys)} to try" if keys else _words(refused)
    yield Step("key", kids or "none at hand", f"kid {header.kid!a}: {chosen}", bool(keys))
    signed = _signed(token, keys)
    found = "verifies" if signed else "does not verify" if keys else "no key to try"
    yield Step("signature", "by one of these keys", found, signed if keys else None)
    claims, refused = _attempt(lambda: read_object(decode(token.payload)))
    if claims is None:
        yield Step("claims", "a JSON object", _words(refused), False)
        return
    yield from _claim_steps(app, token, claims, now, signed=signed)


def _claim_steps(
    app: App, token: UnverifiedToken, claims: Mapping[str, Any], now: float, *, signed: bool
) -> Iterator[Step]:
    rules = app.rules
    proof = "" if signed else " (unverified)"
    for name in _TIMES:
        if name in claims or name in rules.required:
            yield Step(
                name, "required" if name in rules.required else "optional", f"{_time(claims, name, now)}{proof}", None
            )
    wanted = {"iss": app.issuer, "aud": " or ".join(app.audience) or None}
    if rules.app_claim is not None:
        wanted[rules.app_claim] = app.id
    for name, value in wanted.items():
        if value is not None or name in claims:
            otherwise = "any" if name == "iss" else "none"
            yield Step(name, value or otherwise, f"{claims.get(name)!a}{proof}", None)
    lifetime = f"skew {rules.skew:g} s"
    if rules.bounded:
        lifetime += f", lifetime {rules.min_lifetime or 0:g} to {rules.max_lifetime or float('inf'):g} s"
    _, refused = _attempt(lambda: check_claims(claims, token.header.typ, app, now))
    required = ", ".join(sorted(rules.required)) or "none required"
    yield Step("claims", f"{required}; {lifetime}", "hold" if refused is None else _words(refused), refused is None)
    user, refused = _attempt(lambda: read_user_id(claims, rules))
    found = _words(refused) if user is None else f"{user[0]!a} by {user[1]}{proof}"
    yield Step("user", " or ".join(rules.user_id), found, user is not None)
    if user is not None:
        revoked, _ = _attempt(lambda: is_revoked(claims, user[0], app))
        yield Step("revoked", "no", "yes" if revoked else "no", not revoked)


def _decision(gate: Gate, app_id: str, text: str, origin: str | None) -> Step:
    decision = gate.verify(text, app=app_id, origin=origin)
    if decision.refusal is None:
        return Step("decision", "", f"passes as {decision.identity.identity}", True)
    return Step("decision", "", f"refused: {_words(Refused(decision.refusal))}", False)


def _signed(token: UnverifiedToken, keys: tuple[Key, ...]) -> bool:
    signature = decode(token.signature)
    return any(key.verify(token.header.algorithm, token.signed, signature) for key in keys)


def _attempt(step: Callable[[], R]) -> tuple[R | None, Refused | None]:
    try:
        return step(), None
    except Refused as refused:
        return None, refused


def _words(refused: Refused | None) -> str:
    return "" if refused is None else f"{refused}. {refused.refusal.detail}"


def _time(claims: Mapping[str, Any], name: str, now: float) -> str:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 253402300800:
        return f"{value!a}"
    moment = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    distance = value - now
    return f"{value} = {moment}, {abs(distance):.0f} s {'ahead' if distance > 0 else 'ago'}"


def print_steps(console: Console, steps: list[Step]) -> None:
    """Print the steps as a table, the decision below it."""
    marks = {True: Text("✓", "green"), False: Text("✗", "red"), None: Text("·", "dim")}
    table = Table("", "step", "expected", "found")
    for step in steps[:-1]:
        table.add_row(marks[step.passed], step.name, Text(step.expected), Text(step.found))
    console.print(table)
    console.print(marks[steps[-1].passed], Text(steps[-1].found))

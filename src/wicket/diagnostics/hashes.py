"""The mistakes about identity hashes: half a pair, the wrong spelling, the wrong secret, the hash of something else.

A hash is recomputed over everything that was sent with it, in every way that integrators are known to take. What was
computed is compared, and never told.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import Header, JsonBody, Query, TokenLocation
from wicket.decision.identity_hash import compute_hash
from wicket.diagnostics.case import Case, attempt
from wicket.diagnostics.report import Finding, shown
from wicket.diagnostics.variants import secret_variants
from wicket.keys import Secret
from wicket.messages.json_body import plain
from wicket.messages.request import Request

_MAX_MEMBERS: Final = 32
_MAX_DEPTH: Final = 4
_MAX_IDENTIFIER: Final = 1024
_MAX_COMPANIES: Final = 16
_EXPECTED: Final = {
    "hex": "64 lower-case hexadecimal digits",
    "base64": "44 characters of base64, with padding",
}


@dataclass(frozen=True, slots=True)
class HashPair:
    """An identifier and its hash as they were sent, and what else was. `what` names the pair in a sentence.

    `members` are the texts that the identifier may have been confused with, by name; `others` are secrets of the app
    for something else, each with what it is for.
    """

    what: str
    identifier: str
    value: str | None
    proof: str | None
    members: Mapping[str, str]
    secret: Secret
    others: tuple[tuple[str, Secret], ...]
    encoding: str
    normalized: Callable[[str], str]

    @property
    def verifies(self) -> bool:
        """Whether the hash is exactly the one that the gate wants."""
        if self.value is None or self.proof is None:
            return False
        return _encodable(self.value) and hmac.compare_digest(
            compute_hash(self.secret, self.normalized(self.value), self.encoding).encode(),
            self.proof.encode("utf-8", "replace"),
        )


def pairs_of(case: Case) -> Iterator[HashPair]:
    """The user's pair, and that of each company, where one half at least was sent."""
    rule = case.app.identity_hash
    if rule is None:
        return
    request = case.request
    tokens = tuple(("the app's tokens", each) for each in case.app.credentials if isinstance(each, Secret))
    user = HashPair(
        "The user's hash",
        rule.identifier,
        _text(rule.identifier_location, request),
        _text(rule.hash_location, request),
        _members(plain(request.document), _name_of(rule.hash_location)),
        rule.secret,
        (*tokens, *((("companies", rule.companies.secret),) if rule.companies is not None else ())),
        rule.encoding,
        rule.normalized,
    )
    if user.value is not None or user.proof is not None:
        yield user
    yield from _company_pairs(rule, tokens, request)


def _company_pairs(rule: IdentityHash, tokens: tuple[tuple[str, Secret], ...], request: Request) -> Iterator[HashPair]:
    companies = rule.companies
    if companies is None:
        return
    given, _ = attempt(lambda: companies.location.value(request))
    for index, company in enumerate(given[:_MAX_COMPANIES] if isinstance(given, list) else ()):
        if isinstance(company, dict):
            value, proof = _plain(company.get(companies.id_field)), _plain(company.get(companies.hash_field))
            if value is not None or proof is not None:
                yield HashPair(
                    f"The hash of {companies.location.path}[{index}]",
                    companies.id_field,
                    value,
                    proof,
                    _members(company, companies.hash_field),
                    companies.secret,
                    (*tokens, ("users", rule.secret)),
                    rule.encoding,
                    lambda text: text,
                )


def described_pairs(case: Case) -> Iterator[tuple[str, str, str, bool]]:
    """For the steps: each pair's name, what is expected, what was found, and whether it verifies."""
    for pair in pairs_of(case):
        half = "no hash" if pair.proof is None else f"no {pair.identifier}" if pair.value is None else ""
        size = "" if pair.proof is None else f"{len(pair.proof)} characters: "
        verdict = "verifies" if pair.verifies else "does not verify"
        expected = f"HMAC-SHA256 of {pair.identifier}, {_EXPECTED[pair.encoding]}"
        yield (
            pair.what.removeprefix("The ").removeprefix("user's "),
            expected,
            half or f"{size}{verdict}",
            pair.verifies,
        )


def hash_findings(case: Case) -> Iterator[Finding]:
    """The mistakes in each pair that does not verify, where the gate looks at hashes: not where a token counts."""
    rule, refusal = case.app.identity_hash, case.refusal
    if case.text is not None and (refusal is None or refusal.reason != "bad_identity_hash"):
        return
    if rule is None or (rule.accept_until is not None and case.now >= rule.accept_until):
        return
    for pair in pairs_of(case):
        if not pair.verifies:
            yield from _pair_findings(pair)


def _pair_findings(pair: HashPair) -> Iterator[Finding]:
    if pair.proof is None:
        detail = (
            f"{pair.what} is missing: {pair.identifier} was sent alone, and proves nothing without it. Send both, or a "
            "token."
        )
        yield Finding("half_a_pair", detail, f"{pair.identifier} and its hash", f"{pair.identifier} alone")
        return
    if pair.value is None:
        detail = f"{pair.what} was sent without the {pair.identifier} that it should be of: send both."
        yield Finding("half_a_pair", detail, f"{pair.identifier} and its hash", "the hash alone")
    raw = next((name for name, text in pair.members.items() if _same_text(text, pair.proof)), None)
    if raw is not None:
        detail = f"{pair.what} is {raw} itself: send the HMAC-SHA256 of {pair.identifier}, made on your server."
        yield Finding("raw_id_as_hash", detail, _EXPECTED[pair.encoding], f"{raw} itself")
        return
    spelled = _read(pair.proof)
    if spelled is None:
        detail = (
            f"{pair.what} has {len(pair.proof)} characters and is no HMAC-SHA256 in any usual spelling: send "
            f"{_EXPECTED[pair.encoding]}."
        )
        yield Finding("not_a_hash", detail, _EXPECTED[pair.encoding], f"{len(pair.proof)} characters")
        return
    spelling, digest = spelled
    if spelling != pair.encoding:
        detail = f"{pair.what} is spelled in {_SPELLED[spelling]}, and this app takes {_EXPECTED[pair.encoding]}."
        yield Finding("hash_encoding", detail, _EXPECTED[pair.encoding], _SPELLED[spelling])
    explained = _explain(pair, digest)
    if explained is not None:
        yield from explained
    elif pair.value is not None:
        detail = (
            f"{pair.what} is of nothing that was sent with it, with no secret of this app in any spelling: it was made "
            "with another secret, or of another value."
        )
        yield Finding("bad_identity_hash", detail, f"the HMAC-SHA256 of {pair.identifier}", "another hash")


def _explain(pair: HashPair, digest: bytes) -> list[Finding] | None:
    """The fewest mistakes that lead to this very hash: of the secret, of the identifier. None where none does."""
    secrets: list[tuple[bytes, list[Finding]]] = [(pair.secret.keys[0].material, [])]
    for purpose, secret in pair.others:
        detail = f"{pair.what} was made with the secret for {purpose}: use the one for this hash."
        secrets.append(
            (secret.keys[0].material, [Finding("other_key", detail, "the secret for this hash", f"that for {purpose}")])
        )
    secrets.extend((each.value, [each.finding(pair.what)]) for each in secret_variants(pair.secret))
    texts = sorted(_candidates(pair), key=lambda candidate: len(candidate[1]))
    tried = sorted(
        ((material, text, [*ours, *theirs]) for material, ours in secrets for text, theirs in texts),
        key=lambda each: len(each[2]),
    )
    for material, text, findings in tried:
        if hmac.compare_digest(hmac.digest(material, text, hashlib.sha256), digest):
            return findings
    for text, findings in texts:
        if hmac.compare_digest(hashlib.sha256(text).digest(), digest):
            detail = f"{pair.what} is a plain SHA-256, which anybody can make: use HMAC-SHA256 with the app's secret."
            return [Finding("hash_without_secret", detail, "HMAC-SHA256", "SHA-256 without a secret"), *findings]
    return None


def _candidates(pair: HashPair) -> Iterator[tuple[bytes, list[Finding]]]:
    """Every text of which the hash may be, each with what was mistaken."""
    right = None if pair.value is None else pair.normalized(pair.value)
    named = {pair.identifier: pair.value} if pair.value is not None else {}
    for name, value in {**named, **pair.members}.items():
        mistaken: list[Finding] = []
        if value != pair.value:
            detail = f"{pair.what} is of {name}, and this app wants that of {pair.identifier}: hash that one."
            mistaken = [Finding("wrong_identifier", detail, pair.identifier, name)]
        for how, text in _mangled_identifiers(value):
            altered = list(mistaken)
            if text != (right if not mistaken else value):
                detail = (
                    f"{pair.what} is of {name} {how}: hash exactly what is sent as {pair.identifier}, or send what is "
                    "hashed."
                )
                altered.append(Finding("altered_identifier", detail, f"{name} as it is sent", f"{name} {how}"))
            yield text.encode("utf-8", "replace"), altered


def _mangled_identifiers(value: str) -> Iterator[tuple[str, str]]:
    yield "as it was sent, which this app normalizes first", value
    yield "with the blanks around it taken away", value.strip()
    yield "in lower case", value.lower()
    yield "with the blanks around it taken away and in lower case", value.strip().lower()
    yield "in upper case", value.upper()
    yield "with a line break behind it", f"{value}\n"
    yield "in quotes", f'"{value}"'


_SPELLED: Final = {
    "hex": "hexadecimal",
    "upper": "upper-case hexadecimal",
    "dashed": "hexadecimal with separators",
    "blanks": "hexadecimal or base64 with blanks around it",
    "prefix": "hexadecimal behind a prefix",
    "base64": "base64",
    "unpadded": "base64 without padding",
    "base64url": "base64url",
}


def _read(proof: str) -> tuple[str, bytes] | None:
    """How a hash is spelled, and its 32 bytes; None where it is no SHA-256 in any usual spelling."""
    bare = proof.strip()
    if bare != proof:
        inner = _read(bare)
        return None if inner is None else ("blanks", inner[1])
    if proof[:7].lower() == "sha256=" and re.fullmatch(r"[0-9A-Fa-f]{64}", proof[7:]):
        return "prefix", bytes.fromhex(proof[7:])
    if re.fullmatch(r"[0-9A-Fa-f]{64}", proof):
        return "hex" if proof == proof.lower() else "upper", bytes.fromhex(proof)
    digits = re.sub(r"[-: ]", "", proof)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        return "dashed", bytes.fromhex(digits)
    if re.fullmatch(r"[A-Za-z0-9_+/-]{43}=?", proof):
        digest = base64.b64decode(proof.rstrip("=").replace("-", "+").replace("_", "/") + "=")
        if "-" in proof or "_" in proof:
            return "base64url", digest
        return "base64" if proof.endswith("=") else "unpadded", digest
    return None


def _members(document: object, proof: str) -> dict[str, str]:
    """The texts in a body, without the hash itself."""
    texts = ((name, text) for name, text in _texts(document) if name.lower() != proof.lower())
    return dict(itertools.islice(texts, _MAX_MEMBERS))


def _name_of(place: TokenLocation) -> str:
    if isinstance(place, JsonBody):
        return place.path
    return place.name if isinstance(place, (Header, Query)) else ""


def _texts(document: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The texts and whole numbers in a body, by dotted path."""
    for name, value in document.items() if isinstance(document, dict) and depth < _MAX_DEPTH else ():
        where = f"{path}{name}" if name.isascii() and name.isprintable() else f"{path}{shown(name)}"
        text = _plain(value)
        if text is None:
            yield from _texts(value, f"{where}.", depth + 1)
        elif len(text) <= _MAX_IDENTIFIER:
            yield where, text


def _plain(value: Any) -> str | None:
    """A text that is not empty, or an integer as its digits, as the gate reads them."""
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and value else None


def _text(place: TokenLocation | None, request: Request) -> str | None:
    found, _ = attempt(lambda: place.value(request) if isinstance(place, JsonBody) else place and place.read(request))
    return _plain(found)


def _same_text(text: str, proof: str) -> bool:
    return text.strip().lower() == proof.strip().lower()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

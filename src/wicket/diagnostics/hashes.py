"""Mistakes about identity hashes: a missing half of a pair, a wrong encoding, a wrong secret, a wrong value.

A hash is compared with the hashes of everything in the body, computed in every way that is a known mistake. A computed
hash is never shown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import TokenLocation
from wicket.decision.identity_hash import compute_hash, hashed_value, identifier_string, read_identifiers
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
_ENCODINGS: Final = {
    "hex": "hexadecimal",
    "upper": "upper-case hexadecimal",
    "dashed": "hexadecimal with separators",
    "spaces": "hexadecimal or base64 with spaces around it",
    "prefix": "hexadecimal with a prefix",
    "base64": "base64",
    "unpadded": "base64 without padding",
    "base64url": "base64url",
}


@dataclass(frozen=True, slots=True)
class HashPair:
    """An identifier and its hash from the request.

    Args:
        label: The subject of a sentence about the pair.
        identifier: The name of the identifier.
        value: The value of the identifier, if the request has it.
        proof: The hash, if the request has it.
        members: Other strings of the body by name. The client may have hashed one of them instead.
        secret: The secret of the hash.
        others: The other secrets of the app, each with its purpose.
        encoding: The encoding of the hash that the app requires: `hex` or `base64`.
        normalized: The function that normalizes the identifier before it is hashed.
        allowed: The names of the identifiers of which the app accepts the hash.
    """

    label: str
    identifier: str
    value: str | None
    proof: str | None
    members: Mapping[str, str]
    secret: Secret
    others: tuple[tuple[str, Secret], ...]
    encoding: str
    normalized: Callable[[str], str]
    allowed: tuple[str, ...]

    @property
    def verifies(self) -> bool:
        """Whether the hash is exactly the one that the gate expects."""
        if self.value is None or self.proof is None:
            return False
        return _is_encodable(self.value) and hmac.compare_digest(
            compute_hash(self.secret, self.normalized(self.value), self.encoding).encode(),
            self.proof.encode("utf-8", "replace"),
        )


def hash_pairs(case: Case) -> Iterator[HashPair]:
    """Yield the user's pair and the pair of each company, if the request has at least one half of it."""
    rule = case.app.identity_hash
    if rule is None:
        return
    request = case.request
    other_secrets = [
        ("the app's tokens", credential) for credential in case.app.credentials if isinstance(credential, Secret)
    ]
    if case.app.message_hash is not None:
        other_secrets.append(("messages", case.app.message_hash.secret))
    proof = _read_location(rule.hash_location, request)
    claims = case.claims if case.raw_token is not None else None
    identifiers, _ = attempt(lambda: read_identifiers(case.app, request, claims))
    values = identifiers or {}
    members = _other_members(plain(request.document), rule.hash_location.location_name)
    candidates = [
        HashPair(
            "The user's hash",
            name,
            values.get(name),
            proof,
            members,
            rule.secret,
            (*other_secrets, *((("companies", rule.companies.secret),) if rule.companies is not None else ())),
            rule.encoding,
            rule.normalized,
            tuple(rule.identifiers),
        )
        for name in (*values, next(iter(rule.identifiers)))
    ]
    user = next((pair for pair in candidates if pair.verifies), candidates[0])
    if user.value is not None or user.proof is not None:
        yield user
    yield from _company_pairs(rule, other_secrets, request)
    yield from _value_pairs(rule, other_secrets, request)


def _company_pairs(
    rule: IdentityHash, other_secrets: Sequence[tuple[str, Secret]], request: Request
) -> Iterator[HashPair]:
    companies = rule.companies
    if companies is None:
        return
    found = ((location, attempt(partial(location.value, request))[0]) for location in companies.locations)
    labelled = (
        item
        for location, value in found
        for item in (
            ((f"{location.path}[{index}]", company) for index, company in enumerate(value))
            if isinstance(value, list)
            else ((location.path, value),)
        )
    )
    for label, company in itertools.islice(labelled, _MAX_COMPANIES):
        if isinstance(company, dict):
            stated = {name: identifier_string(company.get(name)) for name in companies.id_fields}
            name, value = next((item for item in stated.items() if item[1] is not None), (companies.id_fields[0], None))
            proof = identifier_string(company.get(companies.hash_field))
            if value is not None or proof is not None:
                yield HashPair(
                    f"The hash of {label}",
                    name,
                    value,
                    proof,
                    _other_members(company, companies.hash_field),
                    companies.secret,
                    (*other_secrets, ("users", rule.secret)),
                    rule.encoding,
                    lambda value: value,
                    companies.id_fields,
                )


def _value_pairs(
    rule: IdentityHash, other_secrets: Sequence[tuple[str, Secret]], request: Request
) -> Iterator[HashPair]:
    for item in rule.values:
        given, _ = attempt(partial(item.value_location.parsed, request))
        value, proof = hashed_value(item, given), _read_location(item.hash_location, request)
        # The refusal explains a value that cannot be hashed.
        if value is not None or (proof is not None and given is None):
            yield HashPair(
                f"The hash of {item.name}",
                item.name,
                value,
                proof,
                {},
                item.secret,
                (*other_secrets, ("users", rule.secret)),
                rule.encoding,
                lambda value: value,
                (item.name,),
            )


def describe_pairs(case: Case) -> Iterator[tuple[str, str, str, bool]]:
    """Yield for each pair its name, what is expected, what was found, and whether it verifies."""
    for pair in hash_pairs(case):
        missing = "no hash" if pair.proof is None else f"no {pair.identifier}" if pair.value is None else ""
        size = "" if pair.proof is None else f"{len(pair.proof)} characters: "
        result = "verifies" if pair.verifies else "does not verify"
        expected = f"HMAC-SHA256 of {pair.identifier}, {_EXPECTED[pair.encoding]}"
        yield (
            pair.label.removeprefix("The ").removeprefix("user's "),
            expected,
            missing or f"{size}{result}",
            pair.verifies,
        )


def hash_findings(case: Case) -> Iterator[Finding]:
    """Yield the mistakes in each pair that does not verify. Yield nothing if the gate does not check hashes.

    The gate checks no hash after `accept_until`, and none that is irrelevant because the token decides.
    """
    rule, refusal = case.app.identity_hash, case.refusal
    if case.raw_token is not None and (refusal is None or refusal.reason != "bad_identity_hash"):
        return
    if rule is None or (rule.accept_until is not None and case.now >= rule.accept_until):
        return
    for pair in hash_pairs(case):
        if not pair.verifies:
            yield from _pair_findings(pair)


def _pair_findings(pair: HashPair) -> Iterator[Finding]:
    if pair.proof is None:
        detail = (
            f"{pair.label} is missing. The request has only {pair.identifier}, which proves nothing alone: send both, "
            "or a token."
        )
        yield Finding("half_a_pair", detail, f"{pair.identifier} and its hash", f"{pair.identifier} alone")
        return
    if pair.value is None:
        detail = f"{pair.label} was sent without the {pair.identifier} that it belongs to: send both."
        yield Finding("half_a_pair", detail, f"{pair.identifier} and its hash", "the hash alone")
    raw_name = next((name for name, value in pair.members.items() if _equal_ignoring_case(value, pair.proof)), None)
    if raw_name is not None:
        detail = f"{pair.label} is {raw_name} itself: send the HMAC-SHA256 of {pair.identifier}, made on your server."
        yield Finding("raw_id_as_hash", detail, _EXPECTED[pair.encoding], f"{raw_name} itself")
        return
    decoded = _decode_hash(pair.proof)
    if decoded is None:
        detail = (
            f"{pair.label} has {len(pair.proof)} characters and is no HMAC-SHA256 in any common encoding: send "
            f"{_EXPECTED[pair.encoding]}."
        )
        yield Finding("not_a_hash", detail, _EXPECTED[pair.encoding], f"{len(pair.proof)} characters")
        return
    encoding, digest = decoded
    if encoding != pair.encoding:
        detail = f"{pair.label} is encoded in {_ENCODINGS[encoding]}, and this app requires {_EXPECTED[pair.encoding]}."
        yield Finding("hash_encoding", detail, _EXPECTED[pair.encoding], _ENCODINGS[encoding])
    mistakes = _find_mistakes(pair, digest)
    if mistakes is not None:
        yield from mistakes
    elif pair.value is not None:
        detail = (
            f"{pair.label} matches no value in the request under any of this app's secrets. It was made with a "
            "different secret or from a different value."
        )
        yield Finding("bad_identity_hash", detail, f"the HMAC-SHA256 of {pair.identifier}", "another hash")


def _find_mistakes(pair: HashPair, digest: bytes) -> list[Finding] | None:
    """Return the fewest mistakes, of the secret and of the identifier, that lead to this hash; None if none do."""
    secrets: list[tuple[bytes, list[Finding]]] = [(pair.secret.keys[0].material, [])]
    for purpose, secret in pair.others:
        detail = f"{pair.label} was made with the secret for {purpose}: use the secret for this hash."
        finding = Finding("other_key", detail, "the secret for this hash", f"the secret for {purpose}")
        secrets.append((secret.keys[0].material, [finding]))
    secrets.extend((variant.value, [variant.finding(pair.label)]) for variant in secret_variants(pair.secret))
    messages = sorted(_candidates(pair), key=lambda candidate: len(candidate[1]))
    combinations = sorted(
        (
            (material, message, [*secret_findings, *message_findings])
            for material, secret_findings in secrets
            for message, message_findings in messages
        ),
        key=lambda combination: len(combination[2]),
    )
    for material, message, findings in combinations:
        if hmac.compare_digest(hmac.digest(material, message, hashlib.sha256), digest):
            return findings
    for message, findings in messages:
        if hmac.compare_digest(hashlib.sha256(message).digest(), digest):
            detail = f"{pair.label} is a plain SHA-256, which anyone can make: use HMAC-SHA256 with the app's secret."
            return [Finding("hash_without_secret", detail, "HMAC-SHA256", "SHA-256 without a secret"), *findings]
    return None


def _candidates(pair: HashPair) -> Iterator[tuple[bytes, list[Finding]]]:
    """Yield each value that may have been hashed, with the mistakes that this would be."""
    correct = None if pair.value is None else pair.normalized(pair.value)
    identifier = {pair.identifier: pair.value} if pair.value is not None else {}
    for name, value in {**identifier, **pair.members}.items():
        findings: list[Finding] = []
        if value != pair.value and name not in pair.allowed:
            required = " or ".join(pair.allowed)
            detail = f"{pair.label} is made from {name}, and this app requires {required}: hash that one."
            findings = [Finding("wrong_identifier", detail, required, name)]
        for change, changed in _mangled_identifiers(value):
            all_findings = list(findings)
            if changed != (correct if value == pair.value else value):
                detail = (
                    f"{pair.label} is made from {name} {change}: hash exactly the value that you send as "
                    f"{pair.identifier}, or send the value that you hash."
                )
                all_findings.append(Finding("altered_identifier", detail, f"{name} unchanged", f"{name} {change}"))
            yield changed.encode("utf-8", "replace"), all_findings


def _mangled_identifiers(value: str) -> Iterator[tuple[str, str]]:
    """Yield common changes of an identifier before it is hashed, each with the changed value."""
    yield "unchanged, and this app normalizes it first", value
    yield "without the spaces around it", value.strip()
    yield "in lower case", value.lower()
    yield "without the spaces around it and in lower case", value.strip().lower()
    yield "in upper case", value.upper()
    yield "with a line break after it", f"{value}\n"
    yield "in quotes", f'"{value}"'


def _decode_hash(proof: str) -> tuple[str, bytes] | None:
    """Return the encoding of a hash and its 32 bytes; None if it is no SHA-256 in any common encoding."""
    stripped = proof.strip()
    if stripped != proof:
        decoded = _decode_hash(stripped)
        return None if decoded is None else ("spaces", decoded[1])
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


def _other_members(document: object, hash_name: str) -> dict[str, str]:
    """Return the strings in a body by dotted path, without the hash itself."""
    members = ((name, value) for name, value in _walk(document) if name.lower() != hash_name.lower())
    return dict(itertools.islice(members, _MAX_MEMBERS))


def _walk(document: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the strings and integers in a body with their dotted paths."""
    for name, value in document.items() if isinstance(document, dict) and depth < _MAX_DEPTH else ():
        path = f"{prefix}{name}" if name.isascii() and name.isprintable() else f"{prefix}{shown(name)}"
        string = identifier_string(value)
        if string is None:
            yield from _walk(value, f"{path}.", depth + 1)
        elif len(string) <= _MAX_IDENTIFIER:
            yield path, string


def _read_location(location: TokenLocation, request: Request) -> str | None:
    value, _ = attempt(lambda: location.parsed(request))
    return identifier_string(value)


def _equal_ignoring_case(value: str, proof: str) -> bool:
    return value.strip().lower() == proof.strip().lower()


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

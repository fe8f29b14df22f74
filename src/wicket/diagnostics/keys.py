"""Mistakes about the token's encoding, its algorithm, its `kid`, and the key that signed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wicket.decision.token_parser import UnverifiedToken, decode
from wicket.diagnostics.case import Case, verifies
from wicket.diagnostics.report import Finding, listed, shown
from wicket.diagnostics.variants import secret_variants
from wicket.errors import DETAIL
from wicket.jwks.fetcher import FetchFailed
from wicket.keys import Secret
from wicket.keys.algorithms import HASH_BYTES, Key, hmac_key

_WHITESPACE: Final = re.compile("[\\s\u200b\ufeff]+")
_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def bare_token(raw_token: str) -> tuple[str, list[Finding]]:
    """Remove whitespace, quotes and the word Bearer from a token.

    Returns:
        The token and a finding for each kind of removed characters. If the rest is no token, `raw_token` and no
        finding.
    """
    findings: list[Finding] = []
    bare = _WHITESPACE.sub(" ", raw_token).strip()
    if bare[:7].lower() == "bearer ":
        bare = bare[7:]
        detail = "The token starts with the word Bearer, which is part of the header: use only the token."
        findings.append(Finding("token_prefix", detail, "the token alone", "Bearer and the token"))
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
        detail = "The token has quotes around it, as in JSON: parse the JSON, and send the string."
        findings.append(Finding("token_quotes", detail, "the token alone", "quotes around it"))
    compact = _WHITESPACE.sub("", bare)
    if _COMPACT_JWS.fullmatch(compact) is None:
        return raw_token, []
    if bare != compact or (_WHITESPACE.search(raw_token) and not findings):
        location = "in it" if bare != compact else "around it"
        detail = f"The token has a space or line break {location}: remove it where the token is created or read."
        findings.append(Finding("token_whitespace", detail, "the token alone", f"a space or line break {location}"))
    return compact, findings


def key_findings(case: Case) -> Iterator[Finding]:
    """Yield why none of the keys that the gate tries verifies the token. Yield nothing if one does."""
    token = case.token
    if token is None:
        if case.token_error is not None and case.token_error.refusal.reason == "algorithm_not_allowed":
            yield _wrong_algorithm(case, "none")
        return
    if case.signing_key is not None:
        return
    if not case.app.credentials:
        yield Finding("config_missing", DETAIL["config_missing"], "a credential", "none")
        return
    yield from _failed_sets(case)
    if token.header.algorithm not in case.algorithms:
        yield _wrong_algorithm(case, shown(token.header.algorithm))
        return
    verifying = [key for key in case.known_keys if verifies(token, key)]
    about_kid = _kid_finding(case, token, verifying)
    if about_kid is not None:
        yield about_kid
    elif verifying:
        yield _other_key(token, verifying[0])
    if not verifying:
        yield from _variant_findings(case, token, has_kid_finding=about_kid is not None)


def _wrong_algorithm(case: Case, found: str) -> Finding:
    allowed = ", ".join(sorted(case.algorithms))
    detail = f"The token's header has the algorithm {found}, and this app allows {allowed}: sign with an allowed one."
    return Finding("wrong_algorithm", detail, allowed, found)


def _failed_sets(case: Case) -> Iterator[Finding]:
    for source, result in case.key_sets.items():
        if isinstance(result, FetchFailed):
            detail = f"The key set at {source.redacted} cannot be used: {result.explain()}."
            yield Finding("key_set_unusable", detail, "a key set", result.kind)


def _kid_finding(case: Case, token: UnverifiedToken, verifying: list[Key]) -> Finding | None:
    """Return the mistake about the token's `kid`, if there is one.

    A key without a `kid` is tried for every token, so such a token needs no `kid`.
    """
    kid = token.header.kid
    usable = [key for key in case.known_keys if token.header.algorithm in key.algorithms]
    known = [key.kid for key in usable if key.kid is not None]
    tried = case.selection.keys if case.selection is not None else ()
    if kid in known or not known:
        return None
    names = listed(dict.fromkeys(known), "")
    signer = f" The key {shown(verifying[0].kid)} verifies it." if verifying else " None of these keys verifies it."
    if kid is None:
        if tried:
            return None
        detail = f"The token's header has no kid, and the app has several keys: add one of {names}.{signer}"
        return Finding("kid_missing", detail, names, "none")
    if not verifying and tried:
        return None  # keys without a kid were tried, so the kid is not the mistake
    urls = [source.redacted for source, result in case.key_sets.items() if not isinstance(result, FetchFailed)]
    if urls and not verifying:
        detail = (
            f"The token's kid {shown(kid)} is not in the key set at {', '.join(urls)}, which has {names}: the URL is "
            "probably that of another issuer or environment, or the signer's key is not published there."
        )
        return Finding("key_set_lacks_kid", detail, names, shown(kid))
    detail = f"No key of this app has the kid {shown(kid)}; the known ones are {names}.{signer}"
    return Finding("kid_unknown", detail, names, shown(kid))


def _other_key(token: UnverifiedToken, key: Key) -> Finding:
    found = "a key without a kid" if key.kid is None else f"the key {shown(key.kid)}"
    kid = shown(token.header.kid)
    detail = (
        f"The token has the kid {kid} and was signed with {found} of this app: use the kid and the key of one pair."
    )
    return Finding("other_key", detail, f"the key {kid}", found)


def _variant_findings(case: Case, token: UnverifiedToken, *, has_kid_finding: bool) -> Iterator[Finding]:
    """Try keys made from the app's secrets by mistake, and the app's secrets for other purposes."""
    algorithm = token.header.algorithm
    signature = decode(token.signature)

    def signed_with(value: bytes) -> bool:
        return hmac_key(None, (algorithm,), value).verify(algorithm, token.signing_input, signature)

    if algorithm in HASH_BYTES:
        for secret in case.app.credentials:
            for variant in secret_variants(secret) if isinstance(secret, Secret) else ():
                if signed_with(variant.value):
                    yield variant.finding("The token")
                    return
        others: list[tuple[str, Secret]] = [
            (f"this app's secret for {', '.join(credential.algorithms)}", credential)
            for credential in case.app.credentials
            if isinstance(credential, Secret) and algorithm not in credential.algorithms
        ]
        rule, message_hash = case.app.identity_hash, case.app.message_hash
        others.extend(("the secret of the identity hashes", secret) for secret in (rule.secrets if rule else ()))
        others.extend(("the secret of hashes in messages", rule.secret) for rule in (message_hash,) if rule)
        for found, secret in others:
            if signed_with(secret.keys[0].material):
                detail = f"The token was signed with {found}: sign with the secret for {algorithm} tokens."
                yield Finding("other_key", detail, f"a secret for {algorithm} tokens", found)
                return
    if (
        not has_kid_finding
        and case.selection is not None
        and case.selection.keys
        and case.selection.unavailable is None
    ):
        detail = (
            "No key of this app verifies the token, and no other encoding of its secrets does. The token was signed "
            "with the key of another app or environment or with a replaced key, or it was changed after signing."
        )
        yield Finding("bad_signature", detail, "a key of this app", "another key")

"""The mistakes about the token's spelling, its algorithm, its key id and the key that signed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wicket.decision.token_parser import UnverifiedToken, decode
from wicket.diagnostics.case import Case, verifies
from wicket.diagnostics.report import Finding, listed, shown
from wicket.diagnostics.variants import secret_variants
from wicket.errors import DETAIL
from wicket.jwks.fetcher import MEANING, FetchFailed
from wicket.keys import Secret
from wicket.keys.algorithms import HASH_BYTES, Key, hmac_key

_BLANKS: Final = re.compile("[\\s\u200b\ufeff]+")
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def bare_token(text: str) -> tuple[str, list[Finding]]:
    """The token in `text` without what stands around or in it, and what that was."""
    found: list[Finding] = []
    bare = _BLANKS.sub(" ", text).strip()
    if bare[:7].lower() == "bearer ":
        bare = bare[7:]
        detail = "The token begins with the word Bearer, which belongs to the header: give the token alone."
        found.append(Finding("token_prefix", detail, "the token alone", "Bearer and the token"))
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
        detail = "The token has quotes around it, as JSON spells a text: parse it, and send the text."
        found.append(Finding("token_quotes", detail, "the token alone", "quotes around it"))
    compact = _BLANKS.sub("", bare)
    if _SHAPE.fullmatch(compact) is None:
        return text, []
    if bare != compact or (_BLANKS.search(text) and not found):
        where = "in it" if bare != compact else "around it"
        detail = f"The token has a blank or line break {where}: strip it where it is made or read."
        found.append(Finding("token_whitespace", detail, "the token alone", f"a blank or line break {where}"))
    return compact, found


def key_findings(case: Case) -> Iterator[Finding]:
    """Why none of the keys that the gate tries verifies the token; nothing where one does."""
    token = case.token
    if token is None:
        if case.unread is not None and case.unread.refusal.reason == "algorithm_not_allowed":
            yield _wrong_algorithm(case, "none")
        return
    if case.signer is not None:
        return
    if not case.app.credentials:
        yield Finding("config_missing", DETAIL["config_missing"], "a credential", "none")
        return
    yield from _failed_sets(case)
    if token.header.algorithm not in case.algorithms:
        yield _wrong_algorithm(case, shown(token.header.algorithm))
        return
    fitting = [key for key in case.known_keys if verifies(token, key)]
    about_kid = _kid_finding(case, token, fitting)
    if about_kid is not None:
        yield about_kid
    elif fitting:
        yield _other_key(token, fitting[0])
    if not fitting:
        yield from _by_variants(case, token, named=about_kid is not None)


def _wrong_algorithm(case: Case, found: str) -> Finding:
    allowed = ", ".join(sorted(case.algorithms))
    detail = f"The token's header names the algorithm {found}, and this app allows {allowed}: sign with one of those."
    return Finding("wrong_algorithm", detail, allowed, found)


def _failed_sets(case: Case) -> Iterator[Finding]:
    for source, brought in case.sets.items():
        if isinstance(brought, FetchFailed):
            detail = f"The key set at {source.redacted} cannot be used: {MEANING[brought.kind]}."
            yield Finding("key_set_unusable", detail, "a key set", brought.kind)


def _kid_finding(case: Case, token: UnverifiedToken, fitting: list[Key]) -> Finding | None:
    """What is wrong with the token's key id. A key without an id is tried for every token, so it needs none."""
    kid = token.header.kid
    usable = [key for key in case.known_keys if token.header.algorithm in key.algorithms]
    known = [key.kid for key in usable if key.kid is not None]
    tried = case.choice.keys if case.choice is not None else ()
    if kid in known or not known:
        return None
    names = listed(dict.fromkeys(known), "")
    proof = f" The key {shown(fitting[0].kid)} verifies it." if fitting else " None of these keys verifies it."
    if kid is None:
        if tried:
            return None
        detail = f"The token's header has no kid, and the app has several keys: put one of {names} into it.{proof}"
        return Finding("kid_missing", detail, names, "none")
    if not fitting and tried:
        return None  # keys without an id were tried for it: the kid is not what is wrong
    served = [source.redacted for source, brought in case.sets.items() if not isinstance(brought, FetchFailed)]
    if served and not fitting:
        where = ", ".join(served)
        detail = (
            f"The token's kid {shown(kid)} is not in the key set at {where}, which has {names}: the URL is probably "
            "that of another issuer or environment, or the signer's key is not published there."
        )
        return Finding("key_set_lacks_kid", detail, names, shown(kid))
    detail = f"No key of this app has the kid {shown(kid)}; the known ones are {names}.{proof}"
    return Finding("kid_unknown", detail, names, shown(kid))


def _other_key(token: UnverifiedToken, key: Key) -> Finding:
    found = "a key without an id" if key.kid is None else f"the key {shown(key.kid)}"
    named = shown(token.header.kid)
    detail = f"The token names the kid {named} and was signed with {found} of this app: name that key, or sign with it."
    return Finding("other_key", detail, f"the key {named}", found)


def _by_variants(case: Case, token: UnverifiedToken, *, named: bool) -> Iterator[Finding]:
    """Keys that are made of the app's secrets by mistake, and secrets of the app that are for something else."""
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
            (f"a secret that this app has for {', '.join(each.algorithms)}", each)
            for each in case.app.credentials
            if isinstance(each, Secret) and algorithm not in each.algorithms
        ]
        rule = case.app.identity_hash
        others.extend(("the secret of the identity hashes", each) for each in (rule.secrets if rule else ()))
        for found, secret in others:
            if signed_with(secret.keys[0].material):
                detail = f"The token was signed with {found}: sign with the secret that is for {algorithm} tokens."
                yield Finding("other_key", detail, f"a secret for {algorithm} tokens", found)
                return
    if not named and case.choice is not None and case.choice.keys and case.choice.unavailable is None:
        detail = (
            "No key of this app verifies the token, nor does any other spelling of its secrets: it was signed with a "
            "key of another app or environment, or with one that has been replaced; or it was changed on its way."
        )
        yield Finding("bad_signature", detail, "a key of this app", "another key")

"""A token and the key set that it is to be verified by, put to PyJWT's `PyJWKSet` and to joserfc's `KeySet`.

And the ways in which Wicket accepts what one of them refuses, by name. Each says how to take the difference away:
the peer must then accept the token with the same keys, by a key of the token's `kid`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, NamedTuple

import joserfc.jws
import jwt
from joserfc.jwk import KeySet
from jwt import PyJWKSet

from tests.properties.key_rules import LOOSER, fewest, fitting, imported, mended


@dataclass(frozen=True)
class Asked:
    """A token of this algorithm and `kid`, and the members of the set."""

    members: list[Any]
    token: str
    algorithm: str
    kid: str | None


def pyjwt_payload(asked: Asked) -> bytes | None:
    """What PyJWT reads, if it accepts the token by the key that it picks; without a kid, by the only one."""
    try:
        held = PyJWKSet.from_dict({"keys": asked.members})
        if asked.kid is None:
            (key,) = held.keys
        else:
            key = held[asked.kid]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            payload: bytes = jwt.PyJWS().decode(asked.token, key, algorithms=[asked.algorithm])
    except Exception:  # noqa: BLE001 - it raises many kinds; which one does not matter
        return None
    return payload


def joserfc_payload(asked: Asked) -> bytes | None:
    """What joserfc reads, if it accepts the token by the set; it picks the key itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = KeySet.import_key_set({"keys": asked.members})
            return joserfc.jws.deserialize_compact(asked.token, held, algorithms=[asked.algorithm]).payload
    except Exception:  # noqa: BLE001 - as above
        return None


PEERS: Final[dict[str, Callable[[Asked], bytes | None]]] = {"pyjwt": pyjwt_payload, "joserfc": joserfc_payload}
_ANOTHER: Final = {"kty": "oct", "k": "AAAA", "kid": "another"}


def breaks(peer: str, member: Any) -> bool:
    """Whether a set with such a member is none to the peer, whatever else is in it."""
    document: Any = {"keys": [_ANOTHER, member]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if peer == "pyjwt":
                PyJWKSet.from_dict(document)
            else:
                KeySet.import_key_set(document)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


class LooserSet(NamedTuple):
    """Why it is harmless, and the sets of which the peer must accept one."""

    source: str
    mend: Callable[[Asked], list[Asked]]


def _of_no_id(member: Any) -> bool:
    return isinstance(member, dict) and member.get("kid") is None


def _bound(asked: Asked) -> list[Asked]:
    """RSA keys without an `alg` get the token's."""

    def bind(member: Any) -> Any:
        fits = isinstance(member, dict) and member.get("kty") == "RSA" and asked.algorithm in fitting(member)
        return {**member, "alg": asked.algorithm} if fits and member.get("alg") is None else member

    return [replace(asked, members=[bind(member) for member in asked.members])]


def _read_app_refs(asked: Asked) -> list[Asked]:
    """Keys of no id get the token's."""
    if asked.kid is None:
        return [asked]
    named = [{**member, "kid": asked.kid} if _of_no_id(member) else member for member in asked.members]
    return [replace(asked, members=named)]


def _whole(peer: str) -> Callable[[Asked], list[Asked]]:
    """A set of what does not break it."""
    return lambda asked: [replace(asked, members=[each for each in asked.members if not breaks(peer, each)])]


def _each_first(asked: Asked) -> list[Asked]:
    """Each key of the token's id before the others of it."""
    same = [each for each in asked.members if isinstance(each, dict) and each.get("kid") == asked.kid]
    if asked.kid is None or len(same) < 2:
        return [asked]
    return [replace(asked, members=[one, *asked.members]) for one in same]


def _each_alone(asked: Asked) -> list[Asked]:
    """Each key as the only one, for a token that says no id."""
    if asked.kid is not None or len(asked.members) < 2:
        return [asked]
    return [replace(asked, members=[each]) for each in asked.members]


@cache
def looser(peer: str) -> dict[str, LooserSet]:
    """What Wicket accepts though this peer refuses it: what is in its keys first, and then what is in the set."""

    def keys(name: str) -> Callable[[Asked], list[Asked]]:
        def mend(member: Any) -> Any:
            return member if isinstance(imported(member), str) else mended(peer, member, [name])

        return lambda asked: [replace(asked, members=[mend(member) for member in asked.members])]

    found = {name: LooserSet(each.source, keys(name)) for name, each in LOOSER[peer].items()}
    if peer == "pyjwt":
        found["a key without alg serves every algorithm that fits"] = LooserSet(
            "RFC 7517 section 4.4: alg is optional; DESIGN 6, Algorithms: what is allowed and fits its type", _bound
        )
    return {
        **found,
        "a broken member is skipped, not the set": LooserSet(
            "RFC 7517 section 5: such members should be ignored; DESIGN 6, Key sets", _whole(peer)
        ),
        "a key without kid serves every kid": LooserSet(
            "RFC 7517 section 4.5: kid is optional; DESIGN 6, Which key: of the id, and of none", _read_app_refs
        ),
        "keys of one kid are tried": LooserSet(
            "RFC 7517 section 4.5: other keys should have other ids; DESIGN 6, Which key: at most four", _each_first
        ),
        "without a kid every key is tried": LooserSet(
            "RFC 7515 section 4.1.4: kid is optional; DESIGN 6, Which key: local keys, at most ten", _each_alone
        ),
    }  # fmt: skip


def without(peer: str, asked: Asked, names: Iterable[str]) -> list[Asked]:
    """The same question without these differences, in each of the ways."""
    ways = [asked]
    for name in names:
        ways = [way for each in ways for way in looser(peer)[name].mend(each)]
    return ways


def excused_set(peer: str, asked: Asked) -> tuple[str, ...] | None:
    """The exceptions by which Wicket may accept this token; none are needed where the peer accepts it."""
    if PEERS[peer](asked) is not None:
        return ()
    apply, ways = [], [asked]
    for name, each in looser(peer).items():
        after = [way for held in ways for way in each.mend(held)]
        if after != ways:
            apply.append(name)
        ways = after
    return fewest(apply, lambda names: any(PEERS[peer](way) is not None for way in without(peer, asked, names)))

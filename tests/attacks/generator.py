"""A generator of attacks: requests that no gate may accept as a user's, by the kind of mutation.

They are the same in every run, but for the RSA keys and the randomness in signatures of ECDSA and PSS.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.attacks import key_confusion as confusions
from tests.attacks import mutations
from tests.attacks.fixtures import Made, Sent, asked
from tests.attacks.token_factory import ASYMMETRIC

ALGORITHMS: Final = ("HS256", *ASYMMETRIC)
SEED: Final = 20_260_501

KINDS: Final[dict[str, Callable[[str, random.Random], Made]]] = {
    "header": mutations.of_the_header,
    "claims": mutations.of_the_claims,
    "encoding": mutations.of_the_encoding,
    "signature": confusions.of_the_signature,
    "key": confusions.of_the_key,
    "app": confusions.of_the_app,
    "kid": confusions.of_the_kid,
    "memory": confusions.of_the_memory,
    "name": confusions.of_the_name,
}


@dataclass(frozen=True, slots=True)
class Attack:
    """One request. `kind` is the class of its mutation, `what` says what was changed; `before` it others pass."""

    kind: str = field(compare=False)
    algorithm: str = field(compare=False)
    what: str = field(compare=False)
    sent: Sent


def attacks(algorithm: str) -> Iterator[Attack]:
    """Every attack on the apps of one algorithm."""
    for kind, make in KINDS.items():
        for what, made in make(algorithm, random.Random(f"{SEED} {algorithm} {kind}")):
            yield Attack(kind, algorithm, what, Sent(asked(made)) if isinstance(made, str) else made)

"""What the generated attacks aim at: a gate of one app with honest users, and of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.attacks.token_factory import HASHES, NOW, app, credential, jwk, private_key, secret, token
from wicket import App, Gate, Header, Host, Mode, PathSegment, PublicKey, Query, Secret, TokenIssuer
from wicket.config.locations import AppLocation
from wicket.keys import Credential

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that is more than a token for `acme`. Those `before` it are honest, and pass."""

    headers: Headers
    path: str = "/whoami"
    query: str = ""
    before: tuple[Headers, ...] = ()


Made = Iterator[tuple[str, str | Sent]]
"""What was changed, and what came of it: a token for `acme`, or a whole request."""


def asked(text: str, name: str = "acme") -> Headers:
    """The headers of a plain request."""
    return (("X-App-Id", name), ("Authorization", f"Bearer {text}"))


NAMED_BY: Final[dict[str, tuple[AppLocation, ...]]] = {
    "any place": (Header("X-App-Id"), Query("app"), PathSegment(1), Host("*.widgets.example"), TokenIssuer()),
    "a header": (Header("X-App-Id"),),
}
"""The locations that may name an app. The fast path is used only if the single location is a header."""


def gate_of(algorithm: str, mode: Mode | None, named_by: str = "any place") -> Gate:
    """A gate of the app `acme`, whose tokens have that algorithm, and of its neighbours."""
    return Gate(
        apps(algorithm),
        app_locations=NAMED_BY[named_by],
        mode=mode,
        clock=lambda: NOW,
    )


def apps(algorithm: str) -> list[App]:
    """`acme` under attack; `mallory`, whose keys the attacker has; and neighbours that share what can be shared.

    `twins` has two keys of its own, named 1 and 2; `sibling` has acme's public key for another issuer; `mixed` has it
    beside a shared secret.
    """
    own, public = credential(algorithm), algorithm not in HASHES
    beside: list[Credential] = [own, Secret(secret("mixed"))] if public else [Secret(secret("mixed"))]
    return [
        app("acme", own, issuer=issuer_of("acme")),
        app("mallory", credential(algorithm, "mallory"), issuer=issuer_of("mallory")),
        app("twins", *(_read_app_refs(algorithm, kid) for kid in "12"), issuer=issuer_of("twins")),
        app("sibling", own if public else Secret(secret("sibling")), issuer=issuer_of("sibling")),
        app("mixed", *beside, issuer=issuer_of("mixed")),
    ]


def _read_app_refs(algorithm: str, kid: str) -> Credential:
    if algorithm in HASHES:
        return Secret(secret(f"twin {kid}"), kid=kid)
    return PublicKey.from_jwk(jwk(private_key(algorithm, f"twin {kid}"), kid=kid), algorithms=[algorithm])


def issuer_of(owner: str) -> str:
    """The `iss` of an app's tokens."""
    return f"https://{owner}.example"


def key_of(algorithm: str, owner: str = "acme") -> Any:
    """What signs the tokens of an owner."""
    return secret(owner) if algorithm in HASHES else private_key(algorithm, owner)


def honest(algorithm: str, owner: str = "acme", /, **changes: Any) -> str:
    """A token that the gate lets pass as the user `ada` of that app."""
    return token(algorithm, key_of(algorithm, owner), **{"iss": issuer_of(owner), **changes})

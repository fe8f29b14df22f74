"""Every way in which an app can hold the key of its tokens."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.attacks.clients import Behind, Door
from tests.attacks.token_factory import ASYMMETRIC, HASHES, app, credential, jwk, private_key, secret, token
from tests.integration.key_set_apps import answering
from wicket import Jwks
from wicket.keys import Credential
from wicket.testing.issuer import LocalIssuer

KEY_MODES: Final = ("HS256", *ASYMMETRIC, "static key set", "fetched key set", "discovered key set")
KEY_SETS: Final = ("static key set", "fetched key set", "discovered key set")


class Held:
    """The key of an app in one of these ways, and the tokens that are signed with it or with a stranger's."""

    def __init__(self, mode: str, issuer: LocalIssuer) -> None:
        self.algorithm = "ES256" if mode in KEY_SETS else mode
        self._issuer = issuer
        document = {"keys": [jwk(private_key("ES256"), kid="1")]}
        if mode == "fetched key set":
            issuer.fault = answering(200, json.dumps(document).encode())
        elif mode == "discovered key set":
            issuer.keys = {"1": private_key("ES256")}
        made = {
            "static key set": lambda: Jwks.static(document),
            "fetched key set": lambda: Jwks(issuer.jwks_url),
            "discovered key set": lambda: Jwks.discover(issuer.issuer),
        }
        self.credential: Credential = made[mode]() if mode in made else credential(mode)

    def door(self, behind: Behind, paths: Any = None, **settings: Any) -> Door:
        """A client for the app `acme`, which has the key in this form."""
        held = app("acme", self.credential, issuer=self._issuer.issuer, **settings)
        return behind(held, network=self._issuer.network, paths=paths)

    def token(self, owner: str = "acme", **changes: Any) -> str:
        """A token of the app's issuer, signed by that owner of keys; None leaves a claim out."""
        key = secret(owner) if self.algorithm in HASHES else private_key(self.algorithm, owner)
        return token(self.algorithm, key, **{"iss": self._issuer.issuer, **changes})

"""Rows about identity hashes."""

from __future__ import annotations

import base64
from typing import Any

import jwt

from tests.scenarios.builders import (
    anonymous,
    passes,
    passes_by_hash,
    posted,
    refused,
    reported,
)
from tests.scenarios.model import Challenge, Expected, Form, Scenario
from tests.scenarios.world import (
    text_secret,
    user_hash,
)
from wicket.errors import Reason


def hash_rows() -> list[Scenario]:
    def boot(app: str, user: str | None = "ada", proof: str | None = None, **more: Any) -> dict[str, Any]:
        said = {"appId": app, "userId": user, "userHash": proof or user_hash(app, user or ""), **more}
        return {name: value for name, value in said.items() if value is not None}

    def bad(reason: Reason) -> Expected:
        return refused(400, "invalid_token", Challenge.ERROR, form=Form.FEATUREBASE, reason=reason)

    def signed(app: str, **claims: Any) -> str:
        return jwt.encode(claims, text_secret(app), algorithm="HS256")

    missing = refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE)
    contradiction = refused(400, "invalid_request", Challenge.EITHER, form=Form.FEATUREBASE)
    ada = user_hash("legacy", "ada")
    mail = base64.b64encode(bytes.fromhex(user_hash("legacy-mail", "ada@acme.example"))).decode()
    company = {"id": "acme", "companyHash": user_hash("legacy", "acme", of="companies")}
    return [
        posted("a hash proves the user", passes_by_hash("legacy:userId:ada"), boot("legacy")),
        posted("a hash of digits", passes_by_hash("legacy:userId:123"), boot("legacy", "123", userId=123)),
        posted(
            "a hash of an address that is trimmed and lowered, in base64",
            passes_by_hash("legacy-mail:email:ada%40acme.example"),
            {"appId": "legacy-mail", "email": " Ada@ACME.example ", "userHash": mail},
        ),
        posted("a hash of another user", bad("bad_identity_hash"), boot("legacy", "eve", ada)),
        posted(
            "a hash by another app's secret", bad("bad_identity_hash"), boot("legacy", "ada", user_hash("dusk", "ada"))
        ),
        posted("a hash in capitals", bad("bad_identity_hash"), boot("legacy", "ada", ada.upper())),
        posted("a hash of the identifier with a blank", bad("bad_identity_hash"), boot("legacy", "ada ", ada)),
        posted("an identifier as its own hash", bad("bad_identity_hash"), boot("legacy", "ada", "ada")),
        posted("a hash that is no text", bad("bad_identity_hash"), boot("legacy", userHash=[ada])),
        posted("a hash beyond ASCII", bad("bad_identity_hash"), boot("legacy", "ada", "é" * 64)),
        posted("a hash without an identifier", bad("bad_identity_hash"), boot("legacy", None)),
        posted("an identifier without a hash", bad("bad_identity_hash"), {"appId": "legacy", "userId": "ada"}),
        posted("neither an identifier nor a hash", missing, {"appId": "legacy", "name": "Ada"}),
        posted("a hash of a revoked user", bad("revoked"), boot("legacy", "mallory")),
        posted(
            "a hash of the user and one of a company",
            passes_by_hash("legacy:userId:ada"),
            boot("legacy", companies=[company]),
        ),
        posted(
            "a company without a hash", passes_by_hash("legacy:userId:ada"), boot("legacy", companies=[{"id": "x"}, 1])
        ),
        posted(
            "a hash of another company",
            bad("bad_identity_hash"),
            boot("legacy", companies=[{**company, "id": "other"}]),
        ),
        posted(
            "a token and no hash",
            passes("legacy:userId:ada"),
            {"appId": "legacy", "featurebaseJwt": signed("legacy", userId="ada")},
        ),
        posted(
            "a token and a hash that agree",
            passes("legacy:userId:ada"),
            boot("legacy", featurebaseJwt=signed("legacy", userId="ada")),
        ),
        posted(
            "a token and a hash of its own user, the identifier left out",
            passes("legacy:userId:ada"),
            boot("legacy", None, ada, featurebaseJwt=signed("legacy", userId="ada")),
        ),
        posted(
            "a token and a hash of two users",
            contradiction,
            boot("legacy", featurebaseJwt=signed("legacy", userId="eve")),
        ),
        posted(
            "a token and a hash that does not verify",
            bad("bad_identity_hash"),
            boot("legacy", "ada", "0" * 64, featurebaseJwt=signed("legacy", userId="ada")),
        ),
        posted(
            "a bad token is not saved by a hash",
            bad("expired"),
            boot("legacy", featurebaseJwt=signed("legacy", userId="ada", exp=1)),
        ),
        posted("a hash after its last day", missing, boot("sunset")),
        posted("a hash on its last day", passes_by_hash("dusk:userId:ada"), boot("dusk")),
        posted(
            "a token and an old hash after its last day",
            passes("sunset:userId:eve"),
            boot("sunset", featurebaseJwt=signed("sunset", userId="eve")),
        ),
        posted(
            "a hash where none is taken",
            refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE),
            boot("featurebase"),
        ),
        posted(
            "log-only: a bad hash",
            reported("legacy-observed", "invalid_token", "bad_identity_hash", claimed="ada"),
            boot("legacy-observed", "ada", "0" * 64),
        ),
        posted(
            "anonymous with an identifier",
            anonymous("legacy-open", claimed="ada"),
            {"appId": "legacy-open", "userId": "ada"},
        ),
        posted(
            "anonymous may be admitted, a bad hash not", bad("bad_identity_hash"), boot("legacy-open", "ada", "0" * 64)
        ),
    ]

"""Eight more vendors, each built from `Profile` alone. Sends a documented token or hash of each through the gate.

docs/recipes.md says what is documented of each vendor and what is assumed.

Run it:  python examples/recipes.py
"""

import hashlib
import hmac
import logging
import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wicket import (
    Gate,
    Header,
    IdentityHash,
    JsonBody,
    Profile,
    PublicKey,
    PublishableKeyBearer,
    Query,
    Rules,
    Secret,
    ValueHash,
)
from wicket.asgi import WicketMiddleware
from wicket.contrib.starlette import identity_of

# What each customer's dashboard shows. Read yours from your own store: os.environ["INTERCOM_JWT_SECRET"].
SECRETS = {
    name: secrets.token_hex(32)
    for name in (
        "intercom jwt",
        "intercom hash",
        "zendesk old",
        "zendesk new",
        "canny",
        "chatwoot",
        "pylon",
        "novu",
        "help scout",
    )
}
KNOCK_SIGNING_KEY = rsa.generate_private_key(65537, 2048)
KNOCK_PUBLIC_KEY = KNOCK_SIGNING_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


# --- Intercom

intercom = Profile(
    "intercom",
    rules=Rules(required_claims=frozenset({"user_id"}), user_id_claims=("user_id",)),
    token_locations=(JsonBody("intercom_user_jwt"),),
    app_locations=(JsonBody("app_id"),),
    claimed_user_locations=(JsonBody("user_id"), JsonBody("email")),
)
intercom_app = intercom(
    "tx2p130c",
    credentials=[Secret.from_text(SECRETS["intercom jwt"])],
    identity_hash=IdentityHash(
        secret=Secret.from_text(SECRETS["intercom hash"]), identifier="user_id", hash_location=JsonBody("user_hash")
    ),
)

# --- Zendesk

zendesk = Profile(
    "zendesk",
    rules=Rules(
        required_claims=frozenset({"external_id", "scope"}),
        user_id_claims=("external_id",),
        required_values={"scope": "user"},
        allowed_typ=frozenset({"JWT"}),
        require_kid=True,
    ),
    app_locations=(Query("key"),),
)
zendesk_app = zendesk(
    "a1b2c3d4-messenger",
    credentials=[
        Secret.from_text(SECRETS["zendesk old"], kid="app_5f0c2b"),
        Secret.from_text(SECRETS["zendesk new"], kid="app_66ad91"),
    ],
)

# --- Canny

canny = Profile(
    "canny",
    rules=Rules(
        required_claims=frozenset({"id", "email", "name"}), user_id_claims=("id",), companies_claim="companies"
    ),
    token_locations=(Query("ssoToken"), JsonBody("ssoToken")),
    app_locations=(Query("companyID"), JsonBody("companyID")),
)
canny_app = canny("5a0e1f", credentials=[Secret.from_text(SECRETS["canny"])])

# --- Chatwoot

chatwoot = Profile(
    "chatwoot",
    token_locations=(),
    app_locations=(Query("website_token"), JsonBody("website_token")),
    claimed_user_locations=(JsonBody("identifier"),),
)
chatwoot_app = chatwoot(
    "website-token-of-acme",
    identity_hash=IdentityHash(
        secret=Secret.from_text(SECRETS["chatwoot"]), identifier="identifier", hash_location=JsonBody("identifier_hash")
    ),
)

# --- Knock

knock = Profile(
    "knock",
    rules=Rules(required_claims=frozenset({"sub", "iat", "exp"})),
    token_locations=(Header("X-Knock-User-Token"),),
    app_locations=(PublishableKeyBearer(prefix="pk_"),),
)
knock_app = knock(
    "acme-production",
    publishable_key="pk_acme",
    credentials=[PublicKey.from_pem(KNOCK_PUBLIC_KEY, algorithms=["RS256"])],
)

# --- Pylon

pylon = Profile(
    "pylon", token_locations=(), app_locations=(JsonBody("app_id"),), claimed_user_locations=(JsonBody("email"),)
)
pylon_app = pylon(
    "3f7c9a52-pylon",
    identity_hash=IdentityHash(
        secret=Secret.from_hex(SECRETS["pylon"]), identifier="email", hash_location=JsonBody("email_hash")
    ),
)

# --- Novu

novu = Profile(
    "novu",
    token_locations=(),
    app_locations=(JsonBody("applicationIdentifier"),),
    claimed_user_locations=(JsonBody("subscriberId"),),
)
novu_app = novu(
    "novu-application-of-acme",
    identity_hash=IdentityHash(
        secret=Secret.from_text(SECRETS["novu"]),
        identifier="subscriberId",
        hash_location=JsonBody("subscriberHash"),
        values=(
            ValueHash(
                name="context",
                secret=Secret.from_text(SECRETS["novu"]),
                hash_location=JsonBody("contextHash"),
                form="json",
                allow_shared_secret=True,
            ),
        ),
    ),
)

# --- Help Scout

help_scout = Profile(
    "help-scout",
    token_locations=(),
    app_locations=(JsonBody("beaconId"),),
    claimed_user_locations=(JsonBody("email"),),
)
help_scout_app = help_scout(
    "beacon-of-acme",
    identity_hash=IdentityHash(
        secret=Secret.from_text(SECRETS["help scout"]), identifier="email", hash_location=JsonBody("signature")
    ),
)

# --- a request of each vendor


APPS = [intercom_app, zendesk_app, canny_app, chatwoot_app, knock_app, pylon_app, novu_app, help_scout_app]


async def boot(request: Request) -> JSONResponse:
    identity = identity_of(request)
    return JSONResponse(f"{identity.user_id} by {identity.user_id_claim}, {identity.method}")


def compute_hash(key: bytes, identifier: str) -> str:
    return hmac.new(key, identifier.encode(), hashlib.sha256).hexdigest()


def requests() -> dict[str, dict[str, Any]]:
    """The request of each vendor's widget, signed as its customer's backend signs."""
    now = int(time.time())
    ada = {"name": "Ada", "email": "ada@acme.com"}
    keys = {name: secret.encode() for name, secret in SECRETS.items()}
    return {
        "intercom": {
            "json": {"app_id": "tx2p130c", "intercom_user_jwt": jwt.encode({"user_id": "7"}, keys["intercom jwt"])}
        },
        "intercom, by hash": {
            "json": {"app_id": "tx2p130c", "user_id": "7", "user_hash": compute_hash(keys["intercom hash"], "7")}
        },
        "zendesk": {
            "params": {"key": "a1b2c3d4-messenger"},
            "headers": {
                "Authorization": "Bearer "
                + jwt.encode({"external_id": "7", "scope": "user"}, keys["zendesk new"], headers={"kid": "app_66ad91"})
            },
        },
        "canny": {"params": {"companyID": "5a0e1f", "ssoToken": jwt.encode({"id": "7", **ada}, keys["canny"])}},
        "chatwoot": {
            "params": {"website_token": "website-token-of-acme"},
            "json": {"identifier": "7", "identifier_hash": compute_hash(keys["chatwoot"], "7")},
        },
        "knock": {
            "headers": {
                "Authorization": "Bearer pk_acme",
                "X-Knock-User-Token": jwt.encode({"sub": "7", "iat": now, "exp": now + 60}, KNOCK_SIGNING_KEY, "RS256"),
            }
        },
        "pylon": {
            "json": {
                "app_id": "3f7c9a52-pylon",
                **ada,
                "email_hash": compute_hash(bytes.fromhex(SECRETS["pylon"]), ada["email"]),
            }
        },
        "novu": {
            "json": {
                "applicationIdentifier": "novu-application-of-acme",
                "subscriberId": "7",
                "subscriberHash": compute_hash(keys["novu"], "7"),
            }
        },
        "help scout": {
            "json": {"beaconId": "beacon-of-acme", **ada, "signature": compute_hash(keys["help scout"], ada["email"])}
        },
    }


def main() -> None:
    logging.getLogger("wicket").setLevel(logging.CRITICAL)
    middleware = Middleware(WicketMiddleware, gate=Gate(APPS))
    client = TestClient(Starlette(routes=[Route("/boot", boot, methods=["POST"])], middleware=[middleware]))
    for vendor, request in requests().items():
        response = client.post("/boot", **request)
        print(f"{vendor:18}", response.status_code, response.json())


if __name__ == "__main__":
    main()

"""The vendors of docs/recipes.md: tokens and hashes that other libraries made, through the ASGI and WSGI middleware."""

from __future__ import annotations

import base64
import hashlib
import hmac
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.widget_request import DOORS as INTERFACES
from tests.support.widget_request import WidgetRequest
from wicket import App

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "recipes.py"

RECIPES: Final[dict[str, Any]] = runpy.run_path(str(EXAMPLE))
APPS: Final[list[App]] = RECIPES["APPS"]
SECRETS: Final[dict[str, str]] = RECIPES["SECRETS"]
KNOCK_KEY: Final[rsa.RSAPrivateKey] = RECIPES["KNOCK_SIGNING_KEY"]

NOW: Final = 1_761_000_000
EMAIL: Final = "ada@acme.com"


def compute_hash(key: str | bytes, identifier: str, how: str = "sha256") -> str:
    return hmac.new(key.encode() if isinstance(key, str) else key, identifier.encode(), how).hexdigest()


def signed(secret: str, claims: Mapping[str, Any], algorithm: str = "HS256", **header: str) -> str:
    return jwt.encode(dict(claims), SECRETS[secret].encode(), algorithm, headers=header)


@dataclass(frozen=True)
class Passes:
    """A request that must pass, and its expected identity."""

    request: WidgetRequest
    app: str
    user_id: str
    user_id_claim: str
    method: str
    attributes: dict[str, Any] = field(default_factory=dict)
    kid: str | None = None


# --- what each vendor's widget sends


def intercom(token: str | None = None, **members: Any) -> WidgetRequest:
    token_members = {} if token is None else {"intercom_user_jwt": token}
    return WidgetRequest({"app_id": "tx2p130c", **token_members, **members})


def zendesk(token: str) -> WidgetRequest:
    return WidgetRequest(query={"key": "a1b2c3d4-messenger"}, headers={"Authorization": f"Bearer {token}"})


def canny(token: str) -> WidgetRequest:
    return WidgetRequest(query={"companyID": "5a0e1f", "ssoToken": token})


def chatwoot(**members: Any) -> WidgetRequest:
    return WidgetRequest(members, query={"website_token": "website-token-of-acme"})


def knock(token: str | None, publishable_key: str = "pk_acme") -> WidgetRequest:
    token_header = {} if token is None else {"X-Knock-User-Token": token}
    return WidgetRequest(headers={"Authorization": f"Bearer {publishable_key}", **token_header})


def pylon(**members: Any) -> WidgetRequest:
    return WidgetRequest({"app_id": "3f7c9a52-pylon", **members})


def novu(**members: Any) -> WidgetRequest:
    return WidgetRequest({"applicationIdentifier": "novu-application-of-acme", **members})


def help_scout(**members: Any) -> WidgetRequest:
    return WidgetRequest({"beaconId": "beacon-of-acme", **members})


INTERCOM_CLAIMS: Final = {"user_id": "7", "email": EMAIL, "plan": "pro"}
ZENDESK_CLAIMS: Final = {"external_id": "7", "scope": "user", "name": "Ada", "email": EMAIL, "email_verified": True}
ZENDESK_KID: Final = "app_66ad91"
CANNY_CLAIMS: Final = {"id": "7", "email": EMAIL, "name": "Ada", "avatarURL": "https://acme.com/ada.png"}
KNOCK_CLAIMS: Final = {"sub": "7", "iat": NOW, "exp": NOW + 3600}
PYLON_KEY: Final = bytes.fromhex(SECRETS["pylon"])

PASSES: Final = {
    "intercom": Passes(
        intercom(signed("intercom jwt", INTERCOM_CLAIMS)),
        "tx2p130c",
        "7",
        "user_id",
        "jwt",
        {"email": EMAIL, "plan": "pro"},
    ),
    "intercom, by hash": Passes(
        intercom(user_id="7", user_hash=compute_hash(SECRETS["intercom hash"], "7"), name="Ada"),
        "tx2p130c",
        "7",
        "user_id",
        "identity_hash",
    ),
    "intercom, both": Passes(
        intercom(
            signed("intercom jwt", {"user_id": "7"}), user_id="7", user_hash=compute_hash(SECRETS["intercom hash"], "7")
        ),
        "tx2p130c",
        "7",
        "user_id",
        "jwt",
    ),
    "zendesk": Passes(
        zendesk(signed("zendesk new", ZENDESK_CLAIMS, kid=ZENDESK_KID)),
        "a1b2c3d4-messenger",
        "7",
        "external_id",
        "jwt",
        {"name": "Ada", "email": EMAIL, "email_verified": True},
        ZENDESK_KID,
    ),
    "zendesk, by the older key": Passes(
        zendesk(signed("zendesk old", {"external_id": "7", "scope": "user"}, kid="app_5f0c2b")),
        "a1b2c3d4-messenger",
        "7",
        "external_id",
        "jwt",
        kid="app_5f0c2b",
    ),
    "canny": Passes(
        canny(signed("canny", CANNY_CLAIMS)),
        "5a0e1f",
        "7",
        "id",
        "jwt",
        {"email": EMAIL, "name": "Ada", "avatarURL": "https://acme.com/ada.png"},
    ),
    "canny, in the widget": Passes(
        WidgetRequest({"companyID": "5a0e1f", "ssoToken": signed("canny", {"id": "7", "email": EMAIL, "name": "Ada"})}),
        "5a0e1f",
        "7",
        "id",
        "jwt",
        {"email": EMAIL, "name": "Ada"},
    ),
    "chatwoot": Passes(
        chatwoot(identifier="7", identifier_hash=compute_hash(SECRETS["chatwoot"], "7"), name="Ada"),
        "website-token-of-acme",
        "7",
        "identifier",
        "identity_hash",
    ),
    "knock": Passes(
        knock(jwt.encode(KNOCK_CLAIMS, KNOCK_KEY, "RS256")),
        "acme-production",
        "7",
        "sub",
        "jwt",
    ),
    "pylon": Passes(
        pylon(email=EMAIL, name="Ada", email_hash=compute_hash(PYLON_KEY, EMAIL)),
        "3f7c9a52-pylon",
        EMAIL,
        "email",
        "identity_hash",
    ),
    "novu": Passes(
        novu(subscriberId="7", subscriberHash=compute_hash(SECRETS["novu"], "7")),
        "novu-application-of-acme",
        "7",
        "subscriberId",
        "identity_hash",
    ),
    "novu, with a context": Passes(
        novu(
            subscriberId="7",
            subscriberHash=compute_hash(SECRETS["novu"], "7"),
            context={"tenant": "acme", "app": "dashboard"},
            contextHash=compute_hash(SECRETS["novu"], '{"app":"dashboard","tenant":"acme"}'),
        ),
        "novu-application-of-acme",
        "7",
        "subscriberId",
        "identity_hash",
        {"context": {"tenant": "acme", "app": "dashboard"}},
    ),
    "help scout": Passes(
        help_scout(name="Ada", email=EMAIL, signature=compute_hash(SECRETS["help scout"], EMAIL)),
        "beacon-of-acme",
        EMAIL,
        "email",
        "identity_hash",
    ),
}


def _without(claims: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def _bad(reason: str) -> tuple[str, str]:
    return "invalid_token", reason


_KNOCK_PEM: Final = KNOCK_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _key_confusion_token() -> str:
    """A token signed with the public key as a shared secret. PyJWT refuses to sign it."""
    head, body = (base64.urlsafe_b64encode(raw).rstrip(b"=") for raw in (b'{"alg":"HS256"}', b'{"sub":"7"}'))
    signature = base64.urlsafe_b64encode(hmac.digest(_KNOCK_PEM, head + b"." + body, hashlib.sha256)).rstrip(b"=")
    return b".".join((head, body, signature)).decode()


REFUSED: Final[dict[str, tuple[WidgetRequest, tuple[str, str | None]]]] = {
    "intercom: no token and no identifier": (intercom(), ("missing_token", None)),
    "intercom: no user id": (intercom(signed("intercom jwt", {"email": EMAIL})), _bad("missing_claim")),
    "intercom: a number as user id": (intercom(signed("intercom jwt", {"user_id": 7})), _bad("bad_claim")),
    "intercom: an expiry in the past": (
        intercom(signed("intercom jwt", {"user_id": "7", "exp": NOW - 60})),
        _bad("expired"),
    ),
    "intercom: the hash's secret": (intercom(signed("intercom hash", {"user_id": "7"})), _bad("bad_signature")),
    "intercom: an id without hash": (intercom(user_id="7"), _bad("bad_identity_hash")),
    "intercom: a hash without id": (
        intercom(user_hash=compute_hash(SECRETS["intercom hash"], "7")),
        _bad("bad_identity_hash"),
    ),
    "intercom: the hash of another identifier": (
        intercom(user_id="7", email=EMAIL, user_hash=compute_hash(SECRETS["intercom hash"], EMAIL)),
        _bad("bad_identity_hash"),
    ),
    "intercom: a token and a hash of two users": (
        intercom(
            signed("intercom jwt", {"user_id": "7"}), user_id="8", user_hash=compute_hash(SECRETS["intercom hash"], "8")
        ),
        ("invalid_request", None),
    ),
    "zendesk: no kid": (zendesk(signed("zendesk new", ZENDESK_CLAIMS)), _bad("key_not_found")),
    "zendesk: a kid that was deleted": (
        zendesk(signed("zendesk new", ZENDESK_CLAIMS, kid="app_000000")),
        _bad("key_not_found"),
    ),
    "zendesk: the kid of another key": (
        zendesk(signed("zendesk old", ZENDESK_CLAIMS, kid=ZENDESK_KID)),
        _bad("bad_signature"),
    ),
    "zendesk: no scope": (
        zendesk(signed("zendesk new", _without(ZENDESK_CLAIMS, "scope"), kid=ZENDESK_KID)),
        _bad("missing_claim"),
    ),
    "zendesk: another scope": (
        zendesk(signed("zendesk new", {**ZENDESK_CLAIMS, "scope": "appUser"}, kid=ZENDESK_KID)),
        _bad("bad_claim"),
    ),
    "zendesk: no external id": (
        zendesk(signed("zendesk new", _without(ZENDESK_CLAIMS, "external_id"), kid=ZENDESK_KID)),
        _bad("missing_claim"),
    ),
    "zendesk: another algorithm": (
        zendesk(signed("zendesk new", ZENDESK_CLAIMS, "HS512", kid=ZENDESK_KID)),
        _bad("algorithm_not_allowed"),
    ),
    "canny: no name": (canny(signed("canny", _without(CANNY_CLAIMS, "name"))), _bad("missing_claim")),
    "canny: no e-mail": (canny(signed("canny", _without(CANNY_CLAIMS, "email"))), _bad("missing_claim")),
    "canny: no id": (canny(signed("canny", _without(CANNY_CLAIMS, "id"))), _bad("missing_claim")),
    "canny: an expiry in the past": (canny(signed("canny", {**CANNY_CLAIMS, "exp": NOW - 60})), _bad("expired")),
    "canny: another company's key": (canny(signed("novu", CANNY_CLAIMS)), _bad("bad_signature")),
    "canny: no such company": (
        WidgetRequest(query={"companyID": "5a0e20", "ssoToken": signed("canny", CANNY_CLAIMS)}),
        ("unknown_app", None),
    ),
    "canny: two companies": (
        WidgetRequest(
            {"companyID": "tx2p130c", "ssoToken": signed("canny", CANNY_CLAIMS)}, query={"companyID": "5a0e1f"}
        ),
        ("invalid_request", None),
    ),
    "chatwoot: an identifier without hash": (chatwoot(identifier="7"), _bad("bad_identity_hash")),
    "chatwoot: another user's hash": (
        chatwoot(identifier="8", identifier_hash=compute_hash(SECRETS["chatwoot"], "7")),
        _bad("bad_identity_hash"),
    ),
    "chatwoot: key and message swapped": (
        chatwoot(identifier="7", identifier_hash=compute_hash("7", SECRETS["chatwoot"])),
        _bad("bad_identity_hash"),
    ),
    "chatwoot: upper-case digits": (
        chatwoot(identifier="7", identifier_hash=compute_hash(SECRETS["chatwoot"], "7").upper()),
        _bad("bad_identity_hash"),
    ),
    "knock: no token": (knock(None), ("missing_token", None)),
    "knock: an unknown publishable key": (
        knock(jwt.encode(KNOCK_CLAIMS, KNOCK_KEY, "RS256"), "pk_unknown"),
        ("unknown_app", None),
    ),
    "knock: no expiry": (knock(jwt.encode(_without(KNOCK_CLAIMS, "exp"), KNOCK_KEY, "RS256")), _bad("missing_claim")),
    "knock: no issue": (knock(jwt.encode(_without(KNOCK_CLAIMS, "iat"), KNOCK_KEY, "RS256")), _bad("missing_claim")),
    "knock: RS512": (knock(jwt.encode(KNOCK_CLAIMS, KNOCK_KEY, "RS512")), _bad("algorithm_not_allowed")),
    "knock: the public key as a secret": (knock(_key_confusion_token()), _bad("algorithm_not_allowed")),
    "pylon: the digits of the secret as a string": (
        pylon(email=EMAIL, email_hash=compute_hash(SECRETS["pylon"], EMAIL)),
        _bad("bad_identity_hash"),
    ),
    "pylon: the address in another case": (
        pylon(email="Ada@acme.com", email_hash=compute_hash(PYLON_KEY, EMAIL)),
        _bad("bad_identity_hash"),
    ),
    "pylon: an address without hash": (pylon(email=EMAIL), _bad("bad_identity_hash")),
    "novu: a guessed subscriber": (
        novu(subscriberId="8", subscriberHash=compute_hash(SECRETS["novu"], "7")),
        _bad("bad_identity_hash"),
    ),
    "novu: a context without hash": (
        novu(subscriberId="7", subscriberHash=compute_hash(SECRETS["novu"], "7"), context={"tenant": "acme"}),
        _bad("bad_identity_hash"),
    ),
    "novu: another context": (
        novu(
            subscriberId="7",
            subscriberHash=compute_hash(SECRETS["novu"], "7"),
            context={"tenant": "globex"},
            contextHash=compute_hash(SECRETS["novu"], '{"tenant":"acme"}'),
        ),
        _bad("bad_identity_hash"),
    ),
    "novu: SHA-512": (
        novu(subscriberId="7", subscriberHash=compute_hash(SECRETS["novu"], "7", "sha512")),
        _bad("bad_identity_hash"),
    ),
    "novu: a subscriber without hash": (novu(subscriberId="7"), _bad("bad_identity_hash")),
    "help scout: the hash of the name": (
        help_scout(name="Ada", email=EMAIL, signature=compute_hash(SECRETS["help scout"], "Ada")),
        _bad("bad_identity_hash"),
    ),
    "help scout: no signature": (help_scout(name="Ada", email=EMAIL), _bad("bad_identity_hash")),
    "help scout: a signature that is not a string": (
        help_scout(email=EMAIL, signature=["x"]),
        _bad("bad_identity_hash"),
    ),
}


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("name", PASSES)
def test_recipe_independently_signed_token_or_hash_verified(name: str, interface: str) -> None:
    expected = PASSES[name]
    identity = INTERFACES[interface](APPS, expected.request, NOW).identity()

    assert (identity.app_id, identity.user_id) == (expected.app, expected.user_id)
    assert (identity.user_id_claim, identity.method) == (expected.user_id_claim, expected.method)
    assert identity.attributes == expected.attributes
    assert identity.kid == expected.kid


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("name", REFUSED)
def test_recipe_invalid_request_expected_code_and_reason(name: str, interface: str) -> None:
    request, (code, reason) = REFUSED[name]
    response = INTERFACES[interface](APPS, request, NOW)

    status = 400 if code == "invalid_request" else 401
    assert response.refusal() == (status, code, reason)
    assert (response.body["error"], response.body["reason"]) == (code, reason)


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.profile)
def test_recipe_every_app_has_passing_and_refused_cases(app: App) -> None:
    assert app.profile is not None
    vendor = app.profile.replace("-", " ")
    assert any(case.app == app.id for case in PASSES.values())
    assert sum(name.startswith(f"{vendor}:") for name in REFUSED) >= 3


@pytest.mark.parametrize("interface", INTERFACES)
def test_recipe_allow_anonymous_identifier_without_hash_unverified(interface: str) -> None:
    (app,) = (app for app in APPS if app.profile == "chatwoot")
    permissive: App = RECIPES["chatwoot"](app.id, identity_hash=app.identity_hash, allow_anonymous=True)

    response = INTERFACES[interface]([permissive], chatwoot(identifier="7"), NOW)
    assert response.decision is not None
    assert not response.decision.identity.verified
    assert response.decision.claimed_user_id == "7"

    forged = INTERFACES[interface]([permissive], chatwoot(identifier="7", identifier_hash="0" * 64), NOW)
    assert forged.refusal() == (401, "invalid_token", "bad_identity_hash")


@pytest.mark.parametrize("name", ["chatwoot", "pylon", "novu", "help scout"])
def test_merge_unsigned_hashed_identifier_not_writable(name: str) -> None:
    identity = INTERFACES["wsgi"](APPS, PASSES[name].request, NOW).identity()
    merged = identity.merge_unsigned({identity.user_id_claim: "other-user", "name": "Ada"})

    assert merged.attributes == {"name": "Ada"}
    assert [conflict.attribute for conflict in merged.conflicts] == [identity.user_id_claim]

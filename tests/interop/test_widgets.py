"""The requests of each vendor's widget, as its documentation gives them, through both middlewares.

The modules beside this one try every rule at the gate; here the same tokens arrive as a browser brings them, and the
gate has a second app of the vendor, so that a request must name its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.interop.broken_tokens import (
    FEATUREBASE_BROKEN,
    GETUSERFEEDBACK_BROKEN,
    HISSUNO_BROKEN,
    ISSUER_ALGORITHMS,
    USERZ_BROKEN,
)
from tests.interop.cases import (
    AUDIENCE,
    FEATUREBASE_COMPANY_IV,
    FEATUREBASE_HASHES,
    FEATUREBASE_IV,
    FEATUREBASE_SECRET,
    HISSUNO_SECRET,
    ISSUER,
    TOKEN_DATA,
    USERZ_APP,
    USERZ_CONTEXT,
    USERZ_HEX,
    issuer_payload,
)
from tests.interop.node_signer import SignedElsewhere
from tests.support.widget_request import DOORS, Door, WidgetRequest
from wicket import App, CompanyHash, IdentityHash, Jwks, Mode, Secret, profiles

ORIGIN: Final = "https://acme.com"
OTHER: Final = "3e81c7d05fa2694b" * 2
USER: Final = {"email": "ada@acme.com", "userId": "user-1", "name": "Ada Lovelace"}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


# --- the vendors: their apps, and the location of the token


def hissuno(_: SignedElsewhere, **settings: Any) -> list[App]:
    return [
        profiles.hissuno(
            "proj_acme", credentials=[Secret.from_text(HISSUNO_SECRET)], origins=[ORIGIN, "*.acme.com"], **settings
        ),
        profiles.hissuno("proj_globex", credentials=[Secret.from_text("sk_live_" + OTHER)], origins=[ORIGIN]),
    ]


def hissuno_boot(token: str | None = None, *, origin: str = ORIGIN, **members: Any) -> WidgetRequest:
    given = {} if token is None else {"widgetToken": token}
    return WidgetRequest({"projectId": "proj_acme", **given, **members}, headers={"Origin": origin})


def featurebase(_: SignedElsewhere, **settings: Any) -> list[App]:
    hashes = IdentityHash(
        secret=Secret.from_text(FEATUREBASE_IV),
        identifier="email",
        companies=CompanyHash(secret=Secret.from_text(FEATUREBASE_COMPANY_IV)),
    )
    secret = Secret.from_text(FEATUREBASE_SECRET, allow_short=True)
    return [
        profiles.featurebase("acme", aliases=["acme-org"], credentials=[secret], identity_hash=hashes, **settings),
        profiles.featurebase("globex", credentials=[Secret.from_text(OTHER)]),
    ]


def featurebase_boot(token: str) -> WidgetRequest:
    return WidgetRequest({"appId": "acme", "featurebaseJwt": token, "nonSensitiveAttr1": "non-sensitive-value"})


def hash_boot(user_hash: str, **members: Any) -> WidgetRequest:
    return WidgetRequest(
        {"appId": "acme", **USER, "userHash": user_hash, "createdAt": "2025-05-06T12:00:00Z", **members}
    )


def userz(_: SignedElsewhere, **settings: Any) -> list[App]:
    return [
        profiles.userz(USERZ_APP, publishable_key="pub_acme", credentials=[Secret.from_hex(USERZ_HEX)], **settings),
        profiles.userz(
            "65fa1f3e8a1e5f2d9c1a5c02", publishable_key="pub_globex", credentials=[Secret.from_hex(OTHER * 2)]
        ),
    ]


def userz_submission(token: str | None = None, public_key: str = "pub_acme") -> WidgetRequest:
    given = {} if token is None else {"X-Userz-User-Token": token}
    return WidgetRequest({"text": "It works"}, headers={"Authorization": f"Bearer {public_key}", **given})


def getuserfeedback(elsewhere: SignedElsewhere, **settings: Any) -> list[App]:
    keys = [elsewhere.keys[kid]["jwk"] for kid in ISSUER_ALGORITHMS]
    other = Jwks.static({"keys": [elsewhere.keys["stranger"]["jwk"]]})
    return [
        profiles.getuserfeedback("globex", issuer=ISSUER, credentials=[Jwks.static({"keys": keys})], **settings),
        profiles.getuserfeedback("initech", issuer="https://id.other.example", credentials=[other]),
    ]


def survey(token: str) -> WidgetRequest:
    # Naming the app keeps a wrong issuer from being a wrong app.
    return WidgetRequest({"survey": 1}, query={"appId": "globex"}, headers={"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Vendor:
    """One vendor: its apps, the request that carries a token, and what each broken token is refused with."""

    apps: Callable[..., list[App]]
    boot: Callable[[str], WidgetRequest]
    broken: dict[str, str]
    status: int = 401


VENDORS: Final = {
    "hissuno": Vendor(hissuno, hissuno_boot, HISSUNO_BROKEN),
    "featurebase": Vendor(featurebase, featurebase_boot, FEATUREBASE_BROKEN, status=400),
    "featurebase, by hash": Vendor(
        featurebase,
        hash_boot,
        {name: "bad_identity_hash" for name in FEATUREBASE_HASHES if name != "hash"},
        status=400,
    ),
    "userz": Vendor(userz, userz_submission, USERZ_BROKEN),
    "getuserfeedback": Vendor(getuserfeedback, survey, GETUSERFEEDBACK_BROKEN),
}


@pytest.mark.parametrize(
    ("vendor", "order"), [(name, order) for name, vendor in VENDORS.items() for order in vendor.broken]
)
def test_vendor_widget_broken_token_refused_with_reason(
    elsewhere: SignedElsewhere, vendor: str, order: str, door: Door
) -> None:
    kind = VENDORS[vendor]
    refusal = door(kind.apps(elsewhere), kind.boot(elsewhere.tokens[order]), elsewhere.now).refusal()

    assert refusal == (kind.status, "invalid_token", kind.broken[order])


# --- Hissuno: widgetToken and projectId in the body


def test_hissuno_widget_token_in_body_allowed(elsewhere: SignedElsewhere, door: Door) -> None:
    boot = hissuno_boot(elsewhere.tokens["hissuno"], userId="somebody-else", userMetadata={"name": "Eve"})
    identity = door(hissuno(elsewhere), boot, elsewhere.now).identity()

    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("proj_acme", "user-1", "userId")
    assert identity.method == "jwt"
    assert identity.attributes == {"name": "Ada Lovelace", "email": "ada@acme.com"}


@pytest.mark.parametrize(
    ("members", "origin", "expected"),
    [
        ({}, ORIGIN, (401, "missing_token", None)),
        ({"widgetToken": None, "userId": "user-1"}, ORIGIN, (401, "missing_token", None)),
        ({"widgetToken": 7}, ORIGIN, (401, "invalid_token", "malformed")),
        ({"projectId": "proj_nobody"}, ORIGIN, (401, "unknown_app", None)),
        ({"projectId": None}, ORIGIN, (401, "unknown_app", None)),
        ({}, "https://acme.com.evil.example", (403, "origin_not_allowed", None)),
    ],
    ids=["no token", "a token that is null", "a number", "no such project", "no project", "a blocked origin"],
)
def test_hissuno_bad_token_project_or_origin_refused(
    elsewhere: SignedElsewhere, members: dict[str, Any], origin: str, expected: tuple[int, str, str | None], door: Door
) -> None:
    assert door(hissuno(elsewhere), hissuno_boot(origin=origin, **members), elsewhere.now).refusal() == expected


def test_hissuno_token_of_other_project_bad_signature(elsewhere: SignedElsewhere, door: Door) -> None:
    boot = hissuno_boot(elsewhere.tokens["hissuno"], projectId="proj_globex")

    assert door(hissuno(elsewhere), boot, elsewhere.now).refusal() == (401, "invalid_token", "bad_signature")


def test_hissuno_allow_anonymous_claimed_user_id_unverified(elsewhere: SignedElsewhere, door: Door) -> None:
    lax = hissuno(elsewhere, allow_anonymous=True)
    answered = door(lax, hissuno_boot(userId="user-1"), elsewhere.now)
    assert answered.status == 200
    assert answered.decision is not None
    assert not answered.decision.identity.verified
    assert (answered.decision.identity.user_id, answered.decision.claimed_user_id) == (None, "user-1")

    blocked = door(lax, hissuno_boot(userId="user-1", origin="https://evil.example"), elsewhere.now)
    assert blocked.refusal() == (403, "origin_not_allowed", None)
    expired = door(lax, hissuno_boot(elsewhere.tokens["hissuno: expired"]), elsewhere.now)
    assert expired.refusal() == (401, "invalid_token", "expired")


# --- Featurebase: featurebaseJwt or userHash in the boot body


@pytest.mark.parametrize(
    ("app", "carrier"),
    [
        ({"appId": "acme"}, "featurebaseJwt"),
        ({"organization": "acme-org"}, "featurebaseJwt"),
        ({"organization": "acme-org"}, "jwtToken"),
    ],
    ids=["boot", "identify", "the older name"],
)
def test_featurebase_token_in_body_allowed(
    elsewhere: SignedElsewhere, app: dict[str, str], carrier: str, door: Door
) -> None:
    boot = WidgetRequest({**app, carrier: elsewhere.tokens["featurebase"], "nonSensitiveAttr1": "non-sensitive-value"})
    identity = door(featurebase(elsewhere), boot, elsewhere.now).identity()

    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("acme", "user-1", "userId")
    assert identity.method == "jwt"
    assert identity.companies == TOKEN_DATA["companies"]
    assert "nonSensitiveAttr1" not in identity.attributes


def test_featurebase_user_hash_in_body_identified(elsewhere: SignedElsewhere, door: Door) -> None:
    company = {"id": "123", "companyHash": elsewhere.tokens["hash: a company"], "name": "Business Inc. 23"}
    boot = hash_boot(elsewhere.tokens["hash"], companies=[company, {"id": "456", "name": "Not proven"}])
    identity = door(featurebase(elsewhere), boot, elsewhere.now).identity()

    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("acme", "ada@acme.com", "email")
    assert identity.method == "identity_hash"
    assert (identity.attributes, identity.companies) == ({}, [{"id": "123"}])


@pytest.mark.parametrize(
    "members",
    [
        {"userHash": None},
        {"email": None},
        {"userHash": "upper"},
        {"companies": [{"companyHash": "of the company"}]},
        {"companies": [{"id": "124", "companyHash": "of the company"}]},
        {"companies": [{"id": "123", "companyHash": "by the user's secret"}]},
    ],
    ids=["no hash", "no address", "upper case", "a company without id", "another company", "the user's secret"],
)
def test_featurebase_incomplete_or_wrong_hash_bad_identity_hash(
    elsewhere: SignedElsewhere, members: dict[str, Any], door: Door
) -> None:
    made = elsewhere.tokens
    hashes = {
        "of the company": made["hash: a company"],
        "by the user's secret": made["hash: a company by the user's secret"],
    }
    body = dict(members)
    if body.get("userHash") == "upper":
        body["userHash"] = made["hash"].upper()
    if "companies" in body:
        body["companies"] = [{**each, "companyHash": hashes[each["companyHash"]]} for each in body["companies"]]
    refusal = door(featurebase(elsewhere), hash_boot(**{"user_hash": made["hash"], **body}), elsewhere.now).refusal()

    assert refusal == (400, "invalid_token", "bad_identity_hash")


def test_featurebase_without_proof_refused_unless_allow_anonymous(elsewhere: SignedElsewhere, door: Door) -> None:
    nobody = WidgetRequest({"appId": "acme"})
    assert door(featurebase(elsewhere), nobody, elsewhere.now).refusal() == (400, "missing_token", None)

    answered = door(
        featurebase(elsewhere, allow_anonymous=True), WidgetRequest({"appId": "acme", **USER}), elsewhere.now
    )
    assert answered.decision is not None
    assert not answered.decision.identity.verified
    assert answered.decision.claimed_user_id == "user-1"


# --- Userz: the token in X-Userz-User-Token, the app by its publishable key


def test_userz_token_in_header_allowed(elsewhere: SignedElsewhere, door: Door) -> None:
    identity = door(userz(elsewhere), userz_submission(elsewhere.tokens["userz"]), elsewhere.now).identity()

    assert (identity.app_id, identity.user_id, identity.user_id_claim) == (USERZ_APP, "user-1", "sub")
    assert identity.method == "jwt"
    assert identity.attributes == USERZ_CONTEXT


@pytest.mark.parametrize(
    ("order", "public_key", "expected"),
    [
        (None, "pub_acme", (401, "missing_token", None)),
        ("userz", "pub_nobody", (401, "unknown_app", None)),
        ("userz", "pub_globex", (401, "invalid_token", "bad_signature")),
    ],
    ids=["no token", "no such public key", "another app's public key"],
)
def test_userz_missing_token_or_wrong_publishable_key_refused(
    elsewhere: SignedElsewhere,
    order: str | None,
    public_key: str,
    expected: tuple[int, str, str | None],
    door: Door,
) -> None:
    boot = userz_submission(None if order is None else elsewhere.tokens[order], public_key)
    answered = door(userz(elsewhere), boot, elsewhere.now)

    assert answered.refusal() == expected
    if expected[1] != "unknown_app":  # without an app there is no vendor's format
        assert answered.body["error"]["code"] == (expected[2] or expected[1])


# --- getuserfeedback: a bearer of the app's own issuer


@pytest.mark.parametrize("kid", ISSUER_ALGORITHMS)
def test_getuserfeedback_bearer_app_resolved_by_issuer(elsewhere: SignedElsewhere, kid: str, door: Door) -> None:
    boot = WidgetRequest({"survey": 1}, headers={"Authorization": f"Bearer {elsewhere.tokens[f'issuer: {kid}']}"})
    identity = door(getuserfeedback(elsewhere), boot, elsewhere.now).identity()

    assert (identity.app_id, identity.user_id, identity.user_id_claim) == ("globex", "user_2abc", "sub")
    assert (identity.method, identity.kid) == ("jwt", kid)
    assert identity.claims == issuer_payload(elsewhere.now)
    assert identity.claims["aud"] == AUDIENCE


def test_getuserfeedback_missing_token_or_credentials_401(elsewhere: SignedElsewhere, door: Door) -> None:
    nothing = WidgetRequest({"survey": 1}, query={"appId": "globex"})
    assert door(getuserfeedback(elsewhere), nothing, elsewhere.now).refusal() == (401, "missing_token", None)

    unset = [profiles.getuserfeedback("globex", issuer=ISSUER)]
    token = survey(elsewhere.tokens["issuer: rsa-1"])
    assert door(unset, token, elsewhere.now).refusal() == (401, "config_missing", None)


def test_getuserfeedback_log_only_allows_and_records_reason(elsewhere: SignedElsewhere, door: Door) -> None:
    off = getuserfeedback(elsewhere, mode=Mode.LOG_ONLY)
    answered = door(off, survey(elsewhere.tokens["issuer: another audience"]), elsewhere.now)

    assert answered.status == 200
    assert answered.decision is not None
    assert not answered.decision.identity.verified
    assert (answered.decided.code, answered.decided.reason) == ("invalid_token", "wrong_audience")

"""Featurebase's move from identity hashes to tokens, step by step: at each step every page still in use gets in.

The vendor keeps one app throughout and changes how it is configured; its customer changes pages and backend at its own
pace, so old pages meet new configurations. The clock stands at NOW unless a step says otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any, Final

import jwt
import pytest

from tests.support.widget_request import DOORS, Answered, Door, WidgetRequest
from wicket import (
    App,
    CompanyHash,
    ConfigError,
    Conflict,
    IdentityHash,
    JsonBody,
    Secret,
    VerifiedIdentity,
    profiles,
)

NOW: Final = 1_761_000_000
THE_END: Final = NOW + 90 * 86_400

IV_SECRET: Final = "iv_3f1c0b7a9d5e4826b1c7d3e9f0a25b68"
COMPANY_SECRET: Final = "ivc_c2b9e6d1f08a47359d1e7b3c5a6f4082"
JWT_SECRET: Final = "fbjwt_7d2e94b6a1c84f05b3d9e8f7a6c51320"

USER: Final = {"email": "ada@acme.com", "userId": "123456", "name": "Ada Lovelace"}

HASHES: Final = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier="email")
HASHES_UNTIL_THE_END: Final = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier="email", accept_until=THE_END)
TOKENS: Final = [Secret.from_text(JWT_SECRET)]


# --- what the customer's backend makes, without any of Wicket


def compute_hash(identifier: str, secret: str = IV_SECRET) -> str:
    return hmac.new(secret.encode(), identifier.encode(), hashlib.sha256).hexdigest()


def token_of(**claims: Any) -> str:
    return jwt.encode({**USER, **claims}, JWT_SECRET, algorithm="HS256")


# --- what its pages send to boot


def boot(**members: Any) -> WidgetRequest:
    return WidgetRequest({"appId": "acme", **members})


BEFORE: Final = boot(**USER, userHash=compute_hash(USER["email"]), createdAt="2025-05-06T12:00:00Z")
IN_BETWEEN: Final = boot(**USER, userHash=compute_hash(USER["email"]), featurebaseJwt=token_of())
AFTER: Final = boot(featurebaseJwt=token_of(), nonSensitiveAttr1="non-sensitive-value")


# --- how the vendor has configured the app at each step

HASH_ONLY: Final = profiles.featurebase("acme", identity_hash=HASHES)
HASH_OR_TOKEN: Final = profiles.featurebase("acme", credentials=TOKENS, identity_hash=HASHES)
UNTIL_A_DATE: Final = profiles.featurebase("acme", credentials=TOKENS, identity_hash=HASHES_UNTIL_THE_END)
TOKEN_ONLY: Final = profiles.featurebase("acme", credentials=TOKENS)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def passes(answered: Answered, by: str) -> VerifiedIdentity:
    identity = answered.identity()
    assert identity.method == by
    expected = {"jwt": ("123456", "userId"), "identity_hash": ("ada@acme.com", "email")}[by]
    assert (identity.user_id, identity.user_id_claim) == expected
    return identity


# --- no user is locked out

STEPS: Final = [
    ("hash only", HASH_ONLY, NOW, BEFORE, "identity_hash"),
    ("hash or token", HASH_OR_TOKEN, NOW, BEFORE, "identity_hash"),
    ("hash or token", HASH_OR_TOKEN, NOW, IN_BETWEEN, "jwt"),
    ("hash or token", HASH_OR_TOKEN, NOW, AFTER, "jwt"),
    ("hash until a date", UNTIL_A_DATE, THE_END - 1, BEFORE, "identity_hash"),
    ("hash until a date", UNTIL_A_DATE, THE_END - 1, IN_BETWEEN, "jwt"),
    ("hash until a date", UNTIL_A_DATE, THE_END - 1, AFTER, "jwt"),
    ("past the date", UNTIL_A_DATE, THE_END, IN_BETWEEN, "jwt"),
    ("past the date", UNTIL_A_DATE, THE_END, AFTER, "jwt"),
    ("token only", TOKEN_ONLY, THE_END, IN_BETWEEN, "jwt"),
    ("token only", TOKEN_ONLY, THE_END, AFTER, "jwt"),
]
PAGES: Final = {id(BEFORE): "before", id(IN_BETWEEN): "in between", id(AFTER): "after"}


@pytest.mark.parametrize(
    ("app", "now", "page", "by"),
    [pytest.param(*step, id=f"{name}: {PAGES[id(step[2])]}") for name, *step in STEPS],
)
def test_migration_supported_page_at_each_step_verified(
    app: App, now: float, page: WidgetRequest, by: str, door: Door
) -> None:
    passes(door([app], page, now), by)


def test_migration_token_without_configured_secret_config_missing(door: Door) -> None:
    """The customer deploys before it pastes its secret: a token is then no proof, and is said to be unconfigured."""
    assert door([HASH_ONLY], IN_BETWEEN, NOW).refusal() == (400, "config_missing", None)


@pytest.mark.parametrize(("app", "now"), [(UNTIL_A_DATE, THE_END), (TOKEN_ONLY, NOW)], ids=["past the date", "none"])
def test_migration_hash_alone_expired_or_unconfigured_missing_token(app: App, now: float, door: Door) -> None:
    assert door([app], BEFORE, now).refusal() == (400, "missing_token", None)


def test_migration_signed_email_equals_hashed_user_id_identity_differs(door: Door) -> None:
    by_hash = door([HASH_OR_TOKEN], BEFORE, NOW).identity()
    by_token = door([HASH_OR_TOKEN], AFTER, NOW).identity()

    assert by_token.attributes["email"] == by_hash.user_id
    assert by_hash.identity != by_token.identity, (
        "an address is no user id: the product links the two, by a signed claim"
    )


def test_migration_email_only_user_same_user_id_by_hash_and_token(door: Door) -> None:
    known = {"email": USER["email"]}
    token = jwt.encode(known, JWT_SECRET, algorithm="HS256")
    by_hash = door([HASH_OR_TOKEN], boot(**known, userHash=compute_hash(USER["email"])), NOW).identity()
    by_token = door([HASH_OR_TOKEN], boot(featurebaseJwt=token), NOW).identity()

    assert (by_hash.user_id, by_hash.user_id_claim) == (by_token.user_id, by_token.user_id_claim)


def test_migration_legacy_token_field_and_organization_alias_verified(door: Door) -> None:
    app = profiles.featurebase("acme", credentials=TOKENS, identity_hash=HASHES, aliases=["acme-org"])
    other = profiles.featurebase("globex", credentials=[Secret.from_text(JWT_SECRET[::-1])])

    passes(door([app, other], WidgetRequest({"organization": "acme-org", "jwtToken": token_of()}), NOW), "jwt")


def test_migration_hash_identity_expires_at_accept_until(door: Door) -> None:
    assert passes(door([UNTIL_A_DATE], BEFORE, NOW), "identity_hash").expires_at == THE_END
    assert passes(door([HASH_OR_TOKEN], BEFORE, NOW), "identity_hash").expires_at is None


# --- cleaning up: "remove userHash generation", while clients still send it


@pytest.mark.parametrize(("app", "now"), [(TOKEN_ONLY, NOW), (UNTIL_A_DATE, THE_END)], ids=["removed", "past the date"])
@pytest.mark.parametrize(
    "left_over", [compute_hash("ada@acme.com"), compute_hash("ada@acme.com", "iv_rotated"), "", "undefined"]
)
def test_migration_leftover_user_hash_beside_token_ignored(app: App, now: float, left_over: str, door: Door) -> None:
    passes(door([app], boot(**USER, userHash=left_over, featurebaseJwt=token_of()), now), "jwt")


# --- a request that carries both


@pytest.mark.parametrize("app", [HASH_OR_TOKEN, UNTIL_A_DATE], ids=["for good", "until a date"])
def test_migration_token_and_hash_of_different_users_invalid_request(app: App, door: Door) -> None:
    other = {**USER, "email": "eve@acme.com", "userHash": compute_hash("eve@acme.com")}

    assert door([app], boot(**other, featurebaseJwt=token_of()), NOW).refusal() == (400, "invalid_request", None)


@pytest.mark.parametrize("identifier", ["email", "userId", ("userId", "email")], ids=str)
@pytest.mark.parametrize("hashed", [USER["email"], USER["userId"]])
def test_migration_token_beside_hash_of_either_identifier_verified(identifier: Any, hashed: str, door: Door) -> None:
    """A page may still send the hash of the other identifier. It adds nothing to what the token proves."""
    rule = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier=identifier)
    app = profiles.featurebase("acme", credentials=TOKENS, identity_hash=rule)
    page = boot(**USER, userHash=compute_hash(hashed), featurebaseJwt=token_of(plan="pro"))
    alone = passes(door([app], boot(featurebaseJwt=token_of(plan="pro")), NOW), "jwt")

    identity = passes(door([app], page, NOW), "jwt")
    assert (identity.identity, identity.claims) == (alone.identity, alone.claims)
    assert (identity.attributes, identity.companies) == (alone.attributes, alone.companies)


def test_migration_hash_of_any_of_several_identifiers_verified(door: Door) -> None:
    rule = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier=["userId", "email"])
    app = profiles.featurebase("acme", identity_hash=rule)
    for name in ("email", "userId"):
        identity = door([app], boot(**USER, userHash=compute_hash(USER[name])), NOW).identity()
        assert (identity.user_id, identity.user_id_claim) == (USER[name], name)
    other = boot(**USER, userHash=compute_hash("eve@acme.com"))
    assert door([app], other, NOW).refusal() == (400, "invalid_token", "bad_identity_hash")


def test_migration_one_forged_proof_beside_valid_one_invalid_token(door: Door) -> None:
    forged = jwt.encode(USER, IV_SECRET, algorithm="HS256")
    hashed = {**USER, "userHash": compute_hash(USER["email"])}

    assert door([HASH_OR_TOKEN], boot(**hashed, featurebaseJwt=forged), NOW).refusal() == (
        400,
        "invalid_token",
        "bad_signature",
    )
    assert door(
        [HASH_OR_TOKEN], boot(**{**hashed, "userHash": "0" * 64}, featurebaseJwt=token_of()), NOW
    ).refusal() == (
        400,
        "invalid_token",
        "bad_identity_hash",
    )


# --- half pairs and wrong hashes

HALVES: Final[dict[str, dict[str, Any]]] = {
    "an address without a hash": {"email": "ada@acme.com"},
    "a hash without an address": {"userHash": compute_hash("ada@acme.com")},
    "a hash beside the other identifier": {"userId": "123456", "userHash": compute_hash("ada@acme.com")},
    "an empty hash": {**USER, "userHash": ""},
    "a hash that is null": {**USER, "userHash": None},
    "the hash of the other identifier": {**USER, "userHash": compute_hash("123456")},
    "another user's hash": {**USER, "userHash": compute_hash("eve@acme.com")},
    "a hash by the token's secret": {**USER, "userHash": compute_hash("ada@acme.com", JWT_SECRET)},
    "the address itself": {**USER, "userHash": "ada@acme.com"},
    "another spelling of the address": {**USER, "email": "Ada@acme.com", "userHash": compute_hash("ada@acme.com")},
}


@pytest.mark.parametrize("app", [HASH_ONLY, HASH_OR_TOKEN, UNTIL_A_DATE], ids=["hash only", "both", "until a date"])
@pytest.mark.parametrize("half", HALVES)
def test_migration_incomplete_or_wrong_hash_bad_identity_hash(app: App, half: str, door: Door) -> None:
    answered = door([app], boot(**HALVES[half]), NOW)

    assert answered.refusal() == (400, "invalid_token", "bad_identity_hash")
    assert (answered.body["error"], answered.body["reason"]) == ("invalid_token", "bad_identity_hash")


def test_migration_shared_token_and_hash_secret_config_error() -> None:
    with pytest.raises(ConfigError, match="two secrets"):
        profiles.featurebase("acme", credentials=[Secret.from_text(IV_SECRET)], identity_hash=HASHES)


# --- companies, each with its own hash

COMPANIES: Final = IdentityHash(
    secret=Secret.from_text(IV_SECRET),
    identifier="email",
    companies=CompanyHash(secret=Secret.from_text(COMPANY_SECRET)),
)
WITH_COMPANIES: Final = profiles.featurebase("acme", credentials=TOKENS, identity_hash=COMPANIES)


def with_companies(*companies: dict[str, Any]) -> WidgetRequest:
    return boot(**USER, userHash=compute_hash(USER["email"]), companies=list(companies))


def test_company_hash_verified_company_keeps_id_only(door: Door) -> None:
    sent = with_companies(
        {"id": "123", "companyHash": compute_hash("123", COMPANY_SECRET), "monthlySpend": 500},
        {"id": "456", "name": "Said, and not proven"},
    )
    identity = passes(door([WITH_COMPANIES], sent, NOW), "identity_hash")

    assert identity.companies == [{"id": "123"}]


@pytest.mark.parametrize(
    "company",
    [
        {"id": "124", "companyHash": compute_hash("123", COMPANY_SECRET)},
        {"id": "123", "companyHash": compute_hash("123", IV_SECRET)},
        {"companyHash": compute_hash("123", COMPANY_SECRET)},
        {"id": 123, "companyHash": compute_hash("123", COMPANY_SECRET)},
    ],
    ids=["another's", "by the user's secret", "half a pair", "an id that is no text"],
)
def test_company_hash_invalid_pair_bad_identity_hash(company: dict[str, Any], door: Door) -> None:
    refused = door([WITH_COMPANIES], with_companies(company), NOW).refusal()
    assert refused == (400, "invalid_token", "bad_identity_hash")


def test_company_hash_shared_secret_requires_allow_shared_secret(caplog: pytest.LogCaptureFixture, door: Door) -> None:
    with pytest.raises(ConfigError, match="allow_shared_secret"):
        IdentityHash(secret=Secret.from_text(IV_SECRET), companies=CompanyHash(secret=Secret.from_text(IV_SECRET)))
    caplog.set_level(logging.WARNING, "wicket")
    one = CompanyHash(secret=Secret.from_text(IV_SECRET), allow_shared_secret=True)
    rule = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier="email", companies=one)
    assert "allow_shared_secret" in caplog.text

    app = profiles.featurebase("acme", identity_hash=rule)
    identity = passes(
        door([app], with_companies({"id": "123", "companyHash": compute_hash("123")}), NOW), "identity_hash"
    )
    assert identity.companies == [{"id": "123"}]


def test_company_hash_of_official_client_verified(door: Door) -> None:
    """The vendor's own client sends one company or several, each with `companyId` or `id`."""
    secret = Secret.from_text(COMPANY_SECRET)
    held = CompanyHash(
        secret=secret, location=[JsonBody("companies"), JsonBody("company")], id_field=["companyId", "id"]
    )
    rule = IdentityHash(secret=Secret.from_text(IV_SECRET), identifier="email", companies=held)
    app = profiles.featurebase("acme", identity_hash=rule)
    user = {**USER, "userHash": compute_hash(USER["email"])}
    one = {"companyId": "123", "companyHash": compute_hash("123", COMPANY_SECRET), "name": "One"}
    two = {"id": "456", "companyHash": compute_hash("456", COMPANY_SECRET)}

    page = boot(**user, company=one)
    identity = passes(door([app], page, NOW), "identity_hash")
    assert identity.companies == [{"id": "123"}]
    assert identity.merge_unsigned(beside(page)).companies == [{"id": "123", "name": "One"}]
    both = passes(door([app], boot(**user, companies=[one, two]), NOW), "identity_hash")
    assert both.companies == [{"id": "123"}, {"id": "456"}]
    forged = boot(**user, company={**one, "companyId": "124"})
    assert door([app], forged, NOW).refusal() == (400, "invalid_token", "bad_identity_hash")


# --- attributes: what is signed, what is stored, what a page merely says

SECURED: Final = profiles.featurebase(
    "acme",
    credentials=TOKENS,
    identity_hash=COMPANIES,
    protected_attributes=["plan", "monthlySpend"],
    protected_company_attributes=["monthlySpend"],
)


def beside(page: WidgetRequest) -> dict[str, Any]:
    """What the page sent beside its proofs."""
    assert page.body is not None
    return {name: value for name, value in page.body.items() if name not in ("appId", "featurebaseJwt", "userHash")}


def test_merge_unsigned_signed_over_stored_over_page_values(door: Door) -> None:
    page = boot(featurebaseJwt=token_of(title="Countess"), title="Root", nonSensitiveAttr1="said", seat="aisle")
    identity = passes(door([SECURED], page, NOW), "jwt")

    merged = identity.merge_unsigned(beside(page), stored={"title": "Miss", "seat": "window"})
    assert merged.attributes == {
        "email": "ada@acme.com",
        "name": "Ada Lovelace",
        "title": "Countess",
        "seat": "window",
        "nonSensitiveAttr1": "said",
    }
    assert merged.conflicts == (Conflict("title", "Countess", "signed"), Conflict("seat", "window", "stored"))


def test_merge_unsigned_unknown_attributes_reported_and_widget_settings_ignored(door: Door) -> None:
    """The vendor saves no attribute that is not configured."""
    configured = profiles.featurebase("acme", credentials=TOKENS, known_attributes=["name", "title", "seat"])
    said: dict[str, Any] = {
        "seat": "aisle",
        "neverConfigured": 1,
        "theme": "dark",
        "placement": "right",
        "language": "de",
    }
    page = boot(
        featurebaseJwt=token_of(title="Countess", plan="pro"), **said, **{"$brandId": "b", "metadata": {"a": 1}}
    )

    merged = passes(door([configured], page, NOW), "jwt").merge_unsigned(beside(page), stored={"old": "kept"})
    assert merged.attributes == {
        "email": "ada@acme.com",
        "name": "Ada Lovelace",
        "title": "Countess",
        "seat": "aisle",
        "old": "kept",
    }
    assert (merged.unknown, merged.conflicts) == (("plan", "neverConfigured"), ())


def test_merge_unsigned_protected_attribute_only_from_signed_claims(door: Door) -> None:
    before = boot(**USER, userHash=compute_hash(USER["email"]), plan="Premium", seat="aisle")
    by_hash = passes(door([SECURED], before, NOW), "identity_hash").merge_unsigned(beside(before))
    assert "plan" not in by_hash.attributes
    assert by_hash.attributes["seat"] == "aisle"
    assert Conflict("plan") in by_hash.conflicts

    after = boot(featurebaseJwt=token_of(), plan="Premium", seat="aisle")
    by_token = passes(door([SECURED], after, NOW), "jwt").merge_unsigned(beside(after))
    assert "plan" not in by_token.attributes
    assert by_token.conflicts == (Conflict("plan"),)

    signed = boot(featurebaseJwt=token_of(plan="Premium"))
    assert passes(door([SECURED], signed, NOW), "jwt").merge_unsigned({}).attributes["plan"] == "Premium"


def test_merge_unsigned_hash_identity_identifiers_not_writable(door: Door) -> None:
    identity = passes(door([SECURED], BEFORE, NOW), "identity_hash")
    assert identity.attributes == {}

    merged = identity.merge_unsigned({"userId": "1", "email": "root@acme.com", "name": "Ada"})
    assert merged.attributes == {"name": "Ada"}
    assert {conflict.attribute for conflict in merged.conflicts} == {"userId", "email"}


def test_merge_unsigned_proven_company_unprotected_fields_only(door: Door) -> None:
    said = {"id": "123", "monthlySpend": 9_999, "industry": "Fintech"}
    page = with_companies(
        {**said, "companyHash": compute_hash("123", COMPANY_SECRET)}, {"id": "456", "name": "Not proven"}
    )
    identity = passes(door([SECURED], page, NOW), "identity_hash")

    merged = identity.merge_unsigned({"companies": [said, {"id": "456", "name": "Not proven"}]})
    assert merged.companies == [{"id": "123", "industry": "Fintech"}]
    assert {conflict.attribute for conflict in merged.conflicts} == {"companies[123].monthlySpend", "companies[456]"}


def test_merge_unsigned_token_company_signed_values_kept(door: Door) -> None:
    signed = {"id": "987654321", "name": "Business Inc. 23", "monthlySpend": 500, "industry": "Fintech"}
    page = boot(featurebaseJwt=token_of(companies=[signed]), companies=[{"id": "987654321", "monthlySpend": 1}])
    identity = passes(door([SECURED], page, NOW), "jwt")
    assert identity.companies == [signed]

    merged = identity.merge_unsigned(beside(page))
    assert merged.companies == [signed]
    assert merged.conflicts == (Conflict("companies[987654321].monthlySpend", 500, "signed"),)

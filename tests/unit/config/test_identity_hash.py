"""Settings of identity hashes, which are validated when they are created."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.support.unit import KEY, OTHER_KEY, problems_of, secret
from wicket import Bearer, ConfigError, Cookie, Header, JsonBody, Secret, TokenLocation
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash


def test_identity_hash_locations_default_to_body_fields() -> None:
    rule = IdentityHash(secret=secret())
    assert (rule.identifier, rule.identifier_location, rule.hash_location) == (
        "userId",
        JsonBody("userId"),
        JsonBody("userHash"),
    )
    other = IdentityHash(
        secret=secret(), identifier="email", identifier_location=Header("X-Email"), hash_location=Header("X-Hash")
    )
    assert tuple(other.locations) == (Header("X-Email"), Header("X-Hash"))


def test_identity_hash_several_identifiers_each_with_location() -> None:
    rule = IdentityHash(secret=secret(), identifier=["userId", "email"])
    expected: list[tuple[str, TokenLocation]] = [("userId", JsonBody("userId")), ("email", JsonBody("email"))]
    assert list(rule.identifiers.items()) == expected
    assert rule.identifier == ("userId", "email")
    placed = IdentityHash(
        secret=secret(), identifier=["userId", "email"], identifier_location=[Header("X-User"), JsonBody("user.email")]
    )
    expected = [("userId", Header("X-User")), ("email", JsonBody("user.email"))]
    assert list(placed.identifiers.items()) == expected
    assert replace(placed, encoding="base64").identifiers == placed.identifiers
    assert replace(IdentityHash(secret=secret(), identifier=["email"])).identifier == "email"


def test_identity_hash_secrets_and_locations_include_companies() -> None:
    companies = CompanyHash(secret=secret(OTHER_KEY))
    rule = IdentityHash(secret=secret(), companies=companies)
    assert rule.secrets == (rule.secret, companies.secret)
    assert tuple(rule.locations) == (rule.identifier_location, rule.hash_location, JsonBody("companies"))
    assert len(IdentityHash(secret=secret()).secrets) == 1


def test_identity_hash_normalize_applies_only_as_configured() -> None:
    assert IdentityHash(secret=secret()).normalized(" Ada ") == " Ada "
    assert IdentityHash(secret=secret(), normalize=("strip",)).normalized(" Ada ") == "Ada"
    assert IdentityHash(secret=secret(), normalize=("lower", "strip")).normalized(" Ada ") == "ada"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"secret": KEY}, "identity_hash.secret"),
        ({"identifier": ""}, "identity_hash.identifier"),
        ({"identifier": 7}, "identity_hash.identifier"),
        ({"identifier": ()}, "identity_hash.identifier"),
        ({"identifier": ["userId", ""]}, "identity_hash.identifier"),
        ({"identifier": ["userId", "userId"]}, "identity_hash.identifier"),
        ({"identifier": ["userId", "email"], "identifier_location": Header("X")}, "identity_hash.identifier_location"),
        ({"identifier_location": ()}, "identity_hash.identifier_location"),
        ({"identifier_location": [Cookie("user")]}, "identity_hash.identifier_location"),
        ({"identifier_location": "body"}, "identity_hash.identifier_location"),
        ({"hash_location": Bearer}, "identity_hash.hash_location"),
        ({"encoding": "HEX"}, "identity_hash.encoding"),
        ({"normalize": "lower"}, "identity_hash.normalize"),
        ({"normalize": ("upper",)}, "identity_hash.normalize"),
        ({"normalize": 7}, "identity_hash.normalize"),
        ({"accept_until": True}, "identity_hash.accept_until"),
        ({"accept_until": "2027-01-01"}, "identity_hash.accept_until"),
        ({"accept_until": -1}, "identity_hash.accept_until"),
        ({"accept_until": float("nan")}, "identity_hash.accept_until"),
        ({"accept_until": 253402300800}, "identity_hash.accept_until"),
        ({"companies": "companies"}, "identity_hash.companies"),
    ],
)
def test_identity_hash_invalid_setting_problem_has_its_path(changes: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: IdentityHash(**{"secret": secret(), **changes}))) == [path]


def test_identity_hash_several_invalid_settings_all_reported() -> None:
    invalid: dict[str, Any] = {"secret": None, "identifier": "", "encoding": 1, "accept_until": "x"}
    assert len(problems_of(lambda: IdentityHash(**invalid))) == 4


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"secret": KEY}, "secret"),
        ({"location": Header("X-Companies")}, "location"),
        ({"location": [JsonBody("companies"), "company"]}, "location"),
        ({"location": ()}, "location"),
        ({"id_field": ""}, "id_field"),
        ({"id_field": ["id", ""]}, "id_field"),
        ({"id_field": ()}, "id_field"),
        ({"hash_field": "id"}, "hash_field"),
        ({"hash_field": 7}, "hash_field"),
        ({"allow_shared_secret": 1}, "allow_shared_secret"),
    ],
)
def test_company_hash_invalid_setting_problem_has_its_path(changes: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: CompanyHash(**{"secret": secret(), **changes}))) == [path]


def test_company_hash_several_locations_and_id_fields_kept() -> None:
    several = CompanyHash(
        secret=secret(OTHER_KEY),
        location=[JsonBody("companies"), JsonBody("company")],
        id_field=["companyId", "id"],
    )
    assert several.locations == (JsonBody("companies"), JsonBody("company"))
    assert several.id_fields == ("companyId", "id")
    assert replace(several, hash_field="proof").id_fields == several.id_fields
    assert tuple(IdentityHash(secret=secret(), companies=several).locations)[-2:] == several.locations
    one = CompanyHash(secret=secret(OTHER_KEY), location=[JsonBody("company")], id_field=["companyId"])
    assert (one.location, one.id_field) == (JsonBody("company"), "companyId")


def test_company_hash_shared_secret_requires_allow_shared_secret(caplog: pytest.LogCaptureFixture) -> None:
    problems = problems_of(lambda: IdentityHash(secret=secret(), companies=CompanyHash(secret=secret())))
    assert list(problems) == ["identity_hash.companies.secret"]
    with caplog.at_level(logging.WARNING, "wicket"):
        IdentityHash(secret=secret(), companies=CompanyHash(secret=secret(), allow_shared_secret=True))
    assert "allow_shared_secret" in caplog.text


def test_identity_hash_repr_contains_no_secret() -> None:
    rule = IdentityHash(secret=secret(), companies=CompanyHash(secret=secret(OTHER_KEY)))
    for key in (KEY, OTHER_KEY):
        assert key.hex() not in repr(rule)
        assert repr(key)[2:-1] not in repr(rule)
    assert "secret" not in repr(rule).replace("allow_shared_secret", "")


def value_hash(**changes: Any) -> ValueHash:
    return ValueHash(
        **{"name": "context", "secret": secret(OTHER_KEY), "hash_location": JsonBody("contextHash"), **changes}
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"secret": KEY}, "secret"),
        ({"hash_location": "contextHash"}, "hash_location"),
        ({"hash_location": Cookie("hash")}, "hash_location"),
        ({"location": "context"}, "location"),
        ({"form": "xml"}, "form"),
        ({"form": "json", "location": Header("X-Context")}, "location"),
        ({"allow_shared_secret": 1}, "allow_shared_secret"),
    ],
)
def test_value_hash_invalid_setting_problem_has_its_path(changes: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: value_hash(**changes))) == [path]


@pytest.mark.parametrize("values", ["context", [value_hash(), value_hash()], [JsonBody("context")]])
def test_identity_hash_invalid_values_problem_has_its_path(values: Any) -> None:
    assert list(problems_of(lambda: IdentityHash(secret=secret(), values=values))) == ["identity_hash.values"]


def test_identity_hash_secrets_and_locations_include_values() -> None:
    item = value_hash(location=Header("X-Context"))
    rule = IdentityHash(secret=secret(), values=[item])  # type: ignore[arg-type]  # a list is accepted too
    assert rule.values == (item,)
    assert rule.secrets == (rule.secret, item.secret)
    assert tuple(rule.locations)[-2:] == (Header("X-Context"), JsonBody("contextHash"))
    assert KEY.hex() not in repr(item)
    assert value_hash().value_location == JsonBody("context")


def test_value_hash_shared_secret_requires_allow_shared_secret(caplog: pytest.LogCaptureFixture) -> None:
    companies = CompanyHash(secret=secret(bytes(range(5, 37))))
    for shared in (secret(), companies.secret):
        item = value_hash(secret=shared)
        problems = problems_of(partial(IdentityHash, secret=secret(), companies=companies, values=(item,)))
        assert list(problems) == ["identity_hash.values[0].secret"]
    two = (value_hash(), value_hash(name="tenant", allow_shared_secret=True))
    assert list(problems_of(partial(IdentityHash, secret=secret(), values=two))) == ["identity_hash.values[0].secret"]
    assert "allow_shared_secret" not in caplog.text
    with caplog.at_level(logging.WARNING, "wicket"):
        IdentityHash(secret=secret(), values=(value_hash(secret=secret(), allow_shared_secret=True),))
    assert "allow_shared_secret" in caplog.text


@pytest.mark.parametrize("name", ["identifier_location", "hash_location"])
def test_identity_hash_cookie_location_raises_config_error(name: str) -> None:
    """Browsers also send cookies with requests that other sites cause, and a hash never expires."""
    locations: dict[str, Any] = {name: Cookie("hash")}
    with pytest.raises(ConfigError, match=rf"identity_hash\.{name}: must not be a cookie"):
        IdentityHash(secret=Secret(b"q8w1-e6r3-t9y2-u5i7-o4p0-a1s8-d3"), **locations)

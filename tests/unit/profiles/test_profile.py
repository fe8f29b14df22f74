"""A profile builds apps and derived profiles, and keeps every rule that is not explicitly changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.unit import problems_of, secret
from wicket import Bearer, ConfigError, Header, Mode, Profile, Query, Refusal, Revocations, Rules, profiles
from wicket.config.location_types import TokenLocation
from wicket.keys import Credential


def format_error(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 418, {"code": refusal.code}


def check_kid(credential: Credential) -> str | None:
    return None if getattr(credential, "kid", None) else "must have a kid"


STRICT = Profile(
    "strict",
    rules=Rules(
        required_claims=frozenset({"sub", "exp"}),
        allowed_typ=frozenset({"at+jwt"}),
        required_values={"kind": "user"},
        leeway=5,
        max_lifetime=60,
    ),
    token_locations=(Header("X-Token"),),
    app_locations=(Query("app"),),
    audience="api",
    allow_anonymous=True,
    required_settings=("issuer",),
    check_credential=check_kid,
    format_error=format_error,
)
NEEDED: dict[str, Any] = {"issuer": "https://id", "credentials": [secret(kid="k1")]}


def test_profile_app_has_all_profile_settings() -> None:
    app = STRICT("acme", **NEEDED)
    assert (app.id, app.profile, app.issuer, app.audience) == ("acme", "strict", "https://id", ("api",))
    assert (app.token_locations, app.app_locations) == ((Header("X-Token"),), (Query("app"),))
    assert app.allow_anonymous
    assert app.rules == STRICT.rules
    assert app.format_error is format_error


def test_profile_without_settings_builds_default_app() -> None:
    profile = Profile("bare")
    app = profile("acme")
    assert (app.rules, app.token_locations, app.app_locations, app.audience, app.format_error) == (
        Rules(),
        (Bearer(),),
        (),
        (),
        None,
    )
    assert not app.allow_anonymous


def test_profile_app_settings_override_profile() -> None:
    app = STRICT(
        "acme",
        **NEEDED,
        publishable_key="pub_acme",
        hosts=["a.example"],
        audience=["other"],
        origins=["https://a.com"],
        require_origin=True,
        mode=Mode.LOG_ONLY,
        origin_mode=Mode.ENFORCE,
        allow_anonymous=False,
        revocations=Revocations(issued_before=1),
        allowed_scopes=["read"],
        token_locations=[Bearer()],
        app_locations=[Header("X-App")],
        leeway=1,
        scopes_claim="scope",
    )
    assert (app.publishable_key, app.hosts, app.audience) == ("pub_acme", ("a.example",), ("other",))
    assert (app.mode, app.origin_mode, app.allow_anonymous) == (Mode.LOG_ONLY, Mode.ENFORCE, False)
    assert (app.token_locations, app.app_locations) == ((Bearer(),), (Header("X-App"),))
    assert (app.rules.leeway, app.rules.scopes_claim, app.rules.max_lifetime) == (1, ("scope",), 60)
    assert app.revocations == Revocations(issued_before=1)
    assert app.allowed_scopes == {"read"}


def test_profile_app_rules_add_to_profile_rules() -> None:
    rules = STRICT("acme", **NEEDED, required_claims=["email"], allowed_typ=["JWT"], required_values={"level": 2}).rules
    assert rules.required_claims == {"sub", "exp", "email"}
    assert rules.allowed_typ == {"at+jwt", "jwt"}
    assert rules.required_values == {"kind": "user", "level": 2}


def test_profile_drop_required_claims_unknown_claim_is_a_problem() -> None:
    assert STRICT("acme", **NEEDED, drop_required_claims=["sub"]).rules.required_claims == {"exp"}
    problems = problems_of(lambda: STRICT("acme", **NEEDED, drop_required_claims=["sub", "nbf", "email"]))
    assert problems == {"drop_required_claims": "email, nbf is not required by strict"}


def test_profile_drop_and_add_required_claims_both_apply() -> None:
    assert STRICT("acme", **NEEDED, drop_required_claims=["sub"], required_claims=["email"]).rules.required_claims == {
        "exp",
        "email",
    }


def test_profile_missing_required_setting_is_a_problem() -> None:
    problems = problems_of(lambda: STRICT("acme", credentials=[secret(kid="k1")]))
    assert problems == {"issuer": "must be set for an app of strict"}


def test_profile_rejected_credential_is_a_problem() -> None:
    problems = problems_of(lambda: STRICT("acme", issuer="i", credentials=[secret(kid="k1"), secret()]))
    assert problems == {"credentials[1]": "must have a kid"}


def test_profile_credentials_iterator_is_kept_complete() -> None:
    credentials = (secret(kid=name) for name in ("a", "b"))
    assert len(STRICT("acme", issuer="i", credentials=credentials).credentials) == 2


def test_profile_credentials_not_a_list_is_a_problem() -> None:
    value: Any = secret(kid="k1")
    assert problems_of(lambda: STRICT("acme", issuer="i", credentials=value)) == {
        "credentials": "must be a list of credentials"
    }


def test_profile_rules_setting_is_a_problem() -> None:
    value: Any = {"rules": Rules()}
    expected = {"rules": "would replace all of the vendor's rules"}
    assert problems_of(lambda: STRICT("acme", **NEEDED, **value)) == expected
    assert problems_of(lambda: STRICT.extend(**value)) == expected


def test_profile_unknown_setting_is_a_problem() -> None:
    value: Any = {"skev": 10}
    assert problems_of(lambda: STRICT("acme", **NEEDED, **value)) == {"skev": "is not a setting"}
    assert problems_of(lambda: STRICT.extend(**value)) == {"skev": "is not a setting"}


def test_profile_several_invalid_settings_all_reported() -> None:
    value: Any = {"leeway": -1, "origins": ["null"], "typo": 1, "required_claims": "sub"}
    problems = problems_of(lambda: STRICT("", credentials=[secret()], **value))
    assert set(problems) == {"id", "issuer", "credentials[0]", "rules.leeway", "origins[0]", "typo", "required_claims"}


@pytest.mark.parametrize("name", ["required_claims", "drop_required_claims", "allowed_typ"])
@pytest.mark.parametrize("value", ["sub", 5, None])
def test_profile_claim_names_not_a_list_is_a_problem(name: str, value: Any) -> None:
    settings: Any = {name: value}
    problems = problems_of(lambda: STRICT("acme", **NEEDED, **settings))
    assert problems.keys() == {name}
    assert problems[name].startswith("must be a list of names")


def test_profile_required_values_not_a_mapping_is_a_problem() -> None:
    value: Any = {"required_values": [("a", "b")]}
    assert problems_of(lambda: STRICT("acme", **NEEDED, **value)) == {
        "rules.required_values": "must map claim names to values"
    }


def test_profile_extend_keeps_other_settings() -> None:
    sibling = STRICT.extend(
        name="looser",
        leeway=60,
        drop_required_claims=["sub"],
        required_claims=["email"],
        token_locations=[Bearer()],
        audience="other",
        allow_anonymous=False,
    )
    assert (sibling.name, sibling.audience, sibling.allow_anonymous) == ("looser", "other", False)
    assert (sibling.token_locations, sibling.app_locations) == ((Bearer(),), STRICT.app_locations)
    assert (sibling.required_settings, sibling.check_credential, sibling.format_error) == (
        STRICT.required_settings,
        check_kid,
        format_error,
    )
    assert sibling.rules.leeway == 60
    assert sibling.rules.required_claims == {"exp", "email"}
    assert (sibling.rules.max_lifetime, sibling.rules.required_values) == (60, {"kind": "user"})
    assert STRICT.rules.leeway == 5
    assert sibling("acme", **NEEDED).profile == "looser"


def test_profile_extend_without_changes_is_equal() -> None:
    assert STRICT.extend() == STRICT
    assert STRICT.extend(app_locations=[Header("X-App")], format_error=None).app_locations == (Header("X-App"),)


def test_profile_attribute_assignment_raises_attribute_error() -> None:
    with pytest.raises(AttributeError):
        STRICT.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(profiles.BY_NAME))
def test_profile_by_name_matches_module_attribute(name: str) -> None:
    profile = profiles.BY_NAME[name]
    assert profile.name == name
    assert getattr(profiles, name) is profile


@pytest.mark.parametrize("name", ["required_claims", "drop_required_claims", "allowed_typ"])
def test_profile_claim_names_with_non_string_is_a_problem(name: str) -> None:
    changes: Any = {name: ["jti", 5]}
    assert problems_of(lambda: Profile("bare").extend(**changes)) == {name: "must be a list of names"}
    assert problems_of(lambda: Profile("bare")("acme", **changes)) == {name: "must be a list of names"}


def test_profile_rules_of_wrong_type_raises_config_error() -> None:
    rules: Any = {"required_claims": ["sub"]}
    with pytest.raises(ConfigError, match="rules: must be Rules"):
        Profile("own", rules=rules)


def test_profile_invalid_settings_all_reported() -> None:
    invalid: Any = {"rules": 5, "token_locations": [5], "audience": [""], "allow_anonymous": 1, "format_error": 1}
    assert set(problems_of(lambda: Profile("own", **invalid))) == {
        "rules",
        "token_locations[0]",
        "audience[0]",
        "allow_anonymous",
        "format_error",
    }


def test_profile_location_iterators_are_kept_complete() -> None:
    locations: list[TokenLocation] = [Bearer(), Header("X-Token")]
    profile = Profile("own", token_locations=iter(locations), audience=["a", "b"])
    assert profile.token_locations == (Bearer(), Header("X-Token"))
    assert profile("acme").token_locations == (Bearer(), Header("X-Token"))
    assert profile("acme").audience == ("a", "b")


def test_profile_unknown_argument_raises_type_error() -> None:
    unknown: Any = {"mode": Mode.LOG_ONLY}
    with pytest.raises(TypeError, match="mode"):
        Profile("own", **unknown)


def test_profile_extend_several_invalid_changes_all_reported() -> None:
    invalid: Any = {"typo": 1, "leeway": -1, "app_locations": 5}
    assert set(problems_of(lambda: STRICT.extend(**invalid))) == {"typo", "rules.leeway", "app_locations"}


def test_profile_app_sets_its_own_error_format() -> None:
    assert STRICT("acme", **NEEDED, format_error=None).format_error is None
    assert Profile("bare")("acme", format_error=format_error).format_error is format_error

"""`App`, `Rules` and `Revocations`: valid settings are stored, invalid ones raise `ConfigError` with their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.unit import KEY, OTHER_KEY, problems_of, secret
from wicket import App, AppRef, Bearer, Cookie, Header, JsonBody, Jwks, Mode, Query, Revocations, Rules
from wicket.config.app import BrokenApp
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.rules import media_type

VISIBLE = "must be 1 to 128 visible characters"
NO_NULL = "null is the origin of every sandboxed page and cannot be allowed"


def test_app_only_id_has_defaults() -> None:
    app = App("acme")
    assert (app.id, app.credentials, app.mode, app.origin_mode) == ("acme", (), Mode.ENFORCE, None)
    assert (app.token_locations, app.app_locations, app.audience, app.allowed_scopes) == (
        (Bearer(),),
        (),
        (),
        frozenset(),
    )
    assert not app.allow_anonymous
    assert not app.require_origin
    assert app.rules == Rules()
    assert app.revocations == Revocations()
    assert app.keyring.keys == ()
    assert app.origin_policy.allows("https://anything.example")


def test_app_all_settings_are_stored_normalized() -> None:
    app = App(
        "acme",
        credentials=iter([secret(kid="k1"), secret(OTHER_KEY)]),
        publishable_key="pub_acme",
        hosts=["Acme.Example"],
        issuer="https://id.acme.com",
        audience="api",
        origins=["https://acme.com"],
        allowed_scopes=["read", "write"],
        rules=Rules(scopes_claim=("scope",)),
        token_locations=[Query("jwt")],
        app_locations=[Header("X-App-Id")],
        mode=Mode.LOG_ONLY,
        origin_mode=Mode.ENFORCE,
    )
    assert [key.kid for key in app.keyring.keys] == ["k1", None]
    assert app.hosts == ("acme.example",)
    assert app.audience == ("api",)
    assert app.origins == ("https://acme.com",)
    assert app.allowed_scopes == {"read", "write"}
    assert app.token_locations == (Query("jwt"),)
    assert app.app_locations == (Header("X-App-Id"),)
    assert app.origin_mode is Mode.ENFORCE


def test_app_audience_list_or_none_becomes_tuple() -> None:
    assert App("acme", audience=["a", "b"]).audience == ("a", "b")
    assert App("acme", audience=None).audience == ()


def test_app_attribute_assignment_raises_attribute_error() -> None:
    with pytest.raises(AttributeError):
        App("acme").mode = Mode.LOG_ONLY  # type: ignore[misc]


def test_app_repr_contains_no_key() -> None:
    text = repr(App("acme", credentials=[secret()]))
    assert "acme" in text
    assert repr(KEY)[2:20] not in text
    assert KEY.hex() not in text


def test_app_refs_include_id_publishable_key_hosts_and_issuer() -> None:
    app = App("acme", publishable_key="pub_acme", hosts=["a.example", "B.example"], issuer="https://id")
    assert app.refs() == (
        AppRef("id", "acme"),
        AppRef("publishable_key", "pub_acme"),
        AppRef("host", "a.example"),
        AppRef("host", "b.example"),
        AppRef("issuer", "https://id"),
    )
    assert App("acme").refs() == (AppRef("id", "acme"),)


def test_broken_app_refs_include_readable_names_only() -> None:
    broken = BrokenApp(None, publishable_key="pub_acme", hosts=("a.example",))
    assert broken.refs() == (AppRef("publishable_key", "pub_acme"), AppRef("host", "a.example"))
    assert broken.mode is Mode.ENFORCE
    assert BrokenApp("acme").refs() == (AppRef("id", "acme"),)


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"publishable_key": ""}, "publishable_key", VISIBLE),
        ({"publishable_key": "a b"}, "publishable_key", VISIBLE),
        ({"issuer": ""}, "issuer", "must be a non-empty string"),
        ({"issuer": 5}, "issuer", "must be a non-empty string"),
        ({"hosts": "a.example"}, "hosts", "must be a list"),
        ({"hosts": ["a.example", ""]}, "hosts[1]", "is not a host name"),
        ({"hosts": [5]}, "hosts[0]", "is not a host name"),
        ({"known_attributes": "plan"}, "known_attributes", "must be a list"),
        ({"known_company_attributes": [5]}, "known_company_attributes[0]", "is not a name of an attribute"),
        ({"widget_settings": [""]}, "widget_settings[0]", "is not a name of an attribute"),
        ({"audience": 5}, "audience", "must be a list"),
        ({"audience": [""]}, "audience[0]", "is not a non-empty string"),
        ({"allowed_scopes": "read"}, "allowed_scopes", "must be a list"),
        ({"allowed_scopes": [""]}, "allowed_scopes[0]", "is not a non-empty string"),
        ({"allowed_scopes": ["read"]}, "allowed_scopes", "need the rule scopes_claim"),
        ({"token_locations": [5]}, "token_locations[0]", "is not a location"),
        ({"app_locations": [Bearer()]}, "app_locations[0]", "is not a location"),
        ({"credentials": KEY}, "credentials", "must be a list"),
        ({"credentials": 5}, "credentials", "must be a list"),
        ({"credentials": secret()}, "credentials", "must be a list"),
        ({"credentials": [secret(), "text"]}, "credentials[1]", "is not a credential"),
        ({"credentials": [{"kid": "a"}]}, "credentials[0]", "is not a credential"),
        ({"credentials": [Jwks]}, "credentials[0]", "is not a credential"),
        ({"mode": "enforce"}, "mode", "must be Mode"),
        ({"origin_mode": "enforce"}, "origin_mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None"),
        ({"rules": None}, "rules", "must be Rules"),
        ({"revocations": {}}, "revocations", "must be Revocations"),
        ({"require_origin": 1}, "require_origin", "must be true or false"),
        ({"allow_anonymous": "yes"}, "allow_anonymous", "must be true or false"),
        ({"origins": ["https://a.com", "null"]}, "origins[1]", NO_NULL),
        ({"origins": "https://a.com"}, "origins", "must be a list of patterns, not one string"),
    ],
)
def test_app_invalid_setting_problem_has_its_path(settings: dict[str, Any], path: str, message: str) -> None:
    problems = problems_of(lambda: App("acme", **settings))
    assert problems[path].startswith(message)


@pytest.mark.parametrize("id", ["", "a b", "ä", "a" * 129, 5, None])
def test_app_id_not_1_to_128_visible_characters_is_a_problem(id: Any) -> None:
    assert problems_of(lambda: App(id)) == {"id": VISIBLE}


def test_app_several_invalid_settings_all_reported() -> None:
    problems = problems_of(
        lambda: App("", publishable_key=" ", origins=["null", "*.com"], mode=None, hosts=[5])  # type: ignore[arg-type,list-item]
    )
    assert set(problems) == {"id", "publishable_key", "origins[0]", "origins[1]", "mode", "hosts[0]"}


@pytest.mark.parametrize("origins", [[], ["*"], ["https://a.com", "*"]])
def test_app_cookie_token_without_explicit_origins_is_a_problem(origins: list[str]) -> None:
    problems = problems_of(lambda: App("acme", token_locations=[Cookie("t")], origins=origins))
    assert problems == {"origins": "must be explicit when a cookie carries the token"}


def test_app_cookie_token_with_explicit_origins_allowed() -> None:
    assert App("acme", token_locations=[Cookie("t")], origins=["*.a.com"]).token_locations == (Cookie("t"),)


def test_app_cookie_token_with_invalid_origins_reports_both_problems() -> None:
    assert set(problems_of(lambda: App("acme", token_locations=[Cookie("t")], origins=["null"]))) == {
        "origins[0]",
        "origins",
    }


# --- rules


def test_rules_defaults_are_strict() -> None:
    rules = Rules()
    assert rules.required_claims == {"exp"}
    assert rules.user_id_claims == ("sub",)
    assert (rules.leeway, rules.max_token_bytes) == (30.0, 16_384)
    assert not rules._has_lifetime_bounds
    assert not rules.allow_integer_user_id


@pytest.mark.parametrize(
    ("settings", "bounded"), [({"min_lifetime": 1}, True), ({"max_lifetime": 1}, True), ({"leeway": 1}, False)]
)
def test_rules_lifetime_bounds_set_only_by_lifetime_settings(settings: dict[str, Any], bounded: bool) -> None:
    assert Rules(**settings)._has_lifetime_bounds is bounded


def test_rules_name_lists_become_sets_and_tuples() -> None:
    value: Any = {"required_claims": ["a", "b"], "allowed_typ": ["application/AT+JWT"], "user_id_claims": ["x", "y"]}
    rules = Rules(**value)
    assert rules.required_claims == frozenset({"a", "b"})
    assert rules.user_id_claims == ("x", "y")
    assert rules.allowed_typ == frozenset({"at+jwt"})


@pytest.mark.parametrize("name", ["required_claims", "allowed_typ", "user_id_claims"])
def test_rules_name_iterators_are_kept_complete(name: str) -> None:
    def one_by_one() -> Iterator[str]:
        yield "a"
        yield "b"

    value: Any = {name: one_by_one()}
    assert set(getattr(Rules(**value), name)) == {"a", "b"}


@pytest.mark.parametrize(
    ("value", "stored"), [(None, ()), ("scope", ("scope",)), (["scope", "roles"], ("scope", "roles")), ((), ())]
)
def test_rules_scopes_claim_none_one_or_several_names_stored_as_tuple(value: Any, stored: tuple[str, ...]) -> None:
    assert Rules(scopes_claim=value).scopes_claim == stored


@pytest.mark.parametrize("value", ["", 0, 5, [""], [5], {"scope": 1}])
def test_rules_scopes_claim_no_names_is_a_problem(value: Any) -> None:
    problems = problems_of(lambda: Rules(scopes_claim=value))
    assert problems["rules.scopes_claim"].startswith("must be a list of names")


@pytest.mark.parametrize("name", ["required_claims", "allowed_typ", "user_id_claims"])
@pytest.mark.parametrize("value", ["sub", b"sub", [""], [5], 5, None])
def test_rules_names_not_a_list_is_a_problem(name: str, value: Any) -> None:
    problems = problems_of(lambda: Rules(**{name: value}))
    assert problems.keys() == {f"rules.{name}"}
    assert problems[f"rules.{name}"].startswith("must be a list of names")


def test_rules_empty_user_id_claims_is_a_problem() -> None:
    assert problems_of(lambda: Rules(user_id_claims=())) == {"rules.user_id_claims": "must name at least one claim"}


@pytest.mark.parametrize("name", ["app_claim", "attributes_claim", "companies_claim"])
@pytest.mark.parametrize("value", ["", 5])
def test_rules_invalid_claim_name_is_a_problem(name: str, value: Any) -> None:
    assert problems_of(lambda: Rules(**{name: value})) == {f"rules.{name}": "must be the name of a claim"}


@pytest.mark.parametrize("name", ["min_lifetime", "max_lifetime", "leeway", "max_attributes_bytes", "max_token_bytes"])
@pytest.mark.parametrize("value", [-1, "5", True, float("inf"), float("nan")])
def test_rules_bound_not_a_nonnegative_number_is_a_problem(name: str, value: Any) -> None:
    assert problems_of(lambda: Rules(**{name: value})) == {f"rules.{name}": "must be a number from 0 to 1e12"}


@pytest.mark.parametrize("name", ["leeway", "max_token_bytes"])
def test_rules_mandatory_bound_none_is_a_problem(name: str) -> None:
    value: dict[str, Any] = {name: None}
    assert problems_of(lambda: Rules(**value)) == {f"rules.{name}": "must be a number from 0 to 1e12"}


@pytest.mark.parametrize("name", ["allow_integer_user_id", "require_kid", "string_attributes_only"])
def test_rules_switch_not_bool_is_a_problem(name: str) -> None:
    value: dict[str, Any] = {name: 1}
    assert problems_of(lambda: Rules(**value)) == {f"rules.{name}": "must be true or false"}


@pytest.mark.parametrize("required_values", [[("a", "b")], {"a": 1.5}, {5: "a"}, {"a": None}, {"a": ["b"]}, None])
def test_rules_required_values_invalid_mapping_is_a_problem(required_values: Any) -> None:
    problems = problems_of(lambda: Rules(required_values=required_values))
    assert problems == {"rules.required_values": "must map claim names to strings, integers or booleans"}


def test_rules_min_lifetime_above_max_lifetime_is_a_problem() -> None:
    assert Rules(min_lifetime=5, max_lifetime=5)._has_lifetime_bounds
    problems = problems_of(lambda: Rules(min_lifetime=6, max_lifetime=5))
    assert problems == {"rules.min_lifetime": "is longer than max_lifetime"}
    assert problems_of(lambda: Rules(min_lifetime=6, max_lifetime=0))


def test_rules_several_invalid_settings_all_reported() -> None:
    assert set(problems_of(lambda: Rules(leeway=3601))) == {"rules.leeway"}
    assert Rules(leeway=3600).leeway == 3600
    value: Any = {"required_claims": "sub", "leeway": -1, "required_values": 5, "app_claim": ""}
    assert set(problems_of(lambda: Rules(**value))) == {
        "rules.required_claims",
        "rules.leeway",
        "rules.required_values",
        "rules.app_claim",
    }


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "Application/JWT"])
def test_media_type_case_and_prefix_are_ignored(typ: str) -> None:
    assert media_type(typ) == "jwt"


# --- revocations


def test_revocations_defaults_are_empty() -> None:
    assert Revocations() == Revocations(issued_before=None, users={}, token_ids=frozenset())


def test_revocations_token_ids_list_becomes_frozenset() -> None:
    value: Any = {"issued_before": 0, "users": {"u": 1.5}, "token_ids": ["a", "b"]}
    assert Revocations(**value).token_ids == frozenset({"a", "b"})


def test_revocations_token_ids_iterator_is_kept_complete() -> None:
    value: Any = (item for item in ("a", "b"))
    assert Revocations(token_ids=value).token_ids == {"a", "b"}


@pytest.mark.parametrize("before", [-1, True, "1", 253402300800, float("nan"), float("inf")])
def test_revocations_issued_before_not_numeric_date_is_a_problem(before: Any) -> None:
    assert problems_of(lambda: Revocations(issued_before=before)) == {
        "revocations.issued_before": "must be a NumericDate"
    }


@pytest.mark.parametrize("users", [["u"], {5: 1}, {"u": "1"}, {"u": -1}, None])
def test_revocations_users_not_numeric_dates_is_a_problem(users: Any) -> None:
    assert problems_of(lambda: Revocations(users=users)) == {"revocations.users": "must map user ids to NumericDates"}


@pytest.mark.parametrize("token_ids", ["abc", b"abc", [5], 5, None])
def test_revocations_token_ids_not_strings_is_a_problem(token_ids: Any) -> None:
    problems = problems_of(lambda: Revocations(token_ids=token_ids))
    assert problems.keys() == {"revocations.token_ids"}
    assert "of strings" in problems["revocations.token_ids"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": 5}, "must be the name of a profile, or None"),
        ({"format_error": {}}, "must be a function that takes a Refusal and returns a status and a body, or None"),
        ({"allowed_scopes": [["x"]]}, "is not a non-empty string"),
        ({"token_locations": [Bearer]}, "is not a location"),
        ({"app_locations": [Header]}, "is not a location"),
    ],
)
def test_app_setting_of_wrong_type_is_a_problem(settings: dict[str, Any], message: str) -> None:
    assert list(problems_of(lambda: App("acme", **settings)).values()) == [message]


def test_app_hash_secret_equal_to_token_secret_is_a_problem() -> None:
    rule = IdentityHash(secret=secret(), companies=CompanyHash(secret=secret(OTHER_KEY)))
    for key in (KEY, OTHER_KEY):
        problems = problems_of(lambda key=key: App("acme", credentials=[secret(key)], identity_hash=rule))  # type: ignore[misc]  # a default
        assert list(problems) == ["credentials[0]"]
    assert App("acme", credentials=[secret(bytes(range(2, 34)))], identity_hash=rule).identity_hash is rule


def test_app_identity_hash_of_wrong_type_is_a_problem() -> None:
    invalid: Any = "userHash"
    assert list(problems_of(lambda: App("acme", identity_hash=invalid))) == ["identity_hash"]


def test_app_body_locations_other_than_token_extend_body_types() -> None:
    rule = IdentityHash(secret=secret(), hash_location=JsonBody("hash", types=("text/plain",)))
    app = App("acme", claimed_user_locations=[JsonBody("id", types=("text/x",))], identity_hash=rule)
    assert app.located_tokens.body_types == {"application/json", "text/plain", "text/x"}
    assert App("acme").located_tokens.body_types == frozenset()


def test_app_aliases_become_further_id_refs() -> None:
    assert App("acme", aliases=["acme-inc"]).refs() == (AppRef("id", "acme"), AppRef("id", "acme-inc"))
    invalid: Any = 7
    assert list(problems_of(lambda: App("acme", aliases=["a b", invalid]))) == ["aliases[0]", "aliases[1]"]
    assert list(problems_of(lambda: App("acme", claimed_user_locations=[invalid]))) == ["claimed_user_locations[0]"]


def test_rules_protected_attributes_not_a_list_is_a_problem() -> None:
    assert Rules(protected_attributes=frozenset({"plan"})).protected_attributes == {"plan"}
    invalid: Any = "plan"
    assert list(problems_of(lambda: Rules(protected_attributes=invalid))) == ["rules.protected_attributes"]
    assert list(problems_of(lambda: Rules(protected_company_attributes=invalid))) == [
        "rules.protected_company_attributes"
    ]

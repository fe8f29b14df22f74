"""Locations that vendors' clients use: schemes, forms, encoded tokens, names in a token, precedence."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest

from tests.support.toml_files import problems_of as file_problems
from tests.support.toml_files import write
from tests.support.unit import KEY, NOW, acme, claims, problems_of, refusal_of, token
from wicket import (
    App,
    Base64Encoded,
    Bearer,
    ClientDefaults,
    Cookie,
    Decision,
    FormBody,
    Gate,
    Header,
    JsonBody,
    PathSegment,
    Query,
    Request,
    Secret,
    Subprotocol,
    TokenClaim,
    TokenIssuer,
    TokenKeyId,
    profiles,
)
from wicket.messages.form_body import FORM_TYPE

GOOD = token()
OTHER = token({**claims(), "sub": "user-2"})


def code(decision: Decision) -> str | None:
    refusal = decision.refusal
    return None if refusal is None else refusal.reason or refusal.code


def decided(app: App, request: Request, *others: App, **settings: Any) -> Decision:
    """The decision of a gate; the same request is decided a second time on the fast path."""
    with Gate([app, *others], clock=lambda: NOW, **settings) as gate:
        first = gate.decide(request)
        if request.document is None and request.body is None:
            second = gate.decide(request)
            assert (second.allowed, code(second)) == (first.allowed, code(first))
        return first


def authorization(value: str, *more: tuple[str, str]) -> Request:
    return Request(headers=[("Authorization", value), *more])


def form(body: str, media_type: str = FORM_TYPE, *headers: tuple[str, str]) -> Request:
    return Request("POST", headers=[("Content-Type", media_type), *headers], body=body.encode())


# --- schemes


@pytest.mark.parametrize(
    ("scheme", "value", "read"),
    [
        (None, "a.b.c", "a.b.c"),
        (None, " a.b.c ", "a.b.c"),
        (None, "Bearer a.b.c", None),
        (None, 'Digest a="b", c="d"', None),
        (None, "", None),
        ("Token", "Token a.b.c", "a.b.c"),
        ("Token", "token  a.b.c", "a.b.c"),
        ("Token", "Tokens a.b.c", None),
        ("Token", "Bearer a.b.c", None),
        ("Token", "a.b.c", None),
    ],
)
def test_header_authorization_scheme_value_read(scheme: str | None, value: str, read: str | None) -> None:
    assert Header("Authorization", scheme=scheme).read(authorization(value)) == read


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (None, "a.b.c, d.e.f"),
        (None, "a.b.c,d.e.f"),
        ("Token", "Token"),
        ("Token", "Token a b"),
        ("Token", "Token a, b"),
    ],
)
def test_header_authorization_two_values_invalid_request(scheme: str | None, value: str) -> None:
    assert (
        refusal_of(lambda: Header("Authorization", scheme=scheme).read(authorization(value))).code == "invalid_request"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.b.c,Bearer x", "invalid_request"),
        ("a.b.c, Bearer x", "invalid_request"),
        ("Basic x,a.b.c", "invalid_request"),
        ("Basic x,", "invalid_request"),
        ("Digest " + "a=b," * 3000, "invalid_request"),
        ('Digest a="b,c", d="e,f"', None),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c", None),
    ],
)
def test_header_authorization_without_scheme_comma(value: str, expected: str | None) -> None:
    location = Header("Authorization")
    if expected is None:
        assert location.read(authorization(value)) is None
    else:
        assert refusal_of(lambda: location.read(authorization(value))).code == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Digest a=b, Bearer x", "invalid_request"),
        ("Digest a=bearer", None),
        ("Digest a=b,bearer", "invalid_request"),
        ("Digest a=b,", "invalid_request"),
        ("Digest a=bearer, c=bearer x", None),
        ("Digest " + "a=bearer, " * 9 + "c=d", "invalid_request"),
        (" , Bearer x", "invalid_request"),
        ("," * 8000, "invalid_request"),
        ("Digest " + "a=b, " * 2000, "invalid_request"),
    ],
)
def test_bearer_beside_another_scheme_with_commas(value: str, expected: str | None) -> None:
    if expected is None:
        assert Bearer().read(authorization(value)) is None
    else:
        assert refusal_of(lambda: Bearer().read(authorization(value))).code == expected


@pytest.mark.parametrize("scheme", [None, "Token"])
def test_header_authorization_token_verified(scheme: str | None) -> None:
    app = acme(token_locations=[Header("Authorization", scheme=scheme)])
    prefix = "" if scheme is None else "Token "
    assert decided(app, authorization(f"{prefix}{GOOD}")).identity.verified
    assert code(decided(app, authorization(f"Bearer {GOOD}"))) == "missing_token"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("X-Token", "id", "Token"), "scheme"),
        (("Authorization", "id", "a b"), "scheme"),
        (("Authorization", "id", "bearer"), "scheme"),
    ],
)
def test_header_scheme_invalid_is_a_problem(arguments: tuple[Any, ...], path: str) -> None:
    assert set(problems_of(lambda: Header(*arguments))) == {path}


# --- forms


def test_form_body_app_and_token_verified() -> None:
    app = acme(app_locations=[FormBody("app")], token_locations=[FormBody("token")])
    decision = decided(app, form(f"app=acme&x=%C3%A9+1&token={GOOD.replace('.', '%2E')}"), App("b"))
    assert decision.identity.identity == "acme:user-1"


@pytest.mark.parametrize(
    ("body", "media_type", "expected"),
    [
        ("token=a&token=b", FORM_TYPE, "invalid_request"),
        ("token=", FORM_TYPE, "missing_token"),
        ("other=1", FORM_TYPE, "missing_token"),
        ("tok%65n=x", FORM_TYPE, "malformed"),
        ("token=" + "x" * 30_000, FORM_TYPE, "too_large"),
        ("&" * 60_000, FORM_TYPE, "missing_token"),
        ("token=\u00e9", FORM_TYPE, "malformed"),
        (f"token={GOOD}", "application/json", "missing_token"),
        (
            f'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{GOOD}\r\n--x--',
            "multipart/form-data; boundary=x",
            "missing_token",
        ),
    ],
)
def test_form_body_other_value_refused(body: str, media_type: str, expected: str) -> None:
    decision = decided(acme(token_locations=[FormBody("token")]), form(body, media_type))
    assert code(decision) == expected


def test_form_body_not_utf8_refusal_says_so() -> None:
    request = Request("POST", headers=[("Content-Type", FORM_TYPE)], body=b"token=\xe9")
    decision = decided(acme(token_locations=[FormBody("token")]), request)
    assert code(decision) == "missing_token"
    assert decision.refusal is not None
    assert "it is not a form in UTF-8" in decision.refusal.detail


def test_form_body_with_long_field_and_raw_utf8_verified() -> None:
    body = f"text={'x' * 40_000}\u00e9&{'&' * 1000}token={GOOD}"
    assert decided(acme(token_locations=[FormBody("token")]), form(body)).identity.verified


def test_json_body_and_form_body_each_reads_its_type() -> None:
    app = acme(token_locations=[JsonBody("token"), FormBody("token")])
    assert decided(app, form(f"token={GOOD}")).identity.verified
    assert decided(app, form(f'{{"token": "{GOOD}"}}', "application/json")).identity.verified


@pytest.mark.parametrize("media_type", [FORM_TYPE, FORM_TYPE.title()])
def test_json_body_type_of_a_form_is_a_problem(media_type: str) -> None:
    assert set(problems_of(lambda: JsonBody("a", types=(media_type,)))) == {"types"}


@pytest.mark.parametrize("name", ["", None])
def test_form_body_invalid_name_is_a_problem(name: Any) -> None:
    assert set(problems_of(lambda: FormBody(name))) == {"name"}


def test_form_body_describes_itself() -> None:
    location = FormBody("t")
    assert (location.location_name, location.headers, location.body_path) == ("t", (), ("t",))


# --- paths


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/apps/acme/feed", "acme"),
        ("/v1/apps/acme", "acme"),
        ("/v1/apps/", None),
        ("/v1/apps", None),
        ("/v1/appsacme/x", None),
        ("/v2/apps/acme", None),
    ],
)
def test_path_segment_prefix_segment_after_it(path: str, name: str | None) -> None:
    assert PathSegment(prefix="/v1/apps").read(Request(path=path)) == name


@pytest.mark.parametrize("prefix", ["v1", "/v1/", "/v1//apps", "/v1/../x", 3, "/"])
def test_path_segment_invalid_prefix_is_a_problem(prefix: Any) -> None:
    assert set(problems_of(lambda: PathSegment(prefix=prefix))) == {"prefix"}


# --- encoded tokens


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_base64_encoded_token_verified() -> None:
    app = acme(token_locations=[Base64Encoded(Bearer()), Query("access_token")])
    assert decided(app, authorization(f"Bearer {encoded(GOOD)}")).identity.verified
    assert decided(app, Request(query=f"access_token={GOOD}")).identity.verified


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (GOOD, "malformed"),
        (encoded(GOOD)[:-4] + "!!!!", "malformed"),
        (encoded("a.b.cd").rstrip("="), "malformed"),
        (encoded("xy")[:-2] + "l=", "malformed"),
        (base64.b64encode(b"\xff\xfe\xfd").decode(), "malformed"),
        ("\u00e9", "malformed"),
        ("A" * 40_000, "too_large"),
        (encoded("A" * 17_000), "too_large"),
        (encoded(encoded(GOOD)), "malformed"),
    ],
)
def test_base64_encoded_other_value_refused(value: str, expected: str) -> None:
    assert (
        code(decided(acme(token_locations=[Base64Encoded(Header("X-T"))]), Request(headers=[("X-T", value)])))
        == expected
    )


def test_base64_encoded_describes_other_location() -> None:
    location = Base64Encoded(JsonBody("a.b"))
    assert (location.phase, location.types, location.location_name, location.headers, location.body_path) == (
        "body",
        ("application/json",),
        "a.b",
        (),
        ("a", "b"),
    )
    assert Base64Encoded(Cookie("c")).phase == "cookies"
    defaults = ClientDefaults()
    assert Base64Encoded(Header("X-T")).write(defaults, "a.b.c")
    assert defaults.headers == {"x-t": "YS5iLmM="}
    assert not location.reads_path
    assert Base64Encoded(Subprotocol()).without_token(["bearer", "x", "chat"]) == ["chat"]


@pytest.mark.parametrize("location", [Bearer, None, TokenIssuer(), Base64Encoded(Bearer())])
def test_base64_encoded_no_location_is_a_problem(location: Any) -> None:
    assert set(problems_of(lambda: Base64Encoded(location))) == {"location"}


def test_base64_encoded_app_without_token_in_it_missing_token() -> None:
    assert code(decided(acme(token_locations=[Base64Encoded(Bearer())]), Request())) == "missing_token"


# --- the token names the app


def keyed(app_id: str, *, kid: str | None = None, **more: Any) -> str:
    return jwt.encode({**claims(), **more}, KEY, "HS256", {"kid": kid} if kid is not None else None)


def test_token_claim_names_app_with_publishable_key() -> None:
    app = acme(publishable_key="pk_1", app_locations=[TokenClaim("api_key", kind="publishable_key")])
    request = authorization(f"Bearer {keyed('acme', api_key='pk_1')}")
    assert decided(app, request, App("b")).identity.identity == "acme:user-1"
    assert code(decided(app, authorization(f"Bearer {keyed('acme', api_key='pk_2')}"), App("b"))) == "unknown_app"
    assert code(decided(app, authorization(f"Bearer {keyed('acme', api_key=7)}"), App("b"))) == "unknown_app"


def test_token_claim_another_location_names_the_app_claim_not_read() -> None:
    app = acme(app_locations=[Header("X-App-Id"), TokenClaim("api_key")])
    request = authorization(f"Bearer {keyed('acme', api_key='b')}", ("X-App-Id", "acme"))
    assert decided(app, request, App("b")).identity.identity == "acme:user-1"


def test_token_claim_and_issuer_claim_names_the_app() -> None:
    app = acme(app_locations=[TokenIssuer(), TokenClaim("api_key")])
    other = App("b", issuer="https://id.example")
    named = keyed("acme", iss="https://id.example", api_key="acme")
    assert decided(app, authorization(f"Bearer {named}"), other).identity.identity == "acme:user-1"
    by_issuer = keyed("b", iss="https://id.example", api_key="")
    assert code(decided(app, authorization(f"Bearer {by_issuer}"), other)) == "config_missing"


def test_token_claims_that_name_two_apps_invalid_request() -> None:
    app = acme(app_locations=[TokenKeyId(), TokenClaim("api_key")])
    both = keyed("acme", kid="acme", api_key="b")
    assert code(decided(app, authorization(f"Bearer {both}"), App("b"))) == "invalid_request"
    agreed = keyed("acme", kid="acme", api_key="acme")
    assert code(decided(app, authorization(f"Bearer {agreed}"), App("b"))) is None


@pytest.mark.parametrize(
    ("pattern", "kid", "name"),
    [
        ("{app}", "acme", "acme"),
        ("{app}.*", "acme.key-1", "acme"),
        ("{app}.*", "acme.key.1", "acme"),
        ("{app}.*", "acme", None),
        ("app-{app}-v1", "app-acme-v1", "acme"),
        ("app-{app}-v1", "app-acme-v2", None),
        ("app-{app}", "acme", None),
        ("{app}", None, None),
    ],
)
def test_token_key_id_pattern_names_app(pattern: str, kid: str | None, name: str | None) -> None:
    assert TokenKeyId(pattern).read_token(kid, lambda _: None) == name


def test_token_key_id_names_app_of_verified_token() -> None:
    app = App("acme", credentials=[Secret(KEY, kid="acme.1")], app_locations=[TokenKeyId("{app}.*")])
    assert decided(app, authorization(f"Bearer {keyed('acme', kid='acme.1')}"), App("b")).identity.verified
    assert code(decided(app, authorization(f"Bearer {keyed('acme', kid='b.1')}"), App("b"))) == "config_missing"


@pytest.mark.parametrize("pattern", ["", "app", "{app}{app}", "*{app}", "{app}*", "{app}*.", 3])
def test_token_key_id_invalid_pattern_is_a_problem(pattern: Any) -> None:
    assert set(problems_of(lambda: TokenKeyId(pattern))) == {"pattern"}


@pytest.mark.parametrize("name", ["", None])
def test_token_claim_invalid_name_is_a_problem(name: Any) -> None:
    assert set(problems_of(lambda: TokenClaim(name))) == {"name"}


def test_token_claim_describes_itself() -> None:
    location = TokenClaim("api_key")
    assert (location.location_name, location.phase, location.headers) == ("api_key", "token", ())
    assert location.read(Request()) is None
    assert Header("x").read_token(None, lambda _: "x") is None


def test_registry_app_with_changed_names_token_named_again() -> None:
    held = {"app": acme(aliases=["a2"])}

    def load(ref: Any) -> App | None:
        return held["app"] if ref in held["app"].refs() else None

    locations = [TokenKeyId(), TokenClaim("api_key")]
    both = authorization(f"Bearer {keyed('acme', kid='acme', api_key='a2')}")
    with Gate(registry=load, app_locations=locations, clock=lambda: NOW) as gate:
        assert gate.decide(both).identity.verified
        assert gate.decide(both).identity.verified
        held["app"] = acme()
        gate.refresh("acme", purge=True)
        assert not gate.decide(both).allowed


# --- precedence, and a publishable key in place of a token


def test_token_precedence_first_first_location_counts() -> None:
    locations = [JsonBody("featurebaseJwt"), JsonBody("jwtToken")]
    body = f'{{"featurebaseJwt": "{GOOD}", "jwtToken": "{OTHER}"}}'
    request = form(body, "application/json")
    assert decided(acme(token_locations=locations, token_precedence="first"), request).identity.user_id == "user-1"
    again = form(body, "application/json")
    assert code(decided(acme(token_locations=locations), again)) == "invalid_request"


def test_token_precedence_first_headers_before_body() -> None:
    app = acme(token_locations=[Header("X-Old"), Bearer()], token_precedence="first")
    request = authorization(f"Bearer {OTHER}", ("X-Old", GOOD))
    assert decided(app, request).identity.user_id == "user-1"
    assert decided(app, authorization(f"Bearer {OTHER}")).identity.user_id == "user-2"


def test_token_precedence_first_app_named_by_token_first_location_counts() -> None:
    locations = [Header("X-T"), Bearer()]
    settings: dict[str, Any] = {"app_locations": [TokenIssuer()], "token_locations": locations}
    app = acme(issuer="https://id.example", token_precedence="first", **settings)
    request = authorization("Bearer session", ("X-T", keyed("acme", iss="https://id.example")))
    assert decided(app, request, App("b", token_precedence="first")).identity.identity == "acme:user-1"
    assert code(decided(app, request, App("b"))) == "invalid_request"


def test_publishable_key_app_named_by_token_key_is_no_token() -> None:
    settings: dict[str, Any] = {"app_locations": [TokenIssuer()], "token_locations": [Header("X-T"), Bearer()]}
    app = acme(issuer="https://id.example", publishable_key="pk_1", **settings)
    request = authorization("Bearer pk_1", ("X-T", keyed("acme", iss="https://id.example")))
    assert decided(app, request, App("b")).identity.identity == "acme:user-1"
    assert code(decided(app, authorization("Bearer pk_1"), App("b"))) == "unknown_app"


def test_app_invalid_token_precedence_is_a_problem() -> None:
    unknown: Any = "last"
    assert set(problems_of(lambda: acme(token_precedence=unknown))) == {"token_precedence"}


def test_bearer_equal_to_publishable_key_counts_as_absent() -> None:
    app = acme(
        publishable_key="sb_publishable_1",
        app_locations=[Header("apikey", kind="publishable_key")],
        token_locations=[Bearer()],
    )
    named = ("apikey", "sb_publishable_1")
    anonymous = decided(app, authorization("Bearer sb_publishable_1", named), App("b"))
    assert code(anonymous) == "missing_token"
    assert code(decided(app, authorization("Bearer sb_publishable_2", named), App("b"))) == "malformed"
    assert decided(app, authorization(f"Bearer {GOOD}", named), App("b")).identity.verified


def test_bearer_equal_to_publishable_key_other_location_read() -> None:
    app = acme(publishable_key="pk_1", token_locations=[Bearer(), Header("X-T"), Cookie("t"), JsonBody("t")])
    assert decided(app, authorization("Bearer pk_1", ("X-T", GOOD))).identity.verified
    assert decided(app, authorization("Bearer pk_1", ("Cookie", f"t={GOOD}"))).identity.verified
    body = form(f'{{"t": "{GOOD}"}}', "application/json", ("Authorization", "Bearer pk_1"))
    assert decided(app, body).identity.verified
    pk_in_body = form('{"t": "pk_1"}', "application/json", ("Authorization", f"Bearer {GOOD}"))
    assert decided(app, pk_in_body).identity.verified


# --- in a file

FILE = """
[[apps]]
id = "acme"
token_precedence = "first"
token_locations = [
    "header:Authorization Token",
    "header:Authorization",
    "form_body:token",
    "base64:bearer",
    "base64:header:X-T",
]
app_locations = [
    "form_body:app",
    "path:/v1/apps",
    "path:2",
    "token_claim:api_key",
    "token_key_id:{app}.*",
    "token_key_id",
]
"""


def test_toml_locations_of_clients_read(tmp_path: Any) -> None:
    with Gate.from_file(write(tmp_path, FILE), strict=True) as gate:
        (app,) = gate.apps
    assert app.token_locations == (
        Header("Authorization", scheme="Token"),
        Header("Authorization"),
        FormBody("token"),
        Base64Encoded(Bearer()),
        Base64Encoded(Header("X-T")),
    )
    assert app.app_locations == (
        FormBody("app"),
        PathSegment(prefix="/v1/apps"),
        PathSegment(2),
        TokenClaim("api_key"),
        TokenKeyId("{app}.*"),
        TokenKeyId(),
    )
    assert app.located_tokens.takes_first


@pytest.mark.parametrize(
    "word", ["base64", "base64:", "base64:base64:bearer", "base64:query", "base64:absent:x", "form_body"]
)
def test_toml_invalid_location_of_clients_problem_has_its_path(tmp_path: Any, word: str) -> None:
    text = f'[[apps]]\nid = "acme"\ntoken_locations = ["{word}"]\n'
    (path,) = file_problems(tmp_path, text, strict=True)
    assert path.startswith("apps[0].token_locations[0]")


def test_profile_token_precedence_used_by_its_apps() -> None:
    profile = profiles.featurebase.extend(name="first", token_precedence="first")
    assert profile("acme").located_tokens.takes_first

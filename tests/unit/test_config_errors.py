"""Every problem of a configuration names the app, the field and the remedy."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.floors import FILES, SOURCE
from tests.support.unit import KEY, OTHER_KEY, jwk, pem, private_key, rsa_key, secret
from wicket import (
    App,
    Bearer,
    ConfigError,
    Gate,
    IdentityHash,
    Jwks,
    PublicKey,
    Revocations,
    Rules,
    Secret,
    mint,
    profiles,
)
from wicket.errors import Problem, Problems, did_you_mean

UNTYPED: Any = App
GENERIC: Any = profiles.generic


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GENERIC("acme", skew=30), "app acme: skew: is not a setting (did you mean leeway?)"),
        (lambda: GENERIC("acme", leewy=30), "app acme: leewy: is not a setting (did you mean leeway?)"),
        (
            lambda: GENERIC("acme", public_key="pub"),
            "public_key: is not a setting (did you mean publishable_key?)",
        ),
        (
            lambda: profiles.hissuno("acme", credentials=["sk_live_0123456789"]),  # type: ignore[list-item]  # wrong
            "credentials[0]: must be a Secret for HS256, the vendor's only algorithm (wrap it in Secret.from_text",
        ),
        (lambda: GENERIC("acme", rules=Rules()), "app acme: rules: would replace all of the vendor's rules ("),
        (lambda: GENERIC("acme", leeway=-1), "app acme: rules.leeway: must be a number from 0 to 1e12"),
        (
            lambda: UNTYPED("acme", credentials=["sk_live_0123456789"]),
            "app acme: credentials[0]: is not a credential (wrap it in Secret.from_text, Secret.from_hex or "
            "Secret.from_base64, or in PublicKey.from_pem)",
        ),
        (
            lambda: UNTYPED("acme", credentials="sk_live_0123456789"),
            "app acme: credentials: must be a list of credentials, not one string (put square brackets around it)",
        ),
        (lambda: UNTYPED("acme", credentials=[KEY]), "credentials[0]: is not a credential (wrap it in Secret(…))"),
        (lambda: UNTYPED("acme", credentials=[{"kty": "RSA"}]), "(wrap it in PublicKey.from_jwk, or a key set in "),
        (
            lambda: UNTYPED("acme", credentials=[5]),
            "is not a credential (a Secret, a PublicKey or a Jwks)",
        ),
        (lambda: UNTYPED("acme", token_locations=["X-Token"]), "(wrap it in Header(…), Query(…) or JsonBody(…))"),
        (
            lambda: UNTYPED("acme", token_locations=[Bearer]),
            "[0]: is not a location (call the class: Bearer(…))",
        ),
        (lambda: UNTYPED("acme", token_locations=[5]), "token_locations[0]: is not a location (Header('X-App-Id'))"),
        (lambda: UNTYPED("acme", hosts=[""]), "app acme: hosts[0]: is not a host name (1 to 128 visible characters)"),
        (
            lambda: UNTYPED("acme", audience=[5]),
            "audience[0]: is not a non-empty string (write it in quotes)",
        ),
        (
            lambda: UNTYPED("acme", origins="https://a.com"),
            "origins: must be a list of patterns, not one string (",
        ),
        (lambda: UNTYPED("acme", origins=["a.com"]), "app acme: origins[0]: is not an origin"),
        (lambda: UNTYPED("acme", mode="log_only"), "app acme: mode: must be Mode.ENFORCE or Mode.LOG_ONLY"),
        (lambda: UNTYPED("a b"), "id: must be 1 to 128 visible characters"),
        (lambda: UNTYPED(5), "id: must be 1 to 128 visible characters"),
        (
            lambda: IdentityHash(secret="text"),  # type: ignore[arg-type]  # what is wrong
            "identity_hash.secret: must be a Secret (wrap it in Secret.from_text, ",
        ),
        (
            lambda: App("acme", credentials=[secret()], identity_hash=IdentityHash(secret=secret())),
            "app acme: credentials[0]: is also a secret of the identity hash (use two secrets)",
        ),
        (
            lambda: App("acme", credentials=[Jwks("https://id.example/k")]),
            "app acme: credentials[0]: must have an issuer (",
        ),
        (
            lambda: App("acme", revocations=Revocations(users_by_claim={"mail": {"a": 1}})),
            "app acme: revocations.users_by_claim: 'mail' is not a user-id claim of this app (one of sub)",
        ),
        (lambda: mint(App("acme"), "u"), "app acme: credentials: contain no shared secret ("),
        (lambda: mint(App("acme", credentials=[Secret(KEY)]), ""), "app acme: subject: the app would refuse the token"),
        (
            lambda: mint(App("acme", credentials=[secret(kid="a")]), "u", kid="b"),
            "app acme: kid: is not the kid of this key in the app's credentials (one of a)",
        ),
        (
            lambda: mint(App("acme", credentials=[secret()]), "u", algorithm="HS512"),
            "app acme: algorithm: is not allowed for this key by the app's credentials (one of HS256)",
        ),
        (
            lambda: Gate([App("acme", aliases=["one"]), App("two", aliases=["one"])], app_locations=[]),
            "apps: the apps 'acme' and 'two' have the id 'one' (each name belongs to one app)",
        ),
        (
            lambda: Gate([App("acme", credentials=[secret()]), App("two", credentials=[secret()])], app_locations=[]),
            "apps: the apps 'acme' and 'two' have the same secret (create one for each: openssl rand -hex 32)",
        ),
        (lambda: Gate(["acme"]), "apps[0]: is not an App (App('acme', …), or profiles.generic('acme', …))"),  # type: ignore[list-item]  # wrong
        (lambda: PublicKey.from_pem(pem(private_key("ES256")), algorithms=["RS256"]), "(correct algorithms=, or use "),
        (
            lambda: PublicKey.from_jwk({**jwk(rsa_key(), alg="RS256"), "use": "enc"}),
            "its use is not sig (correct ",
        ),
    ],
)
def test_config_error_names_app_field_and_remedy(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build()
    assert message in str(caught.value)
    assert "sk_live" not in str(caught.value)


def test_config_error_in_file_names_app_field_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "wicket.toml"
    path.write_text(
        """
[gate]
limts = {}
limits = { patience = 1 }
[[apps]]
id = "acme"
skew = 5
origin = ["https://a.com"]
mode = "log-only"
profile = "userzz"
token_locations = ["headr:X-Token", "header"]
[[apps.credentials]]
kind = "secrets"
[[apps]]
id = "two"
revocations = { before = 1 }
[apps.rules]
skew = 5
origins = []
""",
        "utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        Gate.from_file(path, strict=True)
    problems = [str(problem) for problem in caught.value.problems]
    for message in (
        "gate.limts: is not a setting (did you mean limits?)",
        "gate.limits.patience: is not a setting (one of app_lifetime, ",
        "app acme: apps[0].origin: is not a setting (did you mean origins?)",
        "app acme: apps[0].mode: is not a mode ('enforce' or 'log_only')",
        "app acme: apps[0].profile: is not a profile (did you mean userz?)",
        "app acme: apps[0].token_locations[0]: is not a location (did you mean header?)",
        "app acme: apps[0].token_locations[1]: is not a location (add its name after a colon; for example ",
        "app acme: apps[0].credentials[0].kind: is not a kind of credential (did you mean secret?)",
        "app two: apps[1].revocations.before: is not a setting (did you mean issued_before?)",
        "app two: apps[1].skew: is not a setting (did you mean leeway?)",
        "app two: apps[1].rules.origins: is not a rule (it is a setting of the app, and belongs before ",
    ):
        assert [problem for problem in problems if problem.startswith(message)], (message, problems)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("leway", "did you mean leeway?"),
        ("skew", "did you mean leeway?"),
        ("iss", "one of leeway, mode"),
        ("colour", "one of leeway, mode"),
        (5, "one of leeway, mode"),
        (None, "one of leeway, mode"),
    ],
)
def test_did_you_mean_similar_name_or_all_names(name: object, hint: str) -> None:
    assert did_you_mean(name, ["mode", "leeway"]) == hint


def test_problems_of_parts_keep_the_app() -> None:
    problems = Problems(app="acme")
    problems.merge("a", ConfigError([Problem("b", "is wrong"), Problem("", "is wrong", "", "other")]))
    assert [(problem.app, problem.path) for problem in problems.found] == [("acme", "a.b"), ("other", "a")]
    error = ConfigError([Problem("b", "is wrong"), Problem("", "is wrong", "", "other")]).of_app("acme")
    assert str(error) == "app acme: b: is wrong; app other: is wrong"
    for invalid in ("a b", "", 5, "a" * 129, OTHER_KEY):
        problems = Problems(app=invalid)
        problems.add("b", "is wrong")
        assert problems.found[0].app is None


def unremedied(source: str) -> Iterator[str]:
    """The calls that make a problem which says neither what the value must be nor how to correct it."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or len(node.args) < 2:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        makes_problem = name in ("config_error", "Problem") or (name == "add" and owner.endswith("problems"))
        has_hint = len(node.args) > 2 or any(keyword.arg == "hint" for keyword in node.keywords)
        if makes_problem and not has_hint and not ast.unparse(node.args[1]).lstrip("f'\"").startswith("must"):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_problem_in_the_source_has_a_remedy(path: Path) -> None:
    assert list(unremedied((SOURCE / path).read_text("utf-8"))) == []


def test_problem_without_remedy_found() -> None:
    assert len(list(unremedied('problems.add("a", "is wrong")\nconfig_error("a", f"{x} is wrong")'))) == 2
    assert (
        list(unremedied('problems.add("a", "is wrong", "x")\nconfig_error("a", "must be x")\nseen.add("a", "b")')) == []
    )

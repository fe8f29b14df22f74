"""The Flask extension: configuration, application factories, blueprints of a module, and decorated views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, request
from flask.views import MethodView

from wicket import ConfigError, Gate, Secret, profiles
from wicket.contrib.flask import (
    Wicket,
    current_identity,
    decision_of,
    exempt,
    identity_of,
    optional,
    requires_identity,
)
from wicket.testing import as_user
from wicket.wsgi import WicketMiddleware


def gate_of(id: str = "acme", name: str = "wicket", **settings: Any) -> Gate:
    secret = Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce")
    rules: dict[str, Any] = {"scopes_claim": "scope", "allowed_scopes": ["read"], **settings}
    return Gate([profiles.generic(id, credentials=[secret], **rules)], name=name)


def me() -> str:
    return current_identity.identity


def greet() -> str:
    return decision_of(request).identity.user_id or "anonymous"


def health() -> str:
    return "ok"


# --- Wicket() and app.config


def test_flask_gate_and_settings_come_from_config() -> None:
    app = Flask("site")
    app.add_url_rule("/me", view_func=me)
    app.add_url_rule("/greet", view_func=greet)
    app.add_url_rule("/health", view_func=health)
    app.config.from_mapping(WICKET_GATE=gate_of(), WICKET_EXEMPT=["/health"], WICKET_OPTIONAL=["/greet"])
    wicket = Wicket()
    wicket.init_app(app)
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/me", "/greet", "/health")] == [401, 200, 200]
    assert as_user(client, "ada", app="acme").get("/me").text == "acme:ada"
    with app.app_context():
        assert wicket.gate is app.config["WICKET_GATE"]


def test_flask_arguments_replace_config() -> None:
    app = Flask("site")
    app.add_url_rule("/health", view_func=health)
    app.config.from_mapping(WICKET_GATE=gate_of("other"), WICKET_EXEMPT=["/other"], WICKET_CORS=False)
    gate = gate_of()
    Wicket(gate_of("replaced"), exempt=["/replaced"]).init_app(app, gate, exempt=["/health"])
    client = app.test_client()
    assert client.get("/health").text == "ok"
    assert "Vary" not in client.get("/other").headers
    assert as_user(client, "ada", app="acme").get("/health").status_code == 200


def test_flask_gate_from_file_in_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "5f" * 31 + "01")
    file = tmp_path / "wicket.toml"
    credential = '[[apps.credentials]]\nkind = "secret"\nenv = "ACME_SECRET"\nencoding = "hex"\n'
    file.write_text(f'[[apps]]\nid = "acme"\nprofile = "generic"\n{credential}', "utf-8")
    app = Flask("site")
    app.add_url_rule("/me", view_func=me)
    app.config["WICKET_FILE"] = file
    Wicket().init_app(app)
    assert as_user(app.test_client(), "ada", app="acme").get("/me").text == "acme:ada"


@pytest.mark.parametrize("config", [{}, {"WICKET_GATE": "wicket.toml"}])
def test_flask_without_gate_raises_config_error(config: dict[str, Any]) -> None:
    app = Flask("site")
    app.config.from_mapping(config)
    with pytest.raises(ConfigError, match=r"app\.config\['WICKET_GATE'\]"):
        Wicket().init_app(app)
    with app.app_context(), pytest.raises(ConfigError, match="must be a Gate"):
        _ = Wicket().gate


def test_flask_invalid_setting_raises_config_error_early() -> None:
    settings: Any = {"exempt": "/health"}
    for arguments in ((), (gate_of(),)):
        with pytest.raises(ConfigError, match="exempt"):
            Wicket(*arguments, **settings)
    with pytest.raises(ConfigError, match="exempt"):
        Wicket(gate_of()).init_app(Blueprint("api", "api"), **settings)
    app = Flask("site")
    app.config["WICKET_CLOSE_ON_EXPIRY"] = "yes"
    with pytest.raises(ConfigError, match="close_on_expiry"):
        Wicket(gate_of()).init_app(app)


# --- blueprints of a module, and factories

module_api = Blueprint("module_api", "module_api", url_prefix="/api")
module_api.add_url_rule("/me", view_func=me)
module_api.add_url_rule("/health", view_func=exempt(health))
module_api.add_url_rule("/greet", view_func=optional(greet))
extension = Wicket()
extension.init_app(module_api)

factory_api = Blueprint("factory_api", "factory_api", url_prefix="/api")
factory_api.add_url_rule("/me", view_func=me)


def by_config(gate: Gate) -> Flask:
    app = Flask("site")
    app.config["WICKET_GATE"] = gate
    app.register_blueprint(module_api)
    return app


def by_init_app(gate: Gate) -> Flask:
    app = Flask("site")
    Wicket(gate).init_app(factory_api)
    app.register_blueprint(factory_api)
    return app


@pytest.mark.parametrize("create_app", [by_config, by_init_app])
def test_p15_flask_blueprint_of_module_in_several_applications(create_app: Callable[[Gate], Flask]) -> None:
    gates = [gate_of("acme"), gate_of("globex")]
    apps = [create_app(gate) for gate in gates]
    for id, app, gate, other in zip(("acme", "globex"), apps, gates, reversed(gates), strict=True):
        assert as_user(app.test_client(), "ada", app=id).get("/api/me").text == f"{id}:ada"
        assert app.test_client().get("/api/me").get_json()["error"] == "missing_token"
        stranger = as_user(app.test_client(), "ada", app=other.apps[0], gate=other)
        assert stranger.get("/api/me").get_json()["error"] in ("unknown_app", "invalid_token")
        assert gate.outcomes()


def test_flask_blueprint_of_module_without_gate_raises_when_registered() -> None:
    with pytest.raises(ConfigError, match="WICKET_GATE"):
        Flask("site").register_blueprint(module_api)


def test_flask_nested_blueprint_is_gated() -> None:
    app, outer, inner = Flask("site"), Blueprint("outer", "outer", url_prefix="/o"), Blueprint("inner", "inner")
    inner.add_url_rule("/me", view_func=me)
    outer.add_url_rule("/open", view_func=health)
    gate = gate_of()
    Wicket(gate).init_app(inner)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert app.test_client().get("/o/open").text == "ok"
    assert app.test_client().get("/o/me").status_code == 401
    assert as_user(app.test_client(), "ada", app="acme").get("/o/me").text == "acme:ada"


def test_flask_blueprint_with_two_gates_requires_both() -> None:
    app, api = Flask("site"), Blueprint("api", "api")
    users, partners = gate_of("acme"), gate_of("partner", "partners", allow_anonymous=True)

    @api.get("/both")
    def both() -> list[str | None]:
        return [identity_of(request, users).user_id, decision_of(request, partners).app_id]

    Wicket(users).init_app(api)
    Wicket(partners).init_app(api)
    app.register_blueprint(api)
    origin = {"Origin": "https://a.example"}
    refused = app.test_client().get("/both", headers=origin)
    assert (refused.status_code, refused.headers.getlist("Access-Control-Allow-Origin")) == (401, ["https://a.example"])
    stranger = as_user(app.test_client(), "ada", app="acme", gate=users).get("/both", headers=origin)
    assert stranger.get_json()["error"] == "unknown_app"  # of the second gate


def test_flask_accessor_refusal_without_extension_is_answered_and_reported_once() -> None:
    app, gate = Flask("site"), gate_of(allow_anonymous=True)
    app.add_url_rule("/me", view_func=me)
    app.wsgi_app = WicketMiddleware(app.wsgi_app, gate)  # type: ignore[method-assign]
    response = app.test_client().get("/me")
    assert (response.status_code, response.get_json()["error"]) == (401, "missing_token")
    assert [outcome.count for outcome in gate.outcomes() if outcome.stage == "handler"] == [1]


# --- decorators of views


def decorated(app: Flask | Blueprint) -> None:
    app.add_url_rule("/me", "me", me)
    app.add_url_rule("/health", "health", exempt(health), methods=["GET", "OPTIONS"])
    app.add_url_rule("/greet", "greet", optional(greet))

    @app.get("/scoped/<item>")
    @optional
    @requires_identity("read")
    def scoped(item: str) -> str:
        return item

    @app.get("/async")
    @exempt
    async def open_async() -> str:
        return "async"

    class Things(MethodView):
        decorators = [optional]  # noqa: RUF012 - the way that Flask documents

        def get(self, item: int) -> str:
            return greet()

    app.add_url_rule("/things/<int:item>/", view_func=Things.as_view("things"))


@pytest.mark.parametrize("whole", [True, False])
def test_flask_decorated_views_are_exempt_or_optional(whole: bool) -> None:
    gate, app, api = gate_of(), Flask("site"), Blueprint("api", "api")
    decorated(app if whole else api)
    Wicket(gate).init_app(app if whole else api)
    app.register_blueprint(api)
    client, user = app.test_client(), as_user(app.test_client(), "ada", app="acme", gate=gate)
    assert client.get("/me").get_json()["error"] == "missing_token"
    assert client.get("/health").text == "ok"
    assert client.get("/async").text == "async"
    assert client.get("/greet").text == client.get("/things/1/").text == "anonymous"
    assert user.get("/greet").text == user.get("/things/1/").text == "ada"
    assert client.get("/scoped/x").get_json()["error"] == "missing_token"
    assert user.get("/scoped/x").get_json()["error"] == "insufficient_scope"
    assert as_user(user, "ada", app="acme", gate=gate, scope="read").get("/scoped/x").text == "x"
    bad = client.get("/greet", headers={"Authorization": "Bearer nonsense"})
    assert (bad.status_code, bad.get_json()["error"]) == (401, "invalid_token")
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert client.options("/greet", headers=preflight).status_code == 204


def test_flask_decorated_application_gates_what_has_no_decorated_view() -> None:
    app = Flask("site")
    decorated(app)
    Wicket(gate_of(), exempt=["/by-path"]).init_app(app)
    client = app.test_client()
    for path in ("/nowhere", "/things/x/", "/health/", "/HEALTH"):
        assert client.get("/", environ_overrides={"PATH_INFO": path}).status_code == 401, path
    assert client.post("/greet").status_code == 401  # another method has no view
    assert client.get("/things/1").status_code == 401  # a redirect of the router
    assert client.get("/by-path").status_code == 404


class Overriding:
    """A middleware inside the gate that changes the path or the method of the request."""

    def __init__(self, app: Any, **changes: str) -> None:
        self.app, self.changes = app, changes

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.update(self.changes)
        found: Iterable[bytes] = self.app(environ, start_response)
        return found


@pytest.mark.parametrize("path", ["/health", "/greet"])
@pytest.mark.parametrize("changes", [{"PATH_INFO": "/me"}, {"REQUEST_METHOD": "DELETE"}, {"PATH_INFO": "/nowhere"}])
def test_flask_view_other_than_assumed_is_gated(path: str, changes: dict[str, str]) -> None:
    app = Flask("site")
    decorated(app)

    @app.delete("/health", endpoint="delete_health")
    @app.delete("/greet", endpoint="delete_greet")
    def delete() -> str:
        raise AssertionError("the gate must refuse this request")

    app.wsgi_app = Overriding(app.wsgi_app, **changes)  # type: ignore[method-assign]
    Wicket(gate_of()).init_app(app)
    response = app.test_client().get(path, headers={"Origin": "https://a.example"})
    assert (response.status_code, response.get_json()["error"]) == (401, "missing_token")
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_flask_environ_of_exempt_view_used_again_for_another_path_is_gated() -> None:
    app = Flask("site")
    decorated(app)
    app.config["WICKET_EXEMPT"] = ["/static/*"]
    Wicket(gate_of()).init_app(app)

    @app.get("/static/batch")
    def batch() -> list[int]:
        statuses: list[int] = []

        def start_response(status: str, *rest: Any) -> Callable[[bytes], object]:
            statuses.append(int(status[:3]))
            return statuses.append  # type: ignore[return-value]  # unused

        for path in ("/health", "/me", "/health"):
            app({**request.environ, "PATH_INFO": path, "wicket.assumed_endpoint": "health"}, start_response)
        return statuses

    assert app.test_client().get("/static/batch").get_json() == [200, 401, 200]

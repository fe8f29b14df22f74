"""Apps and gate settings from a TOML file. Secrets stand in the environment or in files of their own, never here."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import ssl
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.locations import is_valid_name
from wicket.config.network import Network
from wicket.config.revocations import Revocations
from wicket.errors import ConfigError, Problem, Problems, config_error
from wicket.keys import Credential, Jwks, PublicKey, Secret
from wicket.limits import Limits
from wicket.profiles import BY_NAME, Profile
from wicket.profiles.profile import RuleChanges
from wicket.registry.toml_locations import NAMING, TOKENS, read_places

_log: Final = logging.getLogger("wicket")

_GATE: Final = frozenset(
    {"name", "mode", "realm", "error_docs", "app_locations", "token_locations", "limits", "network"}
)
_PLAIN: Final = frozenset(
    {
        "publishable_key",
        "hosts",
        "issuer",
        "audience",
        "origins",
        "require_origin",
        "allow_anonymous",
        "allowed_scopes",
        "aliases",
    }
)
_APP: Final = _PLAIN | {
    *(
        "id",
        "profile",
        "mode",
        "origin_mode",
        "credentials",
        "rules",
        "revocations",
        "token_locations",
        "app_locations",
    ),
    *("claimed_user_locations", "identity_hash"),
}
_ALL: Final = ", ".join(sorted(_APP))
_KINDS: Final = ("secret", "public_key", "jwks")
_ENCODINGS: Final[Mapping[str, Callable[..., Secret]]] = {
    "text": Secret.from_text,
    "hex": Secret.from_hex,
    "base64": Secret.from_base64,
}


def read_file(path: str | os.PathLike[str], *, strict: bool) -> tuple[list[App | BrokenApp], dict[str, Any]]:
    """The apps of a file, broken ones as `BrokenApp`, and the settings of its gate.

    Raises `ConfigError` with every problem of the file where it cannot be read, where its `[gate]` or the name of an
    app is wrong, where no app is usable, and, with `strict`, for any problem.
    """
    source = Path(path)
    document = _load(source)
    fatal, partial = Problems(), Problems()
    for name in document.keys() - {"gate", "apps"}:
        fatal.add(name, "is not a table of this file", "[gate] and [[apps]]")
    settings = _gate(fatal, document.get("gate", {}))
    tables = document.get("apps", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        fatal.add("apps", "must be tables", "start each with [[apps]]")
        tables = []
    apps: list[App | BrokenApp] = []
    for index, table in enumerate(tables):
        where = f"apps[{index}]"
        if not isinstance(table.get("id"), str) or not is_valid_name(table["id"]):
            fatal.add(f"{where}.id", "must be 1 to 128 visible characters")
            continue
        try:
            apps.append(_app(table, source.parent))
        except ConfigError as error:
            partial.merge_problems(where, error)
            apps.append(_broken(table))
        except (TypeError, ValueError, OverflowError):  # a value of a kind that nobody thought of is one app's trouble
            partial.add(where, "has a value of the wrong kind")
            apps.append(_broken(table))
    if fatal.found or (partial.found and (strict or not any(isinstance(app, App) for app in apps))):
        raise ConfigError([*fatal.found, *partial.found])
    for problem in partial.found:
        _log.error("%s: %s; the app answers config_invalid", source.name, problem)
    return apps, settings


def _load(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except OSError as error:
        raise config_error("", f"{source.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise config_error("", f"{source.name} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise config_error("", f"{source.name} is not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise config_error("", f"{source.name} is not TOML: a number is too long, or it is nested too deeply") from None


def _gate(problems: Problems, table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        problems.add("gate", "must be a table", "[gate]")
        return {}
    for name in table.keys() - _GATE:
        problems.add(f"gate.{name}", "is not a setting", f"one of {', '.join(sorted(_GATE))}")
    settings: dict[str, Any] = {}
    for name in ("name", "realm", "error_docs"):
        if name in table:
            settings[name] = table[name]
            if not isinstance(table[name], str):
                problems.add(f"gate.{name}", "must be a text")
    if "mode" in table:
        settings["mode"] = _mode(problems, "gate.mode", table["mode"])
    for name, kinds in (("app_locations", NAMING), ("token_locations", TOKENS)):
        if name in table:
            settings[name] = read_places(problems, f"gate.{name}", table[name], kinds)
    if "network" in table:
        settings["network"] = _network(problems, table["network"])
    if "limits" in table:
        try:
            settings["limits"] = Limits(**table["limits"])
        except ConfigError as error:
            problems.merge_problems("gate", error)
        except TypeError:
            problems.add("gate.limits", "has a name that is no limit", f"one of {', '.join(Limits.__slots__)}")
    return settings


def _network(problems: Problems, table: Any) -> Network | None:
    if not isinstance(table, dict) or table.keys() - {"allowed_networks", "extra_ports", "ca_file"}:
        problems.add("gate.network", "must be a table of allowed_networks, extra_ports, ca_file")
        return None
    try:
        options = dict(table)
        authorities = options.pop("ca_file", None)
        context = None if authorities is None else ssl.create_default_context(cafile=authorities)
        return Network(**options, ssl_context=context)
    except ConfigError as error:
        problems.merge_problems("gate", error)
    except (OSError, TypeError, ValueError):
        problems.add("gate.network.ca_file", "cannot be read as authorities in PEM")
    return None


def _mode(problems: Problems, path: str, given: object) -> Mode | None:
    for mode in Mode:
        if given == mode.value:
            return mode
    problems.add(path, "is not a mode", " or ".join(mode.value for mode in Mode))
    return None


def _app(table: Mapping[str, Any], folder: Path) -> App:
    problems = Problems()
    for name in table.keys() - _APP:
        hint = "a rule stands in the table rules" if name in RuleChanges.__annotations__ else f"one of {_ALL}"
        problems.add(name, "is not a setting", hint)
    if table.get("profile", "generic") not in list(BY_NAME):  # any TOML value, not only what can be hashed
        problems.add("profile", "is not a profile", f"one of {', '.join(sorted(BY_NAME))}")
    profile = _profile_of(table)
    settings: dict[str, Any] = {name: table[name] for name in table.keys() & _PLAIN}
    for name in ("mode", "origin_mode"):
        if name in table:
            settings[name] = _mode(problems, name, table[name]) or Mode.ENFORCE
    for name, kinds in (("app_locations", NAMING), ("token_locations", TOKENS), ("claimed_user_locations", TOKENS)):
        if name in table:
            settings[name] = read_places(problems, name, table[name], kinds)
    if "identity_hash" in table:
        try:
            settings["identity_hash"] = _identity_hash(table["identity_hash"], folder)
        except ConfigError as error:
            problems.merge_problems("", error)
    if "revocations" in table:
        try:
            settings["revocations"] = Revocations(**table["revocations"])
        except ConfigError as error:
            problems.merge_problems("", error)
        except TypeError:
            problems.add(
                "revocations", "has a name that is not known", "issued_before, users, users_by_claim, token_ids"
            )
    rules = table.get("rules", {})
    if isinstance(rules, dict):
        settings.update({name: value for name, value in rules.items() if name not in _APP})
        for name in rules.keys() & _APP:
            problems.add(f"rules.{name}", "is not a rule")
    else:
        problems.add("rules", "must be a table")
    credentials = _credentials(problems, table.get("credentials", []), folder)
    try:
        app = profile(table["id"], credentials=credentials, **settings)
    except ConfigError as error:
        problems.merge_problems("", error)
        raise ConfigError(problems.found) from None
    problems.raise_if_any()
    return app


def _profile_of(table: Mapping[str, Any]) -> Profile:
    return BY_NAME.get(str(table.get("profile")), BY_NAME["generic"])


def _broken(table: Mapping[str, Any]) -> BrokenApp:
    """What can be known of an app that is broken: its names, so that its requests are told, and its mode."""
    named = (table.get(name) for name in ("publishable_key", "issuer"))
    public_key, issuer = (value if isinstance(value, str) else None for value in named)
    return BrokenApp(
        table["id"],
        publishable_key=public_key,
        issuer=issuer,
        hosts=tuple(host.lower() for host in _texts(table.get("hosts"))),
        aliases=_texts(table.get("aliases")),
        mode=_mode(Problems(), "", table.get("mode")) or Mode.ENFORCE,
        app_locations=_profile_of(table).app_locations,
        token_locations=_profile_of(table).token_locations,
    )


def _texts(given: object) -> tuple[str, ...]:
    return tuple(each for each in given if isinstance(each, str)) if isinstance(given, list) else ()


def _credentials(problems: Problems, given: Any, folder: Path) -> list[Credential]:
    credentials: list[Credential] = []
    if not isinstance(given, list) or not all(isinstance(table, dict) for table in given):
        problems.add("credentials", "must be tables", "start each with [[apps.credentials]]")
        return credentials
    for index, table in enumerate(given):
        try:
            credentials.append(_credential(table, folder))
        except ConfigError as error:
            problems.merge_problems(f"credentials[{index}]", error)
    return credentials


def _credential(table: Mapping[str, Any], folder: Path) -> Credential:
    kind = table.get("kind")
    if kind not in _KINDS:
        raise config_error("kind", "is not a kind of credential", f"one of {', '.join(_KINDS)}")
    options = {name: table[name] for name in table.keys() - {"kind", "env", "file", "encoding", "discover"}}
    if kind == "jwks" and {"url", "discover"} & table.keys():
        return _remote(table, options)
    if kind != "secret" and "encoding" in table:
        raise config_error("encoding", "is only for a secret")
    encoding = table.get("encoding")
    if kind == "secret" and encoding not in list(_ENCODINGS):
        raise config_error("encoding", "must say how the text spells the secret", f"one of {', '.join(_ENCODINGS)}")
    text = _text(table, folder)
    try:
        if kind == "secret":
            return _ENCODINGS[str(encoding)](text, **options)
        if kind == "public_key":
            return PublicKey.from_pem(text, **options)
        return Jwks.static(_json(text), **options)
    except TypeError:
        known = {
            "secret": "kid, algorithms, allow_short",
            "public_key": "algorithms (needed), kid",
            "jwks": "algorithms; or url, issuer; or discover",
        }
        message = f"does not fit a credential of the kind {kind}"
        raise config_error("", message, f"{known[kind]}, and env or file") from None


def _identity_hash(table: Any, folder: Path) -> IdentityHash:
    """The table `identity_hash`: its secrets are tables like those of credentials, its places are spelled as text."""
    options = _hash_options("identity_hash", table, folder, ("identifier_location", "hash_location"))
    if "companies" in options:
        where = "identity_hash.companies"
        given = _hash_options(where, options["companies"], folder, ("location",))
        try:
            options["companies"] = CompanyHash(**given)
        except ConfigError as error:
            problems = Problems()
            problems.merge_problems(where, error)
            raise ConfigError(problems.found) from None
        except TypeError:
            raise config_error(where, "has a name that is not known, or no secret", _known(CompanyHash)) from None
    try:
        return IdentityHash(**options)
    except TypeError:
        raise config_error(
            "identity_hash", "has a name that is not known, or no secret", _known(IdentityHash)
        ) from None


def _hash_options(path: str, table: Any, folder: Path, places: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise config_error(path, "must be a table")
    problems = Problems()
    options = dict(table)
    secret = options.get("secret")
    if isinstance(secret, dict):
        try:
            options["secret"] = _credential({**secret, "kind": "secret"}, folder)
        except ConfigError as error:
            problems.merge_problems(f"{path}.secret", error)
    for name in places:
        if name in options:
            held = read_places(problems, f"{path}.{name}", [options[name]], TOKENS)
            options[name] = held[0] if held else None
    problems.raise_if_any()
    return options


def _known(kind: type) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))


def _remote(table: Mapping[str, Any], options: dict[str, Any]) -> Credential:
    """A key set that is fetched: by its URL, or from the issuer that `discover` names."""
    try:
        return Jwks.discover(table["discover"], **options) if "discover" in table else Jwks(**options)
    except TypeError:
        raise config_error(
            "", "does not fit a remote key set", "url, issuer, algorithms; or discover, algorithms"
        ) from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise config_error("file", "is not JSON") from None


def _text(table: Mapping[str, Any], folder: Path) -> str:
    """What the environment variable or file of a credential holds, without the line break at its end."""
    places = [name for name in ("env", "file") if isinstance(table.get(name), str)]
    if len(places) != 1:
        raise ConfigError([Problem("", "must name an environment variable or a file", 'env = "ACME_SECRET"')])
    if places == ["env"]:
        text = os.environ.get(table["env"])
        if text is None:
            # What does not look like a name may be the secret itself, and is not repeated.
            name = table["env"] if re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", table["env"]) else "of that name"
            raise config_error("env", f"the environment variable {name} is not set")
    else:
        try:
            text = (folder / table["file"]).read_text("utf-8")
        except OSError as error:
            raise config_error("file", f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise config_error("file", "is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")

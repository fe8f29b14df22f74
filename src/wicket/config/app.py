"""The configuration of one tenant app as an immutable, validated value: names, credentials, rules, origins, mode."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wicket.config.app_checks import (
    check_hash_secrets,
    check_items,
    hash_cutoffs,
    is_name,
    is_nonempty_string,
    remote_sources,
    user_id_claims,
)
from wicket.config.cors import CORS
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import (
    MAX_NAME,
    AppLocation,
    AppRef,
    Bearer,
    Cookie,
    TokenLocation,
    is_location,
)
from wicket.config.origins import OriginPolicy, is_origin
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.config.token_locations import TokenLocations, intern_token_locations
from wicket.config.websocket_refusals import DEFAULT_WEBSOCKET_REFUSALS, WebSocketRefusals
from wicket.errors import ConfigError, Problems, Refusal
from wicket.keys import Credential, Keyring, KeySource
from wicket.keys.keyring import log_untried_keys

_NOTHING: Final[frozenset[str]] = frozenset()


class Mode(enum.Enum):
    """Whether a refused request is rejected (`ENFORCE`) or only reported and passed on as anonymous (`LOG_ONLY`)."""

    ENFORCE = "enforce"
    LOG_ONLY = "log_only"


ErrorFormatter = Callable[[Refusal], tuple[int, Mapping[str, Any]]]
"""A function that takes a refusal and returns a vendor's HTTP status and JSON body for it."""

_EXPECTED: Final = {
    "mode": "Mode.ENFORCE or Mode.LOG_ONLY",
    "origin_mode": "Mode.ENFORCE, Mode.LOG_ONLY or None",
    "rules": "Rules",
    "revocations": "Revocations",
    "identity_hash": "an IdentityHash, or None",
    "websocket_refusals": "WebSocketRefusals",
    "cors": "CORS, or None",
}


@dataclass(frozen=True, init=False, eq=False, slots=True)
class App:
    """The configuration of one tenant app.

    Args:
        id: The app's id: 1 to 128 visible ASCII characters.
        credentials: The secrets, public keys and key sets that verify the app's tokens.
        rules: The rules for the app's tokens.
        profile: The name of the vendor profile that built the app.
        publishable_key: A further name of the app: a public identifier, no cryptographic key.
        hosts: Further names of the app: host names, stored in lower case.
        issuer: The `iss` that the app's tokens must have. It names the app if `TokenIssuer` is an app location. None:
            the issuer of the app's remote key sets, if all have the same one. Independently of this setting, a remote
            key set verifies only tokens whose `iss` is the issuer of that key set.
        audience: The `aud` values of which a token must have at least one. None: a token that has an `aud` is refused
            (RFC 7519 section 4.1.3).
        origins: The patterns of the allowed origins (see `wicket.config.origins`). Empty: every origin is allowed.
        require_origin: Whether to refuse requests without a well-formed Origin header.
        mode: Whether refusals are enforced or only logged.
        origin_mode: The mode of the origin check. None: `mode`.
        allow_anonymous: Whether a request without a token is allowed, as an unverified user.
        revocations: The revoked tokens.
        allowed_scopes: The scopes that the app's tokens may grant. They need the rule `scopes_claim`.
        token_locations: The locations in a request that can hold the token.
        app_locations: The locations in a request that can name the app.
        claimed_user_locations: The locations in which an anonymous request can state its user id, which is unverified.
        aliases: Further ids of the app.
        identity_hash: The settings for requests that carry an identity hash instead of a token. None: such hashes are
            ignored.
        format_error: Returns the vendor's status and body for a refusal. None: `application/problem+json`.
        websocket_refusals: How the ASGI middleware refuses a WebSocket, and the codes with which it closes one.
        cors: The CORS settings. They replace those of the gate as a whole. None: those of the gate.

    Attributes:
        located_tokens: The token locations in order of precedence.
        origin_policy: The compiled `origins`.
        keyring: The keys of all credentials.
        sources: The remote key sets.
        user_id_claims: Every claim that can contain a user id, including the identifier of the identity hash.
        hash_cutoffs: The revocation times (NumericDate) for the identifier of the identity hash, by normalized form.
        revision: An object that no other App has, except a copy of this one. It identifies the settings in caches.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
    """

    id: str
    credentials: tuple[Credential, ...]
    rules: Rules
    profile: str | None
    publishable_key: str | None
    hosts: tuple[str, ...]
    issuer: str | None
    audience: tuple[str, ...]
    origins: tuple[str, ...]
    require_origin: bool
    mode: Mode
    origin_mode: Mode | None
    allow_anonymous: bool
    revocations: Revocations
    allowed_scopes: frozenset[str]
    token_locations: tuple[TokenLocation, ...]
    app_locations: tuple[AppLocation, ...]
    claimed_user_locations: tuple[TokenLocation, ...]
    aliases: tuple[str, ...]
    identity_hash: IdentityHash | None
    format_error: ErrorFormatter | None = field(repr=False)
    websocket_refusals: WebSocketRefusals
    cors: CORS | None
    located_tokens: TokenLocations = field(init=False, repr=False)
    origin_policy: OriginPolicy = field(init=False, repr=False)
    keyring: Keyring = field(init=False, repr=False)
    sources: tuple[KeySource, ...] = field(init=False, repr=False)
    user_id_claims: tuple[str, ...] = field(init=False, repr=False)
    hash_cutoffs: Mapping[str, float] = field(init=False, repr=False)
    revision: object = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        id: str,
        *,
        credentials: Iterable[Credential] = (),
        rules: Rules = Rules(),  # noqa: B008 - a frozen value
        profile: str | None = None,
        publishable_key: str | None = None,
        hosts: Iterable[str] = (),
        issuer: str | None = None,
        audience: str | Iterable[str] | None = None,
        origins: Iterable[str] = (),
        require_origin: bool = False,
        mode: Mode = Mode.ENFORCE,
        origin_mode: Mode | None = None,
        allow_anonymous: bool = False,
        revocations: Revocations = Revocations(),  # noqa: B008 - a frozen value
        allowed_scopes: Iterable[str] = (),
        token_locations: Iterable[TokenLocation] = (Bearer(),),
        app_locations: Iterable[AppLocation] = (),
        claimed_user_locations: Iterable[TokenLocation] = (),
        aliases: Iterable[str] = (),
        identity_hash: IdentityHash | None = None,
        format_error: ErrorFormatter | None = None,
        websocket_refusals: WebSocketRefusals = DEFAULT_WEBSOCKET_REFUSALS,
        cors: CORS | None = None,
    ) -> None:
        problems = Problems()
        audiences = [audience] if isinstance(audience, str) else audience or ()
        values: dict[str, Any] = {
            "id": id,
            "rules": rules,
            "profile": profile,
            "publishable_key": publishable_key,
            "issuer": issuer,
            "require_origin": require_origin,
            "mode": mode,
            "origin_mode": origin_mode,
            "allow_anonymous": allow_anonymous,
            "revocations": revocations,
            "format_error": format_error,
            "identity_hash": identity_hash,
            "websocket_refusals": websocket_refusals,
            "cors": cors,
            "credentials": check_items(problems, "credentials", credentials, _is_credential, "credential"),
            "hosts": check_items(problems, "hosts", hosts, is_name, "host name"),
            "audience": check_items(problems, "audience", audiences, is_nonempty_string, "non-empty string"),
            "allowed_scopes": frozenset(
                item
                for item in check_items(
                    problems, "allowed_scopes", allowed_scopes, is_nonempty_string, "non-empty string"
                )
                if is_nonempty_string(item)
            )
            or _NOTHING,
            "token_locations": _check_token_locations(problems, "token_locations", token_locations),
            "app_locations": check_items(
                problems, "app_locations", app_locations, lambda item: is_location(item, AppLocation), "location"
            ),
            "claimed_user_locations": _check_token_locations(
                problems, "claimed_user_locations", claimed_user_locations
            ),
            "aliases": check_items(problems, "aliases", aliases, is_name, "name"),
        }
        values["hosts"] = tuple(host.lower() for host in values["hosts"] if isinstance(host, str))
        if profile is not None and not isinstance(profile, str):
            problems.add("profile", "must be the name of a profile, or None")
        if format_error is not None and not callable(format_error):
            problems.add(
                "format_error", "must be a function that takes a Refusal and returns a status and a body, or None"
            )
        if not is_name(id):
            problems.add("id", f"must be 1 to {MAX_NAME} visible characters")
        if publishable_key is not None and not is_name(publishable_key):
            problems.add("publishable_key", f"must be 1 to {MAX_NAME} visible characters")
        if issuer is not None and not is_nonempty_string(issuer):
            problems.add("issuer", "must be a non-empty string")
        for name, value, kind in (
            ("mode", mode, Mode),
            ("origin_mode", origin_mode, (Mode, type(None))),
            ("rules", rules, Rules),
            ("revocations", revocations, Revocations),
            ("require_origin", require_origin, bool),
            ("allow_anonymous", allow_anonymous, bool),
            ("identity_hash", identity_hash, (IdentityHash, type(None))),
            ("websocket_refusals", websocket_refusals, WebSocketRefusals),
            ("cors", cors, (CORS, type(None))),
        ):
            if not isinstance(value, kind):
                problems.add(name, f"must be {_EXPECTED.get(name, 'true or false')}")
        try:
            values["origin_policy"] = OriginPolicy(origins)
            values["origins"] = values["origin_policy"].patterns
        except ConfigError as error:
            problems.merge("origins", error)
        has_listed_origins = "origin_policy" in values and values["origin_policy"].explicit
        if any(isinstance(location, Cookie) for location in values["token_locations"]) and not has_listed_origins:
            problems.add("origins", "must be explicit when a cookie carries the token", "https://app.example.com")
        if isinstance(cors, CORS) and cors.credentials and not has_listed_origins:
            problems.add("cors.credentials", "needs explicit origins", "origins=['https://app.example.com']")
        if values["allowed_scopes"] and isinstance(rules, Rules) and rules.scopes_claim is None:
            problems.add("allowed_scopes", "need the rule scopes_claim", "scopes_claim='scope'")
        check_hash_secrets(problems, values["credentials"], identity_hash)
        values["user_id_claims"] = user_id_claims(problems, rules, identity_hash, revocations)
        values["sources"] = remote_sources(problems, values["credentials"], issuer)
        if issuer is None and len({source.issuer for source in values["sources"]}) == 1:
            values["issuer"] = values["sources"][0].issuer
        problems.raise_if_any()
        values["hash_cutoffs"] = hash_cutoffs(identity_hash, revocations)
        hash_locations = identity_hash.locations if identity_hash is not None else ()
        values["located_tokens"] = intern_token_locations(
            values["token_locations"], (*values["claimed_user_locations"], *hash_locations)
        )
        values["revision"] = object()
        values["keyring"] = Keyring(key for credential in values["credentials"] for key in credential.keys)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        log_untried_keys(f"app {id}", self.keyring.never_tried())

    def refs(self) -> tuple[AppRef, ...]:
        """Return every name by which a request can refer to this app, the id first."""
        return app_refs(self)

    def allows_origin(self, origin: str | None) -> bool:
        """Return whether a request with this Origin header is allowed.

        Args:
            origin: The value of the Origin header. None: the request has no such header. With `require_origin`, a
                missing header, an empty value and `null` are not allowed.
        """
        if origin is None:
            return not self.require_origin
        return self.origin_policy.allows(origin) and (not self.require_origin or is_origin(origin))


@dataclass(frozen=True, slots=True)
class BrokenApp:
    """An app whose configuration is invalid. Its requests are refused with `config_invalid`.

    Args:
        id: The app's id, or None if it is unknown.
        publishable_key: The app's publishable key, if the configuration has a readable one.
        hosts: The readable host names of the app.
        issuer: The app's issuer, if the configuration has a readable one.
        mode: Whether refusals are enforced or only logged.
        app_locations: The locations in a request that can name the app.
        token_locations: The locations in a request that can hold the token.
        aliases: The readable further ids of the app.
        confirmed: Whether a configuration confirms that the app exists. If False, `id` is only the name that a request
            used.
    """

    id: str | None
    publishable_key: str | None = None
    hosts: tuple[str, ...] = ()
    issuer: str | None = None
    mode: Mode = Mode.ENFORCE
    app_locations: tuple[AppLocation, ...] = ()
    token_locations: tuple[TokenLocation, ...] = ()
    aliases: tuple[str, ...] = ()
    confirmed: bool = True

    def refs(self) -> tuple[AppRef, ...]:
        """Return every readable name of the app, the id first."""
        return app_refs(self)


def app_refs(app: App | BrokenApp) -> tuple[AppRef, ...]:
    """Return the names of an app as references, the id first."""
    names = (
        ("id", app.id),
        ("publishable_key", app.publishable_key),
        *(("host", host) for host in app.hosts),
        ("issuer", app.issuer),
        *(("id", alias) for alias in app.aliases),
    )
    return tuple(AppRef(kind, value) for kind, value in names if value is not None)  # type: ignore[arg-type]  # literals


def _is_credential(value: Any) -> bool:
    return isinstance(getattr(value, "keys", None), tuple)


def _check_token_locations(problems: Problems, path: str, locations: object) -> tuple[Any, ...]:
    return check_items(problems, path, locations, lambda item: is_location(item, TokenLocation), "location")

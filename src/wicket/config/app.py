"""The configuration of one tenant app as an immutable, validated value: names, credentials, rules, origins, mode."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from wicket.config import app_checks as checks
from wicket.config.cors import CORS
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import AppLocation, AppRef, Bearer, TokenLocation
from wicket.config.message_hash import MessageHash
from wicket.config.origins import OriginPolicy, is_origin
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.config.token_locations import TokenLocations, intern_token_locations
from wicket.config.websocket_refusals import DEFAULT_WEBSOCKET_REFUSALS, WebSocketRefusals
from wicket.errors import Problems, Refusal
from wicket.keys import Credential, Keyring, KeySource, Secret
from wicket.keys.keyring import log_untried_keys
from wicket.settings import boolean, check_settings, instance_of, is_sync_function, or_none, satisfies, setting


class Mode(enum.Enum):
    """Whether a refused request is rejected (`ENFORCE`) or only reported and passed on as anonymous (`LOG_ONLY`)."""

    ENFORCE = "enforce"
    LOG_ONLY = "log_only"


ErrorFormatter = Callable[[Refusal], tuple[int, Mapping[str, Any]]]
"""A function that takes a refusal and returns a vendor's HTTP status and JSON body for it."""


ClaimsCheck = Callable[[Mapping[str, Any]], str | None]
"""A function of the claims of a token that returns why it refuses the token, or None."""


@dataclass(frozen=True, eq=False, slots=True)
class App:
    """The configuration of one tenant app.

    Attributes:
        located_tokens: The token locations in order of precedence.
        origin_policy: The compiled `origins`.
        keyring: The keys of all credentials.
        sources: The remote key sets.
        user_id_claims: Every claim that can contain a user id, including the identifiers of hashes.
        hash_cutoffs: The revocation times (NumericDate) for the identifiers of the identity hash, by their names and
            normalized forms.
        has_request_checks: Whether each request needs the claims, for revocations or for `check`.
        revision: An object that no other App has, except a copy of this one. It identifies the settings in caches.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
    """

    id: str = setting(checks.name, form="id")
    """The app's id: 1 to 128 visible ASCII characters."""
    _: KW_ONLY
    credentials: tuple[Credential, ...] = setting(checks.credentials, default=(), form="credentials")
    """The secrets, public keys and key sets that verify the app's tokens. Without any, a token is refused as
    `config_missing`."""
    rules: Rules = setting(instance_of(Rules, "Rules"), default=Rules(), form="rules")
    """The rules for the app's tokens."""
    profile: str | None = setting(
        or_none(instance_of(str, "the name of a profile, or None")), default=None, form="profile"
    )
    """The name of the vendor profile that built the app."""
    publishable_key: str | None = setting(or_none(checks.name), default=None)
    """A further name of the app: a public identifier, no cryptographic key."""
    hosts: tuple[str, ...] = setting(checks.hosts, default=())
    """Further names of the app: host names, stored in lower case."""
    issuer: str | None = setting(or_none(checks.nonempty_string), default=None)
    """The `iss` that the app's tokens must have. It names the app if `TokenIssuer` is an app location. None: the issuer
    of the app's remote key sets, if all have the same one. Independently of this setting, a remote key set verifies
    only tokens whose `iss` is the issuer of that key set."""
    audience: tuple[str, ...] = setting(checks.audience, default=None, preset=True)
    """The `aud` values of which a token must have at least one. None: a token that has an `aud` is refused (RFC 7519
    section 4.1.3)."""
    origins: tuple[str, ...] = setting(checks.origins, default=())
    """The patterns of the allowed origins (see `wicket.config.origins`). Empty: every origin is allowed."""
    require_origin: bool = setting(boolean, default=False)
    """Whether to refuse requests without a well-formed Origin header."""
    mode: Mode = setting(instance_of(Mode, "Mode.ENFORCE or Mode.LOG_ONLY"), default=Mode.ENFORCE, form="mode")
    """Whether refusals are enforced or only logged."""
    origin_mode: Mode | None = setting(
        or_none(instance_of(Mode, "Mode.ENFORCE, Mode.LOG_ONLY or None")), default=None, form="mode"
    )
    """The mode of the origin check. None: `mode`."""
    allow_anonymous: bool = setting(boolean, default=False, preset=True)
    """Whether a request without a token is allowed, as an unverified user. An invalid token is still refused."""
    revocations: Revocations = setting(
        instance_of(Revocations, "Revocations"), default=Revocations(), form="revocations"
    )
    """The revoked tokens."""
    allowed_scopes: frozenset[str] = setting(checks.scopes, default=())
    """The scopes that the app's tokens may grant. They need the rule `scopes_claim`."""
    token_locations: tuple[TokenLocation, ...] = setting(
        checks.token_locations, default=(Bearer(),), form="token_locations", preset=True
    )
    """The locations in a request that can hold the token."""
    token_precedence: Literal["must_agree", "first"] = setting(
        satisfies(("must_agree", "first").__contains__, "must be must_agree or first"),
        default="must_agree",
        preset=True,
    )
    """Which token counts if several headers and query parameters, several cookies, or several fields of the body hold
    one. `must_agree`: different tokens are refused as `invalid_request`. `first`: the first of `token_locations` that
    holds one counts, and the others are not read."""
    app_locations: tuple[AppLocation, ...] = setting(
        checks.app_locations, default=(), form="app_locations", preset=True
    )
    """The locations in a request that can name the app."""
    claimed_user_locations: tuple[TokenLocation, ...] = setting(
        checks.token_locations, default=(), form="token_locations", preset=True
    )
    """The locations in which an anonymous request can state its user id, which is unverified."""
    aliases: tuple[str, ...] = setting(checks.names, default=())
    """Further ids of the app."""
    identity_hash: IdentityHash | None = setting(
        or_none(instance_of(IdentityHash, "an IdentityHash, or None")), default=None, form="identity_hash"
    )
    """The settings for requests that carry an identity hash instead of a token. None: such hashes are ignored."""
    message_hash: MessageHash | None = setting(
        or_none(instance_of(MessageHash, "a MessageHash, or None")), default=None, form="message_hash"
    )
    """The settings for hashes in messages, which `Gate.verify_hash` verifies. None: such hashes are refused."""
    known_attributes: frozenset[str] | None = setting(checks.names_or_none, default=None, preset=True)
    """The attributes of users that `merge_unsigned` keeps. Signed and unsigned values of other attributes are reported
    and not kept. None: all attributes are kept."""
    known_company_attributes: frozenset[str] | None = setting(checks.names_or_none, default=None, preset=True)
    """The same as `known_attributes` for the attributes of companies. The `id` of a company is always kept."""
    widget_settings: frozenset[str] = setting(checks.attribute_names, default=(), preset=True)
    """The members of the client's body that configure the widget. They never become attributes."""
    format_error: ErrorFormatter | None = setting(
        or_none(
            satisfies(callable, "must be a function that takes a Refusal and returns a status and a body, or None")
        ),
        default=None,
        form="extension",
        preset=True,
        repr=False,
    )
    """Returns the vendor's status and body for a refusal. None: `application/problem+json`."""
    websocket_refusals: WebSocketRefusals = setting(
        instance_of(WebSocketRefusals, "WebSocketRefusals"),
        default=DEFAULT_WEBSOCKET_REFUSALS,
        form="websocket_refusals",
        preset=True,
    )
    """How the ASGI middleware refuses a WebSocket, and the codes with which it closes one."""
    cors: CORS | None = setting(or_none(instance_of(CORS, "CORS, or None")), default=None, form="cors")
    """The CORS settings. They replace those of the gate as a whole. None: those of the gate."""
    check: ClaimsCheck | None = setting(
        or_none(
            satisfies(
                is_sync_function,
                "must be a function of the claims that is not async and returns a string or None, or None",
            )
        ),
        default=None,
        form="extension",
        preset=True,
        repr=False,
    )
    """A further check of a token, which is called with a read-only view of the claims after every other check, for each
    request. It returns None to accept the token. A string refuses it, and is the `detail` of `bad_claim`. Any other
    value or an exception is an `internal_error`. It must not block."""
    located_tokens: TokenLocations = field(init=False, repr=False)
    origin_policy: OriginPolicy = field(init=False, repr=False)
    keyring: Keyring = field(init=False, repr=False)
    sources: tuple[KeySource, ...] = field(init=False, repr=False)
    user_id_claims: tuple[str, ...] = field(init=False, repr=False)
    hash_cutoffs: Mapping[tuple[str, str], float] = field(init=False, repr=False)
    has_request_checks: bool = field(init=False, repr=False)
    revision: object = field(init=False, repr=False, compare=False)

    if TYPE_CHECKING:  # the dataclass has the real one, whose parameters are the settings

        def __init__(
            self,
            id: str,
            *,
            credentials: Iterable[Credential] = ...,
            rules: Rules = ...,
            profile: str | None = ...,
            **settings: Unpack[AppOptions],
        ) -> None: ...

    def __post_init__(self) -> None:
        problems = Problems(app=self.id)
        check_settings(problems, self)
        policy: Any = self.origins  # the check returns the compiled origins
        has_cookie = any(getattr(location, "phase", None) == "cookies" for location in self.token_locations)
        if has_cookie and not policy.explicit:
            problems.add("origins", "must be explicit when a cookie carries the token", "https://app.example.com")
        if isinstance(self.cors, CORS) and self.cors.credentials and not policy.explicit:
            problems.add("cors.credentials", "needs explicit origins", "origins=['https://app.example.com']")
        if self.allowed_scopes and isinstance(self.rules, Rules) and not self.rules.scopes_claim:
            problems.add("allowed_scopes", "need the rule scopes_claim", "scopes_claim='scope'")
        checks.check_hash_secrets(problems, self.credentials, self.identity_hash, self.message_hash)
        user_id_claims = checks.user_id_claims(
            problems, self.rules, self.identity_hash, self.message_hash, self.revocations
        )
        sources = checks.remote_sources(problems, self.credentials, self.issuer)
        problems.raise_if_any()
        hash_locations = self.identity_hash.locations if self.identity_hash is not None else ()
        same_issuer = self.issuer is None and len({source.issuer for source in sources}) == 1
        computed = {
            "issuer": sources[0].issuer if same_issuer else self.issuer,
            "origins": policy.patterns,
            "origin_policy": policy,
            "user_id_claims": user_id_claims,
            "sources": sources,
            "hash_cutoffs": checks.hash_cutoffs(self.identity_hash, self.revocations),
            "located_tokens": intern_token_locations(
                self.token_locations,
                (*self.claimed_user_locations, *hash_locations),
                takes_first=self.token_precedence == "first",
            ),
            "has_request_checks": self.revocations._enabled or self.check is not None,
            "revision": object(),
            "keyring": Keyring(key for credential in self.credentials for key in credential.keys),
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)
        log_untried_keys(f"app {self.id}", self.keyring.never_tried())

    @property
    def hash_secrets(self) -> tuple[Secret, ...]:
        """The secrets of identity hashes and of hashes in messages. None of them may sign tokens."""
        identity_secrets = self.identity_hash.secrets if self.identity_hash is not None else ()
        return identity_secrets if self.message_hash is None else (*identity_secrets, self.message_hash.secret)

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


class ProfileDefaults(TypedDict, total=False):
    """The settings of `App` that a profile can set for all its apps, for type checkers."""

    audience: str | Iterable[str] | None
    allow_anonymous: bool
    token_locations: Iterable[TokenLocation]
    token_precedence: Literal["must_agree", "first"]
    app_locations: Iterable[AppLocation]
    claimed_user_locations: Iterable[TokenLocation]
    known_attributes: Iterable[str] | None
    known_company_attributes: Iterable[str] | None
    widget_settings: Iterable[str]
    format_error: ErrorFormatter | None
    websocket_refusals: WebSocketRefusals
    check: ClaimsCheck | None


class AppOptions(ProfileDefaults, total=False):
    """The settings of `App` that have a default, for type checkers."""

    publishable_key: str | None
    hosts: Iterable[str]
    issuer: str | None
    origins: Iterable[str]
    require_origin: bool
    mode: Mode
    origin_mode: Mode | None
    revocations: Revocations
    allowed_scopes: Iterable[str]
    aliases: Iterable[str]
    identity_hash: IdentityHash | None
    cors: CORS | None
    message_hash: MessageHash | None


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

"""What an app is: one tenant's names, credentials, rules, origins and mode, as a frozen and fully checked value."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import (
    MAX_NAME,
    AppLocation,
    AppRef,
    Bearer,
    Cookie,
    Header,
    TokenLocation,
    TokenLocations,
    intern_token_locations,
    is_location,
    is_valid_name,
)
from wicket.config.origins import OriginPolicy, is_origin
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.errors import ConfigError, Problems, Refusal
from wicket.keys import Credential, Jwks, Keyring, KeySource
from wicket.keys.keyring import warn_of_untried

_NOTHING: Final[frozenset[str]] = frozenset()
_NO_CUTOFFS: Final[Mapping[str, float]] = MappingProxyType({})


class Mode(enum.Enum):
    """Whether a refusal turns the request away, or is only reported while the request passes as anonymous."""

    ENFORCE = "enforce"
    LOG_ONLY = "log_only"


ErrorFormatter = Callable[[Refusal], tuple[int, Mapping[str, Any]]]
"""A vendor's own status and JSON body for a refusal."""


@dataclass(frozen=True, init=False, eq=False, slots=True)
class App:
    """One tenant. Raises `ConfigError` with every problem at once, each with the path to its field.

    `id` has 1 to 128 visible characters. `public_key` and `hosts` are further names of the app; `issuer` is the `iss`
    that its tokens must have, and a name where the naming says so; `audience` is the `aud` of which its tokens must
    have at least one: without it, a token that has an audience is refused (RFC 7519 section 4.1.3).
    `origins` are patterns (see `wicket.config.origins`); `require_origin` refuses requests without a well-formed
    Origin header.
    `anonymous` lets requests without a token pass, unverified. `origin_mode` is the mode of the origin check alone.
    `aliases` are further ids by which requests name it. `scopes` are those that the app's tokens may give. `tokens`
    are the places where its tokens ride, `naming` those where requests name it, and `claimed` those where an anonymous
    user says who it is. `identity_hash` admits the older hash instead of a token. `profile` is the name of the
    vendor's profile that built it, and `errors` that vendor's own form of a refusal.
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
    located_tokens: TokenLocations = field(init=False, repr=False)
    fast_token_header: Bearer | Header | None = field(init=False, repr=False)
    origin_policy: OriginPolicy = field(init=False, repr=False)
    keyring: Keyring = field(init=False, repr=False)
    sources: tuple[KeySource, ...] = field(init=False, repr=False)
    user_id_claims: tuple[str, ...] = field(init=False, repr=False)
    hash_cutoffs: Mapping[str, float] = field(init=False, repr=False)

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
    ) -> None:
        problems = Problems()
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
            "credentials": _items(
                problems,
                "credentials",
                credentials,
                lambda each: isinstance(getattr(each, "keys", None), tuple),
                "credential",
            ),
            "hosts": _items(problems, "hosts", hosts, _is_name, "host name"),
            "audience": _items(
                problems, "audience", [audience] if isinstance(audience, str) else audience or (), _is_text, "text"
            ),
            "allowed_scopes": frozenset(
                filter(_is_text, _items(problems, "allowed_scopes", allowed_scopes, _is_text, "text"))
            )
            or _NOTHING,
            "token_locations": _items(
                problems, "token_locations", token_locations, lambda each: is_location(each, TokenLocation), "place"
            ),
            "app_locations": _items(
                problems, "app_locations", app_locations, lambda each: is_location(each, AppLocation), "place"
            ),
            "claimed_user_locations": _items(
                problems,
                "claimed_user_locations",
                claimed_user_locations,
                lambda each: is_location(each, TokenLocation),
                "place",
            ),
            "aliases": _items(problems, "aliases", aliases, _is_name, "name"),
        }
        values["hosts"] = tuple(host.lower() for host in values["hosts"] if isinstance(host, str))
        if profile is not None and not isinstance(profile, str):
            problems.add("profile", "must be the name of a profile, or None")
        if format_error is not None and not callable(format_error):
            problems.add("format_error", "must be a function from a Refusal to a status and a body, or None")
        if not _is_name(id):
            problems.add("id", f"must be 1 to {MAX_NAME} visible characters")
        if publishable_key is not None and not _is_name(publishable_key):
            problems.add("publishable_key", f"must be 1 to {MAX_NAME} visible characters")
        if issuer is not None and not _is_text(issuer):
            problems.add("issuer", "must be a text that is not empty")
        for name, given, kind in (
            ("mode", mode, Mode),
            ("origin_mode", origin_mode, (Mode, type(None))),
            ("rules", rules, Rules),
            ("revocations", revocations, Revocations),
            ("require_origin", require_origin, bool),
            ("allow_anonymous", allow_anonymous, bool),
            ("identity_hash", identity_hash, (IdentityHash, type(None))),
        ):
            if not isinstance(given, kind):
                problems.add(name, f"must be {_KINDS.get(name, 'true or false')}")
        try:
            values["origin_policy"] = OriginPolicy(origins)
            values["origins"] = values["origin_policy"].patterns
        except ConfigError as error:
            problems.merge_problems("origins", error)
        if any(isinstance(place, Cookie) for place in values["token_locations"]) and not (
            "origin_policy" in values and values["origin_policy"].explicit
        ):
            problems.add(
                "origins", "must name whom they admit where a cookie holds the token", "https://app.example.com"
            )
        if values["allowed_scopes"] and isinstance(rules, Rules) and rules.scopes_claim is None:
            problems.add("allowed_scopes", "are never given, for no claim is said to hold them", "scopes_claim='scope'")
        _check_hash_secrets(problems, values["credentials"], identity_hash)
        values["user_id_claims"] = _user_id_claims(problems, rules, identity_hash, revocations)
        values["sources"] = _sources(problems, values["credentials"], issuer)
        if issuer is None and len({source.issuer for source in values["sources"]}) == 1:
            values["issuer"] = values["sources"][0].issuer
        problems.raise_if_any()
        values["hash_cutoffs"] = _hash_cutoffs(identity_hash, revocations)
        also = identity_hash.places if identity_hash is not None else ()
        values["located_tokens"] = intern_token_locations(
            values["token_locations"], (*values["claimed_user_locations"], *also)
        )
        values["fast_token_header"] = _only_header(values["located_tokens"]) if identity_hash is None else None
        values["keyring"] = Keyring(key for credential in values["credentials"] for key in credential.keys)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        warn_of_untried(f"app {id}", self.keyring.never_tried())

    def refs(self) -> tuple[AppRef, ...]:
        """Every name by which a request may refer to this app."""
        return app_refs(self)

    def allows_origin(self, origin: str | None) -> bool:
        """Whether a request with this Origin header (None: without one) may come in.

        If an Origin is required, it must have the form of one; `null` and an empty one do not.
        """
        if origin is None:
            return not self.require_origin
        return self.origin_policy.allows(origin) and (not self.require_origin or is_origin(origin))


def _user_id_claims(problems: Problems, rules: Any, rule: Any, revocations: Any) -> tuple[str, ...]:
    """Every claim that can give a user's id, the identifier of the identity hash included."""
    claims = rules.user_id_claims if isinstance(rules, Rules) else ()
    if isinstance(rule, IdentityHash) and rule.identifier not in claims:
        claims = (*claims, rule.identifier)
    if isinstance(revocations, Revocations):
        for claim in revocations.users_by_claim.keys() - set(claims):
            problems.add(
                "revocations.users_by_claim", f"{claim!a} gives no user id of this app", f"one of {', '.join(claims)}"
            )
    return claims


def _hash_cutoffs(rule: IdentityHash | None, revocations: Revocations) -> Mapping[str, float]:
    """The cutoffs for the identifier of the identity hash, by the form in which it is hashed."""
    if rule is None or not rule.normalize:
        return _NO_CUTOFFS
    found: dict[str, float] = {}
    for cutoffs in (revocations.users, revocations.users_by_claim.get(rule.identifier, {})):
        for identifier, cutoff in cutoffs.items():
            name = rule.normalized(identifier)
            found[name] = max(cutoff, found.get(name, cutoff))
    return found


def _only_header(holders: TokenLocations) -> Bearer | Header | None:
    """The one header that is looked into first for the app's tokens, where it is one."""
    place = holders.headers_and_query[0] if len(holders.headers_and_query) == 1 else None
    return place if type(place) in (Bearer, Header) else None  # type: ignore[return-value]  # a subclass may read otherwise


def _check_hash_secrets(problems: Problems, credentials: Iterable[Any], rule: object) -> None:
    """A hash secret that signs tokens too would hand a user whose id is `header.payload` a valid signature."""
    if not isinstance(rule, IdentityHash):
        return
    hashed = {secret.keys[0].fingerprint for secret in rule.secrets}
    for index, credential in enumerate(credentials):
        if any(key.fingerprint in hashed for key in getattr(credential, "keys", ())):
            problems.add(f"credentials[{index}]", "is a secret of the identity hash too", "they must be two secrets")


@dataclass(frozen=True, slots=True)
class BrokenApp:
    """An app that exists and whose configuration is not valid: its requests are refused with `config_invalid`.

    If not `confirmed`, its id is only the name that a request used: no configuration says that there is such an app.
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
        """Every name that could be read."""
        return app_refs(self)


def app_refs(app: App | BrokenApp) -> tuple[AppRef, ...]:
    """The names of an app as references, the id first."""
    named = (
        ("id", app.id),
        ("publishable_key", app.publishable_key),
        *(("host", host) for host in app.hosts),
        ("issuer", app.issuer),
        *(("id", alias) for alias in app.aliases),
    )
    return tuple(AppRef(kind, value) for kind, value in named if value is not None)  # type: ignore[arg-type]  # literals


def _sources(problems: Problems, credentials: Iterable[Any], issuer: str | None) -> tuple[KeySource, ...]:
    """Where the remote key sets come from. Each belongs to one issuer: a token of another is none of its business."""
    sources: list[KeySource] = []
    for index, credential in enumerate(credentials):
        source = credential.source if isinstance(credential, Jwks) else None
        if source is None:
            continue
        if source.issuer is None and issuer is None:
            problems.add(f"credentials[{index}]", "must have an issuer", "App(issuer=…) or Jwks(url, issuer=…)")
        sources.append(source if source.issuer is not None else replace(source, issuer=issuer))
    return tuple(sources)


_KINDS: Final = {
    "mode": "Mode.ENFORCE or Mode.LOG_ONLY",
    "origin_mode": "Mode.ENFORCE, Mode.LOG_ONLY or None",
    "rules": "Rules",
    "revocations": "Revocations",
    "identity_hash": "an IdentityHash, or None",
}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_valid_name(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _items(problems: Problems, path: str, given: object, fits: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
    """`given` as a tuple; whatever does not fit is noted as a problem at its index."""
    items = problems.as_tuple(path, given, f"{what}s")
    for index, each in enumerate(items):
        if not fits(each):
            problems.add(f"{path}[{index}]", f"is not a {what}")
    return items

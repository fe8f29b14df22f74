"""Signs tokens that satisfy the rules of an app.

The signature is PyJWT's, which is imported when the first token is signed. Each token is then verified by the functions
of `wicket.decision`, as a gate verifies it.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wicket.config.app import App
from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.decision.signature import verify_signature
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import parse_json_object, parse_token_or_raise
from wicket.decision.verified import build_identity
from wicket.errors import ConfigError, Refusal, Refused, config_error
from wicket.keys.algorithms import Key, UnusableKeyError, compatible_algorithms, expand_aliases, public_key
from wicket.keys.public_key import single_pem
from wicket.keys.secret import checked_kid
from wicket.runtime import base64url

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

_JSON_HINT: Final = "member names are strings, numbers are finite, and strings have no lone surrogates"


def mint(
    app: App,
    subject: str | None,
    *,
    ttl: float = 3600,
    attributes: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
    key: PrivateKey | str | bytes | None = None,
    kid: str | None = None,
    algorithm: str | None = None,
) -> str:
    """Return a token for a user that the app accepts at the time of issue.

    The token has the claims that the app's rules require: `iat` and `exp`, the required values, the first of the
    allowed values, the app claim, the issuer, and the first audience.

    Args:
        app: The app that the token is for.
        subject: The user id. It becomes the value of the app's first user-id claim, or a part of it if the claim has a
            pattern. None: the token has no user, which the app's rules must allow (`require_user=False`).
        ttl: The lifetime in seconds, counted from `now`. Fractions of a second are cut off.
        attributes: Attributes of the user. They are put into the app's attributes claim. If the app has none, they
            become claims, which replace no other claim.
        claims: Claims that are added last. They replace any other claim.
        now: The time of issue in seconds since 1970. The default is the current time.
        key: The private key that signs: a key object of `cryptography`, or an unencrypted key in PEM. Its public key
            must be a credential of the app, unless the app has a remote key set. None: the app's first shared secret.
        kid: The `kid` of the token's header. The default is the `kid` of the key. With several shared secrets, it
            selects the secret. It is required for a remote key set if the app's rules require a `kid`.
        algorithm: The algorithm. The default is the first one that the app allows for the key.

    Returns:
        A JWT in the compact serialization (RFC 7515 section 7.1).

    Raises:
        ConfigError: The app would refuse the token, the key is not a key of the app, a value cannot be encoded as JSON,
            or `ttl` or `now` is not a number of seconds. The problem has the path of the argument.
    """
    try:
        return _mint(app, subject, ttl, attributes, claims, now, key, kid, algorithm)
    except ConfigError as error:
        raise error.of_app(app.id) from None


def _mint(
    app: App,
    subject: str | None,
    ttl: float,
    attributes: Mapping[str, Any] | None,
    claims: Mapping[str, Any] | None,
    now: float | None,
    key: PrivateKey | str | bytes | None,
    kid: str | None,
    algorithm: str | None,
) -> str:
    """Return the token of `mint`. Raises `ConfigError` without the id of the app."""
    for name, value in (("ttl", ttl), ("now", now)):
        if value is not None and not (isinstance(value, (int, float)) and abs(value) <= MAX_NUMERIC_DATE):
            raise config_error(name, "must be a number of seconds")
    issued_at = time.time() if now is None else now
    signer, material = _find_key(app, key, kid, algorithm, (claims or {}).get("iss"))
    algorithm = algorithm if algorithm is not None else signer.algorithms[0]
    payload = _Payload()
    if attributes is not None and app.rules.attributes_claim is None:
        payload.add_named("attributes", attributes)
    payload.add_required(app, signer.issuer or app.issuer)
    if subject is not None:
        payload.add("subject", app.rules.user_id_claims[0], _user_claim(app, subject))
    payload.add("now", "iat", int(issued_at))
    if "exp" not in (claims or {}):
        payload.add("ttl", "exp", int(issued_at) + _lifetime(app, ttl))
    if attributes is not None and app.rules.attributes_claim is not None:
        payload.add_at("attributes", app.rules.attributes_claim, dict(attributes))
    payload.add_named("claims", claims or {})
    header = {"alg": algorithm, "typ": _typ(app)}
    kid = kid if kid is not None else signer.kid
    if kid is not None:
        header["kid"] = kid
    elif app.rules.require_kid:
        raise config_error("kid", "must be given, because this app requires one")
    signing_input = f"{base64url.encode(_json('kid', header))}.{base64url.encode(payload.encode())}"
    token = _sign(algorithm, material, signing_input)
    try:
        _verify(app, token, signer, issued_at)
    except Refused as refused:
        refusal = refused.refusal
        message = f"the app would refuse the token ({refusal.reason or refusal.code}): {refusal.detail}"
        hint = f"pass claims={{{refusal.claim!r}: …}}" if refusal.reason == "missing_claim" else "change the value"
        raise config_error(payload.path_of_refusal(refusal, app), message, hint) from None
    return token


class _Payload:
    """The claims of a token, and for each the path of the argument that it comes from."""

    def __init__(self) -> None:
        self._claims: dict[str, Any] = {}
        self._paths: dict[str, str] = {}

    def add(self, path: str, name: str, value: object) -> None:
        """Add a claim, or replace it. `path` is the argument that it comes from."""
        self._claims[name] = value
        self._paths[name] = path

    def add_at(self, path: str, claim: str, value: object) -> None:
        """Add a claim by its path, in nested objects. A name with a colon is a URI (RFC 7519 section 2): no path."""
        names = claim.split(".") if ":" not in claim else [claim]
        for name in reversed(names[1:]):
            value = {name: value}
        self.add(path, names[0], value)

    def add_named(self, path: str, claims: Mapping[str, Any]) -> None:
        """Add claims that come from one argument, each with the path `path.name`."""
        for name, value in claims.items():
            self.add(f"{path}.{name}" if isinstance(name, str) and name.isprintable() else path, name, value)

    def add_required(self, app: App, issuer: str | None) -> None:
        """Add the claims that only the app determines."""
        for name, value in app.rules.required_values.items():
            self.add("app", name, value)
        for name, values in app.rules.allowed_values.items():
            if name not in app.rules.required_values:
                self.add("app", name, values[0])
        if app.rules.app_claim is not None:
            self.add("app", app.rules.app_claim, app.id)
        if issuer is not None:
            self.add("app", "iss", issuer)
        if app.audience:
            self.add("app", "aud", app.audience[0])

    def encode(self) -> bytes:
        """Return the claims as JSON. Raises `ConfigError`."""
        for name, value in self._claims.items():
            _json(self._paths[name], {name: value})
        return _json("claims", self._claims)

    def path_of_refusal(self, refusal: Refusal, app: App) -> str:
        """Return the path of the argument that caused a refusal of `app`."""
        claims, paths, revocations = self._claims, self._paths, app.revocations
        if refusal.claim is not None:
            is_user = refusal.claim == app.rules.user_id_claims[0]
            return paths.get(refusal.claim, "subject" if is_user else f"claims.{refusal.claim}")
        if refusal.reason == "bad_claim" or refusal.code == "internal_error":  # by the app's own check
            return "claims"
        if refusal.reason == "too_large":
            return paths[max(claims, key=lambda name: len(_json(paths[name], {name: claims[name]})))]
        if refusal.reason == "revoked" and claims.get("jti") in revocations.token_ids:
            return paths["jti"]
        if refusal.reason == "revoked":
            cutoff = revocations.issued_before
            all_are_revoked = cutoff is not None and claims["iat"] <= cutoff + app.rules.leeway
            return paths["iat"] if all_are_revoked else "subject"
        return "credentials"


def _json(path: str, value: dict[str, Any]) -> bytes:
    """Return an object as JSON that the parser of tokens accepts.

    Args:
        path: The path of the value, for the error.
        value: The object.

    Raises:
        ConfigError: The object is not JSON (RFC 8259), or it has NaN, an infinite number, a lone surrogate, a member
            name that is not a string, or more than 32 levels.
    """
    try:
        encoded = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        _check_names(value)
        parse_json_object(encoded)
    except (TypeError, ValueError, RecursionError, Refused):
        raise config_error(path, "cannot be encoded as JSON", _JSON_HINT) from None
    return encoded


def _check_names(value: object) -> None:
    """Raise `TypeError` if a member name is not a string. `json` converts such a name, which can cause a duplicate."""
    if isinstance(value, dict):
        for name, member in value.items():
            if not isinstance(name, str):
                raise TypeError
            _check_names(member)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_names(item)


def _user_claim(app: App, subject: str) -> str:
    """Return the value of the first user-id claim. Raise `ConfigError` if its pattern cannot find `subject` in it."""
    pattern = app.rules._user_id_patterns.get(app.rules.user_id_claims[0])
    if pattern is None:
        return subject
    if not isinstance(subject, str) or pattern.find(pattern.fill(subject)) != subject:
        raise config_error("subject", "cannot be read back by the pattern of the user-id claim", "use another user id")
    return pattern.fill(subject)


def _lifetime(app: App, ttl: float) -> int:
    """Return the lifetime in whole seconds. Raises `ConfigError` if it is outside the app's bounds."""
    lifetime = int(ttl)
    minimum, maximum = app.rules.min_lifetime or 0, app.rules.max_lifetime
    if lifetime < minimum or (maximum is not None and lifetime > maximum):
        bounds = f"{minimum:g} to {maximum:g}" if maximum is not None else f"at least {minimum:g}"
        raise config_error("ttl", f"must be {bounds} seconds for this app")
    return lifetime


def _typ(app: App) -> str:
    """Return a `typ` that the app allows: `JWT` if possible."""
    allowed = app.rules.allowed_typ
    return min(allowed) if allowed and "jwt" not in allowed else "JWT"


def _find_key(
    app: App, private: PrivateKey | str | bytes | None, kid: str | None, algorithm: str | None, issuer: object
) -> tuple[Key, Any]:
    """Find the key of the app that verifies the token.

    Args:
        app: The app.
        private: The private key, or None for a shared secret.
        kid: The `kid` of the token, or None for that of the key.
        algorithm: The algorithm of the token, or None for the first one of the key.
        issuer: The `iss` of the token, which selects among several remote key sets. None if it is not given.

    Returns:
        The key, and the key material that signs.

    Raises:
        ConfigError: The app has no such key.
    """
    checked_kid(kid)
    if private is None:
        signing_key: PrivateKey | None = None
        keys = [key for key in app.keyring.keys if isinstance(key.material, bytes)]
        if not keys:
            raise config_error("credentials", "contain no shared secret", "pass the private key: mint(..., key=...)")
    else:
        signing_key = _load(private)
        keys = _verifying_keys(app, signing_key, kid)
        if not keys:
            raise config_error("key", "is not the private key of a credential of this app", "add its public key")
    candidates = keys
    keys = [key for key in candidates if kid is None or key.kid in (None, kid)]
    if not keys:
        raise config_error("kid", "is not the kid of this key in the app's credentials", _kids(candidates))
    allowed = sorted({name for key in keys for name in key.algorithms})
    keys = [key for key in keys if algorithm is None or algorithm in key.algorithms]
    if not keys:
        hint = f"one of {', '.join(allowed)}"
        raise config_error("algorithm", "is not allowed for this key by the app's credentials", hint)
    exact = [key for key in keys if key.kid == kid] if kid is not None else []
    of_issuer = [key for key in exact or keys if issuer is None or key.issuer in (None, issuer)]
    key = (of_issuer or exact or keys)[0]
    return key, key.material if signing_key is None else signing_key


def _kids(keys: Iterable[Key]) -> str:
    """Return a hint with the kids of keys."""
    return f"one of {', '.join(sorted({key.kid for key in keys if key.kid is not None}))}"


def _load(key: PrivateKey | str | bytes) -> PrivateKey:
    """Return a private key as an object. Raises `ConfigError`, which quotes nothing of the key."""
    loaded: object = key
    if isinstance(key, (str, bytes)):
        data = single_pem("key", key.encode("utf-8", "replace") if isinstance(key, str) else key)
        try:
            loaded = load_pem_private_key(data, None)
        except TypeError:
            hint = "decrypt it with load_pem_private_key of cryptography, and pass the object"
            raise config_error("key", "is encrypted", hint) from None
        except (ValueError, UnsupportedAlgorithm):
            hint = "it starts with -----BEGIN PRIVATE KEY-----"
            raise config_error("key", "is not a private key in PEM", hint) from None
    if not isinstance(loaded, PrivateKey):
        raise config_error("key", "is not a private key that can sign a JWT", "RSA, EC, Ed25519 or Ed448")
    return loaded


def _verifying_keys(app: App, private: PrivateKey, kid: str | None) -> list[Key]:
    """Return the app's keys that verify what a private key signs.

    A remote key set publishes keys that are not known here. Each one that allows an algorithm of the key is assumed to
    have it.

    Args:
        app: The app.
        private: The private key.
        kid: The `kid` of the key in a remote key set. None if it is not given.
    """
    public = private.public_key()
    try:
        compatible = compatible_algorithms(public)
        fingerprint = public_key(None, compatible, public).fingerprint
    except UnusableKeyError as unusable:
        raise config_error("key", str(unusable), "use an RSA key with 2048 bits or more, EC, or Ed25519") from None
    keys = [key for key in app.keyring.keys if key.fingerprint == fingerprint]
    for source in app.sources:
        if not expand_aliases(source.algorithms).isdisjoint(compatible):
            keys.append(public_key(kid, source.algorithms, public, issuer=source.issuer))
    return keys


@functools.cache
def _algorithms() -> Mapping[str, Algorithm]:
    """Return PyJWT's algorithms by name, with the fully specified names of EdDSA (RFC 9864)."""
    from jwt.algorithms import OKPAlgorithm, get_default_algorithms

    return {"Ed25519": OKPAlgorithm(), "Ed448": OKPAlgorithm(), **get_default_algorithms()}


def _sign(name: str, material: Any, signing_input: str) -> str:
    """Return the token with this signing input (RFC 7515 section 7.1).

    `PyJWS.encode` does the same, but it warns about each short secret, also if the app allows it.
    """
    from jwt import InvalidKeyError

    algorithm = _algorithms()[name]
    try:
        signature = algorithm.sign(signing_input.encode("ascii"), algorithm.prepare_key(material))
    except InvalidKeyError:
        raise config_error("credentials", "contain a secret that PyJWT does not sign with", "create another") from None
    return f"{signing_input}.{base64url.encode(signature)}"


def _verify(app: App, text: str, key: Key, now: float) -> None:
    """Verify a token as a gate does. Raises `Refused` if the app refuses it.

    Args:
        app: The app.
        text: The token.
        key: The key that verifies it. A key of a remote key set is used as if it were fetched.
        now: The time of the check, in seconds since 1970.
    """
    token = parse_token_or_raise(text, app.rules.max_token_bytes)
    known = key in app.keyring.keys
    keys = app.keyring.select(token.header.algorithm, token.header.kid) if known else (key,)
    signed, signer = verify_signature(app, token, keys, SignatureCache(total=1, per_app=1, max_bytes=0))
    build_identity(app, signed, signer, now)

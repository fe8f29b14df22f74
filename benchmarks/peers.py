"""Alternatives to Wicket, each configured as its documentation recommends, with the same checks.

All pin one algorithm, require `exp` and `sub`, allow 30 s of skew, and prepare their key once if they can. The handler
does not read the claims. In detail:

    PyJWT, joserfc,      a small middleware that calls `decode`: the key of the app from a dictionary by `X-App-Id`, the
    Authlib              Origin against the same 20 origins, the scheme of the bearer, 401
    Authlib (protector)  Flask only: its ResourceProtector with a validator that decodes as above. One app, no origins
    fastmcp              Starlette only: JWTVerifier, its own middleware, and the one that requires a user. One app, no
                         origins, no skew; it does not require `exp` and `sub`; it imports the key for each request
    Flask-JWT-Extended   Flask only: @jwt_required() on the handler. One app, no origins; it gets the key as text, and
                         does not require `exp`
    Wicket               the app by `X-App-Id`, the Origin against the 20 origins, every rule of the profile `generic`

No peer answers CORS requests. Each is combined with Starlette's CORSMiddleware or with flask-cors, for the same 20
origins. The CORS headers of Wicket are part of its figure.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt

from benchmarks.fixtures import APP_ID, ORIGINS, SECRET, SKEW, Algorithm, public_pem, signing_key

Check = Callable[[str], Any]
"""A token's claims, or any exception."""

ORIGIN_SET: Final = frozenset(ORIGINS)


class NotInstalled(Exception):
    """The package of a peer is missing. The argument is its name."""


def module(name: str, package: str) -> Any:
    """Returns a module of a peer, untyped. Raises `Missing` if it is not installed."""
    try:
        with warnings.catch_warnings(record=True):  # some peers import their own deprecated modules
            return importlib.import_module(name)
    except ImportError:
        raise NotInstalled(package) from None


def pyjwt(algorithm: Algorithm) -> Check:
    """`jwt.decode` with a prepared key."""
    key = SECRET if algorithm == "HS256" else signing_key(algorithm).public_key()

    def check(token: str) -> Any:
        return jwt.decode(token, key, algorithms=[algorithm], options={"require": ["exp", "sub"]}, leeway=SKEW)

    return check


def joserfc(algorithm: Algorithm) -> Check:
    """`joserfc.jwt.decode` with an imported key, and a registry of claims."""
    decode = module("joserfc.jwt", "joserfc").decode
    jwk = module("joserfc.jwk", "joserfc")
    kind = {"HS256": jwk.OctKey, "RS256": jwk.RSAKey, "ES256": jwk.ECKey}[algorithm]
    key = kind.import_key(SECRET if algorithm == "HS256" else public_pem(algorithm))
    registry = module("joserfc.jwt", "joserfc").JWTClaimsRegistry(
        leeway=SKEW, exp={"essential": True}, sub={"essential": True}
    )

    def check(token: str) -> Any:
        claims = decode(token, key, algorithms=[algorithm]).claims
        registry.validate(claims)
        return claims

    return check


def authlib(algorithm: Algorithm) -> Check:
    """`JsonWebToken.decode` with an imported key."""
    jose = module("authlib.jose", "authlib")
    kind = {"HS256": jose.OctKey, "RS256": jose.RSAKey, "ES256": jose.ECKey}[algorithm]
    key = kind.import_key(SECRET if algorithm == "HS256" else public_pem(algorithm))
    decode = jose.JsonWebToken([algorithm]).decode
    wanted = {"exp": {"essential": True}, "sub": {"essential": True}}

    def check(token: str) -> Any:
        claims = decode(token, key, claims_options=wanted)
        claims.validate(leeway=SKEW)
        return claims

    return check


PLAIN: Final[Mapping[str, Callable[[Algorithm], Check]]] = {
    "PyJWT middleware": pyjwt,
    "joserfc middleware": joserfc,
    "Authlib middleware": authlib,
}


class Guard:
    """The steps that both plain middlewares share: the key of the app, the origin, the bearer, the claims."""

    def __init__(self, check: Check) -> None:
        self._checks = {APP_ID: check}

    def __call__(self, app: str | None, origin: str | None, authorization: str | None) -> Any:
        """Returns the claims, or None if the token is invalid."""
        check = self._checks.get(app or "")
        if check is None or authorization is None or (origin is not None and origin not in ORIGIN_SET):
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return check(token)
        except Exception:  # noqa: BLE001 - each peer has its own exceptions
            return None


class PlainASGIMiddleware:
    """A minimal ASGI middleware that makes a check."""

    def __init__(self, app: Any, check: Check) -> None:
        self.app = app
        self._guard = Guard(check)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        texts = (headers.get(name) for name in (b"x-app-id", b"origin", b"authorization"))
        claims = self._guard(*(None if text is None else text.decode("latin-1") for text in texts))
        if claims is None:
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        scope["claims"] = claims
        await self.app(scope, receive, send)


class PlainWSGIMiddleware:
    """A minimal WSGI middleware that makes a check."""

    def __init__(self, app: Any, check: Check) -> None:
        self.app = app
        self._guard = Guard(check)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        get = environ.get
        claims = self._guard(get("HTTP_X_APP_ID"), get("HTTP_ORIGIN"), get("HTTP_AUTHORIZATION"))
        if claims is None:
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return []
        environ["claims"] = claims
        return self.app(environ, start_response)


def fastmcp_middleware(algorithm: Algorithm) -> list[Any]:
    """The Starlette middlewares of fastmcp's JWTVerifier."""
    middleware = module("starlette.middleware", "starlette").Middleware
    verifier = module("fastmcp.server.auth.providers.jwt", "fastmcp").JWTVerifier(
        public_key=SECRET if algorithm == "HS256" else public_pem(algorithm), algorithm=algorithm
    )
    demand = module("mcp.server.auth.middleware.bearer_auth", "fastmcp").RequireAuthMiddleware
    return [*verifier.get_middleware(), middleware(demand, required_scopes=[])]


def flask_cors(app: Any) -> None:
    """Set the CORS headers of every response with flask-cors."""
    module("flask_cors", "flask-cors").CORS(
        app, origins=list(ORIGINS), expose_headers=["WWW-Authenticate", "Retry-After"]
    )


def flask_jwt_extended(app: Any, view: Any, algorithm: Algorithm) -> Any:
    """The handler behind Flask-JWT-Extended."""
    extended = module("flask_jwt_extended", "flask-jwt-extended")
    app.config.update(JWT_ALGORITHM=algorithm, JWT_DECODE_LEEWAY=SKEW)
    if algorithm == "HS256":
        app.config["JWT_SECRET_KEY"] = SECRET
    else:
        app.config["JWT_PUBLIC_KEY"] = public_pem(algorithm)
    extended.JWTManager(app)
    return extended.jwt_required()(view)


def authlib_protector(app: Any, view: Any, algorithm: Algorithm) -> Any:
    """The handler behind Authlib's ResourceProtector."""
    check = authlib(algorithm)
    oauth2 = module("authlib.oauth2.rfc6750", "authlib")
    protector = module("authlib.integrations.flask_oauth2", "authlib").ResourceProtector()

    def authenticate_token(self: Any, token_string: str) -> Any:
        try:
            return check(token_string)
        except Exception:  # noqa: BLE001 - Authlib has its own exceptions
            return None

    def validate_token(self: Any, token: Any, scopes: Any, request: Any) -> None:
        if token is None:
            raise oauth2.InvalidTokenError

    methods = {"authenticate_token": authenticate_token, "validate_token": validate_token}
    validator = type("Validator", (oauth2.BearerTokenValidator,), methods)
    protector.register_token_validator(validator())
    return protector()(view)

"""Django: the gate as a middleware, sync and async, typed access to the identity, and checks of the settings.

INSTALLED_APPS = [..., "wicket.contrib.django.WicketConfig"]
MIDDLEWARE = ["wicket.contrib.django.WicketMiddleware", ...]
WICKET_GATE = "project.gates.gate"
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final, TypeVar, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.request import RawPostDataException
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import ConfigError, Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import check_scopes, require_decision_in_environ
from wicket.http.binding import clear_environ
from wicket.http.bodies import declared_length
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.paths import Paths
from wicket.http.refusals import refusal_response
from wicket.http.settings import MiddlewareOptions
from wicket.http.wsgi_stream import ExpiringStream, is_event_stream
from wicket.messages.body import too_large
from wicket.messages.request import Body, Request
from wicket.messages.response import Response
from wicket.wsgi import attach_to_environ

__all__ = [
    "WicketConfig",
    "WicketMiddleware",
    "configured_gate",
    "decision_of",
    "identity_of",
    "requires_identity",
]

F = TypeVar("F", bound=Callable[..., Any])

_TRUSTS_THE_USER: Final = (
    "django.contrib.auth.middleware.RemoteUserMiddleware",
    "django.contrib.auth.middleware.PersistentRemoteUserMiddleware",
)
_ANSWERS_FROM_A_CACHE: Final = (
    "django.middleware.cache.CacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
)


class _DjangoBody(Body):
    """A body that Django reads, and caches for later readers. Under ASGI, Django has received it already."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.length = declared_length(request.META.get("CONTENT_LENGTH"))

    def read(self, limit: int, seconds: float) -> bytes | None:
        """Return the body, or None if it is larger than `limit` bytes, or Django cannot read it (any more)."""
        if self.length is not None and self.length > limit:
            self.unread = too_large(self.length, limit)
            return None
        try:
            body = self._request.body
        except (OSError, RawPostDataException, SuspiciousOperation):
            return None
        return body if len(body) <= limit else None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """Return the body like `read`. Django has received it before it calls a middleware."""
        return self.read(limit, seconds)


@functools.cache
def _gate_from_file(path: str) -> Gate:
    return Gate.from_file(path)


def configured_gate() -> Gate:
    """Return the gate of the settings: `WICKET_GATE`, or the file `WICKET_FILE`.

    Raises:
        ConfigError: If neither is set, or it is no gate, or the file is not valid.
    """
    gate = getattr(settings, "WICKET_GATE", None)
    path = getattr(settings, "WICKET_FILE", None)
    if isinstance(gate, str):
        gate = import_string(gate)
    elif gate is None and path is not None:
        gate = _gate_from_file(os.fspath(path))
    if not isinstance(gate, Gate):
        raise config_error("WICKET_GATE", "must be a Gate or its dotted path", "WICKET_GATE = 'project.gates.gate'")
    return gate


def _configured_options() -> MiddlewareOptions:
    keys = {name: f"WICKET_{name.upper()}" for name in MiddlewareOptions.__annotations__}
    return cast(
        MiddlewareOptions, {name: getattr(settings, key) for name, key in keys.items() if hasattr(settings, key)}
    )


class WicketMiddleware:
    """Django middleware that decides each request before the middlewares and views inside it run.

    For an allowed request, `request.identity` is the identity, and `request.META` has the decision and `REMOTE_USER` as
    with `wicket.wsgi.WicketMiddleware`. `request.user` does not change: it is the user of Django's session. If a view
    raises `Refused`, the response is that of the refusal. The client's `Remote-User` header is removed from every
    decided request.

    The gate is `WICKET_GATE` or `WICKET_FILE`, and `WICKET_ONLY`, `WICKET_EXEMPT` and so on are the settings of
    `wicket.http.settings.MiddlewareSettings`. The setting `root_path` is not needed: Django's own path counts.

    Args:
        get_response: The next middleware or the view, sync or async.

    Attributes:
        gate: The gate that decides. A subclass may set it, for a second gate.
        options: The settings. A subclass may set them. None means those of Django's settings.

    Raises:
        ConfigError: If there is no gate, or a setting is invalid.
    """

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True
    gate: Gate = cast(Gate, None)
    options: MiddlewareOptions | None = None

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if self.gate is None:
            self.gate = configured_gate()
        self._core = MiddlewareCore(self.gate, _configured_options() if self.options is None else self.options)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Decide one request, and pass it on or answer it.

        Args:
            request: Django's request.

        Returns:
            The response; awaitable if `get_response` is async.
        """
        if self._is_async:
            return self._answer_async(request)
        view = _view_of(request)
        action = self._core.classify(view)
        if action is Action.PREFLIGHT:
            return _django_response(self._core.preflight_response(view, self.gate.check_origin(view)), request)
        if action is Action.ORIGIN_CHECK:
            decision = self.gate.check_origin(view, report=True)
            return _django_response(self._core.origin_check_response(view, decision), request)
        if action is Action.OPEN:
            clear_environ(request.META)
            return cast(HttpResponseBase, self.get_response(request))
        if action is Action.PASS:
            decision = self._core.anonymous_decision(view)
        else:
            decision = self.gate.decide(view, optional=action is Action.OPTIONAL)
        if not decision.allowed:
            return _django_response(self._core.refusal_response(decision), request)
        self._attach(request, view, decision)
        return self._complete(self.get_response(request), view, decision)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        view = _view_of(request)
        action = self._core.classify(view)
        if action is Action.PREFLIGHT:
            return _django_response(self._core.preflight_response(view, await self.gate.acheck_origin(view)), request)
        if action is Action.ORIGIN_CHECK:
            decision = await self.gate.acheck_origin(view, report=True)
            return _django_response(self._core.origin_check_response(view, decision), request)
        if action is Action.OPEN:
            clear_environ(request.META)
            return cast(HttpResponseBase, await self.get_response(request))
        if action is Action.PASS:
            decision = self._core.anonymous_decision(view)
        else:
            decision = await self.gate.adecide(view, optional=action is Action.OPTIONAL)
        if not decision.allowed:
            return _django_response(self._core.refusal_response(decision), request)
        self._attach(request, view, decision)
        return self._complete(await self.get_response(request), view, decision)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the response to a `Refused` that a view raised; None for any other exception. Django calls this."""
        if not isinstance(exception, Refused):
            return None
        return _django_response(refusal_response(exception, request.META, self.gate), request)

    def _attach(self, request: HttpRequest, view: Request, decision: Decision) -> None:
        attach_to_environ(request.META, self.gate, decision, view)
        request.identity = decision.identity  # type: ignore[attr-defined]  # as Django's middlewares set request.user

    def _complete(self, response: HttpResponseBase, view: Request, decision: Decision) -> HttpResponseBase:
        """Report the status of the response, add CORS headers, and end an event stream on expiry."""
        self.gate.report_response(decision, response.status_code)
        headers = list(response.items())
        for name, value in self._core.cors_headers(view, decision).apply_wsgi(headers)[len(headers) :]:
            if name == "Vary":
                patch_vary_headers(response, [value])
            else:
                response[name] = value
        if (
            self._core.close_on_expiry
            and decision.identity.verified
            and isinstance(response, StreamingHttpResponse)
            and is_event_stream(headers)
        ):
            chunks: Any = response.streaming_content
            if response.is_async:
                response.streaming_content = _expiring(self.gate, decision, chunks)
            else:
                response.streaming_content = ExpiringStream(self.gate, decision, chunks, lambda: True)
        return response


async def _expiring(gate: Gate, decision: Decision, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of an event stream. End at the first chunk after its token expires or is revoked."""
    async for chunk in chunks:
        if await gate.arevalidate(decision) is not None:
            return
        yield chunk


def _view_of(request: HttpRequest) -> Request:
    """Return the view of a request, with the path that Django routes."""
    environ = request.META
    path = request.path_info
    if not path.isascii():  # under ASGI, `META` has the path decoded from UTF-8, and not from latin-1 (PEP 3333)
        environ = {**environ, "PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1")}
    view = Request.from_wsgi(environ)
    if view.is_unsafe:
        view.body = _DjangoBody(request)
    return view


def _django_response(response: Response, request: HttpRequest) -> HttpResponse:
    body = b"" if request.method == "HEAD" else response.body
    return HttpResponse(body, status=response.status, headers=dict(response.headers))


def decision_of(request: HttpRequest, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if there are several gates.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request.
    """
    return require_decision_in_environ(request.META, gate)


def identity_of(request: HttpRequest, gate: Gate | str = "wicket", *, scopes: Sequence[str] = ()) -> VerifiedIdentity:
    """Return the verified identity of a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if there are several gates.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. The middleware returns the response of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    return decision_of(request, gate).require(*scopes)


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate a view, sync or async, so that it requires a verified identity.

    It decorates functions and the methods of a class-based view (`get`, `post`).

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if there are several gates.

    Returns:
        The decorator. The decorated view raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses.
    """
    check_scopes(scopes)

    def decorate(view: F) -> F:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                identity_of(_request_in(args), gate, scopes=scopes)
                return await view(*args, **kwargs)

            return guarded_async  # type: ignore[return-value]  # wraps keeps the view's signature

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(_request_in(args), gate, scopes=scopes)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the view's signature

    return decorate


def _request_in(args: tuple[Any, ...]) -> HttpRequest:
    """Return the request among the arguments of a view. The first one is `self` in a method."""
    for value in args[:2]:
        request = getattr(value, "_request", value)  # of Django REST framework
        if isinstance(request, HttpRequest):
            return request
    raise config_error("view", "must get the request as its first argument")


class WicketConfig(AppConfig):
    """The Django application that checks the settings. Put it into `INSTALLED_APPS`."""

    name = "wicket.contrib.django"
    label = "wicket"


@register(Tags.security)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the gate, its settings, and the position of the middleware. `manage.py check` calls this.

    Returns:
        `wicket.E001` for each problem of the gate or of a setting, `wicket.E002` if the middleware is missing,
        `wicket.E003` if a middleware before it trusts `REMOTE_USER`, and `wicket.W001` if one before it answers from a
        cache.
    """
    messages: list[CheckMessage] = []
    classes = [_imported(path) for path in settings.MIDDLEWARE]
    positions = [
        index for index, kind in enumerate(classes) if isinstance(kind, type) and issubclass(kind, WicketMiddleware)
    ]
    if not positions:
        hint = "Add 'wicket.contrib.django.WicketMiddleware' at the beginning of MIDDLEWARE."
        return [Error("MIDDLEWARE does not contain the gate, so no request is decided.", hint=hint, id="wicket.E002")]
    for index in positions:
        try:
            classes[index](lambda request: None)
        except ConfigError as error:
            messages += [Error(str(problem), id="wicket.E001") for problem in error.problems]
        except ImportError as error:
            messages.append(Error(f"WICKET_GATE: {error}", id="wicket.E001"))
    for path in settings.MIDDLEWARE[: positions[0]]:
        if path in _TRUSTS_THE_USER:
            messages.append(
                Error(
                    f"{path} must come after the gate in MIDDLEWARE, because it trusts REMOTE_USER.", id="wicket.E003"
                )
            )
        if path in _ANSWERS_FROM_A_CACHE:
            messages.append(
                Warning(
                    f"{path} comes before the gate in MIDDLEWARE, so it answers requests without a decision.",
                    id="wicket.W001",
                )
            )
    return messages


def configured_paths(gate: Gate) -> list[Paths]:
    """Return the path rules of each middleware in `MIDDLEWARE` that has this gate.

    Args:
        gate: The gate.
    """
    classes = [_imported(path) for path in settings.MIDDLEWARE]
    ours = [
        kind(lambda request: None) for kind in classes if isinstance(kind, type) and issubclass(kind, WicketMiddleware)
    ]
    return [middleware._core.settings.paths for middleware in ours if middleware.gate is gate]


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError:
        return None

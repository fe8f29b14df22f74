"""Checks whether the script of a page can use a URL: whether its preflight succeeds, and whether it can read a refusal.

It connects to any URL, private addresses too, and follows no redirect.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from wicket.config.app import App
from wicket.diagnostics.client_request import request_of_client, request_with_header
from wicket.diagnostics.report import Diagnosis, Finding, Step, shown
from wicket.errors import STATUS, Problems, config_error
from wicket.messages.headers import HTTP_TOKEN

_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,512}")
_MAX_HEADER_NAME: Final = 128
"""The longest name, in characters."""
_BAD_TOKEN: Final = "not-a-token"
_TIMEOUT: Final = 10.0
_MAX_BODY: Final = 65_536
"""The part of a response's body that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class _Response:
    """A response.

    Args:
        status: The status.
        headers: All values of each header, by its name in lower case.
        error: The code of the refusal in the body of Wicket's own format; None if it has none.
    """

    status: int
    headers: dict[str, list[str]]
    error: str | None = None

    def members(self, name: str) -> frozenset[str]:
        """Return the members of a header that is a list, in lower case (RFC 9110 section 5.6.1)."""
        values = ",".join(self.headers.get(name, ())).lower().split(",")
        return frozenset(value.strip() for value in values)


def diagnose_url(
    url: str,
    origin: str,
    *,
    app: App | None = None,
    header: str = "Authorization",
    timeout: float = _TIMEOUT,
    ssl_context: ssl.SSLContext | None = None,
) -> Diagnosis:
    """Check whether a page at `origin` can use `url`.

    This sends the requests that a browser sends: a preflight, if the page's request needs one, and a request with an
    invalid token. The findings name the missing CORS headers (WHATWG Fetch). Without them, the script of a page gets a
    network error instead of a 401 that it can read. A call blocks, and it connects to any address, so an untrusted
    person must not choose the URL.

    Args:
        url: The http or https URL.
        origin: The origin of the page.
        app: The app whose client is asked for: the request names the app and carries the token in the first of the
            app's locations that a script can set. Without it, the URL must name the app.
        header: The header that carries the token, if there is no `app`.
        timeout: Seconds for each operation of a socket.
        ssl_context: Replaces the default TLS settings, for example to trust a private certificate authority.

    Raises:
        ConfigError: An argument is no http or https URL, no origin, or no name of a header.
    """
    parts = _parse_url(url, origin, header, app)
    request = request_with_header(header, parts.query) if app is None else request_of_client(app, parts.query)
    parts = parts._replace(query=request.query)
    steps: list[Step] = []
    findings: list[Finding] = []
    if request.preflighted:
        preflight = _send(
            parts,
            "OPTIONS",
            {
                "Origin": origin,
                "Access-Control-Request-Method": request.method,
                "Access-Control-Request-Headers": ",".join(request.preflighted),
            },
            None,
            timeout,
            ssl_context,
        )
        found = (
            [_unreachable(preflight)]
            if isinstance(preflight, str)
            else [*_preflight_findings(preflight, origin, request.preflighted)]
        )
        findings += found
        steps.append(_step("preflight", "2xx with CORS headers", preflight, found))
    headers = {"Origin": origin, **request.headers}
    response = _send(parts, request.method, headers, request.encoded_body, timeout, ssl_context)
    found = [_unreachable(response)] if isinstance(response, str) else [*_response_findings(response, origin, app)]
    findings += found
    steps.append(_step("bad token", "a refusal that a page can read", response, found))
    passed = not findings
    decision = (
        "a page's script can use this URL and read its refusals" if passed else "a page's script gets a network error"
    )
    if findings and all(finding.code == "app_not_named" for finding in findings):
        decision = "a page's script can use this URL, but the request names no app"
    steps.append(Step("decision", "", decision, passed))
    return Diagnosis(None if app is None else app.id, passed, None, tuple(dict.fromkeys(findings)), tuple(steps))


def _step(name: str, expected: str, response: _Response | str, findings: list[Finding]) -> Step:
    result = response if isinstance(response, str) else f"status {response.status}"
    if isinstance(response, _Response) and response.error is not None:
        result += f", {response.error}"
    return Step(name, expected, "; ".join([result, *(finding.code for finding in findings)]), not findings)


def _parse_url(url: object, origin: object, header: object, app: object) -> SplitResult:
    problems = Problems()
    if app is not None and not isinstance(app, App):
        problems.add("app", "must be an App, or None")
    if not isinstance(origin, str) or not _VISIBLE_ASCII.fullmatch(origin):
        problems.add("origin", "is not an origin", "https://app.example.com")
    if not isinstance(header, str) or len(header) > _MAX_HEADER_NAME or not HTTP_TOKEN.fullmatch(header):
        problems.add("header", "is not a header name (RFC 9110 section 5.1)", "Authorization")
    problems.raise_if_any()
    hint = "https://api.example.com/me?appId=acme"
    if not isinstance(url, str):
        raise config_error("url", "must be a string", hint)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise config_error("url", "is not a URL", hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or "@" in parts.netloc:
        raise config_error("url", "is not a plain http or https URL", hint)
    return parts


def _send(
    parts: SplitResult,
    method: str,
    headers: dict[str, str],
    body: bytes | None,
    timeout: float,
    ssl_context: ssl.SSLContext | None,
) -> _Response | str:
    """Send a request. Return the response, or a few words that say why there is none."""
    host = parts.hostname or ""
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._')}" if parts.query else ""
    )
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl_context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout)
    )
    try:
        connection.request(method, target, body=body, headers=headers)
        response = connection.getresponse()
        values: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            values.setdefault(name.lower(), []).append(value.strip())
        return _Response(response.status, values, _error_code(response.read(_MAX_BODY)))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no response ({type(error).__name__})"
    finally:
        connection.close()


def _error_code(body: bytes) -> str | None:
    """Return the code of a refusal in Wicket's own format. A code of another server is not shown."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    code = document.get("error") if isinstance(document, dict) else None
    return code if isinstance(code, str) and code in STATUS else None


def _unreachable(error: str) -> Finding:
    detail = f"The request got {error}: check the host, the port, the certificate, and that the server runs."
    return Finding("unreachable", detail, "a response", error)


def _preflight_findings(response: _Response, origin: str, headers: Iterable[str]) -> Iterator[Finding]:
    status = str(response.status)
    if 300 <= response.status < 400:
        detail = "The preflight is redirected, and browsers do not follow the redirect: use the final URL."
        yield Finding("preflight_redirected", detail, "2xx", status)
        return
    if not 200 <= response.status < 300:
        detail = (
            f"The preflight is refused with {status}. A browser sends it without a token, so the response must not "
            "require one. Put the CORS middleware outside the gate, or use Wicket's own CORS (cors=True). If Wicket "
            "answers preflights, the app does not allow this origin."
        )
        yield Finding("preflight_behind_gate", detail, "2xx", status)
    yield from _origin_findings(response, origin, "preflight_without_cors", "The response to the preflight")
    allowed = response.members("access-control-allow-headers")
    for header in headers:
        if header not in allowed and ("*" not in allowed or header == "authorization"):
            detail = (
                f"The response to the preflight does not allow the header {shown(header)}, which the page's request "
                "has: add it to Access-Control-Allow-Headers (* does not cover Authorization)."
            )
            yield Finding("preflight_without_header", detail, header, ", ".join(sorted(allowed - {""})) or "none")


def _response_findings(response: _Response, origin: str, app: App | None) -> Iterator[Finding]:
    yield from _origin_findings(
        response, origin, "opaque_refusal", f"The response to an invalid token (status {response.status})"
    )
    if "www-authenticate" in response.headers and "www-authenticate" not in response.members(
        "access-control-expose-headers"
    ):
        detail = (
            "A page cannot read the WWW-Authenticate header of the refusal: add it to Access-Control-Expose-Headers."
        )
        yield Finding("challenge_not_exposed", detail, "www-authenticate", "not exposed")

    if response.error == "unknown_app":
        named = "as its client does" if app is not None else "by a header or in its body: check with the app's client"
        detail = (
            "The server does not know the app that the request names, so the page sees another refusal than its users."
            f" The request must name the app {named}."
        )
        yield Finding("app_not_named", detail, "a request that names an app of the server", "unknown_app")


def _origin_findings(response: _Response, origin: str, code: str, subject: str) -> Iterator[Finding]:
    header_values = response.headers.get("access-control-allow-origin", ())
    values = [item.strip() for value in header_values for item in value.split(",")]
    found = ", ".join(shown(value) for value in values) or "none"
    if len(values) > 1:
        detail = (
            f"{subject} has Access-Control-Allow-Origin more than once, and browsers reject that: set it in one place."
        )
        yield Finding("cors_doubled", detail, "one value", found)
    elif values not in ([origin], ["*"]):
        detail = (
            f"{subject} lacks Access-Control-Allow-Origin for {shown(origin)}, so the page's script cannot read it. "
            "Refusals need CORS headers too: put the CORS middleware outside the gate, or use Wicket's own CORS "
            "(cors=True). If Wicket sets them, the app does not allow this origin."
        )
        yield Finding(code, detail, shown(origin), found)

"""What a page's script would find at a URL: whether its preflight is answered, and whether it could read a refusal.

It dials whatever URL it is given, private addresses too, and follows no redirect: give it URLs of your own.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from wicket.diagnostics.report import Diagnosis, Finding, Step, shown
from wicket.errors import Problems, config_error

_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,512}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_BAD_TOKEN: Final = "not-a-token"
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: its status, and its headers under lower-case names, each with every value that was sent."""

    status: int
    headers: dict[str, list[str]]

    def words(self, name: str) -> frozenset[str]:
        values = ",".join(self.headers.get(name, ())).lower().split(",")
        return frozenset(word.strip() for word in values)


def diagnose_url(
    url: str,
    origin: str,
    *,
    header: str = "Authorization",
    timeout: float = _SECONDS,
    ssl_context: ssl.SSLContext | None = None,
) -> Diagnosis:
    """Ask `url` what a browser would, for a page at `origin`: a preflight, and a request with a bad token.

    The token rides in `header`. The findings say which CORS headers are missing, and so why a page's script sees an
    opaque failure instead of a 401 that it can read. `timeout` is in seconds, for each operation of a socket;
    `ssl_context` is for authorities of one's own. Blocks. It dials whatever it is given: let no stranger choose it.

    Raises `ConfigError` for what is no http or https URL, no origin, or no header's name.
    """
    parts = _checked(url, origin, header)
    preflight = _ask(
        parts,
        "OPTIONS",
        {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": header.lower(),
        },
        timeout,
        ssl_context,
    )
    token = f"Bearer {_BAD_TOKEN}" if header.lower() == "authorization" else _BAD_TOKEN
    answer = _ask(parts, "GET", {"Origin": origin, header: token}, timeout, ssl_context)
    about_preflight = (
        [_unreachable(preflight)]
        if isinstance(preflight, str)
        else [*_preflight_findings(preflight, origin, header.lower())]
    )
    about_answer = [_unreachable(answer)] if isinstance(answer, str) else [*_answer_findings(answer, origin)]
    findings = tuple(dict.fromkeys((*about_preflight, *about_answer)))
    steps = (
        _step("preflight", "2xx with CORS headers", preflight, about_preflight),
        _step("bad token", "a refusal that a page may read", answer, about_answer),
    )
    passed = not findings
    said = (
        "a page's script can use this URL, and read its refusals" if passed else "a page's script sees a bare failure"
    )
    return Diagnosis(None, passed, None, findings, (*steps, Step("decision", "", said, passed)))


def _step(name: str, expected: str, got: _Answer | str, findings: list[Finding]) -> Step:
    said = got if isinstance(got, str) else f"status {got.status}"
    return Step(name, expected, "; ".join([said, *(each.code for each in findings)]), not findings)


def _checked(url: object, origin: object, header: object) -> SplitResult:
    problems = Problems()
    if not isinstance(origin, str) or not _VISIBLE.fullmatch(origin):
        problems.add("origin", "is not an origin", "https://app.example.com")
    if not isinstance(header, str) or not _NAME.fullmatch(header):
        problems.add("header", "is not the name of a header")
    problems.raise_if_any()
    hint = "https://api.example.com/me?appId=acme"
    if not isinstance(url, str):
        raise config_error("url", "must be a text", hint)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise config_error("url", "is not a URL", hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or "@" in parts.netloc:
        raise config_error("url", "is not a plain http or https URL", hint)
    return parts


def _ask(
    parts: SplitResult, method: str, headers: dict[str, str], timeout: float, ssl_context: ssl.SSLContext | None
) -> _Answer | str:
    """The answer, or in a few words why there is none."""
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
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        held: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            held.setdefault(name.lower(), []).append(value.strip())
        return _Answer(response.status, held)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()


def _unreachable(why: str) -> Finding:
    detail = f"The URL gives {why}: check the host, the port, the certificate, and that the server runs."
    return Finding("unreachable", detail, "an answer", why)


def _preflight_findings(got: _Answer, origin: str, header: str) -> Iterator[Finding]:
    status = str(got.status)
    if 300 <= got.status < 400:
        detail = "The preflight is redirected, which browsers do not follow: ask the final URL at once."
        yield Finding("preflight_redirected", detail, "2xx", status)
        return
    if not 200 <= got.status < 300:
        detail = (
            f"The preflight is refused with {status}: a browser sends it without a token, so it must be answered "
            "before any check. Put the CORS middleware outside the gate, or let Wicket answer it (cors=True); if it "
            "does, the app does not admit this origin."
        )
        yield Finding("preflight_behind_gate", detail, "2xx", status)
    yield from _origin_findings(got, origin, "preflight_without_cors", "The answer to the preflight")
    allowed = got.words("access-control-allow-headers")
    if header not in allowed and ("*" not in allowed or header == "authorization"):
        detail = (
            f"The answer to the preflight does not allow the header {shown(header)}, in which the token rides: add it "
            "to Access-Control-Allow-Headers (a * does not cover Authorization)."
        )
        yield Finding("preflight_without_header", detail, header, ", ".join(sorted(allowed - {""})) or "none")


def _answer_findings(got: _Answer, origin: str) -> Iterator[Finding]:
    yield from _origin_findings(got, origin, "opaque_refusal", f"The answer to a bad token (status {got.status})")
    if "www-authenticate" in got.headers and "www-authenticate" not in got.words("access-control-expose-headers"):
        detail = (
            "The refusal has a WWW-Authenticate header that no page may read: name it in Access-Control-Expose-Headers."
        )
        yield Finding("challenge_not_exposed", detail, "www-authenticate", "not exposed")


def _origin_findings(got: _Answer, origin: str, mistake: str, what: str) -> Iterator[Finding]:
    values = [each.strip() for value in got.headers.get("access-control-allow-origin", ()) for each in value.split(",")]
    found = ", ".join(shown(value) for value in values) or "none"
    if len(values) > 1:
        detail = f"{what} has Access-Control-Allow-Origin more than once, which browsers refuse: set it in one place."
        yield Finding("cors_doubled", detail, "one value", found)
    elif values not in ([origin], ["*"]):
        detail = (
            f"{what} lacks Access-Control-Allow-Origin for {shown(origin)}, so the page's script sees no answer. "
            "Refusals need CORS headers too: put the CORS middleware outside the gate, or let Wicket set "
            "them (cors=True); if it does, the app does not admit this origin."
        )
        yield Finding(mistake, detail, shown(origin), found)

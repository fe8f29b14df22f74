"""The kinds of requests without a credential that `unauthenticated.py` measures."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from benchmarks import fixtures
from benchmarks.unauthenticated_requests import (
    BODY,
    HEADER_BYTES,
    NAMED,
    TOKEN,
    Case,
    bearer,
    gate_of,
    middleware_call,
    padded,
    refused_call,
    scope_of,
    unsigned_token,
    wsgi_call,
)
from wicket import (
    Bearer,
    Cookie,
    Gate,
    Header,
    JsonBody,
    Jwks,
    PathSegment,
    PublicKey,
    Query,
    Request,
    Secret,
    Subprotocol,
    TokenIssuer,
    profiles,
)
from wicket.config.identity_hash import IdentityHash
from wicket.keys.jwk import import_jwk
from wicket.messages.paths import LONGEST_PATH
from wicket.messages.request import BytesBody
from wicket.wsgi import WicketMiddleware as WsgiMiddleware

_PATTERNS: Final = (
    *(f"https://site-{number}.example" for number in range(2000)),
    "*.acme.example",
    "https://*.b.c.d.e",
)


def cases() -> Iterator[Case]:
    """Yields every kind of request."""
    yield from _origins()
    yield from _bodies()
    yield from _lists()
    yield from _floods()
    yield from _paths()
    yield from _garbage()
    yield from _forged()


def _origins() -> Iterator[Case]:
    gate = gate_of(origins=_PATTERNS)
    labels = "https://" + "a." * 120 + "example"
    for what, origin in {
        "an origin of 121 labels": labels,
        "an origin of 253 characters": "https://"
        + "a" * 60
        + "."
        + "b" * 60
        + "."
        + "c" * 60
        + "."
        + "d" * 60
        + ".example",
        "an origin of 251 labels": "https://" + "a." * 250 + "b",
        "an origin of 64 KiB": "https://" + "a." * (HEADER_BYTES // 2),
        "an origin of points": "https://" + "." * 500,
        "an origin of hyphens": "https://a" + "-" * 500,
        "an origin of brackets": "https://[" + ":" * 500,
        "an origin with a long port": "https://acme.example:" + "1" * 400,
    }.items():
        yield Case(what, "honest", refused_call(gate, [*NAMED, ("origin", origin)]))
    asked = ("access-control-request-method", "GET")
    by_query = gate_of(app_locations=[Query("app")], origins=_PATTERNS)
    for what, more in {
        "a preflight from an origin of 121 labels": ("origin", labels),
        "a preflight that asks for 32,000 headers": ("access-control-request-headers", "a," * (HEADER_BYTES // 2)),
        "a preflight that asks for one header of 64 KiB": ("access-control-request-headers", "a" * HEADER_BYTES),
        "a preflight for a method of 64 KiB": ("x-a", "a" * HEADER_BYTES),
    }.items():
        headers = [asked, more] if more[0] != "x-a" else [("access-control-request-method", more[1])]
        if more[0] != "origin":
            headers.append(("origin", "https://a.acme.example"))
        yield Case(what, "honest", middleware_call(by_query, headers, method="OPTIONS", query="app=acme"))


def bodies() -> dict[str, bytes]:
    """Returns bodies of about 64 KiB by their description."""
    names = b'"appId":"acme","projectId":"acme","token":"x","auth":{"token":"x"},"userId":"u","email":"e",'
    counted = b",".join(b'"%x":0' % number for number in range(6800))
    kinds = {
        "distinct members": counted,
        "members of one name": b",".join([b'"a":{}'] * 9000),
        "empty names": b",".join([b'"":0'] * 12_000),
        "the looked-up name again and again": b",".join([b'"token":0'] * 6000),
        "the looked-up name in escapes": b",".join([b'"\\u0074oken":0'] * 4000),
        "one member twice among many": counted + b',"0":1',
        "many members within the path": b'"auth":{"token":"y",' + counted[:-1000].rpartition(b",")[0] + b"}",
        "one name within the path": b'"auth":{' + b",".join([b'"a":{}'] * 9000) + b"}",
        "empty objects": b'"a":[' + b",".join([b"{}"] * 21_000) + b"]",
        "empty lists": b'"a":[' + b",".join([b"[]"] * 21_000) + b"]",
        "objects of one member": b'"a":[' + b",".join([b'{"a":0}'] * 8000) + b"]",
        "objects of two equal members": b'"a":[' + b",".join([b'{"a":0,"a":0}'] * 4600) + b"]",
        "whole numbers": b'"a":[' + b",".join([b"0"] * 32_000) + b"]",
        "fractions": b'"a":[' + b",".join([b"0.5"] * 16_000) + b"]",
        "huge numbers": b'"a":[' + b",".join([b"9" * 4000] * 16) + b"]",
        "one number of 64 kB": b'"a":' + b"9" * BODY,
        "empty strings": b'"a":[' + b",".join([b'""'] * 21_000) + b"]",
        "one long string": b'"a":"' + b"x" * BODY + b'"',
        "one long string of escapes": b'"a":"' + b"\\u0041" * 10_000 + b'"',
        "one long string beyond ASCII": b'"a":"' + "ü".encode() * 32_000 + b'"',
        "nested objects": b'"a":' * 1 + b'{"a":' * 900 + b"0" + b"}" * 900,
        "blanks": b" " * BODY + b'"a":0',
        "an end that is missing": counted + b',"a":"',
    }
    found = {f"{what}, without a name": b"{" + members + b"}" for what, members in kinds.items()}
    found |= {f"{what}, with all names": b"{" + names + members + b"}" for what, members in kinds.items()}
    if any(len(body) > 65_536 for body in found.values()):
        raise RuntimeError("a body is larger than what is looked into")
    return found | {"brackets": b"[" * BODY, "noise": bytes(range(256)) * 250, "a list": b"[" + b"0," * 30_000 + b"0]"}


def _bodies() -> Iterator[Case]:
    hashed = IdentityHash(secret=Secret(bytes(range(32))))
    places: Any = {
        "app_locations": [Query("q"), JsonBody("appId"), JsonBody("projectId")],
        "token_locations": [Bearer(), JsonBody("token"), JsonBody("auth.token")],
    }
    several = gate_of(**places, claimed_user_locations=[JsonBody("userId"), JsonBody("email")], identity_hash=hashed)
    for what, body in bodies().items():
        scope = scope_of([("content-type", "application/json")], method="POST")

        def call(scope: Any = scope, body: bytes = body) -> object:
            return several.decide(Request.from_asgi(scope, BytesBody(body)))

        def base(body: bytes = body) -> object:
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                return None

        yield Case(f"a body: {what}", "json.loads", call, base)


def _lists() -> Iterator[Case]:
    cookies = gate_of(token_locations=[Cookie("session")], origins=["https://acme.example"])
    for what, value in {
        "8,000 cookies": "; ".join(["a=b"] * 8000) + ("; session" * 10),
        "8,000 cookies without spaces": ";".join(["a=b"] * 8000) + "; sessio=session",
        "cookies that are alike": "; ".join(["sessio=n"] * 6000) + "; asession=1",
        "500 cookies that are alike, in 32 kB": "; ".join(["session" + "a" * 55] * 500),
        "32 kB of spaces between cookies": ";" + " " * 32_000 + "sessio=session",
        "500 cookies of spaces": ("session" + " " * 50 + "a;") * 500,
        "the cookie again and again": "; ".join(["session=1"] * 5900),
        "one cookie of 64 KiB": "session=" + "a" * HEADER_BYTES,
        "a cookie of spaces": "session" + " " * HEADER_BYTES,
        "semicolons": ";" * HEADER_BYTES + "session",
    }.items():
        yield Case(what, "honest", refused_call(cookies, [*NAMED, ("cookie", value)]))
    split = [("cookie", "a=session")] * 4000
    yield Case("4,000 headers of one cookie each", "honest", refused_call(cookies, [*NAMED, *split]))
    sockets = gate_of(token_locations=[Subprotocol()])
    for what, value in {
        "32,000 subprotocols": "bearer," + "a," * (HEADER_BYTES // 2 - 10) + "a",
        "commas for subprotocols": "bearer" + "," * HEADER_BYTES,
        "the subprotocol again and again": "bearer," * 9000 + "a",
        "60 subprotocols of 1 kB": ",".join(["bearerer" * 125] * 60) + ",bearer",
        "60 subprotocols with blanks": "bearer" + (" " * 1000 + ",a") * 60,
        "one subprotocol of 64 KiB": "bearer, " + "a" * HEADER_BYTES,
        "blanks between subprotocols": ("bearer," + " " * 500) * 120,
    }.items():
        yield Case(what, "honest", refused_call(sockets, [*NAMED, ("sec-websocket-protocol", value)], kind="websocket"))
    queries = gate_of(app_locations=[Query("appId"), Query("organization")], token_locations=[Query("token")])
    spelled = "%61%70%70%49%64"
    for what, query in {
        "a query of ampersands": "&" * HEADER_BYTES,
        "a query of 16,000 parameters": "&".join(["a=b"] * 16_000),
        "a query that spells the name again and again": "&".join([f"{spelled}=x"] * 3700),
        "a query of names that are alike": "&".join([f"{spelled[:-1]}5=x"] * 3700),
        "a query of 1,000 names that are alike": "&".join([f"{spelled[:-1]}5=" + "x" * 40] * 1000),
        "a query of one long value": "x=" + "a" * HEADER_BYTES,
        "a query of one long value of the name": "appId=" + "a" * HEADER_BYTES,
        "a query of one long value in escapes": "appId=" + "%61" * (HEADER_BYTES // 3),
        "a query of percent signs": "%" * HEADER_BYTES,
        "a query of pluses": "appId=" + "+" * HEADER_BYTES,
        "a token of 16 kB in the query, in escapes": "appId=acme&token=" + "%61" * (TOKEN // 3),
        "a query of 990 names that are alike, in 32 kB": "&".join([f"{spelled[:-1]}5=" + "x" * 10] * 990),
        "a query of 990 short parameters": "&".join(["a"] * 990),
        "a query of 32 kB without a parameter": "%61" * 10_000,
        "a query of one value of 32 kB in escapes": "appId=" + "%61" * 10_000,
        "a query of one value of 1,024 escapes": "appId=" + "%61" * 1024,
    }.items():
        yield Case(what, "honest", refused_call(queries, [], query=query))


def _floods() -> Iterator[Case]:
    gate = gate_of()
    for what, headers in {
        "16,000 headers of one letter": [("a", "")] * 16_000,
        "8,000 different headers": [(f"{number:x}", "a") for number in range(8000)],
        "8,000 different headers in upper case": [(f"X{number:X}", "a") for number in range(8000)],
        "500 headers in upper case": [(f"X-{number:X}", "a" * 120) for number in range(500)],
        "500 headers of one name": [("x-a", "a")] * 500,
        "256 headers in upper case": [(f"X-{number:X}", "a" * 120) for number in range(250)],
        "one header of 64 KiB": [("x-a", "a" * HEADER_BYTES)],
        "Authorization 4,000 times": [*NAMED, *[("authorization", "a")] * 4000],
        "Authorization 200 times": [*NAMED, *[("authorization", "Bearer a.b.c")] * 200],
        "Authorization with 32,000 commas": [*NAMED, ("authorization", "Bearer a" + ",a" * 32_000)],
        "Authorization of spaces": [*NAMED, ("authorization", "Bearer " + " " * HEADER_BYTES + "a")],
        "the app's name 4,000 times": [("x-app-id", "a")] * 4000,
        "an app's name of 64 KiB": [("x-app-id", "a" * HEADER_BYTES)],
        "an app's name of 64 KiB of spaces": [("x-app-id", " " * HEADER_BYTES + "a")],
    }.items():
        yield Case(what, "honest", refused_call(gate, headers))
    for what, variables in {
        "WSGI: Authorization joined 32,000 times": {"HTTP_AUTHORIZATION": "Bearer a" + ",a" * 32_000},
        "WSGI: the app's name joined 32,000 times": {"HTTP_X_APP_ID": "a," * 32_000},
        "WSGI: Origin joined 32,000 times": {"HTTP_ORIGIN": "a," * 32_000},
        "WSGI: a path of 64 KiB beyond ASCII": {"PATH_INFO": "/" + "\xc3\xbc" * 32_000},
    }.items():
        yield Case(what, "honest", wsgi_call(gate, **variables))


def _paths() -> Iterator[Case]:
    segment = gate_of(app_locations=[PathSegment(0)])
    rules: dict[str, Any] = {"only": ["/api/*"], "exempt": [f"/public/{number}/*" for number in range(20)]}
    for what, path in {
        "a path of 32,000 segments": "/a" * (HEADER_BYTES // 2),
        "a path of 64 KiB": "/" + "a" * HEADER_BYTES,
        "a path of slashes": "/" * HEADER_BYTES,
        "a path of points": "/." * (HEADER_BYTES // 2),
    }.items():
        yield Case(f"PathSegment, {what}", "honest", refused_call(segment, [], path=path))
        yield Case(f"path rules, {what}", "honest", middleware_call(gate_of(), [], rules, path=f"/api{path}"))
    for what, path in {
        "the longest path": "/open/" + "b" * (LONGEST_PATH - 6),
        "the longest path of segments": "/.b" * (LONGEST_PATH // 3),
        "a path with the root twice": "/a/a/" + "b" * (LONGEST_PATH // 3 - 9),
        "a path with the root seven times": "/a" * 7 + "/" + "b" * (LONGEST_PATH // 8 - 20),
    }.items():
        yield Case(f"PathSegment, {what}", "honest", middleware_call(segment, [], {"root_path": "/a"}, path=path))
        yield Case(
            f"path rules, {what}", "honest", middleware_call(gate_of(), [], {**rules, "root_path": "/a"}, path=path)
        )
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/" + "\xc3\xbc" * 32_000}
    client = WsgiMiddleware(lambda *_: [], gate_of(), **rules)
    yield Case(
        "WSGI: path rules, a path of 64 KiB beyond ASCII", "honest", lambda: client(dict(environ), lambda *_: print)
    )


def _garbage() -> Iterator[Case]:
    gate = gate_of()
    issued = Gate(
        [
            profiles.generic(
                "acme", credentials=[Secret(fixtures.SECRET)], issuer="https://a.example", app_locations=[TokenIssuer()]
            ),
            profiles.generic(
                "b",
                credentials=[Secret(fixtures.SECRET[::-1])],
                issuer="https://b.example",
                app_locations=[TokenIssuer()],
            ),
        ]
    )
    size = TOKEN * 3 // 4 - 100
    counted = b",".join(b'"%x":0' % number for number in range(1400))
    few = b",".join(b'"%x":0' % number for number in range(480))
    wide = b"," + b",".join(b'"%x":"%b"' % (number, b"a" * 35) for number in range(240))
    short = {
        "240 members in 8 kB": b'{"alg":"HS256"' + b",".join(b',"%x":"%b"' % (n, b"a" * 14) for n in range(120)) + b"}",
        "60 objects": b'{"alg":"HS256","a":[' + b",".join([b'{"a":0,"b":0}'] * 60) + b"]}",
        "250 numbers": b'{"alg":"HS256","a":[' + b",".join([b"0.1"] * 250) + b"]}",
        "a kid of 6 kB": b'{"alg":"HS256","kid":"' + b"a" * 6000 + b'"}',
        "6 kB of escapes": b'{"alg":"HS256","kid":"' + b"\\u0041" * 1000 + b'"}',
        "6 kB of brackets in a string": b'{"alg":"HS256","kid":"' + b"(" * 6000 + b'"}',
        "6 kB of spaces": b'{"alg":"HS256"' + b" " * 6000 + b"}",
        "6 kB beyond ASCII": b'{"alg":"HS256","kid":"' + "\u00fc".encode() * 3000 + b'"}',
        "6 kB of a string that does not end": b'{"alg":"HS256","a":[],"kid":"' + b"a" * 6000,
    }
    for what, piece in short.items():
        yield Case(
            f"a header of a token of 8 kB: {what}", "first-seen", refused_call(gate, bearer(unsigned_token(piece)))
        )
    pieces = {
        "480 members": b"{" + few + b',"iss":"https://a.example"}',
        "240 members in 12 kB": b'{"iss":"https://a.example"' + wide + b"}",
        "members": b"{" + counted + b',"alg":"HS256","iss":"https://a.example"}',
        "members, one of them twice": b"{" + counted + b',"0":0}',
        "lists": padded(b'{"alg":"HS256","a":[[]', b",[]", b"]}", size),
        "objects": padded(b'{"alg":"HS256","a":[{}', b",{}", b"]}", size),
        "objects of one member": padded(b'{"alg":"HS256","a":[{}', b',{"":0}', b"]}", size),
        "whole numbers": padded(b'{"alg":"HS256","a":[0', b",0", b"]}", size),
        "fractions": padded(b'{"alg":"HS256","a":[0', b",.1e1", b"]}", size),
        "fractions in order": padded(b'{"alg":"HS256","a":[0', b",0.1", b"]}", size),
        "numbers of 300 digits": padded(b'{"alg":"HS256","a":[0', b"," + b"9" * 300, b"]}", size),
        "one number": b'{"alg":"HS256","a":' + b"9" * 11_000 + b"}",
        "empty strings": padded(b'{"alg":"HS256","a":[""', b',""', b"]}", size),
        "escapes": padded(b'{"alg":"HS256","kid":"', b"\\u0041", b'"}', size),
        "a long kid": padded(b'{"alg":"HS256","kid":"', b"a", b'"}', size),
        "a long alg": padded(b'{"alg":"', b"a", b'"}', size),
        "depth": b'{"a":' * 1800 + b"0" + b"}" * 1800,
        "brackets": padded(b'{"a":[', b"[", b"]}", size),
        "a string that does not end": padded(b'{"a":"', b"[", b"", size),
        "blanks": padded(b"{", b" ", b'"alg":"HS256"}', size),
        "noise": bytes(range(256)) * 46,
    }
    for what, piece in pieces.items():
        yield Case(f"a header of a token: {what}", "first-seen", refused_call(gate, bearer(unsigned_token(piece))))
        token = unsigned_token(b'{"alg":"HS256"}', piece)
        yield Case(f"a payload whose issuer names the app: {what}", "first-seen", refused_call(issued, bearer(token)))
    for what, text in {
        "a token of 64 KiB": "a" * HEADER_BYTES,
        "a token of points": "a." * (HEADER_BYTES // 2),
        "a token of 16 kB of points": "a." * (TOKEN // 2),
        "a token of 16 kB of letters": "a" * TOKEN,
        "a token of 16 kB beyond base64url": "a.b." + "~" * TOKEN,
    }.items():
        yield Case(what, "honest", refused_call(gate, bearer(text)))
    kid = unsigned_token(b'{"alg":"HS256","kid":"unknown"}', b'{"sub":"' + b"a" * size + b'"}')
    yield Case("a token of 16 kB with an unknown kid", "first-seen", refused_call(gate, bearer(kid)))
    hashed = gate_of(
        token_locations=[Bearer()],
        identity_hash=IdentityHash(
            secret=Secret(bytes(range(32))), identifier_location=Header("x-user"), hash_location=Header("x-hash")
        ),
    )
    for what, user in {"a user id of 64 KiB": "a" * HEADER_BYTES, "a user id of controls": "a" * 200 + "\x01"}.items():
        headers = [*NAMED, ("x-user", user), ("x-hash", "a" * 64)]
        yield Case(f"an identity hash, {what}", "honest", refused_call(hashed, headers))
    headers = [*NAMED, ("x-user", "a"), ("x-hash", "a" * HEADER_BYTES)]
    yield Case("an identity hash of 64 KiB", "honest", refused_call(hashed, headers))


def _forged() -> Iterator[Case]:
    first, second = (rsa.generate_private_key(public_exponent=65537, key_size=4096) for _ in range(2))
    # The modulus of 8192 bits is the product of primes of two keys: a search for primes of 4096 bits takes a minute.
    product = first.public_key().public_numbers().n * second.public_key().public_numbers().n
    keys: dict[str, tuple[str, Any, int]] = {
        "RSA-4096 in a key set": ("RS256", first.public_key(), 512),
        "RSA-8192": ("RS512", rsa.RSAPublicNumbers(65537, product).public_key(), (product.bit_length() + 7) // 8),
        "ES512": ("ES512", ec.generate_private_key(ec.SECP521R1()).public_key(), 132),
        "ES384": ("ES384", ec.generate_private_key(ec.SECP384R1()).public_key(), 96),
    }
    for what, (algorithm, public, size) in keys.items():
        jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
        credential: Any = PublicKey.from_jwk(jwk, algorithms=[algorithm])
        if what.endswith("set"):
            credential = Jwks.static({"keys": [jwk]}, algorithms=[algorithm])
        signature = (b"\x01" + b"a" * (size // 2 - 1)) * 2  # r and s are in the range of the curve
        forged = unsigned_token(f'{{"alg":"{algorithm}"}}'.encode(), signature=signature)
        key, message = import_jwk(jwk, [algorithm]), forged.rpartition(".")[0].encode()
        check = functools.partial(key.verify, algorithm, message, signature)
        yield Case(
            f"a forged token, {what}",
            "signature",
            refused_call(gate_of(credentials=[credential]), bearer(forged)),
            check,
        )

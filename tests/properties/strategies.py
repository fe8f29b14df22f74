"""What hypothesis makes up: JSON of every shape, headers and claims that are nearly right, tokens of every kind."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.properties.tokens import NOW, joined, signed, signed_bytes

ANY_TEXT: Final = st.text(st.characters(), max_size=40)
"""Any text, lone surrogates included."""

JSON_SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

TIMES: Final = (
    st.integers(-200, 200).map(lambda seconds: NOW + seconds)
    | st.integers(-400, 400).map(lambda halves: NOW + halves / 2)
    | st.integers(NOW - 10**6, NOW + 10**6)
    | st.sampled_from(
        [
            0,
            -1,
            -62135596800,
            -62135596801,
            -0.0,
            1e308,
            253402300799,
            253402300800,
            10**19,
            True,
            "1760003600",
            None,
            [NOW],
        ]
    )
)
LATER: Final = st.integers(NOW + 100, NOW + 10**6) | TIMES

ALGORITHM_NAMES: Final = st.sampled_from(
    ["HS256", "hs256", "HS384", "none", "None", "", "HS256 ", "RS256", "EdDSA", 1, None, ["HS256"], {"HS256": 1}]
)

HEADERS: Final[st.SearchStrategy[Any]] = (
    st.fixed_dictionaries(
        {"alg": st.just("HS256") | ALGORITHM_NAMES},
        optional={
            "typ": st.sampled_from(["JWT", "jwt", "application/JWT", "at+jwt", "", 1, None]),
            "kid": st.text(max_size=8) | JSON_SCALARS,
            "crit": JSON,
            "b64": st.booleans(),
            "cty": st.just("JWT"),
            "jku": st.just("https://evil.example/jwks.json"),
            "jwk": JSON,
            "x5c": JSON,
            "nonce": JSON,
        },
    )
    | st.dictionaries(st.text(max_size=8), JSON, max_size=5)
    | JSON
)

CLAIMS: Final[st.SearchStrategy[dict[str, Any]]] = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.sampled_from(["user-1", "ü", "", 7, None, "x" * 257, "a\nb"]) | JSON,
        "exp": LATER,
        "nbf": TIMES,
        "iat": TIMES,
        "iss": st.sampled_from(["https://id.example", "https://id.example/"]) | JSON_SCALARS,
        "aud": st.sampled_from(["https://api.example", ["https://api.example"], ["x", "https://api.example"], [], ""])
        | JSON,
        "jti": st.text(max_size=8) | JSON_SCALARS,
        "app": st.just("acme") | JSON_SCALARS,
        "ctx": st.dictionaries(st.text(max_size=8), JSON, max_size=3) | JSON,
        "scope": st.sampled_from(["read write", ["read"], ""]) | JSON,
        "companies": st.lists(st.fixed_dictionaries({"id": JSON_SCALARS, "name": JSON_SCALARS}), max_size=3) | JSON,
    },
)

ALMOST_GOOD: Final[st.SearchStrategy[dict[str, Any]]] = st.builds(
    lambda claims: {"sub": "user-1", "exp": NOW + 3600, **claims},
    st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "iat", "jti", "plan", "email", "a", "b"]), JSON | TIMES, max_size=2
    ),
)
"""Claims of which many pass, so that a property about what is accepted has something to hold on to."""

TOKENS: Final[st.SearchStrategy[str]] = (
    ANY_TEXT
    | st.text("ABCabc019-_.=", max_size=80)
    | st.builds(joined, st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
    | st.builds(signed_bytes, st.binary(max_size=40), st.binary(max_size=40))
    | st.builds(signed_bytes, st.just(b'{"alg":"HS256"}'), st.binary(max_size=60))
    | st.builds(signed, CLAIMS, HEADERS)
    | st.builds(signed, ALMOST_GOOD)
)
"""Tokens from pure noise to properly signed ones."""

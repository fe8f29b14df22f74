"""getuserfeedback: tokens of an issuer with RSA, EC and Ed25519 keys, known to Wicket only by their public halves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.broken_tokens import GETUSERFEEDBACK_BROKEN, ISSUER_ALGORITHMS
from tests.interop.cases import AUDIENCE, ISSUER, getuserfeedback, issuer_payload
from tests.interop.node_signer import SignedElsewhere, admitted, refused, request
from wicket import App, Jwks, PublicKey, Request, profiles

Known = Callable[[SignedElsewhere], App]


def app(*credentials: Jwks | PublicKey) -> App:
    return profiles.getuserfeedback("globex", issuer=ISSUER, credentials=credentials, origins=["https://acme.com"])


def by_key_set(elsewhere: SignedElsewhere) -> App:
    document = {"keys": [elsewhere.keys[kid]["jwk"] for kid in ISSUER_ALGORITHMS]}
    return app(Jwks.static(document))


def by_pem(elsewhere: SignedElsewhere) -> App:
    return app(*(
        PublicKey.from_pem(elsewhere.keys[kid]["pem"], algorithms=[algorithm], kid=kid)
        for kid, algorithm in ISSUER_ALGORITHMS.items()
    ))  # fmt: skip


@pytest.fixture(params=[by_key_set, by_pem], ids=["key set", "PEM"])
def globex(request: pytest.FixtureRequest, elsewhere: SignedElsewhere) -> App:
    known: Known = request.param
    return known(elsewhere)


def carrying(token: str) -> Request:
    return request(headers=[("Authorization", f"Bearer {token}")])


@pytest.mark.parametrize("kid", ISSUER_ALGORITHMS)
def test_getuserfeedback_issuer_token_allowed(elsewhere: SignedElsewhere, globex: App, kid: str) -> None:
    identity = admitted(globex, carrying(elsewhere.tokens[f"issuer: {kid}"]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("user_2abc", "sub")
    assert identity.kid == kid
    assert identity.claims == issuer_payload(elsewhere.now)
    assert identity.attributes == {"email": "ada@globex.com"}


def test_getuserfeedback_one_of_several_audiences_allowed(elsewhere: SignedElsewhere, globex: App) -> None:
    identity = admitted(globex, carrying(elsewhere.tokens["issuer: several audiences"]), now=elsewhere.now)

    assert AUDIENCE in identity.claims["aud"]


def test_getuserfeedback_cases_all_covered() -> None:
    good = {f"issuer: {kid}" for kid in ISSUER_ALGORITHMS} | {"issuer: several audiences"}
    assert getuserfeedback(0).keys() == GETUSERFEEDBACK_BROKEN.keys() | good


@pytest.mark.parametrize("name", GETUSERFEEDBACK_BROKEN)
def test_getuserfeedback_broken_token_refused_with_reason(elsewhere: SignedElsewhere, globex: App, name: str) -> None:
    # Naming the app in the request keeps a wrong issuer from being a wrong app.
    named = request("appId=globex", [("Authorization", f"Bearer {elsewhere.tokens[name]}")])

    assert refused(globex, named, now=elsewhere.now) == GETUSERFEEDBACK_BROKEN[name]


@pytest.mark.parametrize("algorithm", sorted(set(ISSUER_ALGORITHMS.values())))
def test_getuserfeedback_jwks_algorithms_restrict_allowed_tokens(elsewhere: SignedElsewhere, algorithm: str) -> None:
    document = {"keys": [elsewhere.keys[kid]["jwk"] for kid in ISSUER_ALGORITHMS]}
    narrow = app(Jwks.static(document, algorithms=[algorithm]))

    for kid, signed_with in ISSUER_ALGORITHMS.items():
        carried = carrying(elsewhere.tokens[f"issuer: {kid}"])
        if signed_with == algorithm:
            assert admitted(narrow, carried, now=elsewhere.now).kid == kid
        else:
            assert refused(narrow, carried, now=elsewhere.now) == "algorithm_not_allowed"

"""Rows of the four vendors, in their own words."""

from __future__ import annotations

import jwt

from tests.scenarios.builders import (
    bad_token,
    bearer,
    named,
    passes,
    refused,
    row,
)
from tests.scenarios.model import Challenge, Form, Scenario
from tests.scenarios.world import (
    AUDIENCE,
    ISSUER,
    NOW,
    USERZ_ID,
    globex_token,
    text_secret,
    token,
    userz_token,
)


def vendor_rows() -> list[Scenario]:
    userz = (bearer("pub_acme"),)
    header = "X-Userz-User-Token"
    hiss = jwt.encode({"userId": "ada", "exp": NOW + 60}, text_secret("hissuno"), algorithm="HS256")
    feat = jwt.encode({"userId": "ada"}, text_secret("featurebase"), algorithm="HS256")
    email = jwt.encode({"email": "ada@acme.example"}, text_secret("featurebase"), algorithm="HS256")
    return [
        row("userz: a user", passes(f"{USERZ_ID}:ada"), *userz, (header, userz_token())),
        row("userz: no token", refused(401, "missing_token", Challenge.BARE, form=Form.USERZ), *userz),
        row(
            "userz: an empty token",
            refused(401, "missing_token", Challenge.BARE, form=Form.USERZ),
            *userz,
            (header, ""),
        ),
        row(
            "userz: a token of another app",
            refused(401, "invalid_token", Challenge.ERROR, form=Form.USERZ, reason="wrong_app"),
            *userz,
            (header, userz_token(app="another")),
        ),
        row(
            "userz: a demand of the handler",
            refused(403, "insufficient_scope", Challenge.ERROR, form=Form.USERZ),
            *userz,
            (header, userz_token()),
            path="/admin",
        ),
        row(
            "userz: two tokens",
            refused(400, "invalid_request", Challenge.ERROR, form=Form.USERZ),
            *userz,
            (header, userz_token()),
            (header, userz_token(sub="eve")),
        ),
        row("hissuno: a user", passes("hissuno:ada"), bearer(hiss), query="projectId=hissuno"),
        row(
            "hissuno: no token",
            refused(401, "missing_token", Challenge.BARE),
            query="projectId=hissuno",
        ),
        row("featurebase: a user", passes("featurebase:userId:ada"), bearer(feat), query="appId=featurebase"),
        row(
            "featurebase: an e-mail address",
            passes("featurebase:email:ada%40acme.example"),
            query=f"appId=featurebase&jwt={email}",
        ),
        row(
            "featurebase: the same token in two places",
            passes("featurebase:userId:ada"),
            bearer(feat),
            query=f"appId=featurebase&jwt={feat}",
        ),
        row(
            "featurebase: two tokens in two places",
            refused(400, "invalid_request", Challenge.ERROR, form=Form.FEATUREBASE),
            bearer(feat),
            query=f"appId=featurebase&jwt={email}",
        ),
        row(
            "featurebase: one place repeated",
            refused(400, "invalid_request", Challenge.ERROR, form=Form.FEATUREBASE),
            query=f"appId=featurebase&jwt={feat}&jwt={feat}",
        ),
        row(
            "featurebase: a bad token is a 400",
            refused(400, "invalid_token", Challenge.ERROR, form=Form.FEATUREBASE, reason="bad_signature"),
            query=f"appId=featurebase&jwt={token('acme')}",
        ),
        row(
            "featurebase: no token is a 400",
            refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE),
            query="appId=featurebase&jwt=",
        ),
        row("getuserfeedback: a user", passes("globex:ada"), named("globex"), bearer(globex_token())),
        row(
            "getuserfeedback: a shared secret never serves",
            bad_token("algorithm_not_allowed"),
            named("globex"),
            bearer(token("globex", iss=ISSUER, aud=AUDIENCE)),
        ),
        row(
            "getuserfeedback: another audience",
            bad_token("wrong_audience"),
            bearer(globex_token(aud=AUDIENCE + "/")),
        ),
        row(
            "a vendor's unusual status",
            refused(422, "missing_token", Challenge.BARE, form=Form.UNUSUAL),
            named("unusual"),
        ),
    ]

"""Rows whose app or token is in the body."""

from __future__ import annotations

import json

import jwt

from tests.scenarios.builders import (
    MISSING,
    bad_token,
    bearer,
    named,
    passes,
    posted,
    refused,
)
from tests.scenarios.model import Challenge, Scenario
from tests.scenarios.world import (
    NOW,
    text_secret,
    token,
)


def body_rows() -> list[Scenario]:
    hiss = jwt.encode({"userId": "ada", "exp": NOW + 60}, text_secret("hissuno"), algorithm="HS256")
    eve = jwt.encode({"userId": "eve", "exp": NOW + 60}, text_secret("hissuno"), algorithm="HS256")
    project = {"projectId": "hissuno"}
    good = {**project, "widgetToken": hiss}
    ada, twice = passes("hissuno:ada"), refused(400, "invalid_request", Challenge.EITHER)
    raw = json.dumps(good)
    beacon = {"auth": {"token": token("beacon")}}
    return [
        posted("a body names the app and holds the token", ada, good),
        posted(
            "a body holds the token, the query names the app", ada, {"widgetToken": hiss}, query="projectId=hissuno"
        ),
        posted("a body names the app, a header holds the token", ada, project, bearer(hiss)),
        posted("a body of other things beside the token", ada, {**good, "text": "é" * 999, "n": [1, {"a": None}]}),
        posted(
            "one token in a header and another in a body that is read",
            twice,
            {**good, "widgetToken": eve},
            bearer(hiss),
        ),
        posted("the same token in a header and a body", ada, good, bearer(hiss)),
        posted(
            "a body is not looked into where all else is known",
            ada,
            {"projectId": "strict", "widgetToken": eve},
            bearer(hiss),
            query="projectId=hissuno",
        ),
        posted("a body that names another app", twice, {**good, "projectId": "strict"}, query="projectId=hissuno"),
        posted("a body that names nobody", twice, {**good, "projectId": "nobody"}, query="projectId=hissuno"),
        posted("a body with two names for two apps", twice, {**good, "appId": "strict"}),
        posted("a body with two names for one app", ada, {**good, "appId": "hissuno"}),
        posted("a body that names an app twice", twice, f'{raw[:-1]}, "projectId": "hissuno"}}'.encode()),
        posted("a body that holds two tokens by one name", twice, f'{raw[:-1]}, "widgetToken": "{eve}"}}'.encode()),
        posted("a body that repeats what is not looked at", ada, f'{raw[:-1]}, "a": 1, "a": 2}}'.encode()),
        posted("a name in the body that is no string", twice, {**good, "projectId": 1}),
        posted("a token in the body that is no string", bad_token("malformed"), {**project, "widgetToken": 1}),
        posted("a token in the body that is a list", bad_token("malformed"), {**project, "widgetToken": [hiss]}),
        posted("a token in the body that is null", MISSING, {**project, "widgetToken": None}),
        posted("a token in the body that is empty", MISSING, {**project, "widgetToken": ""}),
        posted("a token in the body that is null as text", bad_token("malformed"), {**project, "widgetToken": "null"}),
        posted("a body of another type", MISSING, good, query="projectId=hissuno", media_type="text/plain"),
        posted("a body without a type", MISSING, good, query="projectId=hissuno", media_type=""),
        posted("a body that is no JSON", MISSING, raw.encode()[:-1], query="projectId=hissuno"),
        posted("a body that is no object", MISSING, [good], query="projectId=hissuno"),
        posted("a body in UTF-16", MISSING, raw.encode("utf-16"), query="projectId=hissuno"),
        posted("a body that is nested too deeply", MISSING, b"[" * 60_000, query="projectId=hissuno"),
        posted("a body at the limit", ada, raw.encode().ljust(65_536)),
        posted("a body above the limit", MISSING, raw.encode().ljust(65_537), query="projectId=hissuno"),
        posted("an empty body", MISSING, b"", query="projectId=hissuno"),
        posted("text where it is asked for", passes("beacon:ada"), beacon, named("beacon"), media_type="text/plain"),
        posted("a path into a body", passes("beacon:ada"), beacon, named("beacon")),
        posted("a path into a body that ends early", MISSING, {"auth": "x"}, named("beacon")),
        posted("the name of a log-only app twice in a body", twice, b'{"appId": "observed", "appId": "observed"}'),
    ]

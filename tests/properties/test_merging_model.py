"""`merge_unsigned` against a simple model of which source may set which attribute."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.strategies import JSON
from tests.properties.tokens import NOW, app, good_claims, signed
from tests.support.thorough import example_count
from wicket import Gate, Rules, VerifiedIdentity

quick = settings(max_examples=example_count(200), deadline=None)

NAMES = st.sampled_from(["plan", "city", "seats", "email", "sub", "exp", "*", "id", "x"])
VALUES = st.dictionaries(NAMES, JSON, max_size=6)
TEXTS = st.dictionaries(st.sampled_from(["plan", "city", "seats", "x"]), JSON, max_size=4)
PROTECTED = st.frozensets(st.sampled_from(["plan", "city", "x", "*", "companies"]), max_size=3)
IDS = st.sampled_from(["c1", "c2", "c3"])
COMPANY = st.builds(
    lambda id, more: {**more, "id": id, "name": id},
    IDS,
    st.dictionaries(st.sampled_from(["plan", "city"]), JSON, max_size=2),
)
COMPANIES = st.lists(COMPANY, max_size=3, unique_by=lambda company: company["id"])


def identity(rules: Rules, claims: dict[str, Any]) -> VerifiedIdentity:
    gate = Gate([app(rules=rules)], clock=lambda: NOW)
    return gate.verify(signed(good_claims(**claims)), app="acme").require()


def differs(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


@quick
@given(said=VALUES, stored=VALUES, ctx=TEXTS, protected_attributes=PROTECTED)
def test_merge_unsigned_any_attributes_best_source_wins(
    said: dict[str, Any], stored: dict[str, Any], ctx: dict[str, Any], protected_attributes: frozenset[str]
) -> None:
    rules = Rules(attributes_claim="ctx", protected_attributes=protected_attributes, user_id_claims=("sub", "email"))
    held = identity(rules, {"ctx": ctx, "city": "Rome", **({"seats": 5} if "seats" in said else {})})
    merged = held.merge_unsigned(said, stored)
    beside = {name: value for name, value in held.claims.items() if name not in ctx}

    expected: dict[str, Any] = {}
    told = set()
    for name in {*said, *stored, *ctx}:
        closed = "*" in protected_attributes or name in protected_attributes or name in ("sub", "exp", "email")
        for source, values in (("signed", ctx), ("stored", stored), ("said", said)):
            if name in values and not (source == "said" and (closed or name in beside)):
                expected[name] = values[name]
                break
        if name in stored and name in ("city", "seats", "sub") and name in beside:
            expected[name] = beside[name]
        if name in beside:
            wrong = name in said and ((closed and name != "*") or differs(beside[name], said[name]))
            told |= {name} if wrong and not (name == "sub" and said[name] == "user-1") else set()
        elif name in said and (name not in expected or differs(expected[name], said[name])):
            told.add(name)
    assert not differs(merged.attributes, expected)
    assert {conflict.attribute for conflict in merged.conflicts} == told
    for conflict in merged.conflicts:
        name = conflict.attribute
        assert not differs(conflict.kept, beside.get(name, expected.get(name)))
        wanted = "signed" if name in ctx or name in beside else "stored" if name in stored else None
        assert conflict.source == wanted


@quick
@given(
    said=COMPANIES,
    stored=st.none() | COMPANIES,
    proven=st.none() | COMPANIES,
    protected_attributes=PROTECTED,
    closed=st.frozensets(st.sampled_from(["plan", "city"])),
)
def test_merge_unsigned_any_companies_best_source_membership(
    said: list[Any],
    stored: list[Any] | None,
    proven: list[Any] | None,
    protected_attributes: frozenset[str],
    closed: Any,
) -> None:
    rules = Rules(
        companies_claim="companies", protected_attributes=protected_attributes, protected_company_attributes=closed
    )
    claims = {} if proven is None else {"companies": proven}
    known = {} if stored is None else {"companies": stored}
    merged = identity(rules, claims).merge_unsigned({"companies": said}, known)

    best = proven if proven is not None else stored
    if best is None:
        best = [] if protected_attributes & {"*", "companies"} else said
    assert [company["id"] for company in merged.companies] == [company["id"] for company in best]
    for company in merged.companies:
        sources: list[dict[str, Any]] = [
            next((each for each in source or [] if each["id"] == company["id"]), {})
            for source in (proven, stored, said)
        ]
        for name in ("plan", "city"):
            held = [each[name] for each in sources[: 2 if name in closed else 3] if name in each]
            assert (name in company) is bool(held)
            assert not held or not differs(company[name], held[0])
    turned_away = {company["id"] for company in said} - {company["id"] for company in best}
    assert {f"companies[{id}]" for id in turned_away} <= {conflict.attribute for conflict in merged.conflicts}


@quick
@given(
    said=JSON,
    stored=st.dictionaries(st.text(max_size=8), JSON, max_size=4),
    companies=JSON,
    protected_attributes=PROTECTED,
)
def test_merge_unsigned_any_json_valid_result(
    said: Any, stored: dict[str, Any], companies: Any, protected_attributes: frozenset[str]
) -> None:
    rules = Rules(
        companies_claim="companies",
        protected_attributes=protected_attributes,
        protected_company_attributes=protected_attributes,
    )
    held = identity(rules, {})
    for values in (said, {"companies": companies}, {"companies": [companies, {"id": "c1", "x": said}]}):
        merged = held.merge_unsigned(values, {**stored, "companies": companies})
        json.dumps([merged.attributes, merged.companies])
        assert all(type(company.get("id")) in (str, int) for company in merged.companies)
        if "*" in protected_attributes:
            assert merged.attributes == {**stored, **({"sub": held.user_id} if "sub" in stored else {})}

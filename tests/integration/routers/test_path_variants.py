"""No variant of a path reaches a gated handler undecided, and a plain exempt path needs no token."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.integration.routers.deployments import ALL, Deployment, ask
from tests.integration.routers.path_variants import EXEMPT, GATED, ONLY, OPEN, path_variants, plain
from wicket import Gate

every_deployment = pytest.mark.parametrize("deployment", ALL, ids=lambda deployment: deployment.name)
both_rules = pytest.mark.parametrize("rules", [EXEMPT, ONLY], ids=["exempt", "only"])


@both_rules
@every_deployment
def test_s1_router_gated_path_variant_never_reaches_handler(gate: Gate, deployment: Deployment, rules: Any) -> None:
    reached: list[tuple[str, Any]] = []
    with deployment.application(lambda route, scope: reached.append((route, scope.get("path", scope)))) as application:
        ask(
            deployment,
            deployment.gated(application, gate, rules),
            path_variants((*GATED, OPEN[0]), deployment.target_root),
        )
    assert [entry for entry in reached if entry[0] in GATED] == []
    assert {route for route, _ in reached} <= set(OPEN)


@both_rules
@every_deployment
def test_s1_router_plain_exempt_path_served_without_token(gate: Gate, deployment: Deployment, rules: Any) -> None:
    root = deployment.target_root
    # A path in which the root occurs again is not plain: `/p/public` under `/p`.
    paths = [path for path in OPEN if not root or deployment.settings.get("root_path") == "keep" or root not in path]
    targets = [target for path in paths for target in plain(path, root)]
    bare: Counter[str] = Counter()
    served: Counter[str] = Counter()
    with deployment.application(lambda route, _: bare.update([route])) as application:
        ask(deployment, application, targets)
    with deployment.application(lambda route, _: served.update([route])) as application:
        statuses = ask(deployment, deployment.gated(application, gate, rules), targets)
    assert served == bare, statuses
    assert set(served) == set(paths)


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("starlette at /app", 3),
        ("quart at /app", 10),
        ("litestar at /app", 100),
        ("django at /app", 3),
        ("fastapi sets /app", 4),
        ("django forces /app", 4),
        ("falcon at /app", 10),
        ("flask wsgi at /app", 10),
        ("falcon wsgi at /app", 10),
        ("django wsgi at /app", 3),
    ],
)
def test_router_without_gate_path_variants_reach_gated_handler(name: str, minimum: int) -> None:
    (deployment,) = (candidate for candidate in ALL if candidate.name == name)
    reached: list[str] = []
    with deployment.application(lambda route, _: reached.append(route)) as application:
        ask(deployment, application, path_variants(GATED, deployment.target_root))
    assert len([route for route in reached if route in GATED]) >= minimum

"""The OpenAPI description, tried by schemathesis against a real server."""

from __future__ import annotations

import copy

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from budgetledger import Ledger
from budgetledger.server.openapi import description

TOKEN = "a-token-of-the-first-project"
PROJECT = "described"
PLACES = {
    "project": {"const": PROJECT},
    "account": {"enum": ["alice", "bob"]},
    "number": {"type": "integer", "minimum": 1, "maximum": 12},
}
ASKED_NOTHING = ("/healthz", "/v1")
CHECKED = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "negative_data_rejection"),
    *("ignored_auth", "unsupported_method"),
)


def narrowed(places):
    """The description, for requests that do not all end at the gate, or in 404."""
    described = copy.deepcopy(description(has_tokens=True))
    for path in described["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter.get("name") in places:
                    parameter["schema"] = places[parameter["name"]]
    for schema in described["components"]["schemas"].values():
        if "project_name" in schema["properties"]:
            schema["properties"]["project_name"] = {"const": PROJECT}
    return described


def cases(mode, *places):
    schema = schemathesis.openapi.from_dict(narrowed({name: PLACES[name] for name in places}))
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.path in ASKED_NOTHING:
            continue
        yield pytest.param(operation, mode, id=f"{mode.value} {operation.method} {operation.path}")


CASES = [
    *cases(GenerationMode.POSITIVE, *PLACES),
    *cases(GenerationMode.NEGATIVE, "project"),
]


@pytest.fixture(scope="module")
def guarded(serve):
    """A server with holds and charges to be found by number, and room for more."""
    server = serve(tokens=f"{PROJECT}:{TOKEN}")
    with Ledger(server.path, project=PROJECT) as ledger:
        for account in ("alice", "bob"):
            ledger.set_budget(account, "1e17")
            for _ in range(4):
                ledger.hold(account, 1)
            ledger.charge(account, cost=1, model="m")
    return server


def test_it_is_served(guarded):
    assert httpx.get(f"{guarded.url}/openapi.json").json() == description(has_tokens=True)


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_it_does_as_it_says(guarded, operation, mode):
    checks = CHECKS.get_by_names(list(CHECKED))

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=10, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(case):
        token = {"Authorization": f"Bearer {TOKEN}"}
        case.call_and_validate(base_url=guarded.url, headers=token, checks=checks)

    run()

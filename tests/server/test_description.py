"""The OpenAPI description, tried by schemathesis against a real server."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

TOKEN = "a-token-of-the-first-project"
PROJECT = "described"


@pytest.fixture(scope="module")
def guarded(serve):
    return serve(tokens=f"{PROJECT}:{TOKEN}")


@pytest.fixture
def schema(guarded):
    described = httpx.get(f"{guarded.url}/openapi.json").json()
    for path in described["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter.get("name") == "project":  # the others' requests all end at the gate
                    parameter["schema"] = {"const": PROJECT}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            named = body.get("schema", {}).get("properties", {})
            if "project_name" in named:
                named["project_name"] = {"const": PROJECT}
    loaded = schemathesis.openapi.from_dict(described)
    loaded.config.update(base_url=guarded.url)
    return loaded


schema_of = schemathesis.pytest.from_fixture("schema")


@schema_of.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_it_does_as_it_says(case):
    checks = CHECKS.get_by_names(
        ["not_a_server_error", "status_code_conformance", "content_type_conformance",
         "response_headers_conformance", "response_schema_conformance",
         "negative_data_rejection", "ignored_auth", "unsupported_method"]
    )  # fmt: skip
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=checks)

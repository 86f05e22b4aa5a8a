"""The OpenAPI description of everything the server answers in JSON.

It is built from the table of operations, the models of requests and the types of answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, TypeAlias

from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from budgetledger.render import document_types as doc
from budgetledger.server.api import OPERATIONS
from budgetledger.server.litellm_protocol import (
    CLIENT_HEADER,
    GetBudget,
    Records,
    SetBudget,
    Success,
)
from budgetledger.server.operation import Operation
from budgetledger.server.request_fields import Name

Schema: TypeAlias = dict[str, Any]

PREFIX = "/v1/projects/{project}"
VERSION = version("budgetledger")

_USD: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_KEY: Schema = {"$ref": "#/components/parameters/IdempotencyKey"}
_CLIENT: Schema = {
    "name": CLIENT_HEADER,
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": (
        "a unique name of this client; the server then compares costs with what this client "
        "last sent or received, and charges all their growth"
    ),
}
_ERRORS = {
    400: "the body is not a JSON object, or no price is known for the model",
    401: "the token is missing or unknown",
    402: "a budget refuses the hold; if `retry_after` is set, retry after that many seconds",
    403: "the token is not for this project, the account is frozen, or no budget applies to it",
    404: "no such account, budget, hold or entry",
    408: "the body did not arrive in time",
    409: "the Idempotency-Key was used with other content, or the hold is closed",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "a value is invalid",
    500: "internal error",
    503: "the ledger is busy; retry with the same key after `Retry-After` seconds",
    507: "no space is left on the server to write",
}


class _Generator(GenerateJsonSchema):
    """Describes values as `budgetledger.render.documents.as_json` writes them; no titles."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return dict(_USD)

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return dict(_HEX)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])  # an omitted field is null, always

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _QueryGenerator(_Generator):
    """A query parameter can be omitted, and cannot be null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


@cache
def _schemas() -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """The reference to the schema of each request and answer, and the schemas by name."""
    bodies: set[Any] = {GetBudget, SetBudget}
    bodies |= {operation.body for operation in OPERATIONS if operation.body.model_fields}
    answers: set[Any] = {doc.Health, doc.About, doc.Error, Records, Success}
    answers |= {operation.answers for operation in OPERATIONS}
    refs, defined = TypeAdapter.json_schemas(
        [(body, "validation", _list_of(body)) for body in bodies]
        + [(answer, "serialization", _list_of(answer)) for answer in answers],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Generator,
    )
    components: dict[str, Schema] = defined["$defs"]
    for schema in components.values():
        schema.pop("title", None)
    return {kind: schema["items"] for (kind, _), schema in refs.items()}, components


def _list_of(kind: Any) -> TypeAdapter[Any]:
    """A list of *kind*: a TypedDict reads its fields' docstrings only if its container says so."""
    return TypeAdapter(list[kind], config=ConfigDict(use_attribute_docstrings=True))


def _answer(kind: Any, text: str) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": _schemas()[0][kind]}}}


def _body(kind: Any) -> Schema:
    refs, components = _schemas()
    schema = components[refs[kind]["$ref"].rpartition("/")[2]]
    return {
        "content": {"application/json": {"schema": refs[kind]}},
        "required": "required" in schema or "anyOf" in schema,
    }


def _parameters(operation: Operation) -> list[Schema]:
    name = TypeAdapter(Name).json_schema()
    parameters: list[Schema] = []
    for place in re.findall(r"{(\w+)}", PREFIX + operation.path):
        schema = _NUMBER if place == "number" else name
        parameters.append({"name": place, "in": "path", "required": True, "schema": schema})
    query = operation.query.model_json_schema(schema_generator=_QueryGenerator)["properties"]
    parameters += [
        {"name": field, "in": "query", "schema": schema} for field, schema in query.items()
    ]
    return [*parameters, _KEY] if operation.has_key else parameters


def _described(
    name: str,
    summary: str,
    answer: Any,
    *,
    status: int = 200,
    parameters: Sequence[Schema] = (),
    body: Any = None,
    has_tokens: bool,
) -> Schema:
    errors = {str(code): _answer(doc.Error, text) for code, text in _ERRORS.items()}
    described: Schema = {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {str(status): _answer(answer, "success"), **errors},
    }
    if body is not None:
        described["requestBody"] = _body(body)
    return described | ({"security": [{"token": []}]} if has_tokens else {})


def _paths(has_tokens: bool) -> dict[str, dict[str, Schema]]:
    paths = {
        "/healthz": {"get": _described(
            "health", "Check whether the ledger can be read.", doc.Health, has_tokens=False
        )},
        "/v1": {"get": _described(
            "about", "Return the service's name and version.", doc.About, has_tokens=False
        )},
        "/get_budget": {"post": _described(
            "litellm_get_budget", "Return the records of a project's LiteLLM users.", Records,
            parameters=[_CLIENT], body=GetBudget, has_tokens=has_tokens,
        )},
        "/set_budget": {"post": _described(
            "litellm_set_budget", "Record what changed in LiteLLM users.", Success,
            parameters=[_CLIENT], body=SetBudget, has_tokens=has_tokens,
        )},
    }  # fmt: skip
    for operation in OPERATIONS:
        described = _described(
            operation.name,
            operation.summary,
            operation.answers,
            status=operation.status,
            parameters=_parameters(operation),
            body=operation.body if operation.body.model_fields else None,
            has_tokens=has_tokens,
        )
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = described
    return paths


@cache
def description(*, has_tokens: bool) -> Schema:
    """The OpenAPI document. *has_tokens*: whether requests need a token."""
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 500},
        "description": "a retry with the same key and content gets the first answer",
    }
    text = (
        "Amounts are US dollars as text (requests may use numbers too), times are ISO 8601 in UTC. "
        "Names in paths are percent-encoded, slashes included."
    )
    about = {"title": "budgetledger", "version": VERSION, "description": text}
    return {
        "openapi": "3.1.0",
        "info": about,
        "paths": _paths(has_tokens),
        "components": {
            "schemas": _schemas()[1],
            "parameters": {"IdempotencyKey": key},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }

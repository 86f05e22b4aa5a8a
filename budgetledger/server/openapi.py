"""The OpenAPI description of everything the server answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from budgetledger import __version__
from budgetledger.server.api import OPERATIONS
from budgetledger.server.operation import Operation
from budgetledger.server.request_fields import NAME, Schema, body_schema

PREFIX = "/v1/projects/{project}"

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_USD: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_USD_OR_NULL: Schema = {"anyOf": [_USD, {"type": "null"}]}
_AMOUNT: Schema = {"anyOf": [_USD, {"type": "integer"}]}  # a count, of tokens and requests
_COUNT: Schema = {"type": "integer"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MOMENT_OR_NULL: Schema = {"anyOf": [_MOMENT, {"type": "null"}]}

_RATES: Schema = {"type": "object", "additionalProperties": _TEXT}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list_of(name: str, **more: Schema) -> Schema:
    plural = {"Entry": "entries"}.get(name, f"{name.lower()}s")
    return _object(**{plural: {"type": "array", "items": _ref(name)}}, **more)


_WINDOW = _object(start=_MOMENT_OR_NULL, end=_MOMENT_OR_NULL, timezone=_TEXT)
_BUDGET: dict[str, Schema] = {
    "account": _TEXT,
    "name": _TEXT,
    "measure": {"enum": ["usd", "tokens", "requests"]},
    "limit": _AMOUNT,
    "model": _TEXT_OR_NULL,
    "per": _TEXT_OR_NULL,
    "span_seconds": {"type": ["number", "null"]},
    "timezone": _TEXT,
    "week_start": _COUNT,
    "anchor": _MOMENT_OR_NULL,
    "alert_at": {"type": "array", "items": _USD},
    "created_at": _MOMENT,
}
_USED: dict[str, Schema] = {"posted": _AMOUNT, "held": _AMOUNT, "available": _AMOUNT}
_SCHEMAS: dict[str, Schema] = {
    "Window": _WINDOW,
    "Budget": _object(**_BUDGET),
    "BudgetStatus": _object(**_BUDGET, **_USED, window=_ref("Window")),
    "Balance": _object(
        project=_TEXT,
        account=_TEXT,
        limit=_USD_OR_NULL,
        posted=_USD,
        held=_USD,
        available=_USD_OR_NULL,
        unpriced=_COUNT,
        window=_ref("Window"),
        budgets={"type": "array", "items": _ref("BudgetStatus")},
    ),
    "Account": _object(
        project=_TEXT,
        account=_TEXT,
        parent=_TEXT_OR_NULL,
        frozen={"type": "boolean"},
        frozen_because=_TEXT_OR_NULL,
        created_at=_MOMENT,
    ),
    "Entry": _object(
        id=_COUNT,
        project=_TEXT,
        account=_TEXT,
        recorded_at=_MOMENT,
        kind=_TEXT,
        model=_TEXT_OR_NULL,
        cost=_USD_OR_NULL,
        price_source=_TEXT_OR_NULL,
        input_tokens=_COUNT,
        output_tokens=_COUNT,
        requests=_COUNT,
        usage={"type": "object"},
        tags={"type": "object"},
        hold_id={"type": ["integer", "null"]},
        held=_USD_OR_NULL,
        expires_at=_MOMENT_OR_NULL,
        hash=_TEXT,
    ),
    "Hold": _object(
        id=_COUNT,
        project=_TEXT,
        account=_TEXT,
        model=_TEXT_OR_NULL,
        amount=_USD,
        tokens=_COUNT,
        recorded_at=_MOMENT,
        expires_at=_MOMENT,
        idempotency_key=_TEXT_OR_NULL,
        tags={"type": "object"},
        bounded={"type": "boolean"},
    ),
    "Alert": _object(
        account=_TEXT,
        budget=_TEXT,
        state={"enum": ["alert", "resolve"]},
        threshold=_USD,
        limit=_AMOUNT,
        posted=_AMOUNT,
        window=_ref("Window"),
        recorded_at=_MOMENT,
    ),
    "Accounts": _list_of("Account"),
    "Budgets": _list_of("Budget"),
    "Holds": _list_of("Hold"),
    "Alerts": _list_of("Alert"),
    "Entries": _list_of("Entry", next={"type": ["integer", "null"]}),
    "ModelCosts": _object(
        account=_TEXT,
        window=_ref("Window"),
        unpriced=_COUNT,
        model_costs={"type": "object", "additionalProperties": _USD},
    ),
    "Estimate": _object(
        model=_TEXT,
        low=_USD,
        high=_USD,
        input_tokens=_COUNT,
        output_tokens=_COUNT,
        bounded={"type": "boolean"},
        method=_TEXT,
        price_source=_TEXT,
        price=_RATES,
    ),
    "Price": _object(
        id=_COUNT,
        project=_TEXT_OR_NULL,
        model=_TEXT,
        removed={"type": "boolean"},
        rates=_RATES,
        effective_at=_MOMENT,
        recorded_at=_MOMENT,
        note=_TEXT_OR_NULL,
    ),
    "Prices": _list_of("Price"),
    "Repriced": _object(
        applied={"type": "boolean"},
        total=_USD,
        priced={
            "type": "array",
            "items": _object(
                entry_id=_COUNT,
                account=_TEXT,
                model=_TEXT_OR_NULL,
                cost=_USD,
                price_source=_TEXT,
                price=_RATES,
                adjustment_id={"type": ["integer", "null"]},
            ),
        },
        still_unpriced={"type": "array", "items": _ref("Entry")},
    ),
    "Affordable": _object(affordable={"type": "boolean"}),
    "Shifted": _object(account=_TEXT, window=_ref("Window")),
    "Removed": _object(account=_TEXT, name=_TEXT),
    "Error": _object(error=_object(type=_TEXT, message=_TEXT)),
    "Record": {
        "type": "object",
        "properties": {
            "total_budget": {"type": "number", "minimum": 0},
            "duration": {"type": "integer", "description": "days"},
            "created_at": {"type": "number", "description": "seconds since 1970"},
            "last_updated_at": {"type": "number", "description": "seconds since 1970"},
            "current_cost": {"type": "number", "minimum": 0},
            "model_cost": {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": 0},
            },
        },
        "required": ["total_budget"],
    },
}
_ERRORS = {
    400: "not a JSON object",
    401: "no token, or an unknown one",
    402: "a budget refuses the hold; asking again helps after `retry_after` seconds",
    403: "the token is not for this project",
    404: "no such account, budget, hold or entry",
    408: "the body did not arrive in time",
    409: "the key was used for something else, or the hold is closed",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "a value cannot be used, or no price is known for the model",
    423: "the account is frozen",
    500: "the server failed",
    503: "the ledger is busy; retry with the same key after `Retry-After` seconds",
    507: "there is no room to write",
}


def _answer(schema: Schema, text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _errors() -> dict[str, Any]:
    return {str(status): _answer(_ref("Error"), text) for status, text in _ERRORS.items()}


def _place(name: str) -> Schema:
    number: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": number if name == "number" else NAME.schema,
    }


def _described(operation: Operation, *, has_tokens: bool) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", PREFIX + operation.path)
    parameters = [_place(name) for name in names]
    parameters += [
        {"name": name, "in": "query", "schema": field.schema}
        for name, field in operation.query.items()
    ]
    if operation.has_key:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            str(operation.status): _answer(_ref(operation.answers), "done"),
            **_errors(),
        },
    }
    if operation.body:
        schema = body_schema(operation.body)
        if operation.one_of:
            schema["anyOf"] = [{"required": list(group)} for group in operation.one_of]
        described["requestBody"] = {
            "content": {"application/json": {"schema": schema}},
            "required": "required" in schema or "anyOf" in schema,
        }
    return described | _security(has_tokens)


def _security(has_tokens: bool) -> dict[str, Any]:
    return {"security": [{"token": []}]} if has_tokens else {}


def _litellm(name: str, summary: str, body: dict[str, Schema], told: Schema) -> dict[str, Any]:
    project = {"project_name": NAME.schema}
    client = {
        "name": "X-Budgetledger-Client",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": "who is asking, unlike any other: nothing it counts is taken for old news",
    }
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [client],
        "requestBody": {
            "content": {"application/json": {"schema": _object(**project, **body)}},
            "required": True,
        },
        "responses": {"200": _answer(told, "done"), **_errors()},
    }


@cache
def description(*, has_tokens: bool) -> dict[str, Any]:
    """The document; *has_tokens*: whether requests need one."""
    users = {"type": "object", "additionalProperties": _ref("Record")}
    status = _object(status={"enum": ["success", "error"]})
    told = {**status, "properties": {**status["properties"], "data": users}}
    get = _litellm("get_budget", "All users of a project, as LiteLLM knows them.", {}, told)
    write = _litellm(
        "set_budget", "What changed in LiteLLM's users becomes rows.", {"user_dict": users}, status
    )
    paths: dict[str, Any] = {
        "/get_budget": {"post": get | _security(has_tokens)},
        "/set_budget": {"post": write | _security(has_tokens)},
    }
    for operation in OPERATIONS:
        described = _described(operation, has_tokens=has_tokens)
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = described
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 500},
        "description": "the same key and content again gets the first answer",
    }
    text = (
        "Money is text in US dollars (numbers are accepted too), moments are ISO 8601 in UTC. "
        "Names in paths are percent-encoded, a slash in them too."
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "budgetledger", "version": __version__, "description": text},
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "parameters": {"IdempotencyKey": key},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }

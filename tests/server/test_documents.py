"""What the server sends is what it describes, field by field, in every operation."""

from __future__ import annotations

import copy
import json
import warnings
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from budgetledger import Ledger
from budgetledger.errors import BudgetledgerWarning
from budgetledger.server import create_app
from budgetledger.server.openapi import description
from budgetledger.testing import FakeClock

DESCRIBED = description(has_tokens=False)
PLACES = {"project": "p", "account": "alice"}


def closed():
    """The schemas, with nothing allowed in a document that is not described."""
    components = copy.deepcopy(DESCRIBED["components"])
    for schema in components["schemas"].values():
        schema["additionalProperties"] = False
    return components


class Watched:
    """A client that knows operations by name, and compares each answer with its description."""

    def __init__(self, client):
        self.client = client
        self.components = closed()
        self.operations = {
            operation["operationId"]: (method, path, operation["responses"])
            for path, methods in DESCRIBED["paths"].items()
            for method, operation in methods.items()
        }
        self.done = set()
        self.seen = {}

    def __call__(self, operation, body=None, /, *, status=None, key=None, query=None, **places):
        method, path, responses = self.operations[operation]
        for place, value in (PLACES | places).items():
            path = path.replace(f"{{{place}}}", quote(str(value), safe=""))
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.client.request(method, path, json=body, params=query, headers=headers)
        expected = status or min(map(int, responses))
        assert answer.status_code == expected, (operation, answer.text)
        schema = responses[str(expected)]["content"]["application/json"]["schema"]
        document = json.loads(answer.content)
        self.validate(schema, document)
        self.watch(schema, document)
        if status is None:
            self.done.add(operation)
        return document

    def validate(self, schema, document):
        Draft202012Validator({**schema, "components": self.components}).validate(document)

    def watch(self, schema, value):
        """Note which of the described fields stand there, and that they do so in order."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            described = self.components["schemas"][name]["properties"]
            assert list(value) == [field for field in described if field in value], name
            self.seen.setdefault(name, set()).update(value)
            for field, inner in value.items():
                self.watch(described[field], inner)
        elif isinstance(value, list):
            for element in value:
                self.watch(schema["items"], element)
        elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            for element in value.values():
                self.watch(schema["additionalProperties"], element)
        elif isinstance(value, dict) and "anyOf" in schema:
            self.watch(next(one for one in schema["anyOf"] if "$ref" in one), value)


@pytest.fixture(scope="module")
def watched():
    """A server after a day on which everything happened."""
    clock = FakeClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    with Ledger(":memory:", clock=clock) as ledger:
        call = Watched(TestClient(create_app(ledger), base_url="http://localhost"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BudgetledgerWarning)
            play(call, clock)
        yield call


def play(call, clock):
    call("health")
    call("about")
    settings(call)
    holds(call, clock)
    money(call)
    prices(call)
    litellm(call)


def settings(call):
    call("set_budget", {"limit": "10", "per": "month", "alert_at": ["0.5"]})
    call("set_budget", {"tokens": 10**6, "span": 3600})
    call("set_budget", {"requests": 9, "per": "day", "anchor": "creation", "name": "gone"})
    call("list_budgets")
    call("remove_budget", name="gone")
    call("set_parent", {"parent": "team:x"})
    call("set_budget", {"limit": 1}, account="bob")
    call("freeze", {"reason": "stolen"}, account="bob")
    call("hold", {"amount": 1}, account="bob", status=403)
    call("unfreeze", account="bob")
    new = call("set_default_budget", {"limit": "5", "per": "day", "anchor": "creation"})
    assert "set a budget on the account '*'" in new["warning"]
    call("set_default_budget", {"tokens": 9, "span": 60, "kind": "team", "model": "m"})
    call("list_default_budgets")
    call("remove_default_budget", name="team")
    call("remove_default_budget", name="team", status=404)
    call("set_default_budget", {"limit": 5, "kind": "tag"}, status=422)
    call("list_accounts")
    call("shift_window", {"budget": "usd/month"})


def holds(call, clock):
    prompt = {"model": "gpt-4o", "text": "Write me a poem.", "max_output_tokens": 100}
    held = call("hold", {**prompt, "tags": {"a": 1}}, key="h")
    call("hold", {**prompt, "max_output_tokens": 200}, key="h", status=409)
    call("hold", {**prompt, "max_output_tokens": 10**6}, status=402)
    call("can_afford", prompt)
    call("list_holds")
    call("extend", {"expires_in": 60}, number=held["id"])
    call("increase", {"amount": "0.5", "tokens": 5}, number=held["id"], key="i")
    call("increase", {"amount": "10"}, number=held["id"], status=402)
    paid = {"cost": "6", "occurred_at": "2026-03-02T08:00:00Z"}
    call("settle", paid, number=held["id"], key="s")
    call("settle", {"cost": 1}, number=held["id"], status=409)
    other = call("hold", {"amount": 1, "tokens": 5, "expires_in": 60})
    call("release", {"reason": "no call"}, number=other["id"])
    late = call("hold", {"amount": 1, "expires_in": 60})
    clock.advance(minutes=5)
    call("extend", {"expires_in": 60}, number=late["id"], status=409)


def money(call):
    entry = call("charge", {"cost": 1, "model": "m"}, key="c")
    call("adjust", {"amount": "-0.5", "reason": "credit"}, number=entry["id"])
    call("keyed_entry", name="c")
    call("list_entries")
    call("list_entries", query={"limit": 1})
    call("list_project_entries")
    call("list_alerts")
    call("list_project_alerts")
    call("balance")
    call("model_costs")
    call("balance", account="nobody", status=404)
    call("charge", {"cost": "much"}, status=422)


def prices(call):
    call("charge", {"usage": {"input_tokens": 9}, "model": "house/m"})
    call("charge", {"usage": {"input_tokens": 9}, "model": "other/m"})
    call("estimate", {"model": "house/m", "text": "hi"}, status=400)
    price = {"model": "house/*", "input": 3, "output": 4, "effective_at": "2026-03-01T00:00:00Z"}
    call("set_price", {**price, "note": "n"})
    call("list_prices")
    call("estimate", {"model": "house/m", "text": "hi"})
    call("reprice", {"dry_run": False})
    call("remove_price", name="house/*")


def litellm(call):
    project = {"project_name": "l"}
    call("litellm_get_budget", project)
    record = {"total_budget": 9, "duration": 28, "created_at": 1772440000.0}
    spent = {"last_updated_at": 1772440000.0, "current_cost": 0.5, "model_cost": {"m": 0.5}}
    call("litellm_set_budget", {**project, "user_dict": {"u": record | spent}})
    call("litellm_set_budget", {**project, "user_dict": {"u": {}}}, status=422)
    call("litellm_get_budget", project)


def test_every_operation_answered_as_described(watched):
    assert watched.done == set(watched.operations)
    assert len(watched.operations) == sum(map(len, DESCRIBED["paths"].values()))


def test_every_field_that_is_described_is_sent(watched):
    """And, as the schemas were closed, no other."""
    answers = watched.components["schemas"]
    described = {name: set(answers[name]["properties"]) for name in watched.seen}
    assert watched.seen == described

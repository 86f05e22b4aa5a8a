"""The operations of the JSON API on default budgets."""

from __future__ import annotations

from budgetledger.journal.default_budgets import has_common_budget
from budgetledger.render import document_types as doc
from budgetledger.render.documents import default_budget_json
from budgetledger.server import request_models as requests
from budgetledger.server.operation import Call, Operation

_UNBOUNDED = (
    "each new name gets a budget of its own, and nothing limits them together; set a budget on "
    "the account '*', or put the accounts under a parent with a budget"
)


async def list_default_budgets(call: Call) -> doc.DefaultBudgets:
    """List the project's default budgets in force, by kind."""
    defaults = await call.ledger.default_budgets()
    return {"default_budgets": [default_budget_json(default) for default in defaults]}


async def set_default_budget(call: Call) -> doc.NewDefaultBudget:
    """Give each account of a kind a budget at its first hold or charge, if it never had one."""
    default = await call.ledger.set_default_budget(**requests.with_period(call.fields))
    is_bounded = await call.journal.store.aread(
        lambda execute: has_common_budget(execute, call.project)
    )
    return {**default_budget_json(default), "warning": None if is_bounded else _UNBOUNDED}


async def remove_default_budget(call: Call) -> doc.RemovedDefault:
    """End the default budget of a kind. Accounts keep the budgets they got by it."""
    await call.ledger.remove_default_budget(call.name)
    return {"project": call.project, "kind": call.name}


DEFAULT_BUDGET_OPERATIONS = (
    Operation("GET", "/default-budgets", list_default_budgets),
    Operation("POST", "/default-budgets", set_default_budget, body=requests.NewDefaultBudget),
    Operation("DELETE", "/default-budgets/{name}", remove_default_budget),
)

"""Answers and streams as providers send them, charged by a ledger: usage_cases.json.

Each case is a payload and what a bill for it comes to: ``cost`` in USD, ``unpriced``, or
``refused`` for what costs nothing; ``or_above`` where a tool was used that has a price of its own,
which may be known. The rates are those of genai-prices 0.2.3. Values are invented, names of fields
are documented.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from budgetledger import Ledger
from budgetledger.entries import Entry
from budgetledger.errors import UnreadableResponse

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

CASES = json.loads(Path(__file__).with_name("usage_cases.json").read_text())


def charged(case: dict[str, Any]) -> Entry:
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 100)
        model, payload = case.get("model"), case["payload"]
        if case["how"] == "charge":
            return ledger.charge("alice", payload, model=model)
        hold = ledger.hold("alice", 1, model=model)
        assert list(hold.stream(payload)) == payload
        assert hold.closed_by is not None
        return hold.closed_by


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_case_costs_what_its_provider_bills(case: dict[str, Any]) -> None:
    expected = case["expect"]
    cost = expected.get("cost")
    if cost == "refused":
        with pytest.raises(UnreadableResponse):
            charged(case)
        return
    entry = charged(case)
    if cost == "unpriced":
        above = expected.get("or_above")
        is_unknown = entry.cost_basis in ("unpriced", "assumed")
        assert is_unknown or (above is not None and entry.cost > Decimal(above))
    elif cost is not None:
        assert entry.cost == Decimal(cost)
    for name in ("input_tokens", "output_tokens", "usage"):
        assert getattr(entry, name) == expected.get(name, getattr(entry, name))

"""What an application's code looks like to a strict type checker; never run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from budgetledger import BudgetManager, Ledger, Usage, count_tokens
from budgetledger.entries import Balance, Entry
from budgetledger.testing import FakeClock


def with_ledger(path: Path) -> Decimal | None:
    with Ledger(path, project="app", synchronous="NORMAL") as ledger:
        ledger.set_budget("alice", "10.00", per="month", timezone="Asia/Shanghai")
        ledger.set_budget("alice", tokens=2_000_000, per=timedelta(hours=24))
        entry: Entry = ledger.charge("alice", cost=0.01, model="m", tags={"feature": "search"})
        ledger.charge("alice", {"model": "gpt-4o", "usage": {}}, key="inv-3")
        ledger.charge("alice", model="gpt-4o", usage=Usage(input_tokens=5))
        ledger.adjust(entry, "-0.005", reason="credit")
        balance: Balance = ledger.balance("alice", at=datetime.now(UTC))
        costs: dict[str, Decimal] = ledger.model_costs("alice")
        assert sum(costs.values()) == balance.posted
        if not ledger.verify().ok:
            raise SystemExit(1)
        return balance.available


def with_manager(ledger: Ledger) -> float:
    manager = BudgetManager("app", ledger=ledger)
    manager.create_budget(10, "alice", duration="monthly")
    manager.update_cost("alice", {"model": "gpt-4o"})
    record = manager.user_dict["alice"]
    cost: float = record["current_cost"]
    return cost + manager.get_current_cost("alice")


def with_clock() -> int:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(days=1)
    Ledger(":memory:", clock=clock).close()
    return count_tokens("gpt-4o", text="hello").tokens

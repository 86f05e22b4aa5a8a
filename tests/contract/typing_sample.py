"""What an application's code looks like to a strict type checker; never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import anthropic
import openai
from openai.types.chat import ChatCompletion

import budgetledger
from budgetledger import (
    AsyncLedger,
    BudgetExceededError,
    BudgetManager,
    Ledger,
    Usage,
    count_tokens,
    metered,
    wrap,
)
from budgetledger.aio import AsyncHold
from budgetledger.entries import Account, Alert, Balance, Budget, Entry
from budgetledger.errors import HoldAlreadyClosed, StreamStopped
from budgetledger.holds import Hold
from budgetledger.prices import OwnPrice, Repriced
from budgetledger.testing import FakeClock


def with_ledger(path: Path) -> Decimal | None:
    with Ledger(path, project="app", synchronous="NORMAL") as ledger:
        ledger.set_budget("alice", "10.00", per="month", timezone="Asia/Shanghai")
        ledger.set_budget("alice", tokens=2_000_000, per=timedelta(hours=24))
        period: str = path.stem  # read from a configuration, say
        ledger.set_budget("bob", 10, per=period)
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


def with_prices(ledger: Ledger) -> Decimal:
    price: OwnPrice = ledger.set_price(
        "my-*", input=0.2, output="1", effective_at=datetime.now(UTC)
    )
    ledger.set_price("my-model", rates=price.rates, all_projects=True)
    ledger.remove_price("my-model", all_projects=True)
    assert price in ledger.prices()
    repriced: list[Repriced] = ledger.reprice("alice", model="my-*", dry_run=False)
    return sum((one.cost for one in repriced), Decimal(0))


def with_holds(ledger: Ledger) -> float | None:
    messages = [{"role": "user", "content": "hello"}]
    try:
        with ledger.hold("alice", model="gpt-4o", messages=messages, key="job-7", wait=5) as hold:
            raised: Decimal = hold.increase("0.01", tokens=5)
            assert raised
            deadline: datetime = hold.extend(timedelta(minutes=5))
            entry: Entry = hold.settle({"model": "gpt-4o"}, tags={"until": f"{deadline}"})
            return None if entry.cost is None else float(entry.cost)
    except BudgetExceededError as error:
        wait: float | None = error.retry_after
        return wait


def with_open_holds(ledger: Ledger) -> Decimal:
    held = Decimal(0)
    hold: Hold
    for hold in ledger.holds("alice"):
        held += hold.amount
        try:
            hold.release(reason="left behind")
        except HoldAlreadyClosed as error:
            closed_by: Entry | None = error.entry
            print(closed_by)
    return held if ledger.can_afford("alice", "0.05") else -held


def with_stream(ledger: Ledger, chunks: Iterator[str]) -> Iterator[str]:
    with ledger.hold("alice", "0.05", expires_in=60) as hold:
        try:
            for chunk in hold.stream(chunks, stop_at_limit=True):
                yield chunk.upper()
        except StreamStopped as stopped:
            recorded: Entry | None = stopped.entry
            print(stopped.hold_id, recorded)


def on_alert(alert: Alert) -> None:
    print(alert.account, alert.threshold, alert.recorded_at)


async def with_tasks(path: Path) -> Decimal | None:
    async with AsyncLedger(path, project="app", on_alert=on_alert) as ledger:
        budget = await ledger.set_budget("alice", "10.00", alert_at=(0.5, 0.8, 1))
        assert_type(budget, Budget)
        async with ledger.hold("alice", "0.05", tags={"feature": "search"}) as hold:
            entry = await hold.settle(Usage(input_tokens=5), model="gpt-4o")
            assert_type(entry, Entry)
        assert_type(hold, AsyncHold)
        assert_type(await ledger.hold("alice", budget.limit), AsyncHold)
        assert_type(await hold.extend(60), datetime)
        assert_type(await hold.increase("0.01"), Decimal)
        assert_type(await hold.release(), Entry)
        task = asyncio.create_task(ledger.hold("alice", 1))
        assert_type(task, asyncio.Task[AsyncHold])
        charging = ledger.charge("alice", cost="0.01", model="m")
        both = await asyncio.gather(charging, ledger.hold("alice", 1))
        assert_type(both, tuple[Entry, AsyncHold])
        assert_type(await ledger.holds("alice"), list[AsyncHold])
        costs = await ledger.model_costs("alice", at=entry.recorded_at)
        assert_type(costs, dict[str, Decimal])
        assert_type(await ledger.accounts(), list[Account])
        assert_type(await ledger.alerts(), list[Alert])
        assert_type(await ledger.set_price("m", input=1), OwnPrice)
        assert_type(await ledger.reprice(), list[Repriced])
        assert_type([entry async for entry in ledger.entries("alice")], list[Entry])
        assert_type((await ledger.verify()).ok, bool)
        await ledger.balance("alice", when=datetime.now(UTC))  # type: ignore[call-arg]
        balance = await ledger.balance("alice", as_of=datetime.now(UTC))
        assert_type(balance, Balance)
        return balance.available


async def with_tasks_and_threads(ledger: Ledger, chunks: AsyncIterator[str]) -> list[str]:
    AsyncLedger(ledger, project="app")  # type: ignore[call-overload]
    AsyncLedger("spend.db", synchronous="SOMETIMES")  # type: ignore[call-overload]
    async with AsyncLedger(ledger).hold("alice", "0.05") as hold:
        return [chunk.upper() async for chunk in hold.stream(chunks)]


def with_wrapped_clients(ledger: Ledger) -> str | None:
    client = wrap(openai.OpenAI(), ledger, "alice", tags={"app": "chat"})
    assert_type(client, openai.OpenAI)
    assert_type(wrap(openai.AsyncAzureOpenAI(), AsyncLedger(ledger)), openai.AsyncAzureOpenAI)
    assert_type(wrap(anthropic.Anthropic(), ledger, user="bob"), anthropic.Anthropic)
    wrap(client, "spend.db")  # type: ignore[arg-type]
    with ledger.as_user("alice", tags={"feature": "search"}, key="job-7"):
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}]
        )
    assert_type(answer, ChatCompletion)
    # The copy has the client's own type, which has no budget_user=: as_user is what keeps the
    # answer's type, and a dict of Any is accepted without one.
    call: dict[str, Any] = {"budget_user": "alice", "budget_key": "job-8"}
    client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], **call
    )
    return answer.choices[0].message.content


async def with_a_user(ledger: AsyncLedger) -> None:
    with ledger.as_user("alice"):
        await asyncio.sleep(0)


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


def with_estimates(ledger: Ledger) -> Decimal:
    estimate = ledger.estimate("gpt-4o", text="hello", max_output_tokens=100)
    return estimate.high - estimate.low if estimate.bounded else estimate.high


def capped() -> float:
    budgetledger.max_budget = 0.001
    budgetledger.max_budget_ledger = "spend.db"
    budgetledger.completion(model="gpt-4", messages=[], budget_user="alice")
    budgetledger._current_cost = 0
    return budgetledger._current_cost


@metered(Ledger("spend.db"), "alice", amount="0.05")
async def decorated(question: str) -> bytes:
    return question.encode()


async def asked() -> None:
    assert_type(await decorated("why"), bytes)

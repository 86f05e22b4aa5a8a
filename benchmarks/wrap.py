"""A call of a wrapped client against a hold and its settle by hand, on a stub of the client.

The stub is an `openai.OpenAI` that makes everything of a call but the request. What it takes by
itself is taken off. Where shekel is installed (`pip install shekel==1.2.0`), its wrapper is
timed on the same stub in the same run; it counts in memory and keeps no file.

Usage: python benchmarks/wrap.py [--calls N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
from common import describe, paired, report, us
from openai.types.chat import ChatCompletion

from budgetledger import AsyncLedger, Ledger, wrap

ASKED: Any = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant who answers in one sentence."},
        {"role": "user", "content": "What does a ledger keep, and for how long does it keep it?"},
    ],
    "max_tokens": 100,
}
ANSWER = ChatCompletion.model_validate(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1795000000,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": "Every row, for ever."},
            }
        ],
        "usage": {"prompt_tokens": 36, "completion_tokens": 6, "total_tokens": 42},
    }
)


class Stub(openai.OpenAI):
    """Answers at once."""

    def request(self, *_: Any, **__: Any) -> Any:
        """Send nothing."""
        return ANSWER


class AsyncStub(openai.AsyncOpenAI):
    """Answers at once."""

    async def request(self, *_: Any, **__: Any) -> Any:
        """Send nothing."""
        return ANSWER


def calling(client: openai.OpenAI) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            client.chat.completions.create(**ASKED)

    return run


def calling_async(client: openai.AsyncOpenAI) -> Callable[[int], None]:
    async def work(calls: int) -> None:
        for _ in range(calls):
            await client.chat.completions.create(**ASKED)

    return lambda calls: asyncio.run(work(calls))


def by_hand(ledger: Ledger) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            with ledger.hold(
                "alice", model="gpt-4o", messages=ASKED["messages"], max_output_tokens=100
            ) as hold:
                hold.settle(ANSWER)

    return run


def by_hand_async(ledger: AsyncLedger) -> Callable[[int], None]:
    async def work(calls: int) -> None:
        for _ in range(calls):
            async with ledger.hold(
                "alice", model="gpt-4o", messages=ASKED["messages"], max_output_tokens=100
            ) as hold:
                await hold.settle(ANSWER)

    return lambda calls: asyncio.run(work(calls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    size = options.calls, options.rounds
    describe("A wrapped client, NORMAL")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ledger = Ledger(Path(folder) / "spend.db", synchronous="NORMAL")
        ledger.set_budget("alice", "1000000", per="month")
        stub, async_stub = Stub(api_key="none"), AsyncStub(api_key="none")
        for name, run, plain, bare in (
            (
                "a wrapped call",
                calling(wrap(stub, ledger, "alice")),
                calling(stub),
                by_hand(ledger),
            ),
            (
                "awaited",
                calling_async(wrap(async_stub, ledger, "alice")),
                calling_async(async_stub),
                by_hand_async(AsyncLedger(ledger)),
            ),
        ):
            ours, floor, ratio = paired(run, bare, *size)
            alone, _, less = paired(plain, bare, *size)
            detail = f"{us(ours)}, {us(alone)} of it the stub's, against {us(floor)}"
            report(f"{name}, against hold + settle", ratio - less, 2, detail)
        against_shekel(stub, ledger, size)
        ledger.close()


def against_shekel(stub: Stub, ledger: Ledger, size: tuple[int, int]) -> None:
    try:
        import shekel
    except ImportError:
        print("  shekel is not installed, so it is not compared")
        return
    plain, wrapped = calling(stub), calling(wrap(stub, ledger, "alice"))

    def theirs(calls: int) -> None:
        with shekel.budget(max_usd=1_000_000):
            plain(calls)

    ours, floor, _ = paired(wrapped, plain, *size)
    other, other_floor, _ = paired(theirs, plain, *size)
    print(
        f"  beside the stub: {us(ours - floor)} on a file, shekel {us(other - other_floor)} "
        f"in memory ({(ours - floor) / (other - other_floor):.1f}x)"
    )


if __name__ == "__main__":
    main()

"""Pricing one response: reading it and looking up its price, against litellm.completion_cost.

The same response object each time, as LiteLLM and the clients build them; nothing is cached by
its content. The models are found before the clock starts, in both.

Usage: python benchmarks/prices.py [--calls N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from typing import Any

from common import describe, paired, report, us

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it would fetch its price list

import litellm
from openai.types.chat import ChatCompletion

from budgetledger.pricing.catalog import price
from budgetledger.responses.response import read_response

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795000000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}
    ],
    "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500},
}


def through_litellm(model: str, **usage: Any) -> litellm.ModelResponse:
    return litellm.ModelResponse(**CHAT | {"model": model, "usage": CHAT["usage"] | usage})


def shapes() -> dict[str, Any]:
    cached = {"prompt_tokens_details": {"cached_tokens": 1024}}
    thought = {"completion_tokens_details": {"reasoning_tokens": 256}}
    return {
        "gpt-4o, LiteLLM": through_litellm("gpt-4o-2024-08-06"),
        "gpt-5.4 cached and reasoning, LiteLLM": through_litellm("gpt-5.4", **cached, **thought),
        "Claude cached, LiteLLM": through_litellm(
            "claude-sonnet-4-5-20250929", cache_read_input_tokens=600,
            cache_creation_input_tokens=400,
        ),
        "Gemini cached, LiteLLM": through_litellm("gemini/gemini-2.5-pro", **cached),
        "gpt-4o cached, openai": ChatCompletion.model_validate(
            CHAT | {"usage": CHAT["usage"] | cached}
        ),
        "gpt-4o cached, a dict": CHAT | {"usage": CHAT["usage"] | cached},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    describe("Pricing one response")
    now = datetime.now(UTC)
    for name, response in shapes().items():

        def ours(calls: int, response: Any = response) -> None:
            for _ in range(calls):
                model, usage, _ = read_response(response)
                price(model, usage, now)

        def litellms(calls: int, response: Any = response) -> None:
            for _ in range(calls):
                litellm.completion_cost(response)

        one, other, ratio = paired(ours, litellms, options.calls, options.rounds)
        report(name, ratio, 0.1, f"{us(one)} against {us(other)}")


if __name__ == "__main__":
    main()

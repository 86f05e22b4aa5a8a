"""Counting a text, and a chat, against tiktoken's own encoding of the same texts.

Usage: python benchmarks/tokens.py [--rounds N] [--scale N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from common import describe, paired, report, us

from budgetledger import count_tokens
from budgetledger.tokens.encodings import _load

SENTENCE = (
    "Budgets are checked before a call is made, and the cost is written once the answer is there. "
)
CODE = "def price(tokens: int, rate: Decimal) -> Decimal:\n    return tokens * rate / 1_000_000\n\n"
MESSAGE = (
    "Could you tell me how the refund for order 48213 is going? It was sent back two weeks ago, "
    "and the shop says that the money is on its way."
)
PROMPT = (SENTENCE * 15 + CODE * 10)[:2000]
DOCUMENT = ((SENTENCE * 15 + CODE * 5) * 100)[:100_000]
CHAT = [
    {"role": "system", "content": SENTENCE * 5},
    {"role": "user", "content": MESSAGE},
    {"role": "assistant", "content": SENTENCE * 2},
    {"role": "user", "content": MESSAGE},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=int, default=1, help="so many times fewer calls")
    options = parser.parse_args()
    describe("Counting tokens")
    for model, encoding in (
        ("gpt-4o", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("claude-opus-5", "o200k_base"),  # by its profile
    ):
        encode = _load(encoding).encode_ordinary
        for name, text, calls in (
            ("a short message", MESSAGE, 5000),
            ("a prompt of 2 kB", PROMPT, 500),
            ("a document of 100 kB", DOCUMENT, 10),
        ):

            def count(calls: int, text: str = text, model: str = model) -> None:
                for _ in range(calls):
                    count_tokens(model, text=text)

            compare(f"{name}, {model}", count, encoding_of([text], encode), calls, options)

        def chat(calls: int, model: str = model) -> None:
            for _ in range(calls):
                count_tokens(model, messages=CHAT)

        texts = [text for message in CHAT for text in message.values()]
        compare(f"a chat of four, {model}", chat, encoding_of(texts, encode), 2000, options)


def encoding_of(texts: list[str], encode: Callable[[str], list[int]]) -> Callable[[int], None]:
    def floor(calls: int) -> None:
        for _ in range(calls):
            for text in texts:
                len(encode(text))

    return floor


def compare(
    name: str,
    ours: Callable[[int], None],
    floor: Callable[[int], None],
    calls: int,
    options: Any,
) -> None:
    one, raw, ratio = paired(ours, floor, max(1, calls // options.scale), options.rounds)
    report(name, ratio, 1.3, f"{us(one)} against {us(raw)}")


if __name__ == "__main__":
    main()

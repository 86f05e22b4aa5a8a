"""What is held for a call: amounts by hand, every listed model, and the way back."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Tier, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from budgetledger import AsyncLedger, Ledger
from budgetledger.errors import InvalidAmount, InvalidInput, UnpricedModel
from budgetledger.money import MAX_ENTRY_PICO, PICO, to_pico
from budgetledger.pricing import catalog
from budgetledger.pricing import estimates as _estimates
from budgetledger.pricing.catalog import price
from budgetledger.pricing.estimates import Estimate, estimate, largest_output
from budgetledger.testing import FakeClock
from budgetledger.tokens import CountBounds, count_bounds
from budgetledger.usage import MAX_TOKENS, Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELLO = [{"role": "user", "content": "hello"}]
LONG = " a" * 300_000


@contextmanager
def listed(provider: str, info: ModelInfo, input_tokens: int | None = None) -> Iterator[None]:
    """Have the list find only this model, and the prompt be of that size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "find_model", lambda *name: catalog.ListedModel(provider, info))
        if input_tokens is not None:
            counted = CountBounds(input_tokens, "exact", input_tokens)
            patch.setattr(_estimates, "count_bounds", lambda model, **prompt: counted)
        yield


def invented(**rates: Decimal | TieredPrices) -> ModelInfo:
    return ModelInfo("m", ClauseEquals("m"), prices=ModelPrice(**rates))


# 8 tokens of chat: one of text, one of its role, 3 for the message, 3 for the answer's header.
BY_HAND = [
    ("gpt-4o", {"messages": HELLO, "max_output_tokens": 400}, "0.00402", 400),
    ("gpt-4o", {"messages": HELLO, "max_output_tokens": 400, "n": 3}, "0.01202", 1200),
    ("gpt-4o", {"messages": HELLO, "max_output_tokens": 0}, "0.00002", 0),
    ("gpt-4o", {"messages": HELLO}, "0.04098", 4096),
    ("gpt-4o", {"messages": HELLO, "n": 2}, "0.08194", 8192),
    ("gpt-4o", {"messages": HELLO, "default_output_tokens": 10}, "0.00012", 10),
    ("gpt-4o", {"messages": [], "max_output_tokens": 1}, "0.0000175", 1),
    ("gpt-4o", {"text": "", "max_output_tokens": 1}, "0.00001", 1),
    ("gpt-4o", {"text": "hello", "max_output_tokens": 1}, "0.0000125", 1),
    ("text-embedding-3-small", {"text": "hello"}, "0.00000002", 0),
    ("text-embedding-3-small", {"text": "hello", "max_output_tokens": 0}, "0.00000002", 0),
    # 300,000 tokens: past the step, the whole input and its output cost more
    ("gemini/gemini-2.5-pro", {"text": LONG, "max_output_tokens": 100}, "0.789", 100),
    # the fee of the call, once, however many answers
    ("perplexity/sonar", {"text": "", "max_output_tokens": 1, "n": 2}, "0.012002", 2),
    # sound, which these models answer in, and which costs more than text
    ("gpt-audio", {"text": "", "max_output_tokens": 1000}, "0.064", 1000),
]


@pytest.mark.parametrize(("model", "call", "usd", "output_tokens"), BY_HAND)
def test_a_hold_is_the_prompt_and_the_longest_answers(
    model: str, call: dict[str, Any], usd: str, output_tokens: int
) -> None:
    held = estimate(model, **call, at=NOON)
    assert (held.pico, held.output_tokens) == (to_pico(usd), output_tokens)


def test_an_estimate_explains_itself() -> None:
    assert estimate("OpenAI/GPT-4o", messages=HELLO, max_output_tokens=5, n=2, at=NOON) == Estimate(
        pico=120_000_000,
        input_tokens=8,
        output_tokens=10,
        choices=2,
        bounded=True,
        method="exact",
        source=f"genai-prices {genai_prices.__version__}",
        unit_prices={
            "provider": "openai",
            "model": "gpt-4o",
            "input_mtok": "2.5",
            "output_mtok": "10",
        },
        low_pico=estimate("gpt-4o", messages=HELLO, at=NOON).low_pico,
    )


def test_of_equal_rates_the_plain_one_is_named() -> None:
    one, two = Decimal(1), Decimal(2)
    level = invented(
        cache_read_mtok=one,
        cache_write_mtok=one,
        input_mtok=one,
        output_reasoning_mtok=two,
        output_mtok=two,
    )
    with listed("mine", level):
        named = estimate("m", text="", at=NOON).unit_prices
    assert named == {"provider": "mine", "model": "m", "input_mtok": "1", "output_mtok": "2"}


def test_only_an_assumed_bound_is_called_unbounded() -> None:
    assert not estimate("gpt-4o", text="", at=NOON).bounded
    assert estimate("gpt-4o", text="", max_output_tokens=4096, at=NOON).bounded
    assert estimate("gpt-4o", text="", max_output_tokens=0, at=NOON).bounded
    assert estimate("text-embedding-3-small", text="", at=NOON).bounded  # nothing to assume


PARTS = [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": "x"}}]
TOOLS = [{"type": "function", "function": {"name": "f", "description": "does f", "parameters": {}}}]
PROMPTS: list[tuple[str, dict[str, Any], str]] = [
    ("gpt-4o", {"messages": [{"role": "assistant", "content": None}]}, "exact"),
    ("gpt-4o", {"messages": [{"role": "user", "content": PARTS}]}, "estimate"),
    ("gpt-4o", {"messages": HELLO, "tools": TOOLS}, "estimate"),
    ("gpt-4o", {"messages": HELLO, "tools": []}, "exact"),
    ("claude-opus-5", {"messages": HELLO}, "proxy"),
    ("cohere/command-r-plus-08-2024", {"text": "hello"}, "estimate"),
]


@pytest.mark.parametrize(("model", "prompt", "method"), PROMPTS)
def test_the_input_is_what_count_tokens_says_and_so_is_the_method(
    model: str, prompt: dict[str, Any], method: str
) -> None:
    held = estimate(model, **prompt, at=NOON)
    assert (held.input_tokens, held.method) == count_bounds(model, **prompt)[:2]
    assert held.method == method


def test_the_price_is_that_of_the_moment() -> None:
    def night(at: datetime) -> int:
        return estimate("deepseek/deepseek-chat", text="hello", max_output_tokens=100, at=at).pico

    assert night(datetime(2025, 8, 1, 20, tzinfo=UTC)) < night(datetime(2025, 8, 1, 12, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        estimate("gpt-4o", text="", at=datetime(2026, 11, 20))


@pytest.mark.parametrize("model", ["gpt-99", "my-deployment", "whisper-1", "openai/moderation"])
def test_a_model_without_a_price_is_refused_not_free(model: str) -> None:
    with pytest.raises(UnpricedModel, match="hold an amount in US dollars") as refused:
        estimate(model, text="hello", max_output_tokens=1, at=NOON)
    assert refused.value.model == model


def test_output_asked_of_a_model_without_a_price_for_it_is_refused() -> None:
    with pytest.raises(UnpricedModel, match="leave max_output_tokens out"):
        estimate("text-embedding-3-small", text="hello", max_output_tokens=1, at=NOON)


def test_a_model_priced_at_zero_is_free() -> None:
    free = invented(input_mtok=Decimal(0), output_mtok=Decimal(0))
    with listed("mine", free):
        held = estimate("m", text="hello", at=NOON)
    assert (held.pico, held.output_tokens) == (0, 4096)
    assert largest_output(held, 0) == MAX_TOKENS
    assert largest_output(held, 0, 100) == 100 - held.input_tokens
    assert largest_output(held, -1) is None  # a budget overdrawn has room for nothing


BAD_COUNTS = [-1, True, 1.0, 1.5, "9", 2**63]
MISUSED: list[tuple[dict[str, Any], type[InvalidInput], str]] = [
    *(({"max_output_tokens": bad}, InvalidAmount, "max_output_tokens") for bad in BAD_COUNTS),
    *(({"n": bad}, InvalidAmount, "n must be") for bad in [*BAD_COUNTS, 0, None]),
    ({"default_output_tokens": None}, InvalidAmount, "default_output_tokens"),
    ({"max_output_tokens": MAX_TOKENS + 1}, InvalidAmount, "smaller max_output_tokens"),
    ({"max_output_tokens": MAX_TOKENS, "n": 2}, InvalidAmount, "smaller max_output_tokens"),
    # 10 USD a million of them
    ({"max_output_tokens": MAX_TOKENS}, InvalidAmount, "smaller max_output_tokens"),
    ({"messages": HELLO}, InvalidInput, "either messages= or text="),
    ({"text": None}, InvalidInput, "either messages= or text="),
    ({"text": ["hello"]}, InvalidInput, "text must be a str"),
    ({"model": ""}, InvalidInput, "model must be"),
]


@pytest.mark.parametrize(("change", "error", "says"), MISUSED)
def test_misuse_is_refused_with_what_to_do(
    change: dict[str, Any], error: type[InvalidInput], says: str
) -> None:
    call: dict[str, Any] = {"model": "gpt-4o", "text": "hello", "at": NOON} | change
    with pytest.raises(error, match=says):
        estimate(**call)


# What a prompt and an answer of that many tokens may turn out to be, the plain one first.
PROMPT = [
    lambda tokens: {},
    lambda tokens: {"cache_read_tokens": tokens},
    lambda tokens: {"cache_write_tokens": tokens},
    lambda tokens: {"input_image_tokens": tokens},
    lambda tokens: {"cache_read_tokens": tokens // 3, "cache_write_tokens": tokens // 3},
]
ANSWER = [
    lambda tokens: {"output_tokens": tokens},
    lambda tokens: {"output_tokens": tokens, "reasoning_tokens": tokens},
    lambda tokens: {"output_tokens": tokens, "output_audio_tokens": tokens},
    lambda tokens: {"output_tokens": tokens, "output_image_tokens": tokens},
    lambda tokens: {"output_tokens": tokens, "reasoning_tokens": tokens // 2},
    lambda tokens: {"output_tokens": tokens // 2},
]
EVERY_MODEL = [(provider.id, info) for provider in providers for info in provider.models]


@pytest.mark.slow
def test_no_call_within_its_bounds_costs_more_than_was_held_for_any_model() -> None:
    held_for = exact = 0
    for provider, info in EVERY_MODEL:
        for input_tokens in (0, 1200, 400_000):
            with listed(provider, info, input_tokens):
                try:
                    held = estimate(info.id, text="", at=NOON)
                except UnpricedModel:
                    continue
                costs = []
                for sent, said in product(PROMPT, ANSWER):
                    usage = Usage(input_tokens, **sent(input_tokens), **said(held.output_tokens))
                    try:
                        used = price(info.id, usage, NOON)
                    except UnpricedModel:
                        continue  # no such tokens with this model
                    costs.append(to_pico(used.cost))
                    assert used.source == held.source
            # as much as the most expensive of them, and not a picodollar more
            assert max(costs) == held.pico, (provider, info.id, input_tokens)
            held_for += 1
            exact += costs[0] == held.pico
    assert held_for > 6000
    assert exact > 4500  # for most models that is the plain call, at the uncached price


def test_a_prompt_kept_for_an_hour_is_not_held_for() -> None:
    with listed("anthropic", next(m for p, m in EVERY_MODEL if m.id == "claude-sonnet-4-5"), 1000):
        held = estimate("claude-sonnet-4-5", text="", max_output_tokens=0, at=NOON)
    hour = price("claude-sonnet-4-5", Usage(1000, cache_write_1h_tokens=1000), NOON).cost
    assert held.pico == to_pico("0.00375") < to_pico(hour)


def inverse_holds(
    model: str, n: int, available_pico: int | None, available_tokens: int | None, at: datetime
) -> None:
    """The answer fits, and one token more does not."""

    def fits(max_output_tokens: int | None) -> bool:
        try:
            again = estimate(model, text="", max_output_tokens=max_output_tokens, n=n, at=at)
        except (UnpricedModel, InvalidAmount):  # no output at all, or more than may be asked for
            return False
        tokens = again.input_tokens + again.output_tokens
        return (available_pico is None or again.pico <= available_pico) and (
            available_tokens is None or tokens <= available_tokens
        )

    held = estimate(model, text="", default_output_tokens=7, n=n, at=at)
    largest = largest_output(held, available_pico, available_tokens)
    if largest is None:
        assert not fits(0)
    else:
        assert largest >= 0
        assert fits(largest)
        assert not fits(largest + 1)


PRICED = [
    (provider, info)
    for provider, info in EVERY_MODEL
    if "input_mtok" in catalog.ListedModel(provider, info).rates(NOON).by_name
]
MONEY = st.none() | st.integers(-1, 10 * PICO) | st.integers(0, 10**9) | st.just(2 * MAX_ENTRY_PICO)
ROOM = st.none() | st.integers(-1, 10**6) | st.just(2 * MAX_TOKENS)
CHOICES = st.integers(1, 5)


@given(st.sampled_from(PRICED), st.integers(0, 500_000), CHOICES, MONEY, ROOM)
def test_largest_output_is_the_inverse_of_estimate(
    model: tuple[str, ModelInfo], input_tokens: int, n: int, money: int | None, room: int | None
) -> None:
    with listed(*model, input_tokens):
        inverse_holds(model[1].id, n, money, room, NOON)


def test_largest_output_of_every_model_at_the_edge_of_its_price() -> None:
    for provider, info in PRICED:
        with listed(provider, info, 1234):
            just = estimate(info.id, text="", n=2, default_output_tokens=99, at=NOON)
            for available_pico in (just.pico - 1, just.pico, just.pico + 1):
                inverse_holds(info.id, 2, available_pico, None, NOON)
            if just.output_tokens:
                assert largest_output(just, just.pico) == 99
                assert largest_output(just, just.pico - 1) == 98


# Tenths of a picodollar a token, so that ties at half a one are common.
TINY = st.integers(0, 40).map(lambda count: Decimal(count).scaleb(-7))


@given(TINY, TINY, TINY, st.integers(0, 30), CHOICES, st.integers(-2, 30))
def test_largest_output_rounds_as_estimate_does(
    rate_in: Decimal, rate_out: Decimal, above: Decimal, tokens: int, n: int, beyond: int
) -> None:
    stepped = TieredPrices(rate_out, [Tier(10, above)])
    with listed("mine", invented(input_mtok=rate_in, output_mtok=stepped), tokens):
        prompt = estimate("m", text="", max_output_tokens=0, at=NOON).pico
        inverse_holds("m", n, prompt + beyond, None, NOON)


@pytest.mark.parametrize(("available", "largest"), [(0, 1), (1, 2), (2, 5), (3, 6), (4, 9)])
def test_half_a_picodollar_rounds_to_the_even_one(available: int, largest: int) -> None:
    half = invented(input_mtok=Decimal(0), output_mtok=Decimal("0.0000005"))
    with listed("mine", half, 0):
        assert largest_output(estimate("m", text="", at=NOON), available) == largest


def test_a_prompt_is_rounded_as_it_is_held() -> None:
    half = invented(input_mtok=Decimal("0.0000005"), output_mtok=Decimal(1))
    for tokens, held in ((5, 2), (7, 4)):  # 2.5 and 3.5 picodollars
        with listed("mine", half, tokens):
            prompt = estimate("m", text="", max_output_tokens=0, at=NOON)
        assert prompt.pico == held
        assert largest_output(prompt, held) == 0
        assert largest_output(prompt, held - 1) is None


@pytest.mark.parametrize("available", [None, MAX_ENTRY_PICO, 2 * MAX_ENTRY_PICO])
def test_however_much_there_is_a_call_stays_what_one_entry_holds(available: int | None) -> None:
    inverse_holds("gpt-4o", 1, available, None, NOON)
    held = estimate("gpt-4o", text="", at=NOON)
    assert largest_output(held, available) == MAX_ENTRY_PICO // 10_000_000


def test_largest_output_needs_the_estimate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def count_once(model: str, **prompt: Any) -> CountBounds:
        counted.append(model)
        return count_bounds(model, **prompt)

    monkeypatch.setattr(_estimates, "count_bounds", count_once)
    held = estimate("gpt-4o", messages=HELLO, max_output_tokens=10**6, n=2, at=NOON)
    monkeypatch.setattr(catalog, "find_model", None)
    kept = Estimate(0, 8, 0, 2, False, "", "", dict(held.unit_prices), 0)  # as a row would keep it
    for stored in (held, kept):
        # 8 tokens cost 0.00002, each pair of output tokens 0.00002
        assert largest_output(stored, to_pico("0.001")) == 49
        assert largest_output(stored, to_pico("0.00002")) == 0
        assert largest_output(stored, to_pico("0.00002") - 1) is None
        assert largest_output(stored, to_pico("0.001"), 28) == 10
        assert largest_output(stored, to_pico("0.001"), 8) == 0
        assert largest_output(stored, to_pico("0.001"), 7) is None
    assert counted == ["gpt-4o"]


def test_an_embedding_fits_with_no_output_or_not_at_all() -> None:
    held = estimate("text-embedding-3-small", text="hello", at=NOON)
    assert largest_output(held) == largest_output(held, held.pico, held.input_tokens) == 0
    assert largest_output(held, held.pico - 1) is None
    assert largest_output(held, None, held.input_tokens - 1) is None


def own(model: str, input_tokens: int, at: datetime) -> tuple[str, dict[str, str]]:
    """The cheapest way for a prompt: read from the cache, at a higher price above 1,000 tokens."""
    return "own", {"model": model, "cache_read_mtok": "0.5" if input_tokens <= 1000 else "1"}


@pytest.mark.parametrize(
    ("model", "prompt", "low_usd"),
    [
        ("gpt-4o", {"messages": HELLO}, "0.000004"),  # 8 tokens, cached
        ("gpt-4o", {"messages": HELLO, "max_output_tokens": 10**6, "n": 3}, "0.000004"),
        ("gpt-4o", {"text": ""}, "0"),
        ("gpt-4o", {"text": " a" * 1001}, "0.001001"),  # at the rate for a prompt of that size
        # the lower end of the factor: 100 tokens of o200k are at least 145 of a new Claude
        ("claude-opus-5", {"text": " a" * 100}, "0.0000725"),
        ("claude-opus-4-5", {"text": " a" * 100}, "0.000055"),
        # the base of an image whose detail the model chooses, and nothing for what is not known
        ("gpt-4o", {"messages": [{"role": "user", "content": [{"image_url": "x"}]}]}, "0.000046"),
        ("gpt-4o", {"messages": [{"role": "user", "content": [{"file": {}}]}]}, "0.000004"),
    ],
)
def test_the_least_is_a_cached_prompt_of_the_fewest_tokens_and_no_answer(
    model: str, prompt: dict[str, Any], low_usd: str
) -> None:
    held = estimate(model, **prompt, at=NOON, cheapest=own)
    assert held.low == Decimal(low_usd)
    assert held.low_pico == to_pico(low_usd)
    assert held.high == Decimal(held.pico).scaleb(-12)
    assert held.source.startswith("genai-prices")


def test_the_least_is_never_more_than_the_most() -> None:
    dear = estimate(
        "gpt-4o",
        text="hello",
        max_output_tokens=0,
        at=NOON,
        cheapest=lambda *_: ("", {"input_mtok": "99"}),
    )
    assert dear.low == dear.high > 0


def test_prices_are_looked_up_where_the_caller_says() -> None:
    asked: list[tuple[str, int, datetime]] = []

    def most_expensive(model: str, input_tokens: int, at: datetime) -> tuple[str, dict[str, str]]:
        asked.append((model, input_tokens, at))
        return "contract", {"model": model, "input_mtok": "3", "output_mtok": "5"}

    held = estimate(
        "mine",
        text="hello",
        max_output_tokens=10,
        at=NOON,
        most_expensive=most_expensive,
        cheapest=own,
    )
    assert held.source == "contract"
    assert held.high == Decimal(held.input_tokens * 3 + 50).scaleb(-6)
    assert asked == [("mine", held.input_tokens, NOON)]


def test_tools_images_and_output_are_held_for() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    prompt = [{"role": "user", "content": ["hello", image]}]
    bare = estimate("gpt-4o", messages=HELLO, max_output_tokens=0, at=NOON)
    seen = estimate("gpt-4o", messages=prompt, max_output_tokens=0, at=NOON)
    told = estimate("gpt-4o", messages=HELLO, tools=TOOLS, max_output_tokens=0, at=NOON)
    said = estimate("gpt-4o", messages=HELLO, max_output_tokens=100, at=NOON)
    assert seen.input_tokens - bare.input_tokens == 85 + 8 * 170
    assert told.input_tokens - bare.input_tokens > 15
    assert said.pico - bare.pico == to_pico("0.001")
    assert bare.low_pico == said.low_pico < seen.low_pico


def test_a_ledger_estimates_as_it_holds() -> None:
    call: dict[str, Any] = {"messages": HELLO, "tools": TOOLS, "max_output_tokens": 400, "n": 2}
    with Ledger(":memory:", clock=FakeClock(NOON), default_output_tokens=7) as ledger:
        ledger.set_budget("alice", 1)
        found = ledger.estimate("gpt-4o", **call)
        assert found == estimate("gpt-4o", **call, at=NOON)
        hold = ledger.hold("alice", model="gpt-4o", **call)
        assert (hold.amount, hold.tokens) == (found.high, found.input_tokens + found.output_tokens)
        unbounded = ledger.estimate("gpt-4o", text="hello")
        assert (unbounded.output_tokens, unbounded.bounded) == (7, False)
        with pytest.raises(UnpricedModel):
            ledger.estimate("nobody/knows", text="hello")
        assert [entry.kind for entry in ledger.entries()] == ["budget", "hold"]

        async def awaited() -> Estimate:
            return await AsyncLedger(ledger).estimate("gpt-4o", **call)

        assert asyncio.run(awaited()) == found


def test_importing_loads_neither_prices_nor_vocabularies() -> None:
    program = (
        "import sys, budgetledger.pricing.estimates\n"
        "print([name for name in ('genai_prices', 'tiktoken') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

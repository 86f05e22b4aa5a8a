"""Usage normal form and prices: tables, hostile input, and genai-prices itself as the judge."""

import decimal
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from budgetledger import _catalog
from budgetledger._catalog import price
from budgetledger.errors import UnpricedModel, UnreadableResponse
from budgetledger.usage import MAX_TOKENS, Reading, Usage, checked, model_of, read_response

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = Usage(300001, 1000)
PLAIN = Usage(12345, 678)
CACHED = Usage(10000, 500, cache_read_tokens=8192)
WRITTEN = Usage(3050, 20, cache_read_tokens=2000, cache_write_tokens=1000)
WRITTEN_1H = Usage(
    3050, 20, cache_read_tokens=2000, cache_write_tokens=400, cache_write_1h_tokens=600
)
THOUGHT = Usage(1000, 900, reasoning_tokens=640)

# litellm 1.106.2 and genai-prices 0.2.3 agree on each of these, 2026-11-20.
AGREED = [
    ("gpt-3.5-turbo", PLAIN, "0.0071895"),
    ("gpt-4-turbo", PLAIN, "0.14379"),
    ("gpt-4o-2024-08-06", PLAIN, "0.0376425"),
    ("gpt-4.1-mini", PLAIN, "0.0060228"),
    ("gpt-5-nano", PLAIN, "0.00088845"),
    ("gpt-6-sol", PLAIN, "0.03147"),
    ("o3-mini", PLAIN, "0.0165627"),
    ("claude-haiku-4-5", PLAIN, "0.015735"),
    ("claude-opus-5-5", PLAIN, "0.06294"),
    ("gemini/gemini-3-flash-preview", PLAIN, "0.0082065"),
    ("mistral/codestral-2508", PLAIN, "0.0043137"),
    ("xai/grok-4.7", PLAIN, "0.028758"),
    ("azure/gpt-4o", PLAIN, "0.0376425"),
    ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", PLAIN, "0.0519255"),
    ("US.Anthropic.Claude-Sonnet-4-5-20250929-v1:0", PLAIN, "0.0519255"),
    ("vertex_ai/claude-opus-5", PLAIN, "0.078675"),
    ("cohere/command-r-plus-08-2024", PLAIN, "0.0376425"),
    ("gpt-4o", CACHED, "0.01976"),
    ("gpt-5.2", CACHED, "0.0115976"),
    ("claude-sonnet-5", CACHED, "0.0102544"),
    ("azure/gpt-5-mini", CACHED, "0.0016568"),
    ("claude-haiku-4-5", WRITTEN, "0.0016"),
    ("claude-opus-5-5", WRITTEN, "0.006"),
    ("claude-sonnet-4-5-20250929", WRITTEN_1H, "0.00615"),
    ("claude-opus-4-8", WRITTEN_1H, "0.01025"),
    ("gpt-5.4", LONG, "1.522505"),
    ("gemini/gemini-2.5-pro", LONG, "0.7650025"),
    ("gemini/gemini-2.5-pro", Usage(200000, 1), "0.25001"),
    ("o3", THOUGHT, "0.0092"),
    ("gpt-4o-mini", Usage(1, 1), "0.00000075"),
    ("gpt-6-luna", Usage(), "0"),
]


@pytest.mark.parametrize(("model", "usage", "cost"), AGREED)
def test_price_is_the_one_both_lists_give(model: str, usage: Usage, cost: str) -> None:
    assert price(model, usage, NOON).cost == Decimal(cost)


def test_price_explains_itself() -> None:
    assert price(" OpenAI/GPT-4o\n", CACHED, NOON) == (
        Decimal("0.01976"),
        f"genai-prices {genai_prices.__version__}",
        {
            "provider": "openai",
            "model": "gpt-4o",
            "input_mtok": "2.5",
            "output_mtok": "10",
            "cache_read_mtok": "1.25",
        },
    )
    assert price("text-embedding-3-small", Usage(8), NOON).unit_prices == {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "input_mtok": "0.02",
    }
    # above the tier the rates of the tier stand there, not the base ones
    assert price("gemini/gemini-2.5-pro", LONG, NOON).unit_prices["input_mtok"] == "2.5"


def test_sound_is_priced_as_sound_or_not_at_all() -> None:
    sound = {
        "model": "gpt-audio",
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 1000,
            "prompt_tokens_details": {"audio_tokens": 1000},
            "completion_tokens_details": {"audio_tokens": 1000},
        },
    }
    usage = read_response(sound).usage
    assert usage == Usage(1000, 1000, input_audio_tokens=1000, output_audio_tokens=1000)
    assert price("gpt-audio", usage, NOON).cost == Decimal("0.096")  # as litellm has it
    with pytest.raises(UnpricedModel):
        price("gpt-4o", usage, NOON)
    with pytest.raises(UnpricedModel):  # cached sound has a rate of its own, not read yet
        price("gpt-realtime", usage._replace(cache_read_tokens=500), NOON)


@pytest.mark.parametrize(
    "model",
    ["", "gpt-99", "nobody/gpt-4o", "my-deployment", "ft:gpt-4o-mini:org::id", "x" * 10**6],
)
def test_unknown_model_is_unpriced_not_free(model: str) -> None:
    with pytest.raises(UnpricedModel) as refused:
        price(model, Usage(), NOON)
    assert refused.value.model == model


def test_tokens_without_a_rate_are_unpriced_not_free() -> None:
    with pytest.raises(UnpricedModel, match="output_mtok"):
        price("text-embedding-3-small", Usage(8, 1), NOON)
    for usage in (Usage(8), Usage()):
        with pytest.raises(UnpricedModel):  # listed, with no price at all
            price("openai/moderation", usage, NOON)


def test_price_depends_on_the_moment() -> None:
    deepseek = [
        price("deepseek/deepseek-chat", PLAIN, moment).cost
        for moment in (datetime(2025, 8, 1, 12, tzinfo=UTC), datetime(2025, 8, 1, 20, tzinfo=UTC))
    ]
    assert deepseek[0] > deepseek[1] > 0  # cheaper at night
    shanghai = datetime(2025, 8, 2, 4, tzinfo=timezone(timedelta(hours=8)))
    assert price("deepseek/deepseek-chat", PLAIN, shanghai).cost == deepseek[1]
    with pytest.raises(ValueError, match="time zone"):
        price("gpt-4o", PLAIN, datetime(2026, 1, 1))


def test_price_ignores_the_callers_decimal_context() -> None:
    with decimal.localcontext(decimal.Context(prec=2, traps=[decimal.Inexact])):
        assert price("gpt-4.1-nano", CACHED, NOON).cost.compare(Decimal("0.0005856")) == 0


def test_price_ignores_a_snapshot_installed_by_the_host() -> None:
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([], from_auto_update=True))
    _catalog._find.cache_clear()
    _catalog._list.cache_clear()
    try:
        assert price("gpt-4o-mini", Usage(1, 1), NOON).cost == Decimal("0.00000075")
    finally:
        data_snapshot.set_custom_snapshot(None)


COUNTS = st.integers(0, 500_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_cost_is_the_sum_its_row_explains(
    fresh: int, spoken: int, read: int, written: int, written_1h: int, thought: int
) -> None:
    usage = Usage(
        fresh + read + written + written_1h, spoken + thought, read, written, written_1h, thought
    )
    cost, _, rates = price("claude-sonnet-4-5", usage, NOON)
    parts = {
        "input_mtok": fresh,
        "cache_read_mtok": read,
        "cache_write_mtok": written,
        "cache_write_1h_mtok": written_1h,
        "output_mtok": spoken + thought,
    }
    assert rates.keys() == {"provider", "model"} | {key for key, count in parts.items() if count}
    told = (Decimal(rates[key]) * count for key, count in parts.items() if count)
    assert cost * 10**6 == sum(told)


def test_every_model_costs_what_genai_prices_says(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    everything = [(provider, model) for provider in providers for model in provider.models]
    for provider, model in everything:
        found = _catalog._Model(provider.id, model)
        monkeypatch.setattr(_catalog, "_find", lambda name, found=found: found)
        for usage in (Usage(1000, 10, 300, 200, 100, 5), Usage(400_000, 900), Usage(7)):
            try:
                ours = price(model.id, usage, NOON)
            except UnpricedModel:
                continue
            told = genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
                cache_write_1h_tokens=usage.cache_write_1h_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
            )
            theirs = model.calc_price(told, provider, genai_request_timestamp=NOON)
            assert ours.cost == theirs.total_price, (provider.id, model.id, usage)
            compared += 1
    assert compared > 5000


@pytest.mark.parametrize(
    "usage",
    [
        Usage(10, 0, 5, 5, 1),
        Usage(10, 5, reasoning_tokens=6),
        Usage(-1),
        Usage(True),
        Usage(MAX_TOKENS + 1),
        Usage(None),  # type: ignore[arg-type]
    ],
)
def test_contradictory_usage_is_refused(usage: Usage) -> None:
    with pytest.raises(UnreadableResponse):
        checked(usage)
    with pytest.raises(UnreadableResponse):
        price("gpt-4o", usage, NOON)


OPENAI = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
ANTHROPIC = {"input_tokens": 50, "output_tokens": 20}

READ = [  # what a usage says, and its normal form
    (OPENAI, Usage(100, 50)),
    ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8)),
    (OPENAI | {"prompt_tokens_details": {"cached_tokens": 64}}, Usage(100, 50, 64)),
    (OPENAI | {"prompt_tokens_details": None, "completion_tokens_details": None}, Usage(100, 50)),
    (
        OPENAI | {"completion_tokens_details": {"reasoning_tokens": 40}},
        Usage(100, 50, reasoning_tokens=40),
    ),
    # reasoning beside the output, as the total tells
    (
        OPENAI | {"completion_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 190},
        Usage(100, 90, reasoning_tokens=40),
    ),
    (
        OPENAI | {"completion_tokens_details": {"reasoning_tokens": 60}},
        Usage(100, 50, reasoning_tokens=50),
    ),
    (OPENAI | {"cache_read_input_tokens": 30}, Usage(100, 50, 30)),
    # a gateway that reports the cache beside the prompt
    (OPENAI | {"cache_read_input_tokens": 2000}, Usage(2100, 50, 2000)),
    (ANTHROPIC | {"input_tokens_details": {"cached_tokens": 40}}, Usage(50, 20, 40)),
    (
        ANTHROPIC | {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 30}},
        Usage(50, 20, cache_write_tokens=30),
    ),
    (ANTHROPIC, Usage(50, 20)),
    (ANTHROPIC | {"cache_read_input_tokens": 30}, Usage(80, 20, 30)),
    (
        ANTHROPIC | {"cache_read_input_tokens": 2000, "cache_creation_input_tokens": 1000},
        Usage(3050, 20, 2000, 1000),
    ),
    (
        ANTHROPIC
        | {
            "cache_creation_input_tokens": 1000,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 400,
                "ephemeral_1h_input_tokens": 600,
            },
        },
        Usage(1050, 20, 0, 400, 600),
    ),
    ({"prompt_tokens": 5.0, "completion_tokens": 0}, Usage(5)),
]


@pytest.mark.parametrize(("usage", "normal"), READ)
def test_reading_is_the_same_from_dict_object_and_bare_usage(
    usage: dict[str, object], normal: Usage
) -> None:
    expected = Reading("m", normal, None)
    assert read_response({"model": " m ", "usage": usage}) == expected
    assert read_response(SimpleNamespace(model="m", usage=SimpleNamespace(**usage))) == expected
    assert read_response(usage) == expected._replace(model=None)
    assert read_response(normal) == expected._replace(model=None)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (3.5e-05, Decimal("0.000035")),
        (5.4999999999999995e-05, Decimal("0.000054999999999999995")),
        (1, Decimal(1)),
        (Decimal("0.1"), Decimal("0.1")),
        (0.0, None),
        (-1.0, None),
        (None, None),
        (True, None),
        ("0.1", None),
        (float("nan"), None),
        (float("inf"), None),
        (1e12, None),
    ],
)
def test_litellms_cost_counts_only_above_zero(told: object, cost: Decimal | None) -> None:
    hidden = {"_hidden_params": {"response_cost": told}}
    assert read_response({"usage": OPENAI} | hidden) == (None, Usage(100, 50), cost)
    if cost is not None:  # without usage, or with one that cannot be read, the cost is enough
        assert read_response(hidden) == (None, None, cost)
        assert read_response({"usage": {"prompt_tokens": -1}} | hidden) == (None, None, cost)


class Raises:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError("secret prompt")


class Chunk:
    object = "chat.completion.chunk"


async def call() -> None: ...


CYCLE: dict[str, object] = {}
CYCLE["usage"] = CYCLE


BAD_COUNTS = (-1, True, 1.5, float("nan"), float("inf"), "9", MAX_TOKENS + 1, 10**5000)
UNREADABLE = [
    ("hello", "str is not a response"),
    (b"hello", "bytes is not a response"),
    (None, "NoneType is not a response"),
    (0.03, "amount in USD"),
    ({}, "no fields"),
    ([], "this list"),
    ({"id": 1, "choices": []}, "it has id, choices"),
    ({"usage": {"inputTokens": 5}}, "its usage has inputTokens"),
    (CYCLE, "its usage has usage"),
    (SimpleNamespace(usage=None, text="secret prompt"), "it has usage, text"),
    ((chunk for chunk in ()), "stream_options"),
    (Chunk(), "chunk without usage"),
    (Raises(), "RuntimeError"),
    *(({"usage": {"prompt_tokens": bad}}, "not a count of tokens") for bad in BAD_COUNTS),
    ({"usage": OPENAI | {"prompt_tokens_details": {"cached_tokens": -1}}}, "cached_tokens"),
]


@pytest.mark.parametrize("case", range(len(UNREADABLE)))  # pytest would look into the hostile ones
def test_unreadable_response_says_what_to_do(case: int) -> None:
    response, says = UNREADABLE[case]
    with pytest.raises(UnreadableResponse, match=says) as refused:
        read_response(response)
    assert "secret prompt" not in str(refused.value)


FIELDS = ["model", "usage", "_hidden_params", "response_cost", "prompt_tokens", "input_tokens"]
FIELDS += ["completion_tokens", "prompt_tokens_details", "cached_tokens", "total_tokens"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.integers(), inner, max_size=5)
    ),
)


def test_model_is_found_where_usage_is_not() -> None:
    assert model_of({"model": " gpt-4o "}) == "gpt-4o"
    assert [model_of(none) for none in (Raises(), {}, {"model": " "}, {"model": 4}, "x")] == [
        None
    ] * 5
    with pytest.raises(UnreadableResponse):  # each a count, their sum not one
        read_response({"prompt_tokens": MAX_TOKENS - 1, "cache_read_input_tokens": MAX_TOKENS})


@given(ANYTHING)
def test_anything_reads_or_is_refused(response: object) -> None:
    try:
        _, usage, cost = read_response(response)
    except UnreadableResponse:
        return
    assert usage is not None or cost is not None
    assert usage is None or checked(usage) == usage


def test_a_call_that_was_not_awaited_is_named_so() -> None:
    coroutine = call()
    with pytest.raises(UnreadableResponse, match="await the call"):
        read_response(coroutine)
    coroutine.close()

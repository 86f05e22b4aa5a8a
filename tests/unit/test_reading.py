"""Responses of every kind, read into the one normal form: tables and hostile input."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger._reading import Reading, model_of, read_response
from budgetledger.errors import UnreadableResponse
from budgetledger.usage import MAX_TOKENS, Usage, checked

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
    ({"usage": {"tokensIn": 5}}, "its usage has tokensIn"),
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

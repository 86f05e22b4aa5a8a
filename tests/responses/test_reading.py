"""Responses of every kind, read into the one normal form: tables and hostile input."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.response import Reading, model_of, read_response
from budgetledger.usage import MAX_TOKENS, Usage, checked, counts_of

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


GEMINI: dict[str, Any] = {
    "promptTokenCount": 2000,
    "candidatesTokenCount": 50,
    "thoughtsTokenCount": 100,
    "totalTokenCount": 2150,
    "cachedContentTokenCount": 1500,
}
MODALITIES: dict[str, Any] = {
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 900},
        {"modality": "AUDIO", "tokenCount": 600},
        {"modality": "VIDEO", "tokenCount": 300},
        {"modality": "DOCUMENT", "tokenCount": 150},
        {"modality": "IMAGE", "tokenCount": 50},
    ],
    "cacheTokensDetails": [
        {"modality": "TEXT", "tokenCount": 1000},
        {"modality": "AUDIO", "tokenCount": 400},
        {"modality": "IMAGE", "tokenCount": 100},
    ],
    "candidatesTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 20},
        {"modality": "IMAGE", "tokenCount": 30},
    ],
}
BEDROCK = {"inputTokens": 50, "outputTokens": 20, "totalTokens": 70}
IMAGES = [{"b64_json": "aGk="}, {"b64_json": "aGk="}]
CONVERSATION = {
    "input_tokens": 300,
    "output_tokens": 90,
    "input_token_details": {
        "text_tokens": 50,
        "audio_tokens": 200,
        "image_tokens": 50,
        "cached_tokens": 128,
        "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 96, "image_tokens": 12},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 60},
}


def gemini(**more: Any) -> dict[str, Any]:
    return {"modelVersion": "m", "usageMetadata": GEMINI | more}


def searched(*queries: str, model: str = "m", **usage: Any) -> dict[str, Any]:
    grounded = {"groundingMetadata": {"webSearchQueries": [*queries]}}
    return gemini(**usage) | {"modelVersion": model, "candidates": [grounded]}


def message(**usage: Any) -> dict[str, Any]:
    return {"model": "m", "type": "message", "usage": ANTHROPIC | usage}


THOUGHT = Usage(2000, 150, 1500, reasoning_tokens=100)
RESPONSES = [  # what came back of model "m", if it names one, and what the ledger makes of it
    # OpenAI
    ({"model": "m", "usage": OPENAI, "service_tier": "flex"}, Usage(100, 50, service_tier="flex")),
    ({"model": "m", "usage": OPENAI, "service_tier": "default"}, Usage(100, 50)),
    (  # predictions that were rejected are in the output already
        {
            "model": "m",
            "usage": OPENAI
            | {
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 20},
                "completion_tokens_details": {
                    "reasoning_tokens": 10,
                    "audio_tokens": 25,
                    "accepted_prediction_tokens": 3,
                    "rejected_prediction_tokens": 9,
                },
            },
        },
        Usage(100, 50, 64, reasoning_tokens=10, input_audio_tokens=20, output_audio_tokens=25),
    ),
    (
        {
            "model": "m",
            "usage": ANTHROPIC | {"input_tokens_details": {"cached_tokens": 40}},
            "output": [
                {"type": "reasoning"},
                {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
                {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
                {"type": "web_search_call"},
                {"type": "file_search_call"},
                {"type": "message", "content": []},
            ],
        },
        Usage(50, 20, 40, web_searches=2, file_searches=1),
    ),
    (  # a follower of the Responses API that gives no details of its input
        {"model": "m", "usage": ANTHROPIC, "output": [{"type": "web_search_call"}]},
        Usage(50, 20, web_searches=1),
    ),
    ({"usage": ANTHROPIC | {"cache_read_input_tokens": 30}, "output": []}, Usage(80, 20, 30)),
    (  # its search tool counts for itself, and once
        {
            "usage": ANTHROPIC | {"server_tool_use": {"web_search_requests": 3}},
            "output": [{"type": "web_search_call"}, {"type": "file_search_call"}],
            "tool_usage": {"web_search": {"num_requests": 2}},
        },
        Usage(50, 20, web_searches=3, file_searches=1),
    ),
    (  # the ledger's own form, whatever is around it
        {"output": [{"type": "web_search_call"}], "usage": ANTHROPIC | {"cache_read_tokens": 30}},
        Usage(50, 20, 30),
    ),
    ({"created": 1, "data": [{"url": "u"}, {"url": "v"}]}, Usage(output_images=2)),
    (  # LiteLLM's of the same
        {"created": 1, "data": IMAGES, "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
        Usage(output_images=2),
    ),
    (
        {
            "data": IMAGES,
            "usage": {
                "input_tokens": 60,
                "output_tokens": 1056,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
            },
        },
        Usage(60, 1056, input_image_tokens=50, output_image_tokens=1056),
    ),
    (
        {
            "data": IMAGES,
            "usage": {
                "input_tokens": 60,
                "output_tokens": 1100,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
                "output_tokens_details": {"text_tokens": 44, "image_tokens": 1056},
            },
        },
        Usage(60, 1100, input_image_tokens=50, output_image_tokens=1056),
    ),
    ({"text": "hi", "usage": {"type": "duration", "seconds": 8.2}}, Usage(input_audio_seconds=9)),
    ({"text": "hi", "language": "en", "duration": 7.0}, Usage(input_audio_seconds=7)),
    (
        {
            "text": "hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "output_tokens": 5,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
            },
        },
        Usage(14, 5, input_audio_tokens=10),
    ),
    ({"type": "speech.audio.done", "usage": ANTHROPIC}, Usage(50, 20, output_audio_tokens=20)),
    (
        {"type": "response.done", "response": {"usage": CONVERSATION}},
        Usage(
            *(300, 90, 128),
            input_audio_tokens=200,
            input_image_tokens=50,
            output_audio_tokens=60,
            cache_read_audio_tokens=96,
            cache_read_image_tokens=12,
        ),
    ),
    # Anthropic
    (message(service_tier="standard"), Usage(50, 20)),
    (message(service_tier="priority"), Usage(50, 20, service_tier="priority")),
    (message(speed="standard", inference_geo="global"), Usage(50, 20)),
    (message(speed="fast"), Usage(50, 20, service_tier="fast")),
    (  # ten percent more
        message(service_tier="batch", inference_geo="us"),
        Usage(50, 20, service_tier="batch+us"),
    ),
    (message(server_tool_use={"web_search_requests": 3}), Usage(50, 20, web_searches=3)),
    (message(output_tokens_details={"thinking_tokens": 15}), Usage(50, 20, reasoning_tokens=15)),
    (  # the compaction is not in the counts above it
        message(
            iterations=[
                {"type": "compaction", "input_tokens": 1000, "output_tokens": 70}
                | {"cache_read_input_tokens": 500, "cache_creation_input_tokens": 9},
                {"type": "message"} | ANTHROPIC,
            ]
        ),
        Usage(1559, 90, 500, 9),
    ),
    (  # nor is it in those of a gateway that gives the details as OpenAI does …
        message(
            input_tokens_details={"cached_tokens": 40},
            iterations=[{"type": "compaction", "input_tokens": 1000, "output_tokens": 70}],
        ),
        Usage(1050, 90, 40),
    ),
    (  # … but it is in those of LiteLLM
        {
            "model": "m",
            "usage": OPENAI | {"iterations": [{"type": "compaction"} | ANTHROPIC]},
        },
        Usage(100, 50),
    ),
    # Gemini: the cache is in the prompt, thoughts are beside the candidates …
    (gemini(), THOUGHT),
    # … unless they are in them
    (gemini(candidatesTokenCount=150), THOUGHT),
    (gemini(totalTokenCount=None), THOUGHT),
    (gemini(candidatesTokenCount=None), THOUGHT._replace(output_tokens=100)),
    (
        gemini(**MODALITIES),
        THOUGHT._replace(
            input_audio_tokens=600,
            input_image_tokens=200,
            input_video_tokens=300,
            cache_read_audio_tokens=400,
            cache_read_image_tokens=100,
            output_audio_tokens=20,
            output_image_tokens=30,
        ),
    ),
    (
        gemini(
            toolUsePromptTokenCount=300,
            toolUsePromptTokensDetails=[{"modality": "IMAGE", "tokenCount": 200}],
        ),
        THOUGHT._replace(input_tokens=2300, input_image_tokens=200),
    ),
    # what a search found is free, the search is not
    (searched("q", "r", "q", "", toolUsePromptTokenCount=300), THOUGHT._replace(web_searches=2)),
    (gemini(trafficType="ON_DEMAND"), THOUGHT),
    (gemini(trafficType="ON_DEMAND_FLEX"), THOUGHT._replace(service_tier="flex")),
    (gemini(serviceTier="PRIORITY"), THOUGHT._replace(service_tier="priority")),
    (
        gemini(trafficType="PROVISIONED_THROUGHPUT"),
        THOUGHT._replace(service_tier="provisioned_throughput"),
    ),
    ({"usageMetadata": {"promptTokenCount": 9, "responseTokenCount": 4}}, Usage(9, 4)),
    ({"embeddings": [], "usageMetadata": {"promptTokenCount": 9}}, Usage(9)),
    # Bedrock
    ({"usage": BEDROCK, "serviceTier": {"type": "flex"}}, Usage(50, 20, service_tier="flex")),
    (
        {
            "usage": BEDROCK
            | {
                "cacheReadInputTokens": 2000,
                "cacheWriteInputTokens": 1000,
                "cacheDetails": [
                    {"ttl": "5m", "inputTokens": 400},
                    {"ttl": "1h", "inputTokens": 600},
                ],
            }
        },
        Usage(3050, 20, 2000, 400, 600),
    ),
    # batches
    (
        {
            "custom_id": "a",
            "response": {"status_code": 200, "body": {"model": "m", "usage": OPENAI}},
        },
        Usage(100, 50, service_tier="batch"),
    ),
    (
        {"custom_id": "a", "result": {"type": "succeeded", "message": message()}},
        Usage(50, 20, service_tier="batch"),
    ),
    (
        {
            "custom_id": "a",
            "result": {
                "type": "succeeded",
                "message": message(inference_geo="us", service_tier="batch"),
            },
        },
        Usage(50, 20, service_tier="batch+us"),
    ),
    ({"key": "a", "response": gemini()}, THOUGHT._replace(service_tier="batch")),
    (
        {"object": "batch", "model": "m", "usage": ANTHROPIC | {"input_tokens_details": None}},
        Usage(50, 20, service_tier="batch"),
    ),
    # the ends of streams
    ({"type": "response.completed", "response": {"model": "m", "usage": OPENAI}}, Usage(100, 50)),
    ({"object": "chat.completion.chunk", "choices": [], "usage": OPENAI}, Usage(100, 50)),
    ({"type": "message_delta", "usage": ANTHROPIC}, Usage(50, 20)),
    # Cohere's, which reads more than it bills; Moonshot's cache
    (
        {
            "text": "hi",
            "meta": {
                "billed_units": {"input_tokens": 12, "output_tokens": 3},
                "tokens": {"input_tokens": 512, "output_tokens": 3},
            },
        },
        Usage(12, 3),
    ),
    (
        {"usage": {"billed_units": {"input_tokens": 12, "output_tokens": 3}, "tokens": {}}},
        Usage(12, 3),
    ),
    ({"usage": {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 7}}, Usage(9, 1, 7)),
    # LiteLLM's own
    ({"results": [], "meta": {"billed_units": {"total_tokens": 38}}}, Usage(38)),
    ({"results": [], "meta": {"tokens": {"input_tokens": 38, "output_tokens": 2}}}, Usage(38, 2)),
    (
        {
            "model": "m",
            "usage": OPENAI
            | {
                "prompt_tokens_details": {"video_tokens": 5, "web_search_requests": 2},
                "speed": "fast",
            },
        },
        Usage(100, 50, input_video_tokens=5, web_searches=2, service_tier="fast"),
    ),
]


def snake(value: Any) -> Any:
    """The same in the spelling of Google's SDK."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = (re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name) for name in value)
    return dict(zip(names, map(snake, value.values()), strict=True))


def objects(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: objects(inner) for name, inner in value.items()})
    return [objects(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", range(len(RESPONSES)))
def test_a_response_reads_the_same_as_dict_json_and_object(case: int) -> None:
    response, usage = RESPONSES[case]
    expected = Reading("m" if '"m"' in json.dumps(response) else None, usage, None)
    for same in (response, json.loads(json.dumps(response)), objects(response)):
        assert read_response(same) == expected
        assert model_of(same) == expected.model
    if "usageMetadata" in json.dumps(response):
        assert read_response(snake(response)) == expected
        assert read_response(objects(snake(response))) == expected


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        ("gemini-3-flash-preview", 2),
        ("gemini-2.5-pro", 1),
        ("models/gemini-2.0-flash", 1),
        ("gemini-21", 2),
    ],
)
def test_up_to_gemini_2_5_the_prompt_is_billed_not_the_search(model: str, searches: int) -> None:
    usage = read_response(searched("q", "r", model=model)).usage
    assert usage is not None
    assert usage.web_searches == searches


def test_the_normal_form_reads_back_from_its_dict() -> None:
    usage = Usage(100, 50, 20, input_audio_tokens=30, web_searches=1, service_tier="batch")
    kept = {name: value for name, value in usage._asdict().items() if value}  # as on a row
    for same in (usage._asdict(), kept, SimpleNamespace(**kept), {"usage": kept}, {"usage": usage}):
        assert read_response(same) == (None, usage, None)
    assert read_response({"input_characters": 120}).usage == Usage(input_characters=120)


class Tier(str, Enum):  # noqa: UP042 (as Google's SDK has them)
    OFFPEAK = "ON_DEMAND_OFFPEAK"


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        *(
            (usual, None)
            for usual in (None, "", "default", "auto", "standard", "on_demand", "Auto")
        ),
        ("batch", "batch"),
        ("FLEX", "flex"),
        (Tier.OFFPEAK, "offpeak"),
        ("priority", "priority"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("scale", "scale"),
        # whatever else it was, the call is not priced as usual
        ("two words", "unknown"),
        ("x" * 99, "unknown"),
        (3, "unknown"),
    ],
)
def test_service_tier(told: object, tier: str | None) -> None:
    usage = Usage(100, 50, service_tier=tier)
    assert read_response({"usage": OPENAI, "service_tier": told}).usage == usage
    assert read_response({"usage": OPENAI | {"service_tier": told}}).usage == usage


def test_several_models_in_one_call_are_not_priced_as_one() -> None:
    for kind in ("advisor_message", "fallback_message"):
        steps = [{"type": "message"} | ANTHROPIC, {"type": kind, "model": "n"} | ANTHROPIC]
        with pytest.raises(UnreadableResponse, match=kind):
            read_response(message(iterations=steps))
        with pytest.raises(UnreadableResponse, match=kind):
            read_response({"model": "m", "usage": OPENAI | {"iterations": steps}})


@pytest.mark.parametrize(
    "line",
    [
        {"custom_id": "a", "response": {"status_code": 429, "body": {"error": {}}}},
        {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}},
        {"custom_id": "a", "result": {"type": "errored", "error": {}}},
        {"custom_id": "a", "result": {"type": "expired"}},
    ],
)
def test_a_request_of_a_batch_that_failed_has_nothing_to_record(line: dict[str, Any]) -> None:
    for same in (line, objects(line)):
        with pytest.raises(UnreadableResponse, match="not billed"):
            read_response(same)


def test_a_cost_told_with_the_usage_is_believed_of_litellms_streams_only() -> None:
    hidden = {"response_cost": None}
    usage = OPENAI | {"cost": 0.25}
    chunk = {"object": "chat.completion.chunk", "usage": usage, "_hidden_params": hidden}
    assert read_response(chunk).cost == Decimal("0.25")
    # by another sender it is in whatever unit that one likes
    assert read_response({"usage": usage}).cost is None
    # nor does litellm price a whole response by it without saying so
    assert read_response(chunk | {"object": "chat.completion"}).cost is None
    # OpenRouter's fee for the use of one's own key is not what the call cost
    own_key = {"usage": usage | {"is_byok": True}, "_hidden_params": {"response_cost": 0.25}}
    assert read_response(own_key) == (None, Usage(100, 50), None)


def test_the_model_of_what_names_none_is_litellms() -> None:
    image = {"data": IMAGES, "_hidden_params": {"litellm_model_name": "dall-e-3"}}
    assert read_response(image) == ("dall-e-3", Usage(output_images=2), None)
    assert model_of({"_hidden_params": {"litellm_model_name": "cohere/rerank-v3.5"}}) is not None


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
    (b"hello", "input_characters"),
    ({"results": [], "meta": {"billed_units": {"search_units": 1}}}, "it has results, meta"),
    ({"usage": {"type": "duration", "seconds": float("nan")}}, "seconds .float. is not a length"),
    ({"usage": {"type": "duration", "seconds": -1}}, "seconds .int. is not a length"),
    ({"usage": {"type": "duration", "seconds": "8"}}, "seconds .str. is not a length"),
    ({"usage": {"seconds": True}}, "seconds .bool. is not a length"),
    ({"usageMetadata": {"promptTokenCount": -5}}, "prompt_token_count .int. is not a count"),
    ({"usageMetadata": {"trafficType": "ON_DEMAND"}}, "its usage has trafficType"),
    ({"usage": {"inputTokens": "5"}}, "inputTokens .str. is not a count"),
    ({"created": 1, "data": []}, "it has created, data"),
    (None, "NoneType is not a response"),
    (0.03, "amount in USD"),
    ({}, "no fields"),
    ([], "list is not a response"),
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


class LyingInt(int):
    def __le__(self, other: object) -> bool:
        return True

    def __index__(self) -> int:
        return 5


class LyingText(str):
    def strip(self, *_: object) -> str:
        raise RuntimeError("secret prompt")


class LyingList(list[object]):
    def __iter__(self) -> Any:
        raise RuntimeError("secret prompt")


class LyingMapping(dict[str, object]):
    """Has every field, and tells something else each time."""

    def get(self, name: object, default: object = None) -> Any:
        self[str(name)] = len(self)
        return [3, "9", -1, None, self, 2.5, Raises()][len(self) % 7]


HOSTILE = [Raises(), LyingMapping(), LyingInt(-3), LyingText("m"), LyingList([1]), object(), CYCLE]
HOSTILE += [True, "9", -1, 0, 0.5, 10**30, float("nan"), float("-inf"), b"", [], {}, None, "secret"]


class Poison(NamedTuple):
    """Stands for one of HOSTILE, which Hypothesis would look into."""

    which: int


NAMES = sorted({name for response, _ in RESPONSES for name in re.findall(r"\w+", repr(response))})
ANYTHING = st.recursive(
    st.builds(Poison, st.integers(0, len(HOSTILE) - 1))
    | st.integers()
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.integers(), inner, max_size=5)
    ),
)


def spoilt(value: Any, at: list[int], poison: object) -> Any:
    """*value* with *poison* somewhere in it: at each level *at* says where to go down."""
    if not at or not isinstance(value, (dict, list)) or not value:
        return poison
    names = list(value) if isinstance(value, dict) else range(len(value))
    changed, where = value.copy(), names[at[0] % len(value)]
    changed[where] = spoilt(value[where], at[1:], poison)
    return changed


def armed(value: Any, shape: Any) -> Any:
    if isinstance(value, Poison):
        return HOSTILE[value.which]
    if isinstance(value, list):
        return [armed(item, shape) for item in value]
    if not isinstance(value, dict):
        return value
    return shape(**{str(name): armed(inner, shape) for name, inner in value.items()})


SPOILT = st.builds(
    spoilt,
    st.sampled_from([response for response, _ in RESPONSES]),
    st.lists(st.integers(0, 9), max_size=5),
    ANYTHING,
)


@pytest.mark.slow
@settings(max_examples=1000)
@given(SPOILT | ANYTHING, st.sampled_from([dict, SimpleNamespace]))
def test_whatever_is_passed_reads_checked_or_is_refused(response: object, shape: Any) -> None:
    try:
        model, usage, cost = read_response(armed(response, shape))
    except UnreadableResponse:
        return
    assert model is None or (type(model) is str and model)
    assert usage is not None or cost is not None
    assert cost is None or 0 < cost <= 10**6
    if usage is not None:
        assert checked(usage) is usage
        assert set(map(type, counts_of(usage))) == {int}
        assert usage.service_tier is None or re.fullmatch(r"[a-z0-9_+-]+", usage.service_tier)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(10, 0, 4, 4, 3),
        Usage(10, 9, reasoning_tokens=4, output_audio_tokens=3, output_image_tokens=3),
        Usage(10, input_audio_tokens=4, input_image_tokens=4, input_video_tokens=3),
        Usage(10, 0, 3, input_audio_tokens=10, cache_read_audio_tokens=4),
        Usage(10, 0, 9, input_audio_tokens=3, cache_read_audio_tokens=4),
        Usage(10, 0, 9, input_image_tokens=3, cache_read_image_tokens=4),
        Usage(10, 9, web_searches=-1),
        Usage(10, 9, service_tier="Batch"),
        Usage(10, 9, service_tier=""),
        Usage(10, 9, service_tier=1),  # type: ignore[arg-type]
    ],
)
def test_parts_that_do_not_fit_are_refused(usage: Usage) -> None:
    for same in (usage, {"usage": usage}):
        with pytest.raises(UnreadableResponse):
            read_response(same)


def test_what_a_subclass_says_of_itself_does_not_count() -> None:
    model, usage, _ = read_response(
        {"model": LyingText(" m "), "usage": {"prompt_tokens": LyingInt(3)}}
    )
    assert (type(model), model) == (str, "m")
    assert usage is not None
    assert (type(usage.input_tokens), usage.input_tokens) == (int, 3)


def test_model_is_found_where_usage_is_not() -> None:
    assert model_of({"model": " gpt-4o "}) == "gpt-4o"
    assert [model_of(none) for none in (Raises(), {}, {"model": " "}, {"model": 4}, "x")] == [
        None
    ] * 5
    with pytest.raises(UnreadableResponse):  # each a count, their sum not one
        read_response({"prompt_tokens": MAX_TOKENS - 1, "cache_read_input_tokens": MAX_TOKENS})


def test_a_call_that_was_not_awaited_is_named_so() -> None:
    coroutine = call()
    with pytest.raises(UnreadableResponse, match="await the call"):
        read_response(coroutine)
    coroutine.close()

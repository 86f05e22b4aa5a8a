"""What a stream used: every shape whole and cut at every chunk, and streams that misbehave."""

from __future__ import annotations

import copy
import re
import tracemalloc
import weakref
from collections.abc import Iterable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetledger.responses import stream as _streams
from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.tokens import count_tokens
from budgetledger.usage import Usage, checked

GPT, CLAUDE = "gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"
ASKED = 777  # the caller's estimate of the prompt


def read(
    chunks: Iterable[object], model: str | None = None, input_tokens: int | None = ASKED
) -> StreamUsage:
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
    return reading.usage(model, input_tokens)


def chat(delta: object = None, finish: str | None = None, index: int = 0, **more: Any) -> Any:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"model": GPT, "choices": [choice], **more}


def said(text: str, **more: Any) -> Any:
    return chat({"content": text}, **more)


def told(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def delta(kind: str, text: str) -> dict[str, Any]:
    return event("content_block_delta", index=0, delta={"type": f"{kind}_delta", kind: text})


def start(**usage: Any) -> dict[str, Any]:
    return event("message_start", message={"model": CLAUDE, "content": [], "usage": usage})


def end(**usage: Any) -> dict[str, Any]:
    return event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)


OPENAI_USAGE = told(2006, 300) | {"prompt_tokens_details": {"cached_tokens": 1920}}
CHAT = [
    chat({"role": "assistant", "content": ""}),
    said("Two sentences"),
    said(" arrive, in several pieces."),
    chat(finish="stop"),
    {"model": GPT, "choices": [], "usage": OPENAI_USAGE},
]
TEXT = [
    {"model": GPT, "choices": [{"index": 0, "text": "Two sentences", "finish_reason": None}]},
    {"model": GPT, "choices": [{"index": 0, "text": " arrive.", "finish_reason": "stop"}]},
    {"model": GPT, "choices": [], "usage": OPENAI_USAGE},
]
RESPONSES_USAGE = {"input_tokens": 328, "output_tokens": 52}
RESPONSES_USAGE_TOLD: dict[str, Any] = RESPONSES_USAGE | {
    "input_tokens_details": {"cached_tokens": 256}
}
RESPONSES = [
    event("response.created", response={"model": GPT, "usage": None}),
    event("response.reasoning_summary_text.delta", delta="A plan."),
    event("response.output_text.delta", delta="Two sentences"),
    event("response.output_text.delta", delta=" arrive."),
    event("response.output_text.done", text="Two sentences arrive."),
    event("response.completed", response={"model": GPT, "usage": RESPONSES_USAGE_TOLD}),
]
CACHED = {"cache_read_input_tokens": 2000, "cache_creation_input_tokens": 1000}
ANTHROPIC = [
    start(
        input_tokens=50,
        output_tokens=1,
        cache_creation={"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
        **CACHED,
    ),
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    event("ping"),
    delta("text", "Two sentences"),
    delta("text", " arrive."),
    event("content_block_stop", index=0),
    end(output_tokens=20),
    event("message_stop"),
]
STARTED = Usage(3050, 1, 2000, 400, 600)

SHAPES = [  # chunks; the usage their end tells; at which chunk; what is known of it before
    (CHAT, Usage(2006, 300, 1920), 4, Usage(ASKED)),
    (TEXT, Usage(2006, 300, 1920), 2, Usage(ASKED)),
    (RESPONSES, Usage(328, 52, 256), 5, Usage(ASKED)),
    (ANTHROPIC, STARTED._replace(output_tokens=20), 6, STARTED),
]


def objects(value: object) -> Any:
    if isinstance(value, dict):
        made = {name: objects(field) for name, field in value.items()}
        return SimpleNamespace(**made | {name: value[name] for name in ("args",) if name in value})
    return [objects(item) for item in value] if isinstance(value, list) else value


def written(chunk: Any) -> str:
    """The text of a chunk of SHAPES, read independently of the code."""
    for choice in chunk.get("choices", ()):
        return choice.get("text") or choice.get("delta", {}).get("content") or ""
    if chunk.get("type", "").endswith("delta"):
        piece = chunk["delta"]
        return piece if isinstance(piece, str) else piece.get("text", "")
    return ""


@pytest.mark.parametrize("shape", [dict, objects])
@pytest.mark.parametrize(("chunks", "usage", "last", "before"), SHAPES)
def test_a_stream_cut_anywhere_is_read_as_far_as_it_came(
    chunks: list[Any], usage: Usage, last: int, before: Usage, shape: Any
) -> None:
    for length in range(1, len(chunks) + 1):
        came = chunks[:length]
        model = came[0].get("model") or GPT if chunks is not ANTHROPIC else CLAUDE
        found = read([shape(chunk) for chunk in came], "asked-for")
        if length > last:
            assert found == (model, usage, None, True)
            continue
        text = "".join(written(chunk) for chunk in came)
        output = count_tokens(model, text=text).tokens if text else 0
        expected = before._replace(output_tokens=max(before.output_tokens, output))
        assert found == (model, expected, None, False)
    assert length > last


def test_nothing_came() -> None:
    reading = StreamReading()
    assert not reading.started
    assert reading.usage(GPT, 9) == (None, Usage(9), None, False)
    reading.add(None)
    assert reading.started


def test_an_unknown_prompt_counts_as_nought_and_stays_an_estimate() -> None:
    found = read(CHAT[:3], None, None)
    assert found.usage.input_tokens == 0
    assert not found.reported


def test_the_model_asked_for_counts_where_none_is_named() -> None:
    text = "Some text of several words."
    for asked in ("gpt-4o", "claude-sonnet-5"):
        found = read([text], asked)
        counted = count_tokens(asked, text=text).tokens
        assert found == (None, Usage(ASKED, counted), None, False)
    claude = read([text], "claude-sonnet-5").usage.output_tokens
    assert claude > read([text], "gpt-4o").usage.output_tokens
    for nameless in (None, "", " "):
        assert read([text], nameless).usage.output_tokens >= len(text.split())


@pytest.mark.parametrize(
    ("names", "model"),
    [
        (["", GPT], GPT),  # Azure's first chunk
        (["model-router", "gpt-4.1-nano-2025-04-14"], "gpt-4.1-nano-2025-04-14"),
        (["claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"], "claude-sonnet-4-5"),  # LiteLLM's
        ([GPT, None], GPT),
        ([None], None),
    ],
)
def test_the_model_is_the_one_that_answered(names: list[Any], model: str | None) -> None:
    assert read([said("x") | {"model": name} for name in names]).model == model


WORDS = "It is a sentence of eight words."
WRITTEN = [
    chat({"reasoning_content": WORDS}),
    chat({"reasoning": WORDS}),
    chat(
        {"reasoning": WORDS, "reasoning_content": WORDS, "thinking_blocks": [{"thinking": WORDS}]}
    ),
    chat({"refusal": WORDS}),
    chat({"function_call": {"arguments": WORDS}}),
    chat({"tool_calls": [{"index": 0, "function": {"name": None, "arguments": WORDS}}]}),
    chat({"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": WORDS}}]}),
    chat({"content": [{"type": "text", "text": WORDS}]}),
    chat({"audio": {"transcript": WORDS, "data": "UklGRg==" * 9}}),
    said(WORDS, type="chat.completion.chunk"),  # a gateway's own field
    event("response.refusal.delta", delta=WORDS),
    event("response.reasoning_text.delta", delta=WORDS),
    event("response.reasoning_summary_text.delta", delta=WORDS),
    event("response.function_call_arguments.delta", delta=WORDS),
    event("response.custom_tool_call_input.delta", delta=WORDS),
    delta("thinking", WORDS),
    event("content_block_delta", delta={"type": "input_json_delta", "partial_json": WORDS}),
    event("content_block_delta", delta={"type": "compaction_delta", "content": WORDS}),
    event("content_block_start", content_block={"type": "text", "text": WORDS}),
    event("chunk", chunk=said(WORDS), snapshot={"choices": [{"message": {"content": WORDS}}]}),
    WORDS,
    WORDS.encode(),
]


@pytest.mark.parametrize("at", range(len(WRITTEN)))
def test_all_the_model_writes_is_counted_once(at: int) -> None:
    chunk = WRITTEN[at]
    assert read([chunk], "gpt-4o").usage.output_tokens == count_tokens("gpt-4o", text=WORDS).tokens


@pytest.mark.parametrize(
    "chunk",
    [
        event("text", text=WORDS, snapshot=WORDS),  # Anthropic's helper, beside the raw event
        event("input_json", partial_json=WORDS, snapshot={}),
        event("thinking", thinking=WORDS, snapshot=WORDS),
        event("content.delta", delta=WORDS, snapshot=WORDS),  # OpenAI's
        event("response.output_text.done", text=WORDS),
        event("response.audio.delta", delta="UklGRg=="),
        delta("signature", "EqQBCgIYAhIM"),
        event(
            "content_block_start",
            content_block={"type": "web_search_tool_result", "content": [{"text": WORDS}]},
        ),
    ],
)
def test_repeats_and_what_is_not_text_are_not_counted(chunk: object) -> None:
    assert read([chunk], "gpt-4o").usage.output_tokens == 0


def test_the_name_of_a_tool_is_counted() -> None:
    name = "get_weather_forecast"
    counted = count_tokens("gpt-4o", text=name).tokens
    for chunk in (
        chat({"tool_calls": [{"index": 0, "function": {"name": name, "arguments": ""}}]}),
        event("content_block_start", content_block={"type": "tool_use", "name": name, "input": {}}),
    ):
        assert read([chunk | {"model": None}], "gpt-4o").usage.output_tokens == counted


def test_letters_cut_between_bytes_are_counted_as_letters() -> None:
    text = "naïve 漢字 and 🙂🙂 faces"
    raw = text.encode()
    found = read([raw[at : at + 1] for at in range(len(raw))], "gpt-4o")
    assert found.usage.output_tokens == count_tokens("gpt-4o", text=text).tokens


def test_running_usage_the_last_one_wins() -> None:
    running = [said("word ", usage=told(10, count)) for count in range(1, 5)]
    cut = read(running)
    assert cut == (GPT, Usage(10, count_tokens(GPT, text="word " * 4).tokens), None, False)
    # More was written than shows, as when reasoning is hidden: the provider's count is larger.
    hidden = read([*running, said("word ", usage=told(10, 400))])
    assert hidden == (GPT, Usage(10, 400), None, False)
    whole = read([*running, chat(finish="stop", usage=told(10, 6))])
    assert whole == (GPT, Usage(10, 6), None, True)


def test_usage_with_the_last_words_is_final() -> None:
    found = read([said("Two "), said("words", finish="stop", usage=told(10, 2))])
    assert found == (GPT, Usage(10, 2), None, True)


def test_usage_after_the_finish_with_an_empty_choice_is_final() -> None:
    # LiteLLM's
    found = read([said("Two words"), chat(finish="stop"), chat(usage=told(10, 2))])
    assert found == (GPT, Usage(10, 2), None, True)


def test_usage_before_the_first_word_is_not_final() -> None:
    assert read([chat({"role": "assistant"}, usage=told(10, 0))]) == (GPT, Usage(10), None, False)


def test_running_usage_waits_for_every_choice() -> None:
    one_done = [
        said("Yes", usage=told(10, 1)),
        said("Well", index=1, usage=told(10, 2)),
        chat(finish="stop", usage=told(10, 2)),
        said(", no", index=1, usage=told(10, 4)),
    ]
    for length in range(1, 5):
        assert not read(one_done[:length]).reported
    assert read([*one_done, chat(finish="stop", index=1, usage=told(10, 4))]).reported


@pytest.mark.parametrize(
    "chunks",
    [
        [*CHAT[:3], CHAT[4], said(" and more")],
        [*ANTHROPIC[:4], end(output_tokens=3), delta("text", " and more")],
    ],
)
def test_text_after_the_usage_makes_it_an_estimate(chunks: list[Any]) -> None:
    assert read(chunks[:-1]).reported
    assert not read(chunks).reported


@pytest.mark.parametrize("bad", [-1, "9", True, float("nan"), 10**13])
def test_a_usage_that_cannot_be_read_is_estimated(bad: Any) -> None:
    estimate = read(CHAT[:3])
    assert read([*CHAT[:4], {"choices": [], "usage": told(bad, 5)}]) == estimate
    assert read([*CHAT[:4], {"choices": [], "usage": "soon"}]) == estimate


@pytest.mark.parametrize("ending", [told(0, 0), told(10, 0)])
def test_a_usage_of_nothing_for_a_text_is_not_believed(ending: Any) -> None:
    found = read([*CHAT[:4], {"choices": [], "usage": ending}])
    counted = read(CHAT[:3]).usage.output_tokens
    assert found.usage == Usage(ending["prompt_tokens"] or ASKED, counted)
    assert not found.reported


def test_zeros_after_the_usage_do_not_replace_it() -> None:
    assert read([*CHAT, {"choices": [], "usage": told(0, 0)}]) == read(CHAT)


def test_an_answer_without_text_is_reported() -> None:
    assert read([chat(finish="stop"), {"choices": [], "usage": told(10, 0)}]) == (
        GPT,
        Usage(10),
        None,
        True,
    )


@pytest.mark.parametrize("kind", ["incomplete", "failed"])
def test_a_response_that_ends_badly_still_reports(kind: str) -> None:
    ending = event(f"response.{kind}", response={"model": GPT, "usage": RESPONSES_USAGE})
    assert read([*RESPONSES[:3], ending]) == (GPT, Usage(328, 52), None, True)
    unpaid = event(f"response.{kind}", response={"model": GPT, "usage": None})
    assert read([*RESPONSES[:3], unpaid]) == read(RESPONSES[:3])


def test_a_response_is_final_only_at_its_end() -> None:
    going = event("response.in_progress", response={"model": GPT, "usage": RESPONSES_USAGE})
    assert read([going]) == (GPT, Usage(328, 52), None, False)


def test_anthropic_delta_replaces_what_it_repeats_and_keeps_the_rest() -> None:
    first = start(input_tokens=50, output_tokens=1, **CACHED)
    searched = end(input_tokens=4050, output_tokens=20, cache_read_input_tokens=2500)
    assert read([first, searched]).usage == Usage(7550, 20, 2500, 1000)
    silent = end(input_tokens=None, output_tokens=20, cache_read_input_tokens=0)
    assert read([first, silent]).usage == Usage(3050, 20, 2000, 1000)
    # a gateway that tells everything at the end
    assert read([start(input_tokens=0, output_tokens=0), searched]).usage == Usage(6550, 20, 2500)
    thought = end(output_tokens=20, output_tokens_details={"thinking_tokens": 15})
    assert read([first, thought]).usage == Usage(3050, 20, 2000, 1000, reasoning_tokens=15)


def test_anthropic_end_without_output_is_an_estimate() -> None:
    for ending in (end(), end(output_tokens=0), event("message_delta", delta={}, usage=None)):
        found = read([*ANTHROPIC[:5], ending, ANTHROPIC[-1]])
        assert found == read(ANTHROPIC[:5])
        assert not found.reported


def test_anthropic_cut_before_its_text_still_knows_the_prompt() -> None:
    assert read(ANTHROPIC[:1]) == (CLAUDE, STARTED, None, False)


HIDDEN: dict[str, Any] = {"response_cost": None, "custom_llm_provider": "openai"}


def test_litellms_cost_comes_with_the_end_only() -> None:
    usage = told(10, 2) | {"cost": 3.5e-05}
    last = {"model": GPT, "choices": [], "usage": usage, "_hidden_params": HIDDEN}
    cost = Decimal("0.000035")
    assert read([said("Hi"), last]) == (GPT, Usage(10, 2), cost, True)
    assert read([said("Hi"), last, said(" you")]).cost is None
    running = said("Hi", usage=usage, _hidden_params=HIDDEN)
    assert read([running]).cost is None
    noted = last | {"_hidden_params": {"response_cost": 0.25}}
    assert read([said("Hi"), noted]).cost == Decimal("0.25")
    # from another sender it is in whatever unit that one likes
    assert read([said("Hi"), last | {"_hidden_params": None}]).cost is None
    zeros = {"model": GPT, "choices": [], "usage": told(0, 0)}
    assert read([said("Hi"), last, zeros]).cost == cost
    broken = last | {"usage": told(-1, 2) | {"cost": 3.5e-05}}
    assert read([said("Hi"), broken]) == (GPT, Usage(ASKED, 1), cost, False)


def test_litellm_not_asked_for_the_usage_notes_it_after_the_last_chunk() -> None:
    hidden = dict(HIDDEN, usage=told(0, 0))
    reading = StreamReading()
    reading.add(said("Hi", _hidden_params=HIDDEN))
    reading.add(chat(finish="stop", _hidden_params=hidden))
    assert not reading.usage(None, ASKED).reported
    hidden["usage"] = told(0, 5)  # LiteLLM 1.80 does not count the prompt of some
    assert reading.usage(None, ASKED) == (GPT, Usage(ASKED, 5), None, False)
    hidden["usage"] = told(-1, 2)
    assert not reading.usage(None, ASKED).reported
    hidden["usage"] = told(10, 2) | {"cost": 0.5}
    expected = (GPT, Usage(10, 2), Decimal("0.5"), True)
    assert reading.usage(None, ASKED) == expected
    assert reading.usage(None, ASKED) == expected
    running = said("Hi", _hidden_params=dict(HIDDEN, usage=told(10, 2)))
    assert not read([running]).reported


FLASH = "gemini-2.5-flash"


def gemini(*parts: Any, finish: str | None = None, **counts: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    ending = {"finishReason": finish} if finish else {}
    return {
        "candidates": [candidate | ending],
        "usageMetadata": {"promptTokenCount": 900, "cachedContentTokenCount": 600} | counts,
        "modelVersion": FLASH,
    }


CALL = {"name": "look", "args": {"at": 1}}
GEMINI: list[dict[str, Any]] = [
    gemini({"text": "A plan.", "thought": True}, thoughtsTokenCount=40),
    gemini({"text": "Two sentences"}, thoughtsTokenCount=60, candidatesTokenCount=2),
    gemini({"text": " arrive."}, {"functionCall": CALL}, candidatesTokenCount=9),
    gemini({"text": ""}, finish="STOP", thoughtsTokenCount=60, candidatesTokenCount=30),
]


def spelled(value: Any) -> Any:
    """The same in the spelling of Google's SDK."""
    if isinstance(value, dict):
        return {
            re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name): spelled(inner)
            for name, inner in value.items()
        }
    return [spelled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", [dict, objects, spelled, lambda chunk: objects(spelled(chunk))])
def test_of_geminis_counts_the_last_are_the_whole(shape: Any) -> None:
    chunks = [shape(chunk) for chunk in GEMINI]
    whole = Usage(900, 90, 600, reasoning_tokens=60)
    assert read(chunks) == (FLASH, whole, None, True)
    assert read(chunks[:2]) == (FLASH, whole._replace(output_tokens=62), None, False)
    texts = ["A plan.", "Two sentences", " arrive.", "look", str(CALL["args"])]
    assert read(chunks[:3]) == (
        FLASH,
        Usage(900, count_tokens(FLASH, text="".join(texts)).tokens, 600),
        None,
        False,
    )
    assert not read([*chunks, chunks[1]]).reported  # text after the end


def test_a_prompt_that_gemini_blocks_is_reported() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9},
    }
    assert read([blocked]) == (None, Usage(9), None, True)


def test_searches_count_wherever_in_the_stream_they_are_told() -> None:
    grounded = {"groundingMetadata": {"webSearchQueries": ["q"]}}
    first = GEMINI[0] | {"candidates": [GEMINI[0]["candidates"][0] | grounded]}
    assert read([first, *GEMINI[1:]]).usage.web_searches == 1
    calls = [{"type": "web_search_call"}, {"type": "file_search_call"}]
    ending = {"model": GPT, "usage": RESPONSES_USAGE_TOLD, "output": calls}
    found = read([*RESPONSES[:-1], event("response.completed", response=ending)]).usage
    assert found == Usage(328, 52, 256, web_searches=1, file_searches=1)
    searched = end(output_tokens=20, server_tool_use={"web_search_requests": 3})
    found = read([*ANTHROPIC[:-2], searched]).usage
    assert found == STARTED._replace(output_tokens=20, web_searches=3)


def test_the_service_tier_is_the_one_that_served() -> None:
    told = [chunk | {"service_tier": "flex"} for chunk in CHAT[:2]]
    for chunks in ([*told, *CHAT[2:]], told):  # whole and cut
        assert read(chunks).usage.service_tier == "flex"
    asked = event("response.created", response={"model": GPT, "service_tier": "priority"})
    for served, tier in (("priority", "priority"), ("default", None)):
        ending = {"model": GPT, "usage": RESPONSES_USAGE, "service_tier": served}
        found = read([asked, event("response.completed", response=ending)])
        assert found.usage == Usage(328, 52, service_tier=tier)
    started = start(input_tokens=50, output_tokens=1, service_tier="batch", speed="fast")
    assert read([started, end(output_tokens=20)]).usage == Usage(50, 20, service_tier="batch+fast")
    assert read([*GEMINI[:3], gemini(finish="STOP", trafficType="ON_DEMAND_FLEX")]).usage == Usage(
        900, read(GEMINI[:3]).usage.output_tokens, 600, service_tier="flex"
    )


def test_what_a_compaction_used_is_added_at_the_end() -> None:
    compacted = {"type": "compaction", "input_tokens": 1000, "output_tokens": 70}
    found = read([*ANTHROPIC[:-2], end(output_tokens=20, iterations=[compacted])])
    assert found.usage == Usage(4050, 90, 2000, 400, 600)
    assert found.reported


def test_a_transcript_billed_by_the_second_is_reported() -> None:
    text = event("transcript.text.delta", delta="Hello")
    ending = event("transcript.text.done", usage={"type": "duration", "seconds": 8.2})
    assert read([text, ending]) == (None, Usage(input_audio_seconds=9), None, True)


@pytest.mark.parametrize(
    ("chunks", "usage"),
    [
        (
            [
                event("transcript.text.delta", delta="Hello"),
                event(
                    "transcript.text.done",
                    text="Hello",
                    usage=RESPONSES_USAGE | {"input_token_details": {"audio_tokens": 300}},
                ),
            ],
            Usage(328, 52, input_audio_tokens=300),
        ),
        (
            [
                event("image_generation.partial_image", b64_json="aGk="),
                event(
                    "image_generation.completed",
                    b64_json="aGk=",
                    usage=RESPONSES_USAGE | {"input_tokens_details": {"image_tokens": 0}},
                ),
            ],
            Usage(328, 52, output_image_tokens=52),
        ),
        (
            [
                event("speech.audio.delta", audio="aGk="),
                event("speech.audio.done", usage=RESPONSES_USAGE),
            ],
            Usage(328, 52, output_audio_tokens=52),
        ),
    ],
)
def test_sound_and_images_in_streams(chunks: list[Any], usage: Usage) -> None:
    assert read(chunks) == (None, usage, None, True)


class Raises:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError("broken")


class Endless:
    def __getattr__(self, name: str) -> object:
        return self


CYCLE: dict[str, Any] = {}
CYCLE.update(choices=[{"delta": CYCLE}], content=[CYCLE], usage=CYCLE, text=CYCLE)
HOSTILE: list[Any] = [Raises(), Endless(), CYCLE, object(), 5, [CYCLE], {1: 2}, {"choices": 5}]
HOSTILE += [chat(Raises()), chat({"content": "", "tool_calls": 5}), said("", index={})]
HOSTILE += [event("message_start", message=Raises()), event("content_block_delta"), "", b"\xff"]


@pytest.mark.parametrize("at", range(len(HOSTILE)))
def test_a_chunk_nobody_expects_neither_raises_nor_spoils_the_rest(at: int) -> None:
    found = read([*CHAT[:3], HOSTILE[at], *CHAT[3:]])
    assert found == (GPT, Usage(2006, 300, 1920), None, True)
    cut = read([*CHAT[:2], HOSTILE[at], CHAT[2]])
    assert cut.usage.output_tokens >= read(CHAT[:3]).usage.output_tokens
    assert not cut.reported


FIELDS = ["type", "choices", "delta", "content", "text", "usage", "message", "response", "index"]
FIELDS += ["finish_reason", "model", "prompt_tokens", "output_tokens", "_hidden_params", "chunk"]
FIELDS += ["candidates", "parts", "usage_metadata", "prompt_token_count", "service_tier", "output"]
FIELDS += ["iterations", "server_tool_use", "functionCall", "args", "grounding_metadata"]
KINDS = ["message_start", "message_delta", "content_block_delta", "response.completed", "chunk"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS), inner | st.sampled_from([*KINDS, "\ud800"]), max_size=6
        )
    ),
)


@given(st.lists(ANYTHING, max_size=5))
def test_anything_ends_in_a_usage_the_ledger_takes(chunks: list[object]) -> None:
    before = copy.deepcopy(chunks)
    found = read(chunks)
    assert found.usage is None or checked(found.usage) == found.usage
    assert repr(chunks) == repr(before)  # passed on as they came


def test_chunks_are_not_kept() -> None:
    class Chunk:
        choices = said("Hi")["choices"]
        usage = told(1, 1)

    chunk = Chunk()
    gone = weakref.ref(chunk)
    reading = StreamReading()
    reading.add(chunk)
    del chunk
    assert gone() is None


def test_nothing_is_counted_when_the_usage_was_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("counted")

    monkeypatch.setattr(_streams, "count_tokens", refuse)
    for chunks, usage, *_ in SHAPES:
        assert read(chunks).usage == usage
    reading = StreamReading()
    for chunk in CHAT[:-1]:
        reading.add(chunk)  # nor while the stream runs
    with pytest.raises(AssertionError, match="counted"):
        reading.usage(None, None)


def test_a_huge_stream_is_counted_in_little_memory() -> None:
    sentence = "The ledger keeps every row, and a stream keeps only so much. "
    size = 10_000_000
    reading = StreamReading()
    count_tokens("gpt-4o", text=sentence)  # the vocabulary is loaded before the memory is measured
    tracemalloc.start()
    try:
        for _ in range(size // len(sentence)):
            reading.add(sentence)
        found = reading.usage("gpt-4o", None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * size
    exact = count_tokens("gpt-4o", text=sentence * 100).tokens * size / (100 * len(sentence))
    assert found.usage.output_tokens == pytest.approx(exact, rel=0.001)

"""Shapes that programs and gateways hand on, and tools that are billed beside the tokens."""

from __future__ import annotations

from typing import Any

import pytest
from charging import charged, objects

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.failures import is_failure
from budgetledger.responses.response import model_of, read_response
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

CHAT = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
ANSWER = {"model": "gpt-4o", "choices": [{"message": {"content": "x"}}], "usage": CHAT}
PYDANTIC_AI = {
    "input_tokens": 1000, "cache_write_tokens": 300, "cache_write_1h_tokens": 200,
    "cache_read_tokens": 600, "output_tokens": 50, "output_reasoning_tokens": 20,
    "input_audio_tokens": 400, "cache_audio_read_tokens": 250, "output_audio_tokens": 0,
    "audio_seconds": 0, "unmeasured_requests": 0, "details": {"reasoning_tokens": 20}, "cost": None,
}  # fmt: skip
CLAUDE = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 100}
SHAPES: dict[str, tuple[dict[str, Any], Usage]] = {
    # frameworks
    "Pydantic AI": (
        PYDANTIC_AI,
        Usage(1000, 50, 600, 100, 200, 20, 400, cache_read_audio_tokens=250),
    ),
    "Pydantic AI, a response": (
        {"parts": [], "usage": PYDANTIC_AI, "model_name": "gpt-4o", "provider_name": "openai"},
        Usage(1000, 50, 600, 100, 200, 20, 400, cache_read_audio_tokens=250),
    ),
    "LlamaIndex": ({"message": {"role": "assistant"}, "raw": ANSWER, "delta": None},
                   Usage(100, 50)),
    "LlamaIndex, without the response": (
        {"message": {"role": "assistant"}, "raw": None, "additional_kwargs": CHAT}, Usage(100, 50)),
    "Instructor": ({"name": "Jason", "_raw_response": ANSWER}, Usage(100, 50)),
    "Haystack": ({"content": "x", "meta": {"model": "gpt-4o", "usage": CHAT}}, Usage(100, 50)),
    "Semantic Kernel": (
        {"role": "assistant", "ai_model_id": "gpt-4o", "metadata": {"usage": CHAT}},
        Usage(100, 50)),
    "LangChain, LLMResult": (
        {"generations": [[{"text": "x", "message": {"content": "x"}}]],
         "llm_output": {"token_usage": CHAT, "model_name": "gpt-4o"}}, Usage(100, 50)),
    "LangChain, LLMResult of messages": (
        {"generations": [[{"text": "x", "message": {"content": "x", "usage_metadata":
         {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}}}]], "llm_output": None},
        Usage(9, 4)),
    "LangChain, structured output": (
        {"raw": {"content": "", "usage_metadata": {"input_tokens": 9, "output_tokens": 4}},
         "parsed": {}, "parsing_error": None}, Usage(9, 4)),
    "LangChain, the provider's usage alone": (
        {"content": "x", "response_metadata": {"model": "claude-sonnet-4-5", "usage": CLAUDE}},
        Usage(103, 5, 100)),
    "LangChain, Ollama's answer alone": (
        {"content": "x", "response_metadata": {"model": "llama3", "done": True,
                                               "prompt_eval_count": 26, "eval_count": 10}},
        Usage(26, 10)),
    "LangChain.js": (
        {"response_metadata": {"tokenUsage": {"promptTokens": 9, "completionTokens": 4}}},
        Usage(9, 4)),
    "CrewAI": ({**CHAT, "cached_prompt_tokens": 40, "successful_requests": 1},
               Usage(100, 50, 40)),
    "browser-use": (
        {**CHAT, "prompt_cached_tokens": 40, "prompt_cache_creation_tokens": 10},
        Usage(100, 50, 40, 10)),
    "AI SDK, embedding": ({"embedding": [0.1], "usage": {"tokens": 12}}, Usage(12)),
    "AI SDK 5, Anthropic's metadata": (
        {"usage": {"inputTokens": 5000, "outputTokens": 5, "cachedInputTokens": 1200},
         "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 3000}}},
        Usage(9200, 5, 1200, 3000)),
    "AI SDK 4, Anthropic's metadata": (
        {"usage": {"promptTokens": 3, "completionTokens": 5}, "providerMetadata": {"anthropic": {
            "cacheCreationInputTokens": 3000, "cacheReadInputTokens": 12000}}},
        Usage(15003, 5, 12000, 3000)),
    "AI SDK 4, OpenAI's metadata": (
        {"usage": {"promptTokens": 2006, "completionTokens": 300}, "providerMetadata": {"openai": {
            "cachedPromptTokens": 1920, "reasoningTokens": 100}}},
        Usage(2006, 300, 1920, reasoning_tokens=100)),
    "AI SDK 5, metadata of the last step": (
        {"usage": {"inputTokens": 9, "outputTokens": 5}, "steps": [{}, {}], "providerMetadata": {
            "anthropic": {"cacheCreationInputTokens": 3000}},
         "totalUsage": {"inputTokens": 30, "outputTokens": 8, "cachedInputTokens": 5}},
        Usage(30, 8, 5)),
    "AI SDK 6, of a provider": (
        {"usage": {"inputTokens": {"total": 100, "cacheRead": 40}, "outputTokens": {"total": 50,
         "reasoning": 10}}}, Usage(100, 50, 40, reasoning_tokens=10)),
    "Codex, app server": (
        {"tokenUsage": {"total": {"inputTokens": 900}, "last": {"inputTokens": 10, "outputTokens":
         5, "cachedInputTokens": 8, "reasoningOutputTokens": 1}}},
        Usage(10, 5, 8, reasoning_tokens=1)),
    "Claude Code, a model of a run": (
        {"inputTokens": 4, "outputTokens": 30, "cacheReadInputTokens": 200,
         "cacheCreationInputTokens": 100, "webSearchRequests": 1, "costUSD": 0.04},
        Usage(304, 30, 200, 100, web_searches=1)),
    "Claude's managed agents, a request": (
        {"type": "span.model_request_end", "model_usage": {**CLAUDE,
                                                           "cache_creation_input_tokens": 3}},
        Usage(106, 5, 100, 3)),
    "Claude's managed agents, a session": (
        {"type": "session", "usage": {**CLAUDE, "active_seconds": 3600.0}},
        Usage(103, 5, 100, paid_tool_calls=1)),
    # gateways
    "OpenRouter's searches": (
        {**ANSWER, "usage": {**CHAT, "server_tool_use_details": {"web_search_requests": 2}}},
        Usage(100, 50, web_searches=2)),
    "new-api, written for an hour": (
        {"model": "claude-sonnet-4-5", "usage": {"prompt_tokens": 3, "completion_tokens": 5,
         "prompt_tokens_details": {"cached_tokens": 12000, "cached_creation_tokens": 3000},
         "claude_cache_creation_5_m_tokens": 1000, "claude_cache_creation_1_h_tokens": 2000}},
        Usage(15003, 5, 12000, 1000, 2000)),
    "Requesty": (
        {**ANSWER, "usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": 20,
                                                               "caching_tokens": 30}}},
        Usage(100, 50, 20, 30)),
    # providers
    "Mistral's cached tokens": ({**ANSWER, "usage": {**CHAT, "num_cached_tokens": 64}},
                                Usage(100, 50, 64)),
    "Assistants": (
        {"object": "thread.run", "usage": {**CHAT, "prompt_token_details": {"cached_tokens": 64}}},
        Usage(100, 50, 64)),
    "a transcription without details": (
        {"text": "x", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}},
        Usage(14, 45, input_audio_tokens=14)),
    "xAI's own client": (
        {"completion_tokens": 100, "reasoning_tokens": 40, "prompt_tokens": 32,
         "total_tokens": 172, "prompt_text_tokens": 22, "cached_prompt_text_tokens": 6,
         "prompt_image_tokens": 10, "server_side_tools_used": [1, 3], "cost_in_usd_ticks": 0},
        Usage(32, 140, 6, reasoning_tokens=40, input_image_tokens=10, paid_tool_calls=2)),
    "Perplexity's agents, cached": (
        {"output": [], "usage": {"input_tokens": 1000, "output_tokens": 5, "input_tokens_details":
         {"cache_read_input_tokens": 600, "cache_creation_input_tokens": 100}}},
        Usage(1000, 5, 600, 100)),
    "Cohere's images": (
        {"embeddings": {}, "meta": {"billed_units": {"input_tokens": 2020, "image_tokens": 2016,
                                                     "images": 1}}},
        Usage(2020, input_image_tokens=2016)),
    "DashScope's speech": ({"output": {"audio": {}}, "usage": {"characters": 195}},
                           Usage(input_characters=195)),
    "DashScope's recognition": ({"output": {}, "usage": {"duration": 9}},
                                Usage(input_audio_seconds=9)),
    "DashScope's pictures": ({"output": {}, "usage": {"image_count": 2}}, Usage(output_images=2)),
    "DashScope's embeddings of images": (
        {"output": {"embeddings": []}, "usage": {"input_tokens": 10, "image_tokens": 896}},
        Usage(906, input_image_tokens=896)),
    "DashScope's search": (
        {"output": {}, "usage": {"input_tokens": 100, "output_tokens": 5,
                                 "plugins": {"search": {"count": 1}}}},
        Usage(100, 5, paid_tool_calls=1)),
    # tools billed beside the tokens
    "Zhipu's search": ({**ANSWER, "web_search": [{"title": "t"}]},
                       Usage(100, 50, paid_tool_calls=1)),
    "Volcengine's search": (
        {"output": [], "usage": {"input_tokens": 100, "output_tokens": 5, "input_tokens_details":
         {"cached_tokens": 0}, "tool_usage": {"web_search": 2}}},
        Usage(100, 5, paid_tool_calls=2)),
    "Groq's tools": (
        {"model": "openai/gpt-oss-120b", "usage": CHAT, "choices": [{"message": {
            "content": "x", "executed_tools": [{"index": 0, "type": "browser_search"}]}}]},
        Usage(100, 50, paid_tool_calls=1)),
    "Groq's several models": (
        {"model": "groq/compound", "usage": CHAT, "choices": [], "usage_breakdown": {"models": [
            {"model": "a", "usage": CHAT}, {"model": "b", "usage": CHAT}]}},
        Usage(100, 50, paid_tool_calls=1)),
    "a drawing by a further model": (
        {"data": [{"b64_json": "x"}], "svg_usage": {"model": "gpt-5.6", "input_tokens": 9},
         "usage": {"input_tokens": 50, "output_tokens": 60,
                   "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}},
        Usage(50, 60, input_image_tokens=40, output_image_tokens=60, paid_tool_calls=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_read_as_dict_and_as_object(name: str) -> None:
    response, usage = SHAPES[name]
    for same in (response, objects(response)):
        assert read_response(same).usage == usage


def test_a_tool_without_a_listed_price_leaves_the_call_unpriced() -> None:
    for name in ("Groq's tools", "Zhipu's search", "a drawing by a further model"):
        entry = charged(SHAPES[name][0], model="gpt-4o")
        assert entry.cost_basis == "unpriced", name
        assert entry.usage["paid_tool_calls"] == 1


MODELS = [
    ("Pydantic AI, a response", "gpt-4o"), ("LlamaIndex", "gpt-4o"), ("Haystack", "gpt-4o"),
    ("Semantic Kernel", "gpt-4o"), ("LangChain, LLMResult", "gpt-4o"),
    ("LangChain, the provider's usage alone", "claude-sonnet-4-5"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_the_model_is_that_of_the_response_inside(name: str, model: str) -> None:
    assert read_response(SHAPES[name][0]).model == model
    assert model_of(SHAPES[name][0]) == model


STEP = {"type": "message", "input_tokens": 9, "output_tokens": 4}
SEVERAL: dict[str, dict[str, Any]] = {
    "steps of two models": {"usage": {**CLAUDE, "iterations": [
        STEP | {"model": "claude-opus-4-6"}, STEP | {"model": "claude-sonnet-4-6"}]}},
    "a step of an unknown kind": {"usage": {**CLAUDE, "iterations": [STEP | {"type": "other"}]}},
    "a run of two models": {"type": "result", "usage": CLAUDE, "modelUsage": {
        "claude-sonnet-4-5": {"inputTokens": 3}, "claude-haiku-4-5": {"inputTokens": 9}}},
    "a fallback credit that was redeemed": {"usage": {
        **CLAUDE, "cache_creation_input_tokens": 900,
        "fallback_credit": {"status": {"type": "redeemed"}}}},
    "a response without a usage": {"usage": PYDANTIC_AI | {"unmeasured_requests": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_what_no_single_price_covers_is_unpriced(name: str) -> None:
    with pytest.raises(UnreadableResponse):
        read_response(SEVERAL[name])
    assert charged(SEVERAL[name], model="claude-sonnet-4-5").cost_basis == "unpriced"


def test_a_fallback_credit_changes_nothing_where_nothing_was_written() -> None:
    for kind in ("redeemed", "not_applied"):
        usage = {**CLAUDE, "fallback_credit": {"status": {"type": kind}}}
        assert read_response({"usage": usage}).usage == Usage(103, 5, 100)


FAILED: list[dict[str, Any]] = [
    {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
    {"type": "error", "code": "server_error", "message": "m", "param": None},
    {"type": "conversation.response.error", "message": "m", "code": 500},
    {"throttlingException": {"message": "m"}},
    {"base_resp": {"status_code": 1004, "status_msg": "m"}, "choices": None},
    {"success": False, "result": None, "errors": [{"message": "m"}]},
    {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "m"}},
]
NOT_FAILED: list[dict[str, Any]] = [
    {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []},
    {"success": True, "result": {}},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    {"type": "error", "choices": [{"delta": {"content": "x"}}]},
]


@pytest.mark.parametrize("answer", FAILED)
def test_an_answer_that_says_that_the_call_failed(answer: dict[str, Any]) -> None:
    assert is_failure(answer)
    assert is_failure(objects(answer))


@pytest.mark.parametrize("answer", NOT_FAILED)
def test_an_answer_that_does_not_say_so(answer: dict[str, Any]) -> None:
    assert not is_failure(answer)

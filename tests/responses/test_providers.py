"""Further shapes of each provider, as its documentation or its client's types have them.

And what is not taken for the usage of a call: a count of tokens, and what cannot be true.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from charging import charged, objects

from budgetledger import Ledger
from budgetledger.errors import UnreadableResponse
from budgetledger.responses import usage
from budgetledger.responses.response import read_response
from budgetledger.usage import Usage

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

CHAT = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
SHAPES: dict[str, tuple[dict[str, Any], Usage]] = {
    # Amazon Bedrock: InvokeModel
    "Llama without a prompt": ({"generation": "", "generation_token_count": 7}, Usage(0, 7)),
    "Nova": (
        {"output": {"message": {}}, "usage": {"inputTokens": 10, "outputTokens": 5,
         "totalTokens": 15, "cacheReadInputTokenCount": 30, "cacheWriteInputTokenCount": 20}},
        Usage(60, 5, 30, 20),
    ),
    "Titan text": (
        {"inputTextTokenCount": 5, "results": [{"tokenCount": 61, "outputText": "Hi",
         "completionReason": "FINISH"}]},
        Usage(5, 61),
    ),
    "Titan embeddings": ({"embedding": [0.1], "inputTextTokenCount": 9}, Usage(9)),
    "Titan, last event of a stream": (
        {"outputText": "", "index": 0, "totalOutputTextTokenCount": 61, "completionReason": "F",
         "inputTextTokenCount": 5,
         "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 62}},
        Usage(5, 62),
    ),
    "metrics with a cache": (
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5,
         "outputTokenCount": 62, "cacheReadInputTokenCount": 40, "cacheWriteInputTokenCount": 3}},
        Usage(48, 62, 40, 3),
    ),
    "boto3's headers": (
        {"body": object(), "contentType": "application/json",
         "ResponseMetadata": {"HTTPHeaders": {"x-amzn-bedrock-input-token-count": "15",
                                              "x-amzn-bedrock-output-token-count": "60"}}},
        Usage(15, 60),
    ),
    "Mistral on Bedrock": ({"choices": [{"message": {"content": "x"}}], "usage": CHAT},
                           Usage(100, 50)),
    "Cohere on Bedrock": (
        {"text": "x", "generation_id": "g", "meta": {"billed_units":
         {"input_tokens": 4.0, "output_tokens": 3.0}}}, Usage(4, 3)),
    "event of ConverseStream": (
        {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11},
                      "serviceTier": {"type": "priority"}}},
        Usage(5, 6, service_tier="priority"),
    ),
    # batches
    "Bedrock batch line, Llama": (
        {"recordId": "1", "modelInput": {}, "modelOutput": {"generation": "x",
         "prompt_token_count": 9, "generation_token_count": 4}},
        Usage(9, 4, service_tier="batch"),
    ),
    "Vertex batch line": (
        {"status": "", "processed_time": "t", "request": {"contents": []},
         "response": {"candidates": [], "usageMetadata": {"promptTokenCount": 9,
          "candidatesTokenCount": 4, "totalTokenCount": 13}}},
        Usage(9, 4, service_tier="batch"),
    ),
    "Vertex batch line, embeddings": (
        {"instance": {"content": "x"}, "status": "",
         "predictions": [{"embeddings": {"values": [], "statistics": {"token_count": 6}}}]},
        Usage(6, service_tier="batch"),
    ),
    "Vertex batch line, Claude": (
        {"custom_id": "1", "status": "", "request": {}, "response": {"type": "message",
         "usage": {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 5}}},
        Usage(12, 2, 5, service_tier="batch"),
    ),
    "Vertex embeddings": (
        {"predictions": [{"embeddings": {"statistics": {"token_count": 6.0}}},
                         {"embeddings": {"statistics": {"token_count": 3.0}}}]},
        Usage(9),
    ),
    "google-genai's embeddings on Vertex": (
        {"embeddings": [{"values": [0.1], "statistics": {"token_count": 4.0}}], "metadata": None},
        Usage(4),
    ),
    # Cohere, streamed
    "Cohere v2, message-end": (
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {
            "billed_units": {"input_tokens": 5, "output_tokens": 7},
            "tokens": {"input_tokens": 71, "output_tokens": 7}, "cached_tokens": 16}}},
        Usage(5, 7),
    ),
    "Cohere v1, stream-end": (
        {"event_type": "stream-end", "is_finished": True, "response": {"text": "x", "meta": {
            "billed_units": {"input_tokens": 5, "output_tokens": 7}}}},
        Usage(5, 7),
    ),
    # Mistral
    "mistralai's event": (
        {"data": {"model": "m", "choices": [], "usage": CHAT}}, Usage(100, 50)),
    "Mistral conversation with connectors": (
        {"object": "conversation.response", "outputs": [], "usage": {"prompt_tokens": 188,
         "completion_tokens": 55, "total_tokens": 7355, "connector_tokens": 7112,
         "connectors": {"web_search": 1}}},
        Usage(7300, 55, paid_tool_calls=1),
    ),
    "voxtral with text in the total": (
        {"model": "voxtral-mini-latest", "usage": {"prompt_tokens": 4, "completion_tokens": 0,
         "total_tokens": 300, "prompt_audio_seconds": 12}},
        Usage(4, input_audio_seconds=12),
    ),
    # Ollama and llama.cpp
    "Ollama generate": (
        {"model": "m", "response": "Hi", "done": True, "prompt_eval_count": 5, "eval_count": 9},
        Usage(5, 9),
    ),
    "Ollama, prompt cached": ({"model": "m", "done": True, "eval_count": 9}, Usage(0, 9)),
    "Ollama embed": ({"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 8}, Usage(8)),
    "llama.cpp": ({"content": "x", "tokens_evaluated": 12, "tokens_predicted": 64,
                   "tokens_cached": 75}, Usage(12, 64)),
    # a usage elsewhere
    "x_groq": ({"choices": [], "x_groq": {"id": "r", "usage": CHAT}}, Usage(100, 50)),
    "Moonshot, last choice": (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop",
                      "usage": CHAT | {"cached_tokens": 30}}]},
        Usage(100, 50, 30),
    ),
    "Cloudflare": ({"result": {"response": "x", "usage": CHAT}, "success": True}, Usage(100, 50)),
    # Gemini
    "OpenAI endpoint, thoughts in the total": (
        {"model": "google/gemini-3-pro-preview",
         "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 30}},
        Usage(10, 20, reasoning_tokens=16),
    ),
    "the same, from the usage alone": (
        {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 30},
        Usage(10, 20, reasoning_tokens=16),
    ),
    "another's total says nothing": (
        {"model": "m", "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 30}},
        Usage(10, 4),
    ),
    "thoughts in the total only": (
        {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 4,
                           "totalTokenCount": 30}},
        Usage(10, 20, reasoning_tokens=16),
    ),
    "Interactions": (
        {"object": "interaction", "model": "gemini-3-flash-preview", "service_tier": "flex",
         "steps": [], "usage": {"total_input_tokens": 100, "total_output_tokens": 20,
          "total_thought_tokens": 30, "total_cached_tokens": 40, "total_tool_use_tokens": 7,
          "total_tokens": 157, "input_tokens_by_modality": [{"modality": "text", "tokens": 60},
                                                            {"modality": "audio", "tokens": 40}]}},
        Usage(107, 50, 40, reasoning_tokens=30, input_audio_tokens=40, service_tier="flex"),
    ),
    "Interactions, searched": (
        {"model": "gemini-3-flash-preview", "usage": {"total_input_tokens": 100,
         "total_output_tokens": 20, "total_tool_use_tokens": 900, "total_tokens": 1020,
         "grounding_tool_count": [{"type": "google_search", "count": 3},
                                  {"type": "google_maps", "count": 2}]}},
        Usage(100, 20, web_searches=3, map_searches=2),
    ),
    "Interactions, the last event": (
        {"event_type": "interaction.completed", "interaction": {"id": "i", "status": "completed",
         "model": "gemini-2.5-flash", "usage": {"total_input_tokens": 9, "total_output_tokens": 2,
          "total_tokens": 11}}},
        Usage(9, 2),
    ),
    "maps, up to Gemini 2.5 by the prompt": (
        {"modelVersion": "gemini-2.5-pro", "candidates": [{"groundingMetadata": {
            "webSearchQueries": ["a", "b"], "groundingChunks": [{"maps": {"placeId": "p"}}]}}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}},
        Usage(9, 4, map_searches=1),
    ),
    "maps, from Gemini 3 on by the search": (
        {"modelVersion": "gemini-3-pro-preview", "candidates": [{"groundingMetadata": {
            "webSearchQueries": ["a", "b"], "groundingChunks": [{"maps": {"placeId": "p"}}]}}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}},
        Usage(9, 4, map_searches=2),
    ),
    "maps and the web": (
        {"modelVersion": "gemini-3-pro-preview", "candidates": [{"groundingMetadata": {
            "webSearchQueries": ["a"], "googleMapsWidgetContextToken": "w",
            "groundingChunks": [{"web": {"uri": "u"}}, {"maps": {"placeId": "p"}}]}}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}},
        Usage(9, 4, web_searches=1, map_searches=1),
    ),
    # Perplexity
    "Sonar Deep Research": (
        {"model": "sonar-deep-research", "usage": CHAT | {"citation_tokens": 20,
         "num_search_queries": 3, "reasoning_tokens": 400, "search_context_size": "low"}},
        Usage(120, 450, reasoning_tokens=400, web_searches=3),
    ),
    "Sonar Pro": (
        {"model": "sonar-pro", "usage": CHAT | {"citation_tokens": 20, "num_search_queries": 1}},
        Usage(100, 50, web_searches=1),
    ),
    "reasoning beside the details, inside the output": (
        {"model": "m", "usage": CHAT | {"reasoning_tokens": 40}},
        Usage(100, 50, reasoning_tokens=40),
    ),
    # xAI
    "server-side tools": (
        {"model": "grok-4", "output": [{"type": "web_search_call"}], "usage": {
            "input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
            "num_server_side_tools_used": 6, "server_side_tool_usage_details": {
                "web_search_calls": 1, "x_search_calls": 2, "code_interpreter_calls": 1,
                "file_search_calls": 1, "mcp_calls": 1, "document_search_calls": 0}}},
        Usage(10, 5, web_searches=3, file_searches=1, paid_tool_calls=1),
    ),
    "tools without details": (
        {"model": "grok-4", "choices": [], "usage": CHAT | {"num_server_side_tools_used": 2}},
        Usage(100, 50, paid_tool_calls=2),
    ),
    "live search": (
        {"model": "grok-4", "choices": [], "usage": CHAT | {"num_sources_used": 4}},
        Usage(100, 50, paid_tool_calls=4),
    ),
    # OpenAI's tools
    "web_search_preview": (
        {"model": "gpt-4o", "tools": [{"type": "web_search_preview"}],
         "output": [{"type": "web_search_call"}, {"type": "web_search_call"}],
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5, preview_searches=2),
    ),
    "code containers": (
        {"model": "gpt-5", "tools": [{"type": "code_interpreter",
                                      "container": {"type": "auto", "memory_limit": "4g"}}],
         "output": [{"type": "code_interpreter_call", "container_id": "c1"},
                    {"type": "code_interpreter_call", "container_id": "c1"},
                    {"type": "code_interpreter_call", "container_id": "c2"}],
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5, code_containers=8),
    ),
    "a container by its id": (
        {"model": "gpt-5", "tools": [{"type": "code_interpreter", "container": "c1"}],
         "output": [{"type": "code_interpreter_call", "container_id": "c1"}],
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5, code_containers=1),
    ),
    "images, by the item alone": (
        {"model": "gpt-5", "output": [{"type": "image_generation_call", "result": "b64"}],
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5, paid_tool_calls=1),
    ),
    "tools that were not used": (
        {"model": "gpt-5", "tools": [{"type": "web_search_preview"}, {"type": "code_interpreter"}],
         "output": [{"type": "message"}], "tool_usage": {"image_gen": {"total_tokens": 0},
                                                         "web_search": {"num_requests": 0}},
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5),
    ),
    "chat search model": (
        {"model": "gpt-4o-mini-search-preview-2025-03-11", "choices": [], "usage": CHAT},
        Usage(100, 50, preview_searches=1),
    ),
    "newer chat search model": (
        {"model": "gpt-5-search-api", "choices": [], "usage": CHAT},
        Usage(100, 50, web_searches=1),
    ),
    # totals alone
    "Jina": ({"model": "jina-embeddings-v3", "data": [], "usage": {"total_tokens": 15}},
             Usage(15)),
    "voyageai's object": ({"embeddings": [[0.1]], "total_tokens": 12}, Usage(12)),
    "voyageai's reranking": ({"results": [], "total_tokens": 26}, Usage(26)),
    "Voyage multimodal": (
        {"data": [], "usage": {"text_tokens": 5, "image_pixels": 2000000, "total_tokens": 3576}},
        Usage(3576, input_image_tokens=3571),
    ),
    "no completion, but a total": (
        {"model": "m", "usage": {"prompt_tokens": 22, "completion_tokens": None,
                                 "total_tokens": 55}},
        Usage(22, 33),
    ),
    # subsets that are billed once
    "LangChain with times": (
        {"input_tokens": 15003, "output_tokens": 550, "total_tokens": 15553,
         "input_token_details": {"cache_read": 12000, "cache_creation": 0,
                                 "ephemeral_5m_input_tokens": 2000,
                                 "ephemeral_1h_input_tokens": 1000}},
        Usage(15003, 550, 12000, 2000, 1000),
    ),
    "LangChain, an integration that counts the cache beside": (
        {"input_tokens": 3, "output_tokens": 5,
         "input_token_details": {"cache_read": 12000, "cache_creation": 0}},
        Usage(12003, 5, 12000),
    ),
    "LangChain with a tier": (
        {"usage_metadata": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
         "input_token_details": {"audio": 0, "flex_cache_read": 60, "flex": 40},
         "output_token_details": {"audio": 0, "flex_reasoning": 20, "flex": 30}}},
        Usage(100, 50, 60, reasoning_tokens=20, service_tier="flex"),
    ),
    "LangChain's message": (
        {"content": "x", "response_metadata": {"model_name": "m", "token_usage": CHAT}},
        Usage(100, 50),
    ),
    "Codex": (
        {"type": "turn.completed", "usage": {"input_tokens": 24763, "cached_input_tokens": 24448,
                                             "output_tokens": 122}},
        Usage(24763, 122, 24448),
    ),
    "Codex with reasoning": (
        {"input_tokens": 900, "cached_input_tokens": 0, "output_tokens": 122,
         "reasoning_output_tokens": 100, "total_tokens": 1022},
        Usage(900, 122, reasoning_tokens=100),
    ),
    "AI SDK 5": (
        {"usage": {"inputTokens": 2006, "outputTokens": 300, "totalTokens": 2306,
                   "reasoningTokens": 128, "cachedInputTokens": 1920}},
        Usage(2006, 300, 1920, reasoning_tokens=128),
    ),
    "AI SDK 6": (
        {"usage": {"inputTokens": 15003, "outputTokens": 550, "totalTokens": 15553,
                   "inputTokenDetails": {"noCacheTokens": 3, "cacheReadTokens": 12000,
                                         "cacheWriteTokens": 3000},
                   "outputTokenDetails": {"textTokens": 550, "reasoningTokens": 0}}},
        Usage(15003, 550, 12000, 3000),
    ),
    "AI SDK 4": ({"usage": {"promptTokens": 9, "completionTokens": 4, "totalTokens": 13}},
                 Usage(9, 4)),
    "AI SDK 5, Anthropic's input": (
        {"usage": {"inputTokens": 3, "outputTokens": 5, "cachedInputTokens": 12000}},
        Usage(12003, 5, 12000),
    ),
    "DashScope": (
        {"output": {"text": "x", "choices": None}, "usage": {"input_tokens": 3019,
         "output_tokens": 104, "total_tokens": 3123,
         "prompt_tokens_details": {"cached_tokens": 2048}}},
        Usage(3019, 104, 2048),
    ),
    "DashScope's OpenAI endpoint": (
        {"model": "m", "usage": {"prompt_tokens": 3019, "completion_tokens": 104,
         "total_tokens": 3123, "prompt_tokens_details": {"cached_tokens": 0,
          "cache_creation_input_tokens": 2048, "cache_type": "ephemeral",
          "cache_creation": {"ephemeral_5m_input_tokens": 2048}}}},
        Usage(3019, 104, 0, 2048),
    ),
    "DashScope, pictures": (
        {"output": {"choices": []}, "usage": {"input_tokens": 1271, "output_tokens": 55,
         "image_tokens": 1247, "input_tokens_details": {"text_tokens": 24, "image_tokens": 1247},
         "output_tokens_details": {"text_tokens": 55}}},
        Usage(1271, 55, input_image_tokens=1247),
    ),
    "Moonshot": ({"model": "m", "usage": CHAT | {"cached_tokens": 30}}, Usage(100, 50, 30)),
    "a gateway of Claude": (
        {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 550,
         "total_tokens": 553, "prompt_tokens_details": {"cached_tokens": 12000,
                                                        "cached_creation_tokens": 3000}}},
        Usage(15003, 550, 12000, 3000),
    ),
    "AI SDK, several steps": (
        {"usage": {"inputTokens": 9, "outputTokens": 1, "cachedInputTokens": 0},
         "totalUsage": {"inputTokens": 30, "outputTokens": 8, "cachedInputTokens": 5}},
        Usage(30, 8, 5),
    ),
    "Codex, a line of a session": (
        {"type": "event_msg", "payload": {"type": "token_count", "info": {
            "total_token_usage": {"input_tokens": 900, "cached_input_tokens": 800,
                                  "output_tokens": 90},
            "last_token_usage": {"input_tokens": 90, "cached_input_tokens": 80,
                                 "output_tokens": 9}}}},
        Usage(90, 9, 80),
    ),
    "latency that costs more": (
        {"usage": {"inputTokens": 5, "outputTokens": 6}, "performanceConfig":
         {"latency": "optimized"}},
        Usage(5, 6, service_tier="optimized"),
    ),
    "Vertex AI's OpenAI endpoint": (
        {"model": "google/gemini-2.5-flash", "usage": CHAT | {"extra_properties": {
            "google": {"traffic_type": "PROVISIONED_THROUGHPUT"}}}},
        Usage(100, 50, service_tier="provisioned_throughput"),
    ),
    "OpenAI endpoint, empty details": (
        {"model": "gemini-2.5-pro", "usage": {"prompt_tokens": 10, "completion_tokens": 4,
         "total_tokens": 30, "completion_tokens_details": {}}},
        Usage(10, 20, reasoning_tokens=16),
    ),
    "a hosted shell": (
        {"model": "gpt-5", "tools": [{"type": "shell", "environment": {
            "type": "container_auto", "memory_limit": "16g"}}],
         "output": [{"type": "shell_call", "environment": {
             "type": "container_reference", "container_id": "c"}}, {"type": "shell_call"}],
         "usage": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5, code_containers=16),
    ),
    # images, with a zero beside
    "images through a gateway": (
        {"data": [{"b64_json": "x"}], "usage": {"prompt_tokens": 0, "completion_tokens": 0,
         "total_tokens": 4210, "input_tokens": 50, "output_tokens": 4160,
         "input_tokens_details": {"text_tokens": 50, "image_tokens": 0}}},
        Usage(50, 4160, output_image_tokens=4160),
    ),
    "images with details through a gateway": (
        {"data": [{"url": "x"}], "usage": {"prompt_tokens": 0, "input_tokens": 60,
         "output_tokens": 1100, "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
         "output_tokens_details": {"text_tokens": 44, "image_tokens": 1056}}},
        Usage(60, 1100, input_image_tokens=50, output_image_tokens=1056),
    ),
    # reasoning outside the completion
    "xAI without a total": (
        {"model": "grok-3-mini", "usage": {"prompt_tokens": 12, "completion_tokens": 2,
         "completion_tokens_details": {"reasoning_tokens": 317}}},
        Usage(12, 319, reasoning_tokens=317),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_read_as_dict_and_as_object(name: str) -> None:
    response, usage = SHAPES[name]
    assert read_response(response).usage == usage
    if name not in ONLY_A_DICT:
        assert read_response(objects(response)).usage == usage


# Names that are no attributes, or forms that are told apart by what they lack.
ONLY_A_DICT = {
    "Titan, last event of a stream",
    "metrics with a cache",
    "boto3's headers",
    "the same, from the usage alone",
}


COUNTS: list[dict[str, Any]] = [
    {"input_tokens": 2095},  # Anthropic
    {"input_tokens": 2095, "context_management": {"original_input_tokens": 3000}},
    {"object": "response.input_tokens", "input_tokens": 11},  # OpenAI, Mistral
    {"totalTokens": 31, "totalBillableCharacters": 96},  # Gemini
    {"totalTokens": 31, "cachedContentTokenCount": 20, "cacheTokensDetails": []},
    {"sdk_http_response": {}, "total_tokens": 31, "cached_content_token_count": None},
    {"tokens_info": [{"token_ids": [1, 2], "role": "user"}]},
    {"inputTokens": 15, "ResponseMetadata": {"HTTPStatusCode": 200}},  # Bedrock
    {"tokens": [1, 2], "token_strings": ["a", "b"], "meta": {}},  # Cohere
    {"token_ids": [{"token_id": 1, "string_token": "a"}]},  # xAI
    {"data": {"total_tokens": 80}},  # Moonshot
    {"total_tokens": 9, "request_model": "gpt-4o", "model_used": "gpt-4o",
     "tokenizer_type": "openai_tokenizer"},
]  # fmt: skip


@pytest.mark.parametrize("answer", COUNTS)
def test_the_answer_of_a_counting_endpoint_is_no_cost(answer: dict[str, Any]) -> None:
    with pytest.raises(UnreadableResponse, match="nothing to record") as refused:
        read_response(answer)
    assert not refused.value.is_answer
    with Ledger(":memory:") as ledger, pytest.raises(UnreadableResponse):
        ledger.charge("alice", answer, model="gpt-4o")


NOUGHT = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
NO_OUTPUT = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
SAID = {"role": "assistant", "content": "Hi"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}
DISBELIEVED: list[dict[str, Any]] = [
    {"choices": [{"message": SAID}], "usage": NOUGHT},
    {"choices": [{"message": SAID}], "usage": NO_OUTPUT},
    {"choices": [{"message": CALLED}], "usage": NO_OUTPUT},
    {"choices": [{"text": "Hi"}], "usage": NO_OUTPUT},
    {"choices": [], "usage": NOUGHT},
    {"choices": [{"message": SAID}], "usage": {"total_tokens": 30}},
    {"type": "message", "content": [{"type": "text", "text": "Hi"}],
     "usage": {"input_tokens": 9, "output_tokens": 0}},
    {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
     "usage": {"input_tokens": 9, "output_tokens": 0}},
    {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}],
     "usageMetadata": {"promptTokenCount": 9}},
    {"output": {"message": {"content": [{"text": "Hi"}]}},
     "usage": {"inputTokens": 9, "outputTokens": 0}},
    {"message": SAID, "done": True, "prompt_eval_count": 9, "eval_count": 0},
    {"inputTextTokenCount": 9, "results": [{"outputText": "Hi"}]},
    {"generation": "Hi", "prompt_token_count": 9, "generation_token_count": 0},
    {"message": {"content": [{"type": "text", "text": "Hi"}]},
     "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 0}}},
    # A call of a tool, thinking or a refusal instead of a text.
    {"choices": [{"message": {"content": None, "function_call": {"name": "f"}}}],
     "usage": NO_OUTPUT},
    {"choices": [{"message": {"content": None, "reasoning_content": "Well"}}], "usage": NO_OUTPUT},
    {"choices": [{"message": {"content": None, "refusal": "No"}}], "usage": NO_OUTPUT},
    {"type": "message", "content": [{"type": "tool_use", "name": "f", "input": {}}],
     "usage": {"input_tokens": 9, "output_tokens": 0}},
    {"output": [{"type": "function_call", "name": "f", "arguments": "{}"}],
     "usage": {"input_tokens": 9, "output_tokens": 0}},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}],
     "usageMetadata": {"promptTokenCount": 9}},
]  # fmt: skip


@pytest.mark.parametrize("answer", DISBELIEVED)
def test_a_usage_that_cannot_be_true_is_unpriced(answer: dict[str, Any]) -> None:
    for same in (answer, objects(answer)):
        with pytest.raises(UnreadableResponse, match="cannot be true"):
            read_response(same)
    entry = charged(answer, model="gpt-4o")
    assert (entry.cost, entry.usage) == (None, {})


BELIEVED = [
    {"object": "list", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8}},
    {"text": "Hi", "usage": {"type": "duration", "seconds": 8}},
    {"choices": [{"message": {"content": ""}}], "usage": NO_OUTPUT},
    {"data": [{"url": "u"}], "usage": NOUGHT},
    {"results": [{"document": {"text": "Hi"}}], "usage": {"total_tokens": 30}},
    {"usage": Usage()},
]


@pytest.mark.parametrize("answer", BELIEVED)
def test_no_output_is_believed_where_there_is_no_answer_in_text(answer: dict[str, Any]) -> None:
    assert read_response(answer).usage is not None


def test_litellms_cost_is_taken_whatever_the_usage_says() -> None:
    answer = DISBELIEVED[1] | {"_hidden_params": {"response_cost": 0.25}}
    assert read_response(answer).cost == Decimal("0.25")


def test_every_reader_names_the_document_it_follows() -> None:
    files = {file.stem: file.read_text() for file in Path(usage.__file__).parent.rglob("*.py")}
    silent = {name for name, text in files.items() if "\n\nFollows " not in text}
    assert silent == {"__init__", "readers", "token_details", "ledger"}  # ledger: its own form

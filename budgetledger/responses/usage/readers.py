"""Which reader a usage is for: each is tried in turn, and returns None for a form not its own.

The order matters. OpenAI's chat form is first, since most calls have it; the ledger's own never has
its ``prompt_tokens``, and Pydantic AI's has names of the ledger's. Those with ``input_tokens``
follow by what tells them apart: LangChain, Codex and DashScope by a field that OpenAI lacks,
OpenAI's Responses by their details, Anthropic by having none. Llama's body on Bedrock is before
Gemini's, which shares a field with it, and Vercel's before Bedrock's. Last are the forms that any
answer might have: seconds, billed units, a total alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from budgetledger.responses.fields.by_name import Fields
from budgetledger.responses.usage.anthropic import read_anthropic_usage
from budgetledger.responses.usage.bedrock import read_bedrock_usage
from budgetledger.responses.usage.bedrock_invoke import read_invoke_usage
from budgetledger.responses.usage.cohere import read_cohere_usage
from budgetledger.responses.usage.dashscope import read_dashscope_usage
from budgetledger.responses.usage.embedding import read_embedding_usage
from budgetledger.responses.usage.gemini import read_gemini_usage, with_traffic_type
from budgetledger.responses.usage.gemini_interactions import read_interactions_usage
from budgetledger.responses.usage.image import read_image_usage
from budgetledger.responses.usage.llama_cpp import read_llama_cpp_usage
from budgetledger.responses.usage.mistral import with_sound_and_connectors
from budgetledger.responses.usage.ollama import read_ollama_usage
from budgetledger.responses.usage.openai import read_chat_usage, read_responses_usage
from budgetledger.responses.usage.paid_tools import with_paid_tools
from budgetledger.responses.usage.perplexity import with_research
from budgetledger.responses.usage.programs.agents import with_cached_prompt
from budgetledger.responses.usage.programs.claude_code import read_claude_code_usage
from budgetledger.responses.usage.programs.codex import read_codex_usage
from budgetledger.responses.usage.programs.langchain import read_langchain_usage
from budgetledger.responses.usage.programs.ledger import read_ledger_usage
from budgetledger.responses.usage.programs.pydantic_ai import read_pydantic_ai_usage
from budgetledger.responses.usage.programs.vercel import read_vercel_usage
from budgetledger.responses.usage.transcription import read_transcription_usage
from budgetledger.responses.usage.vertex import read_vertex_usage
from budgetledger.responses.usage.xai import with_server_tools
from budgetledger.usage import Usage, fitting, has_counts

_Reader: TypeAlias = Callable[[Fields, Fields], Usage | None]

_OTHERS: tuple[_Reader, ...] = (
    read_pydantic_ai_usage,
    read_ledger_usage,
    read_claude_code_usage,
    read_langchain_usage,
    read_codex_usage,
    read_dashscope_usage,
    read_responses_usage,
    read_anthropic_usage,
    read_invoke_usage,
    read_gemini_usage,
    read_interactions_usage,
    read_vercel_usage,
    read_bedrock_usage,
    read_transcription_usage,
    read_cohere_usage,
    read_ollama_usage,
    read_llama_cpp_usage,
    read_vertex_usage,
    read_embedding_usage,
)

# What OpenAI, Anthropic and LiteLLM send. A usage with other fields is read for those of others.
_PLAIN = frozenset({
    *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
    *("prompt_tokens_details", "completion_tokens_details"),
    *("input_tokens_details", "output_tokens_details"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"),
    *("_cache_read_input_tokens", "_cache_creation_input_tokens"),
    *("server_tool_use", "service_tier", "speed", "inference_geo", "iterations"),
})  # fmt: skip


def read_usage(response: Fields, usage: Fields, batch: bool) -> Usage | None:
    """Bring the *usage* a *response* came with to the normal form; None if it has no counts.

    For a usage that came alone, both are the same. *batch*: it is the result of a batch.

    *Raises* ``UnreadableResponse`` when a count is not one, or contradicts another.
    """
    used = read_chat_usage(response, usage)
    if used is None:
        used = next(filter(None, (reader(response, usage) for reader in _OTHERS)), None)
    if used is not None and not (isinstance(usage, dict) and _PLAIN.issuperset(usage)):
        used = with_sound_and_connectors(usage, used)
        used = with_research(response, usage, used)
        used = with_server_tools(response, usage, used)
        used = with_traffic_type(usage, used)
        used = with_cached_prompt(usage, used)
    if used is not None:
        used = with_paid_tools(response, usage, used)
    if used is None or not (used.input_tokens or used.output_tokens or has_counts(used)):
        used = read_image_usage(response) or used
    if used is None:
        return None
    if batch and not (used.service_tier or "").startswith("batch"):
        used = used._replace(service_tier="batch")
    return fitting(used)

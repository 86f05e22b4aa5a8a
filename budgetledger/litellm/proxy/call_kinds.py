"""What each kind of call means for a budget. Pure.

LiteLLM names a kind after its function, such as ``acompletion``. A kind is *estimated* (the
arguments bound the cost), *measured* (only LiteLLM's success event states the cost; the hold is
the smallest amount), *free* (it reads, deletes, counts or stores), or *refused* (it spends money
and LiteLLM reports no cost to its caller). An unlisted kind is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from budgetledger.apis.call_arguments import Kind

Unit: TypeAlias = Literal["speech", "rerank", "video"]
"""Billed by a unit other than tokens; see `unit_costs`."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ESTIMATED: dict[str, Kind | Unit] = {
    "completion": "chat",
    "text_completion": "text",
    "embedding": "embedding",
    "embeddings": "embedding",
    "moderation": "embedding",
    "responses": "responses",
    "compact_responses": "responses",
    "anthropic_messages": "messages",
    "image_generation": "image",
    "image_edit": "image",
    "generate_content": "generate",
    "generate_content_stream": "generate",
    "create_interaction": "interaction",
    "speech": "speech",
    "rerank": "rerank",
    "video_generation": "video",
    "create_video": "video",
}

# Billed by seconds of sound, pages, queries or sessions, which the arguments do not state.
# `send_message` is a message to an agent.
MEASURED = _names(
    """
    transcription ocr search decisions systemone vector_store_search call_mcp_tool send_message
    video_remix video_edit video_extension video_create_character realtime
    create_response_reply pass_through_endpoint llm_passthrough_route
    """
)

PASS_THROUGH = frozenset({"pass_through_endpoint", "llm_passthrough_route"})

STATED = frozenset({"call_mcp_tool"})
"""Kinds whose cost is what the Proxy's configuration states, else 0."""

FREE = _names(
    """
    get_responses delete_responses cancel_responses list_input_items get_interaction
    delete_interaction cancel_interaction create_agent list_agents get_agent delete_agent
    list_agent_versions video_list video_status video_content video_get_character video_delete
    video_retrieve video_retrieve_job create_file file_retrieve file_content file_list
    file_delete retrieve_batch list_batches cancel_batch retrieve_fine_tuning_job
    list_fine_tuning_jobs cancel_fine_tuning_job vector_store_retrieve vector_store_list
    vector_store_update vector_store_delete vector_store_file_list vector_store_file_retrieve
    vector_store_file_content vector_store_file_update vector_store_file_delete list_containers
    retrieve_container delete_container upload_container_file list_container_files
    retrieve_container_file retrieve_container_file_content delete_container_file delete_sandbox
    create_eval list_evals get_eval update_eval delete_eval cancel_eval list_runs get_run
    delete_run cancel_run create_skill list_skills get_skill delete_skill list_mcp_tools
    apply_guardrail
    get_assistants create_assistants delete_assistant create_thread get_thread add_message
    get_messages
    """
)

_NO_COST = "LiteLLM reports no cost of it"
_DIRECT = "the client then calls the provider without the Proxy"
REFUSED: dict[str, str] = {
    "create_batch": "LiteLLM reports its cost only to a later reader of the finished batch",
    "create_fine_tuning_job": _NO_COST,
    "create_run": _NO_COST,  # of an eval: the provider calls the models
    "run_thread": _NO_COST,
    "run_thread_stream": _NO_COST,
    "create_container": _NO_COST,
    "create_sandbox": _NO_COST,
    "run_code": _NO_COST,
    "code_interpreter_tool": _NO_COST,
    "vector_store_create": _NO_COST,  # storage is billed by the day
    "vector_store_file_create": _NO_COST,
    "ingest": _NO_COST,
    "query": "it makes several calls, and LiteLLM reports the cost of one",
    "responses_websocket": "one connection may have any number of answers; POST /v1/responses "
    "is held for",
    "create_realtime_client_secret": _DIRECT,
    "create_realtime_transcription_session": _DIRECT,
    "realtime_calls": _DIRECT,
}

_KNOWN = MEASURED | FREE | ESTIMATED.keys() | REFUSED.keys()


def plain_kind(call_type: str) -> str:
    """*call_type* as the tables list it, without the ``a`` or ``_`` of LiteLLM's functions."""
    name = call_type.lstrip("_")
    for marked in "a", "a_":
        plain = name.removeprefix(marked)
        if name not in _KNOWN and plain in _KNOWN:
            return plain
    return name


def unlisted(call_types: Iterable[str]) -> list[str]:
    """The kinds of *call_types* that are in no table."""
    return sorted({plain_kind(each) for each in call_types} - _KNOWN)

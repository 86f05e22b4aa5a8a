"""What OpenAI's own tools did for a call, beside its tokens.

Follows OpenAI's API reference, "The response object" (output, tools, tool_usage), and the page
"Pricing", section "Built-in tools" (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from budgetledger.responses.fields.by_name import Fields, count, fields_at, get, items

_GIGABYTES = re.compile(r"(\d{1,3})g")


class ToolUses(NamedTuple):
    """Counts by the names that `Usage` has for them."""

    web_searches: int = 0
    preview_searches: int = 0
    file_searches: int = 0
    code_containers: int = 0
    paid_tool_calls: int = 0


NO_TOOLS = ToolUses()
_ONE_SEARCH = ToolUses(web_searches=1)
_ONE_PREVIEW_SEARCH = ToolUses(preview_searches=1)


def tools_of_search_model(model: str) -> ToolUses:
    """The search that each chat completion of a search model makes; it is stated nowhere else."""
    if "-search-preview" in model:
        return _ONE_PREVIEW_SEARCH
    return _ONE_SEARCH if "-search-api" in model else NO_TOOLS


def tools_of_output(response: Fields) -> ToolUses:
    """What the output items of the Responses API and its ``tool_usage`` state."""
    searches = file_searches = images = 0
    containers: set[str] = set()
    for item in items(response.get("output")):
        kind = item.get("type")
        if kind == "web_search_call":
            # Opening a page and finding text in it are not billed as searches.
            searches += get(item.get("action"), "type") in (None, "search")
        elif kind == "file_search_call":
            file_searches += 1
        elif kind == "code_interpreter_call":
            containers.add(str(item.get("container_id")))
        elif kind == "shell_call":  # in a container, or on the caller's machine
            container = get(item.get("environment"), "container_id")
            containers.update(() if container is None else (str(container),))
        elif kind == "image_generation_call":
            images += 1
    tool_usage = fields_at(response, "tool_usage", "web_search")
    if tool_usage.get("num_requests") is not None:
        searches = count(tool_usage, "num_requests")
    # Images are tokens of another model: no rate of this one applies to them.
    if count(fields_at(response, "tool_usage", "image_gen"), "total_tokens"):
        images = max(images, 1)
    if not (searches or file_searches or images or containers):
        return NO_TOOLS
    is_preview, gigabytes = _of_tools(items(response.get("tools")))
    return ToolUses(
        0 if is_preview else searches,
        searches if is_preview else 0,
        file_searches,
        len(containers) * gigabytes,
        images,
    )


def _of_tools(tools: Iterable[Fields]) -> tuple[bool, int]:
    """Whether searches are those of ``web_search_preview``, and the size of a code container."""
    is_preview, gigabytes = False, 1
    for tool in tools:
        kind = tool.get("type")
        if isinstance(kind, str) and str.startswith(kind, "web_search_preview"):
            is_preview = True
        elif kind in ("code_interpreter", "shell"):
            limit = get(tool.get("container") or tool.get("environment"), "memory_limit")
            size = _GIGABYTES.fullmatch(limit) if isinstance(limit, str) else None
            gigabytes = max(gigabytes, int(size[1]) if size else 1)
    return is_preview, gigabytes

"""What OpenAI's own tools did for a call, beside its tokens.

Follows OpenAI's API reference, "The response object" (output, tools, tool_usage), the page
"Pricing", section "Built-in tools", and the guide "Image generation": a response costs the tokens
of its model and, in addition, those of the image model that the tool used (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import (
    NONE,
    Fields,
    count,
    fields,
    fields_at,
    get,
    items,
    text,
)
from budgetledger.usage import ImageGeneration, Usage, checked

_IMAGE_TOOL = "image_generation"
_GIGABYTES = re.compile(r"(\d{1,3})g")


class ToolUses(NamedTuple):
    """Counts by the names that `Usage` has for them."""

    web_searches: int = 0
    preview_searches: int = 0
    file_searches: int = 0
    code_containers: int = 0
    paid_tool_calls: int = 0
    image_generation: ImageGeneration | None = None


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
    searches = file_searches = 0
    containers: set[str] = set()
    image_calls: list[Fields] = []
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
            image_calls.append(item)
    tool_usage = fields_at(response, "tool_usage", "web_search")
    if tool_usage.get("num_requests") is not None:
        searches = count(tool_usage, "num_requests")
    image_gen = fields_at(response, "tool_usage", "image_gen")
    tokens = count(image_gen, "output_tokens") or count(image_gen, "total_tokens")
    images = len(image_calls) or min(tokens, 1)
    if not (searches or file_searches or images or containers):
        return NO_TOOLS
    made = _images(response, image_gen, image_calls) if images else None
    is_preview, gigabytes = _of_tools(items(response.get("tools")))
    return ToolUses(
        0 if is_preview else searches,
        searches if is_preview else 0,
        file_searches,
        len(containers) * gigabytes,
        0 if made else images,
        made,
    )


def _images(response: Fields, image_gen: Fields, calls: Iterable[Fields]) -> ImageGeneration | None:
    """The tokens of the model that made the images; None if they or the model are not known.

    A cached count that is missing is unknown: such input costs at most the full rate. An image of
    the type SVG is drawn by a further model, in tokens whose price no page states.
    """
    tools = (tool for tool in items(response.get("tools")) if tool.get("type") == _IMAGE_TOOL)
    models = {text(tool.get("model")) for tool in tools}
    model = models.pop() if len(models) == 1 else None  # the default one changes over time
    output = count(image_gen, "output_tokens")
    if model is None or not output or any(call.get("svg_usage") is not None for call in calls):
        return None
    cached = fields_at(image_gen, "cached_tokens_details")
    output_details = image_gen.get("output_tokens_details")
    usage = Usage(
        count(image_gen, "input_tokens"),
        output,
        cache_read_tokens=count(image_gen, "cached_tokens") if cached is not NONE else 0,
        input_image_tokens=count(fields_at(image_gen, "input_tokens_details"), "image_tokens"),
        output_image_tokens=(
            output if output_details is None else count(fields(output_details), "image_tokens")
        ),
        cache_read_image_tokens=count(cached, "cached_image_tokens"),
    )
    try:
        return ImageGeneration(model, checked(usage))
    except UnreadableResponse:  # parts above their totals
        return None


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

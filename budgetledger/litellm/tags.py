"""The tags of a litellm call: what its caller passed to identify it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ARGUMENTS = ("user", "litellm_call_id", "litellm_trace_id", "litellm_session_id")
_IDS = (
    "trace_id",
    "session_id",
)  # in the metadata: the arguments litellm_…, by shorter names
_LONGEST = 256  # characters: longer values may be prompts, which are not stored
_MOST = 32


def call_tags(call: Mapping[str, Any], metadata: object, *, keeps_metadata: bool) -> dict[str, Any]:
    """Tags found in the arguments of a litellm *call* and in its *metadata*, by litellm's names.

    ``user``, ``litellm_call_id``, ``litellm_trace_id``, ``litellm_session_id``, and as ``tags``
    the request tags of both places. With *keeps_metadata*, also every other short text, number
    and boolean in the metadata: for a program that calls litellm and wrote the metadata itself.
    In the Proxy, metadata has LiteLLM's notes on the request together with whatever the client
    sent, so only the ids in it are kept.
    """
    metadata = metadata if isinstance(metadata, Mapping) else {}
    if keeps_metadata:
        kept = {
            name: value
            for name, value in metadata.items()
            # Metadata that came through the Proxy has its notes on the caller; they are no tags.
            if isinstance(name, str) and not name.startswith("user_api_key")
        }
    else:
        kept = {f"litellm_{name}": metadata.get(name) for name in _IDS}
    tags = dict(list(short(kept).items())[:_MOST])
    tags |= short({name: call.get(name) for name in _ARGUMENTS})
    requested = [tag for place in (metadata, call) for tag in _texts(place.get("tags"))]
    if requested:
        tags["tags"] = list(dict.fromkeys(requested))[:_MOST]
    return tags


def short(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of *values* that are short texts, finite numbers or booleans."""
    return {name: value for name, value in values.items() if _is_short(value)}


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST
    if isinstance(value, float):
        return value - value == 0  # JSON has no infinity
    return isinstance(value, (bool, int))


def _texts(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        return []
    return [text for text in value if isinstance(text, str) and _is_short(text)]

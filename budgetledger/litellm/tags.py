"""The tags of a litellm call: what its caller passed to tell calls apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = ("user", "litellm_call_id", "litellm_trace_id", "litellm_session_id")
_LONGEST = 256  # characters: what is longer is text, and prompts are not stored
_MOST = 32


def call_tags(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Tags found in the arguments of a litellm call, under litellm's names for them.

    ``user``, ``litellm_call_id``, ``litellm_trace_id``, ``litellm_session_id`` and ``tags`` (the
    request tags, of the argument and of the metadata), and whatever else the metadata has that
    is a short text, a number or a truth value.
    """
    metadata = kwargs.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    found = {
        name: value
        for name, value in metadata.items()
        # The Proxy's own notes on the caller are not tags.
        if isinstance(name, str) and not name.startswith("user_api_key") and _is_short(value)
    }
    found = dict(list(found.items())[:_MOST])
    found |= {name: kwargs[name] for name in _NAMES if _is_short(kwargs.get(name))}
    tags = [tag for place in (metadata, kwargs) for tag in _texts(place.get("tags"))]
    if tags:
        found["tags"] = list(dict.fromkeys(tags))[:_MOST]
    return found


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

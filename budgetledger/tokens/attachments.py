"""Images, sound and documents inside a message, in the form of any API, and their tokens.

Images are counted in ``image_tokens``. The tokens of sound and documents are a rough upper bound:
only their size in bytes is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Media(NamedTuple):
    """``kind``: ``image``, ``audio`` or ``document``. ``data``: a URL, base64 text or bytes."""

    kind: str
    data: str | bytes | None
    media_type: str = ""
    detail: str = ""


# Sound has at most so many tokens a second (Gemini; OpenAI 10), and at least so many bytes a
# second, uncompressed or compressed.
_TOKENS_A_SECOND, _PLAIN_RATE, _PACKED_RATE = 32, 16_000, 2_000
_UNKNOWN_SECONDS = 600
# A page counts as its text and an image of it (Anthropic: 1,500 to 3,000, and up to 1,568).
_PAGE_TOKENS, _PAGE_BYTES, _UNKNOWN_PAGES = 4_600, 20_000, 10


def media_of(part: Mapping[str, Any]) -> Media | None:
    """The image, sound or document in a part of OpenAI's, Anthropic's, Gemini's or Bedrock's."""
    kind = str(part.get("type") or "")
    if "image_url" in part or kind == "input_image":  # OpenAI's, of both its APIs
        link = part.get("image_url")
        detailed = link if isinstance(link, Mapping) else part
        url = link.get("url") if isinstance(link, Mapping) else link
        return Media("image", _data(url), detail=str(detailed.get("detail") or ""))
    for key in ("inline_data", "inlineData", "file_data", "fileData"):  # Gemini's
        blob = part.get(key)
        if isinstance(blob, Mapping):
            return _gemini(part, blob)
    source = part.get("source")
    if isinstance(source, Mapping) and "content" not in source:  # Anthropic's
        kind, media_type = "image" if kind == "image" else "document", source.get("media_type")
        return Media(kind, _data(source.get("data")), str(media_type or ""))
    if isinstance(part.get("input_audio"), Mapping):
        sound = part["input_audio"]
        return Media("audio", _data(sound.get("data")), str(sound.get("format") or ""))
    file = part if kind == "input_file" else part.get("file")
    if isinstance(file, Mapping):
        return Media("document", _data(file.get("file_data")))
    for key in ("image", "document"):  # Bedrock's
        inner = part.get(key)
        if isinstance(inner, Mapping) and isinstance(inner.get("source"), Mapping):
            return Media(key, _data(inner["source"].get("bytes")))
    return Media("image", None) if "image" in kind else None


def _gemini(part: Mapping[str, Any], blob: Mapping[str, Any]) -> Media:
    media_type = str(blob.get("mime_type") or blob.get("mimeType") or "")
    kind = media_type.partition("/")[0]
    level = part.get("media_resolution") or part.get("mediaResolution") or ""
    detail = level.get("level") if isinstance(level, Mapping) else level
    return Media(
        kind if kind in ("image", "audio") else "document",
        _data(blob.get("data")),
        media_type,
        str(detail or "").lower(),
    )


def _data(value: object) -> str | bytes | None:
    return value if isinstance(value, str | bytes) else None


def audio_tokens(media: Media) -> int:
    """The most tokens a sound may have."""
    plain = media.media_type.rpartition("/")[2] in ("wav", "x-wav", "pcm16", "l16")
    size, rate = _size(media.data), _PLAIN_RATE if plain else _PACKED_RATE
    seconds = _UNKNOWN_SECONDS if size is None else size // rate + 1
    return _TOKENS_A_SECOND * seconds


def document_tokens(media: Media) -> int:
    """Tokens of a document, with a page for every ``_PAGE_BYTES``."""
    size = _size(media.data)
    pages = _UNKNOWN_PAGES if size is None else size // _PAGE_BYTES + 1
    return _PAGE_TOKENS * pages


def _size(data: str | bytes | None) -> int | None:
    """The size in bytes; None for a link."""
    if data is None or (isinstance(data, str) and "://" in data[:16]):
        return None
    return len(data) if isinstance(data, bytes) else len(data) * 3 // 4

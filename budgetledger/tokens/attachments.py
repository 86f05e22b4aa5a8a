"""Images, sound, video and documents inside a message, in the form of any API, and their tokens.

Images are counted in ``image_tokens``, and files of text as text. Of the others the length is
read where it is stated, as in a WAV and most PDFs; else they are as long as their bytes allow.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple


class Media(NamedTuple):
    """``kind``: ``image``, ``audio``, ``video`` or ``document``.

    ``data``: a URL, base64 text or bytes; None if it is only named.
    """

    kind: str
    data: str | bytes | None
    media_type: str = ""
    detail: str = ""


# Sound has at most so many tokens a second (Gemini; OpenAI 10), and at least so many bytes a
# second, uncompressed or compressed.
_TOKENS_A_SECOND, _PLAIN_RATE, _PACKED_RATE = 32, 16_000, 2_000
_UNKNOWN_SECONDS = 600
# Video: 258 tokens a frame, one a second, and 32 of sound (Gemini), of at least 100 kbit/s. If it
# is only linked, an hour, the longest that a context of a million tokens holds.
_VIDEO_TOKENS_A_SECOND, _VIDEO_RATE, _UNKNOWN_VIDEO_SECONDS = 290, 12_500, 3_600
# A page counts as its text and an image of it (Anthropic: 1,500 to 3,000, and up to 1,568).
PAGE_TOKENS, _PAGE_BYTES, _UNKNOWN_PAGES = 4_600, 20_000, 10
_PAGE = re.compile(rb"/Type\s*/Page(?!\w)")
_PAGES = re.compile(
    rb"/Type\s*/Pages(?!\w)[^>]{0,20000}?/Count\s+(\d{1,5})(?!\d)"
    rb"|/Count\s+(\d{1,5})(?!\d)[^>]{0,20000}?/Type\s*/Pages(?!\w)"
)
_TEXT = re.compile(r"text/|.*[/+](json|xml|yaml|csv|javascript|toml)$|(txt|csv|html|md|json)$")
_DATA_URL = re.compile(r"data:([^;,]{0,200})[^,]{0,200},")


def media_of(part: Mapping[str, Any]) -> Media | None:
    """The attachment in a part of OpenAI's, Anthropic's, Gemini's, Mistral's or Bedrock's."""
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
        data = _data(source.get("data"))
        if source.get("type") == "text" and isinstance(data, str):  # which is not base64
            data = data.encode("utf-8", "surrogatepass")
        kind, media_type = "image" if kind == "image" else "document", source.get("media_type")
        return Media(kind, data, str(media_type or ""))
    for key in ("input_audio", "audio_url", "video_url", "document_url"):  # Mistral's are texts
        if key in part:
            return _linked(key, part[key])
    file = part if kind == "input_file" else part.get("file")
    if isinstance(file, Mapping):
        return _by_type(_data(file.get("file_data")), str(file.get("format") or ""))
    for key in ("image", "document", "video", "audio"):  # Bedrock's
        inner = part.get(key)
        if isinstance(inner, Mapping) and isinstance(inner.get("source"), Mapping):
            return Media(key, _data(inner["source"].get("bytes")), str(inner.get("format") or ""))
    if "image" in kind or kind == "computer_screenshot":
        return Media("image", None)
    return Media("document", None) if kind == "file" and "file_id" in part else None


def _linked(key: str, value: object) -> Media:
    kind = next(kind for kind in ("audio", "video", "document") if kind in key)
    if not isinstance(value, Mapping):
        return Media(kind, _data(value))
    return Media(kind, _data(value.get("data") or value.get("url")), str(value.get("format") or ""))


def _by_type(data: str | bytes | None, media_type: str) -> Media:
    """A file, whose kind is in its media type."""
    named = _DATA_URL.match(data[:500]) if isinstance(data, str) else None
    media_type = media_type or (named[1] if named else "")
    kind = media_type.partition("/")[0]
    return Media(kind if kind in ("image", "audio", "video") else "document", data, media_type)


def _gemini(part: Mapping[str, Any], blob: Mapping[str, Any]) -> Media:
    media_type = str(blob.get("mime_type") or blob.get("mimeType") or "")
    kind = media_type.partition("/")[0]
    level = part.get("media_resolution") or part.get("mediaResolution") or ""
    detail = level.get("level") if isinstance(level, Mapping) else level
    return Media(
        kind if kind in ("image", "audio", "video") else "document",
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
    head = _bytes(media.data, 48)
    if head[:4] == b"RIFF" and head[12:16] == b"fmt " and len(head) >= 32:
        rate = int.from_bytes(head[28:32], "little") or rate  # a WAV states its bytes a second
    seconds = _UNKNOWN_SECONDS if size is None else size // rate + 1
    return _TOKENS_A_SECOND * seconds


def video_tokens(media: Media) -> int:
    """The most tokens a video may have."""
    size = _size(media.data)
    seconds = _UNKNOWN_VIDEO_SECONDS if size is None else size // _VIDEO_RATE + 1
    return _VIDEO_TOKENS_A_SECOND * seconds


def document_tokens(media: Media, page_tokens: int) -> int:
    """Tokens of a document, by the pages it states, else with one for ``_PAGE_BYTES``."""
    size = _size(media.data)
    pages = _UNKNOWN_PAGES if size is None else _pages(media.data) or size // _PAGE_BYTES + 1
    return page_tokens * pages


def text_of(media: Media) -> str | None:
    """The text of a file of text; None for any other, and for one that is only linked."""
    named = _DATA_URL.match(media.data[:500]) if isinstance(media.data, str) else None
    media_type = (media.media_type or (named[1] if named else "")).lower()
    if _TEXT.match(media_type) is None or _size(media.data) is None:
        return None
    raw = _bytes(media.data)
    return None if media.data and not raw else raw.decode("utf-8", "replace")


def _pages(data: str | bytes | None) -> int:
    """The pages that a PDF states; 0 if it is none, or packs that part."""
    if _bytes(data, 8)[:4] != b"%PDF":
        return 0
    raw = _bytes(data)
    stated = (int(one or other) for one, other in _PAGES.findall(raw))
    return max(len(_PAGE.findall(raw)), *stated, 0)


def _bytes(data: str | bytes | None, most: int | None = None) -> bytes:
    """The first *most* bytes, or all; none of what is not base64."""
    if not isinstance(data, str):
        return (data or b"")[:most]
    named = _DATA_URL.match(data[:500])
    start = named.end() if named else 0
    text = data[start:] if most is None else data[start : start + most // 3 * 4]
    try:
        return b64decode(text.translate(_URL_SAFE), validate=True)
    except ValueError:
        return b""


_URL_SAFE = str.maketrans("-_", "+/", "\r\n ")


def _size(data: str | bytes | None) -> int | None:
    """The size in bytes; None for a link."""
    if data is None or (isinstance(data, str) and "://" in data[:16]):
        return None
    return len(data) if isinstance(data, bytes) else len(data) * 3 // 4

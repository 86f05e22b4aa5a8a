"""How large an image is, from the header of a PNG, JPEG, GIF or WebP.

Nothing is fetched and nothing is unpacked.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels, each above 0."""

_HEAD = 32  # bytes in which the size is, except in a JPEG
_JPEG_HEAD = 1 << 20  # there it comes after colour profiles and previews
_MOST_SEGMENTS = 512
_LINE = 32  # at most one in so many characters of base64 is a line end
_LONGEST_MEDIA_TYPE = 1000


def image_size(data: str | bytes | None) -> Size | None:
    """The size in the header of a ``data:`` URL, base64 text or bytes; None if there is none.

    Reads the first megabyte at most, and never raises, whatever the data.
    """
    if isinstance(data, str):
        start = 0
        if data[:5].lower() == "data:":
            start = data.find(",", 0, _LONGEST_MEDIA_TYPE) + 1
        raw = _decoded(data, start, _HEAD)
        if raw.startswith(b"\xff\xd8"):
            raw = _decoded(data, start, _JPEG_HEAD)
    elif isinstance(data, bytes | bytearray):
        raw = bytes(data[:_JPEG_HEAD])
    else:
        return None
    size = _size(raw)
    return size if size and min(size) > 0 else None


def _decoded(data: str, start: int, count: int) -> bytes:
    """About the first *count* bytes of the base64 text at *start*; b"" if it is not base64."""
    length = -(-count // 3) * 4
    length += length // _LINE + 2
    text = "".join(data[start : start + length].replace("-", "+").replace("_", "/").split())
    try:
        return a2b_base64(text[: len(text) // 4 * 4])
    except ValueError:
        return b""


def _size(raw: bytes) -> Size | None:
    if raw.startswith(b"\x89PNG\r\n\x1a\n") and len(raw) >= 24:
        return int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])
    if raw.startswith((b"GIF87a", b"GIF89a")) and len(raw) >= 10:
        return int.from_bytes(raw[6:8], "little"), int.from_bytes(raw[8:10], "little")
    if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP" and len(raw) >= 30:
        return _webp_size(raw)
    if raw.startswith(b"\xff\xd8"):
        return _jpeg_size(raw)
    return None


def _webp_size(raw: bytes) -> Size | None:
    kind = raw[12:16]
    if kind == b"VP8X":
        return int.from_bytes(raw[24:27], "little") + 1, int.from_bytes(raw[27:30], "little") + 1
    if kind == b"VP8L":
        packed = int.from_bytes(raw[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = raw[26:28], raw[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return None


def _jpeg_size(raw: bytes) -> Size | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if raw[at : at + 2] == b"\xff\xff":  # a fill byte
            at += 1
            continue
        if len(raw) < at + 9 or raw[at] != 0xFF:
            return None
        marker = raw[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(raw[at + 7 : at + 9]), int.from_bytes(raw[at + 5 : at + 7])
        at += 2 + int.from_bytes(raw[at + 2 : at + 4])
    return None

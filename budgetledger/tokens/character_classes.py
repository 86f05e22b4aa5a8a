"""How many characters of each class a text has: letters by script, digits, blanks, emoji and so on.

Counted on bytes, at about a tenth of what it takes to encode the text: a character up to U+00FF is
one byte in Latin-1, and the high byte of a UTF-16 unit is its Unicode block of 256 characters.
"""

from __future__ import annotations

from collections.abc import Iterator

_PIECE = 1_000_000  # characters at once, so that memory does not grow with the text

_BYTES: tuple[bytes, ...] = (
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    b" ",
    bytes([*range(32), 127]),
    bytes(range(128, 256)),
)
_BLOCKS: tuple[bytes, ...] = (
    b"\x01\x02\x1e",  # Latin beyond Latin-1
    b"\x03\x1f",  # Greek, combining marks
    b"\x04",  # Cyrillic
    b"\x05",  # Armenian, Hebrew
    b"\x06\x07\x08",  # Arabic, Syriac
    b"\x09",  # Devanagari, Bengali
    b"\x0a\x0b\x0c\x0d",  # Gujarati, Tamil, Telugu, Kannada and others of India, Sinhala
    b"\x0e",  # Thai, Lao
    bytes(range(0x0F, 0x1E)),  # Tibetan, Burmese, Georgian, Ethiopic, Khmer
    bytes(range(0x20, 0x30)),  # punctuation, arrows, mathematics, box drawing
    b"\x30\x31",  # Japanese kana
    bytes(range(0x32, 0xA0)),  # Chinese characters
    bytes(range(0xAC, 0xD8)),  # Korean
    bytes(range(0xD8, 0xDC)),  # beyond U+FFFF, once each: emoji, rare scripts
    bytes([*range(0xA0, 0xAC), *range(0xE0, 0x100)]),  # all others
)
CLASSES = len(_BYTES) + len(_BLOCKS) + 1
"""How many classes there are. In order: lower case, upper case, digits, spaces and control
characters of ASCII, its punctuation, the rest of Latin-1, then the blocks above."""

_NONE_BEYOND = (0,) * len(_BLOCKS)


def class_counts(text: str) -> tuple[int, ...]:
    """The characters of *text* in each of ``CLASSES`` classes."""
    if len(text) <= _PIECE:
        return _counted(text)
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return tuple(map(sum, zip(*map(_counted, pieces), strict=True)))


def _counted(text: str) -> tuple[int, ...]:
    narrow = text.encode("latin-1", "ignore")
    lower, upper, digits, spaces, controls, others = _of(narrow, _BYTES)
    punctuation = len(narrow) - lower - upper - digits - spaces - controls - others
    counts = (lower, upper, digits, spaces, controls, punctuation, others)
    if len(narrow) == len(text):
        return counts + _NONE_BEYOND
    blocks = text.encode("utf-16-le", "surrogatepass")[1::2]
    return (*counts, *_of(blocks, _BLOCKS))


def _of(units: bytes, classes: tuple[bytes, ...]) -> Iterator[int]:
    size = len(units)
    return (size - len(units.translate(None, members)) for members in classes)

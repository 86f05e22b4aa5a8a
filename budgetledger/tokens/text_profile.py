"""What another vendor's vocabulary depends on in a text: how rare its tokens are, and its letters.

o200k numbers its tokens by how often they occur, so a token's number says how likely another
vocabulary has it too. Characters are counted by class: letters by script, digits, emoji and so on.

Both are counted on bytes, at about a fifth of what it takes to encode the text: a character up to
U+00FF is one byte in Latin-1, and the high byte of a UTF-16 unit is its block of 256 characters.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import zip_longest

_KEPT = 100_000  # characters or tokens that wait to be counted together

_LOWER, _UPPER = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS, _CONTROLS, _REST = b"0123456789", bytes([*range(32), 127]), bytes(range(128, 256))
_BLOCKS: tuple[bytes, ...] = (
    b"\x01\x02\x1e",  # Latin beyond Latin-1
    b"\x03\x1f",  # Greek, combining marks
    b"\x04",  # Cyrillic
    b"\x05",  # Armenian, Hebrew
    b"\x06\x07\x08",  # Arabic, Syriac
    b"\x09",  # Devanagari, Bengali
    b"\x0a",  # Gurmukhi, Gujarati
    b"\x0b",  # Oriya, Tamil
    b"\x0c",  # Telugu, Kannada
    b"\x0d",  # Malayalam, Sinhala
    b"\x0e",  # Thai, Lao
    b"\x10",  # Burmese, Georgian
    b"\x0f" + bytes(range(0x11, 0x1E)),  # Tibetan, Ethiopic, Cherokee, Khmer, Mongolian
    bytes(range(0x20, 0x30)),  # punctuation, arrows, mathematics, box drawing
    b"\x30\x31",  # Japanese kana
    bytes(range(0x32, 0xA0)),  # Chinese characters
    bytes(range(0xAC, 0xD8)),  # Korean
    bytes(range(0xD8, 0xDC)),  # beyond U+FFFF, once each: emoji, rare scripts
    bytes([*range(0xA0, 0xAC), *range(0xE0, 0x100)]),  # all others
)
_COMMON, _KNOWN = 16_384, 65_536  # tokens with smaller numbers
_NOT_COMMON = bytes(range(_COMMON >> 8, 256))
_FEW = 200  # tokens; sorting more of them takes longer than cutting their bytes


def profile_of(text: str, ids: Sequence[int]) -> tuple[int, ...]:
    """The counts of a *text* and of the numbers of its tokens in o200k.

    In order: tokens below number 16,384, below 65,536, and all others; of ASCII lower case, upper
    case, digits, spaces, control characters and punctuation; the rest of Latin-1; then the blocks
    above, which a text in ASCII leaves out.
    """
    return _by_rank(ids) + _by_class(text)


class Profile:
    """The counts of the texts that were added, of each at most some 100,000 characters."""

    def __init__(self) -> None:
        self._counts: tuple[int, ...] = ()
        self._texts: list[str] = []
        self._ids: list[int] = []
        self._size = 0

    def add(self, text: str, ids: Sequence[int]) -> None:
        """Add a *text* and the numbers of its tokens in o200k."""
        self._texts.append(text)
        self._ids += ids
        self._size += len(text)
        if self._size > _KEPT:
            self.counts()

    def counts(self) -> tuple[int, ...]:
        """The counts of all texts: of those added since, together to save time."""
        if self._texts or not self._counts:
            counts = profile_of("".join(self._texts), self._ids)
            if self._counts:
                counts = tuple(map(sum, zip_longest(self._counts, counts, fillvalue=0)))
            self._counts = counts
            self._texts, self._ids, self._size = [], [], 0
        return self._counts


def _by_rank(ids: Sequence[int]) -> tuple[int, ...]:
    if len(ids) < _FEW:
        numbers_up = sorted(ids)
        common, known = bisect_left(numbers_up, _COMMON), bisect_left(numbers_up, _KNOWN)
        return common, known - common, len(ids) - known
    numbers = array("I", ids)
    if sys.byteorder == "big":
        numbers.byteswap()
    raw = numbers.tobytes()
    hundreds = bytearray(len(ids) * 2)  # of each number without its last byte, the last two bytes
    hundreds[::2], hundreds[1::2] = raw[1::4], raw[2::4]
    low = hundreds.decode("utf-16-le").encode("latin-1", "ignore")  # of numbers below 65,536
    common = len(low.translate(None, _NOT_COMMON))
    return common, len(low) - common, len(ids) - len(low)


def _by_class(text: str) -> tuple[int, ...]:
    narrow = text.encode("latin-1", "ignore")
    size = len(narrow)
    lower = size - len(narrow.translate(None, _LOWER))
    upper = size - len(narrow.translate(None, _UPPER))
    digits = size - len(narrow.translate(None, _DIGITS))
    controls = size - len(narrow.translate(None, _CONTROLS))
    spaces = narrow.count(b" ")
    punctuation = size - lower - upper - digits - spaces - controls
    if text.isascii():
        return lower, upper, digits, spaces, controls, punctuation
    others = size - len(narrow.translate(None, _REST))
    punctuation -= others
    blocks = text.encode("utf-16-le", "surrogatepass")[1::2]
    units = len(blocks)
    beyond = [units - len(blocks.translate(None, members)) for members in _BLOCKS]
    return (lower, upper, digits, spaces, controls, punctuation, others, *beyond)

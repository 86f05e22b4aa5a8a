"""What a text that was counted in o200k takes in another vendor's vocabulary.

o200k numbers its tokens by how often they occur, so a token's number says how likely another
vocabulary has it too. That, and the ASCII characters in it, are the same wherever the token
stands, so each token is looked at once. Other characters are counted by class in the text itself,
on bytes: up to U+00FF one is a byte in Latin-1, and the high byte of a UTF-16 unit is its block
of 256 characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import mul

from budgetledger.tokens.encodings import token_bytes
from budgetledger.tokens.vocabulary_weights import Weights

_COMMON, _KNOWN = 16_384, 65_536  # tokens with smaller numbers
_LATIN_1 = bytes(range(128))  # all of it but ASCII is left where these are deleted
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
_HALF = 40  # bits: the percentages to expect are below them, the most above, to add both at once
_EXPECTED = (1 << _HALF) - 1


@cache
def percents_of(weights: Weights) -> Callable[[str, Sequence[int]], int]:
    """A function that returns what a text takes, from the text and its o200k tokens.

    The sum of several results is what ``bounds`` reads.
    """
    packed = tuple(
        expected + (most << _HALF)
        for expected, most in zip(weights.expected, weights.most, strict=True)
    )
    of_token: Callable[[int], int] = _TokenPercents(packed).__getitem__
    beyond_ascii = packed[9:]

    def percents_of_text(text: str, ids: Sequence[int]) -> int:
        percents = sum(map(of_token, ids))
        if not text.isascii():
            percents += sum(map(mul, _classes(text), beyond_ascii))
        return percents

    return percents_of_text


def bounds(percents: int) -> tuple[int, int]:
    """The tokens to expect of texts that take *percents*, and the most.

    The most has one more for where the text begins.
    """
    tokens = ((percents & _EXPECTED) + 99) // 100
    at_most = ((percents >> _HALF) + 99) // 100 + (percents > 0)
    return tokens, at_most if at_most > tokens else tokens


class _TokenPercents(dict[int, int]):
    """The percentages of each token of o200k that has occurred, by its number."""

    def __init__(self, packed: Sequence[int]) -> None:
        self._of_rank = packed[:3]
        lower, upper, digit, space, control, punctuation = packed[3:9]
        self._of_byte = [control] * 32 + [punctuation] * 95 + [control] + [0] * 128
        for characters, of_character in (
            (b"abcdefghijklmnopqrstuvwxyz", lower),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", upper),
            (b"0123456789", digit),
            (b" ", space),
        ):
            for byte in characters:
                self._of_byte[byte] = of_character

    def __missing__(self, token: int) -> int:
        rank = (token >= _COMMON) + (token >= _KNOWN)
        of_bytes = map(self._of_byte.__getitem__, token_bytes("o200k_base", token))
        self[token] = percents = self._of_rank[rank] + sum(of_bytes)
        return percents


def _classes(text: str) -> list[int]:
    """The characters of Latin-1 beyond ASCII, and those of each block."""
    high = text.encode("utf-16-le", "surrogatepass")[1::2]
    units = len(high)
    blocks = [units - len(high.translate(None, members)) for members in _BLOCKS]
    return [len(text.encode("latin-1", "ignore").translate(None, _LATIN_1)), *blocks]

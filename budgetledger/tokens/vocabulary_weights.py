"""What other vendors' vocabularies make of a text that was counted in o200k.

No other vendor's vocabulary is shipped. The tokens of a text are estimated from two counts of it:
its o200k tokens, and its characters by class (``character_classes``), each times a percentage of
the family. They say what o200k does not: o200k joins three digits where Mistral and Gemini take
one by one, and it knows words of scripts that others spell in bytes. ``at_most`` has the least
percentages that reach the vendor's own tokenizer on 99.9 % of 200-character chunks.

Measured in 2026-11 by ``benchmarks/bounds.py`` on English, code, data, emoji and 90 languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Weights(NamedTuple):
    """Percent of a token for an o200k token, and for a character of each class; expected, most."""

    percent: int
    by_class: tuple[int, ...]
    most_percent: int
    most_by_class: tuple[int, ...]

    def expected(self, tokens: int, counts: Sequence[int]) -> int:
        """The tokens to expect of a text of so many o200k *tokens* and characters by class."""
        return -(-(tokens * self.percent + _sum(counts, self.by_class)) // 100)

    def at_most(self, tokens: int, counts: Sequence[int]) -> int:
        """The most tokens the text has, as far as was measured; one more for where it begins."""
        hundredths = tokens * self.most_percent + _sum(counts, self.most_by_class)
        return -(-hundredths // 100) + (tokens > 0)


def _sum(counts: Sequence[int], weights: Sequence[int]) -> int:
    return sum(count * weight for count, weight in zip(counts, weights, strict=True))


# In two lines: lower case, upper case, digits, spaces, controls, punctuation, the rest of Latin-1;
# Latin, Greek, Cyrillic, Armenian and Hebrew, Arabic, Devanagari and Bengali, the rest of India,
# Thai, Tibetan to Khmer, symbols, kana, Chinese, Korean, beyond U+FFFF, all others.
CLAUDE_OLD = Weights(
    124, (
        0, 0, 0, 0, 0, 0, 16,
        7, 26, 6, 26, 32, 37, 57, 32, 17, 0, 0, 6, 32, 16, 0,
    ),
    108, (
        15, 45, 3, 5, 13, 19, 174,
        205, 172, 42, 57, 90, 73, 168, 91, 134, 88, 29, 58, 80, 117, 121,
    ),
)  # fmt: skip
CLAUDE = Weights(
    157, (
        0, 0, 0, 0, 0, 0, 0,
        0, 8, 0, 10, 14, 21, 39, 11, 0, 0, 0, 0, 0, 0, 0,
    ),
    89, (
        36, 90, 30, 6, 23, 50, 73,
        196, 77, 52, 66, 109, 81, 178, 92, 75, 155, 46, 77, 89, 156, 114,
    ),
)  # fmt: skip
GEMINI = Weights(
    115, (
        0, 0, 26, 0, 0, 0, 0,
        0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ),
    102, (
        9, 5, 67, 3, 53, 28, 136,
        89, 7, 30, 38, 29, 37, 37, 27, 57, 197, 222, 29, 55, 10, 2,
    ),
)  # fmt: skip
DEEPSEEK = Weights(
    105, (
        0, 0, 0, 0, 0, 0, 30,
        38, 8, 8, 15, 11, 18, 32, 0, 22, 0, 0, 0, 7, 0, 0,
    ),
    108, (
        11, 8, 0, 1, 25, 3, 90,
        99, 19, 38, 36, 58, 44, 58, 34, 65, 172, 15, 0, 23, 10, 0,
    ),
)  # fmt: skip
LLAMA = Weights(
    99, (
        0, 0, 0, 0, 0, 0, 40,
        26, 2, 12, 92, 13, 28, 136, 9, 109, 0, 0, 0, 3, 61, 0,
    ),
    100, (
        14, 7, 0, 0, 6, 2, 81,
        137, 8, 61, 165, 58, 117, 183, 21, 189, 107, 4, 18, 14, 131, 8,
    ),
)  # fmt: skip
TEKKEN = Weights(
    103, (
        0, 0, 46, 0, 0, 0, 18,
        6, 1, 3, 4, 3, 9, 9, 11, 19, 10, 0, 8, 0, 123, 0,
    ),
    95, (
        13, 23, 69, 1, 45, 27, 51,
        120, 24, 29, 32, 56, 33, 253, 133, 245, 83, 9, 42, 14, 338, 60,
    ),
)  # fmt: skip
SENTENCEPIECE = Weights(
    127, (
        0, 0, 21, 0, 0, 0, 3,
        8, 48, 5, 63, 53, 72, 110, 49, 41, 0, 17, 9, 41, 0, 0,
    ),
    105, (
        21, 15, 66, 6, 80, 11, 106,
        215, 82, 43, 100, 99, 212, 220, 90, 118, 151, 46, 92, 88, 182, 146,
    ),
)  # fmt: skip
OTHER = Weights(
    115, (
        0, 0, 31, 0, 0, 0, 0,
        4, 0, 4, 21, 7, 21, 47, 5, 30, 0, 0, 0, 0, 37, 0,
    ),
    90, (
        36, 89, 71, 6, 81, 49, 80,
        189, 87, 57, 165, 113, 225, 253, 138, 244, 233, 251, 121, 100, 294, 166,
    ),
)  # fmt: skip

"""What other vendors' vocabularies make of a text that was counted in o200k.

No other vendor's vocabulary is shipped. The tokens of a text are estimated from how many of its
o200k tokens are common, known and rare, and how many characters it has of each class, each times
a percentage of the family. Common words are one token for all; rare ones and scripts
are where vocabularies differ, and digits, which Mistral and Gemini take one by one. ``at_most``
has the least percentages that reach the vendor's own tokenizer on 99.9 % of 200-character chunks.

Measured in 2026-11 by ``benchmarks/bounds.py`` on English, code, data, emoji and 90 languages.
"""

from __future__ import annotations

from typing import NamedTuple


class Weights(NamedTuple):
    """Percent of a token for each o200k token and each character: to expect, and at most."""

    expected: tuple[int, ...]
    most: tuple[int, ...]


# In three lines: tokens below number 16,384, below 65,536, and all others; lower case, upper case,
# digits, spaces, controls, punctuation, the rest of Latin-1; Latin, Greek, Cyrillic, Armenian and
# Hebrew, Arabic, Devanagari and Bengali, Gujarati, Tamil, Telugu, Malayalam, Thai, Georgian,
# Tibetan to Khmer, symbols, kana, Chinese, Korean, beyond U+FFFF, all others.
CLAUDE_OLD = Weights(
    (
        113, 120, 166,
        0, 0, 0, 0, 0, 0, 22,
        24, 28, 5, 22, 33, 38, 64, 28, 56, 62, 29, 31, 0, 0, 0, 0, 17, 50, 0,
    ),
    (
        103, 204, 298,
        0, 21, 16, 8, 0, 38, 100,
        144, 53, 13, 22, 46, 38, 100, 28, 132, 73, 34, 42, 37, 56, 0, 0, 17, 114, 59,
    ),
)  # fmt: skip
CLAUDE = Weights(
    (
        142, 138, 193,
        0, 0, 0, 0, 0, 0, 31,
        7, 16, 0, 16, 21, 27, 49, 31, 44, 49, 16, 19, 0, 0, 0, 0, 14, 0, 0,
    ),
    (
        89, 193, 286,
        20, 80, 38, 6, 0, 53, 47,
        119, 39, 20, 27, 77, 45, 110, 33, 137, 79, 39, 37, 70, 99, 0, 30, 25, 140, 47,
    ),
)  # fmt: skip
GEMINI = Weights(
    (
        105, 107, 55,
        0, 0, 57, 0, 0, 0, 10,
        0, 0, 3, 17, 4, 6, 15, 2, 16, 13, 0, 26, 0, 0, 0, 0, 8, 0, 0,
    ),
    (
        91, 140, 171,
        6, 0, 57, 5, 51, 31, 113,
        51, 0, 18, 28, 20, 24, 20, 2, 24, 24, 10, 44, 24, 28, 0, 24, 61, 45, 28,
    ),
)  # fmt: skip
DEEPSEEK = Weights(
    (
        100, 102, 143,
        0, 0, 0, 0, 0, 0, 26,
        35, 2, 6, 13, 7, 13, 25, 2, 23, 43, 0, 38, 0, 0, 0, 0, 0, 0, 0,
    ),
    (
        109, 168, 231,
        0, 3, 1, 1, 10, 1, 60,
        52, 2, 15, 18, 7, 22, 25, 2, 23, 43, 1, 41, 27, 0, 0, 0, 0, 0, 0,
    ),
)  # fmt: skip
LLAMA = Weights(
    (
        98, 101, 133,
        0, 0, 0, 0, 0, 0, 28,
        0, 0, 6, 91, 7, 27, 128, 114, 146, 136, 0, 165, 69, 0, 0, 0, 0, 72, 0,
    ),
    (
        100, 107, 259,
        5, 0, 2, 1, 1, 1, 74,
        66, 0, 39, 151, 39, 94, 129, 128, 146, 138, 0, 174, 89, 3, 0, 0, 0, 91, 1,
    ),
)  # fmt: skip
TEKKEN = Weights(
    (
        99, 110, 129,
        0, 0, 52, 0, 0, 0, 0,
        0, 0, 1, 2, 0, 6, 0, 3, 0, 13, 6, 3, 92, 0, 0, 0, 0, 165, 0,
    ),
    (
        102, 172, 223,
        0, 18, 65, 1, 27, 26, 39,
        55, 0, 7, 6, 23, 8, 0, 117, 0, 210, 49, 3, 202, 0, 0, 0, 0, 205, 107,
    ),
)  # fmt: skip
SENTENCEPIECE = Weights(
    (
        108, 174, 186,
        0, 0, 37, 0, 0, 0, 0,
        13, 42, 1, 58, 52, 68, 163, 73, 108, 151, 35, 56, 0, 0, 0, 0, 33, 0, 0,
    ),
    (
        96, 203, 283,
        5, 3, 42, 8, 74, 7, 120,
        64, 55, 16, 75, 66, 121, 163, 78, 122, 190, 55, 61, 18, 16, 0, 58, 43, 96, 87,
    ),
)  # fmt: skip
OTHER = Weights(
    (
        105, 126, 148,
        0, 0, 45, 0, 0, 0, 0,
        0, 0, 2, 20, 3, 21, 49, 30, 45, 61, 0, 33, 15, 0, 0, 0, 0, 47, 0,
    ),
    (
        93, 189, 274,
        19, 87, 45, 5, 71, 51, 53,
        84, 56, 27, 138, 66, 132, 168, 94, 139, 198, 57, 158, 191, 111, 0, 67, 52, 132, 94,
    ),
)  # fmt: skip

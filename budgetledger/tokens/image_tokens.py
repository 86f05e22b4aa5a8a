"""How many tokens an image has, by the rules of each vendor.

They are those of the vendors' pages as of 2026-11: developers.openai.com/api/docs/guides/
images-vision, platform.claude.com/docs/en/build-with-claude/vision, ai.google.dev/gemini-api/docs/
image-understanding and /media-resolution. An image that is only linked, or whose size cannot be
read, counts with the most tokens the model may make of one.
"""

from __future__ import annotations

import re
from math import floor, sqrt
from typing import NamedTuple, Protocol

from budgetledger.tokens.image_size import Size


class ImageTokens(NamedTuple):
    """Tokens of one image, at least and at most; ``known`` if they are the vendor's figures."""

    low: int
    high: int
    known: bool = False


class ImageRule(Protocol):
    """A family's rule. ``detail``: ``low``, ``high`` or ``original``; else the default."""

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        """The tokens of an image of that *size*; None if it is not known."""
        ...


class _Tiles(NamedTuple):
    """OpenAI until GPT-5.1: a base, and as many tokens for each tile of 512 pixels.

    The image is first shrunk into 2048 x 2048, and its short side to 768.
    """

    base: int
    tile: int

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        if detail == "low":
            return ImageTokens(self.base, self.base, known=True)
        most = self.base + self.tile * 8
        if size is not None:
            shrink = min((1, 1), (2048, max(size)), (768, min(size)), key=lambda r: r[0] / r[1])
            across, down = (-(-side * shrink[0] // (shrink[1] * 512)) for side in size)
            most = self.base + self.tile * across * down
        if detail == "high" and size is not None:
            return ImageTokens(most, most, known=True)
        return ImageTokens(self.base, most)


class _Budget(NamedTuple):
    """The most patches, and the most pixels a side, to which an image is shrunk."""

    patches: int
    side: int


class _Patches(NamedTuple):
    """OpenAI's small models, and all since GPT-5.2: patches of 32 pixels, times a factor.

    Where users measured less than is documented, ``low_percent`` is what they measured.
    """

    low_percent: int
    percent: int
    low: _Budget
    high: _Budget
    original: _Budget
    default: _Budget

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        budgets = {"low": self.low, "high": self.high, "original": self.original}
        budget = budgets.get(detail, self.default)
        least, most = 1, budget.patches
        if size is not None:
            least = most = _patches(size, budget)
        return ImageTokens(-(-least * self.low_percent // 100), -(-most * self.percent // 100))


def _patches(size: Size, budget: _Budget) -> int:
    side = max(size)
    if side > budget.side:
        size = -(-size[0] * budget.side // side), -(-size[1] * budget.side // side)
    width, height = size
    patches = -(-width // 32) * -(-height // 32)
    if patches <= budget.patches:
        return patches
    shrink = sqrt(32 * 32 * budget.patches / (width * height))
    # Shrink a little more, so that the last row and column are whole patches.
    shrink *= min(
        1, *(max(1, floor(side * shrink / 32)) / (side * shrink / 32) for side in (width, height))
    )
    width, height = int(width * shrink), int(height * shrink)
    return min(budget.patches, max(1, -(-width // 32)) * max(1, -(-height // 32)))


class _Claude(NamedTuple):
    """Anthropic: patches of 28 pixels, at the largest size within both limits."""

    patches: int
    side: int

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        if size is None:
            return ImageTokens(1, self.patches)
        long, short = max(size), min(size)

        def cost(side: int) -> int:
            other = max(1, round(side * short / long))
            return -(-side // 28) * -(-other // 28)

        fits, beyond = 1, min(long, self.side) + 1
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            fits, beyond = (middle, beyond) if cost(middle) <= self.patches else (fits, middle)
        patches = min(cost(fits), self.patches)
        return ImageTokens(patches, patches, known=True)


class _GeminiTiles(NamedTuple):
    """Gemini until 2.5: 258 for a small image, or for each tile of a larger one."""

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        most = 24  # 12 x 2 of 256 pixels
        if size is not None:
            long = max(size)
            if long > 3072:  # it is shrunk to that
                size = -(-size[0] * 3072 // long), -(-size[1] * 3072 // long)
            unit = min(768, max(256, int(min(size) / 1.5)))
            most = 1 if max(size) <= 384 else -(-size[0] // unit) * -(-size[1] // unit)
        return ImageTokens(258, 258 * most)


class _GeminiLevels(NamedTuple):
    """Gemini since 3: at most a number for each level of media resolution, whatever the size."""

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        levels = {"low": 280, "medium": 560, "ultra_high": 2240}
        return ImageTokens(1, levels.get(detail.removeprefix("media_resolution_"), 1120))


class _Other(NamedTuple):
    """Other vendors: from one token to the finest patches documented, Pixtral's of 16 pixels.

    No more than the highest ceiling documented, Qwen-VL's 16,384.
    """

    def tokens(self, size: Size | None, detail: str) -> ImageTokens:
        most = 16_384
        if size is not None:
            most = min(most, -(-size[0] // 16) * -(-size[1] // 16))
        return ImageTokens(1, most)


CLAUDE = _Claude(4784, 2576)
CLAUDE_OLD = _Claude(1568, 1568)  # up to 4.6
GEMINI, GEMINI_OLD, OTHER = _GeminiLevels(), _GeminiTiles(), _Other()


def _always(low_percent: int, percent: int, patches: int) -> _Patches:
    """The same rule for every detail: users measured that ``low`` saves nothing."""
    budget = _Budget(patches, 2048)
    return _Patches(low_percent, percent, budget, budget, budget, budget)


_TINY, _HIGH, _ORIGINAL = _Budget(256, 512), _Budget(2500, 2048), _Budget(10_000, 6000)
_WHOLE = _Budget(30_000, 65_535)  # larger images are rejected
# Measured by users in 2026: 1.2 for gpt-5-mini and gpt-5.4-mini and -nano, 1.5 for gpt-5-nano,
# and 2,500 patches of gpt-5.4-mini where 1,536 are documented.
_OPENAI: tuple[tuple[re.Pattern[str], ImageRule], ...] = (
    (re.compile(r"gpt-?4o-mini"), _Tiles(2833, 5667)),
    (re.compile(r"gpt-?4[.-]1-mini"), _always(162, 162, 1536)),
    (re.compile(r"gpt-?4[.-]1-nano"), _always(246, 246, 1536)),
    (re.compile(r"o4-mini|codex-mini"), _always(172, 172, 1536)),
    (re.compile(r"gpt-5(-.*)?-mini|gpt-5\.[1-3].*-mini"), _always(120, 162, 1536)),
    (re.compile(r"gpt-5(-.*)?-nano"), _always(150, 246, 1536)),
    (re.compile(r"gpt-5.*-mini"), _always(120, 162, 2500)),
    (re.compile(r"gpt-5.*-nano"), _always(120, 246, 2500)),
    (re.compile(r"(chat)?gpt-?[34]"), _Tiles(85, 170)),
    (re.compile(r"o\d"), _Tiles(75, 150)),
    (re.compile(r"computer-use"), _Tiles(65, 129)),
    (re.compile(r"gpt-5(\.1)?(?![.\d])"), _Tiles(70, 140)),
    (re.compile(r"gpt-5\.[23](?!\d)"), _always(120, 120, 1536)),
    (re.compile(r"gpt-5\.4(?!\d)"), _Patches(120, 120, _TINY, _HIGH, _ORIGINAL, _HIGH)),
    (re.compile(r"gpt-5\.5(?!\d)"), _Patches(120, 120, _TINY, _HIGH, _ORIGINAL, _ORIGINAL)),
)
_OPENAI_LATER = _Patches(120, 120, _TINY, _Budget(2500, 65_535), _WHOLE, _WHOLE)


def openai_rule(base: str) -> ImageRule:
    """The rule of an OpenAI model by its name without provider, in lower case."""
    return next((rule for pattern, rule in _OPENAI if pattern.match(base)), _OPENAI_LATER)

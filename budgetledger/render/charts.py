"""Charts as SVG, written by hand: they need no script, and stretch to any width.

Texts stand outside the drawings, in HTML, so that they are as large on a phone as on a desk.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

COLORS = 8
"""How many series have a colour of their own; the page's style has them as ``c0`` to ``c7``."""

FEW = 7
"""A chart has at least so many places, so that a few bars are not too wide."""

_WIDTH, _HEIGHT = 1000, 240
_GAP = 0.2  # of a bar's place


def stacked_bars(
    names: Sequence[str], series: Sequence[Sequence[float]], texts: Sequence[Sequence[str]]
) -> str:
    """A bar for each of *names*, one series on another; *texts*: of each part, for its title."""
    highest = max((sum(values) for values in zip(*series, strict=True)), default=0.0)
    scale = _HEIGHT / highest if highest > 0 else 0.0
    place = _WIDTH / max(len(names), FEW)
    bars = []
    for at, name in enumerate(names):
        top = float(_HEIGHT)
        parts = []
        for number, values in enumerate(series):
            height = values[at] * scale
            if height <= 0:
                continue
            top -= height
            parts.append(
                f'<rect class="c{number % COLORS}" x="{_short(place * (at + _GAP / 2))}"'
                f' y="{_short(top)}" width="{_short(place * (1 - _GAP))}"'
                f' height="{_short(height)}">'
                f"<title>{escape(f'{name}: {texts[number][at]}')}</title></rect>"
            )
        bars.append("".join(parts))
    lines = "".join(
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}"/>'
        for y in (0, _HEIGHT // 2, _HEIGHT)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        ' aria-label="Cost over time; the table below has the figures">'
        f"{lines}{''.join(bars)}</svg>"
    )


def share_bar(share: float, style: str = "c0") -> str:
    """A bar that fills *share* of its place, at most all of it."""
    width = _short(min(max(share, 0.0), 1.0) * 100)
    return (
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="10"/><rect class="{style}" width="{width}"'
        ' height="10"/></svg>'
    )


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")

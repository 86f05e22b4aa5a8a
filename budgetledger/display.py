"""How values show themselves: at a Python prompt as text, in a notebook as HTML tables.

Imports nothing of the package, so that every value can use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

__all__ = ["html_table", "iso", "listed", "quantity", "span"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(us: int) -> str:
    """Microseconds since 1970 as ``2026-03-02T12:00:00Z``, with a fraction if there is one."""
    try:
        moment = _EPOCH + timedelta(microseconds=us)
    except OverflowError:  # outside the years 1 to 9999: a repr never fails
        return f"{us} µs"
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def span(start_us: int | None, end_us: int | None) -> str:
    """From when to when, in UTC: ``2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z``."""
    if start_us is None:
        return "for ever" if end_us is None else f"until {iso(end_us)}"
    return f"since {iso(start_us)}" if end_us is None else f"{iso(start_us)} to {iso(end_us)}"


def quantity(amount: Decimal | int, measure: str = "usd") -> str:
    """``0.25 USD``, ``1200 tokens``: exact, and never with an exponent."""
    return f"{amount:f} USD" if isinstance(amount, Decimal) else f"{amount} {measure}"


def listed(kind: str, *facts: str | None) -> str:
    """``Kind(fact, fact)``, without the facts that are None."""
    return f"{kind}({', '.join(fact for fact in facts if fact is not None)})"


def html_table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table for a notebook; all text is escaped, and None is an empty cell."""
    from html import escape  # notebooks alone need it

    def row(tag: str, cells: Iterable[object]) -> str:
        texts = (escape("" if cell is None else str(cell)) for cell in cells)
        return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in texts)}</tr>"

    head = f"<thead>{row('th', headers)}</thead>" if headers else ""
    body = "".join(row("td", cells) for cells in rows)
    return f"<table><caption>{escape(caption)}</caption>{head}<tbody>{body}</tbody></table>"

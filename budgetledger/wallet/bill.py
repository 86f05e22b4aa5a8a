"""What the calls through a wallet cost, in memory, for the person who started it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from budgetledger.entries import Entry


class Line:
    """The calls of one model."""

    def __init__(self) -> None:
        self.calls = self.input_tokens = self.output_tokens = self.unpriced = 0
        self.cost = Decimal(0)


class Bill:
    """Counts what passed. One event loop writes it."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.requests = 0
        """All requests to providers, also those that cost nothing."""
        self.refused = self.waited = self.failed = self.stopped = 0
        self.unrecorded = 0
        """Answers whose cost could not be recorded."""
        self.by_subscription = 0
        """Calls with an OAuth token, for which no API bill comes."""
        self.assumed = 0
        """Calls whose cost is what was held, since their answer did not tell it."""
        self.most_held = Decimal(0)
        self._held = Decimal(0)

    def held(self, amount: Decimal) -> None:
        """A hold of *amount* was taken."""
        self._held += amount
        self.most_held = max(self.most_held, self._held)

    def closed(self, amount: Decimal) -> None:
        """A hold of *amount* was closed."""
        self._held -= amount

    def settled(self, entry: Entry) -> None:
        """The row of a call's cost."""
        line = self.lines.setdefault(entry.model or "unknown", Line())
        line.calls += 1
        line.input_tokens += entry.input_tokens
        line.output_tokens += entry.output_tokens
        if entry.cost is None:
            line.unpriced += 1
        else:
            line.cost += entry.cost
        self.assumed += entry.cost_basis == "assumed"

    @property
    def calls(self) -> int:
        """The calls that were paid."""
        return sum(line.calls for line in self.lines.values())

    @property
    def cost(self) -> Decimal:
        """Their cost in USD, as far as it is known."""
        return sum((line.cost for line in self.lines.values()), Decimal(0))

    def text(self) -> str:
        """The bill as lines of text: a row for each model, the sum, and remarks."""
        rows: list[tuple[str, ...]] = [("model", "calls", "input", "output", "cost")]
        for model, line in sorted(self.lines.items(), key=lambda item: -item[1].cost):
            cost = f"{usd(line.cost)}{'+?' if line.unpriced else ''}"
            rows.append((model, *_counts(line.calls, line.input_tokens, line.output_tokens), cost))
        if len(self.lines) > 1:
            lines = self.lines.values()
            sums = (sum(line.input_tokens for line in lines),
                    sum(line.output_tokens for line in lines))  # fmt: skip
            rows.append(("total", *_counts(self.calls, *sums), usd(self.cost)))
        widths = [max(len(row[at]) for row in rows) for at in range(5)]
        table = []
        if self.lines:
            for name, *cells in rows:
                right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
                table.append("  ".join([name.ljust(widths[0]), *right]))
        return "\n".join([*table, *self._remarks()])

    def _remarks(self) -> Iterator[str]:
        counts = [f"{self.refused} refused", f"{self.waited} waited"]
        if self.failed:
            counts.append(f"{self.failed} failed")
        if self.stopped:
            counts.append(f"{self.stopped} stopped at the limit")
        yield f"{', '.join(counts)}; most held at once {usd(self.most_held)}"
        if self.assumed:
            yield f"{self.assumed} without a readable usage: they count as what was held for them"
        if self.by_subscription:
            yield (
                f"{self.by_subscription} by a subscription: the cost is what the API would charge, "
                "not a bill"
            )
        if self.unrecorded:
            yield (
                f"{self.unrecorded} could not be recorded; `budgetledger holds` lists their holds"
            )


def _counts(*counts: int) -> list[str]:
    return [f"{count:,}" for count in counts]


def usd(amount: Decimal) -> str:
    """US dollars for people: two decimals, and up to six for less than a dollar."""
    if amount == 0:
        return "$0"
    digits = 2 if abs(amount) >= 1 else 4 if abs(amount) >= Decimal("0.01") else 6
    whole, _, decimals = f"{amount:,.{digits}f}".partition(".")
    shown = f"{whole}.{decimals.rstrip('0'):0<2}"
    return f"${shown}" if Decimal(shown.replace(",", "")) else f"${amount.normalize():f}"

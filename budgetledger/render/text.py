"""Values as the text people read: money, shares, spans of time, windows.

Pass names from users through `plain`, so that they cannot control the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from budgetledger.entries import Budget, BudgetStatus, DefaultBudget, Entry
from budgetledger.journal.row_settings import Ended, Setting, Shift
from budgetledger.journal.rows.basis import NO_ESTIMATE, passed_tokens
from budgetledger.prices import OwnPrice
from budgetledger.reporting import Pace
from budgetledger.windows import Period, Window, from_us


def plain(text: object, encoding: str | None = None) -> str:
    """*text* on one line: line ends, control characters and the like are escaped."""
    spelled = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in str(text)
    )
    encoding = encoding or sys.stdout.encoding
    return spelled.encode(encoding, "backslashreplace").decode(encoding)


def usd(amount: Decimal, decimals: int = 2) -> str:
    """Dollars, exact: ``-$1,234.50``; with at least *decimals* decimals."""
    whole, _, rest = f"{abs(amount):,f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{rest:0<{decimals}}"


def decimals_of(amounts: Iterable[Decimal | None]) -> int:
    """How many decimals show all *amounts* exactly, so that a column is aligned at the point."""
    exponents = (amount.as_tuple().exponent for amount in amounts if amount is not None)
    return max((-one for one in exponents if isinstance(one, int)), default=2)


def quantity(amount: Decimal | int, measure: str) -> str:
    """An amount of any measure: ``$0.25``, ``1,200 tokens``."""
    return usd(amount) if isinstance(amount, Decimal) else f"{amount:,} {measure}"


def used(posted: Decimal | int, limit: Decimal | int) -> float:
    """The share of *limit* that is used; 1 for a limit of 0, which is exhausted."""
    return float(posted / limit) if limit else 1.0


def percent(share: float) -> str:
    """``62 %``; a share above 0 is never 0 %, and one below 1 never 100 %."""
    value = round(share * 100)
    if value == 0 and share > 0:
        return "<1 %"
    return f"{99 if value == 100 and share < 1 else value:,} %"


def exact_percent(share: Decimal) -> str:
    """``80 %``, ``33.3 %``: a share as it was set."""
    return f"{(share * 100).normalize():,f} %"


def cadence(period: Period) -> str:
    """``a day``, ``in any 24 h``, ``for ever``."""
    if period.span_us is not None:
        return f"in any {span(timedelta(microseconds=period.span_us))}"
    return "for ever" if period.per is None else f"a {period.per}".replace("a hour", "an hour")


def span(length: timedelta) -> str:
    """The two largest units of a length of time: ``3 d 4 h``."""
    left = int(length.total_seconds())
    parts = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def clock_time(moment: datetime) -> str:
    """``2026-03-02 09:00``, with seconds if they are not 0."""
    moment = moment.replace(microsecond=0, tzinfo=None)
    return moment.isoformat(" ", "minutes" if moment.second == 0 else "seconds")


def window_text(window: Window, now: datetime) -> str:
    """Start and end in the window's own zone, and the time that is left."""
    if window.start is None and window.end is None:
        return "for ever"
    start = "the first entry" if window.start is None else clock_time(window.start)
    if window.end is None:
        return f"since {start} ({window.timezone})"
    text = f"{start} to {clock_time(window.end)} ({window.timezone})"
    left = window.end - now  # a microsecond for a rolling window
    return f"{text}, turns in {span(left)}" if left > timedelta(seconds=1) else text


def limit_text(budget: Budget | DefaultBudget) -> str:
    """``$10.00 a month for gpt-4o``."""
    model = "" if budget.model is None else f" for {plain(budget.model)}"
    return f"{quantity(budget.limit, budget.measure)} {cadence(budget.period)}{model}"


def pace_text(pace: Pace, status: BudgetStatus) -> str:
    """Where a budget leads: ``at this rate the limit is reached on 2026-03-14``, or a range."""
    ends = sorted(one.at_end for one in pace.forecasts if one.at_end is not None)
    moments = sorted(one.reached_us for one in pace.forecasts if one.reached_us is not None)
    zone, measure = status.window.timezone, status.budget.measure
    days = [from_us(us, zone).date().isoformat() for us in moments]
    spent = " to ".join(dict.fromkeys(about(one, measure) for one in ends))
    if not days:
        rest = f"{spent} by the end" if spent else "the limit is not reached within a year"
        return f"at this rate {rest}"
    between = " to ".join(dict.fromkeys(days))
    if len(days) == len(pace.forecasts):
        return f"at this rate the limit is reached on {between}"
    return f"at this rate the limit may be reached on {between}" + (
        f" ({spent} by the end)" if spent else ""
    )


def about(amount: Decimal | int, measure: str) -> str:
    """An estimated amount, dollars to the cent."""
    if isinstance(amount, Decimal):
        return usd(amount.quantize(Decimal("0.01")))
    return quantity(amount, measure)


def alerts_text(budget: Budget | DefaultBudget) -> str:
    """``alerts at 50 % and 80 %``; empty for a budget without alerts."""
    *others, last = map(exact_percent, budget.alert_at or [Decimal(0)])
    shares = f"{', '.join(others)} and {last}" if others else last
    return f"alerts at {shares}" if budget.alert_at else ""


def held_text(hold: Entry) -> str:
    """``$0.25``, ``1,200 tokens``, ``$0.25 and 1,200 tokens``: what a hold sets aside.

    Without the one unit that stands for an unknown amount.
    """
    tokens = passed_tokens(hold)
    amount = Decimal(0) if is_minimal(hold) else hold.held or Decimal(0)
    if not tokens:
        return LEAST if is_minimal(hold) else usd(amount)
    counted = quantity(tokens, "tokens")
    return f"{usd(amount)} and {counted}" if amount else counted


def is_minimal(hold: Entry) -> bool:
    """Whether nothing could be estimated, so that the hold is of 10⁻¹² USD and one token."""
    return hold.price_source == NO_ESTIMATE


LEAST = "the least amount"
"""What a minimal hold sets aside."""


def setting_text(setting: Setting) -> str:
    """``sets usd/month: $10.00 a month``, ``ends usd/month``, ``new window of usd/month``."""
    if isinstance(setting, Ended):
        return f"ends {setting.budget}"
    if isinstance(setting, Shift):
        return f"{'window turned:' if setting.turned else 'new window of'} {setting.budget}"
    terms = ", ".join(filter(None, (limit_text(setting), alerts_text(setting))))
    return f"sets {setting.name}: {terms}"


def entry_text(entry: Entry, setting: Setting | None = None) -> str:
    """What a row did, if its figures do not show it, and its note.

    *setting*: what the row set, if it did.
    """
    kind, hold, note = entry.kind, entry.hold_id, entry.note
    until = "" if entry.expires_at is None else clock_time(entry.expires_at)
    if kind == "charge":
        what = ""
    elif kind == "hold":
        what = f"holds {held_text(entry)} until {until}"
    elif kind in ("settle", "release"):
        what = f"{kind}s hold {hold}"
    elif kind == "expire":
        what = f"hold {hold} expired"
    elif kind == "extend":
        what = f"extends hold {hold} until {until}"
    elif kind == "increase":
        what = f"holds {held_text(entry)} more by hold {hold}"
    elif kind == "adjustment":
        what = f"corrects {entry.corrects_id}"
    elif kind == "parent":  # the note is the parent's name
        what, note = f"under {note or 'no other account'}", None
    elif kind == "prior":  # the note says it
        what = "" if note else "counts earlier calls"
    else:
        what = kind if setting is None else setting_text(setting)
    repeated = "" if entry.origin_id is None else f"repeats {entry.origin_id}"
    assumed = "assumed cost" if entry.cost_basis == "assumed" else ""
    if assumed and note and note.startswith("assumed: "):
        note = note.removeprefix("assumed: ")
    done = ", ".join(filter(None, (what, repeated, assumed)))
    return ": ".join(filter(None, (done, note)))


def price_text(price: OwnPrice) -> str:
    """The rates of an own price as stored, or "ends"; from when, and if in all projects."""
    rates = " ".join(f"{key}={usd:f}" for key, usd in price.rates.items()) or "ends"
    whose = ", in all projects" if price.project is None else ""
    return f"{rates}, from {clock_time(price.effective_at)} UTC{whose}"

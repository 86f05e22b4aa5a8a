"""What a terminal shows, by its width."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from rich.console import Console

from budgetledger.entries import Account, Balance
from budgetledger.render.tables import show_accounts
from budgetledger.windows import Window

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TO_MIDNIGHT = Window(1_772_409_600_000_000, 1_772_496_000_000_000)


def lines_of_accounts(width):
    amounts = (Decimal(text) for text in ("1.00", "0.60", "0.00", "0.40"))
    balance = Balance("alice", *amounts, TO_MIDNIGHT, 0)
    file = StringIO()
    out = Console(file=file, width=width, force_terminal=True, color_system=None)
    show_accounts(out, [Account("default", "alice", 0)], [balance], NOON)
    return file.getvalue().splitlines()


def test_a_narrow_terminal_gets_a_narrow_bar_then_none_then_lines():
    shown = {width: lines_of_accounts(width) for width in range(120, 39, -1)}
    tables = [lines for lines in shown.values() if lines[0].startswith("account ")]
    assert list(dict.fromkeys(lines[2].count("━") for lines in tables)) == [9, 4, 0]  # 60 %
    assert all(len(line) <= width for width, lines in shown.items() for line in lines)
    assert shown[40] == [
        "alice",
        "  60 % used   posted $0.60   held $0.00",
        "  limit $1.00   available $0.40",
        "  turns in 12 h",
    ]
    for lines in shown.values():
        text = " ".join(lines)
        assert all(fact in text for fact in ("60 %", "$0.60", "$0.00", "$1.00", "$0.40", "12 h"))

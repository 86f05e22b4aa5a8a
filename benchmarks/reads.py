"""Current cost and its breakdown by model: over ten million rows against over a thousand.

Usage: python benchmarks/reads.py [--rows N] [--models N]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from common import describe, paired, report, us

from budgetledger import BudgetManager, Ledger

FIRST_US = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
SPAN_US = 300 * 86_400_000_000

# Rows as charges of a tenth of a cent write them, spread over 300 days and over the models in
# turn. Written in bulk, so without real hashes, which reading does not look at.
_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO entries (project_id, account_id, recorded_at_us, kind, model, cost_pico,
    price_source, input_tokens, output_tokens, requests,
    total_usd, total_pico, total_tokens, total_requests,
    model_usd, model_pico, model_tokens, model_requests, hash, settings_rows)
SELECT 1, :account, :first_us + i * (:span_us / :rows), 'charge', 'model-' || (i % :models),
    1000000000, 'given', 10, 5, 1,
    i / 1000, i % 1000 * 1000000000, i * 15, i,
    seen / 1000, seen % 1000 * 1000000000, seen * 15, seen, zeroblob(32), 1
FROM (SELECT i, (i + :models - 1) / :models AS seen FROM n)
"""
_RUNS = """
INSERT INTO model_runs SELECT account_id, model, recorded_at_us, id FROM entries
WHERE account_id = :account AND model IS NOT NULL AND id < (SELECT max(id) FROM entries)
ORDER BY account_id, model, recorded_at_us
"""


def fill(path: str, rows: int, models: int) -> None:
    connection = sqlite3.connect(path)
    (account,) = connection.execute("SELECT id FROM accounts WHERE name = 'alice'").fetchone()
    facts = {
        "rows": rows,
        "account": account,
        "first_us": FIRST_US,
        "span_us": SPAN_US,
        "models": models,
    }
    with connection:
        connection.execute(_FILL, facts)
        connection.execute(_RUNS, facts)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--models", type=int, default=10)
    options = parser.parse_args()
    describe(f"Reading, {options.rows:,} rows against 1,000, {options.models} models")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        opened = {}
        for rows in (1000, options.rows):
            path = Path(folder, f"{rows}.db")
            clock_us = FIRST_US - 1
            with Ledger(path, project="p", clock=lambda now=clock_us: now) as ledger:
                ledger.set_budget("alice", "1e6", per="month", name="default")
            fill(str(path), rows, options.models)
            after_us = FIRST_US + SPAN_US
            opened[rows] = Ledger(path, project="p", clock=lambda now=after_us: now)
        few, many = opened[1000], opened[options.rows]
        facades = {ledger: BudgetManager("p", ledger=ledger) for ledger in (few, many)}

        def current_cost(ledger: Ledger, calls: int) -> None:
            for _ in range(calls):
                facades[ledger].get_current_cost("alice")

        def breakdown(ledger: Ledger, calls: int) -> None:
            for _ in range(calls):
                ledger.model_costs("alice")

        for name, function, calls in (
            ("current cost", current_cost, 2000),
            ("costs by model", breakdown, 300),
        ):
            large, small, ratio = paired(
                lambda n, f=function: f(many, n), lambda n, f=function: f(few, n), calls, 15
            )
            report(name, ratio, 1.5, f"{us(large)} against {us(small)}")
        for ledger in (few, many):
            ledger.close()


if __name__ == "__main__":
    main()

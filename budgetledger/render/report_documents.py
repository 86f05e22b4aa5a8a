"""Reports and paces as JSON documents and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from budgetledger.entries import Balance, BudgetStatus
from budgetledger.render.documents import balance_json, budget_status_json, window_json
from budgetledger.reporting import Figures, Forecast, Pace, Report, ReportRow
from budgetledger.windows import from_us

if TYPE_CHECKING:
    from budgetledger.render import document_types as doc

FIGURES = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost",
    "unpriced",
    "assumed",
    "assumed_cost",
    "estimated",
    "estimated_cost",
)
"""The fields of `Figures` that documents have, in their order."""


def figures_json(figures: Figures) -> doc.Figures:
    """Sums; money as text."""
    return {
        "requests": figures.requests,
        "input_tokens": figures.input_tokens,
        "output_tokens": figures.output_tokens,
        "cached_tokens": figures.cached_tokens,
        "cost": figures.cost,
        "unpriced": figures.unpriced,
        "assumed": figures.assumed,
        "assumed_cost": figures.assumed_cost,
        "estimated": figures.estimated,
        "estimated_cost": figures.estimated_cost,
    }


def report_json(report: Report) -> doc.Report:
    """A report: its range, rows with their cells, totals, and the range before."""
    previous, before = report.previous, report.previous_window
    return {
        "project": report.project,
        "account": report.account,
        "by": report.by,
        "columns": report.columns,
        "window": window_json(report.window),
        "as_of": None if report.as_of_us is None else from_us(report.as_of_us),
        "column_names": list(report.column_names),
        "rows": [_row_json(row) for row in report.rows],
        "total": figures_json(report.total.figures),
        "column_totals": [figures_json(cell) for cell in report.total.cells],
        "average_cost": report.average,
        "previous_window": None if before is None else window_json(before),
        "previous": None if previous is None else figures_json(previous),
    }


def _row_json(row: ReportRow) -> doc.ReportRow:
    return {
        "name": row.name,
        "window": None if row.window is None else window_json(row.window),
        "depth": row.depth,
        **figures_json(row.figures),
        "cells": [figures_json(cell) for cell in row.cells],
        "budget": None if row.budget is None else status_with_pace(*row.budget),
    }


def pace_json(pace: Pace | None) -> doc.Pace | None:
    """Where a budget leads, at two rates."""
    if pace is None:
        return None
    weekday = None if pace.weekday is None else _forecast_json(pace.weekday)
    return {"linear": _forecast_json(pace.linear), "weekday": weekday}


def _forecast_json(forecast: Forecast) -> doc.Forecast:
    return {"reached_at": forecast.reached_at, "at_end": forecast.at_end}


def status_with_pace(status: BudgetStatus, pace: Pace | None) -> doc.BudgetPace:
    """A budget, its use and its pace."""
    return {**budget_status_json(status), "pace": pace_json(pace)}


def balance_with_paces(
    balance: Balance, project: str, paces: Mapping[str, Pace | None]
) -> dict[str, Any]:
    """A balance whose budgets have their paces."""
    budgets = [status_with_pace(one, paces.get(one.budget.name)) for one in balance.budgets]
    return {**balance_json(balance, project), "budgets": budgets}


def csv_rows(report: Report) -> Iterator[tuple[object, ...]]:
    """A header, and a line for each row, or for each cell that is not empty."""
    dimensions = [report.by] if report.columns is None else [report.by, report.columns]
    yield (*dimensions, *(name.replace("cost", "cost_usd") for name in FIGURES))
    for row in report.rows:
        if report.columns is None:
            yield (row.name, *_values(row.figures))
            continue
        for name, cell in zip(report.column_names, row.cells, strict=True):
            if any(cell):
                yield (row.name, name, *_values(cell))


def _values(figures: Figures) -> Iterator[object]:
    for name in FIGURES:
        value = getattr(figures, name)
        yield f"{value:f}" if isinstance(value, Decimal) else value

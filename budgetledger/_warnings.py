"""Warnings that point at the caller's line, however deep in here they arise."""

from __future__ import annotations

import sys
import warnings

from budgetledger.errors import BudgetledgerWarning

_OWN = f"{__name__.partition('.')[0]}."


def warn(message: str, category: type[BudgetledgerWarning]) -> None:
    """Warn of something in the call that led here from outside the package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

"""Warnings that point at the caller's line, however deep in here they arise."""

from __future__ import annotations

import logging
import sys
import warnings

from budgetledger.errors import BudgetledgerWarning

_log = logging.getLogger("budgetledger")
_OWN = f"{__name__.partition('.')[0]}."


def warn(message: str, category: type[BudgetledgerWarning]) -> None:
    """Warn of something in the call that led here from outside the package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def say(message: str, category: type[BudgetledgerWarning]) -> None:
    """`warn`, where raising would eat what the caller has paid for: it is logged instead."""
    try:
        warn(message, category)
    except BudgetledgerWarning:  # warnings are errors here
        _log.warning(message)

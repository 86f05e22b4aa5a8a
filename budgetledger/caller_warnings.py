"""Warnings that point at the line outside the package that made the call."""

from __future__ import annotations

import logging
import sys
import warnings

from budgetledger.errors import BudgetledgerWarning

__all__ = ["say", "warn"]

_log = logging.getLogger("budgetledger")
_OWN = f"{__name__.partition('.')[0]}."


def warn(message: str, category: type[BudgetledgerWarning]) -> None:
    """Warn with `message`, at the innermost line outside the package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def say(message: str, category: type[BudgetledgerWarning]) -> None:
    """As `warn`, but never raises: if warnings are errors, `message` is logged instead.

    For code that must still return a response that is paid for.
    """
    try:
        warn(message, category)
    except BudgetledgerWarning:  # a filter turns warnings into errors
        _log.warning(message)

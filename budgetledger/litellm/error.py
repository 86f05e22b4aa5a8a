"""Refusals as litellm's users catch them: by our class, and by litellm's of the same name."""

from __future__ import annotations

from functools import cache
from typing import Any

from budgetledger.errors import BudgetExceededError


def for_litellm(error: BudgetExceededError) -> BudgetExceededError:
    """*error* with the same facts, which ``except litellm.BudgetExceededError`` catches too.

    Has the attributes of litellm's error besides. Unpickled where litellm is not installed, it
    is a plain `BudgetExceededError`.
    """
    import litellm

    both = _both()
    twin = both.__new__(both, *error.args)
    of_litellm: Any = litellm.exceptions.BudgetExceededError
    of_litellm.__init__(twin, error.current_cost, error.max_budget, error.message)
    twin.__dict__.update(error.__dict__)
    return twin


@cache
def _both() -> type[BudgetExceededError]:
    import litellm

    class Both(BudgetExceededError, litellm.exceptions.BudgetExceededError):  # type: ignore[misc]
        __doc__ = BudgetExceededError.__doc__

        def __reduce__(self) -> tuple[Any, ...]:
            return _rebuilt, (self.args, self.__dict__)

    # `except` asks for a real subclass; a traceback need not tell that there are two.
    Both.__name__ = Both.__qualname__ = BudgetExceededError.__name__
    Both.__module__ = BudgetExceededError.__module__
    return Both


def _rebuilt(args: tuple[Any, ...], facts: dict[str, Any]) -> BudgetExceededError:
    try:
        kind = _both()
    except ImportError:
        kind = BudgetExceededError
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error

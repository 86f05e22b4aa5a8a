"""The package as a module with LiteLLM's two globals, which take effect on assignment."""

from __future__ import annotations

from math import inf
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from budgetledger.litellm.cap_ledger import CapTarget
    from budgetledger.money import Amount, Sum


class Package(ModuleType):
    """The module that ``import budgetledger`` returns."""

    _max_budget: Amount | None = 0.0
    _max_budget_sum: Sum | None = None
    _max_budget_ledger: CapTarget = None

    @property
    def max_budget(self) -> Amount | None:
        """USD that `completion` and its siblings may cost in total; 0, None, infinity: no limit."""
        return self._max_budget

    @max_budget.setter
    def max_budget(self, value: Amount | None) -> None:
        from budgetledger.money import limit_sum

        self._max_budget_sum = limit_sum(value) if value and value != inf else None
        self._max_budget = value

    @property
    def max_budget_ledger(self) -> CapTarget:
        """Where their costs are recorded: a `Ledger`, or its path or URL; None: in memory."""
        return self._max_budget_ledger

    @max_budget_ledger.setter
    def max_budget_ledger(self, value: CapTarget) -> None:
        self._max_budget_ledger = value

    @property
    def _current_cost(self) -> float:
        """USD that they have cost so far, read from the ledger; set it to 0 to reset it."""
        from budgetledger.litellm import cap_ledger as _cap_ledger

        return _cap_ledger.current_cost()

    @_current_cost.setter
    def _current_cost(self, value: float) -> None:
        from budgetledger.litellm import cap_ledger as _cap_ledger

        _cap_ledger.set_current_cost(value)

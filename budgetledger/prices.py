"""Your own prices: dated rows, and which of them applies to a call. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fnmatch import translate
from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.windows import from_us

__all__ = ["OwnPrice", "Repriced"]

_MOST_REMEMBERED = 4096  # names of models


class OwnPrice(NamedTuple):
    """A dated price of a model that you set, or the end of one. See `Ledger.set_price`."""

    id: int
    """The number in the ``price_source`` of the entries that it prices: ``own price 12``."""
    project: str | None
    """The project it is for; None for all projects."""
    model: str
    """The model's name or a pattern, in lower case; case is ignored in matching. ``*`` matches
    any characters, ``?`` one."""
    rates_json: str | None
    """`rates` as JSON; None if the row ends a price."""
    effective_at_us: int
    """`effective_at` in microseconds since 1970."""
    recorded_at_us: int
    """`recorded_at` in microseconds since 1970."""
    note: str | None
    """The remark that was stored with it."""

    @property
    def rates(self) -> dict[str, Decimal]:
        """USD by the name of the rate (``input_mtok``: a million input tokens); empty at an end."""
        rates = json.loads(self.rates_json) if self.rates_json else {}
        return {key: Decimal(usd) for key, usd in rates.items()}

    @property
    def removed(self) -> bool:
        """Whether this row ends the model's own price."""
        return self.rates_json is None

    @property
    def effective_at(self) -> datetime:
        """The first time of a call that it applies to, in UTC."""
        return from_us(self.effective_at_us)

    @property
    def recorded_at(self) -> datetime:
        """When the row was written, in UTC."""
        return from_us(self.recorded_at_us)

    @property
    def source(self) -> str:
        """The ``price_source`` of the entries that it prices."""
        return f"own price {self.id}"


class Repriced(NamedTuple):
    """An entry that was recorded without a price, with the price that `Ledger.reprice` found."""

    entry: Entry
    """The entry without a price."""
    cost: Decimal
    """The cost of its call, in USD."""
    source: str
    """Where the price comes from, such as ``own price 12``."""
    unit_prices: dict[str, str]
    """USD by the name of the rate."""
    adjustment: Entry | None
    """The new entry that records the cost; None in a dry run."""


class PriceBook:
    """The own prices of a project and of all projects, looked up by model and moment."""

    def __init__(self, rows: Iterable[OwnPrice]) -> None:
        dated: dict[tuple[bool, str], list[OwnPrice]] = {}
        for row in rows:
            dated.setdefault((row.project is not None, row.model), []).append(row)
        for of_name in dated.values():
            of_name.sort(key=lambda row: (row.effective_at_us, row.id))
        self._exact = {key: of_name for key, of_name in dated.items() if not is_pattern(key[1])}
        self._patterns = [
            ((of_project, False, len(name)), _matching(name), of_name)
            for (of_project, name), of_name in dated.items()
            if is_pattern(name)
        ]
        self._by_name: dict[str, list[tuple[tuple[bool, bool, int], list[OwnPrice]]]] = {}

    def find(self, model: str, at_us: int) -> OwnPrice | None:
        """The price of `model` at `at_us` (microseconds since 1970), or None.

        Prices of the project precede those of all projects, then an exact name precedes a
        pattern, a longer pattern a shorter one, and a newer row an older one.
        """
        if not (self._exact or self._patterns):
            return None
        name = price_name(model)
        candidates = self._by_name.get(name)
        if candidates is None:
            if len(self._by_name) >= _MOST_REMEMBERED:
                self._by_name.clear()
            candidates = self._by_name[name] = self._candidates(name)
        in_force = [
            (rank, row.effective_at_us, row.id, row)
            for rank, of_name in candidates
            if (row := _in_force(of_name, at_us)) is not None
        ]
        return max(in_force)[-1] if in_force else None

    def standing(self, at_us: int) -> list[OwnPrice]:
        """All prices in force at `at_us` (microseconds since 1970), sorted by model."""
        every = [*self._exact.values(), *(of_name for _, _, of_name in self._patterns)]
        rows = [row for of_name in every if (row := _in_force(of_name, at_us)) is not None]
        return sorted(rows, key=lambda row: (row.model, row.project or ""))

    def _candidates(self, name: str) -> list[tuple[tuple[bool, bool, int], list[OwnPrice]]]:
        exact = [
            ((of_project, True, 0), self._exact[of_project, name])
            for of_project in (True, False)
            if (of_project, name) in self._exact
        ]
        return exact + [(rank, rows) for rank, form, rows in self._patterns if form.match(name)]


def _in_force(rows: list[OwnPrice], at_us: int) -> OwnPrice | None:
    """The row in force at a moment, of the `rows` of one name, oldest first; None if none is."""
    row = next((row for row in reversed(rows) if row.effective_at_us <= at_us), None)
    return None if row is None or row.removed else row


def price_name(model: str) -> str:
    """Normalize a model's name or pattern: lower case, without surrounding blanks."""
    return model.strip().lower()


def is_pattern(name: str) -> bool:
    """Whether `name` has wildcards (``*`` or ``?``)."""
    return "*" in name or "?" in name


def matches(pattern: str, model: str) -> bool:
    """Whether `pattern` (or plain name) matches `model`; case is ignored."""
    return _matching(price_name(pattern)).match(price_name(model)) is not None


def _matching(pattern: str) -> re.Pattern[str]:
    # No character classes: model names may contain brackets.
    return re.compile(translate(pattern.replace("[", "[[]")))

"""The part of a ledger that prices: the user's own prices, and calls without a price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from budgetledger.errors import StoreError
from budgetledger.journal import price_rows as _price_rows
from budgetledger.journal import repricing as _repricing
from budgetledger.journal.journal import LedgerCore
from budgetledger.money import Amount
from budgetledger.names import checked_name, checked_reason
from budgetledger.prices import OwnPrice, PriceBook, Repriced, price_name
from budgetledger.storage.writer import Execute
from budgetledger.windows import to_us

if TYPE_CHECKING:
    from budgetledger.journal.repricing import Unpriced
    from budgetledger.pricing.rates import Price
    from budgetledger.usage import Usage

_PAGE = 100  # entries priced in one transaction: others get their turn between

Progress = Callable[[int, int], None]


class PricingLedger(LedgerCore):
    """See `Ledger`."""

    def set_price(
        self,
        model: str,
        *,
        input: Amount | None = None,
        output: Amount | None = None,
        cache_read: Amount | None = None,
        cache_write: Amount | None = None,
        cache_write_1h: Amount | None = None,
        reasoning: Amount | None = None,
        input_audio: Amount | None = None,
        output_audio: Amount | None = None,
        request: Amount | None = None,
        web_search: Amount | None = None,
        image: Amount | None = None,
        rates: Mapping[str, Amount] | None = None,
        effective_at: datetime | None = None,
        all_projects: bool = False,
        note: str | None = None,
    ) -> OwnPrice:
        """Say what calls of *model* cost: before litellm's figure and the shipped list.

        *model*: a name, or a pattern such as ``my-model-*``. USD for a million tokens; for one
        *request*, *web_search* or generated *image*. 0 is free; what has no rate has no price,
        but for what falls back (cached and written input to *input*, *reasoning* to *output*).
        *rates* takes any of those the row has, by their keys: ``{"input_mtok": 3,
        "input_mtok_above_200000_tokens": 6, "input_mtok_batch": "1.5"}``.

        It holds for calls made from *effective_at* (now) on, in this project or in
        *all_projects*, until another row of the same model; the rows before it stay. Returns
        the row; the one that stands, if it says the same. Raises `InvalidInput`.
        """
        from budgetledger.pricing import own_rates as _own_rates

        by_name = {
            "input_mtok": (input, 1), "output_mtok": (output, 1),
            "cache_read_mtok": (cache_read, 1), "cache_write_mtok": (cache_write, 1),
            "cache_write_1h_mtok": (cache_write_1h, 1), "output_reasoning_mtok": (reasoning, 1),
            "input_audio_mtok": (input_audio, 1), "output_audio_mtok": (output_audio, 1),
            "requests_kcount": (request, 1000), "web_searches_kcount": (web_search, 1000),
            "output_images": (image, 1),
        }  # fmt: skip
        given = {
            key: _own_rates.times(usd, many, key)
            for key, (usd, many) in by_name.items()
            if usd is not None
        }
        rates_json = _own_rates.stated({**given, **(rates or {})})
        revision = self._revision(model, effective_at, all_projects, note, rates_json)
        return self._write(partial(_price_rows.revise, revision=revision))[0]

    def remove_price(
        self,
        model: str,
        *,
        effective_at: datetime | None = None,
        all_projects: bool = False,
        note: str | None = None,
    ) -> OwnPrice:
        """End the own price of *model* (as it was set) for calls from *effective_at* (now) on.

        Returns the row that says so. Raises `UnpricedModel` if there is no such price.
        """
        revision = self._revision(model, effective_at, all_projects, note)
        return self._write(partial(_price_rows.revise, revision=revision))[0]

    def _revision(
        self,
        model: str,
        effective_at: datetime | None,
        all_projects: bool,
        note: str | None,
        rates_json: str | None = None,
    ) -> _price_rows.Revision:
        return _price_rows.Revision(
            None if all_projects else self.project,
            price_name(checked_name(model, "model")),
            None if effective_at is None else to_us(effective_at),
            None if note is None else checked_reason(note),
            rates_json,
        )

    def prices(self, *, at: datetime | None = None, history: bool = False) -> list[OwnPrice]:
        """The own prices that stand at a moment (now), of this project and of all, by model.

        With *history* every row instead, in the order they were written.
        """
        if history:
            return self._store.read(lambda execute: _price_rows.rows(execute, self.project))
        return self._book().standing(self._clock() if at is None else to_us(at))

    def reprice(
        self,
        account: str | None = None,
        *,
        model: str | None = None,
        dry_run: bool = True,
        progress: Progress | None = None,
    ) -> list[Repriced]:
        """Price entries that were recorded without a price, each at its call's own time.

        Those that count on *account*, or all of the project's, of one *model* or pattern. By
        own prices, then the shipped list. A dry run tells what would be priced; without it each
        gets an adjustment that states its cost. An entry is priced once, however often and from
        wherever this is called. Raises `UnknownAccount`. *progress*: see `Ledger.verify`.
        """
        pages = self._reprice(account, model, dry_run, progress)
        return [one for priced, _ in pages for one in priced]

    def _reprice(
        self, account: str | None, model: str | None, dry_run: bool, progress: Progress | None
    ) -> Iterator[tuple[list[Repriced], list[Unpriced]]]:
        """Page by page: the entries that are priced, and those whose price is not known."""
        project, read = self.project, self._store.read
        if account is not None:
            checked_name(account, "account")
        ids = read(partial(_repricing.unpriced_ids, project=project, account=account))
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            calls = [
                call
                for call in read(partial(_repricing.calls, project=project, ids=page))
                if _repricing.is_of(call, model)
            ]
            found = [_repricing.price_call(call, self._book) for call in calls]
            priced = {one.entry.id: one for one in found if one is not None}
            unknown = [call for call, one in zip(calls, found, strict=True) if one is None]
            if priced and not dry_run:  # somebody else may have priced some meanwhile
                stating = partial(_repricing.state, project=project, found=[*priced.values()])
                priced = {one.entry.id: one for one in self._write(stating)}
            yield [*priced.values()], unknown
            if progress is not None:
                progress(start + len(page), len(ids))

    def _price_of(self, model: str, usage: Usage, at: datetime) -> Price:
        """What a call costs that is made at a moment. Raises `UnpricedModel`."""
        from budgetledger.pricing.sources import price_of

        return price_of(model, usage, at, self._book)

    def _book(self) -> PriceBook:
        """The own prices as they are now; kept until there are more of them.

        Where they cannot be read at this moment (in a finaliser amid a read, perhaps), as they
        were read last. Raises `StoreError` if they never were.
        """
        books = self._memory.books

        def operation(execute: Execute) -> tuple[int | None, PriceBook]:
            self._memory.forget_before(self._store.renewals)
            kept, newest = books.get(self.project), _price_rows.last_id(execute)
            if kept is not None and kept[0] == newest:
                return kept
            return newest, PriceBook(_price_rows.rows(execute, self.project))

        try:
            found = self._store.read(operation)
        except StoreError:
            kept = books.get(self.project)
            if kept is None:
                raise
            return kept[1]
        books[self.project] = found
        return found[1]

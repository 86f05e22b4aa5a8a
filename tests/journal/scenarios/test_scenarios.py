"""Runs the text ledgers beside this file: one act a line, its outcome, then what must hold.

::

    at      2026-01-31T10:00Z                      the clock shows this from here on
    limit   alice 10.00 a month                    or: 5 requests, 900 tokens; each 24h; for ever;
            … anchored in Europe/Berlin of gpt-4o named cap
    remove  alice cap
    charge  alice 4.00 gpt-4o                      or: 1000+200 tokens in and out; … key k1
            … made 2026-01-30T10:00Z               when the call was made; so for settle
    adjust  alice -0.25                            corrects the account's last charge
    shift   alice                                  or one budget: shift alice cap
    parent  alice team                             or: alice - for none
    freeze  alice                                  and: unfreeze
    hold    alice 4.00 gpt-4o as h1                or: 900 tokens; - for no model; … for 60s key k1
    extend  h1 60s
    settle  h1 3.50                                or: 1000+200
    release h1
    expire  h1                                     the clock shows its deadline from here on
    balance alice posted 4.00 available 6.00       or: held, limit, unpriced, start, end
            … of cap at 2026-01-30T10:00Z as-of 2026-01-31T10:00Z
    models  alice gpt-4o 4.00 o3 1.00
    rows    alice 5
    open    alice h1 h2                            the holds that count against it
    refused team cap until 2026-02-01T00:00Z       the last refusal: by whom; or: until never

An act ends in ``ok`` or the name of the error it raised or of the warning it gave. Before a hold,
``can_afford`` has to foretell whether it is granted.
"""

import warnings
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from budgetledger import Ledger, Usage, errors
from budgetledger.testing import FakeClock

FILES = sorted(Path(__file__).parent.glob("*.ledger"))
ACTS = ("limit", "remove", "charge", "adjust", "shift")
ACTS += ("parent", "freeze", "unfreeze", "hold", "extend", "settle", "release")
moment = datetime.fromisoformat


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file, database):
    clock = FakeClock(moment("2026-01-01T00:00Z"))
    holds, refusals = {}, []
    with Ledger(database.target, synchronous="NORMAL", clock=clock) as ledger:
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            if words := line.partition("#")[0].split():
                try:
                    Line(ledger, clock, holds, refusals, words).run()
                except Exception as error:
                    error.add_note(f"{file.name}, line {number}: {line}")
                    raise
        assert ledger.verify().ok


class Line:  # read from left to right
    def __init__(self, ledger, clock, holds, refusals, words):
        self.ledger, self.clock, self.words = ledger, clock, words
        self.holds, self.refusals = holds, refusals

    def run(self):
        verb = self.next()
        expected = self.words.pop() if verb in ACTS else "ok"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                getattr(self, verb)()
                outcome = "+".join(warning.category.__name__ for warning in caught) or "ok"
            except errors.BudgetledgerError as error:
                outcome = type(error).__name__
        assert outcome == expected
        assert not self.words, f"not understood: {self.words}"

    def next(self):
        return self.words.pop(0)

    def after(self, introduction):
        """The word after *introduction*, if that comes next."""
        return self.words.pop(0) and self.next() if self.words[:1] == [introduction] else None

    def at(self):
        self.clock.move_to(moment(self.next()))

    def limit(self):
        account, limit = self.next(), {"limit": self.next()}
        if self.words[:1] in (["tokens"], ["requests"]):
            limit = {self.next(): int(limit["limit"])}
        span = self.after("each")
        limit["per"] = timedelta(hours=int(span.removesuffix("h"))) if span else self.after("a")
        limit["anchor"] = "creation" if self.words[:1] == ["anchored"] and self.next() else None
        limit["timezone"] = self.after("in") or "UTC"
        self.ledger.set_budget(account, **limit, model=self.after("of"), name=self.after("named"))

    def remove(self):
        self.ledger.remove_budget(self.next(), self.next())

    def charge(self):
        account, amount, model = self.next(), self.next(), self.next()
        spent = {"cost": amount} if used(amount) is None else {"usage": used(amount)}
        key, occurred_at = self.after("key"), self.made()
        self.ledger.charge(account, model=model, key=key, occurred_at=occurred_at, **spent)

    def made(self):
        when = self.after("made")
        return when and moment(when)

    def adjust(self):
        *_, last = (entry for entry in self.ledger.entries(self.next()) if entry.kind == "charge")
        self.ledger.adjust(last, self.next(), reason="a correction")

    def shift(self):
        self.ledger.shift_window(self.next(), self.next() if self.words else None)

    def parent(self):
        self.ledger.set_parent(self.next(), self.name())

    def freeze(self):
        self.ledger.freeze(self.next())

    def unfreeze(self):
        self.ledger.unfreeze(self.next())

    def hold(self):
        account, amount = self.next(), {"amount": self.next()}
        if self.words[:1] == ["tokens"]:
            amount = {self.next(): int(amount["amount"])}
        amount["model"] = self.name()
        name, span, key = self.after("as"), self.after("for"), self.after("key")
        foretold = None
        if key is None or name not in self.holds:
            with suppress(errors.UnknownAccount):
                foretold = self.ledger.can_afford(account, **amount)
        terms = {"expires_in": int(span.removesuffix("s"))} if span else {}
        refused = (errors.BudgetExceededError, errors.AccountFrozen)
        try:
            hold = self.ledger.hold(account, **amount, **terms, key=key)
        except refused as error:
            self.refusals.append(error)
            assert foretold is False
            raise
        assert foretold is not False
        if name in self.holds:
            assert hold.id == self.holds[name].id
        self.holds[name] = hold

    def extend(self):
        self.holds[self.next()].extend(int(self.next().removesuffix("s")))

    def settle(self):
        hold, amount = self.holds[self.next()], self.next()
        hold.settle(used(amount) or amount, occurred_at=self.made())

    def release(self):
        self.holds[self.next()].release()

    def expire(self):
        self.clock.move_to(self.holds[self.next()].expires_at)

    def name(self):
        """A name, or None for ``-``."""
        word = self.next()
        return None if word == "-" else word

    def balance(self):
        account, budget = self.next(), self.after("of")
        asked = {"at": self.after("at"), "as_of": self.after("as-of")}
        found = self.ledger.balance(account, **{k: moment(v) for k, v in asked.items() if v})
        if budget:
            (found,) = (status for status in found.budgets if status.budget.name == budget)
        while self.words:
            what, expected = self.next(), self.next()
            of, read = (found.window, moment) if what in ("start", "end") else (found, Decimal)
            assert getattr(of, what) == read(expected), what

    def models(self):
        found = self.ledger.model_costs(self.next())
        assert found == {self.next(): Decimal(self.next()) for _ in self.words[::2]}

    def rows(self):
        assert len(list(self.ledger.entries(self.next()))) == int(self.next())

    def open(self):
        found = [hold.id for hold in self.ledger.holds(self.next())]
        assert found == [self.holds[name].id for name in self.words]
        self.words.clear()

    def refused(self):
        error = self.refusals[-1]
        assert (error.account, error.budget.name) == (self.next(), self.next())
        expected, found = self.after("until"), None
        if error.retry_after is not None:
            found = self.clock.now + timedelta(microseconds=round(error.retry_after * 1e6))
        assert found == (None if expected == "never" else moment(expected))


def used(amount):
    """The usage that ``1000+200`` stands for, or None."""
    tokens = amount.split("+")
    return Usage(*map(int, tokens)) if len(tokens) == 2 else None

"""A real ledger file against plain dictionaries: whatever is done, both tell the same.

The oracle knows the rules of the ledger and none of its code: it keeps every row as a dict and
answers each question by adding rows up again. Only `window_at`, which has tests of its own, is
shared. Plain SQL over the file is the third witness.
"""

import sqlite3
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from budgetledger import Ledger, Usage
from budgetledger.errors import (
    ClockWarning,
    IdempotencyConflict,
    UnknownAccount,
    UnknownAccountWarning,
    UnknownEntry,
    UnpricedWarning,
)
from budgetledger.testing import FakeClock
from budgetledger.windows import UNITS, from_us, make_period, to_us, window_at

EVER = float("inf")
PICO = 10**12
# openai.com/api/pricing, 2026-01: gpt-4o, 2.50 and 10.00 USD a million tokens.
GPT_4O_INPUT_PICO, GPT_4O_OUTPUT_PICO = 2_500_000, 10_000_000


def usd(pico):
    return Decimal(pico).scaleb(-12)


class Books:
    """The oracle: all rows of the file in order, and what follows from them."""

    def __init__(self):
        self.rows = []

    # -- writing ------------------------------------------------------------------------------

    def append(self, who, kind, at_us, **facts):
        row = {
            "id": len(self.rows) + 1,
            "who": who,
            "kind": kind,
            "at_us": max(at_us, self.last_us(who)),
            "model": None,
            "cost": None,
            "tokens": 0,
            "requests": 0,
            "unpriced": 0,
            "key": None,
            "corrects": None,
            **facts,
        }
        self.rows.append(row)
        return row

    # -- reading ------------------------------------------------------------------------------

    def of(self, who, kind=None):
        return [r for r in self.rows if r["who"] == who and kind in (None, r["kind"])]

    def last_us(self, who):
        return max((row["at_us"] for row in self.of(who)), default=0)

    def with_key(self, project, key):
        found = [r for r in self.rows if r["who"][0] == project and r["key"] == key]
        return found[0] if found and key is not None else None

    def is_priced(self, row):
        pricing = (r["corrects"] == row["id"] and r["unpriced"] == -1 for r in self.rows)
        return not row["unpriced"] or any(pricing)

    def revisions(self, who, name):
        return [row for row in self.of(who, "budget") if row["name"] == name]

    def standing(self, who, moment_us=EVER, known_us=EVER):
        """The terms of each budget in force at a moment, as known at another."""
        terms = {}
        for name in sorted({row["name"] for row in self.of(who, "budget")}):
            known = [row for row in self.revisions(who, name) if row["at_us"] <= known_us]
            before = [row for row in known if row["at_us"] <= moment_us]
            for row in (before or known[:1])[-1:]:
                if row["terms"] is not None:
                    terms[name] = row["terms"]
        return terms

    def window(self, who, name, terms, moment_us, known_us):
        start_us, end_us, _ = window_at(terms["period"], moment_us)
        for row in self.of(who, "shift"):
            if row["name"] == name and row["at_us"] <= known_us:
                if row["start_us"] <= moment_us:
                    start_us = max(row["start_us"], -EVER if start_us is None else start_us)
                else:
                    end_us = min(row["start_us"], EVER if end_us is None else end_us)
        return start_us, end_us

    def posted(self, who, window, known_us, model=None):
        """Cost, tokens, requests and unpriced of the rows in a window."""
        start_us, end_us = window
        rows = [
            row
            for row in self.of(who)
            if (start_us is None or start_us <= row["at_us"])
            and (end_us is None or row["at_us"] < end_us)
            and row["at_us"] <= known_us
            and model in (None, row["model"])
        ]
        columns = ("cost", "tokens", "requests", "unpriced")
        return tuple(sum(row[column] or 0 for row in rows) for column in columns)

    def statuses(self, who, moment_us, known_us):
        """(name, measure, limit, model, window, posted of every measure) of each budget."""
        found = []
        for name, terms in self.standing(who, moment_us, known_us).items():
            window = self.window(who, name, terms, moment_us, known_us)
            posted = self.posted(who, window, known_us, terms["model"])
            found.append((name, terms["measure"], terms["limit"], terms["model"], window, posted))
        return found

    def reported(self, who, moment_us, known_us):
        """Limit, window, model and posted of the budget that the balance reports."""
        found = [
            (name != "default", limit - posted[0], name, limit, window, model, posted)
            for name, measure, limit, model, window, posted in self.statuses(
                who, moment_us, known_us
            )
            if measure == "usd"
        ]
        if found:
            return min(found)[3:]
        return None, (None, None), None, self.posted(who, (None, None), known_us)


# -- what callers do ------------------------------------------------------------------------

START = datetime(2026, 1, 31, 10, tzinfo=UTC)
PROJECTS = ("one", "one", "two")  # of each open ledger: two on the same project
desks = st.sampled_from(range(len(PROJECTS)))
accounts = st.sampled_from(["alice", "bob"])
models = st.sampled_from(["gpt-4o", "o3", "house-model"])
picos = st.integers(0, 3) | st.integers(0, 9 * PICO) | st.integers(0, 10**5 * PICO)
written = st.sampled_from([lambda pico: usd(pico), lambda pico: f"{usd(pico):f}"])
keys = st.none() | st.sampled_from(["k1", "k2", "k3"])
tags = st.none() | st.just({"feature": "search", "n": [1, None]})
budgets = st.fixed_dictionaries(
    {
        "limited": st.tuples(st.just("usd"), picos)
        | st.tuples(st.sampled_from(["tokens", "requests"]), st.integers(0, 10**6)),
        "per": st.sampled_from(
            (None, *UNITS, timedelta(microseconds=1), timedelta(hours=1), timedelta(days=7))
        ),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
        "week_start": st.sampled_from(["monday", "sunday"]),
        "anchor": st.sampled_from([None, "creation", datetime(2024, 2, 29, 23, 30, tzinfo=UTC)]),
        "model": st.none() | models,
        "name": st.sampled_from([None, "default", "cap"]),
    }
)
forward = {"microseconds": 1}, {"seconds": 1}, {"hours": 5}, {"days": 1}, {"days": 400}
backward = {"microseconds": -1}, {"seconds": -2}, {"days": -2}


@contextmanager
def warned(expected):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert sorted(w.category.__name__ for w in caught) == sorted(kind.__name__ for kind in expected)


class LedgerAgainstBooks(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name, "spend.db")
        self.clock = FakeClock(START)
        self.ledgers = [self.opened(project) for project in PROJECTS]
        self.sql = sqlite3.connect(self.path)
        self.books = Books()

    def opened(self, project):
        return Ledger(self.path, project=project, synchronous="NORMAL", clock=self.clock)

    def teardown(self):
        try:
            self.verify()
        finally:
            self.sql.close()
            for ledger in self.ledgers:
                ledger.close()
            self.folder.cleanup()

    # -- time, files --------------------------------------------------------------------------

    @rule(step=st.sampled_from(forward + backward))
    def step_the_clock(self, step):
        self.clock.advance(**step)

    @precondition(lambda self: self.books.rows)
    @rule(data=st.data(), before_us=st.sampled_from([0, 1]))
    def move_to_the_end_of_a_window(self, data, before_us):
        ends_us = set()
        for who in {row["who"] for row in self.books.rows}:
            for *_, window, _ in self.books.statuses(who, self.now_us(who), EVER):
                ends_us.add(window[1])
        if ends := sorted(ends_us - {None}):
            self.clock.move_to(from_us(data.draw(st.sampled_from(ends)) - before_us))

    @rule(desk=desks)
    def reopen(self, desk):
        self.ledgers[desk].close()
        self.ledgers[desk] = self.opened(PROJECTS[desk])

    @rule()
    def verify(self):
        verification = self.ledgers[0].verify()
        assert verification.problems == ()
        assert verification.entries == len(self.books.rows)

    # -- budgets ------------------------------------------------------------------------------

    @rule(desk=desks, account=accounts, asked=budgets)
    def set_budget(self, desk, account, asked):
        who = PROJECTS[desk], account
        (measure, limit), per, anchor = asked["limited"], asked["per"], asked["anchor"]
        if not isinstance(per, str):
            anchor = None
        amount = {"limit": usd(limit)} if measure == "usd" else {measure: limit}
        asked_so = {name: asked[name] for name in asked.keys() - {"limited", "anchor"}}
        budget = self.ledgers[desk].set_budget(account, **amount, anchor=anchor, **asked_so)
        if isinstance(per, timedelta) and asked["name"] is None:
            name = budget.name  # how a span is written is for unit tests to say
        else:
            name = asked["name"] or "/".join(filter(None, (measure, per, asked["model"])))
        revisions = self.books.revisions(who, name)
        created_us = revisions[0]["created_us"] if revisions else self.clock()
        anchors_us = {None: None, "creation": created_us}
        period = make_period(
            per,
            timezone=asked["timezone"],
            week_start=asked["week_start"],
            anchor_us=anchors_us[anchor] if anchor in anchors_us else to_us(anchor),
        )
        terms = {"measure": measure, "limit": limit, "model": asked["model"], "period": period}
        if not revisions or revisions[-1]["terms"] != terms:
            facts = {"name": name, "terms": terms, "created_us": created_us, "asked": asked}
            self.books.append(who, "budget", self.clock(), **facts)
        assert budget.account == account
        assert (budget.name, budget.measure, budget.model) == (name, measure, asked["model"])
        assert budget.limit == (usd(limit) if measure == "usd" else limit)
        assert budget.period == period
        assert round(budget.created_at * 1e6) == created_us

    @precondition(lambda self: any(row["kind"] == "budget" for row in self.books.rows))
    @rule(data=st.data())
    def set_budget_as_before(self, data):
        row = data.draw(st.sampled_from([r for r in self.books.rows if r["kind"] == "budget"]))
        project, account = row["who"]
        self.set_budget(PROJECTS.index(project), account, row["asked"])

    @precondition(lambda self: any(row["kind"] == "budget" for row in self.books.rows))
    @rule(desk=desks, account=accounts, data=st.data())
    def remove_budget(self, desk, account, data):
        name = data.draw(
            st.sampled_from([r["name"] for r in self.books.rows if r["kind"] == "budget"])
        )
        who = PROJECTS[desk], account
        if name not in self.books.standing(who):
            with pytest.raises(UnknownAccount):
                self.ledgers[desk].remove_budget(account, name)
            return
        self.ledgers[desk].remove_budget(account, name)
        facts = self.books.revisions(who, name)[-1]
        facts = {key: facts[key] for key in ("name", "created_us", "asked")} | {"terms": None}
        self.books.append(who, "budget", self.clock(), **facts)

    @rule(desk=desks, account=accounts, name=st.sampled_from([None, None, "default", "usd/day"]))
    def shift_window(self, desk, account, name):
        who = PROJECTS[desk], account
        shifted = {n: t for n, t in self.books.standing(who).items() if name in (None, n)}
        if not shifted:
            with pytest.raises(UnknownAccount):
                self.ledgers[desk].shift_window(account, name)
            return
        window = self.ledgers[desk].shift_window(account, name, reason="so it was agreed")
        start_us = max(self.clock(), self.books.last_us(who) + 1)
        for each in shifted:
            self.books.append(who, "shift", start_us, name=each, start_us=start_us)
        first = next(iter(shifted))
        expected = self.books.window(who, first, shifted[first], start_us, EVER)
        assert window[:2] == expected
        assert window.start_us == start_us

    # -- money --------------------------------------------------------------------------------

    @rule(
        desk=desks,
        account=accounts,
        model=st.none() | models,
        pico=picos,
        written=written,
        tags=tags,
        key=keys,
    )
    def charge_cost(self, desk, account, model, pico, written, tags, key):
        call = {"cost": written(pico), "model": model, "tags": tags, "key": key}
        content = {"model": model or "unknown", "cost": pico, "tokens": 0}
        self.charge(desk, account, call, content, (pico, None))

    @rule(
        desk=desks,
        account=accounts,
        model=models,
        used=st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)),
        key=keys,
    )
    def charge_usage(self, desk, account, model, used, key):
        model = "gpt-4o" if model == "o3" else model
        cost = None
        if model == "gpt-4o":
            cost = used[0] * GPT_4O_INPUT_PICO + used[1] * GPT_4O_OUTPUT_PICO
        call = {"usage": Usage(*used), "model": model, "key": key}
        content = {"model": model, "cost": cost, "tokens": sum(used)}
        self.charge(desk, account, call, content, (None, used))

    def charge(self, desk, account, call, content, given):
        who = PROJECTS[desk], account
        stands_for = (account, "charge", content["model"], given)
        unpriced = content["cost"] is None
        is_new = not self.books.of(who)
        expected = [UnpricedWarning] * unpriced
        if self.books.with_key(who[0], call["key"]) is None:
            expected += [UnknownAccountWarning] * is_new
        facts = {
            **content,
            "requests": 1,
            "unpriced": int(unpriced),
            "key": call["key"],
            "stands_for": stands_for,
            "again": lambda desk: self.charge(desk, account, call, content, given),
        }
        self.post(who, "charge", facts, expected, self.ledgers[desk].charge, account, **call)

    @precondition(lambda self: self.books.rows)
    @rule(desk=desks, data=st.data(), pico=picos, sign=st.sampled_from([1, -1]), key=keys)
    def adjust(self, desk, data, pico, sign, key):
        row = data.draw(st.sampled_from(self.books.rows))
        self.correct(desk, row, sign * pico, key)

    @precondition(lambda self: any(row["unpriced"] == 1 for row in self.books.rows))
    @rule(data=st.data(), pico=picos)
    def price(self, data, pico):
        row = data.draw(st.sampled_from([r for r in self.books.rows if r["unpriced"] == 1]))
        self.correct(PROJECTS.index(row["who"][0]), row, pico, None)

    def correct(self, desk, row, pico, key):
        adjust = self.ledgers[desk].adjust
        if row["kind"] != "charge" or row["who"][0] != PROJECTS[desk]:
            with pytest.raises(UnknownEntry):
                adjust(row["id"], usd(pico), reason="wrong price", key=key)
            return
        facts = {
            "model": row["model"],
            "cost": pico,
            "corrects": row["id"],
            "unpriced": 0 if self.books.is_priced(row) else -1,
            "key": key,
            "stands_for": (row["who"][1], "adjustment", row["id"], pico),
            "again": lambda desk: self.correct(desk, row, pico, key),
        }
        self.post(
            row["who"],
            "adjustment",
            facts,
            [],
            adjust,
            row["id"],
            usd(pico),
            reason="wrong price",
            key=key,
        )

    def post(self, who, kind, facts, expected, method, *args, **kwargs):
        """Call *method*: a new row, or what its key stands for already."""
        first = self.books.with_key(who[0], facts["key"])
        if first is None:
            behind_us = self.books.last_us(who) - self.clock()
            expected = expected + [ClockWarning] * (behind_us > 1_000_000)
        with warned(expected):
            if first is not None and first["stands_for"] != facts["stands_for"]:
                with pytest.raises(IdempotencyConflict) as caught:
                    method(*args, **kwargs)
                assert (caught.value.key, caught.value.entry.id) == (first["key"], first["id"])
                return
            entry = method(*args, **kwargs)
        if first is None:
            first = self.books.append(who, kind, self.clock(), **facts)
            first["entry"] = entry
        assert entry == first["entry"]
        assert entry.tags == (kwargs.get("tags") or {})

    @precondition(lambda self: any(row["key"] for row in self.books.rows))
    @rule(data=st.data())
    def call_again_with_the_same_key(self, data):
        row = data.draw(st.sampled_from([row for row in self.books.rows if row["key"]]))
        desk = data.draw(st.sampled_from([d for d, p in enumerate(PROJECTS) if p == row["who"][0]]))
        row["again"](desk)

    # -- what must hold -----------------------------------------------------------------------

    def now_us(self, who):
        return max(self.clock(), self.books.last_us(who))

    @invariant()
    def every_balance_agrees(self):
        for desk in range(len(PROJECTS)):
            for account in ("alice", "bob"):
                self.balance_agrees(desk, account)

    @precondition(lambda self: self.books.rows)
    @rule(desk=desks, account=accounts, data=st.data())
    def look_back(self, desk, account, data):
        landmarks = {to_us(START), self.clock(), self.clock() + 40 * 86_400_000_000}
        for row in self.books.rows:
            landmarks.add(row["at_us"])
        for *_, window, _ in self.books.statuses((PROJECTS[desk], account), self.clock(), EVER):
            landmarks.update(us for us in window if us is not None)
        moments = st.none() | st.builds(
            int.__add__, st.sampled_from(sorted(landmarks)), st.integers(-1, 1)
        )
        for _ in range(3):
            self.balance_agrees(desk, account, data.draw(moments), data.draw(moments))

    def balance_agrees(self, desk, account, at_us=None, as_of_us=None):
        who, ledger = (PROJECTS[desk], account), self.ledgers[desk]
        asked = {
            name: from_us(us) for name, us in (("at", at_us), ("as_of", as_of_us)) if us is not None
        }
        if not self.books.of(who):
            with pytest.raises(UnknownAccount):
                ledger.balance(account, **asked)
            return
        known_us = EVER if as_of_us is None else as_of_us
        moment_us = min(self.now_us(who), known_us) if at_us is None else at_us
        balance = ledger.balance(account, **asked)
        limit, window, model, posted = self.books.reported(who, moment_us, known_us)
        assert balance.window[:2] == window
        assert balance.posted == usd(posted[0])
        # Calls of earlier windows that were priced in this one leave nothing to price.
        assert max(balance.unpriced, 0) == max(posted[3], 0)
        assert posted == self.summed_by_sql(who, window, known_us, model)
        if limit is None:
            assert balance.limit is balance.available is None
        else:
            assert balance.limit == usd(limit)
            assert balance.available == usd(limit - posted[0])

        for status, (name, measure, limit, model, window, posted) in zip(
            balance.budgets, self.books.statuses(who, moment_us, known_us), strict=True
        ):
            used = {"usd": usd(posted[0]), "tokens": posted[1], "requests": posted[2]}[measure]
            limit = usd(limit) if measure == "usd" else limit
            assert (status.budget.name, status.budget.measure) == (name, measure)
            assert (status.budget.limit, status.posted) == (limit, used)
            assert status.available == limit - used
            assert status.window[:2] == window
            assert posted == self.summed_by_sql(who, window, known_us, model)

        costs = ledger.model_costs(account, **asked)
        window = balance.window[:2]
        assert sum(costs.values()) == usd(self.books.posted(who, window, known_us)[0])
        for model in {row["model"] for row in self.books.of(who)} - {None}:
            posted = self.books.posted(who, window, known_us, model)
            assert costs.pop(model, None) == (usd(posted[0]) if any(posted) else None)
        assert costs == {}

    def summed_by_sql(self, who, window, known_us, model):
        start_us, end_us = window
        return self.sql.execute(
            """
            SELECT coalesce(sum(cost_pico), 0), coalesce(sum(input_tokens + output_tokens), 0),
                   coalesce(sum(requests), 0), coalesce(sum(unpriced), 0)
            FROM entries e
            JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = a.project_id
            WHERE p.name = ? AND a.name = ? AND recorded_at_us >= coalesce(?, 0)
                  AND recorded_at_us < coalesce(?, 9e18) AND recorded_at_us <= ?
                  AND model IS coalesce(?, model)""",
            (*who, start_us, end_us, known_us, model),
        ).fetchone()

    @invariant()
    def entries_only_grow(self):
        for ledger in self.ledgers[1:]:
            rows = [row for row in self.books.rows if row["who"][0] == ledger.project]
            entries = list(ledger.entries())
            for entry, row in zip(entries, rows, strict=True):
                # An entry stays what it was when it was first seen.
                assert row.setdefault("entry", entry) == entry
                assert (entry.id, entry.account) == (row["id"], row["who"][1])
                assert (entry.kind, entry.recorded_at_us) == (row["kind"], row["at_us"])
                assert (entry.model, entry.cost_pico) == (row["model"], row["cost"])
                assert entry.input_tokens + entry.output_tokens == row["tokens"]
                assert (entry.requests, entry.unpriced) == (row["requests"], row["unpriced"])
                assert (entry.corrects_id, entry.idempotency_key) == (row["corrects"], row["key"])

    @invariant()
    def the_budgets_in_force_agree(self):
        for project, ledger in zip(PROJECTS, self.ledgers, strict=True):
            for account in {row["who"][1] for row in self.books.rows if row["who"][0] == project}:
                standing = self.books.standing((project, account))
                found = {budget.name: budget.period for budget in ledger.budgets(account)}
                assert found == {name: terms["period"] for name, terms in standing.items()}


LedgerAgainstBooks.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestLedgerAgainstBooks = LedgerAgainstBooks.TestCase

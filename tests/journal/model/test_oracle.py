"""A real ledger file against plain dictionaries: whatever is done, both tell the same.

The oracle knows the rules of the ledger and none of its code: it keeps every row as a dict and
answers each question by adding rows up again. Only `window_at`, which has tests of its own, is
shared. Plain SQL over the file is the third witness.
"""

import random
import sqlite3
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from auditor import NAMES, SQL_BELONGS, names_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from samples import START

from budgetledger import Ledger, Usage
from budgetledger.errors import (
    ClockWarning,
    IdempotencyConflict,
    InvalidAmount,
    InvalidInput,
    InvalidPeriod,
    UnknownAccount,
    UnknownAccountWarning,
    UnknownEntry,
    UnpricedWarning,
)
from budgetledger.journal.rows.statements import HEAD
from budgetledger.storage.dialect import compiled
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
            "occurred_us": None,
            "model": None,
            "answered": None,
            "cost": None,
            "tokens": 0,
            "requests": 0,
            "key": None,
            "corrects": None,
            **facts,
        }
        row["belongs_us"] = row["at_us"]
        if row["corrects"] is not None:
            row["belongs_us"] = self.rows[row["corrects"] - 1]["belongs_us"]
        elif row["occurred_us"] is not None:
            row["belongs_us"] = min(row["at_us"], row["occurred_us"])
        self.rows.append(row)
        return row

    # -- reading ------------------------------------------------------------------------------

    def kind(self, kind):
        return [row for row in self.rows if row["kind"] == kind]

    def of(self, who, kind=None):
        return [r for r in self.rows if r["who"] == who and kind in (None, r["kind"])]

    def last_us(self, who):
        return max((row["at_us"] for row in self.of(who)), default=0)

    def with_key(self, project, key):
        found = [r for r in self.rows if r["who"][0] == project and r["key"] == key]
        return found[0] if found and key is not None else None

    def unpriced(self, rows, known_us=EVER):
        """Those of *rows* that are charges without a price, and nobody has stated one since."""
        stated = {row["corrects"] for row in self.rows if row["at_us"] <= known_us}
        charges = [row for row in rows if row["kind"] == "charge" and row["cost"] is None]
        return [row for row in charges if row["id"] not in stated]

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

    def within(self, who, window, known_us, names=None):
        start_us, end_us = window
        return [
            row
            for row in self.of(who)
            if (start_us is None or start_us <= row["belongs_us"])
            and (end_us is None or row["belongs_us"] < end_us)
            and row["at_us"] <= known_us
            and (names is None or row["model"] in names or row["answered"] in names)
        ]

    def posted(self, who, window, known_us, names=None):
        """Cost, tokens and requests of the rows in a window."""
        return self.summed(self.within(who, window, known_us, names))

    def summed(self, rows):
        columns = ("cost", "tokens", "requests")
        return tuple(sum(row[column] or 0 for row in rows) for column in columns)

    def statuses(self, who, moment_us, known_us):
        """(name, measure, limit, models, window, posted of every measure) of each budget."""
        found = []
        for name, terms in self.standing(who, moment_us, known_us).items():
            window = self.window(who, name, terms, moment_us, known_us)
            names = names_of(terms["model"])
            posted = self.posted(who, window, known_us, names)
            found.append((name, terms["measure"], terms["limit"], names, window, posted))
        return found

    def reported(self, who, moment_us, known_us):
        """Limit, window, models and posted of the budget that the balance reports."""
        found = [
            (name != "default", limit - posted[0], name, limit, window, names, posted)
            for name, measure, limit, names, window, posted in self.statuses(
                who, moment_us, known_us
            )
            if measure == "usd"
        ]
        if found:
            return min(found)[3:]
        return None, (None, None), None, self.posted(who, (None, None), known_us)


# -- what callers do ------------------------------------------------------------------------

PROJECTS = ("one", "one", "two")  # of each open ledger: two on the same project
# (which open ledger, account): mostly the same account, so that its history grows long
DESKS = [(0, "alice"), (1, "alice"), (0, "bob"), (2, "alice")]
desks = st.sampled_from(DESKS[:2] * 3 + DESKS[2:])
UNLISTED = "house-model"
models = st.sampled_from(["gpt-4o", "o3", UNLISTED, *sorted(NAMES["gpt-4o"])])
usages = st.tuples(st.integers(0, 10**6), st.integers(0, 10**4))
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
CHANGES = {"limited", "per", "timezone", "week_start", "anchor", "model"}
MICROSECOND = timedelta(microseconds=1)
pauses = st.sampled_from([{}, {"microseconds": 1}, {"hours": 7}, {"days": 3}])
lates = st.sampled_from(
    [None, None, {"days": -1}, {"microseconds": 1}, {"seconds": 3}, {"hours": 30}, {"days": 40}]
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
        self.place()
        self.clock = FakeClock(START)
        self.ledgers = [self.opened(project) for project in PROJECTS]
        self.look()
        self.books = Books()

    def opened(self, project):
        return Ledger(self.target, project=project, synchronous="NORMAL", clock=self.clock)

    def place(self):
        """Decide where the ledger is."""
        self.folder = TemporaryDirectory()
        self.target = Path(self.folder.name, "spend.db")

    def look(self):
        """Look at the ledger as another program does."""
        self.sql = sqlite3.connect(self.target)

    def clear(self):
        self.sql.close()
        self.folder.cleanup()

    def teardown(self):
        try:
            self.verify()
            self.look_back()
        finally:
            for ledger in self.ledgers:
                ledger.close()
            self.clear()

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

    @rule(number=st.sampled_from(range(len(PROJECTS))))
    def reopen(self, number):
        self.verify()
        self.ledgers[number].close()
        self.ledgers[number] = self.opened(PROJECTS[number])

    @rule(number=st.sampled_from(range(len(PROJECTS))))
    def what_is_remembered_is_what_the_file_says(self, number):
        ledger = self.ledgers[number]

        def compare(tx):
            for account_id, head in list(tx.memory.heads.items()):
                (project_id,) = tx.execute(
                    "SELECT project_id FROM accounts WHERE id = ?", (account_id,)
                ).fetchone()
                where = (project_id, account_id, project_id, account_id)
                found = tx.execute(compiled(HEAD), where).fetchone()
                assert head == tuple(found)

        ledger._journal.write(compare)

    def verify(self):
        verification = self.ledgers[0].verify()
        assert verification.problems == ()
        assert verification.entries == len(self.books.rows)

    # -- budgets ------------------------------------------------------------------------------

    @rule(desk=desks, asked=budgets, pause=pauses)
    def set_budget(self, desk, asked, pause):
        self.clock.advance(**pause)
        who, ledger, account = self.at(desk)
        (measure, limit), per, anchor = asked["limited"], asked["per"], asked["anchor"]
        if not isinstance(per, str):
            anchor = None
        amount = {"limit": usd(limit)} if measure == "usd" else {measure: limit}
        asked_so = {name: asked[name] for name in asked.keys() - {"limited", "anchor"}}
        budget = ledger.set_budget(account, **amount, anchor=anchor, **asked_so)
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

    @precondition(lambda self: self.books.kind("budget"))
    @rule(data=st.data(), pause=pauses)
    def set_budget_as_before(self, data, pause):
        row = data.draw(st.sampled_from(self.books.kind("budget")))
        self.set_budget(self.desk_of(row), row["asked"], pause)

    @precondition(lambda self: self.books.kind("budget"))
    @rule(data=st.data(), asked=budgets, passed=st.sets(st.sampled_from(sorted(CHANGES))))
    def change_budget(self, data, asked, passed):
        """What is not passed stays as it is; a removed budget begins anew."""
        row = data.draw(st.sampled_from(self.books.kind("budget")))
        who, ledger, account = self.at(self.desk_of(row))
        name, (measure, limit) = row["name"], asked["limited"]
        call = {key: asked[key] for key in passed - {"limited"}}
        if "limited" in passed:
            call |= {"limit": usd(limit)} if measure == "usd" else {measure: limit}
        revisions = self.books.revisions(who, name)
        current = revisions[-1]["terms"]
        old = make_period() if current is None else current["period"]
        per = call.get("per", old.per if old.span_us is None else old.span_us * MICROSECOND)
        anchor = call.get("anchor", from_us(old.anchor_us) if old.anchor_us is not None else None)
        if "anchor" not in call and per not in UNITS:
            anchor = None
        if anchor is not None and per not in UNITS:
            with pytest.raises(InvalidPeriod):
                ledger.set_budget(account, name=name, **call)
            return
        if current is None and "limited" not in passed:
            with pytest.raises(InvalidInput):
                ledger.set_budget(account, name=name, **call)
            return
        created_us = revisions[0]["created_us"]
        days = "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
        period = make_period(
            per,
            timezone=call.get("timezone", old.timezone),
            week_start=call.get("week_start", days[old.week_start]),
            anchor_us=created_us if anchor == "creation" else anchor and to_us(anchor),
        )
        terms = {"model": None} if current is None else dict(current)
        terms |= {"period": period}
        terms |= {"model": call["model"]} if "model" in call else {}
        terms |= {"measure": measure, "limit": limit} if "limited" in passed else {}
        budget = ledger.set_budget(account, name=name, **call)
        if current != terms:
            asked = {
                "limited": (terms["measure"], terms["limit"]), "per": per, "model": terms["model"],
                "timezone": period.timezone, "week_start": days[period.week_start],
                "anchor": None if period.anchor_us is None else from_us(period.anchor_us),
                "name": name,
            }  # fmt: skip
            facts = {"name": name, "terms": terms, "created_us": created_us, "asked": asked}
            self.books.append(who, "budget", self.clock(), **facts)
        limit = usd(terms["limit"]) if terms["measure"] == "usd" else terms["limit"]
        assert (budget.measure, budget.limit, budget.model) == (
            terms["measure"], limit, terms["model"])  # fmt: skip
        assert budget.period == period
        assert round(budget.created_at * 1e6) == created_us

    @precondition(lambda self: self.books.kind("budget"))
    @rule(desk=desks, data=st.data(), pause=pauses)
    def remove_budget(self, desk, data, pause):
        self.clock.advance(**pause)
        who, ledger, account = self.at(desk)
        name = data.draw(st.sampled_from([row["name"] for row in self.books.kind("budget")]))
        if name not in self.books.standing(who):
            with pytest.raises(UnknownAccount):
                ledger.remove_budget(account, name)
            return
        ledger.remove_budget(account, name)
        facts = self.books.revisions(who, name)[-1]
        facts = {key: facts[key] for key in ("name", "created_us", "asked")} | {"terms": None}
        self.books.append(who, "budget", self.clock(), **facts)

    @rule(desk=desks, name=st.sampled_from([None, None, "default", "usd/day"]), pause=pauses)
    def shift_window(self, desk, name, pause):
        self.clock.advance(**pause)
        who, ledger, account = self.at(desk)
        shifted = {n: t for n, t in self.books.standing(who).items() if name in (None, n)}
        if not shifted:
            with pytest.raises(UnknownAccount):
                ledger.shift_window(account, name)
            return
        window = ledger.shift_window(account, name, reason="so it was agreed")
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
        model=st.none() | models,
        pico=picos,
        written=written,
        tags=tags,
        key=keys,
        pause=pauses,
        late=lates,
    )
    def charge_cost(self, desk, model, pico, written, tags, key, pause, late):
        self.clock.advance(**pause)
        call = {"cost": written(pico), "model": model, "tags": tags, "key": key}
        content = {"model": model or "unknown", "cost": pico, "tokens": 0}
        if late is not None:
            call["occurred_at"] = from_us(self.clock()) - timedelta(**late)
            content["occurred_us"] = to_us(call["occurred_at"])
        self.charge(desk, call, content, (pico, None))

    @rule(
        desk=desks,
        model=st.sampled_from(["gpt-4o", UNLISTED]),
        used=usages,
        key=keys,
        pause=pauses,
    )
    def charge_usage(self, desk, model, used, key, pause):
        self.clock.advance(**pause)
        cost = used[0] * GPT_4O_INPUT_PICO + used[1] * GPT_4O_OUTPUT_PICO
        call = {"usage": Usage(*used), "model": model, "key": key}
        content = {
            "model": model,
            "cost": None if model == UNLISTED else cost,
            "tokens": sum(used),
        }
        self.charge(desk, call, content, (None, used))

    @rule(
        desk=desks,
        asked=st.sampled_from(["my-alias", "gpt-4o", "openai/gpt-4o"]),
        answered=st.sampled_from(["gpt-4o", "GPT-4o-2024-08-06"]),
        used=usages,
        pause=pauses,
    )
    def charge_answered(self, desk, asked, answered, used, pause):
        """A call that another model answered than the one asked for."""
        self.clock.advance(**pause)
        used = used[0] + 1, used[1] + 1
        cost = used[0] * GPT_4O_INPUT_PICO + used[1] * GPT_4O_OUTPUT_PICO
        usage = dict(zip(("prompt_tokens", "completion_tokens"), used, strict=True))
        call = {"response": {"model": answered, "usage": usage}, "model": asked, "key": None}
        content = {"model": asked, "answered": answered, "cost": cost, "tokens": sum(used)}
        self.charge(desk, call, content, (None, used))

    def charge(self, desk, call, content, given):
        who, ledger, account = self.at(desk)
        expected = []
        if self.books.with_key(who[0], call["key"]) is None:
            expected += [UnpricedWarning] * (content["cost"] is None)
            expected += [UnknownAccountWarning] * (not self.books.of(who))
        facts = {
            **content,
            "requests": 1,
            "key": call["key"],
            "stands_for": (account, "charge", content["model"], given),
            "again": lambda number: self.charge((number, account), call, content, given),
        }
        self.post(who, "charge", facts, expected, ledger.charge, account, **call)

    @precondition(lambda self: self.books.rows)
    @rule(
        desk=desks,
        data=st.data(),
        pico=picos,
        sign=st.sampled_from([1, -1]),
        key=keys,
        pause=pauses,
    )
    def adjust(self, desk, data, pico, sign, key, pause):
        self.clock.advance(**pause)
        self.correct(desk[0], data.draw(st.sampled_from(self.books.rows)), sign * pico, key)

    @precondition(lambda self: self.books.unpriced(self.books.rows))
    @rule(data=st.data(), pico=picos)
    def price(self, data, pico):
        row = data.draw(st.sampled_from(self.books.unpriced(self.books.rows)))
        self.correct(self.desk_of(row)[0], row, pico, None)

    def correct(self, number, row, pico, key):
        adjust = self.ledgers[number].adjust
        if row["kind"] != "charge" or row["who"][0] != PROJECTS[number]:
            with pytest.raises(UnknownEntry):
                adjust(row["id"], usd(pico), reason="wrong price", key=key)
            return
        facts = {
            "model": row["model"],
            "answered": row["answered"],
            "cost": pico,
            "corrects": row["id"],
            "key": key,
            "stands_for": (row["who"][1], "adjustment", row["id"], pico),
            "again": lambda number: self.correct(number, row, pico, key),
        }
        call = {"reason": "wrong price", "key": key}
        earlier = [r["cost"] for r in self.books.rows if r["corrects"] == row["id"]]
        known = self.books.with_key(row["who"][0], key)
        if known is None and pico < 0 and (row["cost"] or 0) + sum(earlier) + pico < 0:
            with pytest.raises(InvalidAmount):
                adjust(row["id"], usd(pico), **call)
            return
        self.post(row["who"], "adjustment", facts, [], adjust, row["id"], usd(pico), **call)

    def post(self, who, kind, facts, expected, method, *args, **kwargs):
        """Call *method*: a new row, or what its key stands for already."""
        first = self.books.with_key(who[0], facts["key"])
        if first is None:
            behind_us = self.books.last_us(who) - self.clock()
            expected = expected + [ClockWarning] * (behind_us > 1_000_000)
        elif first["stands_for"] != facts["stands_for"]:
            with pytest.raises(IdempotencyConflict) as caught:
                method(*args, **kwargs)
            assert (caught.value.key, caught.value.entry) == (first["key"], first["entry"])
            return
        with warned(expected):
            entry = method(*args, **kwargs)
        if first is None:
            first = self.books.append(who, kind, self.clock(), **facts, entry=entry)
            assert entry.tags == (kwargs.get("tags") or {})
        assert entry == first["entry"]

    @precondition(lambda self: any(row["key"] for row in self.books.rows))
    @rule(data=st.data(), second=st.booleans())
    def call_again_with_the_same_key(self, data, second):
        row = data.draw(st.sampled_from([row for row in self.books.rows if row["key"]]))
        number, _ = self.desk_of(row)
        row["again"](1 if second and number == 0 else number)

    # -- what must hold -----------------------------------------------------------------------

    def at(self, desk):
        number, account = desk
        return (PROJECTS[number], account), self.ledgers[number], account

    def desk_of(self, row):
        project, account = row["who"]
        return PROJECTS.index(project), account

    def now_us(self, who):
        return max(self.clock(), self.books.last_us(who))

    @invariant()
    def every_balance_agrees(self):
        for desk in DESKS:
            self.balance_agrees(desk)

    def look_back(self):
        """Ask about earlier moments, and as the books stood at earlier moments."""
        rng = random.Random(len(self.books.rows))
        for desk in DESKS:
            who, *_ = self.at(desk)
            landmarks = {to_us(START), self.now_us(who), self.now_us(who) + 40 * 86_400_000_000}
            for time in ("at_us", "belongs_us"):
                landmarks.update(row[time] for row in self.books.of(who))
            for *_, window, _ in self.books.statuses(who, self.now_us(who), EVER):
                landmarks.update(us for us in window if us is not None)
            moments = [None, *(us + step for us in sorted(landmarks) for step in (-1, 0, 1))]
            for _ in range(15):
                self.balance_agrees(desk, rng.choice(moments), rng.choice(moments))

    def balance_agrees(self, desk, at_us=None, as_of_us=None):
        who, ledger, account = self.at(desk)
        given = {"at": at_us, "as_of": as_of_us}
        asked = {name: from_us(us) for name, us in given.items() if us is not None}
        if not self.books.of(who):
            with pytest.raises(UnknownAccount):
                ledger.balance(account, **asked)
            return
        known_us = EVER if as_of_us is None else as_of_us
        moment_us = min(self.now_us(who), known_us) if at_us is None else at_us
        balance = ledger.balance(account, **asked)
        limit, window, names, posted = self.books.reported(who, moment_us, known_us)
        assert balance.window[:2] == window
        assert balance.posted == usd(posted[0])
        rows = self.books.within(who, window, known_us, names)
        assert balance.unpriced == len(self.books.unpriced(rows, known_us))
        assert balance.assumed == 0
        assert posted == self.summed_by_sql(who, window, known_us, names)
        if limit is None:
            assert balance.limit is balance.available is None
        else:
            assert balance.limit == usd(limit)
            assert balance.available == usd(limit - posted[0])

        for status, (name, measure, limit, names, window, posted) in zip(
            balance.budgets, self.books.statuses(who, moment_us, known_us), strict=True
        ):
            used = {"usd": usd(posted[0]), "tokens": posted[1], "requests": posted[2]}[measure]
            limit = usd(limit) if measure == "usd" else limit
            assert (status.budget.name, status.budget.measure) == (name, measure)
            assert (status.budget.limit, status.posted) == (limit, used)
            assert status.available == limit - used
            assert status.window[:2] == window
            assert posted == self.summed_by_sql(who, window, known_us, names)

        costs = ledger.model_costs(account, **asked)
        window = balance.window[:2]
        assert sum(costs.values()) == usd(self.books.posted(who, window, known_us)[0])
        for model in {row["model"] for row in self.books.of(who)} - {None}:
            rows = self.books.within(who, window, known_us)
            posted = self.books.summed([row for row in rows if row["model"] == model])
            assert costs.pop(model, None) == (usd(posted[0]) if any(posted) else None)
        assert costs == {}

    def summed_by_sql(self, who, window, known_us, names):
        start_us, end_us = window
        names = sorted(names or ())
        counting = f"AND (model IN ({', '.join('?' * len(names))})" if names else ""
        if names:
            counting += "".join(
                f""" OR price LIKE '%"{key}":"{name}"%'"""
                for key in ("answered", "snapshot")
                for name in names
            )
            counting += ")"
        return self.sql.execute(
            f"""
            SELECT coalesce(sum(cost_pico), 0), coalesce(sum(input_tokens + output_tokens), 0),
                   coalesce(sum(requests), 0)
            FROM entries e
            JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = a.project_id
            WHERE p.name = ? AND a.name = ?
                  AND {SQL_BELONGS} >= coalesce(CAST(? AS BIGINT), 0)
                  AND {SQL_BELONGS} < coalesce(CAST(? AS BIGINT), 9e18) AND recorded_at_us <= ?
                  {counting}""",
            (*who, start_us, end_us, known_us, *names),
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
                assert entry.requests == row["requests"]
                if row["kind"] in ("charge", "adjustment"):  # what no hold was taken for
                    basis = "unpriced" if row["cost"] is None else "stated"
                    assert entry.cost_basis == basis
                assert (entry.corrects_id, entry.idempotency_key) == (row["corrects"], row["key"])

    @invariant()
    def the_budgets_in_force_agree(self):
        for project, ledger in zip(PROJECTS, self.ledgers, strict=True):
            for account in {row["who"][1] for row in self.books.rows if row["who"][0] == project}:
                standing = self.books.standing((project, account))
                found = {budget.name: budget.period for budget in ledger.budgets(account)}
                assert found == {name: terms["period"] for name, terms in standing.items()}


LedgerAgainstBooks.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None
)
TestLedgerAgainstBooks = LedgerAgainstBooks.TestCase


class OnPostgres(LedgerAgainstBooks):
    def place(self):
        self.sql = SCHEMA
        self.target = SCHEMA.target
        SCHEMA.empty()

    def look(self): ...

    def clear(self):
        SCHEMA.empty()


SCHEMA = None  # the fixture puts one here
OnPostgres.TestCase.settings = settings(
    max_examples=3,  # each step takes ten times as long as on a file
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLedgerAgainstBooksOnPostgres = pytest.mark.postgres(
    pytest.mark.usefixtures("common_schema_in_module")(OnPostgres.TestCase)
)

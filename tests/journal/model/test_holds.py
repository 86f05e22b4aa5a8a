"""Several callers on one file, holds and all, against an auditor who adds everything up again.

Which caller does what, and in which order, is drawn: each has caches of its own, and some steps
of one caller are written together in one transaction. After every step the file, the answers and
the auditor must agree.
"""

import copy
import os
import sqlite3
import time
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import auditor
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from samples import START

from budgetledger import Ledger, Usage
from budgetledger.entries import DefaultBudget
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    BudgetledgerError,
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidInput,
    StoreError,
    UnknownAccount,
    UnknownEntry,
    UnpricedModel,
)
from budgetledger.holds import Hold
from budgetledger.journal.drafts import minimal_request
from budgetledger.ledger import requested_hold
from budgetledger.testing import FakeClock
from budgetledger.verbs.hold_requests import find_hold
from budgetledger.windows import Window, from_us, to_us

usd, PICO = auditor.usd, auditor.PICO

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

EXAMPLES = int(os.environ.get("BUDGETLEDGER_TEST_EXAMPLES", "60"))
STEPS = int(os.environ.get("BUDGETLEDGER_TEST_STEPS", "50"))
LONGEST = 20  # seconds that a thread may take; only what hangs comes near it

# The open ledgers: two callers like each other, one that only watches, one of another project.
CALLERS = [("app", True), ("app", True), ("app", False), ("other", True)]
callers = st.sampled_from([0, 1] * 7 + [2, 3])
WHO = ["alice", "bob", "team", "org:all", "*"]
accounts = st.sampled_from(["alice"] * 4 + ["bob"] * 2 + ["team"] * 2 + ["org:all", "*"])
movable = st.sampled_from(["alice", "bob", "team", "org:all"] * 4 + ["*"])
BEGINNINGS = [
    {},
    {"alice": "team"},
    {"alice": "team", "bob": "team"},
    {"alice": "team", "bob": "team", "team": "org:all"},
]
HOUSE = "house-model"  # which nobody prices
MODELS = [None, "gpt-4o", HOUSE, "openai/gpt-4o", "GPT-4o-2024-08-06"]
models = st.sampled_from(MODELS)
PROMPT, PROMPT_TOKENS = "one two three four five six seven", 7
ANSWERS = {None: 4096, 0: 0, 1000: 1000, 100_000: 100_000, 250_000: 250_000}

PICOS = [0, 1, PICO, PICO + 1, 2 * PICO, 3 * PICO - 1, 3 * PICO, 5 * PICO]
picos = st.sampled_from(PICOS)
usages = st.sampled_from([(0, 0), (7, 1000), (400_000, 1), (1000, 200_000)])
keys = st.sampled_from([None] * 5 + ["k1", "k2", "k3"])
limits = (
    st.tuples(st.just("usd"), st.integers(0, 10).map(lambda n: n * PICO))
    | st.tuples(st.just("tokens"), st.sampled_from([0, 1007, 5000, 300_000]))
    | st.tuples(st.just("requests"), st.integers(0, 5))
)
PERIODS = [None, None, "minute", "hour", "day", timedelta(seconds=90), timedelta(hours=1)]
PERIOD_OF = {per // timedelta(microseconds=1) if isinstance(per, timedelta) else per: per
             for per in PERIODS}  # fmt: skip
waits = st.sampled_from([0.000001, 1, 30, 60, 1800, 1800, 1800, 7200])
needs = st.sampled_from(
    [
        *product(["amount", "both"], PICOS, MODELS),
        *product(["tokens"], [0, 7, 1007, 4000], MODELS),
        *product(["prompt"] * 2, ANSWERS, ["gpt-4o"]),
        ("prompt", 0, HOUSE),
        *product(["minimal"] * 4, ["app.ask", "app.tell"], MODELS),
    ]
)
charged = st.tuples(st.just("cost"), picos) | st.tuples(st.just("usage"), usages)
lates = st.sampled_from([None] * 5 + [{"seconds": 1}, {"minutes": 2}, {"hours": 3}, {"days": 2}])
paid = charged | st.tuples(st.just("unknown"), st.sampled_from(["gpt-4o", HOUSE]))
names = st.sampled_from([None, None, "default", "cap"])
shares = st.sampled_from([(), (), ("0.5", "1"), ("0.8",), ("1", "2")])
kinds = st.sampled_from(["user", "user", "org"])
which = st.integers(0, 30)  # counted from the newest

changed = st.fixed_dictionaries(
    {},
    optional={
        "limit": limits,
        "per": st.sampled_from(PERIODS),
        "model": models,
        "alert_at": shares,
    },
)
# A metered call: by which ledger, for whom, how much, of which model; how it ends; calls inside.
of_a_call = (
    callers,
    st.sampled_from(["alice"] * 4 + ["bob", "team"]),
    st.sampled_from([0, 1, PICO, 2 * PICO]),
    models,
    st.sampled_from(
        [("usage", (7, 1000)), ("usage", (1, 1)), ("usage", (8, 1001)), ("cost", PICO),
         ("sum", None), ("sum", None), ("same", None), ("same", None),
         ("nothing", None), ("unread", None), ("leave", None)]
    ),
    st.sampled_from([0, 0, 0, 60]),
)  # fmt: skip
metered_calls = st.recursive(
    st.tuples(*of_a_call, st.just([])),
    lambda inner: st.tuples(*of_a_call, st.lists(inner, min_size=1, max_size=2)),
    max_leaves=4,
)

ASKS = {
    "set_budget": (accounts, limits, st.sampled_from(PERIODS), models, shares, names),
    "change_budget": (accounts, which, changed),
    "remove_budget": (accounts, which),
    "set_default_budget": (kinds, limits, st.sampled_from(PERIODS), models, shares),
    "remove_default_budget": (kinds,),
    "set_parent": (movable, st.one_of(st.none(), movable, movable, movable)),
    "shift_window": (accounts, st.none() | which),
    "freeze": (accounts, st.sampled_from([True, False, False])),
    "hold": (accounts, needs, keys, waits),
    "settle": (which, paid, st.sampled_from([None, None, "gpt-4o", HOUSE]), lates),
    "release": (which,),
    "extend": (which, waits),
    "charge": (accounts, charged, models, keys, lates),
    "adjust": (which, st.integers(-3, 3).map(lambda n: n * PICO), keys),
}
OFTEN = (
    ["hold"] * 6 + ["settle"] * 3 + ["set_budget"] * 2 + ["charge", "charge", "adjust", "adjust"]
)
asks = st.sampled_from([*ASKS, *OFTEN]).flatmap(lambda what: st.tuples(st.just(what), *ASKS[what]))
changes = st.sampled_from(["set_budget", "set_budget", "set_parent", "freeze"]).flatmap(
    lambda what: st.tuples(st.just(what), *ASKS[what][1:])
)
FORWARD = {"microseconds": 1}, {"seconds": 1}, {"seconds": 31}, {"minutes": 1}, {"hours": 1}
FAR = {"days": 1}, {"days": 400}
BACKWARD = {"microseconds": -1}, {"seconds": -30}, {"hours": -1}, {"days": -2}


GROWING = (
    *("entries", "accounts", "projects", "budget_revisions", "window_shifts", "parent_changes"),
    *("threshold_crossings", "default_budget_revisions"),
)


def told(call):
    """What a caller is told, in the auditor's words."""
    try:
        found = call()
    except BudgetledgerError as error:
        return told_error(error)
    match found:
        case None:
            return ("nothing",)
        case Hold():
            refusal = None if found.refusal is None else told_error(found.refusal)
            until = to_us(found.expires_at)
            return "hold", found.id, found.amount, found.tokens, until, refusal
        case Window():
            return "window", tuple(found[:2])
        case datetime():
            return "until", to_us(found)
        case DefaultBudget():
            return "default", found.kind, found.limit
    if hasattr(found, "measure"):
        return "budget", found.name, found.limit
    return "entry", found.id


def told_error(error):
    match error:
        case BudgetExceededError():
            figures = (error.limit, error.posted, error.held, error.available, error.requested)
            window = tuple(error.window[:2])
            budget = error.account, error.budget.name
            assert error.budget.account == error.account
            return "over", *budget, window, *figures, error.retry_after, error.largest_output
        case AccountFrozen():
            return "frozen", error.account
        case UnknownAccount():
            return "unknown", error.account
        case HoldAlreadyClosed():
            return "closed", error.hold_id, error.entry and error.entry.id
        case IdempotencyConflict():
            return "conflict", error.key, error.entry.id
        case UnknownEntry():
            return ("no entry",)
        case UnpricedModel():
            return ("no price",)
        case StoreError():
            return ("not written",)
        case InvalidInput():
            return ("bad input",)
    raise error


class FullDisk:
    """A store that has no room left when a step's rows are written."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    def write(self, operation):
        def in_vain(execute):
            operation(execute)
            raise sqlite3.OperationalError("database or disk is full")

        return self.store.write(in_vain)


def undone(ledger):
    """*ledger*, on a disk that is full when a step's rows are written."""
    unlucky = copy.copy(ledger)
    unlucky._journal.store = FullDisk(ledger._journal.store)
    return unlucky


class CallersAgainstAuditor(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.place()
        self.clock = FakeClock(START)
        self.heard = []
        self.ledgers = [self.opened(*caller) for caller in CALLERS]
        self.look()
        self.auditor = auditor.Auditor()
        self.holds = []  # every one that was granted, by whomever
        self.tables = {}

    def opened(self, project, enforce):
        def on_alert(alert):
            self.heard.append((project, alert))

        return Ledger(
            self.target,
            project=project,
            enforce=enforce,
            synchronous="NORMAL",
            on_alert=on_alert,
            clock=self.clock,
        )

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
            assert self.ledgers[0].verify().problems == ()
        finally:
            for ledger in self.ledgers:
                ledger.close()
            self.clear()

    # -- time and files -------------------------------------------------------------------------

    @rule(step=st.sampled_from(FORWARD * 2 + FAR + BACKWARD))
    def step_the_clock(self, step):
        self.clock.advance(**step)

    @precondition(lambda self: self.holds)
    @rule(number=which, before_us=st.sampled_from([0, 0, 1]))
    def move_to_a_deadline(self, number, before_us):
        deadlines = sorted({hold["expires_us"] for hold in self.auditor.holds.values()})
        self.clock.move_to(from_us(deadlines[-1 - number % len(deadlines)] - before_us))

    @precondition(lambda self: self.auditor.rows)
    @rule(number=which, before_us=st.sampled_from([0, 0, 1]))
    def move_to_the_end_of_a_window(self, number, before_us):
        now = self.clock()
        found = [one for who in self.auditor.accounts for one in self.auditor.all_stand(now, who)]
        ends = sorted({one["window"][1] for one in found} - {None})
        if ends:
            self.clock.move_to(from_us(ends[-1 - number % len(ends)] - before_us))

    @rule(number=st.sampled_from(range(len(CALLERS))))
    def open_again(self, number):
        self.ledgers[number].close()
        self.ledgers[number] = self.opened(*CALLERS[number])

    # -- what callers do ------------------------------------------------------------------------

    @initialize(
        parents=st.sampled_from(BEGINNINGS),
        budgets=st.lists(st.tuples(*ASKS["set_budget"]), min_size=1, max_size=4),
        defaults=st.lists(st.tuples(*ASKS["set_default_budget"]), max_size=2),
    )
    def begin(self, parents, budgets, defaults):
        for account, parent in parents.items():
            self.one(0, ("set_parent", account, parent))
        for asked in budgets:
            self.one(0, ("set_budget", *asked))
        for asked in defaults:
            self.one(0, ("set_default_budget", *asked))

    @rule(number=callers, ask=asks)
    def one_step(self, number, ask):
        self.one(number, ask)

    @rule(number=callers, asked=st.tuples(*ASKS["hold"]))
    def hold(self, number, asked):
        self.one(number, ("hold", *asked))

    @rule(number=callers, asked=st.tuples(*ASKS["hold"]))
    def hold_something_else(self, number, asked):
        self.one(number, ("hold", *asked))

    @precondition(lambda self: self.holds)
    @rule(number=callers, asked=st.tuples(*ASKS["settle"]))
    def settle(self, number, asked):
        self.one(number, ("settle", *asked))

    @precondition(lambda self: self.holds)
    @rule(number=callers, ask=st.tuples(st.just("release"), which)
          | st.tuples(st.just("extend"), which, waits))  # fmt: skip
    def release_or_extend(self, number, ask):
        self.one(number, ask)

    @rule(number=callers, asked=st.tuples(*ASKS["set_budget"]))
    def set_budget(self, number, asked):
        self.one(number, ("set_budget", *asked))

    @rule(number=callers, asked=st.tuples(*ASKS["set_default_budget"]))
    def set_default_budget(self, number, asked):
        self.one(number, ("set_default_budget", *asked))

    @rule(number=callers, asked=st.tuples(*ASKS["remove_budget"]))
    def remove_budget(self, number, asked):
        self.one(number, ("remove_budget", *asked))

    @precondition(lambda self: any(self.auditor.budgets.values()))
    @rule(number=callers, place=which, limit=limits, alert_at=shares, back=st.booleans())
    def set_another_limit(self, number, place, limit, alert_at, back):
        """Of a budget that stands, in the same measure; or a higher one, and the old one again."""
        standing = [
            (account, name)
            for (project, account), budgets in self.auditor.budgets.items()
            for name in budgets
            if project == CALLERS[number][0]
        ]
        if standing:
            account, name = sorted(standing)[place % len(standing)]
            terms = self.auditor.budgets[self.who(number, account)][name]
            old, per = terms["limit"], PERIOD_OF[terms["per"]]
            given = name if name in ("default", "cap") else None
            if back:
                alert_at = tuple(map(str, terms["alert_at"]))
            for units in (3 * old + 1, old) if back else (limit[1] % (2 * old + 2),):
                asked = (terms["measure"], units), per, terms["model"], alert_at, given
                self.one(number, ("set_budget", account, *asked))

    @rule(number=callers, asked=st.tuples(*ASKS["set_parent"]))
    def set_parent(self, number, asked):
        self.one(number, ("set_parent", *asked))

    @rule(
        number=callers,
        account=accounts,
        vain=changes,
        then=changes,
        asked=st.tuples(*ASKS["hold"][1:]),
    )
    def change_in_vain_and_then(self, number, account, vain, then, asked):
        """A setting that failed is not remembered where the next one takes its place."""
        for (what, *terms), in_vain in ((vain, True), (then, False)):
            self.one(number, (what, account, *terms), in_vain)
        self.one(number, ("hold", account, *asked))

    @rule(number=callers, ask=asks)
    def one_step_in_vain(self, number, ask):
        self.one(number, ask, in_vain=True)

    @rule(
        number=callers,
        several=st.lists(
            st.tuples(asks, st.sampled_from([False] * 4 + [True])), min_size=2, max_size=5
        ),
    )
    def several_at_once(self, number, several):
        """Steps of several threads, written in one transaction in the order they came."""
        ledger = self.ledgers[number]
        steps = [self.planned(number, ask, vain) for ask, vain in several]
        answers = [None] * len(steps)

        def take(place):
            answers[place] = told(steps[place][0])

        threads = [Thread(target=take, args=(place,)) for place in range(len(steps))]
        queue = ledger._journal.store._writer._queue
        with ledger._journal.store._writer.turn:
            for thread in threads:
                waiting, until = len(queue), time.monotonic() + LONGEST
                thread.start()
                while len(queue) == waiting and thread.is_alive():
                    assert time.monotonic() < until
                    time.sleep(0.0002)
        for thread in threads:
            thread.join(LONGEST)
            assert not thread.is_alive()
        for (_, audit), answer in zip(steps, answers, strict=True):
            self.audited(number, answer, audit)

    def one(self, number, ask, in_vain=False):
        call, audit = self.planned(number, ask, in_vain)
        self.audited(number, told(call), audit)

    def audited(self, number, answer, audit):
        rows = self.sql.execute("SELECT id, kind, hold_id FROM entries")
        self.auditor.written = {number: facts for number, *facts in rows}
        expected = audit()
        if expected == ("over",):
            answer = answer[:1]
        elif expected[-1] == ("over",):
            answer = *answer[:-1], answer[-1][:1]
        assert answer == expected
        if answer[0] == "hold" and answer[1] not in self.holds:
            self.holds.append(answer[1])

    def planned(self, number, ask, in_vain=False):
        """What a caller does, and what the auditor makes of it."""
        ledger = undone(self.ledgers[number]) if in_vain else self.ledgers[number]
        what, *asked = ask
        plan = getattr(self, f"plan_{what}")(number, ledger, *asked)
        if plan is None:  # no such hold or row yet
            return lambda: None, lambda: ("nothing",)
        call, audit = plan
        if not in_vain:
            return call, lambda: audit(self.auditor)

        def audit_in_vain():
            imagined = copy.deepcopy(self.auditor)
            imagined.written = {}
            answer = audit(imagined)
            failed = {"over", "frozen", "unknown", "closed", "conflict", "no entry"}
            return answer if answer[0] in {*failed, "bad input", "no price"} else ("not written",)

        return call, audit_in_vain

    def terms(self, limited, per, model, alert_at):
        """The terms of a budget, as they are passed, and as the auditor knows them."""
        measure, limit = limited
        asked = {"limit": usd(limit)} if measure == "usd" else {measure: limit}
        asked |= {"per": per, "model": model, "alert_at": alert_at}
        span = per // timedelta(microseconds=1) if isinstance(per, timedelta) else per
        terms = {"measure": measure, "limit": limit, "per": span, "model": model}
        return asked, terms | {"alert_at": tuple(map(Decimal, alert_at))}

    def plan_set_budget(self, number, ledger, account, limited, per, model, alert_at, name):
        if name is not None:  # what is one alert where the measure changes, is not promised
            alert_at = ()
        asked, terms = self.terms(limited, per, model, alert_at)
        asked["name"] = name
        if isinstance(per, timedelta):
            per = f"{per.seconds}s"
        name = name or "/".join(filter(None, (limited[0], per, model)))
        who = self.who(number, account)
        return (
            lambda: ledger.set_budget(account, **asked),
            lambda auditor: auditor.set_budget(self.clock(), who, name, terms),
        )

    def plan_change_budget(self, number, ledger, account, place, changed):
        who = self.who(number, account)
        name = self.budget_name(who, place)
        current = self.auditor.budgets.get(who, {}).get(name)
        passed, changes = dict(changed), dict(changed)
        if "limit" in changed:
            measure, limit = passed.pop("limit")
            if current is not None:  # see plan_set_budget
                measure = current["measure"]
            passed |= {"limit": usd(limit)} if measure == "usd" else {measure: limit}
            changes |= {"measure": measure, "limit": limit}
        if isinstance(per := changed.get("per"), timedelta):
            changes["per"] = per // timedelta(microseconds=1)
        if "alert_at" in changed:
            changes["alert_at"] = tuple(map(Decimal, changed["alert_at"]))
        return (
            lambda: ledger.set_budget(account, name=name, **passed),
            lambda auditor: auditor.change_budget(self.clock(), who, name, changes),
        )

    def plan_remove_budget(self, number, ledger, account, place):
        who = self.who(number, account)
        name = self.budget_name(who, place)
        return (
            lambda: ledger.remove_budget(account, name),
            lambda auditor: auditor.remove_budget(self.clock(), who, name),
        )

    def plan_set_default_budget(self, number, ledger, kind, *terms):
        asked, terms = self.terms(*terms)
        return (
            lambda: ledger.set_default_budget(**asked, kind=kind),
            lambda auditor: auditor.set_default_budget(CALLERS[number][0], kind, terms),
        )

    def plan_remove_default_budget(self, number, ledger, kind):
        return (
            lambda: ledger.remove_default_budget(kind),
            lambda auditor: auditor.remove_default_budget(CALLERS[number][0], kind),
        )

    def plan_shift_window(self, number, ledger, account, place):
        who = self.who(number, account)
        name = None if place is None else self.budget_name(who, place)
        return (
            lambda: ledger.shift_window(account, name),
            lambda auditor: auditor.shift_window(self.clock(), who, name),
        )

    def plan_set_parent(self, number, ledger, account, parent):
        who = self.who(number, account)
        return (
            lambda: ledger.set_parent(account, parent),
            lambda auditor: auditor.set_parent(self.clock(), who, parent),
        )

    def plan_freeze(self, number, ledger, account, frozen):
        who = self.who(number, account)
        return (
            lambda: (ledger.freeze if frozen else ledger.unfreeze)(account),
            lambda auditor: auditor.freeze(self.clock(), who, frozen),
        )

    def plan_hold(self, number, ledger, account, need, key, expires_in):
        who, enforce = self.who(number, account), CALLERS[number][1]
        how = need[0]
        if how == "minimal":
            return self.plan_minimal_hold(number, ledger, account, *need[1:], key, expires_in)
        asked, need, model, prompt = self.needed(need)
        passed = None if how == "prompt" else (asked.get("amount", 0), asked.get("tokens", 0))
        minimal = model if how == "tokens" else None
        wait = round(expires_in * 1e6)
        call = partial(ledger.hold, account, **asked, key=key, expires_in=expires_in)
        priced = need is not None
        if not priced:
            if enforce:
                return call, lambda auditor: ("no price",)
            need, prompt, minimal = {"usd": 1, "tokens": 1, "requests": 1}, None, model
        return call, lambda auditor: auditor.hold(
            self.clock(), who, need, model, key, wait, prompt, enforce, priced, minimal, passed
        )

    def plan_minimal_hold(self, number, ledger, account, function, model, key, expires_in):
        request = minimal_request(model, function, key, None)
        need = {"usd": 1, "tokens": 1, "requests": 1}
        who, enforce = self.who(number, account), CALLERS[number][1]
        return (
            lambda: requested_hold(ledger, account, request, expires_in),
            lambda auditor: auditor.hold(
                self.clock(), who, need, model or "unknown", key, round(expires_in * 1e6), None,
                enforce, minimal=model or function,
            ),
        )  # fmt: skip

    def needed(self, need):
        """The arguments of a hold, and what it then sets aside."""
        how, size, model = need
        asked, prompt = {"model": model}, None
        if how == "prompt":
            asked |= {"text": PROMPT, "max_output_tokens": size}
            used = (PROMPT_TOKENS, ANSWERS[size])
            pico, tokens, prompt = auditor.priced(model, used), sum(used), PROMPT_TOKENS
            if pico is None:
                return asked, None, model, prompt
        else:
            pico = size if how in ("amount", "both") else 1
            tokens = {"amount": 1, "tokens": size, "both": 1007}[how]
            asked |= {} if how == "tokens" else {"amount": usd(pico)}
            asked |= {} if how == "amount" else {"tokens": tokens}
        return asked, {"usd": pico, "tokens": tokens, "requests": 1}, model or "unknown", prompt

    @precondition(lambda self: self.auditor.accounts)
    @rule(number=callers, account=accounts, need=needs.filter(lambda need: need[0] != "minimal"))
    def can_afford(self, number, account, need):
        asked, need, model, prompt = self.needed(need)
        who, ledger = self.who(number, account), self.ledgers[number]
        if need is None:
            with pytest.raises(UnpricedModel):
                ledger.can_afford(account, **asked)
            return
        seen = self.auditor.with_defaults(self.clock(), who)
        refusal = seen.judge(self.clock(), who, need, model, prompt)
        if refusal is None and "amount" not in asked and prompt is None:
            refusal = seen.is_too_much(self.clock(), who, model) or None
        if refusal and refusal is not True and refusal[0] == "unknown":
            with pytest.raises(UnknownAccount):
                ledger.can_afford(account, **asked)
        else:
            assert ledger.can_afford(account, **asked) is (refusal is None)

    @rule(call=metered_calls)
    def metered_calls_nest(self, call):
        self.metered(call, ())

    def metered(self, call, around):
        """Make a call that is metered, with those inside it; returns the rows they recorded."""
        number, account, amount, model, ending, pause, inner = call
        hold = self.metered_hold(number, account, amount, model, around)
        rows = []
        if hold is None:
            return rows
        with hold:
            for one in inner:
                rows += self.metered(one, (hold.id, *around))
            self.clock.advance(seconds=pause)
            inside = [row for row in rows if row["who"][0] == CALLERS[number][0]]
            before = len(self.auditor.rows)
            self.settle_metered(number, hold, inside, *ending)
        state = self.auditor.holds[hold.id]
        if state["closed_by"] is None:  # as the end of the block leaves it
            self.audited(number, ("nothing",), lambda: self.left(hold.id))
        rows += [row for row in self.auditor.rows[before:] if row["kind"] == "settle"
                 and row["origin"] is None]  # fmt: skip
        return rows

    def left(self, hold_id):
        self.auditor.release(self.clock(), hold_id)
        return ("nothing",)

    def metered_hold(self, number, account, amount, model, around):
        ask = ("hold", account, ("amount", amount, model), None, 30)
        call, audit = self.planned(number, ask)
        own = {one for one in around if self.auditor.holds[one]["who"][0] == CALLERS[number][0]}
        need = {"usd": amount, "tokens": 1, "requests": 1}
        who, now = self.who(number, account), self.clock()
        before = copy.deepcopy(self.auditor).with_defaults(now, who)
        held, refusals = [], []

        def taken():
            try:
                held.append(call())
            except BudgetExceededError as error:
                refusals.append(error)
                raise
            refusals.append(held[0].refusal)
            return held[0]

        self.audited(number, told(taken), audit)
        for error in refusals:
            if isinstance(error, BudgetExceededError):
                is_blocked, is_own = before.why_refused(now, who, need, model or "unknown", own)
                assert error.blocked_by_holds is is_blocked
                assert ("around this one" in str(error)) is is_own
        return held[0] if held else None

    def settle_metered(self, number, hold, inside, how, size):
        mine = [row for row in inside if row["who"] == self.auditor.holds[hold.id]["who"]]
        if how == "leave":
            return
        model = hold.model
        if how in ("same", "sum"):
            several = mine if how == "sum" else mine[-1:]
            used = tuple(map(sum, zip(*(row["reported"] for row in several), strict=True)))
            if any(used):
                model = None if mine[-1]["model"] == "unknown" else mine[-1]["model"]
            how, size = "usage", used if any(used) else (7, 1000)
        model = model or HOUSE if how == "unread" else model
        filed = model or "unknown"
        paid, cost, used = {
            "usage": lambda: (Usage(*size), auditor.priced(filed, size), size),
            "cost": lambda: (usd(size), size, None),
            "nothing": lambda: (None, None, None),
            "unread": lambda: ({"id": "x", "model": filed}, None, None),
        }[how]()

        def audit():
            now, book = self.clock(), self.auditor
            answer = book.settle_around(now, hold.id, inside, filed, cost, used)
            if answer is not None or how == "nothing":
                return answer or ("bad input",)
            used_up = (0, 0) if how == "cost" else used
            return book.settle(now, hold.id, filed, cost, used_up)

        self.audited(number, told(lambda: hold.settle(paid, model=model)), audit)

    def held_by(self, number, ledger, place):
        """A hold in the hands of a caller, who may not be the one that took it."""
        known = [n for n in self.holds if self.auditor.holds[n]["who"][0] == CALLERS[number][0]]
        if not known:
            return None
        hold = self.auditor.holds[known[-1 - place % len(known)]]
        granted = find_hold(self.ledgers[number]._journal, hold["id"])
        return Hold(ledger._journal, granted, None)

    def plan_settle(self, number, ledger, place, paid, model, late):
        hold = self.held_by(number, ledger, place)
        if hold is None:
            return None
        (how, size), (occurred_at, occurred_us) = paid, self.ago(late)
        filed = model or hold.model
        if how == "unknown":
            filed = filed or size
            return (
                lambda: hold.settle(
                    {"model": filed, "id": "x"}, model=model, occurred_at=occurred_at
                ),
                lambda auditor: auditor.settle(
                    self.clock(), hold.id, filed, None, None, occurred_us
                ),
            )
        used = (0, 0) if how == "cost" else size
        cost = size if how == "cost" else auditor.priced(filed, used)
        given = usd(size) if how == "cost" else Usage(*size)
        return (
            lambda: hold.settle(given, model=model, occurred_at=occurred_at),
            lambda auditor: auditor.settle(
                self.clock(), hold.id, filed or "unknown", cost, used, occurred_us
            ),
        )

    def plan_release(self, number, ledger, place):
        hold = self.held_by(number, ledger, place)
        if hold is None:
            return None
        return hold.release, lambda auditor: auditor.release(self.clock(), hold.id)

    def plan_extend(self, number, ledger, place, wait):
        hold = self.held_by(number, ledger, place)
        if hold is None:
            return None
        return (
            lambda: hold.extend(wait),
            lambda auditor: auditor.extend(self.clock(), hold.id, round(wait * 1e6)),
        )

    def ago(self, late):
        """A moment before now, and its microseconds; None for no moment."""
        if late is None:
            return None, None
        moment = from_us(self.clock()) - timedelta(**late)
        return moment, to_us(moment)

    def plan_charge(self, number, ledger, account, paid, model, key, late):
        who, (how, size) = self.who(number, account), paid
        occurred_at, occurred_us = self.ago(late)
        if how == "cost":
            asked, cost, used, given = {"cost": usd(size)}, size, (0, 0), (size, None)
        else:
            asked, cost, used = {"usage": Usage(*size)}, auditor.priced(model, size), size
            given = (None, size)
        filed = model or "unknown"
        content = (who, "charge", filed, given)
        return (
            lambda: ledger.charge(account, **asked, model=model, key=key, occurred_at=occurred_at),
            lambda auditor: auditor.charge(
                self.clock(), who, filed, cost, used, key, content, occurred_us
            ),
        )

    def plan_adjust(self, number, ledger, place, pico, key):
        rows = self.auditor.rows
        charged = [row for row in rows if row["kind"] in ("charge", "settle")]
        rows = rows if place % 5 == 4 else [row for row in charged if not row["origin"]]
        if not rows:
            return None
        row = rows[-1 - place % len(rows)]["id"]
        return (
            lambda: ledger.adjust(row, usd(pico), reason="wrong price", key=key),
            lambda auditor: auditor.adjust(self.clock(), CALLERS[number][0], row, pico, key),
        )

    def who(self, number, account):
        return CALLERS[number][0], account

    def budget_name(self, who, place):
        names = sorted(self.auditor.budgets.get(who, ())) or ["default"]
        return names[place % len(names)]

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def all_agree(self):
        self.rows_only_grow_and_agree()
        self.alerts_agree()
        self.balances_agree()
        self.views_agree()
        assert self.ledgers[0].verify().problems == ()

    def rows_only_grow_and_agree(self):
        for table in GROWING:
            before = self.tables.get(table, [])
            rows = self.sql.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            assert rows[: len(before)] == before
            self.tables[table] = rows
        found = self.sql.execute(
            """
            SELECT e.id, p.name, a.name, e.recorded_at_us, e.kind, e.model, e.cost_pico,
                   e.input_tokens, e.output_tokens, e.requests, e.corrects_id,
                   e.idempotency_key, e.origin_id, e.hold_id, e.held_pico, e.held_tokens,
                   e.expires_at_us
            FROM entries e
            JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = e.project_id
            ORDER BY e.id"""
        ).fetchall()
        facts = ("corrects", "key", "origin", "hold", "held_pico", "held_tokens", "expires_us")
        expected = [
            (row["id"], *row["who"], row["at_us"], row["kind"], row["model"], row["cost"],
             *row["used"], row["requests"], *(row[fact] for fact in facts))
            for row in self.auditor.rows
        ]  # fmt: skip
        assert found == expected
        opened = self.sql.execute(
            "SELECT p.name, a.name FROM accounts a JOIN projects p ON p.id = a.project_id"
        )
        assert set(opened) == self.auditor.accounts

    def alerts_agree(self):
        told = []
        for project, ledger in (("app", self.ledgers[1]), ("other", self.ledgers[3])):
            told += [self.said(project, alert) for alert in ledger.alerts()]
        expected = [alert if alert[2] == "alert" else alert[:4] for alert in self.auditor.alerts]
        assert sorted(told, key=repr) == sorted(expected, key=repr)
        heard = [self.said(*alert) for alert in self.heard]
        assert sorted(heard, key=repr) == sorted(expected, key=repr)

    def said(self, project, alert):
        budget = ((project, alert.account), alert.budget, alert.state, alert.threshold)
        if alert.state == "resolve":  # with the figures of whichever moment
            return budget
        window = tuple(alert.window[:2])
        return (*budget, alert.limit, alert.posted, window, alert.recorded_at_us)

    def balances_agree(self):
        for number, (project, _) in enumerate(CALLERS):
            for account in WHO:
                self.balance_agrees(self.ledgers[number], (project, account))

    def balance_agrees(self, ledger, who):
        now, account = self.clock(), who[1]
        if who not in self.auditor.accounts:
            for ask in (ledger.balance, ledger.holds):
                with pytest.raises(UnknownAccount):
                    ask(account)
            return
        found = []
        balance = ledger.balance(account)
        unpriced, assumed = self.auditor.unstated(now, who)
        assert (balance.unpriced, balance.assumed) == (unpriced, usd(assumed))
        for one in balance.budgets:
            figures = one.budget.limit, one.posted, one.held, one.available
            found.append((one.budget.name, tuple(one.window[:2]), *figures))
        expected = []
        for one in self.auditor.all_stand(now, who):
            figures = (auditor.amount(one["measure"], one[figure]) for figure in
                       ("limit", "posted", "held", "left"))  # fmt: skip
            expected.append((one["name"], one["window"], *figures))
            before = self.auditor.earlier_posted(who, one["name"], one["window"], one["measure"])
            assert self.summed_by_sql(who, one) == one["posted"] - before
        assert found == expected
        holds = [told(lambda hold=hold: hold) for hold in ledger.holds(account)]
        assert holds == [
            (*self.auditor.shown(hold), None) for hold in self.auditor.open_holds(now, who)
        ]

    def summed_by_sql(self, who, one):
        column = {"usd": "cost_pico", "tokens": "input_tokens + output_tokens"}
        start, end = one["window"]
        names = sorted(auditor.names_of(one["model"]) or ())
        counting = f"AND model IN ({', '.join('?' * len(names))})" if names else ""
        (found,) = self.sql.execute(
            f"""
            SELECT coalesce(sum({column.get(one["measure"], "requests")}), 0) FROM entries e
            JOIN accounts a ON a.id = e.account_id JOIN projects p ON p.id = a.project_id
            WHERE p.name = ? AND a.name = ?
                  AND {auditor.SQL_BELONGS} >= coalesce(CAST(? AS BIGINT), 0)
                  AND {auditor.SQL_BELONGS} < coalesce(CAST(? AS BIGINT), 9e18)
                  {counting}""",
            (*who, start, end, *names),
        ).fetchone()
        return found

    def views_agree(self):
        own = {}
        for row in self.auditor.rows:
            if row["kind"] in auditor.MONEY and row["origin"] is None:
                cost, requests = own.get(row["who"], (0, 0))
                own[row["who"]] = cost + (row["cost"] or 0), requests + row["requests"]
        for view, cost in (
            ("spend", "sum(cost_pico)"),
            ("spend_by_day", "round(sum(cost_usd) * 1e12)"),
            ("spend_by_model", "round(sum(cost_usd) * 1e12)"),
        ):
            rows = self.sql.execute(
                f"SELECT project, account, {cost}, sum(requests) FROM {view} GROUP BY 1, 2"
            )
            found = {(p, a): (cost or 0, requests) for p, a, cost, requests in rows}
            assert found.keys() == own.keys()
            for who, (cost, requests) in own.items():
                assert found[who] == (pytest.approx(cost, rel=1e-12, abs=1), requests)
                assert view != "spend" or found[who][0] == cost
        rows = self.sql.execute(
            "SELECT id, cost_basis, assumed FROM spend WHERE kind = 'settle' ORDER BY id"
        )
        stated = {row["corrects"] for row in self.auditor.rows}
        assert rows.fetchall() == [
            (row["id"], row["basis"], int(row["basis"] == "assumed" and row["id"] not in stated))
            for row in self.auditor.rows
            if row["kind"] == "settle" and row["origin"] is None
        ]
        rows = self.sql.execute(
            "SELECT id, held_pico, held_tokens, closed_by FROM holds ORDER BY id"
        )
        kind = {row["id"]: row["kind"] for row in self.auditor.rows} | {None: None}
        assert rows.fetchall() == [
            (hold["id"], hold["need"]["usd"], hold["need"]["tokens"], kind[hold["closed_by"]])
            for hold in self.auditor.holds.values()
        ]


CallersAgainstAuditor.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestCallersAgainstAuditor = CallersAgainstAuditor.TestCase


class OnPostgres(CallersAgainstAuditor):
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
TestCallersAgainstAuditorOnPostgres = pytest.mark.postgres(
    pytest.mark.usefixtures("common_schema_in_module")(OnPostgres.TestCase)
)

"""What a ledger with holds must say: plain dictionaries, and sums over them.

Written from the documentation alone; nothing here calls the ledger. Each step takes the clock's
microseconds and answers as the caller is answered: a tuple whose first word says what happened.
"""

import copy
from decimal import Decimal

PICO = 10**12
EVER = float("inf")
SECOND = 1_000_000
MONEY = ("charge", "settle", "adjustment")
CLOSING = ("settle", "release", "expire")
STEPS = {"minute": 60 * SECOND, "hour": 3600 * SECOND, "day": 86_400 * SECOND}
# openai.com/api/pricing, 2026-01: gpt-4o, 2.50 and 10.00 USD a million tokens.
_GPT_4O = {"gpt-4o", "openai/gpt-4o", "GPT-4o-2024-08-06"}
NAMES = {"gpt-4o": _GPT_4O, "openai/gpt-4o": _GPT_4O}
"""The names that a budget on a model counts, where it is more than the name itself."""
RATES = dict.fromkeys(NAMES["gpt-4o"], (2_500_000, 10_000_000))
ROW = {
    "model": None,
    "cost": None,
    "used": (0, 0),
    "requests": 0,
    "corrects": None,
    "key": None,
    "origin": None,
    "hold": None,
    "reported": (0, 0),
    "held_pico": None,
    "held_tokens": None,
    "expires_us": None,
    "basis": None,
    "minimal": None,
    "belongs_us": None,
}


def _sql_belongs(row, hold):
    """When a call's row belongs, in the SQL of both databases."""
    return f"""
    CASE WHEN {row}.occurred_at_us IS NULL OR {row}.occurred_at_us >= {row}.recorded_at_us
         THEN {row}.recorded_at_us
         WHEN {row}.kind <> 'settle' OR {hold}.recorded_at_us <= {row}.occurred_at_us
         THEN {row}.occurred_at_us
         WHEN {hold}.recorded_at_us < {row}.recorded_at_us THEN {hold}.recorded_at_us
         ELSE {row}.recorded_at_us END"""


SQL_BELONGS = f"""
CASE WHEN e.corrects_id IS NULL
     THEN (SELECT {_sql_belongs("c", "h")} FROM entries c
           LEFT JOIN entries h ON h.id = c.hold_id WHERE c.id = e.id)
     ELSE (SELECT {_sql_belongs("c", "h")} FROM entries c
           LEFT JOIN entries h ON h.id = c.hold_id
           WHERE c.account_id = e.account_id AND coalesce(c.origin_id, c.id) = e.corrects_id)
END"""
"""When the row e belongs, worked out from the entries alone."""


def usd(pico):
    return Decimal(pico).scaleb(-12)


def amount(measure, units):
    return usd(units) if measure == "usd" else units


def names_of(model):
    """What a budget on *model* counts; None for every model."""
    return None if model is None else NAMES.get(model, {model})


def priced(model, used):
    """Picodollars of a call, or None if nobody knows."""
    if model not in RATES:
        return None
    return sum(count * rate for count, rate in zip(used, RATES[model], strict=True))


class Auditor:
    def __init__(self):
        self.accounts = set()
        self.rows = []
        self.budgets = {}  # by account: the terms by name, in force
        self.shifts = {}
        self.prior = {}  # by project account and budget: since which row, from when, which rows
        self.parents = {}
        self.frozen = set()
        self.holds = {}
        self.written = {}
        self.standing = {}
        self.alerts = []
        self.defaults = {}  # by project and kind
        self.had_budget = set()
        self.by_default = set()  # whose budget `standard` came by default
        self.starts = {}  # of the rows that count what was before

    # -- what follows from the rows -------------------------------------------------------------

    def moment(self, now, who):
        """An account's time never runs back."""
        return max([now, *(row["at_us"] for row in self.rows if row["who"] == who)])

    def line(self, who):
        found = [who]
        top = (who[0], "*")
        while found[-1] != top:
            above = self.parents.get(found[-1]) or (top if top in self.accounts else None)
            if above is None:
                break
            found.append(above)
        return found

    def window(self, who, name, moment):
        per = self.budgets[who][name]["per"]
        if per is None:
            start, end = None, None
        elif per in STEPS:
            start = moment - moment % STEPS[per]
            end = start + STEPS[per]
        else:
            start, end = moment - per, moment + 1
        shift = self.shifts.get((who, name))
        if shift is not None and (start is None or shift > start):
            start = shift
        return start, end

    def within(self, who, window, model=None):
        start, end = window
        names = names_of(model)
        return [
            row
            for row in self.rows
            if row["who"] == who
            and row["kind"] in MONEY
            and (start is None or start <= row["belongs_us"])
            and (end is None or row["belongs_us"] < end)
            and (names is None or row["model"] in names)
        ]

    def posted(self, who, window, model, measure):
        rows = self.within(who, window, model)
        if measure == "usd":
            return sum(row["cost"] or 0 for row in rows)
        return sum(sum(row["used"]) if measure == "tokens" else row["requests"] for row in rows)

    def earlier(self, who, name):
        """The rows of before that a budget of the project counts."""
        return self.prior.get((who, name), (0, None, ()))[2]

    def earlier_within(self, who, name, window):
        """Those in a window: in a rolling one each by itself, in another all from its start."""
        start, end = window
        is_rolling = isinstance(self.budgets[who][name]["per"], int)
        all_at = self.prior.get((who, name), (0, None, ()))[1] or 0
        moments = [(row["belongs_us"] if is_rolling else all_at, row)
                   for row in self.earlier(who, name)]  # fmt: skip
        return [
            row
            for moment, row in moments
            if (start is None or start <= moment) and (end is None or moment < end)
        ]

    def earlier_posted(self, who, name, window, measure):
        rows = self.earlier_within(who, name, window)
        if measure == "usd":
            return sum(row["cost"] or 0 for row in rows)
        return sum(sum(row["used"]) if measure == "tokens" else row["requests"] for row in rows)

    def open_holds(self, now, who, model=None):
        return [
            hold
            for hold in self.holds.values()
            if who in hold["counts_on"]
            and hold["closed_by"] is None
            and hold["expires_us"] > now
            and (model is None or hold["model"] in names_of(model))
        ]

    def held(self, now, who, model, measure):
        return sum(hold["need"][measure] for hold in self.open_holds(now, who, model))

    def stand(self, now, who, name):
        """How a budget stands."""
        terms = self.budgets[who][name]
        measure, model = terms["measure"], terms["model"]
        window = self.window(who, name, self.moment(now, who))
        posted = self.posted(who, window, model, measure)
        posted += self.earlier_posted(who, name, window, measure)
        held = self.held(now, who, model, measure)
        left = terms["limit"] - posted - held
        return {"who": who, "name": name, "window": window, **terms} | {
            "posted": posted,
            "held": held,
            "left": left,
        }

    def all_stand(self, now, who):
        return [self.stand(now, who, name) for name in sorted(self.budgets.get(who, ()))]

    def reported(self, now, who):
        """How the budget stands that a balance reports; None if none is in dollars."""
        in_usd = [one for one in self.all_stand(now, who) if one["measure"] == "usd"]
        return min(in_usd, key=lambda one: (one["name"] != "default", one["left"]), default=None)

    def unpriced(self, who, window, model=None):
        """The calls in a window whose cost nobody has stated."""
        stated = {row["corrects"] for row in self.rows}
        rows = self.within(who, window, model)
        return [
            row
            for row in rows
            if row["cost"] is None and (row["origin"] or row["id"]) not in stated
        ]

    def unstated(self, now, who):
        """Of what a balance reports: how many calls without a price, and what was assumed."""
        one = self.reported(now, who)
        if one is None:
            rows = self.within(who, (None, None))
        else:
            rows = self.within(who, one["window"], one["model"])
            rows = rows + self.earlier_within(who, one["name"], one["window"])
        stated = {row["corrects"] for row in self.rows}
        rows = [row for row in rows if row["kind"] != "adjustment"
                and (row["origin"] or row["id"]) not in stated]  # fmt: skip
        unpriced = [row for row in rows if row["cost"] is None]
        return len(unpriced), sum(row["cost"] for row in rows if row["basis"] == "assumed")

    # -- writing --------------------------------------------------------------------------------

    def append(self, now, who, kind, **facts):
        self.accounts.add(who)
        row = {"id": len(self.rows) + 1, "who": who, "kind": kind, **ROW}
        row |= {"at_us": self.moment(now, who), **facts}
        row["belongs_us"] = self.belongs(row)
        self.rows.append(row)
        return row

    def belongs(self, row):
        """When a row belongs: not where it was recorded, if its call was made before."""
        at, occurred = row["at_us"], row.pop("occurred_us", None)
        if row["corrects"] is not None:
            at = self.rows[row["corrects"] - 1]["belongs_us"]  # of before the project's account
            for call in self.rows:
                if call["who"] == row["who"] and row["corrects"] in (call["id"], call["origin"]):
                    at = call["belongs_us"]
        elif occurred is not None:
            granted = self.rows[row["hold"] - 1]["at_us"] if row["hold"] else occurred
            at = min(at, max(occurred, granted))
        return at

    def post(self, now, who, kind, line=None, **facts):
        first = None
        for level in line or self.line(who):
            if first is None:
                first = self.append(now, level, kind, **facts)
            else:
                self.append(now, level, kind, **facts | {"origin": first["id"], "key": None})
            self.cross(now, level)
        return first

    def with_key(self, project, key, content):
        """The answer to a key that was used: of the same content, the row's; or None."""
        for row in self.rows:
            if key is not None and row["key"] == key and row["who"][0] == project:
                same = row["content"] == content
                return row, None if same else ("conflict", key, row["id"])
        return None, None

    # -- alerts ---------------------------------------------------------------------------------

    def cross(self, now, who):
        """Raise and resolve what the rows of an account lead to."""
        over, fresh = [], []
        for (owner, name, share), alert in self.standing.items():
            if owner == who and not self.stands(now, who, name, share, alert):
                over.append((name, share))
        for name, share in sorted(over):
            self.tell(now, who, name, share, "resolve")
            del self.standing[who, name, share]
        for one in self.all_stand(now, who):
            for share in one["alert_at"]:
                if (who, one["name"], share) not in self.standing and reached(one, share):
                    fresh.append((one["name"], share, self.counted(one)))
        for name, share, counted in fresh:
            self.tell(now, who, name, share, "alert")
            self.standing[who, name, share] = counted

    def counted(self, one):
        """What an alert is about: the limit, and the window unless it rolls."""
        return one["measure"], one["limit"], None if isinstance(one["per"], int) else one["window"]

    def stands(self, now, who, name, share, alert):
        if share not in self.budgets[who].get(name, {"alert_at": ()})["alert_at"]:
            return False
        one = self.stand(now, who, name)
        measure, limit, window = self.counted(one)
        if isinstance(one["per"], int) or limit != alert[1]:
            return reached(one, share) and (measure, window) == (alert[0], alert[2])
        return (measure, window) == (alert[0], alert[2])

    def tell(self, now, who, name, share, state):
        one = self.stand(now, who, name)
        row = self.append(now, who, state)
        window = (None, None) if isinstance(one["per"], int) else one["window"]
        figures = [amount(one["measure"], one[figure]) for figure in ("limit", "posted")]
        self.alerts.append((who, name, state, share, *figures, window, row["at_us"]))

    # -- settings -------------------------------------------------------------------------------

    def set_budget(self, now, who, name, terms):
        before = self.budgets.setdefault(who, {})
        if name != "standard" and who in self.by_default:
            self.remove_budget(now, who, "standard")
        self.had_budget.add(who)
        was = before.get(name)
        if was != terms:
            before[name] = terms
            self.append(now, who, "budget")
            if name == "standard":
                self.by_default.discard(who)
            if who[1] == "*":
                self.count_earlier(now, who, name, was)
            self.cross(now, who)
        return "budget", name, amount(terms["measure"], terms["limit"])

    def change_budget(self, now, who, name, changes):
        """What is not passed stays; a new budget is one for ever, of all models."""
        current = self.budgets.get(who, {}).get(name)
        if current is None and "limit" not in changes:
            return ("bad input",)
        new = {"per": None, "model": None, "alert_at": ()}
        return self.set_budget(now, who, name, (current or new) | changes)

    def count_earlier(self, now, who, name, was):
        """What the project posted and holds before, where its account does not repeat it."""
        terms = self.budgets[who][name]
        unlisted = [
            hold
            for hold in self.holds.values()
            if hold["who"][0] == who[0]
            and hold["closed_by"] is None
            and who not in hold["counts_on"]
        ]
        for hold in unlisted:
            hold["counts_on"] = [*hold["counts_on"], who]
        known = (who, name) in self.prior
        same = was and all(was[term] == terms[term] for term in ("per", "model"))
        if same and known and not unlisted:
            return
        start, _ = self.window(who, name, self.moment(now, who))
        repeated = {row["origin"] or row["id"] for row in self.rows if row["who"] == who}
        names = names_of(terms["model"])
        rows = [
            row
            for row in self.rows
            if row["who"][0] == who[0] and row["who"] != who and row["kind"] in MONEY
            and row["origin"] is None and row["id"] not in repeated
            and (start is None or start <= row["belongs_us"])
            and (names is None or row["model"] in names)
        ]  # fmt: skip
        if rows or known or unlisted:
            prior = self.append(now, who, "prior")
            self.prior[who, name] = prior["id"], start, rows
            self.starts.setdefault(who, []).append((prior["id"], start))

    def remove_budget(self, now, who, name):
        if name not in self.budgets.get(who, ()):
            return "unknown", who[1]
        shares = [of[2] for of in self.standing if of[:2] == (who, name)]
        self.append(now, who, "budget")
        for share in sorted(shares):
            self.tell(now, who, name, share, "resolve")
            del self.standing[who, name, share]
        del self.budgets[who][name]
        if name == "standard":
            self.by_default.discard(who)
        return ("nothing",)

    def set_default_budget(self, project, kind, terms):
        self.defaults[project, kind] = terms
        return "default", kind, amount(terms["measure"], terms["limit"])

    def remove_default_budget(self, project, kind):
        return ("nothing",) if self.defaults.pop((project, kind), None) else ("unknown", kind)

    def apply_defaults(self, now, who):
        """Give the account that spends, and those above it but for users, their default budget."""
        for level in self.line(who):
            prefix, colon, _ = level[1].partition(":")
            kind = prefix if colon else "user"
            terms = self.defaults.get((who[0], kind))
            is_user_above = kind == "user" and level != who
            if terms and not is_user_above and level[1] != "*" and level not in self.had_budget:
                self.set_budget(now, level, "standard", terms)
                self.by_default.add(level)

    def with_defaults(self, now, who):
        """How everything stands once the defaults are applied."""
        if not self.defaults:
            return self
        imagined = copy.deepcopy(self)
        imagined.apply_defaults(now, who)
        return imagined

    def shift_window(self, now, who, name):
        names = sorted(self.budgets.get(who, ()))
        if not names or name not in (None, *names):
            return "unknown", who[1]
        rows = [row["at_us"] + 1 for row in self.rows if row["who"] == who]
        start = max([now, *rows])
        shifted = names if name is None else [name]
        for one in shifted:
            self.shifts[who, one] = start
            self.append(start, who, "shift")
        self.cross(now, who)
        return "window", self.window(who, shifted[0], start)

    def set_parent(self, now, who, parent):
        above = parent and (who[0], parent)
        if "*" in (who[1], parent):
            return ("bad input",)
        if above is None and who not in self.accounts:
            return "unknown", who[1]
        if above is not None and who in self.line(above):
            return ("bad input",)
        self.accounts |= {who, above or who}
        if self.parents.get(who) != above:
            self.parents[who] = above
            self.append(now, who, "parent")
        return ("nothing",)

    def freeze(self, now, who, frozen):
        if who not in self.accounts:
            return "unknown", who[1]
        if (who in self.frozen) != frozen:
            self.frozen ^= {who}
            self.append(now, who, "freeze" if frozen else "unfreeze")
        return ("nothing",)

    # -- holds ----------------------------------------------------------------------------------

    def hold(
        self, now, who, need, model, key, expires_in, prompt, enforce, priced=True, minimal=None,
        passed=None,
    ):  # fmt: skip
        """*prompt*: the tokens of one that the hold was estimated from, if it was *priced*.

        *minimal*: the model or function of a call whose cost could not be estimated. *passed*: the
        USD and tokens that the caller named, 0 for what was not named; None without any.
        """
        estimate = None if minimal or passed else need
        content = (who, "hold", model, passed, estimate, prompt)
        row, conflict = self.with_key(who[0], key, content)
        if row is not None:
            return conflict or self.still_open(now, self.holds[row["id"]])
        seen = self.with_defaults(now, who)
        refusal = seen.judge(now, who, need, model, prompt) if priced else ("no price",)
        if refusal is None and minimal is not None and seen.is_too_much(now, who, model):
            refusal = ("no price",)
        if refusal is not None and enforce:
            return refusal
        self.apply_defaults(now, who)
        line = self.line(who)
        self.expire(now, line)
        expires_us = now + expires_in
        facts = {"held_pico": need["usd"], "held_tokens": need["tokens"], "model": model}
        facts |= {"expires_us": expires_us, "key": key, "content": content}
        row = self.append(now, who, "hold", **facts)
        self.holds[row["id"]] = hold = {
            "id": row["id"],
            "who": who,
            "need": need,
            "model": model,
            "expires_us": expires_us,
            "counts_on": line,
            "closed_by": None,
            "counted_by": None,
            "minimal": minimal,
            "prompt": prompt or 0,
            "is_estimate": minimal is None and (prompt is not None or need["usd"] > 0),
        }
        return *self.shown(hold), refusal

    def shown(self, hold):
        need = hold["need"]
        return "hold", hold["id"], usd(need["usd"]), need["tokens"], hold["expires_us"]

    def judge(self, now, who, need, model, prompt):
        line = self.line(who)
        found = [one for level in line for one in self.all_stand(now, level)]
        if not found:
            return "unknown", who[1]
        for level in line:
            if level in self.frozen:
                return "frozen", level[1]
        found = [one for one in found if model in (names_of(one["model"]) or {model})]
        refusing = [one for one in found if 0 < need[one["measure"]] > one["left"]]
        if not refusing:
            return None
        if any(row["cost"] and row["cost"] < 0 for one in refusing for row in self.money_of(one)):
            return ("over",)  # when to come back is not promised once costs were refunded
        waits = [self.wait(now, one, need) for one in refusing]
        longest = max(waits, key=lambda wait: EVER if wait is None else wait)
        last = refusing[waits.index(longest)]
        figures = [last[figure] for figure in ("limit", "posted", "held", "left")]
        figures = (amount(last["measure"], units) for units in (*figures, need[last["measure"]]))
        most = None if prompt is None else largest_output(found, model, prompt)
        after = None if longest is None else longest / SECOND
        return "over", last["who"][1], last["name"], last["window"], *figures, after, most

    def is_too_much(self, now, who, model):
        """Whether a budget cannot limit one more call of which nothing could be estimated."""
        named = None if model == "unknown" else model
        for level in self.line(who):
            for one in self.all_stand(now, level):
                if one["measure"] == "usd" and named in (names_of(one["model"]) or {named}):
                    same = "gpt-4o" if named in _GPT_4O else named
                    rows = self.unpriced(level, one["window"], same)
                    if any(row["minimal"] for row in rows):
                        return True
                    for hold in self.open_holds(now, level, one["model"]):
                        if hold["minimal"] and not self.ended_priced(who[0], hold["minimal"]):
                            return True
        return False

    def ended_priced(self, project, minimal):
        """Whether the last call of a model or function had a price, when it was settled."""
        ended = [
            row
            for row in self.rows
            if row["minimal"] == minimal and row["who"][0] == project and not row["origin"]
        ]
        return bool(ended) and ended[-1]["cost"] is not None

    def money_of(self, one):
        return self.within(one["who"], (None, None), one["model"])

    def wait(self, now, one, need):
        """Microseconds until a budget has room, if nothing happens but time; None for ever."""
        who, name, measure = one["who"], one["name"], one["measure"]
        rows = self.within(who, one["window"], one["model"]) + list(self.earlier(who, name))
        moments = {hold["expires_us"] for hold in self.open_holds(now, who, one["model"])}
        if isinstance(one["per"], int):  # a row leaves just after the span
            moments |= {row["belongs_us"] + one["per"] + 1 for row in rows}
        elif one["window"][1] is not None:
            moments.add(one["window"][1])
        for moment in sorted(moments):
            if moment > now and self.stand(moment, who, name)["left"] >= need[measure]:
                return moment - now
        return None

    def still_open(self, now, hold):
        if hold["closed_by"] is not None or hold["expires_us"] <= now:
            return self.closed(hold)
        return *self.shown(hold), None

    def closed(self, hold):
        return "closed", hold["id"], hold["closed_by"]

    def expire(self, now, line):
        """Take the rows that say a deadline has passed: when they are written is not promised.

        ``written`` are the kinds and holds of the rows in the file, by number.
        """
        while (row := self.written.get(len(self.rows) + 1)) and row[0] == "expire":
            hold = self.holds[row[1]]
            assert hold["closed_by"] is None
            assert hold["expires_us"] <= now
            assert set(hold["counts_on"]) & set(line)
            hold["closed_by"] = self.append(now, hold["who"], "expire", hold=hold["id"])["id"]

    def settle(self, now, number, model, cost, used, occurred_us=None):
        """*cost* None: nobody knows it. *used* None: nothing was told of it."""
        hold = self.holds[number]
        if hold["closed_by"] and self.rows[hold["closed_by"] - 1]["kind"] == "settle":
            return self.closed(hold)
        if hold["counted_by"]:
            return "closed", number, hold["counted_by"]
        line = None
        if not hold["closed_by"]:  # it counts where it was granted, and for the project
            top = self.line(hold["who"])[-1:]
            whole = [one for one in top if one[1] == "*" and one not in hold["counts_on"]]
            line = [*hold["counts_on"], *whole]
        reported = used or (0, 0)
        hold["closed_by"] = "settling"  # it counts no more when its own cost is judged
        basis = "stated"
        if cost is None:
            need = hold["need"]
            used = used or (hold["prompt"], need["tokens"] - hold["prompt"])
            basis, cost = ("assumed", need["usd"]) if hold["is_estimate"] else ("unpriced", None)
        facts = {"model": model, "cost": cost, "used": used, "requests": 1, "hold": number}
        facts |= {"basis": basis, "minimal": hold["minimal"], "occurred_us": occurred_us}
        facts["reported"] = reported
        row = self.post(now, hold["who"], "settle", line, **facts)
        hold["closed_by"] = row["id"]
        return "entry", row["id"]

    def settle_around(self, now, number, inside, model, cost, used):
        """The settle of a call that has metered calls *inside*, rows of this project.

        *used* and *cost* None: nothing of it can be read.
        """
        hold = self.holds[number]
        counting = self.counting([r for r in inside if r["who"] == hold["who"]], model, cost, used)
        if counting is None:
            return None
        if not hold["closed_by"]:
            hold["closed_by"] = self.append(now, hold["who"], "release", hold=number)["id"]
            hold["counted_by"] = counting["id"]
        return "entry", counting["id"]

    def counting(self, inside, model, cost, used):
        """The row of *inside* that has the cost of a call; None if that is owed as well."""
        if not inside or (used is None and cost is None):
            return inside[-1] if inside else None
        if used is None:
            return None
        alike = [row for row in inside if are_alike(row["model"], model)]
        same = [row for row in alike if row["reported"] == used]
        if same:
            return same[-1]
        for several in (inside, alike):
            if alike and used == tuple(
                map(sum, zip(*(r["reported"] for r in several), strict=True))
            ):
                return several[-1]
        return None

    def why_refused(self, now, who, need, model, own):
        """Of a hold that is refused: whether waiting helps, and whether those of *own* cause it."""

        def without(is_gone):
            imagined = copy.deepcopy(self)
            for hold in imagined.holds.values():
                if hold["closed_by"] is None and is_gone(hold["id"]):
                    hold["closed_by"] = "gone"
            return imagined.judge(now, who, need, model, None) is None

        return without(lambda number: number not in own), without(lambda number: number in own)

    def release(self, now, number):
        hold = self.holds[number]
        if hold["closed_by"]:
            return self.closed(hold)
        hold["closed_by"] = self.append(now, hold["who"], "release", hold=number)["id"]
        return "entry", hold["closed_by"]

    def extend(self, now, number, expires_in):
        hold = self.holds[number]
        if hold["closed_by"] or hold["expires_us"] <= now:
            return self.closed(hold)
        hold["expires_us"] = expires_us = now + expires_in
        self.append(now, hold["who"], "extend", hold=number, expires_us=expires_us)
        return "until", expires_us

    # -- money ----------------------------------------------------------------------------------

    def charge(self, now, who, model, cost, used, key, content, occurred_us=None):
        row, conflict = self.with_key(who[0], key, content)
        if row is None:
            self.accounts.add(who)
            self.apply_defaults(now, who)
            facts = {"model": model, "cost": cost, "used": used, "requests": 1, "key": key}
            facts["occurred_us"] = occurred_us
            row = self.post(now, who, "charge", **facts, content=content)
        return conflict or ("entry", row["id"])

    def adjust(self, now, project, number, pico, key):
        row = self.rows[number - 1]
        if row["who"][0] != project or row["kind"] not in ("charge", "settle") or row["origin"]:
            return ("no entry",)
        content = (row["who"], "adjustment", number, pico)
        first, conflict = self.with_key(project, key, content)
        if first is not None:
            return conflict or ("entry", first["id"])
        stated = [r["cost"] for r in self.rows if r["corrects"] == number and not r["origin"]]
        if pico < 0 and (row["cost"] or 0) + sum(stated) + pico < 0:
            return ("bad input",)
        facts = {"model": row["model"], "cost": pico, "corrects": number, "key": key}
        facts |= {"content": content}
        line = [r["who"] for r in self.rows if number in (r["id"], r["origin"])]  # where it counts
        top = (project, "*")
        if top not in line and any(
            number < prior and (start is None or start <= row["belongs_us"])
            for prior, start in self.starts.get(top, ())
        ):
            line.append(top)
        return "entry", self.post(now, row["who"], "adjustment", line, **facts)["id"]


def are_alike(model, other):
    """Whether both are names of one model, as far as is known."""
    if "unknown" in (model, other):
        return True
    return other in names_of(model) or model in names_of(other)


def reached(one, share):
    return one["posted"] > 0 and one["posted"] >= share * one["limit"]


def largest_output(found, model, prompt):
    """The longest answer that every budget still has room for after the prompt."""
    prompt_rate, answer_rate = RATES[model]
    most = []
    for one in found:
        if one["measure"] == "usd":
            most.append((one["left"] - prompt * prompt_rate) // answer_rate)
        elif one["measure"] == "tokens":
            most.append(one["left"] - prompt)
        elif one["left"] < 1:
            most.append(-1)
    return min(most) if min(most) >= 0 else None

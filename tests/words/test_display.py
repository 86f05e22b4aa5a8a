"""How values show themselves: amounts in US dollars, moments in UTC, and still plain tuples."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from budgetledger import display
from budgetledger.entries import Account, Alert, Balance, Budget, BudgetStatus, Entry
from budgetledger.money import Sum
from budgetledger.pricing.estimates import Estimate
from budgetledger.windows import Period, Window

MARCH = Window(1_772_319_600_000_000, 1_774_994_400_000_000, "Europe/Berlin")
IN_MARCH = "2026-02-28T23:00:00Z to 2026-03-31T22:00:00Z"
NOON_US = 1_772_452_800_000_000
BUDGET = Budget(
    "alice", "usd/month", "usd", Sum(10), None, Period("month", "Europe/Berlin"), 0.0,
    (Decimal("0.5"), Decimal("1")),
)  # fmt: skip
TOKENS = Budget(
    "alice", "day", "tokens", Sum(2000), "gpt-4o", Period("rolling", span_us=1_500_000), 0.0
)
STATUS = BudgetStatus(
    BUDGET, MARCH, Decimal("0.000000000001"), Decimal("0.00"), Decimal("9.999999999999")
)
COUNTED = BudgetStatus(TOKENS, Window(None, None), 1230, 0, 770)
BALANCE = Balance(
    "alice", Decimal("10.00"), *STATUS[2:4], STATUS.available, MARCH, 1, (STATUS, COUNTED)
)
UNLIMITED = Balance("<b>", None, Decimal("0.25"), Decimal("0.00"), None, Window(None, None), 0)
ESTIMATE = Estimate(40_962_500_000, 1, 4096, 1, False, "exact", "genai-prices 0.2.3", {}, 1_250_000)
ALERT = Alert(
    "default", "alice", "usd/month", "usd", "alert", Decimal("0.8"),
    Decimal("10.00"), Decimal("8.50"), MARCH, NOON_US + 250_000,
)  # fmt: skip


def entry(kind, **fields):
    empty = dict.fromkeys(Entry._fields)
    known = {"id": 7, "account": "alice", "kind": kind, "recorded_at_us": NOON_US}
    counts = {"input_tokens": 0, "output_tokens": 0, "requests": 1}
    return Entry(**empty | known | counts | fields)


CHARGE = entry(
    "charge", model="gpt-4o", cost_pico=3_300_000_000, input_tokens=1200, output_tokens=30,
    tags_json='{"page":"<script>"}',
)  # fmt: skip
HOLD = entry("hold", held_pico=25 * 10**10, held_tokens=3, expires_at_us=NOON_US + 1_800_000_000)
SHOWN = [
    (
        CHARGE,
        "Entry(7, 'alice', charge, 'gpt-4o', 0.0033 USD, 1200 + 30 tokens, 2026-03-02T12:00:00Z)",
    ),
    (entry("settle"), "Entry(7, 'alice', settle, unpriced, 2026-03-02T12:00:00Z)"),
    (entry("release"), "Entry(7, 'alice', release, 2026-03-02T12:00:00Z)"),
    (
        HOLD,
        "Entry(7, 'alice', hold, 0.25 USD and 3 tokens until 2026-03-02T12:30:00Z, "
        "2026-03-02T12:00:00Z)",
    ),
    (
        BUDGET,
        "Budget('alice', 'usd/month', 10.00 USD per month (Europe/Berlin), alerts at 0.5, 1)",
    ),
    (TOKENS, "Budget('alice', 'day', 2000 tokens in any 1.5 s, model 'gpt-4o')"),
    (
        BUDGET._replace(period=Period(), alert_at=()),
        "Budget('alice', 'usd/month', 10.00 USD for ever)",
    ),
    (
        BUDGET._replace(period=Period("day", anchor_us=0), alert_at=()),
        "Budget('alice', 'usd/month', 10.00 USD per day from 1970-01-01T00:00:00Z (UTC))",
    ),
    (
        COUNTED,
        "BudgetStatus('alice', 'day', posted 1230 tokens, held 0 tokens, limit 2000 tokens, "
        "available 770 tokens, for ever)",
    ),
    (
        BALANCE,
        "Balance('alice', posted 0.000000000001 USD, held 0.00 USD, limit 10.00 USD, "
        f"available 9.999999999999 USD, 1 unpriced, {IN_MARCH}, budgets 'usd/month', 'day')",
    ),
    (UNLIMITED, "Balance('<b>', posted 0.25 USD, held 0.00 USD, for ever)"),
    (
        ALERT,
        "Alert('alice', 'usd/month', reached 0.8, posted 8.50 USD of 10.00 USD, "
        f"{IN_MARCH}, 2026-03-02T12:00:00.250000Z)",
    ),
    (MARCH, f"Window({IN_MARCH}, Europe/Berlin)"),
    (Window(0, None), "Window(since 1970-01-01T00:00:00Z, UTC)"),
    (Window(None, 0), "Window(until 1970-01-01T00:00:00Z, UTC)"),
    (
        Account("app", "alice", 0, "team:a", "on leave"),
        "Account('alice', project 'app', under 'team:a', frozen: 'on leave')",
    ),
    (Account("app", "bob", 0, None, ""), "Account('bob', project 'app', frozen)"),
    (Account("app", "alice", 0), "Account('alice', project 'app')"),
    (
        ESTIMATE,
        "Estimate(low 0.00000125 USD, high 0.0409625 USD, input 1 tokens (exact), "
        "output up to 4096 tokens, the default, prices genai-prices 0.2.3)",
    ),
]


@pytest.mark.parametrize(("value", "text"), SHOWN)
def test_a_value_shows_dollars_and_utc(value, text):
    assert repr(value) == str(value) == text


@pytest.mark.parametrize("value", [value for value, _ in SHOWN])
def test_a_value_stays_the_tuple_it_was(value):
    assert value == tuple(value) == pickle.loads(pickle.dumps(value))
    assert type(pickle.loads(pickle.dumps(value))) is type(copy.deepcopy(value)) is type(value)
    first, *_ = value
    assert first == value[0] == value._asdict()[value._fields[0]]
    assert value._replace() == value


def test_a_moment_outside_the_years_that_python_has():
    assert display.iso(2**63) == f"{2**63} µs"


class Cells(HTMLParser):
    """The texts of a table; a tag that a value brought in would be one of the tags."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (
            BALANCE,
            "Balance of alice, 1 unpriced|budget|posted|held|limit|available|window|"
            "usd/month|0.000000000001 USD|0.00 USD|10.00 USD|9.999999999999 USD|"
            f"{IN_MARCH}|day|1230 tokens|0 tokens|2000 tokens|770 tokens|for ever",
        ),
        (
            UNLIMITED,
            "Balance of <b>|budget|posted|held|limit|available|window|no budget|0.25 USD|0.00 USD|"
            "for ever",
        ),
        (
            CHARGE,
            "Entry 7: charge|account|alice|model|gpt-4o|cost|0.0033 USD|input tokens|1200|"
            'output tokens|30|recorded|2026-03-02T12:00:00Z|tags|{"page":"<script>"}',
        ),
        (
            HOLD,
            "Entry 7: hold|account|alice|held|0.25 USD and 3 tokens until 2026-03-02T12:30:00Z|"
            "recorded|2026-03-02T12:00:00Z",
        ),
        (
            ESTIMATE._replace(choices=2, bounded=True),
            "Estimate|low|0.00000125 USD|high|0.0409625 USD|input|1 tokens (exact)|"
            "output|up to 4096 tokens in 2 choices|prices|genai-prices 0.2.3",
        ),
    ],
)
def test_a_notebook_shows_a_table_and_runs_nothing_in_it(value, texts):
    shown = Cells(value._repr_html_())
    assert "|".join(shown.texts) == texts
    assert shown.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}

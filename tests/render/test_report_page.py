"""The page of a report: it loads nothing, escapes names, and has every figure in a table."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from budgetledger import Ledger, Usage
from budgetledger.journal.journal import journal_of
from budgetledger.render.report_page import page_html
from budgetledger.reports.making import Request
from budgetledger.reports.page import make_page
from budgetledger.testing import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")
START = datetime(2026, 8, 1, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
VOID = {"meta"}


class Read(HTMLParser):
    """The page's elements, and the texts of its cells; fails where one is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.cells, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def ledger(clock):
    with Ledger(":memory:", clock=clock) as opened:
        yield opened


def page(ledger, **request):
    return page_html(make_page(journal_of(ledger), Request(**request)))


def test_names_are_text_and_nothing_is_loaded(ledger, clock):
    ledger.set_budget(HOSTILE, 2, per="month", name=HOSTILE)
    ledger.charge(HOSTILE, cost="1.5", model=HOSTILE, tags={HOSTILE: HOSTILE})
    clock.advance(days=5)
    for request in ({}, {"columns": f"tag:{HOSTILE}"}, {"account": HOSTILE}):
        text = page(ledger, **request)
        read = Read(text)
        assert {*read.elements} & {"script", "img", "link", "iframe", "object", "form"} == set()
        assert not [name for name, _ in read.attributes if name.startswith("on")]
        assert not {name for name, _ in read.attributes} & {"src", "href", "srcset", "action"}
        assert not re.search(r"url\(|@import|https?:", text)
        assert "default-src 'none'" in text
        assert HOSTILE in read.cells


def test_every_figure_of_the_chart_is_in_a_table(ledger, clock):
    for day in range(4):
        for number in range(10):
            ledger.charge("alice", cost=f"{number + 1}.0{day}", model=f"m{number}")
        clock.advance(days=1)
    read = Read(page(ledger))
    assert read.cells.count("$10.00") >= 1
    for at, name in enumerate(["m9", "m8", "m3", "3 others"]):
        assert name in read.cells, at
    titles = re.findall("<title>(2026.*?)</title>", page(ledger))
    assert len(titles) == 4 * 8
    for title in titles:
        assert title.rpartition(" ")[2] in read.cells
    assert "$220.60" in read.cells


def test_budgets_calls_and_what_is_not_known(ledger, clock):
    ledger.set_budget("alice", 10, per="month")
    ledger.charge("alice", usage=Usage(10, 5), model="nobody-prices-this")
    with ledger.hold("alice", "0.5") as hold:
        hold.settle({"model": "nobody-prices-this", "choices": []})
    clock.advance(days=4)
    ledger.charge("alice", cost="6", model="m")
    text = page(ledger)
    assert "at this rate the limit is reached on 2026-08-0" in text
    assert "1 request without a price" in text
    assert "$0.50 of 1 request" in text
    assert "The most expensive calls" in text
    assert "65 %" in Read(text).cells


def test_without_calls(ledger):
    read = Read(page(ledger))
    assert "No calls in this range." in page(ledger)
    assert "svg" not in read.elements


def test_a_long_range_has_longer_periods_and_a_small_page(ledger, clock):
    for number in range(400):
        ledger.charge(f"user-{number}", cost="0.123456789012", model=f"model-{number}")
        clock.advance(days=3)
    text = page(ledger)
    assert "Cost by month and model" in text
    assert "300 more accounts" in text
    assert "393 others" in text
    assert len(text) < 200_000
    assert "Cost by day" in page(ledger, last=30)
    assert "Cost by hour" in page(ledger, by="hour", last=timedelta(hours=48))

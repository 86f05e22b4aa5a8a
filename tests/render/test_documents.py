"""The JSON documents: an entry is read back as it was, and none of them needs pydantic."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_type_hints

import pytest

from budgetledger import Ledger
from budgetledger.entries import Entry
from budgetledger.render import document_types
from budgetledger.render.documents import as_json, entry_json, read_entry


@pytest.fixture
def entries():
    """Rows of every kind that a caller can write."""
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", "10", per="day", alert_at=["0.1"])
        ledger.set_parent("alice", "team:x")
        hold = ledger.hold(
            "alice", model="gpt-4o", text="hi", key="ü", tags={"b": [1, None], "a": "é"}
        )
        hold.extend(600)
        hold.settle({"model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 9}})
        ledger.hold("alice", "0.5", tokens=7).release(reason="no call")
        entry = ledger.charge("alice", cost="3.000000000001", model="m", key="c")
        ledger.adjust(entry, "-0.5", reason="credit")
        ledger.freeze("alice", reason="x")
        yield list(ledger.entries("alice")) + list(ledger.entries("team:x"))


def test_an_entry_is_read_back_as_it_was(entries):
    assert {"hold", "extend", "settle", "release", "adjustment", "alert"} <= {
        entry.kind for entry in entries
    }
    for entry in entries:
        sent = json.loads(json.dumps(entry_json(entry), default=as_json))
        assert read_entry(sent) == entry


def test_a_document_has_its_fields_in_order(entries):
    for entry in entries:
        assert list(entry_json(entry)) == list(get_type_hints(document_types.Entry))
    shown = {name.removesuffix("_us").removesuffix("_json").removesuffix("_pico")
             for name in Entry._fields}  # fmt: skip
    assert shown | {"cost_basis"} == set(get_type_hints(document_types.Entry))


def test_the_command_line_needs_no_pydantic():
    code = (
        "import sys, budgetledger, budgetledger.cli.commands\n"
        "from budgetledger.cli.demo import show\n"
        "from budgetledger.render import documents, tables, text\n"
        "assert not [name for name in sys.modules if name.startswith('pydantic')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

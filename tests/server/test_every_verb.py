"""Every verb at every face of a ledger: Python, asyncio, BudgetManager, HTTP, hosted, commands.

One table. Each cell is executed on a project of its own, in a file and on PostgreSQL, and the
ledger then says the same, whichever face it was. A text in place of a cell says why there is none.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from click.testing import CliRunner

from budgetledger import AsyncLedger, BudgetManager, Ledger
from budgetledger.cli import main
from budgetledger.errors import BudgetledgerWarning

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

PROMPT = {"model": "gpt-4o", "text": "Hello", "max_output_tokens": 100}
MOST = "0.0010025"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class Absent(str):
    """Why a face has no such verb."""


ONLY_THERE = Absent("the file is the operator's; the server's machine has the command")
ENDS = Absent("a command ends, and so cannot go on with a hold")
ONE_BY_ONE = Absent("`charge` of each; `import` for the logs of programs")
NOT_LITELLMS = Absent("LiteLLM's API has no such thing; use HTTP")


class Verb(NamedTuple):
    """Its cells, and what must hold afterwards; each cell returns what *answer* is compared with.

    *given*: makes what the cells need. ``python`` is for a ledger, awaited or not, and that of a
    BudgetManager; ``hosted`` for a manager on a server; ``http`` for a client; ``command``
    is words.
    """

    python: Any
    http: Any
    hosted: Any
    command: Any
    seen: Any = None
    given: Any = lambda ledger: None
    answer: Any = None


def send(method, path, body=None, *, of=None, status=(200, 201)):
    """A cell of HTTP: the answer, or a field of it."""

    def cell(http, given):
        answer = http.request(method, path.format(given=given), json=body)
        assert answer.status_code in status, answer.text
        return answer.json() if of is None else answer.json()[of]

    return cell


def held(ledger):
    return ledger.hold("alice", 3, key="h").id


def charged(ledger):
    return ledger.charge("alice", cost=1, model="m").id


def hosted_adjust(manager, given):
    manager.update_cost("alice", {"model": "unlisted", "usage": {"prompt_tokens": 1}})
    (entry,) = [one for one in manager.ledger.entries() if one.model == "unlisted"]
    manager.ledger.adjust(entry, "0.5", reason="bill")
    manager.save_data()


async def step(pending, verb, *arguments, **more):
    """A step of a hold that may be awaited."""
    hold = await pending if hasattr(pending, "__await__") else pending
    done = getattr(hold, verb)(*arguments, **more)
    return await done if hasattr(done, "__await__") else done


def posted(ledger):
    return ledger.balance("alice").posted


def kinds(ledger):
    return [entry.kind for entry in ledger.entries("alice")]


def total(report):
    return report["total"] if isinstance(report, dict) else report.total.figures


DEFAULT = {"limit": "5", "per": "day"}
VERBS = {
    "hold": Verb(
        lambda ledger, given: ledger.hold("alice", 3),
        send("POST", "accounts/alice/holds", {"amount": "3"}),
        lambda manager, given: manager.hold("alice", 3),
        ENDS,
        lambda ledger: ledger.balance("alice").held == 3,
    ),
    "settle": Verb(
        lambda ledger, given: step(ledger.hold("alice", 3, key="h"), "settle", 2),
        send("POST", "accounts/alice/holds/{given}/settle", {"cost": 2}),
        lambda manager, given: manager.hold("alice", 3, key="h").settle(2),
        ENDS,
        lambda ledger: posted(ledger) == 2,
        held,
    ),
    "release": Verb(
        lambda ledger, given: step(ledger.hold("alice", 3, key="h"), "release"),
        send("POST", "accounts/alice/holds/{given}/release", {}),
        lambda manager, given: manager.hold("alice", 3, key="h").release(),
        "release {given}",
        lambda ledger: kinds(ledger)[-1] == "release",
        held,
    ),
    "extend": Verb(
        lambda ledger, given: step(ledger.hold("alice", 3, key="h"), "extend", 9999),
        send("POST", "accounts/alice/holds/{given}/extend", {"expires_in": 9999}),
        lambda manager, given: manager.hold("alice", 3, key="h").extend(9999),
        ENDS,
        lambda ledger: kinds(ledger)[-1] == "extend",
        held,
    ),
    "increase": Verb(
        lambda ledger, given: step(ledger.hold("alice", 3, key="h"), "increase", 2),
        send("POST", "accounts/alice/holds/{given}/increase", {"amount": "2"}),
        lambda manager, given: manager.hold("alice", 3, key="h").increase(2),
        ENDS,
        lambda ledger: ledger.balance("alice").held == 5,
        held,
    ),
    "holds": Verb(
        lambda ledger, given: ledger.holds("alice"),
        send("GET", "accounts/alice/holds", of="holds"),
        NOT_LITELLMS,
        "holds alice",
        given=held,
        answer=lambda found: len(found) == 1,
    ),
    "can_afford": Verb(
        lambda ledger, given: ledger.can_afford("alice", 11),
        send("POST", "accounts/alice/can-afford", {"amount": 11}, of="affordable"),
        NOT_LITELLMS,
        Absent("`estimate` and `balance` show both figures"),
        answer=lambda found: found is False,
    ),
    "estimate": Verb(
        lambda ledger, given: ledger.estimate(**PROMPT),
        send("POST", "estimate", PROMPT),
        lambda manager, given: {
            "high": manager.projected_cost(
                "gpt-4o", [{"role": "user", "content": "Hello"}], "alice", max_output_tokens=100
            )
        },
        f"estimate {PROMPT['model']} {PROMPT['text']} --max-output-tokens 100",
        answer=lambda found: field(found, "high") in (Decimal(MOST), MOST, 0.00102),
    ),
    "charge": Verb(
        lambda ledger, given: ledger.charge("alice", cost=2, model="m"),
        send("POST", "accounts/alice/charges", {"cost": 2, "model": "m"}),
        lambda manager, given: manager.update_cost(
            "alice", {"model": "gpt-4o", "usage": {"prompt_tokens": 800_000}}
        ),
        "charge alice 2 --model m",
        lambda ledger: posted(ledger) == 2,
    ),
    "adjust": Verb(
        lambda ledger, given: ledger.adjust(given, "-0.5", reason="credit"),
        send("POST", "entries/{given}/adjust", {"amount": "-0.5", "reason": "credit"}),
        hosted_adjust,
        "adjust {given} -0.5 --reason credit",
        lambda ledger: posted(ledger) in (Decimal("0.5"), Decimal("1.5")),
        charged,
    ),
    "set_budget": Verb(
        lambda ledger, given: ledger.set_budget("bob", 7, name="default"),
        send("POST", "accounts/bob/budgets", {"limit": 7, "name": "default"}),
        lambda manager, given: manager.create_budget(7, "bob"),
        "set-budget bob 7 --name default",
        lambda ledger: [one.limit for one in ledger.budgets("bob")] == [7],
    ),
    "remove_budget": Verb(
        lambda ledger, given: ledger.remove_budget("alice", "default"),
        send("DELETE", "accounts/alice/budgets/default"),
        NOT_LITELLMS,
        "remove-budget alice default",
        lambda ledger: ledger.budgets("alice") == [],
    ),
    "budgets": Verb(
        lambda ledger, given: ledger.budgets("alice"),
        send("GET", "accounts/alice/budgets", of="budgets"),
        lambda manager, given: [manager.get_total_budget("alice")],
        Absent("`balance` shows them"),
        answer=lambda found: len(found) == 1,
    ),
    "set_default_budget": Verb(
        lambda ledger, given: ledger.set_default_budget(5, per="day", anchor="creation"),
        send("POST", "default-budgets", {**DEFAULT, "anchor": "creation"}),
        lambda manager, given: manager.set_default_budget(5, "daily"),
        "set-default-budget 5 --per day --anchor creation",
        lambda ledger: [
            (one.kind, one.limit, one.period.per, one.anchored) for one in ledger.default_budgets()
        ] == [("user", 5, "day", True)],
    ),
    "remove_default_budget": Verb(
        lambda ledger, given: ledger.remove_default_budget("team"),
        send("DELETE", "default-budgets/team"),
        lambda manager, given: manager.remove_default_budget("team"),
        "remove-default-budget team",
        lambda ledger: ledger.default_budgets() == [],
        lambda ledger: ledger.set_default_budget(5, kind="team"),
    ),
    "default_budgets": Verb(
        lambda ledger, given: ledger.default_budgets(),
        send("GET", "default-budgets", of="default_budgets"),
        lambda manager, given: manager.default_budgets(),
        "default-budgets",
        given=lambda ledger: ledger.set_default_budget("0.5", kind="team", per="week"),
        answer=lambda found: [
            (field(one, "kind"), Decimal(field(one, "limit"))) for one in found
        ] == [("team", Decimal("0.5"))],
    ),
    "shift_window": Verb(
        lambda ledger, given: ledger.shift_window("alice", "default"),
        send("POST", "accounts/alice/shift", {"budget": "default"}),
        lambda manager, given: manager.reset_cost("alice"),
        "shift alice default",
        lambda ledger: posted(ledger) == 0,
        charged,
    ),
    "set_parent": Verb(
        lambda ledger, given: ledger.set_parent("alice", "team"),
        send("PUT", "accounts/alice/parent", {"parent": "team"}),
        NOT_LITELLMS,
        "set-parent alice team",
        lambda ledger: [one.parent for one in ledger.accounts()] == ["team", None],
    ),
    "freeze": Verb(
        lambda ledger, given: ledger.freeze("alice", reason="audit"),
        send("POST", "accounts/alice/freeze", {"reason": "audit"}),
        NOT_LITELLMS,
        "freeze alice --reason audit",
        lambda ledger: [one.frozen for one in ledger.accounts()] == ["audit"],
    ),
    "unfreeze": Verb(
        lambda ledger, given: ledger.unfreeze("alice"),
        send("POST", "accounts/alice/unfreeze", {}),
        NOT_LITELLMS,
        "unfreeze alice",
        lambda ledger: [one.frozen for one in ledger.accounts()] == [None],
        lambda ledger: ledger.freeze("alice"),
    ),
    "alerts": Verb(
        lambda ledger, given: ledger.alerts(),
        send("GET", "alerts", of="alerts"),
        NOT_LITELLMS,
        "alerts",
        given=lambda ledger: (
            ledger.set_budget("bob", 1, alert_at=[1]),
            ledger.charge("bob", cost=1),
        ),
        answer=lambda found: len(found) == 1,
    ),
    "set_price": Verb(
        lambda ledger, given: ledger.set_price("mine", input=3),
        send("POST", "prices", {"model": "mine", "input": 3}),
        NOT_LITELLMS,
        "prices set mine --input 3",
        lambda ledger: [price.model for price in ledger.prices()] == ["mine"],
    ),
    "remove_price": Verb(
        lambda ledger, given: ledger.remove_price("mine"),
        send("DELETE", "prices/mine"),
        NOT_LITELLMS,
        "prices remove mine",
        lambda ledger: ledger.prices() == [],
        lambda ledger: ledger.set_price("mine", input=3),
    ),
    "prices": Verb(
        lambda ledger, given: ledger.prices(),
        send("GET", "prices", of="prices"),
        NOT_LITELLMS,
        "prices list",
        given=lambda ledger: ledger.set_price("mine", input=3),
        answer=lambda found: len(found) == 1,
    ),
    "reprice": Verb(
        lambda ledger, given: ledger.reprice(dry_run=False),
        send("POST", "reprice", {"dry_run": False}),
        NOT_LITELLMS,
        "reprice --apply",
        lambda ledger: posted(ledger) == Decimal("0.000003"),
        lambda ledger: (
            ledger.charge("alice", {"model": "mine", "usage": {"prompt_tokens": 1}}),
            ledger.set_price("mine", input=3, effective_at=YESTERDAY),
        ),
    ),
    "balance": Verb(
        lambda ledger, given: ledger.balance("alice"),
        send("GET", "accounts/alice/balance"),
        lambda manager, given: {"posted": manager.get_current_cost("alice")},
        "balance alice",
        given=charged,
        answer=lambda found: Decimal(field(found, "posted")) == 1,
    ),
    "model_costs": Verb(
        lambda ledger, given: ledger.model_costs("alice"),
        send("GET", "accounts/alice/model-costs", of="model_costs"),
        lambda manager, given: manager.get_model_cost("alice"),
        "model-costs alice",
        given=charged,
        answer=lambda found: {m: Decimal(c) for m, c in found.get("model_costs", found).items()}
        == {"m": 1},
    ),
    "accounts": Verb(
        lambda ledger, given: ledger.accounts(),
        send("GET", "accounts", of="accounts"),
        lambda manager, given: manager.get_users(),
        "accounts",
        answer=lambda found: len(found) == 1,
    ),
    "entries": Verb(
        lambda ledger, given: step(SimpleNamespace(read=lambda: rows(ledger)), "read"),
        send("GET", "accounts/alice/entries?last=1", of="entries"),
        NOT_LITELLMS,
        "entries alice --last 1",
        given=charged,
        answer=lambda found: field(found[0], "kind") == "charge",
    ),
    "charge_many": Verb(
        lambda ledger, given: ledger.charge_many([{"account": "alice", "cost": 1, "key": "k"}]),
        ONE_BY_ONE,
        ONE_BY_ONE,
        ONE_BY_ONE,
        lambda ledger: posted(ledger) == 1,
    ),
    "report": Verb(
        lambda ledger, given: ledger.report("account"),
        ONLY_THERE,
        ONLY_THERE,
        "report --by account",
        given=charged,
        answer=lambda found: Decimal(field(total(found), "cost")) == 1,
    ),
    "verify": Verb(
        lambda ledger, given: ledger.verify(),
        ONLY_THERE,
        ONLY_THERE,
        "verify",
        answer=lambda found: field(found, "ok") is True,
    ),
    "backup": Verb(
        lambda ledger, given: ledger.backup(given),
        ONLY_THERE,
        ONLY_THERE,
        "backup {given}",
    ),
    # Commands that no method has: Python has what they put together.
    "projects": Verb(
        Absent("a ledger is of one project"),
        Absent("a token is for one project"),
        NOT_LITELLMS,
        "projects",
        answer=lambda found: len(found) >= 1,
    ),
    "status": Verb(
        Absent("`balance` of each of `accounts`"),
        Absent("`balance` of each of `accounts`"),
        NOT_LITELLMS,
        "status",
        answer=lambda found: found == [],
    ),
}  # fmt: skip
FACES = ("ledger", "async", "manager", "http", "hosted", "command")


def field(value, name):
    return value[name] if isinstance(value, dict) else getattr(value, name)


async def rows(ledger):
    entries = ledger.entries("alice", last=1)
    return [one async for one in entries] if hasattr(entries, "__anext__") else list(entries)


def settled(outcome):
    """The outcome of a cell, awaited if need be."""

    async def waited():
        return await outcome

    return asyncio.run(waited()) if hasattr(outcome, "__await__") else outcome


def by_command(server, words, given):
    arguments = [word.format(given=given) for word in words.split(" ")]
    arguments += ["--db", server.path, "--project", server.project, "--json"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    if not result.stdout.startswith("{\n") and "\n{" in result.stdout:
        return [json.loads(line) for line in result.stdout.splitlines()]
    document = json.loads(result.stdout)
    return [document] if words.startswith("entries") else document


def execute(face, cell, server, ledger, given, tmp_path):
    if face == "ledger":
        return settled(cell(ledger, given))
    if face == "async":

        async def run():
            outcome = cell(AsyncLedger(ledger), given)
            return await outcome if hasattr(outcome, "__await__") else outcome

        return asyncio.run(run())
    if face == "manager":
        return settled(cell(BudgetManager(server.project, ledger=ledger).ledger, given))
    if face == "http":
        base = f"{server.url}/v1/projects/{server.project}/"
        with httpx.Client(base_url=base, timeout=30) as client:
            return cell(client, given)
    if face == "hosted":
        with Ledger(tmp_path / "unsent.db") as unsent:
            return cell(BudgetManager(server.project, "hosted", server.url, ledger=unsent), given)
    return by_command(server, cell, given)


CELLS = [
    pytest.param(name, face, id=f"{name}-{face}")
    for name, verb in VERBS.items()
    for face, cell in zip(
        FACES, (verb.python,) * 3 + (verb.http, verb.hosted, verb.command), strict=True
    )
    if not isinstance(cell, Absent)
]


@pytest.mark.parametrize(("name", "face"), CELLS)
def test_each_face_does_the_same(server, tmp_path, name, face):
    verb = VERBS[name]
    cell = {"http": verb.http, "hosted": verb.hosted, "command": verb.command}.get(
        face, verb.python
    )
    with Ledger(server.path, project=server.project) as ledger:
        ledger.set_budget("alice", 10, name="default")
        given = tmp_path / "copy.db" if name == "backup" else verb.given(ledger)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BudgetledgerWarning)
            found = execute(face, cell, server, ledger, given, tmp_path)
        if verb.answer is not None:
            assert verb.answer(found), found
        if verb.seen is not None:
            assert verb.seen(ledger)
        if name == "backup":
            with Ledger(given, project=server.project) as copied:
                assert len(copied.accounts()) == len(ledger.accounts())


def test_the_table_has_every_verb():
    public = {name for name in vars(Ledger) if not name.startswith("_")}
    no_verbs = {"project", "enforce", "path", "as_user", "session", "close"}
    of_holds = {"settle", "release", "extend", "increase"}
    assert set(VERBS) == (public - no_verbs) | of_holds | {"projects", "status"}
    commands = {verb.command.split()[0] for verb in VERBS.values()} & set(main.commands)
    others = {"demo", "import", "copy", "export", "run", "schema", "serve"}
    assert commands == set(main.commands) - others
    assert all(hasattr(AsyncLedger, name) for name in public - no_verbs)

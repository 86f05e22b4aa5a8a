"""For all tests: no network; CI takes no skip for an answer; and where ledgers are.

What a ledger promises it promises in an SQLite file and on PostgreSQL: tests that ask for
``database`` run on both. BUDGETLEDGER_TEST_POSTGRES_URL names a server (in which schemas are
made); without it one is started from what the test extra installs; ``off`` leaves those out.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from provider import provider  # noqa: F401 - a fixture
from samples import START

from budgetledger import callers

# litellm would fetch its price list when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.pop("BUDGETLEDGER_DB", None)

SERVER = os.environ.get("BUDGETLEDGER_TEST_POSTGRES_URL")
TESTS = Path(__file__).parent
SLOW = {  # what pytest -m "not slow" leaves out, with PostgreSQL and tests that are marked
    "cli/test_demo.py",
    "clients/test_wrap.py",
    "contract/test_benchmarks.py",
    "contract/test_extras.py",
    "contract/test_manager.py",
    "contract/test_quality.py",
    "contract/test_readme.py",
    "hosted/test_hostile_servers.py",
    "hosted/test_plain_server.py",
    "journal/model",
    "ledger/test_stream_limit.py",
    "litellm",
    "migrations/test_schema.py",
    "pricing/test_prices.py",
    "responses/test_real_clients.py",
    "responses/test_real_responses.py",
    "responses/test_real_streams.py",
    "server/test_access_tokens.py",
    "server/test_answers_at_once.py",
    "server/test_description.py",
    "server/test_endings.py",
    "server/test_every_verb.py",
    "server/test_hosted_client.py",
    "server/test_litellm_protocol.py",
    "server/test_waiting.py",
    "server/test_wallet.py",
    "storage",
    "tokens/test_real_prompts.py",
    "wallet",
}

pytest.register_assert_rewrite("hold_checks")


def pytest_configure(config):
    config.addinivalue_line("markers", "of_a_file: about the file itself, so on SQLite only")
    config.addinivalue_line("markers", "postgres: needs a PostgreSQL server")
    # A shell's background job ignores Ctrl-C, and so would the processes that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: takes seconds, or starts many processes")
    if gone := [place for place in SLOW if not (TESTS / place).exists()]:
        raise pytest.UsageError(f"SLOW in tests/conftest.py names what is not there: {gone}")
    if SERVER == "off" and os.environ.get("CI") == "true":
        raise pytest.UsageError("CI runs everything: BUDGETLEDGER_TEST_POSTGRES_URL=off does not")


def pytest_terminal_summary(terminalreporter):
    if SERVER == "off":
        terminalreporter.write_line(
            "PostgreSQL: off, as BUDGETLEDGER_TEST_POSTGRES_URL says; its tests were left out"
        )


def _is_slow(path):
    place = path.relative_to(TESTS)
    return any(str(part) in SLOW for part in (place, *place.parents))


def pytest_ignore_collect(collection_path, config):
    # To import litellm alone takes longer than most tests do.
    if config.option.markexpr == "not slow" and _is_slow(collection_path):
        return True
    return None


def pytest_itemcollected(item):
    if _is_slow(item.path) or item.get_closest_marker("postgres"):
        item.add_marker("slow")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_collection_finish():
    # What is imported by now stays, litellm's million objects too: no collection looks at them.
    gc.collect()
    gc.freeze()


def _is_left_out(item):
    if item.get_closest_marker("postgres") is None:
        return False
    return SERVER == "off" or item.get_closest_marker("of_a_file") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI runs everything: {report.longrepr}"
    return report


# -- where a ledger is --------------------------------------------------------------------------


class File:
    """An SQLite file: what a ledger is opened by, and a way in for everybody else."""

    kind = "sqlite"

    def __init__(self, path):
        self.target = path

    def sql(self, statement):
        """The rows that another program finds."""
        with closing(sqlite3.connect(self.target)) as connection:
            return connection.execute(statement).fetchall()


class Schema:
    """The same in a schema on a server."""

    kind = "postgres"

    def __init__(self, url):
        from budgetledger.storage.postgres.connection import connect
        from budgetledger.storage.postgres.url import address_of

        self.target = url
        self._address = address_of(url)
        self._connection = connect(self._address)
        self._connection.execute(f"SET search_path = {self._address.quoted_schema}")

    def sql(self, statement):
        """The rows that another program finds."""
        cursor = self._connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def execute(self, statement, parameters=()):
        """A statement written for sqlite3, with its parameters."""
        statement = statement.replace("%", "%%").replace("?", "%s")
        return self._connection.execute(statement, parameters)

    def empty(self):
        """Take all rows out, as no user can."""
        from budgetledger.tables import metadata

        if not self.sql("SELECT 1 FROM projects LIMIT 1"):
            return
        statements = ["SET lock_timeout = '10s'"]
        for table in reversed(metadata.sorted_tables):
            statements += [
                f"ALTER TABLE {table.name} DISABLE TRIGGER USER",
                f"DELETE FROM {table.name}",
            ]
            if table.name != "open_holds":
                statements += [
                    f"ALTER TABLE {table.name} ENABLE ALWAYS TRIGGER {table.name}_no_{event}"
                    for event in ("update", "delete", "truncate")
                ]
        self.sql("; ".join(["BEGIN", *statements, "COMMIT"]))

    def drop(self):
        self.sql(f"DROP SCHEMA IF EXISTS {self._address.quoted_schema} CASCADE")

    def close(self):
        self._connection.close()


@pytest.fixture(scope="session")
def own_server():
    """Makes servers that the tests may stop and start; see ``support/servers.py``."""
    import servers

    started = []

    def start():
        started.append(servers.Server())
        return started[-1]

    yield start
    for server in started:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(request):
    """The URL of a server without a schema, to be followed by one."""
    if SERVER:
        return f"{SERVER}{'&' if '?' in SERVER else '?'}"
    return f"{request.getfixturevalue('own_server')().url()}&"


@pytest.fixture(scope="session")
def common_schema(postgres_url):
    """A schema with a ledger that is emptied after each test that used it."""
    from budgetledger import Ledger

    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    schema = Schema(f"{postgres_url}schema=budgetledger_test{worker}")
    schema.drop()
    Ledger(schema.target).close()
    yield schema
    schema.drop()
    schema.close()


@pytest.fixture
def common_schema_in_module(request, common_schema):
    """For classes that take no fixtures."""
    request.module.SCHEMA = common_schema


@pytest.fixture
def new_schema(postgres_url, request):
    """Makes names of schemas that are not there yet, and drops them at the end."""
    made = []

    def make():
        name = f"budgetledger_new{len(made)}{os.environ.get('PYTEST_XDIST_WORKER', '')}"
        made.append(Schema(f"{postgres_url}schema={name}"))
        made[-1].drop()
        return made[-1]

    yield make
    for schema in made:
        schema.drop()
        schema.close()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    """A file with an empty ledger, to be copied: to make one takes twenty times as long."""
    from budgetledger import Ledger

    path = tmp_path_factory.mktemp("empty") / "spend.db"
    Ledger(path).close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request, tmp_path, empty_file):
    """Where the ledger of a test is: a file or a schema, with an empty ledger."""
    if request.param == "sqlite":
        yield File(shutil.copy(empty_file, tmp_path / "spend.db"))
        return
    schema = request.getfixturevalue("common_schema")
    yield schema
    schema.empty()


# -- ledgers under a clock that stands still ----------------------------------------------------


@pytest.fixture
def clock():
    """A clock that stands at ``START`` until a test moves it."""
    from budgetledger.testing import FakeClock

    return FakeClock(START)


@pytest.fixture
def opened(database, clock):
    """Opens ledgers on one database, and closes them; the database is in order then."""
    from budgetledger import Ledger

    ledgers = []

    def open_ledger(**settings):
        settings = {"synchronous": "NORMAL", "clock": clock} | settings
        ledgers.append(Ledger(database.target, **settings))
        return ledgers[-1]

    yield open_ledger
    for ledger in ledgers:
        ledger.close()
    with Ledger(database.target) as ledger:
        assert ledger.verify().problems == ()


@pytest.fixture(autouse=True)
def outside_of_any_call():
    """A test that abandons a metered call leaves its context to no other."""
    callers._scope.set(None)

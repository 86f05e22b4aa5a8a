"""Each extra brings what it promises; and what needs another says which one to install."""

from __future__ import annotations

import subprocess

import alone
import pytest

POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
HOSTED = "BudgetManager('p', client_type='hosted', api_base='http://127.0.0.1:1')"


def last_line(command, folder):
    """What *command* writes last, which must fail."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("extra", "program"),
    [
        ("postgres", f"from budgetledger import Ledger; Ledger({POSTGRES!r})"),
        ("postgres", f"from budgetledger.cli import main; main(['accounts', '--db={POSTGRES}'])"),
        ("hosted", f"from budgetledger import BudgetManager; {HOSTED}"),
        ("server", "from budgetledger.server import create_app"),
        ("server", "from budgetledger.cli import main; main(['serve', '--port', '0'])"),
        ("run", "from budgetledger.cli import main; main(['run', '--limit', '1', '--', 'true'])"),
    ],
)
def test_what_a_missing_extra_is_called(extra, program, tmp_path):
    # httpcore2 comes with genai-prices too, as long as that one needs it.
    command = [*alone.python(without=("httpcore2",)), program]
    assert last_line(command, tmp_path).endswith(f"; pip install 'budgetledger[{extra}]'")


def test_what_litellm_is_needed_for_says_so(tmp_path):
    program = "from budgetledger import completion; completion(model='gpt-4o', messages=[])"
    assert last_line([*alone.python(), program], tmp_path).endswith("; pip install litellm")
    remedy = "a LiteLLM Proxy needs the package litellm; run: pip install 'litellm[proxy]'"
    assert remedy in last_line([*alone.python(), "import budgetledger.proxy"], tmp_path)


@pytest.mark.parametrize(
    ("extra", "program"),
    [
        ("hosted", "import budgetledger.hosted.opening, httpcore2"),
        ("postgres", "import budgetledger.storage.postgres.store"),
        ("server", "from budgetledger.server import create_app"),
        ("run", "import budgetledger.wallet.running, budgetledger.wallet.app, uvicorn"),
    ],
)
def test_an_extra_alone_is_enough(extra, program, tmp_path):
    subprocess.run([*alone.python(extra), program], cwd=tmp_path, check=True, timeout=60)


def test_only_what_extras_bring_is_visible(tmp_path):
    visible = "import click, sqlalchemy"
    subprocess.run([*alone.python(), visible], cwd=tmp_path, check=True, timeout=60)
    for hidden in "litellm", "openai", "uvicorn", "psycopg", "uvloop":
        said = last_line([*alone.python(), f"import {hidden}"], tmp_path)
        assert said.startswith("ModuleNotFoundError"), said

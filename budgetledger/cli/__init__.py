"""The command line, ``budgetledger``.

Imports the words, storage, journal, verbs, the ledger, render, litellm and server.

`commands` (`main`, and the commands that fit nowhere else) · `options`, `limits`, `wording`,
`exit_codes` (what commands share) · `reports` · `accounts` · `holds` · `budgets` ·
`default_budgets` · `spending` · `prices` · `importing` · `copying` · `serve` (one file for each
group of commands) · `demo`.
"""

from budgetledger.cli.commands import main

__all__ = ["main"]

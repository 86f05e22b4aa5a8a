"""Runs the command line: ``python -m budgetledger``."""

from __future__ import annotations

from budgetledger.cli import main

main()

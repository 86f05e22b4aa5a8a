"""The command line."""

from budgetledger.cli.commands import main

__all__ = ["main"]

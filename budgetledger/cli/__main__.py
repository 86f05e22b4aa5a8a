"""``python -m budgetledger.cli``."""

from budgetledger.cli.commands import main

main()

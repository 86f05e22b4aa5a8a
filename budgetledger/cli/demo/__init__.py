"""``budgetledger demo``: a day of invented calls, shown page by page.

Imports what the command line may.

`day` (the day that is played) · `calls` (its invented calls) · `show` (its pages).
"""

"""Sums of calls by period, account, model, host or tag, and the pace of budgets.

In reading order:
    periods     ranges of time, and the periods in them (pure)
    grouping    sums as the rows, columns and totals of a report (pure)
    sums        the statements that sum calls where they belong
    remembered  sums of rows that were read before, while a ledger is open
    kept_sums   those of many rows, in a file for the next process
    pace        where the spending of a budget leads (pure)
    budgets     reads what `pace` needs
    making      a `Report` from a request
    page        what a page shows
"""

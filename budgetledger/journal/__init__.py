"""Decides rows, and how much of each budget is used. Imports words, responses, pricing and storage.

In reading order:
    drafts              a caller's arguments as the draft of a row
    budget_terms        checks the arguments of set_budget; pure
    journal             Journal: an open ledger of one project, and transactions on it
    transaction         one write transaction, and the caches between transactions
    entry_rows          reads entries back: by number, by key, page by page
    append              appends one row to an account
    response_ids        the id of a call's response, in the price of its row
    batch               the same for many rows of one transaction, in few statements
    posting             money rows, repeated in the accounts above; adjustments
    holding             hold, settle, release, extend, expire
    increasing          raises an open hold
    holds/              who waits for room, and when a stream has used up its hold; pure
    minimal_holds       limits holds for calls of which nothing could be estimated
    standing            the current use of budgets, for decisions; from caches
    reports             the use of budgets at any moment, as known at any other; from rows
    budget_revisions    the row that sets or ends a budget
    default_budgets     what accounts of a kind get at their first hold or charge
    row_settings        what a row set, read back
    settings            budgets, window shifts, parents and freezing, as rows
    alerts              rows that raise and resolve alerts
    nesting             whether a call inside counts the cost of another; pure
    refusals            why a hold is refused, and until when
    price_rows          own prices, as rows
    verify              recounts every row
    verify_hierarchy    recounts the rows repeated in the accounts above
"""

"""Which row follows, and how budgets stand. Imports words, responses, pricing and storage.

In reading order:
    rules               the next row, and whether a hold is granted; pure
    drafts              what a caller passes, as the draft of a row
    budget_terms        what the arguments of set_budget mean; pure
    journal             Journal: an open ledger of one project, and transactions on it
    transaction         one write transaction, and what is remembered between them
    statements          every SQL statement, beside what it is for
    accounts            finds accounts and projects
    entry_rows          reads entries back: by number, by key, page by page
    append              appends one row to an account
    posting             money rows, repeated in the accounts above; adjustments
    holding             hold, settle, release, extend, expire
    standing            how budgets stand now, for what is being decided; from memory
    reports             how budgets stood at any moment, as known at any other; from rows
    settings            budgets, window shifts, parents and freezing, as rows
    alerts              rows that raise and resolve alerts
    refusals            why a hold is refused, and until when
    price_rows          own prices, as rows
    verify              recounts every row
    verify_hierarchy    recounts what rows repeat in the accounts above
    problem             what `verify` reports
"""

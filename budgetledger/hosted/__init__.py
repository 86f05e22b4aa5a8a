"""Hosted mode of `BudgetManager`: a server keeps its records.

Imports the words, responses, pricing, storage, journal, verbs, the ledger and litellm.

`opening` (opens hosted mode) · `books` (what `BudgetManager` works with) · `records` (applies
changes to LiteLLM's records; pure) · `outbox` (changes that the server has not acknowledged, as
rows of the local ledger) · `sending` (sends them) · `holds` (a hold that the server keeps) ·
`api` (requests to `budgetledger serve`) · `http` (one exchange, bounded in time and size).
"""

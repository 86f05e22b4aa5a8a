"""Hosted mode of `BudgetManager`: its records are kept by a server.

Imports the words, responses, pricing, storage, journal, verbs, the ledger and litellm.

`opening` (opens hosted mode) · `books` (what `BudgetManager` works with) · `records` (what
changes do to LiteLLM's records; pure) · `outbox` (changes that the server has not acknowledged,
as rows of the local ledger) · `sending` (brings them to the server) · `holds` (a hold that the
server keeps) · `api` (requests to `budgetledger serve`) · `http` (one bounded exchange).
"""

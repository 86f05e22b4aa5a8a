"""Support for LiteLLM: wrapped calls, `max_budget`, BudgetManager's records, files, the Proxy.

Imports the words, tokens, responses, pricing, storage, journal, verbs, the ledger and clients.

Calls: `calls` (a litellm call under a hold) · `wrapping` (`wrap` of litellm and its Router) ·
`listed_prices` (LiteLLM's prices of a model) · `price_list` (its list, without prices that it made
up) · `tags` · `exceeded_error` (a refusal that ``except litellm.BudgetExceededError`` catches).
The global cap: `package` (``budgetledger.max_budget``) · `cap` (`completion` and the others) ·
`cap_ledger` (where their costs are recorded).
BudgetManager: `records` (LiteLLM's record of a user, and its durations) · `local_books` (records
read from the ledger) · `registered_prices` (LiteLLM's list as the last source of a price).
Files: `user_cost_file` (LiteLLM's users) · `price_file` (its prices).
The callback of a LiteLLM Proxy is in `proxy`.
"""

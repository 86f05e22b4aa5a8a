"""The callback of a LiteLLM Proxy: a hold before each call, settled with what it cost.

Imports what the room above may, and `budgetledger.litellm`.

`settings` (the environment variables) · `accounts` (the account of a call) · `call_kinds` (what
a kind of call means for a budget) · `quotes` and `unit_costs` (the most it may cost) · `costs`
(what it cost) · `requests` (what LiteLLM knows of a request) · `gate` (endpoints that call no
hook) · `handler` (the callback, which combines these).
"""

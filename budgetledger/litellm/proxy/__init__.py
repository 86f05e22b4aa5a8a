"""The callback of a LiteLLM Proxy: a hold before each call, settled with what it cost.

Imports what the room above may, and `budgetledger.litellm`.

`settings` (the environment variables) · `accounts` (whose account a call is) · `quotes` (what it
may cost at most) · `costs` (what it did cost) · `refusals` (what a refused client is told) ·
`handler` (the callback, which puts these together).
"""

"""The usage of an answer as a program hands it on: a framework, an agent, the ledger itself. Pure.

In reading order: ``langchain``, ``vercel``, ``codex``, ``claude_code``, ``pydantic_ai``, ``agents``
(programs that keep OpenAI's names for the totals), and ``ledger``, the ledger's own form.
"""

"""Histories of other programs: the calls in their logs, to be recorded in a ledger.

Read ``calls`` first: what every reader returns. ``litellm_logs``, ``llm_logs``, ``claude_code``,
``codex`` and ``opencode`` read one program's log each, and are pure; ``files`` finds and parses
files for them; ``sources`` lists the programs. ``importing`` records the calls, ``known`` finds
those that the ledger has already.
"""

"""What Claude Code and its Agent SDK report of a run, and of each model in it.

Follows the Claude Agent SDK reference, "SDKResultMessage" and "ModelUsage", and its page "Track
cost and usage": ``usage`` is of the main model, and ``total_cost_usd`` an estimate (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_claude_code_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read the usage of one model, with ``cacheCreationInputTokens``.

    *Raises* ``UnreadableResponse`` for a run of several models.
    """
    models = response.get("modelUsage")
    models = response.get("model_usage") if models is None else models
    if (
        models is not None
        and isinstance(models, Mapping)
        and "input_tokens" not in models
        and len(models) > 1
    ):
        raise UnreadableResponse(
            "several models answered in this run (modelUsage), each with its own price; record "
            "what each used with model= and usage=, or pass the amount in USD"
        )
    if usage.get("cacheCreationInputTokens") is None or usage.get("inputTokens") is None:
        return None
    read, written = (count(usage, f"cache{kind}InputTokens") for kind in ("Read", "Creation"))
    return Usage(
        count(usage, "inputTokens") + read + written,
        count(usage, "outputTokens"),
        read,
        written,
        web_searches=count(usage, "webSearchRequests"),
    )

"""The usage of llama.cpp's own completion endpoint.

Follows llama.cpp's server README, "POST /completion" (tokens_evaluated, tokens_predicted).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_llama_cpp_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``tokens_evaluated``, the whole prompt, and ``tokens_predicted``."""
    if usage.get("tokens_predicted") is None:
        return None
    return Usage(count(usage, "tokens_evaluated"), count(usage, "tokens_predicted"))

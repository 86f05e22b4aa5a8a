"""How many tokens a prompt has, counted on this machine: nothing is fetched, ever."""

from budgetledger.tokens.count import CountBounds, TokenCount, count_bounds, count_tokens

__all__ = ["CountBounds", "TokenCount", "count_bounds", "count_tokens"]

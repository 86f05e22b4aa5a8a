"""The cost that an answer states itself: LiteLLM's figure, or the exact bill of a provider."""

from __future__ import annotations

from decimal import Decimal

from budgetledger.responses.fields.by_name import Fields
from budgetledger.responses.usage.perplexity import perplexity_bill
from budgetledger.responses.usage.xai import xai_bill

_MAX_COST = 10**6  # USD; a larger figure for one call is taken for an error


class ProviderBill(Decimal):
    """USD that a provider states as the exact bill of a call; ``source`` names the provider."""

    source: str


def litellm_cost(source: Fields, hidden: Fields, usage: Fields, stream: bool) -> Decimal | None:
    """LiteLLM's own figure in USD, exactly as it prints it; None where it has none above 0.

    It is 0 for an answer from LiteLLM's cache. *hidden*: its notes on the response,
    ``_hidden_params``.
    """
    if hidden.get("cache_hit") is True:
        return Decimal(0)  # its figure, if any, is that of the first answer
    cost = hidden.get("response_cost")
    if cost is None and (stream or str(source.get("object")).endswith(".chunk")):
        cost = usage.get("cost")  # where LiteLLM puts it for a stream
    if isinstance(cost, bool) or not isinstance(cost, (int, float, Decimal)):
        return None
    if isinstance(cost, Decimal) and not cost.is_finite():
        return None
    if not 0 < cost <= _MAX_COST:
        return None
    exact = Decimal(float.__repr__(cost)) if isinstance(cost, float) else Decimal(cost)
    # For a call with the user's own provider key, this is only OpenRouter's fee.
    return None if usage.get("is_byok") else exact


def provider_bill(usage: Fields) -> ProviderBill | None:
    """The bill in the *usage* of a provider that documents it as exact and in US dollars.

    Of other senders a cost is in whatever unit they like: OpenRouter's is in credits.
    """
    if usage.get("cost_in_usd_ticks") is None and usage.get("cost") is None:
        return None
    name, usd = "x-ai", xai_bill(usage)
    if usd is None:
        name, usd = "perplexity", perplexity_bill(usage)
    if usd is None or not 0 < usd <= _MAX_COST:
        return None
    bill = ProviderBill(usd)
    bill.source = f"{name} bill"
    return bill

"""Anthropic's usage: the Messages API, there or at another provider.

The input includes neither cache reads nor cache writes, and the totals leave out compactions.

Follows Anthropic's API reference, "Create a Message" (usage), and its pages "Prompt caching",
"Compaction" (usage.iterations), "Fallback credit" and "Managed Agents: Pricing" (2026-11).
"""

from __future__ import annotations

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import NONE, Fields, count, first, get, items, text
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.responses.usage.token_details import cache_counts, output_counts, web_searches
from budgetledger.usage import Usage, counts_of, usage_from


def read_anthropic_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``input_tokens`` that has no details of them."""
    if usage.get("input_tokens") is None:
        return None
    read, written, written_1h = cache_counts(usage)
    input_tokens = count(usage, "input_tokens") + read + written + written_1h
    output_details = first(usage, "output_tokens_details", "output_token_details")
    output, reasoning, audio, images = output_counts(usage, output_details, input_tokens)
    tier = usage.get("service_tier")
    used = Usage(
        input_tokens,
        output,
        read,
        written,
        written_1h,
        reasoning,
        output_audio_tokens=audio,
        output_image_tokens=images,
        web_searches=web_searches(usage),
        # The time that an agent's session ran is billed too, at a rate that no list has.
        paid_tool_calls=1 if usage.get("active_seconds") else 0,
        service_tier=service_tier(
            response.get("service_tier") if tier is None else tier,
            usage.get("speed"),
            usage.get("inference_geo"),
        ),
    )
    if written and get(get(usage.get("fallback_credit"), "status"), "type") == "redeemed":
        raise UnreadableResponse(
            "a fallback credit was redeemed for this call, so what it wrote to the cache costs "
            "less, by an amount that is not stated; pass the amount in USD"
        )
    iterations = usage.get("iterations")
    if iterations is None:
        return used
    check_one_model(iterations)
    return with_compactions(used, iterations)


def check_one_model(iterations: object) -> None:
    """Raise `UnreadableResponse` if several models answered, which one price cannot cover."""
    models = set()
    for step in items(iterations):
        kind = step.get("type")
        models.add(text(step.get("model")))
        if kind not in (None, "message", "compaction") or len(models - {None}) > 1:
            raise UnreadableResponse(
                f"this call was answered by several models ({kind} in the usage's iterations), "
                "each with its own price; record what each used with model= and usage=, or pass "
                "the amount in USD"
            )


def with_compactions(used: Usage, iterations: object) -> Usage:
    """Add what the compactions among the *iterations* used."""
    for step in items(iterations):
        compaction = read_anthropic_usage(NONE, step) if step.get("type") == "compaction" else None
        if compaction is not None:
            sums = map(int.__add__, counts_of(used), counts_of(compaction))
            used = usage_from(sums, used.service_tier)
    return used

"""Which reader a usage is for: each is tried in turn, and returns None for a form not its own."""

from __future__ import annotations

from budgetledger.responses.anthropic_usage import read_anthropic_usage
from budgetledger.responses.bedrock_usage import read_bedrock_usage
from budgetledger.responses.cohere_usage import read_cohere_usage
from budgetledger.responses.fields import Fields
from budgetledger.responses.gemini_usage import read_gemini_usage
from budgetledger.responses.image_usage import read_image_usage
from budgetledger.responses.ledger_usage import read_ledger_usage
from budgetledger.responses.openai_usage import read_openai_usage
from budgetledger.responses.transcription_usage import read_transcription_usage
from budgetledger.usage import Usage, fitting


def read_usage(response: Fields, usage: Fields, batch: bool) -> Usage | None:
    """Bring the *usage* a *response* came with to the normal form; None if it has no counts.

    For a usage that came alone, both are the same. *batch*: it is the result of a batch.

    *Raises* ``UnreadableResponse`` when a count is not one, or contradicts another.
    """
    # The order matters: Anthropic's form is what the first two leave of those with input_tokens.
    used = (
        read_ledger_usage(usage)
        or read_openai_usage(response, usage)
        or read_anthropic_usage(response, usage)
        or read_gemini_usage(response, usage)
        or read_bedrock_usage(response, usage)
        or read_transcription_usage(response, usage)
        or read_cohere_usage(response, usage)
    )
    if used is None or not (used.input_tokens or used.output_tokens or any(used)):
        used = read_image_usage(response) or used
    if used is None:
        return None
    if batch and not (used.service_tier or "").startswith("batch"):
        used = used._replace(service_tier="batch")
    return fitting(used)

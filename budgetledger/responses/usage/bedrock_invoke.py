"""The usage of Amazon Bedrock's InvokeModel, where the model's vendor has a form of its own.

Cohere's, Mistral's and DeepSeek's bodies tell none; then the headers that boto3 keeps beside the
body do.

Follows the Amazon Bedrock user guide, "Inference request parameters and response fields" (Meta
Llama, Amazon Titan Text, Titan Embeddings), and "Monitoring: runtime metrics" for
``amazon-bedrock-invocationMetrics`` and the ``X-Amzn-Bedrock-*-Token-Count`` headers (2026-11).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import NONE, Fields, count, fields, fields_at, items
from budgetledger.usage import Usage, checked_count

METRICS = "amazon-bedrock-invocationMetrics"
"""The counts of the whole call, in the last event of a stream."""


def read_invoke_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read the metrics of a stream, the counts of a Llama or Titan body, or boto3's headers."""
    metrics = usage.get(METRICS)
    if metrics is not None:
        return _counts(fields(metrics), "{}TokenCount", "cache{}InputTokenCount")
    if usage.get("generation_token_count") is not None:
        return Usage(count(usage, "prompt_token_count"), count(usage, "generation_token_count"))
    if usage.get("inputTextTokenCount") is not None:
        output = count(usage, "totalOutputTextTokenCount")
        output = output or sum(count(part, "tokenCount") for part in items(usage.get("results")))
        return Usage(count(usage, "inputTextTokenCount"), output)
    headers = fields_at(response, "ResponseMetadata", "HTTPHeaders")
    return None if headers is NONE else _of_headers(headers)


def _counts(source: Fields, tokens: str, cached: str) -> Usage | None:
    input_tokens, output = (source.get(tokens.format(kind)) for kind in ("input", "output"))
    if input_tokens is None and output is None:
        return None
    read, written = (count(source, cached.format(kind)) for kind in ("Read", "Write"))
    return Usage(
        count(source, tokens.format("input")) + read + written,
        count(source, tokens.format("output")),
        read,
        written,
    )


def _of_headers(headers: Fields) -> Usage | None:
    names = ("input", "output", "cache-read-input", "cache-write-input")
    texts = [headers.get(f"x-amzn-bedrock-{name}-token-count") for name in names]
    if texts[0] is None and texts[1] is None:
        return None
    input_tokens, output, read, written = (
        checked_count(int(text) if isinstance(text, str) and str.isdecimal(text) else text, name)
        if text is not None
        else 0
        for name, text in zip(names, texts, strict=True)
    )
    return Usage(input_tokens + read + written, output, read, written)

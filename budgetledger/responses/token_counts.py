"""Answers of endpoints that count tokens, which cost nothing.

Follows the references of Anthropic ("Count tokens in a Message"), OpenAI ("Get input token
counts"), Gemini ("models.countTokens", and ComputeTokensResponse of google-genai), Amazon Bedrock
("CountTokens"), Cohere ("Tokenize"), Moonshot ("Estimate tokens"), xAI ("Tokenize text"), and of
LiteLLM's ``/utils/token_counter``.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields

# Each the fields of one such answer: it has the first, and no others than these.
_COUNTS = (
    ("input_tokens", "object", "context_management"),
    ("totalTokens", "totalBillableCharacters", "promptTokensDetails", "cachedContentTokenCount",
     "cacheTokensDetails", "sdkHttpResponse"),
    ("inputTokens", "ResponseMetadata"),
    ("tokensInfo", "tokens_info", "sdkHttpResponse"),
    ("tokens_info", "sdk_http_response"),
    ("token_strings", "tokens", "meta"),
    ("token_ids",),
    ("tokenizer_type", "total_tokens", "request_model", "model_used", "original_response"),
)  # fmt: skip


def is_token_count(source: Fields) -> bool:
    """Whether the fields of an answer are those of a count of tokens, and no call's."""
    if not isinstance(source, dict):
        return False
    names = {name for name, value in source.items() if value is not None}
    if any(known[0] in names and names.issubset(known) for known in _COUNTS):
        return True
    if "total_tokens" in names:  # google-genai's; that of an embedding has no such field
        return "cached_content_token_count" in source
    data = source.get("data")
    return isinstance(data, dict) and data.keys() == {"total_tokens"}

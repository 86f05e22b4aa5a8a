"""A moment, a response with its cost, and a prompt, for the tests of several rooms."""

from datetime import UTC, datetime
from decimal import Decimal

START = datetime(2026, 1, 31, 10, tzinfo=UTC)
UNLISTED = "an-unlisted-model"
# openai.com/api/pricing, 2026-01: gpt-4o, 2.50 and 10.00 USD a million tokens.
RESPONSE = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
RESPONSE_COST = Decimal("0.0045")
# 8 tokens of chat, so 0.00002 USD, and 0.00001 for each token of the answer.
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}

"""How many tokens a prompt has, counted on this machine. Nothing is ever fetched.

May import words. Hands on what ``count`` has for callers. In reading order:

* ``count``: `count_tokens`, and the least and the most a prompt may have.
* ``model_families``: which vocabulary and which rules are a model's.
* ``chat``: messages and tools added up, part by part.
* ``text_percents``, ``vocabulary_weights``: what other vendors' vocabularies make of a text.
* ``tool_text``: tool definitions as the text that OpenAI bills.
* ``attachments``: sound, video, documents and images inside a message.
* ``image_size``, ``image_tokens``: an image's size, and its tokens by each vendor's rules.
* ``encodings``, ``vocabularies``: text into tokens, by tiktoken.
"""

from budgetledger.tokens.count import CountBounds, TokenCount, count_bounds, count_tokens

__all__ = ["CountBounds", "TokenCount", "count_bounds", "count_tokens"]

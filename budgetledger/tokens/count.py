"""`count_tokens`: how many tokens a prompt has, counted on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.tokens.chat import Tally
from budgetledger.tokens.encodings import CHUNK, encoder, panicked
from budgetledger.tokens.model_families import family_of
from budgetledger.tokens.text_percents import bounds, percents_of
from budgetledger.usage import positional


class _Counted(NamedTuple):
    tokens: int
    method: str


class TokenCount(_Counted):
    """``tokens`` to expect, ``method``, how they were counted, and ``at_most``, their bound.

    ``exact``: the model's own vocabulary and a formula checked against the API (which has
    answered one token less for chats with reasoning models). ``proxy``: another vendor's model,
    counted in OpenAI's o200k and by kinds of characters, as measured for its family.
    ``estimate``: the size or the rule of something is not known, as for tools, sound, documents,
    linked images or a model whose family was not measured; ``tokens`` has the most of these.

    A tuple of the first two; holds use ``at_most``.
    """

    _at_most: int | None = None

    @property
    def at_most(self) -> int:
        """The most tokens the prompt has; ``tokens`` if they are exact."""
        return self.tokens if self._at_most is None else self._at_most

    def __repr__(self) -> str:
        bound = "" if self._at_most is None else f", at_most={self.at_most}"
        return f"TokenCount(tokens={self.tokens}, method={self.method!r}{bound})"


_token_count = positional(TokenCount)

# How the plain text of a model is counted, by the names as callers write them.
_known: dict[
    str,
    tuple[Callable[[str], Sequence[int]], Callable[[str, Sequence[int]], int] | None, str],
] = {}
_MOST_KEPT = 1000
# Other vendors begin and end a message with up to twice as many tokens as OpenAI's formula adds.
_FRAMES = 2


class CountBounds(NamedTuple):
    """The most ``tokens`` a prompt has, how they were counted, and the fewest it has."""

    tokens: int
    method: str
    low_tokens: int


def count_tokens(
    model: str,
    *,
    messages: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> TokenCount:
    """Count the prompt tokens of chat ``messages``, or of one ``text``, and of ``tools``.

    ``model`` may carry a provider (``openai/gpt-4o``) and be of any case. Messages are dicts, or
    the message objects clients return, with content as OpenAI, Anthropic or Gemini take it. The
    result's ``tokens`` are those to expect, its ``at_most`` is the bound that holds use. The
    size of an image is read from a ``data:`` URL or base64. Nothing is sent, no text is kept.

    *Raises* ``InvalidInput`` unless exactly one of messages and text is given, the model is a
    name and the messages are messages that end. Retrying does not help.
    """
    try:  # fast path of the most frequent call: it takes little longer than the encoding
        if messages is None and tools is None and len(text) <= CHUNK:  # type: ignore[arg-type]
            encode, percents, method = _known[model]
            ids = encode(text)  # type: ignore[arg-type]
            if percents is None:
                return _token_count((len(ids), method))
            tokens, at_most = bounds(percents(text, ids))  # type: ignore[arg-type]
            return _at_most(tokens, at_most, method)
    except BaseException as error:
        if not isinstance(error, Exception) and not panicked(error):
            raise
    return _at_most(*_counted(model, messages, text, tools)[:3])


def _at_most(tokens: int, at_most: int, method: str) -> TokenCount:
    counted = _token_count((tokens, method))
    if at_most != tokens:
        counted._at_most = at_most
    return counted


def count_bounds(
    model: str,
    *,
    messages: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> CountBounds:
    """The most and the fewest tokens of the prompt that ``count_tokens`` counts."""
    return CountBounds(*_counted(model, messages, text, tools)[1:])


def _counted(
    model: str,
    messages: Sequence[Mapping[str, Any]] | None,
    text: str | None,
    tools: Sequence[Mapping[str, Any]] | None,
) -> tuple[int, int, str, int]:
    """The tokens to expect, the most, the method, and the fewest."""
    if not isinstance(model, str) or not model.strip():
        raise InvalidInput("model must be a non-empty name, e.g. 'gpt-4o'")
    if (messages is None) == (text is None):
        raise InvalidInput("give either messages= or text=, and not both")
    family = family_of(model)
    tally = Tally(family)
    try:
        if messages is not None:
            tally.messages(messages, with_tools=bool(tools))
        elif isinstance(text, str):
            tally.text(text)
        else:
            raise InvalidInput(f"text must be a str, not {type(text).__name__}")
        if tools:
            tally.tools(tools)
    except InvalidInput:
        raise
    except (RecursionError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"not messages or tools as the chat API takes them: {error}") from error
    if model not in _known and len(_known) < _MOST_KEPT > len(model):
        percents = None if family.weights is None else percents_of(family.weights)
        _known[model] = encoder(family.encoding), percents, family.method
    tokens = at_most = tally.text_tokens + tally.frame
    low_tokens = (tokens - tally.unsure) * family.low_percent // 100
    if family.weights is not None:
        tokens, at_most = bounds(tally.percents)
        tokens += tally.frame
        at_most += _FRAMES * tally.frame
    return (
        tokens + tally.fixed,
        at_most + tally.fixed,
        family.method if tally.exact else "estimate",
        low_tokens + tally.fixed - tally.fixed_unsure,
    )

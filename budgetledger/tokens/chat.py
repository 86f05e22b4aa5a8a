"""The tokens of a chat: OpenAI's formula, and bounds where a prompt has more than text.

The formula is that of OpenAI's cookbook (How_to_count_tokens_with_tiktoken), which checks it
against the API: 3 tokens a message, the tokens of every value, 1 for a name, 3 for the answer's
header. The tokens of function calls were measured by users of the API (see the tests).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from budgetledger.errors import InvalidInput
from budgetledger.tokens.attachments import (
    Media,
    audio_tokens,
    document_tokens,
    media_of,
    text_of,
    video_tokens,
)
from budgetledger.tokens.encodings import CHUNK, count_text, encoder, panicked
from budgetledger.tokens.image_size import image_size
from budgetledger.tokens.model_families import Family
from budgetledger.tokens.text_percents import percents_of
from budgetledger.tokens.tool_text import ToolText, functions

# More than any model reads. A prompt whose parts contain each other may have no end.
_MOST_CHARACTERS = 100_000_000
_MOST_STEPS, _STEPS_A_PART = 1_000_000, 10
_TOKENS_WITH_TOOLS = 9
# The keys of a message that the model certainly reads, unlike a refusal or the id of a call.
_READ_KEYS = ("role", "content", "name")
# The keys of a part that are counted elsewhere, or that the model does not read.
_HANDLED_KEYS = {"type", "content", "cache_control", "annotations"}


class Tally:
    """Adds up one prompt; ``exact`` is False once a part had to be estimated.

    ``text_tokens`` is the most there may be of text, in the family's vocabulary; ``frame`` what a
    chat adds by OpenAI's formula; ``fixed`` the most of what has no text, such as images.
    ``percents``: what the text takes in another vendor's vocabulary, if it has one. ``unsure`` and
    ``fixed_unsure``: how many of these the prompt may turn out not to have.
    """

    def __init__(self, family: Family) -> None:
        self.text_tokens = self.frame = self.unsure = self.fixed = self.fixed_unsure = 0
        self.percents = 0
        self.exact = True
        self._family = family
        self._percents_of = family.weights and percents_of(family.weights)
        self._encode = encoder(family.encoding)
        self._characters = _MOST_CHARACTERS
        self._steps = _MOST_STEPS

    def text(self, text: str) -> int:
        """Count *text*, and return its tokens."""
        length = len(text)
        self._characters -= length
        if self._characters < 0:
            raise InvalidInput(
                f"the prompt has more than {_MOST_CHARACTERS} characters, all told; pass less"
            )
        try:
            if length <= CHUNK:
                ids = self._encode(text)
                self._weigh(text, ids)
                self.text_tokens += len(ids)
                return len(ids)
        except UnicodeEncodeError:
            pass
        except BaseException as error:
            if not panicked(error):
                raise
        tokens, exact = count_text(self._family.encoding, text, self._weigh)
        self.exact &= exact
        self.text_tokens += tokens
        return tokens

    def _weigh(self, text: str, ids: Sequence[int]) -> None:
        if self._percents_of is not None:
            self.percents += self._percents_of(text, ids)

    def _unsure_text(self, text: str) -> None:
        """Count a text that the model may or may not read."""
        self.unsure += self.text(text)
        self.exact = False

    def visit(self) -> None:
        """Note one more part of the prompt."""
        self._step(_STEPS_A_PART)

    def _step(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise InvalidInput(
                f"the prompt has more than {_MOST_STEPS // _STEPS_A_PART} parts; pass less"
            )

    # -- messages -----------------------------------------------------------------------------

    def messages(self, messages: Sequence[Mapping[str, Any]], *, with_tools: bool) -> None:
        """Count a chat."""
        self.frame += 3
        if self._family.frame_tokens:
            self._add_fixed(0, self._family.frame_tokens)
        encoding = self._family.encoding
        for source in messages:
            message = source if type(source) is dict else plain(source)
            self._step(_STEPS_A_PART)
            self.frame += 3
            for key, value in message.items():
                if type(value) is not str:
                    self._rarer(key, value)
                elif key == "content":
                    self.text(value)
                elif key == "role" and len(value) <= 16:
                    self.frame += _role_tokens(encoding, value)
                else:
                    self._rarer(key, value)
            if with_tools and message.get("role") == "system" and self._family.is_openai:
                self._beside_tools(message.get("content"))
                with_tools = False

    def _rarer(self, key: str, value: object) -> None:
        """Count any field of a message but its plain content and role."""
        if key == "tool_calls" and isinstance(value, list | tuple):
            self._tool_calls(value)
        elif key == "function_call" and isinstance(value, Mapping):
            self._function_call(value)
        elif not isinstance(value, str):
            self._value(value)
        elif key in _READ_KEYS:
            self.text(value)
            self.frame += key == "name"
        else:
            self._unsure_text(value)

    def _beside_tools(self, content: object) -> None:
        """Tools are put into the first system message, after a line end."""
        self.frame -= 4
        if isinstance(content, str):
            end = content[-100:]
            before, after = self.text_tokens, self.text(end + "\n") - self.text(end)
            self.text_tokens = before + max(0, after)

    def _function_call(self, call: Mapping[str, Any]) -> None:
        if self._family.encoding == "cl100k_base":
            self.exact = False
            self.frame += 3
            self._text_of(call.get("name"))
            self._text_of(call.get("arguments"))
        else:
            self._tool_calls([{"function": call}])

    def _tool_calls(self, calls: Sequence[Any]) -> None:
        """Count each call's name (twice for a single call), its arguments, and their frame."""
        if not calls:
            return
        self.exact = False
        frame = 5 if len(calls) == 1 else 21 + 7 * len(calls)
        self.frame += frame
        self.unsure += frame
        for source in calls:
            self.visit()
            call = plain(source)
            function = call.get("function") or call.get("custom") or call
            name = function.get("name")
            self._text_of(name)
            if isinstance(name, str) and len(calls) == 1:
                self._unsure_text(name)
            self._text_of(function.get("arguments", function.get("input")))

    def _text_of(self, value: object) -> None:
        if isinstance(value, str):
            self.text(value)
        elif value is not None:
            self._json(value, surely=True)

    # -- content ------------------------------------------------------------------------------

    def _value(self, value: object) -> None:
        if isinstance(value, str):
            self.text(value)
        elif isinstance(value, list | tuple):
            for part in value:
                if isinstance(part, str):
                    self.visit()
                    self.text(part)
                elif part is not None and not isinstance(part, int | float | list | tuple):
                    self._part(plain(part))
                else:
                    self._json(part)
        elif value is not None:
            self._json(value)

    def _part(self, part: Mapping[str, Any]) -> None:
        self.visit()
        if isinstance(part.get("text"), str) and str(part.get("type", "text")).endswith("text"):
            self.text(part["text"])
            return
        media = media_of(part)
        if media is None:
            self._structured(part)
        elif media.kind == "image":
            low, high, known = self._family.images.tokens(image_size(media.data), media.detail)
            self._add_fixed(low, high, known)
        elif media.kind == "audio":
            self._add_fixed(1, audio_tokens(media))
        elif media.kind == "video":
            self._add_fixed(1, video_tokens(media))
        else:
            for key in ("title", "context", "filename"):
                self._value(part.get(key))
            self._document(media)

    def _document(self, media: Media) -> None:
        text = text_of(media)
        if text is None:
            self._add_fixed(1, document_tokens(media, self._family.page_tokens))
        else:
            self.text(text)
            self.exact = False

    def _structured(self, part: Mapping[str, Any]) -> None:
        """Count a tool call, a tool's result or thinking: its content, and the rest as JSON."""
        rest = {key: value for key, value in part.items() if key not in _HANDLED_KEYS}
        holder = rest.pop("source") if isinstance(rest.get("source"), Mapping) else part
        self._value(holder.get("content"))  # a tool's result may hold images
        self._json(rest)

    def _add_fixed(self, low: int, high: int, exact: bool = False) -> None:
        self.fixed += high
        self.fixed_unsure += high - low
        self.exact &= exact

    # -- tools and other structures -----------------------------------------------------------

    def tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Count tool definitions, and the instructions that the vendor adds to them."""
        self.exact = False
        definitions = list(functions(tools, plain))
        if self._family.is_openai:
            writer = ToolText(self.visit, self._to_json)
            self.frame += _TOKENS_WITH_TOOLS
            self.text(writer.written([tool for tool in definitions if tool.get("name")]))
            for extra in writer.extras:
                self._unsure_text(extra)
            definitions = [tool for tool in definitions if not tool.get("name")]  # hosted ones
        else:
            low, high = self._family.tool_tokens
            self._add_fixed(low, high)
        for tool in definitions:
            self._json(tool, surely=not self._family.is_openai)

    def _json(self, value: object, *, surely: bool = False) -> None:
        """Count the JSON text of a value that is neither text nor an image."""
        self.exact = False
        tokens = self.text(self._to_json(value))
        self.unsure += 0 if surely else tokens

    def _to_json(self, value: object) -> str:
        pieces = []
        for piece in _ENCODER.iterencode(value):
            self._step(1)
            pieces.append(piece)
        return "".join(pieces)


def plain(value: Any) -> Mapping[str, Any]:
    """A client's pydantic object as a dict; a mapping unchanged."""
    if isinstance(value, Mapping):
        return value
    if not hasattr(value, "model_dump"):
        raise TypeError(f"a {type(value).__name__} where a message or value belongs")
    dumped: Mapping[str, Any] = value.model_dump(exclude_none=True)
    return dumped


def _plain_json(value: Any) -> Any:
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else plain(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain_json)


@lru_cache(maxsize=256)
def _role_tokens(encoding: str, role: str) -> int:
    """Tokens of a role; the legacy role ``function`` takes two less with its frame."""
    return count_text(encoding, role)[0] - 2 * (role == "function")

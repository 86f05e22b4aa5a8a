"""The tokens of a chat: OpenAI's formula, and its bounds where a prompt holds more than text.

The formula is that of OpenAI's cookbook (How_to_count_tokens_with_tiktoken), which compares it
with what the API answered: 3 a message, the tokens of every value, 1 for a name, 3 for the
answer's header. Calls of functions were measured by users of the API (see the tests).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from budgetledger.errors import InvalidInput
from budgetledger.tokens.attachments import audio_tokens, document_tokens, media_of
from budgetledger.tokens.encodings import CHUNK, count_text, encoder, panicked
from budgetledger.tokens.images import image_size
from budgetledger.tokens.model_families import Family
from budgetledger.tokens.tool_text import ToolText, functions

# More than any model reads; a prompt that is shared with itself many times over may have no end.
_MOST_CHARACTERS = 100_000_000
_MOST_STEPS, _STEPS_A_PART = 1_000_000, 10
_TOKENS_WITH_TOOLS = 9
_READ = ("role", "content", "name")  # of a message; not surely its refusal, or a call's number
# Of a part: what is counted otherwise, or is not read by the model.
_TOLD = {"type", "content", "cache_control", "annotations"}


class Tally:
    """Adds up one prompt; ``exact`` turns False at the first thing that had to be guessed.

    ``tokens`` are those of text in the family's vocabulary, at most; ``fixed`` those that are
    counted otherwise, as images are. How many of each there may not be is in ``unsure`` and
    ``fixed_unsure``.
    """

    def __init__(self, family: Family) -> None:
        self.tokens = self.unsure = self.fixed = self.fixed_unsure = 0
        self.exact = True
        self._family = family
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
                tokens = len(self._encode(text))
                self.tokens += tokens
                return tokens
        except UnicodeEncodeError:
            pass
        except BaseException as error:
            if not panicked(error):
                raise
        tokens, exact = count_text(self._family.encoding, text)
        self.exact &= exact
        self.tokens += tokens
        return tokens

    def _unsure_text(self, text: str) -> None:
        """Count a text that the model may not be given."""
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
        self.tokens += 3
        if self._family.frame_tokens:
            self._add_fixed(0, self._family.frame_tokens)
        encoding = self._family.encoding
        for given in messages:
            message = given if type(given) is dict else plain(given)
            self._step(_STEPS_A_PART)
            self.tokens += 3
            for key, value in message.items():
                if type(value) is not str:
                    self._rarer(key, value)
                elif key == "content":
                    self.text(value)
                elif key == "role" and len(value) <= 16:
                    self.tokens += _role_tokens(encoding, value)
                else:
                    self._rarer(key, value)
            if with_tools and message.get("role") == "system" and self._family.is_openai:
                self._beside_tools(message.get("content"))
                with_tools = False

    def _rarer(self, key: str, value: object) -> None:
        """What else a message may have."""
        if key == "tool_calls" and isinstance(value, list | tuple):
            self._tool_calls(value)
        elif key == "function_call" and isinstance(value, Mapping):
            self._function_call(value)
        elif not isinstance(value, str):
            self._value(value)
        elif key in _READ:
            self.text(value)
            self.tokens += key == "name"
        else:
            self._unsure_text(value)

    def _beside_tools(self, content: object) -> None:
        """The tools go into the first system message, which ends its line for them."""
        self.tokens -= 4
        if isinstance(content, str):
            end = content[-100:]
            before, after = self.tokens, self.text(end + "\n") - self.text(end)
            self.tokens = before + max(0, after)

    def _function_call(self, call: Mapping[str, Any]) -> None:
        if self._family.encoding == "cl100k_base":
            self.exact = False
            self.tokens += 3
            self._text_of(call.get("name"))
            self._text_of(call.get("arguments"))
        else:
            self._tool_calls([{"function": call}])

    def _tool_calls(self, calls: Sequence[Any]) -> None:
        """Each call's name (twice for a single one) and arguments, and what frames them."""
        if not calls:
            return
        self.exact = False
        frame = 5 if len(calls) == 1 else 21 + 7 * len(calls)
        self.tokens += frame
        self.unsure += frame
        for given in calls:
            self.visit()
            call = plain(given)
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
        else:
            for key in ("title", "context", "filename"):
                self._value(part.get(key))
            if isinstance(media.data, str) and media.media_type == "text/plain":
                self.text(media.data)
            else:
                self._add_fixed(1, document_tokens(media))

    def _structured(self, part: Mapping[str, Any]) -> None:
        """A call of a tool, its result, thinking: what is inside, and all else as JSON."""
        rest = {key: told for key, told in part.items() if key not in _TOLD}
        holder = rest.pop("source") if isinstance(rest.get("source"), Mapping) else part
        self._value(holder.get("content"))  # a tool's result may hold images
        self._json(rest)

    def _add_fixed(self, low: int, high: int, exact: bool = False) -> None:
        self.fixed += high
        self.fixed_unsure += high - low
        self.exact &= exact

    # -- tools and other structures -----------------------------------------------------------

    def tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Count tool definitions, and what a model is told with them."""
        self.exact = False
        found = list(functions(tools, plain))
        if self._family.is_openai:
            writer = ToolText(self.visit, self._to_json)
            self.tokens += _TOKENS_WITH_TOOLS
            self.text(writer.written([tool for tool in found if tool.get("name")]))
            for extra in writer.extras:
                self._unsure_text(extra)
            found = [tool for tool in found if not tool.get("name")]  # hosted ones
        else:
            low, high = self._family.tool_tokens
            self._add_fixed(low, high)
        for tool in found:
            self._json(tool, surely=not self._family.is_openai)

    def _json(self, value: object, *, surely: bool = False) -> None:
        """Count what is neither text nor image as its JSON text."""
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
    """Turn a client's pydantic object into a dict; leave a mapping as it is."""
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
    """Tokens of a role; the legacy one for a function's answer takes two less with its frame."""
    return count_text(encoding, role)[0] - 2 * (role == "function")

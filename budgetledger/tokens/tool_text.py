"""Tool definitions as the text that OpenAI's models read them as.

The API turns each function into a TypeScript type; that text, and nine tokens more, is what it
bills, also for nested objects, arrays and choices (seen by calling it: hmarr/openai-chat-tokens
and OpenAI's cookbook). What a schema says beyond types, names and descriptions is not known to be
billed; it is returned apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# Not billed as far as is known, or said by the type already.
_SAID = {
    "$schema", "additionalProperties", "anyOf", "const", "description", "enum", "items", "oneOf",
    "properties", "required", "strict", "title", "type",
}  # fmt: skip
_NAMES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean"}


def functions(tools: Sequence[Any], plain: Callable[[Any], Mapping[str, Any]]) -> Iterator[Any]:
    """Each function of *tools* as OpenAI, Anthropic or Gemini take them; what is none, as it is.

    *plain* makes a mapping of a client's object.
    """
    for given in tools:
        tool = plain(given)
        declared = tool.get("function_declarations") or tool.get("functionDeclarations")
        if declared:
            yield from map(plain, declared)
        else:
            function = tool.get("function")
            yield function if isinstance(function, Mapping) else tool


class ToolText:
    """The text of functions, and apart what else their schemas say.

    *visit* is called for every schema, to stop one that has no end; *to_json* writes a value.
    """

    def __init__(self, visit: Callable[[], None], to_json: Callable[[object], str]) -> None:
        self.extras: list[str] = []
        self._visit = visit
        self._to_json = to_json

    def written(self, functions: Sequence[Mapping[str, Any]]) -> str:
        """All *functions* in one namespace."""
        lines = ["namespace functions {", ""]
        for function in functions:
            if function.get("description"):
                lines.append(f"// {function['description']}")
            schema = function.get("parameters") or function.get("input_schema") or {}
            fields = self._fields(schema, 0)
            name = function.get("name", "")
            lines += (
                [f"type {name} = (_: {{", *fields, "}) => any;"]
                if fields
                else [f"type {name} = () => any;"]
            )
            lines.append("")
        return "\n".join([*lines, "} // namespace functions"])

    def _fields(self, schema: Mapping[str, Any], indent: int) -> list[str]:
        self._visit()
        self._keep({key: told for key, told in schema.items() if key not in _SAID})
        lines = []
        required = schema.get("required") or ()
        for name, told in (schema.get("properties") or {}).items():
            if isinstance(told, Mapping) and told.get("description"):
                lines.append(f"// {told['description']}")
            mark = "" if name in required else "?"
            lines.append(f"{name}{mark}: {self._type(told, indent)},")
        return [" " * indent + line for line in lines]

    def _type(self, told: object, indent: int) -> str:
        self._visit()
        if not isinstance(told, Mapping):
            return "any"
        kind = told.get("type")
        if kind != "object":  # whose other keys are kept with its fields
            self._keep({key: value for key, value in told.items() if key not in _SAID})
        if "enum" in told:
            return " | ".join(self._to_json(choice) for choice in told["enum"])
        if "const" in told:
            return self._to_json(told["const"])
        either = told.get("anyOf") or told.get("oneOf")
        if either:
            return " | ".join(self._type(one, indent) for one in either)
        if isinstance(kind, list | tuple):
            return " | ".join(self._type({**told, "type": one}, indent) for one in kind)
        if kind == "array":
            return f"{self._type(told.get('items'), indent)}[]"
        if kind == "object":
            fields = self._fields(told, indent + 2)
            return "\n".join(["{", *fields, "}"]) if fields else "object"
        return _NAMES.get(str(kind), str(kind or "any"))

    def _keep(self, rest: dict[str, Any]) -> None:
        self.extras += (f"// {key}: {self._to_json(rest[key])}" for key in rest)

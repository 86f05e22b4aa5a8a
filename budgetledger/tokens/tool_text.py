"""Tool definitions as the text that OpenAI bills.

The API turns each function into a TypeScript type. That text, and nine tokens more, is what it
bills, also for nested objects, arrays and choices (measured on the API by hmarr/openai-chat-tokens
and OpenAI's cookbook). It is not known whether the rest of a schema, beyond types, names and
descriptions, is billed; it is returned apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# Keys of a schema that the text has already, or that are not billed as far as is known.
_RENDERED_KEYS = {
    "$schema", "additionalProperties", "anyOf", "const", "description", "enum", "items", "oneOf",
    "properties", "required", "strict", "title", "type",
}  # fmt: skip
_NAMES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean"}


def functions(tools: Sequence[Any], plain: Callable[[Any], Mapping[str, Any]]) -> Iterator[Any]:
    """Each function among *tools* of OpenAI, Anthropic or Gemini; any other tool unchanged.

    *plain* turns a client's object into a mapping.
    """
    for source in tools:
        tool = plain(source)
        declared = tool.get("function_declarations") or tool.get("functionDeclarations")
        if declared:
            yield from map(plain, declared)
        else:
            function = tool.get("function")
            yield function if isinstance(function, Mapping) else tool


class ToolText:
    """The text of functions, and apart from it, in ``extras``, the rest of their schemas.

    *visit* is called for every schema, to stop one without end; *to_json* writes a value.
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
        self._keep({key: value for key, value in schema.items() if key not in _RENDERED_KEYS})
        lines = []
        required = schema.get("required") or ()
        for name, inner in (schema.get("properties") or {}).items():
            if isinstance(inner, Mapping) and inner.get("description"):
                lines.append(f"// {inner['description']}")
            mark = "" if name in required else "?"
            lines.append(f"{name}{mark}: {self._type(inner, indent)},")
        return [" " * indent + line for line in lines]

    def _type(self, schema: object, indent: int) -> str:
        self._visit()
        if not isinstance(schema, Mapping):
            return "any"
        kind = schema.get("type")
        if kind != "object":  # _fields keeps the rest of an object
            self._keep({key: value for key, value in schema.items() if key not in _RENDERED_KEYS})
        if "enum" in schema:
            return " | ".join(self._to_json(choice) for choice in schema["enum"])
        if "const" in schema:
            return self._to_json(schema["const"])
        either = schema.get("anyOf") or schema.get("oneOf")
        if either:
            return " | ".join(self._type(one, indent) for one in either)
        if isinstance(kind, list | tuple):
            return " | ".join(self._type({**schema, "type": one}, indent) for one in kind)
        if kind == "array":
            return f"{self._type(schema.get('items'), indent)}[]"
        if kind == "object":
            fields = self._fields(schema, indent + 2)
            return "\n".join(["{", *fields, "}"]) if fields else "object"
        return _NAMES.get(str(kind), str(kind or "any"))

    def _keep(self, rest: dict[str, Any]) -> None:
        self.extras += (f"// {key}: {self._to_json(rest[key])}" for key in rest)

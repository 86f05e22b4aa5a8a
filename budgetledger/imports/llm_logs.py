"""The database ``logs.db`` of ``llm``: new calls in ``turns``, older ones in ``responses``. Pure.

Some calls are in both tables, under one id. The columns for tokens are those of the usage, without
the details, which are apart in the provider's own form; they state no cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from budgetledger.imports.calls import Call, Log, moment_us, new_log, tags_of, usage_by
from budgetledger.imports.files import Table, json_in
from budgetledger.responses.fields.by_name import text
from budgetledger.responses.usage.readers import read_usage
from budgetledger.usage import Usage

# The names of the two counts in the forms of providers, by a word that their details have.
_FORMS = {
    "prompt_tokens": ("prompt_tokens", "completion_tokens"),
    "completion_tokens": ("prompt_tokens", "completion_tokens"),
    "TokenCount": ("promptTokenCount", "candidatesTokenCount"),
    "TokensDetails": ("promptTokenCount", "candidatesTokenCount"),
}
_INPUT_OUTPUT = "input_tokens", "output_tokens"


def read(files: Iterable[tuple[str, list[Table]]]) -> Log:
    """The calls that databases record, from their tables ``turns`` and ``responses``."""
    log = new_log()
    seen: set[str] = set()
    for file, tables in files:
        for name, rows in tables:
            for number, row in enumerate(rows, 1):
                source_id, at_us = text(row.get("id")), moment_us(row.get("datetime_utc"))
                if source_id is None or at_us is None:
                    log.skip("the row has no id or no time", f"{file}, {name} {number}")
                elif source_id in seen:
                    log.skip("the call is in both tables, or in two files", source_id)
                else:
                    seen.add(source_id)
                    log.calls.append(_call(source_id, at_us, row))
    log.calls.sort(key=lambda call: call.at_us)
    return log


def _call(source_id: str, at_us: int, row: dict[str, Any]) -> Call:
    model, response = text(row.get("model")), json_in(row.get("response_json"))
    return Call(
        source_id,
        at_us,
        model,
        text(row.get("resolved_model")) or model,
        _usage(row),
        response_id=text(response.get("id")) if isinstance(response, dict) else None,
        tags=tags_of(conversation=row.get("conversation_id") or row.get("thread_id")),
    )


def _usage(row: dict[str, Any]) -> Usage | None:
    tokens = row.get("input_tokens"), row.get("output_tokens")
    if tokens == (None, None):
        return None
    details = json_in(row.get("token_details"))
    details = details if isinstance(details, dict) else {}
    names = next(
        (form for word, form in _FORMS.items() if any(word in name for name in details)),
        _INPUT_OUTPUT,
    )
    counts = {name: count or 0 for name, count in zip(names, tokens, strict=True)}
    return usage_by(_read, details | counts) or usage_by(_read, counts)


def _read(response: Any, usage: Any) -> Usage | None:
    return read_usage(response, usage, False)

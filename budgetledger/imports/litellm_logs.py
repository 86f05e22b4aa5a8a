"""Rows of the LiteLLM Proxy's table ``LiteLLM_SpendLogs``, as JSON. Pure.

``request_id`` is the id of the response, with a suffix for answers from the cache and for the
costs of batches. LiteLLM logs some calls twice, under two of these: their rows share the
``litellm_call_id`` and the tokens. ``prompt_tokens`` include what was cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from budgetledger.errors import InvalidInput
from budgetledger.imports.calls import Call, Log, moment_us, new_log, stated_usd, tags_of, usage_by
from budgetledger.imports.files import Parsed, json_in
from budgetledger.responses.fields.by_name import text
from budgetledger.responses.usage.openai import read_chat_usage

_CUT_AT = 10_000  # rows of an answer of /spend/logs
_TWICE = "another row has its litellm_call_id and its tokens"
_SUFFIX = re.compile(r"_(cache_hit[0-9.]*|batch_cost|background_cost)$")


def read(files: Iterable[Parsed]) -> Log:
    """The calls that exported rows record. Raises `InvalidInput` for sums by day."""
    log = new_log()
    by_id: dict[str, tuple[Call, str]] = {}
    for place, row in _rows(files, log):
        call = _call(row, place, log)
        if call is None:
            continue
        request_id = text(row.get("request_id")) or place
        first = by_id.get(call.source_id)
        if first is None:
            by_id[call.source_id] = call, request_id
        elif request_id == first[1]:
            log.skip("the same row came before", request_id)
        else:
            log.skip(_TWICE, f"{request_id}, as {first[1]}")
            if (call.cost or 0) > (first[0].cost or 0):
                by_id[call.source_id] = call, first[1]
    log.calls.extend(call for call, _ in by_id.values())
    return log


def _rows(files: Iterable[Parsed], log: Log) -> Iterator[tuple[str, dict[str, Any]]]:
    for file, value, _ in files:
        if isinstance(value, dict) and isinstance(value.get("data"), list):
            pages = value.get("total_pages")
            if isinstance(pages, int) and pages > 1:
                log.remarks.append(f"{file} is one of {pages} pages; import all of them")
            value = value["data"]
        elif isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            raise InvalidInput(f"{file} has no rows of LiteLLM_SpendLogs as JSON; export it again")
        if len(value) == _CUT_AT:
            log.remarks.append(
                f"{file} has {_CUT_AT:,} rows, at which /spend/logs cuts its answer; "
                "export shorter spans of time"
            )
        for number, row in enumerate(value, 1):
            place = f"{file}, row {number}"
            if not isinstance(row, dict):
                log.skip("the row cannot be read", place)
            elif "request_id" not in row and {"users", "models"} & row.keys():
                raise InvalidInput(
                    f"{file} has sums by day and no calls; export it with summarize=false"
                )
            else:
                yield place, row


def _call(row: dict[str, Any], place: str, log: Log) -> Call | None:
    request_id, call_id = text(row.get("request_id")), text(row.get("litellm_call_id"))
    place = request_id or place
    at_us, cost = moment_us(row.get("startTime")), stated_usd(row.get("spend"))
    is_cached = str(row.get("cache_hit")).lower() == "true"
    if row.get("status") == "failure" and cost is None:
        log.skip("the call failed and cost nothing", place)
        return None
    if at_us is None or (request_id is None and call_id is None):
        log.skip("the row has no startTime or no id", place)
        return None
    metadata = json_in(row.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    account = _account(row, metadata)
    tokens = f"{row.get('prompt_tokens') or 0}+{row.get('completion_tokens') or 0}"
    model = text(row.get("model"))
    response_id = None if request_id is None or is_cached else _SUFFIX.sub("", request_id)
    return Call(
        f"{call_id}:{tokens}" if call_id is not None else f"{request_id}",
        at_us,
        text(row.get("model_group")) or model,
        model,
        _usage(row, metadata),
        Decimal(0) if is_cached else cost,
        account,
        text(row.get("custom_llm_provider")),
        response_id,
        tags_of(
            user=row.get("user"),
            end_user=row.get("end_user"),
            team=row.get("team_id"),
            session=row.get("session_id"),
            tags=json_in(row.get("request_tags")),
        ),
    )


def _account(row: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    """The customer, else the key's owner, else the key."""
    user = text(row.get("end_user")) or text(row.get("user"))
    if user is not None:
        return user
    key = text(metadata.get("user_api_key_alias")) or text(row.get("api_key"))
    return None if key is None else f"key:{key}"


def _usage(row: dict[str, Any], metadata: dict[str, Any]) -> Any:
    counts = {name: row.get(name) for name in ("prompt_tokens", "completion_tokens")}
    if not any(counts.values()):
        return None
    more = metadata.get("additional_usage_values")
    detailed = usage_by(read_chat_usage, {**(more if isinstance(more, dict) else {}), **counts})
    usage = detailed or usage_by(read_chat_usage, counts)
    is_batch = str(row.get("request_id")).endswith("_batch_cost")
    return usage._replace(service_tier="batch") if usage is not None and is_batch else usage

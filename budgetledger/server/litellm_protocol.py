"""The protocol of LiteLLM's hosted budget manager: ``/get_budget`` and ``/set_budget``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from budgetledger.errors import InvalidInput
from budgetledger.journal.journal import journal_of
from budgetledger.journal.transaction import Transaction
from budgetledger.names import checked_name
from budgetledger.server import litellm_counters as counters
from budgetledger.server.gate import check_member
from budgetledger.server.http import Refused, answer, read_json
from budgetledger.server.litellm_notes import Note
from budgetledger.server.litellm_users import Written, read_record, records
from budgetledger.server.request_fields import Name
from budgetledger.server.state import Service
from budgetledger.verbs.awaiting import AsyncJournal

CLIENT_HEADER = "X-Budgetledger-Client"
"""A client's unique name: the server compares its records with what it last sent or received."""

_Usd: TypeAlias = Annotated[float, Field(ge=0)]


class Record(TypedDict):
    """A user's budget and cost, as LiteLLM stores them. Amounts are US dollars."""

    total_budget: _Usd
    duration: NotRequired[int]
    """Days. Without it the budget is for ever."""
    created_at: NotRequired[float]
    """Seconds since 1970."""
    last_updated_at: NotRequired[float]
    """When the window began, in seconds since 1970."""
    current_cost: NotRequired[_Usd]
    model_cost: NotRequired[dict[str, _Usd]]


class GetBudget(TypedDict):
    """The project whose records to return."""

    project_name: Name


class SetBudget(GetBudget):
    """The records of all users, or of those that changed."""

    user_dict: dict[str, Record]


class Success(TypedDict):
    """The change was recorded."""

    status: Literal["success"]


class Records(TypedDict):
    """The records of all users. `status` is `error` if there are none."""

    status: Literal["success", "error"]
    data: NotRequired[dict[str, Record]]
    message: NotRequired[str]


_MOST_SHOWN = 20
_AT_ONCE = 200
"""Users per transaction: other requests can write in between."""


async def get_budget(service: Service, request: Request) -> Response:
    """The records of a project; ``{"status": "error"}`` if there are none, as LiteLLM expects."""
    project, _ = await _read_request(service, request)
    journal = journal_of(service.ledger_of(project).ledger)
    client = _client(request)
    if client is not None:
        data = await AsyncJournal(journal).write(lambda tx: counters.send(tx, project, client))
    else:
        data = await journal.store.aread(lambda execute: records(execute, project, journal.clock()))
    if not data:
        return answer({"status": "error", "message": "nothing is stored for this project yet"})
    return answer({"status": "success", "data": data})


async def set_budget(service: Service, request: Request) -> Response:
    """Record what changed in a client's users.

    If records are invalid, the answer has status 422 and names their users; the other users are
    recorded.
    """
    project, content = await _read_request(service, request)
    users = content.get("user_dict")
    if not isinstance(users, dict):
        raise InvalidInput("user_dict must be an object of records by user")
    client = _client(request)
    written: list[Written] = []
    problems: dict[str, str] = {}
    for user, record in users.items():
        try:
            written.append(read_record(user, record))
        except InvalidInput as error:
            problems[user] = str(error)

    sent: Note | None = None

    def absorb(tx: Transaction, some: list[Written]) -> dict[str, str]:
        nonlocal sent
        sent, refused = counters.last_sent(tx, project, client, sent), {}
        for record in some:
            try:
                counters.absorb(tx, project, client, sent, record)
            except InvalidInput as error:
                refused[record.user] = str(error)
        return refused

    journal = AsyncJournal(journal_of(service.ledger_of(project).ledger))
    for start in range(0, len(written), _AT_ONCE):
        some = written[start : start + _AT_ONCE]
        problems |= await journal.write(partial(absorb, some=some))
    if not problems:
        return answer({"status": "success"})
    shown = dict(list(problems.items())[:_MOST_SHOWN])
    message = f"{len(problems)} of {len(users)} users were not recorded; correct their records"
    problem = {"type": "InvalidInput", "message": message, "users": shown}
    return answer({"status": "error", "error": problem}, 422)


async def _read_request(service: Service, request: Request) -> tuple[str, dict[str, Any]]:
    """The project and the whole body, if the request may use that project."""
    projects = service.gate.projects(request)
    content = await read_json(request, service.most_bytes, exact=True)
    project = checked_name(content.get("project_name"), "project_name")
    check_member(projects, project)
    return project, content


def _client(request: Request) -> str | None:
    client = request.headers.get(CLIENT_HEADER)
    if client is None:
        return None
    if not client.strip() or len(client) > 200:
        raise Refused(422, "InvalidInput", f"{CLIENT_HEADER} must have 1 to 200 characters")
    return client

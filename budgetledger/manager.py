"""`BudgetManager`: LiteLLM's API, kept in a `Ledger` or on a server.

Method names, call forms and return values are those that LiteLLM documents and that its users
write; costs are floats, as there. Unlike there, spending survives restarts and concurrent
writers, windows turn by the calendar without a call, and no reset erases anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from budgetledger.errors import InvalidInput, InvalidPeriod
from budgetledger.journal.journal import journal_of
from budgetledger.journal.rows.accounts import no_budget
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.litellm.local_books import LocalBooks
from budgetledger.litellm.records import DAYS
from budgetledger.litellm.registered_prices import with_registered_prices
from budgetledger.money import Amount, count, limit_sum, to_pico, to_usd
from budgetledger.names import checked_name
from budgetledger.storage.targets import default_path
from budgetledger.usage import Usage

if TYPE_CHECKING:
    from budgetledger.entries import DefaultBudget
    from budgetledger.holds import Hold
    from budgetledger.hosted.books import HostedBooks

__all__ = ["BudgetManager"]

_DURATIONS = tuple(DAYS)


class BudgetManager:
    """LiteLLM's budget manager, over a ledger that keeps every cost as an entry.

    `project_name`: the namespace of its budgets inside the ledger. `ledger`: by default the file
    in ``BUDGETLEDGER_DB``, or else a file in the user's data directory. Limits and costs are in
    USD. A user is `valid` after `create_budget`; methods that read another user raise
    `UnknownAccount`, which is a ``KeyError`` as in LiteLLM.

    With ``client_type="hosted"``, the server at `api_base` keeps the records. Requests have
    `headers`, and each answer may take `timeout` seconds. The records are read at the start, at
    each change, and by `load_data`. A change is first written to the local ledger, and kept until
    the server acknowledges it: if a method raises `ServerUnavailable` or `ServerRefused`, do not
    call it again. The next change or `save_data` sends it, even after a restart.

    Example:
        >>> import openai
        >>> from budgetledger import BudgetManager
        >>> client, manager = openai.OpenAI(), BudgetManager("my-app")
        >>> record = manager.create_budget(total_budget=10, user="alice", duration="monthly")
        >>> messages = [{"role": "user", "content": "Hello"}]
        >>> if manager.get_current_cost("alice") < manager.get_total_budget("alice"):
        ...     response = client.chat.completions.create(model="gpt-4o", messages=messages)
        ...     updated = manager.update_cost("alice", response)
        >>> print(manager.get_current_cost("alice"))
        7e-05
    """

    def __init__(
        self,
        project_name: str,
        client_type: str = "local",
        api_base: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        ledger: Ledger | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.project_name = checked_name(project_name, "project_name")
        self.client_type = client_type
        self.api_base = api_base
        self.headers = headers
        self._books: LocalBooks | HostedBooks
        if client_type == "hosted":
            from budgetledger.hosted.opening import open_hosted

            self._ledger, self._books = open_hosted(
                project_name, api_base, headers, timeout, ledger
            )
        elif client_type == "local":
            self._ledger = with_registered_prices(
                Ledger(default_path(), project=project_name)
                if ledger is None
                else ledger_on(journal_of(ledger).for_project(project_name), like=ledger)
            )
            self._books = LocalBooks(self._ledger)
        else:
            raise InvalidInput(f"client_type must be 'local' or 'hosted', got {client_type!r:.60}")

    @property
    def ledger(self) -> Ledger:
        """The `Ledger` of this project; in hosted mode the local one."""
        return self._ledger

    @property
    def user_dict(self) -> Mapping[str, dict[str, Any]]:
        """LiteLLM's records by user: a read-only mapping that is always current."""
        return _UserDict(self)

    def load_data(self) -> None:
        """Read the records from the server again. In local mode, reads are always current.

        Raises `ServerUnavailable`, `ServerRefused` in hosted mode.
        """
        self._books.load()

    def save_data(self) -> dict[str, Any]:
        """Send the changes that the server has not acknowledged. Local mode has nothing to save.

        Returns ``{"status": "success"}``. Raises `ServerUnavailable`, `ServerRefused` in hosted
        mode.
        """
        return self._books.save()

    # -- budgets ------------------------------------------------------------------------------

    def create_budget(
        self,
        total_budget: Amount,
        user: str,
        duration: Literal["daily", "weekly", "monthly", "yearly"] | None = None,
        created_at: float | None = None,
    ) -> dict[str, Any]:
        """Limit `user` to `total_budget` USD, in windows of `duration` that start at `created_at`.

        `created_at`: seconds since 1970, by default now. Another call changes the limit and the
        duration; it keeps what was spent, and the first `created_at` unless another is passed.
        Returns the user's record.
        """
        checked_name(user, "user")
        self._books.set_budget(
            user,
            limit_sum(total_budget),
            _checked(duration),
            None if created_at is None else _seconds(created_at),
        )
        return self._books.record(user)

    def set_default_budget(
        self,
        total_budget: Amount,
        duration: Literal["daily", "weekly", "monthly", "yearly"] | None = None,
        *,
        kind: str = "user",
    ) -> None:
        """Limit each user that never had a budget to `total_budget` USD, from its next call on.

        As `Ledger.set_default_budget`. Such a user is not `valid` until `create_budget`, which
        ends that budget. In hosted mode the server must be a ``budgetledger serve``.
        """
        self._books.set_default_budget(kind, limit_sum(total_budget), _checked(duration))

    def remove_default_budget(self, kind: str = "user") -> None:
        """End what `set_default_budget` set; users keep the budgets they got.

        Raises `UnknownAccount` if there is none.
        """
        self._books.remove_default_budget(kind)

    def default_budgets(self) -> list[DefaultBudget]:
        """The default budgets in force, sorted by kind."""
        return self._books.default_budgets()

    def get_total_budget(self, user: str) -> float:
        """The limit of `user` in USD. Raises `UnknownAccount`."""
        total_budget: float = self.user_dict[user]["total_budget"]
        return total_budget

    def is_valid_user(self, user: str) -> bool:
        """Whether `user` has a budget."""
        return self._books.has(user)

    def get_users(self) -> list[str]:
        """The users with a budget, in the order of their first entries."""
        return self._books.users()

    # -- costs --------------------------------------------------------------------------------

    def projected_cost(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        user: str,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
    ) -> float:
        """USD that `user` spent in the active window, plus the price of `messages` for `model`.

        `tools` are counted as part of the prompt. `max_output_tokens` adds the price of an
        answer of that length. Records nothing; for bounds on the cost of a call see
        `Ledger.estimate`. Raises `UnpricedModel` if no price is known, `UnknownAccount`.
        """
        from budgetledger.pricing.sources import price_of
        from budgetledger.tokens import count_tokens

        prompt_tokens = count_tokens(model, messages=messages, tools=tools).tokens
        longest = 0 if max_output_tokens is None else count(max_output_tokens, "max_output_tokens")
        usage = Usage(prompt_tokens, longest)
        prompt = price_of(model, usage, datetime.now(UTC), journal_of(self._ledger).prices).cost
        return float(to_usd(self._books.current_pico(user) + to_pico(prompt)))

    def update_cost(
        self,
        user: Any = None,
        completion_obj: Any = None,
        model: str | None = None,
        input_text: str | None = None,
        output_text: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Record what a call of `user` cost. It is never refused, and is durable on return.

        Pass the response, as ``update_cost(user, response)``, ``update_cost(response, user)`` or
        by keyword; or `model` with `input_text` and `output_text`, of which one may be empty.
        With a response and both texts, the texts are counted, as in LiteLLM. Returns
        ``{"user": record}``. Raises `UnreadableResponse`.
        """
        if isinstance(completion_obj, str) and not isinstance(user, str):
            user, completion_obj = completion_obj, user
        checked_name(user, "user")
        has_texts = model is not None and (input_text is not None or output_text is not None)
        if completion_obj is not None and not (model and input_text and output_text):
            self._books.charge(user, completion_obj)
        elif model is not None and has_texts:
            usage = Usage(_text_tokens(model, input_text), _text_tokens(model, output_text))
            self._books.charge(user, None, model, usage)
        else:
            raise InvalidInput(
                "nothing to charge; pass the response as completion_obj=, or model= with "
                "input_text= and output_text="
            )
        return {"user": self._books.record(user)}

    def hold(self, user: str, amount: Amount | None = None, **options: Any) -> Hold:
        """Set money aside for a call of `user` before it is sent, as `Ledger.hold` does.

        In hosted mode the server grants it, and must be a ``budgetledger serve``. `options` and
        errors are those of `Ledger.hold`.
        """
        return self._books.hold(user, amount, **options)

    def get_current_cost(self, user: str) -> float:
        """USD that `user` spent in the active window. Raises `UnknownAccount`."""
        return float(to_usd(self._books.current_pico(user)))

    def get_model_cost(self, user: str) -> dict[str, float]:
        """USD that `user` spent in the active window, by model. Raises `UnknownAccount`."""
        costs: dict[str, float] = self._books.record(user)["model_cost"]
        return costs

    # -- windows ------------------------------------------------------------------------------

    def reset_cost(self, user: str) -> dict[str, dict[str, Any]]:
        """Start a new window of `user` now, so that the current cost is 0. No entry changes.

        Returns ``{"user": record}``. Raises `UnknownAccount`.
        """
        self._books.shift(user)
        return {"user": self._books.record(user)}

    def reset_on_duration(self, user: str) -> None:
        """Record that the window of `user` has turned, if it has.

        You need not call this: a window turns at its time by itself. Raises `UnknownAccount`.
        """
        self._books.shift_if_due(user)

    def update_budget_all_users(self) -> None:
        """Call `reset_on_duration` for every user."""
        for user in self.get_users():
            self.reset_on_duration(user)


class _UserDict(Mapping[str, dict[str, Any]]):
    """The records of all users with a budget, read from the ledger at each access."""

    def __init__(self, manager: BudgetManager) -> None:
        self._manager = manager

    def __getitem__(self, user: str) -> dict[str, Any]:
        if user not in self:
            raise no_budget(self._manager.project_name, user, None)
        return _Record(self._manager._books.record(user))

    def __contains__(self, user: object) -> bool:
        return isinstance(user, str) and self._manager.is_valid_user(user)

    def __iter__(self) -> Iterator[str]:
        return iter(self._manager.get_users())

    def __len__(self) -> int:
        return len(self._manager.get_users())

    def __repr__(self) -> str:
        return repr(dict(self))


class _Record(dict[str, Any]):
    """A read-only record: changing it would have no effect, so it raises ``TypeError``."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "user_dict is read-only; call create_budget, update_cost or reset_cost instead"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy is an ordinary dict

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def _checked(duration: str | None) -> str | None:
    if duration is not None and duration not in _DURATIONS:
        raise InvalidPeriod(f"duration must be one of {[*_DURATIONS]} or None, got {duration!r}")
    return duration


def _seconds(created_at: object) -> float:
    if isinstance(created_at, bool) or not isinstance(created_at, (int, float)):
        raise InvalidPeriod(
            f"created_at must be seconds since 1970, got {created_at!r}; pass time.time()"
        )
    if not 0 <= created_at < 2e11:  # nor NaN
        raise InvalidPeriod(f"created_at is out of range: {created_at!r}; pass time.time()")
    return float(created_at)


def _text_tokens(model: str, text: str | None) -> int:
    """The tokens of `text` as one chat message, as LiteLLM counts it; 0 without text."""
    from budgetledger.tokens import count_tokens

    if not text:
        return 0
    return count_tokens(model, messages=[{"role": "user", "content": text}]).tokens

"""What commands share: the options that name a ledger, and types of values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from budgetledger.cli.wording import did_you_mean
from budgetledger.errors import StoreNotFound, UnknownAccount
from budgetledger.storage.targets import ENVIRONMENT

if TYPE_CHECKING:
    from budgetledger.ledger import Ledger

_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_SPAN = datetime.max - datetime.min
_MOST_AS_SHARE = 10  # as a bare number: 80 almost certainly means 80 %

_JSON = "--json", "as_json"

F = TypeVar("F", bound=Callable[..., Any])


class Where(NamedTuple):
    """The options that every command about a ledger has."""

    db: str | None
    project: str
    as_json: bool

    def locate(self) -> tuple[str, bool]:
        """The ledger's path or URL, and whether the ledger exists."""
        from budgetledger.storage.targets import default_path

        return located(self.db or default_path())

    @contextmanager
    def existing(self) -> Iterator[Ledger]:
        """The ledger, for a command that creates none.

        An `UnknownAccount` raised in the block suggests an account of a similar name, or the
        account's budgets.
        """
        from budgetledger.storage.targets import default_path

        with open_existing(self.db or default_path(), self.project) as ledger:
            try:
                yield ledger
            except UnknownAccount as error:
                message = _with_names(ledger, error)
                raise UnknownAccount(
                    message, account=error.account, project=error.project
                ) from None


def _with_names(ledger: Ledger, error: UnknownAccount) -> str:
    """The message of *error*, with the names that may have been meant."""
    names = [account.name for account in ledger.accounts()]
    if error.account not in names:
        return f"{error}{did_you_mean(error.account, names)}"
    budgets = ", ".join(budget.name for budget in ledger.budgets(error.account))
    return f"{str(error).removesuffix('; set it first')}; its budgets: {budgets or 'none'}"


def located(target: str) -> tuple[str, bool]:
    """The absolute path or the URL of *target*, and whether the ledger exists."""
    from budgetledger.storage.targets import is_server

    if is_server(target):
        from budgetledger.storage.postgres.store import exists

        return target, exists(target)
    from budgetledger.storage.sqlite.connection import path_of

    path = path_of(target)
    return path, os.path.exists(path) and os.path.getsize(path) > 0


def open_existing(
    target: str,
    project: str = "default",
    remedy: str = "name one with --db, or create one with `budgetledger set-budget`",
) -> Ledger:
    """The ledger at *target*. Raises `StoreNotFound`, with *remedy*, rather than create one."""
    from budgetledger.storage.targets import without_password

    path, exists = located(target)
    if not exists:
        shown = without_password(path)
        raise StoreNotFound(f"there is no ledger at {shown}; {remedy}", target=shown)
    from budgetledger.ledger import Ledger

    return Ledger(path, project=project)


def examples(*commands: str) -> str:
    """An epilog for a command's help, one example a line."""
    return "\n".join(("\b", "Examples:", *(f"  budgetledger {command}" for command in commands)))


def names_a_ledger(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a ledger; the command receives them as one `Where`."""

    @wraps(command)
    def run(db: str | None, project: str, as_json: bool, **rest: Any) -> None:
        command(where=Where(db, project, as_json), **rest)

    for option in (
        click.option(
            *_JSON, is_flag=True, callback=from_either_place, help="Print JSON instead of a table."
        ),
        click.option(
            "--project",
            default="default",
            show_default=True,
            callback=from_either_place,
            help="Project in the ledger.",
        ),
        click.option(
            "--db",
            metavar="PATH",
            envvar=ENVIRONMENT,
            show_envvar=True,
            callback=from_either_place,
            help="The ledger's file or URL; without it, the one in your data directory.",
        ),
    ):
        run = option(run)
    return run


def before_the_command(group: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a ledger to a group, so that they can precede its command."""

    @wraps(group)
    def run(**_: Any) -> None:
        group()

    for option in (
        click.option(*_JSON, is_flag=True, help="Print JSON."),
        click.option("--project", metavar="NAME", help="Project in the ledger."),
        click.option("--db", metavar="PATH", help="The ledger's file or URL."),
    ):
        run = option(run)
    return run


def from_either_place(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """The option after the command, else the one before it, else *value*."""
    assert option.name is not None
    place: click.Context | None = context
    while place is not None:
        if is_given(place, option.name):
            return value if place is context else place.params[option.name]
        place = place.parent
    return value


def is_given(context: click.Context, name: str) -> bool:
    """Whether the option *name* was passed on the command line."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def to_moment(context: click.Context, _: click.Parameter, value: str | None) -> datetime | None:
    """An ISO moment. Without an offset it is local time in --timezone, else UTC."""
    try:
        moment = None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2026-03-02T09:00Z") from None
    if moment is None:
        return None
    if moment.tzinfo is None:
        try:
            moment = moment.replace(tzinfo=ZoneInfo(context.params.get("timezone") or "UTC"))
        except (LookupError, ValueError, OSError):
            return moment  # set_budget reports the unknown zone
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise click.BadParameter(f"{value!r} is outside the years 1 to 9999 in UTC") from None
    return moment


def to_anchor(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """A moment, or one of the words ``creation`` and ``none``."""
    return value if value in ("creation", "none") else to_moment(context, parameter, value)


def to_span(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """``24h`` as a timedelta."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([mhdw])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a span such as 24h, 30d or 12w")
    span = timedelta(**{_SPANS[match[2]]: int(match[1])})
    if not timedelta(0) < span <= _LONGEST_SPAN:
        raise click.BadParameter(f"{value!r} is not above zero and at most 9999 years")
    return span


class Whole(click.IntRange):
    """A whole number in a range, written with the digits 0 to 9 alone.

    click reads it by ``int``, to which ``1_0`` and digits of other scripts are numbers too.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse text that is not plain digits; read the rest as click does."""
        if isinstance(value, str) and not re.fullmatch("[+-]?[0-9]+", value):
            self.fail(f"{value!r} is not a whole number in plain digits, such as 100", param, ctx)
        return super().convert(value, param, ctx)


def to_shares(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> list[Decimal] | None:
    """``0.8`` and ``80%``, as shares of a limit; ``none`` removes all alerts."""
    from budgetledger.journal.budget_terms import MOST_THRESHOLDS

    shares = {_share(value) for value in values if value != "none"}
    if len(shares) > MOST_THRESHOLDS:
        raise click.BadParameter(f"a budget has at most {MOST_THRESHOLDS}, got {len(shares)}")
    return sorted(shares) if values else None


def to_share(_: click.Context, __: click.Parameter, value: str | None) -> Decimal | None:
    """``0.8`` or ``80%``, as a share of a limit."""
    return None if value is None else _share(value)


def _share(value: str) -> Decimal:
    from budgetledger.journal.budget_terms import LARGEST_THRESHOLD
    from budgetledger.money import is_decimal

    is_percent = value.endswith("%")
    number = value[:-1].removesuffix(" ") if is_percent else value
    if not is_decimal(number):
        raise click.BadParameter(f"{value!r} is not a share such as 0.8 or 80%")
    try:
        share = Decimal(number) / (100 if is_percent else 1)
    except ArithmeticError:
        raise click.BadParameter(f"{value!r} is not a share such as 0.8 or 80%") from None
    if share > _MOST_AS_SHARE and not is_percent:
        raise click.BadParameter(f"{value} would be {value} times the limit; pass {value}% or less")
    if not 0 < share <= LARGEST_THRESHOLD:
        raise click.BadParameter(f"{value} is not above 0% and at most {LARGEST_THRESHOLD}00%")
    return share


def to_rate(_: click.Context, option: click.Parameter, value: str | None) -> Decimal | None:
    """US dollars, 0 or more; the error names the option or argument as it is typed."""
    from budgetledger.money import exact_usd

    return None if value is None else exact_usd(value, _typed(option))


def to_difference(_: click.Context, option: click.Parameter, value: str) -> Decimal:
    """US dollars that may be negative."""
    from budgetledger.money import exact_usd

    return exact_usd(value, _typed(option), signed=True)


def _typed(option: click.Parameter) -> str:
    return option.opts[0] if option.opts[0].startswith("-") else option.human_readable_name


def to_tags(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> dict[str, str] | None:
    """``feature=search`` as tags of a row."""
    pairs = [value.partition("=") for value in values]
    for value, (key, equals, _value) in zip(values, pairs, strict=True):
        if not (key and equals):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as feature=search")
    return {key: value for key, _equals, value in pairs} or None


dry_run = click.option(
    "--dry-run", "is_rehearsal", is_flag=True, help="Show what would be recorded; record nothing."
)
"""The option of commands that record money."""


def to_reason(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A reason; the error for an empty one names the option."""
    from budgetledger.names import checked_name

    return None if value is None else checked_name(value, option.opts[0], "why, in a few words")


def moment_options(**options: str) -> Callable[[F], F]:
    """Options that take moments: their names and help texts."""

    def decorate(command: F) -> F:
        for name, text in reversed(options.items()):
            text = f"{text}. ISO 8601; UTC without an offset."
            option = f"--{name.replace('_', '-')}"
            command = click.option(option, name, metavar="ISO", callback=to_moment, help=text)(
                command
            )
        return command

    return decorate


past_options = moment_options(
    at="In the windows that contain this moment", as_of="As the ledger stood at this moment"
)

"""The options that state a limit and its window, and a ledger that they may create."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import click

from budgetledger.cli.options import Where, Whole, to_anchor, to_shares, to_span

if TYPE_CHECKING:
    from budgetledger.ledger import Ledger

_COUNT = Whole(0, 2**63 - 1)
_OPTIONS = (
    click.argument("limit", required=False),
    click.option("--tokens", type=_COUNT, help="Limit tokens instead of US dollars."),
    click.option("--requests", type=_COUNT, help="Limit calls instead of US dollars."),
    click.option(
        "--per",
        type=click.Choice(["minute", "hour", "day", "week", "month", "year", "forever"]),
        help="Calendar window. A new budget without it (and without --rolling) is for ever.",
    ),
    click.option(
        "--rolling",
        metavar="SPAN",
        callback=to_span,
        help="Window that always ends now: 24h, 30d or 12w.",
    ),
    click.option(
        "--timezone",
        is_eager=True,
        help="Time zone of the calendar: IANA name. A new budget without it has UTC.",
    ),
    click.option("--week-start", help="First day of a week; monday for a new budget without it."),
    click.option(
        "--anchor",
        metavar="ISO|creation|none",
        callback=to_anchor,
        help="Count windows from this moment (in --timezone, else UTC), from the budget's "
        "creation, or by the calendar.",
    ),
    click.option("--model", help="Limit only this model; none ends that."),
    click.option(
        "--alert-at",
        metavar="SHARE",
        multiple=True,
        callback=to_shares,
        help="Alert at this share of the limit: 0.8 or 80%; none removes all. May be repeated.",
    ),
)


def limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command receives those given as the arguments of `Ledger.set_budget`.

    A command with an option ``name`` changes the budget of that name, whose limit may stay.
    """

    @wraps(command)
    def run(
        limit: str | None,
        tokens: int | None,
        requests: int | None,
        per: str | None,
        rolling: timedelta | None,
        anchor: datetime | Literal["creation", "none"] | None,
        **options: Any,
    ) -> None:
        is_named = options.get("name") is not None
        left_out = [limit, tokens, requests].count(None)
        if left_out != 2 and (left_out < 2 or not is_named):
            raise click.UsageError("pass one of LIMIT (US dollars), --tokens or --requests")
        if rolling is not None and (per is not None or anchor is not None):
            raise click.UsageError("--rolling cannot be combined with --per or --anchor")
        if anchor not in (None, "none") and per is None and not is_named:
            raise click.UsageError("--anchor needs --per: the windows that step from it")
        for name in "timezone", "week_start", "model":
            if options[name] is None:
                del options[name]
        if options.get("model") == "none":
            options["model"] = None
        options |= {"limit": limit, "tokens": tokens, "requests": requests}
        if anchor is not None:
            options["anchor"] = None if anchor == "none" else anchor
        if per is not None or rolling is not None:
            options["per"] = rolling or (None if per == "forever" else per)
        command(**options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


@contextmanager
def opened(where: Where, rehearse: Callable[[Ledger], object]) -> Iterator[Ledger]:
    """The ledger, created if it does not exist, unless *rehearse* fails on one in memory."""
    from budgetledger.ledger import Ledger

    path, exists = where.locate()
    if not exists:
        with Ledger(":memory:", project=where.project) as draft:
            rehearse(draft)
    with Ledger(path, project=where.project) as ledger:
        yield ledger
        if not exists:
            click.echo(f"created {ledger.path}", err=True)

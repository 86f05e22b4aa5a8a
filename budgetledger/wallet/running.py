"""A program with a wallet: its account, its server, its signals, and its end."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from budgetledger.errors import InvalidInput, NoBudget, UnknownAccount
from budgetledger.ledger import Ledger
from budgetledger.wallet.bill import Bill
from budgetledger.wallet.programs import arguments, environment, program_name
from budgetledger.wallet.server import Beside, listening_socket
from budgetledger.wallet.upstreams import upstreams

if TYPE_CHECKING:
    from budgetledger.wallet.app import Wallet
    from budgetledger.wallet.keys import StandIn

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells exit


class Options(NamedTuple):
    """How a program runs: the user above it, its limit in USD, seconds to wait, and so on."""

    user: str | None
    limit: Decimal | None
    tags: Mapping[str, Any] | None
    wait: float
    stops_at_limit: bool
    passes_keys: bool


class Ended(NamedTuple):
    """How it ended: the exit code of the program, and what its calls cost."""

    code: int
    bill: Bill
    account: str
    error: BaseException | None
    """Why the wallet ended before the program."""


def open_account(ledger: Ledger, options: Options) -> str:
    """The account of a new run: it has the limit as its budget, and the user above it.

    Raises `InvalidInput` if no budget would apply, or the user is unknown.
    """
    account = f"run:{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    if options.user is not None:
        try:
            ledger.budgets(options.user)
        except UnknownAccount:
            if not ledger.default_budgets():
                raise InvalidInput(
                    f"there is no account {options.user!r}; create it with `budgetledger "
                    f"set-budget {options.user} LIMIT`"
                ) from None
    if options.limit is not None:
        ledger.set_budget(account, options.limit, per=None, name="limit")
    if options.user is not None:
        ledger.set_parent(account, options.user)
    try:
        ledger.can_afford(account, 0)
    except NoBudget:
        raise InvalidInput(
            "no budget would limit the program; pass --limit USD, or --user NAME with a budget"
        ) from None
    return account


def run(
    command: Sequence[str],
    ledger: Ledger,
    account: str,
    options: Options,
    around: Mapping[str, str],
    say: Callable[[str], None],
) -> Ended:
    """Run *command* with a wallet of its own until it ends. *say*: shows a line to the person."""
    from budgetledger.wallet.keys import stand_ins, unmetered

    listening, secret, bill = listening_socket(), secrets.token_urlsafe(16), Bill()
    root = f"http://127.0.0.1:{listening.getsockname()[1]}/{secret}"
    keys = [] if options.passes_keys else stand_ins(around)
    lost = unmetered(keys, upstreams(around))
    if lost:
        say(f"replaced by keys that fail, as their hosts are not metered: {', '.join(lost)}; "
            "--pass-keys passes keys on")  # fmt: skip
    with _signals() as hand_on:
        try:
            child = subprocess.Popen(arguments(command, root), env=environment(around, root, keys))
        except OSError as error:
            listening.close()
            say(f"{command[0]}: {error.strerror or error}")
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            return Ended(code, bill, account, None)
        hand_on(child)

        def make() -> Wallet:
            return _wallet(ledger, account, options, around, keys, bill, secret, command, say)

        wallet = Beside(listening, make)
        code = child.wait()
        wallet.end()
    return Ended(code if code >= 0 else 128 - code, bill, account, wallet.error)


def _wallet(
    ledger: Ledger, account: str, options: Options, around: Mapping[str, str],
    keys: Sequence[StandIn], bill: Bill, secret: str, command: Sequence[str],
    say: Callable[[str], None],
) -> Wallet:  # fmt: skip
    from budgetledger.aio import AsyncLedger
    from budgetledger.wallet.app import Wallet
    from budgetledger.wallet.calls import Payer
    from budgetledger.wallet.gate import secret_gate
    from budgetledger.wallet.holding import load_prices
    from budgetledger.wallet.keys import Keys

    tags = {"program": program_name(command), **(options.tags or {})}
    payer = Payer(AsyncLedger(ledger), account, tags, options.wait, options.stops_at_limit)
    said: list[str] = []

    def on_refusal(text: str) -> None:
        if not said:  # the program shows the others, or repeats itself
            said.append(text)
            say(f"refused: {text}")

    return Wallet(
        secret_gate(secret, payer),
        upstreams(around),
        keys=Keys(keys),
        bill=bill,
        run=account if options.limit is not None else None,
        on_refusal=on_refusal,
        warm=partial(load_prices, ledger),
    )


@contextmanager
def _signals() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Hands signals on to the program; yields the function that names it."""
    children: list[subprocess.Popen[bytes]] = []
    pending: list[int] = []

    def hand_on(number: int, frame: object) -> None:
        if number in _FROM_TERMINAL and _is_in_foreground():
            return  # the terminal sends it to the program too
        for child in children:
            child.send_signal(number)
        if not children:
            pending.append(number)

    def started(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        for number in pending:
            child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in _HANDED_ON}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(signal, name) for name in names if hasattr(signal, name))


_FROM_TERMINAL = _numbers("SIGINT", "SIGQUIT")
_HANDED_ON = _FROM_TERMINAL | _numbers("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def _is_in_foreground() -> bool:
    """Whether the terminal sends its signals to this process, and so to the program."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)

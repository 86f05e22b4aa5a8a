"""Decides which row follows an account's last one, and whether a hold is granted. Pure.

A row depends on its predecessor alone: its running totals, its time (never before the
predecessor's) and its hash (sha256 over the predecessor's hash and the row's evidence). So
`verify` can compute every row again and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from budgetledger.entries import IMPORTED, Budget, Measure
from budgetledger.money import PICO, Sum
from budgetledger.usage import positional
from budgetledger.windows import Window

# Python's own sha256, as `random` imports it. OpenSSL's, from hashlib, is faster per byte, but
# calling it takes longer than hashing one row.
try:
    from _sha2 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256 as sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from hashlib import sha256 as sha256

EVER = 2**63 - 1
"""A moment after all others, in microseconds."""

BY_IDENTITY = '{"model":"identity"}'
"""The tags of a budget's row whose model stands for all names of it."""


class Head(NamedTuple):
    """An account's last row, as far as the next one needs it.

    ``usd`` to ``requests`` are the account's running totals (whole dollars, picodollars above
    them, tokens, requests), ``model_*`` those of ``model``. ``id`` is None before the first row.
    ``whole_id``: the project's own account, if there is one, which repeats the rows of all.
    ``late_id``: the account's last row that belongs to an earlier time than it was recorded.
    ``has_defaults``: whether the project ever set a default budget.
    """

    hash: bytes
    recorded_at_us: int = 0
    usd: int = 0
    pico: int = 0
    tokens: int = 0
    requests: int = 0
    model_usd: int | None = None
    model_pico: int | None = None
    model_tokens: int | None = None
    model_requests: int | None = None
    settings_count: int = 0
    id: int | None = None
    model: str | None = None
    whole_id: int | None = None
    late_id: int | None = None
    has_defaults: bool = False


_NO_TOTALS = (None,) * 4
ZEROS = (0,) * 4
"""Running totals before the first row."""


# The positions in a head, by the names of its fields.
_OF_ACCOUNT = slice(Head._fields.index("usd"), Head._fields.index("model_usd"))
_OF_MODEL = slice(_OF_ACCOUNT.stop, Head._fields.index("settings_count"))

account_totals: Callable[[Head], tuple[int, ...]] = itemgetter(_OF_ACCOUNT)
"""The account's running totals."""

model_totals: Callable[[Head], tuple[int | None, ...]] = itemgetter(_OF_MODEL)
"""The running totals of the head's model."""


def with_model_totals(head: Head, totals: Sequence[int | None] | None) -> Head:
    """*head* with the running totals of another model; None for a model without rows."""
    before, after = head[: _OF_MODEL.start], head[_OF_MODEL.stop :]
    return Head._make((*before, *(_NO_TOTALS if totals is None else totals), *after))


class Draft(NamedTuple):
    """A row before it has a place in the journal. Field meanings: see `Entry`.

    The row's time and these fields, in this order, are its evidence: what the hash covers. The
    fields from ``origin_id`` on came with holds; rows without them are hashed without them, as
    in the first schema.
    """

    kind: str
    model: str | None = None
    cost_pico: int | None = None
    price_source: str | None = None
    occurred_at_us: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    usage_json: str | None = None
    price_json: str | None = None
    tags_json: str | None = None
    note: str | None = None
    corrects_id: int | None = None
    idempotency_key: str | None = None
    origin_id: int | None = None
    hold_id: int | None = None
    held_pico: int | None = None
    held_tokens: int | None = None
    expires_at_us: int | None = None


ASSUMED_OUTPUT = "assumed_output_tokens"
"""Key in a hold's usage: the output tokens held for a call without a bound on its output."""

_draft = positional(Draft)
_cost_and_usage: Callable[[Draft], tuple[Any, ...]] = itemgetter(
    slice(Draft._fields.index("model"), Draft._fields.index("tags_json"))
)


def settling(charge: Draft, hold_id: int, tags_json: str | None, note: str | None) -> Draft:
    """The draft that closes a hold with the cost and usage of *charge*."""
    key = charge.idempotency_key
    of_hold = hold_id, None, None, None
    return _draft(("settle", *_cost_and_usage(charge), tags_json, note, None, key, None, *of_hold))


BEFORE_HOLDS = Draft._fields.index("origin_id")
_NOTHING_OF_HOLDS = (None,) * (len(Draft._fields) - BEFORE_HOLDS)

SETTINGS = frozenset(
    ("budget", "shift", "parent", "freeze", "unfreeze", "alert", "resolve", "prior")
)
"""Kinds of rows that affect decisions on later ones. An account's ``settings_count`` counts them:
its cached settings are valid while the count is unchanged."""


def genesis(
    project: str,
    account: str,
    created_at_us: int,
    whole_id: int | None = None,
    has_defaults: bool = False,
) -> Head:
    """The head of an account without rows: the chain starts from the account's own fields."""
    digest = sha256(ascii((project, account, created_at_us)).encode()).digest()
    return Head(digest, whole_id=whole_id, has_defaults=has_defaults)


def digest_of(text: str) -> str:
    """The sha256 of ASCII text, in hexadecimal digits."""
    digest: str = sha256(text.encode()).hexdigest()
    return digest


def next_time(head: Head, now_us: int) -> int:
    """The time of the next row: now, but never before the row it follows."""
    return now_us if now_us > head.recorded_at_us else head.recorded_at_us


def follow(
    head: Head, recorded_at_us: int, draft: Draft, detail: tuple[object, ...] = ()
) -> tuple[tuple[int | None, ...], bytes]:
    """The running totals of *draft* as the row after *head*, in `Head`'s order, and its hash.

    The totals of the model are None for a row without a model. The hash is sha256 over the hash
    of the row before, and the row's time, evidence and detail, written as one Python tuple in
    ASCII: integers, floats, None and quoted text. (JSON would take twice as long to write as it
    takes to hash.)
    """
    evidence = draft[:BEFORE_HOLDS] if draft[BEFORE_HOLDS:] == _NOTHING_OF_HOLDS else draft
    text = ascii((recorded_at_us, *evidence, *detail))
    digest: bytes = sha256(head.hash + text.encode()).digest()
    more = draft.cost_pico or 0, draft.input_tokens + draft.output_tokens, draft.requests
    if not counts(draft, detail):
        more = ZEROS[:3]
    of_account = sums(account_totals(head), *more)
    if draft.model is None:
        of_model: tuple[int | None, ...] = _NO_TOTALS
    else:
        of_model = sums(ZEROS if head.model_usd is None else model_totals(head), *more)
    return of_account + of_model, digest


OF_IMPORT = (IMPORTED,)
"""Follows in the detail of an adjustment of an imported entry."""


def counts(draft: Draft, detail: tuple[object, ...]) -> bool:
    """Whether *draft* counts in running totals: imported entries and their adjustments do not."""
    if draft.kind == "adjustment":
        return detail[1:] != OF_IMPORT
    return draft.kind != IMPORTED


def sums(totals: tuple[Any, ...], cost: int, tokens: int, requests: int) -> tuple[int, ...]:
    """Running totals after a row, in `Head`'s order."""
    usd, pico, tokens_before, requests_before = totals
    pico += cost
    return usd + pico // PICO, pico % PICO, tokens_before + tokens, requests_before + requests


def of_measure(measure: Measure, pico: int, tokens: int, requests: int) -> int:
    """The one of the three that *measure* counts."""
    if measure == "usd":
        return pico
    return tokens if measure == "tokens" else requests


class Need(NamedTuple):
    """What a hold sets aside."""

    pico: int
    tokens: int
    requests: int = 1

    def of(self, measure: Measure) -> int:
        """Picodollars or a count."""
        return of_measure(measure, *self)


class Check(NamedTuple):
    """A budget that a hold counts against, and the use of its active window, in its units."""

    budget: Budget
    window: Window
    posted: int
    held: int

    @property
    def available(self) -> int:
        """Limit less posted and held; negative once overspent."""
        return self.budget.limit_units - self.posted - self.held


def refusing(checks: Sequence[Check], need: Need) -> list[Check]:
    """Those of *checks* that refuse *need*. What uses nothing of a measure is within any
    budget of it."""
    return [check for check in checks if 0 < need.of(check.budget.measure) > check.available]


def would_fit_without(refused: Sequence[Check], freed: Sequence[int], need: Need) -> bool:
    """Whether the budgets that refuse *need* would grant it with so much of each *freed*."""
    return all(
        need.of(check.budget.measure) <= check.available + units
        for check, units in zip(refused, freed, strict=True)
    )


class Crossed(NamedTuple):
    """An alert that was raised, as its row records it."""

    budget: str
    measure: Measure
    threshold: Decimal
    limit: Sum
    posted: Sum
    start_us: int | None
    end_us: int | None
    timezone: str


def crossings(
    checks: Sequence[Check], standing: Sequence[Crossed]
) -> tuple[list[Crossed], list[Crossed]]:
    """The alerts to raise and those to resolve, given the current use of budgets, *checks*.

    *standing*: the alerts raised and not resolved. An alert stays in force until its window
    turns, the limit is raised so that its threshold is no longer reached, or the threshold is
    removed; a refund does not end it. So it is raised once a window, unless the limit changes.
    In a rolling window it is in force while the threshold is reached.
    """
    by_name = {check.budget.name: check for check in checks}
    over, still = [], set()
    for alert in standing:
        check = by_name.get(alert.budget)
        if check is not None and _stands(alert, check):
            still.add((alert.budget, alert.threshold))
        else:
            over.append(alert if check is None else _crossed(check, alert.threshold))
    fresh = [
        _crossed(check, threshold)
        for check in checks
        for threshold in check.budget.alert_at
        if (check.budget.name, threshold) not in still and _reached(check, threshold)
    ]
    return fresh, over


def _stands(alert: Crossed, check: Check) -> bool:
    """Whether an alert is still in force: see `crossings`."""
    budget = check.budget
    if alert.threshold not in budget.alert_at:
        return False
    reached = _reached(check, alert.threshold)
    if budget.period.per == "rolling":
        return reached
    if alert.start_us != check.window.start_us:
        return False
    return reached or alert.limit == budget.limit_sum


def _reached(check: Check, threshold: Decimal) -> bool:
    share, of = threshold.as_integer_ratio()  # exact in any Decimal context
    return check.posted > 0 and check.posted * of >= share * check.budget.limit_units


def _crossed(check: Check, threshold: Decimal) -> Crossed:
    budget, window = check.budget, check.window
    posted = Sum(*divmod(check.posted, PICO)) if budget.measure == "usd" else Sum(check.posted)
    rolling = budget.period.per == "rolling"
    return Crossed(
        budget.name,
        budget.measure,
        threshold,
        budget.limit_sum,
        posted,
        None if rolling else window.start_us,
        None if rolling else window.end_us,
        window.timezone,
    )

"""From what a month costs to what has to be booked: the target less what is in the books. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from billing.account_months import Month
from billing.calendar import days_of, to_time
from billing.charging_store import MonthRow
from billing.fees import FEE_NAMES, month_fees
from billing.model import Account
from billing.rating import Line, line_differences
from domain.books import (
    FREE_EXPIRED,
    FREE_GRANTED,
    FREE_USED,
    REVENUE_ENERGY,
    REVENUE_FEE,
    Entry,
    EntryKind,
    Leg,
    free_book,
    room_book,
)

# Readings of the last seconds of a month may still be on their way.
MONTH_GRACE_MS = 300_000
ACTOR = "charging"
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a settlement goes by: the time now, the newest reading, whether the month is over,
    whether all energy of it is known, whether it is the account's last (then it is both)."""

    now_ms: int
    newest_ms: int
    over: bool
    complete: bool
    closing: bool = False


@dataclass(slots=True)
class _Booker:
    account: Account
    payer: str
    row: MonthRow
    now: datetime
    entries: list[Entry] = field(default_factory=list)

    def book(
        self,
        kind: EntryKind,
        own: str,
        other: str,
        amount: int,
        time: datetime | None = None,
        **details: Any,
    ) -> None:
        """Book an amount on `own` and its opposite on `other`; nothing where it is 0."""
        if not amount:
            return
        number = self.row.number + len(self.entries) + 1
        self.entries.append(
            Entry(
                id=f"{kind.value}:{self.account.id}:{self.row.month}:{number}",
                time=time or self.now,
                kind=kind,
                legs=(Leg(own, amount), Leg(other, -amount)),
                actor=ACTOR,
                reference=self.row.month,
                details={
                    "building": self.account.building,
                    "kind": self.account.kind.value,
                    **details,
                },
            )
        )


def settle_month(
    account: Account, payer: str, month: Month, energies: Sequence[int], moment: Moment
) -> tuple[list[Entry], MonthRow]:
    """Return the entries that bring the books to what a month costs, and its row after them.

    Use is booked up to the end of each local day apart, so that a day's entries are a day's use.
    """
    assert month.rated is not None and month.terms is not None  # noqa: S101 - rated before
    booker = _Booker(account, payer, month.row, to_time(moment.now_ms))
    free = free_book(account.id)
    granted = month.terms.grant_wh
    start = to_time(month.grid.starts[0])
    time = max(start, account.opened_at or start) if not month.row.granted_wh else None
    booker.book(
        EntryKind.FREE_GRANT, free, FREE_GRANTED, granted - month.row.granted_wh, time,
        people=month.terms.people,
    )  # fmt: skip
    lines, until_ms = _book_use(booker, month, energies, moment)
    gone = month.gone_wh if moment.over else 0
    if moment.closing:
        gone += sum(lot.energy_wh for lot in month.carry.lots)
    ended = _end_of(month, moment)
    late = month.row.final
    time = None if late else ended
    booker.book(EntryKind.FREE_EXPIRY, free, FREE_EXPIRED, month.row.expired_wh - gone, time)
    fees = _book_fees(booker, month, moment, time)
    row = MonthRow(
        account=account.id,
        month=month.name,
        number=month.row.number + len(booker.entries),
        lines=lines,
        amount_micro=sum(line.amount_micro for line in lines),
        energy_wh=month.rated.energy_wh,
        granted_wh=granted,
        used_wh=sum(line.free_wh for line in lines),
        expired_wh=gone,
        fees_micro=fees,
        carry=month.carry,
        until_ms=until_ms,
        final=moment.over and moment.complete,
    )
    return booker.entries, row


def _book_use(
    booker: _Booker, month: Month, energies: Sequence[int], moment: Moment
) -> tuple[tuple[Line, ...], int | None]:
    """Book what was used, day by day; return the lines that are in the books then."""
    assert month.rated is not None  # noqa: S101 - rated before
    until_ms = month.row.until_ms
    lines = month.row.lines
    ends = _day_ends(month, until_ms, moment.newest_ms)
    rater = month.rater()
    begin = 0
    for end in ends:
        rater.run(energies, begin, end)
        begin = end
        until_ms = month.grid.starts[end]
        lines = _book_lines(booker, lines, rater.rated().lines, to_time(until_ms) - _MS)
    time: datetime | None = None
    if moment.newest_ms < month.grid.starts[-1]:
        time = to_time(min(max(moment.newest_ms, until_ms or 0), moment.now_ms))
    lines = _book_lines(booker, lines, month.rated.lines, time)
    return lines, until_ms


def _book_lines(
    booker: _Booker, booked: tuple[Line, ...], now: tuple[Line, ...], time: datetime | None
) -> tuple[Line, ...]:
    """Book the difference of two sets of lines; return those that are in the books then.

    Lines go with the charge, or, where all of it was free, with the free energy's entry.
    """
    if now == booked:
        return booked
    steps = line_differences(now, {line.key: line for line in booked})
    amount = sum(line.amount_micro for line in steps)
    free_wh = sum(line.free_wh for line in steps)
    if not amount and not free_wh:
        # Nothing that an entry could carry; it goes with the next one.
        return booked
    told = [line_details(line) for line in steps]
    if amount:
        booker.book(EntryKind.CHARGE, booker.payer, REVENUE_ENERGY, -amount, time, lines=told)
    extra = {} if amount else {"lines": told}
    free = free_book(booker.account.id)
    booker.book(EntryKind.FREE_USE, free, FREE_USED, -free_wh, time, **extra)
    return now


def _book_fees(
    booker: _Booker, month: Month, moment: Moment, time: datetime | None
) -> Mapping[str, int]:
    """Book what the fees of a month that is over have become; return them."""
    assert month.rated is not None  # noqa: S101 - rated before
    before = month.row.fees_micro
    due: Mapping[str, int] = {}
    fees = month.grid.pricings[0].version.fees
    if moment.over and fees.any and month.days_open:
        due = month_fees(
            fees,
            energy_wh=month.rated.energy_wh,
            charge_micro=month.rated.exact_micro,
            days_open=len(month.days_open),
            days_in_month=len(days_of(month.name)),
            energy_known=moment.complete,
        )
    for name in FEE_NAMES:
        step = due.get(name, 0) - before.get(name, 0)
        # A prepaid meter knows of no fees: they are the room's own, settled by its next recharge.
        own = room_book(booker.account.id)
        booker.book(EntryKind.FEE, own, REVENUE_FEE, -step, time, fee=name)
    return dict(due)


def _day_ends(month: Month, until_ms: int | None, newest_ms: int) -> list[int]:
    """Return the stretches with which the days begin that ended since use was booked last."""
    starts = month.grid.starts
    after = until_ms if until_ms is not None else starts[0]
    return [place for place in month.grid.day_ends if after < starts[place] <= newest_ms]


def _end_of(month: Month, moment: Moment) -> datetime:
    return to_time(min(month.grid.starts[-1] - 1, moment.now_ms))


def line_details(line: Line) -> dict[str, Any]:
    """Return a line as an entry carries it."""
    return {
        "tariff": line.key.tariff,
        "version": line.key.version,
        "band": line.key.band.value,
        "tier": line.key.tier,
        "energy_wh": line.energy_wh,
        "free_wh": line.free_wh,
        "rate": str(line.rate),
        "amount_micro": line.amount_micro,
    }

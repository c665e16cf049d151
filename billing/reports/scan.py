"""One pass over the entries of a period, folded into everything that the reports show.

Memory grows with accounts, tariffs and days and with the entries that reports list one by one
(recharges, refunds, transfers, adjustments), not with the charges.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from billing.reports.period import Period, day_start
from billing.reports.source import EntrySource
from domain.books import REVENUE_ENERGY, REVENUE_FEE, EntryKind, Posted, Unit
from domain.errors import InvalidInput
from domain.faults import Fault

PAGE_ENTRIES = 5_000
LISTED_MOST = 200_000
LISTED = frozenset(EntryKind) - {
    EntryKind.CHARGE,
    EntryKind.FEE,
    EntryKind.FREE_GRANT,
    EntryKind.FREE_USE,
    EntryKind.FREE_EXPIRY,
}


class UseKey(NamedTuple):
    """What consumption is told apart by. Empty texts and None are what an entry does not say."""

    account: str
    building: str
    kind: str
    reference: str
    tariff: str
    version: str
    band: str
    tier: str
    rate: str


@dataclass(slots=True)
class Use:
    """Energy charged: all of it, the free part of it (Wh), and what it cost (micro-units)."""

    energy_wh: int = 0
    free_wh: int = 0
    amount_micro: int = 0


@dataclass(slots=True)
class Tally:
    """Entries of one kind on one account: how many, and the sum of what they moved on it."""

    entries: int = 0
    amount: int = 0


@dataclass(slots=True)
class Turnover:
    """What went up and what went down on an account, both as positive numbers."""

    up: int = 0
    down: int = 0


@dataclass(slots=True)
class Scan:
    """Everything about a period: balances before and after, and what moved between.

    `moved` is by (account, kind), `tills` by (day, account, kind) for clearing and cash, `used` by
    UseKey, `used_by_day` by day, `fees` by (account, fee), `late` by kind: entries that happened
    before the period and were booked in it. `breaks` are accounts whose opening balance and
    movements do not give the closing balance that the books wrote down.
    """

    period: Period
    made_at: datetime
    first_number: int
    end_number: int
    units: dict[str, Unit] = field(default_factory=dict)
    opening: dict[str, int] = field(default_factory=dict)
    closing: dict[str, int] = field(default_factory=dict)
    moved: dict[tuple[str, EntryKind], Tally] = field(default_factory=lambda: defaultdict(Tally))
    turnover: dict[str, Turnover] = field(default_factory=lambda: defaultdict(Turnover))
    tills: dict[tuple[date, str, EntryKind], Tally] = field(
        default_factory=lambda: defaultdict(Tally)
    )
    used: dict[UseKey, Use] = field(default_factory=lambda: defaultdict(Use))
    used_by_day: dict[date, Use] = field(default_factory=lambda: defaultdict(Use))
    fees: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    late: dict[EntryKind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    below_zero_since: dict[str, datetime] = field(default_factory=dict)
    listed: list[Posted] = field(default_factory=list)
    entries: int = 0
    breaks: list[str] = field(default_factory=list)

    def of_kind(self, *kinds: EntryKind) -> Iterator[Posted]:
        """Return the listed entries of some kinds, in the order they were booked."""
        return (posted for posted in self.listed if posted.entry.kind in kinds)


def scan(
    source: EntrySource, period: Period, now: datetime, *, listed_most: int = LISTED_MOST
) -> Scan:
    """Fold the entries booked in a period.

    Raises InvalidInput where more than `listed_most` entries would have to be listed one by one.
    """
    # The later cut first: an entry booked in between is then left out of both, not of one.
    end = source.cut(period.end_at)
    first = min(source.cut(period.start_at), end)
    found = Scan(period, now, first, end)
    for account, before in source.balances_before(first).items():
        found.units[account] = before.unit
        found.opening[account] = before.balance
    fold = _Fold(source, found, listed_most)
    number = first
    while number < end:
        page = source.page(number, end, PAGE_ENTRIES)
        if not page:
            break
        for posted in page:
            fold.add(posted)
        number = page[-1].number + 1
    fold.finish()
    return found


class _Fold:
    """Adds entries to a scan, one after the other."""

    def __init__(self, source: EntrySource, found: Scan, listed_most: int) -> None:
        self._source, self._found, self._listed_most = source, found, listed_most
        period = found.period
        self._days = period.days
        self._starts = [day_start(day, period.zone) for day in self._days]
        self._start_at = period.start_at
        self._from = self._to = self._start_at
        self._day = period.first

    def add(self, posted: Posted) -> None:
        """Add one entry."""
        found, entry = self._found, posted.entry
        found.entries += 1
        kind, booked_at = entry.kind, posted.booked_at
        if not self._from <= booked_at < self._to:
            self._turn_to(booked_at)
        for leg in entry.legs:
            account, amount = leg.account, leg.amount
            tally = found.moved[account, kind]
            tally.entries += 1
            tally.amount += amount
            turnover = found.turnover[account]
            if amount > 0:
                turnover.up += amount
            else:
                turnover.down -= amount
            after = posted.balances[account]
            found.closing[account] = after
            self._by_account(posted, account, amount, after)
        if entry.time < self._start_at:
            self._add_late(posted)
        if kind in LISTED:
            if len(found.listed) >= self._listed_most:
                message = f"more than {self._listed_most} entries to list; ask for fewer days"
                raise InvalidInput([Fault("period", message)])
            found.listed.append(posted)

    def finish(self) -> None:
        """Find out what was below zero all the time, and whether the sums agree."""
        found = self._found
        for account, balance in found.opening.items():
            found.closing.setdefault(account, balance)
        for account, balance in found.closing.items():
            if account.startswith("room:") and balance < 0:
                self._below_zero(account)
            turnover = found.turnover.get(account, _NOTHING)
            if found.opening.get(account, 0) + turnover.up - turnover.down != balance:
                found.breaks.append(account)
        for account in found.closing.keys() - found.units.keys():
            # Only accounts of free energy count Wh; the books hold every entry to one unit each.
            found.units[account] = Unit.WH if account.startswith("free:") else Unit.MICRO
            found.opening[account] = 0

    def _turn_to(self, booked_at: datetime) -> None:
        # Where the machine's clock was set back, an entry counts for the day it was written in.
        place = max(bisect_right(self._starts, booked_at) - 1, 0)
        self._day = self._days[place]
        self._from = self._starts[place]
        last = place + 1 == len(self._starts)
        self._to = self._found.period.end_at if last else self._starts[place + 1]

    def _by_account(self, posted: Posted, account: str, amount: int, after: int) -> None:
        found = self._found
        if account.startswith("room:"):
            if after >= 0:
                found.below_zero_since.pop(account, None)
            elif after - amount >= 0:
                found.below_zero_since[account] = posted.booked_at
        elif account == REVENUE_ENERGY:
            self._use(posted, amount)
        elif account == REVENUE_FEE:
            self._fee(posted, amount)
        elif account.startswith(("clearing:", "cash:")):
            till = found.tills[self._day, account, posted.entry.kind]
            till.entries += 1
            till.amount += amount

    def _use(self, posted: Posted, amount: int) -> None:
        origin, sign = self._origin(posted)
        entry = origin.entry
        details = entry.details
        account = _room_of(posted)
        building, kind = str(details.get("building", "")), str(details.get("kind", ""))
        month = entry.reference if entry.kind is EntryKind.CHARGE else ""
        day = self._found.used_by_day[self._day]
        left = amount
        for line in lines_of(details) if entry.kind is EntryKind.CHARGE else ():
            key = UseKey(
                account,
                building,
                kind,
                month,
                line["tariff"],
                line["version"],
                line["band"],
                line["tier"],
                line["rate"],
            )
            energy, free = sign * line["energy_wh"], sign * line["free_wh"]
            cost = sign * line["amount_micro"]
            for use in (self._found.used[key], day):
                use.energy_wh += energy
                use.free_wh += free
                use.amount_micro += cost
            left -= cost
        if left:
            # What the lines do not explain is shown by itself, so that the total is the ledger's.
            rest = UseKey(account, building, kind, month, "", "", "", "", "")
            self._found.used[rest].amount_micro += left
            day.amount_micro += left

    def _fee(self, posted: Posted, amount: int) -> None:
        origin, _ = self._origin(posted)
        fee = self._found.fees[_room_of(posted), str(origin.entry.details.get("fee", ""))]
        fee.entries += 1
        fee.amount += amount

    def _origin(self, posted: Posted) -> tuple[Posted, int]:
        """Return the entry that says what this one is about; of a reversal, what it undoes."""
        if posted.entry.kind is EntryKind.REVERSAL and posted.entry.reference:
            undone = self._source.entry(posted.entry.reference)
            if undone is not None:
                return undone, -1
        return posted, 1

    def _add_late(self, posted: Posted) -> None:
        late = self._found.late[posted.entry.kind]
        late.entries += 1
        late.amount += sum(
            leg.amount for leg in posted.entry.legs if leg.account.startswith(_CUSTOMER)
        )

    def _below_zero(self, account: str) -> None:
        found = self._found
        if account not in found.below_zero_since:
            since = self._source.below_zero_since(account, found.first_number)
            if since is not None:
                found.below_zero_since[account] = since


_NOTHING = Turnover()
_CUSTOMER = ("room:", "free:")


def lines_of(details: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Return the lines of a charge in one shape; what is no line is left out."""
    lines = details.get("lines", ())
    if not isinstance(lines, list | tuple):
        return ()
    return [_line(line) for line in lines if isinstance(line, Mapping)]


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: _text(line.get(name)) for name in ("tariff", "version", "band", "tier", "rate")}
    numbers = {name: int(line.get(name) or 0) for name in ("energy_wh", "free_wh", "amount_micro")}
    return texts | numbers


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _room_of(posted: Posted) -> str:
    """Return the account id of the room an entry is about, "" where it names none or several."""
    rooms = [leg.account for leg in posted.entry.legs if leg.account.startswith("room:")]
    return rooms[0].removeprefix("room:") if len(rooms) == 1 else ""

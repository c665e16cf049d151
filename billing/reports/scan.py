"""One pass over the entries of a period, folded into everything that the reports show.

Memory grows with accounts, tariffs and days and with the entries that reports list one by one
(recharges, refunds, transfers, adjustments), not with the charges.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from billing.reports.period import Period, day_start
from billing.reports.source import EntrySource
from billing.reports.use import NO_LABELS, Use, UseKey, UseLine, lines_of
from domain.books import (
    FREE_EXPIRED,
    FREE_GRANTED,
    FREE_USED,
    REVENUE_ENERGY,
    REVENUE_FEE,
    EntryKind,
    Posted,
    Unit,
)
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
    UseKey, `used_by_day` by the local day it was used on, `fees` by (account, fee), `late` by
    kind: entries that happened before the period and were booked in it. `breaks` are accounts whose
    opening balance and movements do not give the closing balance that the books wrote down.
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
            self._use(posted, amount, EntryKind.CHARGE)
        elif account == FREE_USED:
            # Where all of an hour's energy was free there is no charge: its lines are here.
            self._use(posted, 0, EntryKind.FREE_USE)
        elif account == REVENUE_FEE:
            self._fee(posted, amount)
        elif account.startswith(("clearing:", "cash:")):
            till = found.tills[self._day, account, posted.entry.kind]
            till.entries += 1
            till.amount += amount

    def _use(self, posted: Posted, amount: int, told_by: EntryKind) -> None:
        origin, sign = self._origin(posted)
        entry = origin.entry
        is_told = entry.kind is told_by
        lines = lines_of(entry.details) if is_told else ()
        if not lines and not amount:
            return
        place = (
            _customer_of(posted),
            str(entry.details.get("building", "")),
            str(entry.details.get("kind", "")),
            entry.reference if is_told else "",
        )
        used_at = posted.entry.time.astimezone(self._found.period.zone)
        day = self._found.used_by_day[used_at.date()]
        left = amount
        for line in lines:
            use = self._found.used[UseKey(*place, *line.labels)]
            use.add(sign, line)
            day.add(sign, line)
            left -= sign * line.amount_micro
        if left:
            # What the lines do not explain is shown by itself, so that the total is the ledger's.
            rest = UseLine(NO_LABELS, 0, 0, left)
            self._found.used[UseKey(*place, *NO_LABELS)].add(1, rest)
            day.add(1, rest)

    def _fee(self, posted: Posted, amount: int) -> None:
        origin, _ = self._origin(posted)
        fee = self._found.fees[_customer_of(posted), str(origin.entry.details.get("fee", ""))]
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
            leg.amount
            for leg in posted.entry.legs
            if leg.account.startswith(_CUSTOMER) and leg.account not in _HOUSE_FREE
        )

    def _below_zero(self, account: str) -> None:
        found = self._found
        if account not in found.below_zero_since:
            since = self._source.below_zero_since(account, found.first_number)
            if since is not None:
                found.below_zero_since[account] = since


_NOTHING = Turnover()
_CUSTOMER = ("room:", "free:", "meter:")
_HOUSE_FREE = frozenset({FREE_GRANTED, FREE_USED, FREE_EXPIRED})


def _customer_of(posted: Posted) -> str:
    """Return the account id of the room an entry is about; of a prepaid meter its book account;
    "" where it names none or several rooms."""
    names = [leg.account for leg in posted.entry.legs]
    for prefix in _CUSTOMER:
        found = [name for name in names if name.startswith(prefix) and name not in _HOUSE_FREE]
        if len(found) == 1:
            return found[0] if prefix == "meter:" else found[0].removeprefix(prefix)
    return ""

"""One pass over the entries of a period, folded into everything that the reports show.

Memory grows with accounts, tariffs and days and with the entries that reports list one by one
(recharges, refunds, transfers, adjustments), not with the charges.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import Any

from billing.reports.figures import Scan, Tally, Turnover
from billing.reports.period import Period, day_start
from billing.reports.source import Booked, EntrySource
from billing.reports.use import NO_LABELS, Use, UseKey, label_texts, lines_of
from domain.books import (
    FREE_EXPIRED,
    FREE_GRANTED,
    FREE_USED,
    REVENUE_ENERGY,
    REVENUE_FEE,
    EntryKind,
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
        for booked in page:
            fold.add(booked)
        number = page[-1].number + 1
    fold.finish()
    return found


class _Role(IntEnum):
    """What an account of the books is to the reports."""

    ROOM = 0
    ENERGY = 1
    FREE_USED = 2
    FEE = 3
    TILL = 4
    OTHER = 5


@dataclass(slots=True)
class _Book:
    """What has happened to one account; `moved` has entries and amount by kind."""

    role: _Role
    up: int = 0
    down: int = 0
    after: int = 0
    moved: dict[EntryKind, list[int]] = field(default_factory=dict)


# What an entry is about: customer, building, kind of room, month.
_Place = tuple[str, str, str, str]


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
        self._books: dict[str, _Book] = {}
        self._used: dict[_Place, dict[tuple[Any, ...], Use]] = defaultdict(lambda: defaultdict(Use))
        self._use_day: tuple[datetime, date] = (self._start_at, period.first)

    def add(self, booked: Booked) -> None:
        """Add one entry."""
        kind, booked_at = booked.kind, booked.booked_at
        if not self._from <= booked_at < self._to:
            self._turn_to(booked_at)
        for account, amount, after in booked.legs:
            book = self._books.get(account)
            if book is None:
                book = self._books[account] = _Book(_role_of(account))
            if amount > 0:
                book.up += amount
            else:
                book.down -= amount
            book.after = after
            tally = book.moved.get(kind)
            if tally is None:
                book.moved[kind] = [1, amount]
            else:
                tally[0] += 1
                tally[1] += amount
            if book.role is not _Role.OTHER:
                self._by_role(book.role, booked, account, amount, after)
        if booked.time < self._start_at:
            self._add_late(booked)
        if kind in LISTED:
            self._list(booked)

    def finish(self) -> None:
        """Hand over, find out what was below zero all the time, and whether the sums agree."""
        found = self._found
        for account in found.opening.keys() - self._books.keys():
            found.closing[account] = found.opening[account]
        for account, book in self._books.items():
            before = found.opening.setdefault(account, 0)
            # Only accounts of free energy count Wh; the books hold each account to one unit.
            unit = Unit.WH if account.startswith("free:") else Unit.MICRO
            found.units.setdefault(account, unit)
            found.closing[account] = book.after
            found.turnover[account] = Turnover(book.up, book.down)
            for kind, (entries, amount) in book.moved.items():
                found.moved[account, kind] = Tally(entries, amount)
            if before + book.up - book.down != book.after:
                found.breaks.append(account)
        for place, uses in self._used.items():
            for labels, use in uses.items():
                found.used[UseKey(*place, *label_texts(labels))] = use
        for account, balance in found.closing.items():
            if balance < 0 and account.startswith("room:"):
                self._below_zero(account)

    def _list(self, booked: Booked) -> None:
        listed = self._found.listed
        if len(listed) >= self._listed_most:
            message = f"more than {self._listed_most} entries to list; ask for fewer days"
            raise InvalidInput([Fault("period", message)])
        listed.append(booked)

    def _turn_to(self, booked_at: datetime) -> None:
        # Where the machine's clock was set back, an entry counts for the day it was written in.
        place = max(bisect_right(self._starts, booked_at) - 1, 0)
        self._day = self._days[place]
        self._from = self._starts[place]
        last = place + 1 == len(self._starts)
        self._to = self._found.period.end_at if last else self._starts[place + 1]

    def _by_role(self, role: _Role, booked: Booked, account: str, amount: int, after: int) -> None:
        if role is _Role.ROOM:
            since = self._found.below_zero_since
            if after >= 0:
                if since:
                    since.pop(account, None)
            elif after - amount >= 0:
                since[account] = booked.booked_at
        elif role is _Role.ENERGY:
            self._use(booked, amount, EntryKind.CHARGE)
        elif role is _Role.FREE_USED:
            # Where all of an hour's energy was free there is no charge: its lines are here.
            self._use(booked, 0, EntryKind.FREE_USE)
        elif role is _Role.FEE:
            self._fee(booked, amount)
        else:
            till = self._found.tills[self._day, account, booked.kind]
            till.entries += 1
            till.amount += amount

    def _use(self, booked: Booked, amount: int, told_by: EntryKind) -> None:
        origin, sign = self._origin(booked)
        is_told = origin.kind is told_by
        lines = lines_of(origin.details) if is_told else ()
        if not lines and not amount:
            return
        get = origin.details.get
        place = (
            _customer_of(booked),
            str(get("building", "")),
            str(get("kind", "")),
            origin.reference if is_told else "",
        )
        used, day = self._used[place], self._found.used_by_day[self._day_of_use(booked.time)]
        energy_wh = free_wh = cost = 0
        # Plain arithmetic without calls: this loop sees every line of every charge.
        for labels, line_wh, line_free_wh, line_cost in lines:
            use = used[labels]
            use.energy_wh += sign * line_wh
            use.free_wh += sign * line_free_wh
            use.amount_micro += sign * line_cost
            energy_wh += line_wh
            free_wh += line_free_wh
            cost += line_cost
        day.energy_wh += sign * energy_wh
        day.free_wh += sign * free_wh
        day.amount_micro += amount
        if amount != sign * cost:
            # What the lines do not explain is shown by itself, so that the total is the ledger's.
            used[NO_LABELS].amount_micro += amount - sign * cost

    def _day_of_use(self, time: datetime) -> date:
        # The rooms' entries of an hour have the same time.
        if time != self._use_day[0]:
            self._use_day = (time, time.astimezone(self._found.period.zone).date())
        return self._use_day[1]

    def _fee(self, booked: Booked, amount: int) -> None:
        origin, _ = self._origin(booked)
        fee = self._found.fees[_customer_of(booked), str(origin.details.get("fee", ""))]
        fee.entries += 1
        fee.amount += amount

    def _origin(self, booked: Booked) -> tuple[Booked, int]:
        """Return the entry that says what this one is about; of a reversal, what it undoes."""
        if booked.kind is EntryKind.REVERSAL and booked.reference:
            undone = self._source.entry(booked.reference)
            if undone is not None:
                return undone, -1
        return booked, 1

    def _add_late(self, booked: Booked) -> None:
        late = self._found.late[booked.kind]
        late.entries += 1
        late.amount += sum(
            leg.amount
            for leg in booked.legs
            if leg.account.startswith(_CUSTOMER) and leg.account not in _HOUSE_FREE
        )

    def _below_zero(self, account: str) -> None:
        found = self._found
        if account not in found.below_zero_since:
            since = self._source.below_zero_since(account, found.first_number)
            if since is not None:
                found.below_zero_since[account] = since


_CUSTOMER = ("room:", "free:", "meter:")
_HOUSE_FREE = frozenset({FREE_GRANTED, FREE_USED, FREE_EXPIRED})
_ROLES = {
    REVENUE_ENERGY: _Role.ENERGY,
    REVENUE_FEE: _Role.FEE,
    FREE_USED: _Role.FREE_USED,
}


def _role_of(account: str) -> _Role:
    if account.startswith("room:"):
        return _Role.ROOM
    if account.startswith(("clearing:", "cash:")):
        return _Role.TILL
    return _ROLES.get(account, _Role.OTHER)


def _customer_of(booked: Booked) -> str:
    """Return the account id of the room an entry is about; of a prepaid meter its book account;
    "" where it names none or several rooms."""
    if len(booked.legs) == 2 and booked.legs[0].account.startswith("room:"):
        other = booked.legs[1].account
        return "" if other.startswith("room:") else booked.legs[0].account[5:]
    for prefix in _CUSTOMER:
        found = [
            leg.account
            for leg in booked.legs
            if leg.account.startswith(prefix) and leg.account not in _HOUSE_FREE
        ]
        if len(found) == 1:
            return found[0] if prefix == "meter:" else found[0].removeprefix(prefix)
    return ""

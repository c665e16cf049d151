"""One account while it is charged: its registers and months, what it owes, what is to be booked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from billing.account_months import Month, open_days, terms_of, total_energy
from billing.calendar import (
    Grid,
    day_start_ms,
    first_day,
    local_date,
    month_at,
    month_bounds_ms,
    next_month,
    previous_month,
    to_ms,
)
from billing.charging_store import ChargingStore, DayRow, MonthRow, Plan, RegisterKey, Review
from billing.jumps import sync_reviews
from billing.model import Account, Directory, Occupancy
from billing.rating import NO_CARRY, Carry
from billing.register import LimitsOf, Register
from billing.settlement import MONTH_GRACE_MS, Moment, settle_month
from billing.shelf import History, TariffHistory, TariffShelf
from domain.books import (
    FREE_EXPIRED,
    FREE_GRANTED,
    FREE_USED,
    REVENUE_ENERGY,
    REVENUE_FEE,
    BookAccount,
    Unit,
    free_book,
)
from domain.errors import UnknownSubject

HOUR_MS = 3_600_000
HOUSE_BOOKS = (
    BookAccount(REVENUE_ENERGY),
    BookAccount(REVENUE_FEE),
    *(BookAccount(name, Unit.WH) for name in (FREE_GRANTED, FREE_USED, FREE_EXPIRED)),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What charging an account needs of the rest."""

    directory: Directory
    store: ChargingStore
    shelf: TariffShelf
    zone: ZoneInfo
    limits_of: LimitsOf
    tariffs_of: TariffHistory
    payer_of: Callable[[Account], str]


class AccountCharge:
    """The charging of one account. Not thread-safe: whoever calls holds the charger's lock."""

    def __init__(self, account: Account, parts: Parts) -> None:
        self.account = account
        self.registers: dict[RegisterKey, Register] = {}
        self.months: dict[str, Month] = {}
        self.dirty_from: str | None = None
        self.reviews: dict[str, Review] = {}
        self.dirty_reviews: dict[str, Review] = {}
        self.closing_ms: int | None = None
        self.opened = False
        self._parts = parts
        self._occupancies: tuple[Occupancy, ...] | None = None
        self._history: History = ()
        self._revision = -1
        self._terms_revision = 0
        # What months that are not in memory hand over, as booked.
        self._carries: dict[str, Carry] = {}

    # --- what it rests on

    def refresh(self) -> None:
        """Take over what the directory says now: occupants, tariff, opening and closing."""
        parts = self._parts
        account = parts.directory.account(self.account.id) or self.account
        if account != self.account:
            self.account = account
            self._terms_revision += 1
        history = parts.tariffs_of(self.account.id)
        if (history, parts.shelf.revision) != (self._history, self._revision):
            self._take_tariffs(history)
        occupancies = tuple(parts.directory.occupancies(account_id=self.account.id))
        if occupancies != self._occupancies:
            changed = set(occupancies) ^ set(self._occupancies or occupancies)
            days = [day for one in changed for day in (one.since, one.until) if day is not None]
            self._occupancies = occupancies
            self._terms_revision += 1
            if days:
                self.dirty(f"{min(days).year:04d}-{min(days).month:02d}")

    def _take_tariffs(self, history: History) -> None:
        self._history, self._revision = history, self._parts.shelf.revision
        for name, month in list(self.months.items()):
            grid = self.grid(name)
            if grid is month.grid:
                continue
            month.grid, month.rated, month.checkpoint = grid, None, None
            for register in self.registers.values():
                register.energies.pop(name, None)
                register.measure(name, grid, *month_bounds_ms(name, self._parts.zone))
            self.dirty(name)
        for register in self.registers.values():
            register.chain.forget_stretch()

    def dirty(self, month: str) -> None:
        """Note that the price of a month may have changed."""
        first = max(month, self.first_month())
        if self.dirty_from is None or first < self.dirty_from:
            self.dirty_from = first

    def first_month(self) -> str:
        """Return the month the account's charging begins in."""
        begins = [register.since_ms for register in self.registers.values()]
        if self.account.opened_at is not None:
            begins.append(to_ms(self.account.opened_at))
        return month_at(min(begins), self._parts.zone) if begins else "9999-12"

    def grid(self, month: str) -> Grid:
        """Return the stretches of a month. Raises UnknownSubject where the tariff is not known."""
        shelf = self._parts.shelf
        return shelf.grid(month, shelf.spans(self.account.id, self._history))

    def stretch(self, ms: int) -> tuple[int, int]:
        """Return the stretch of time that a moment lies in; the plain hour without a tariff."""
        try:
            grid = self.grid(month_at(ms, self._parts.zone))
        except UnknownSubject:
            return ms - ms % HOUR_MS, ms - ms % HOUR_MS + HOUR_MS
        place = grid.place(ms)
        return grid.starts[place], grid.starts[place + 1]

    def add_register(self, register: Register) -> None:
        """Take in a register span."""
        self.registers[register.key] = register
        for name, month in self.months.items():
            low, high = month_bounds_ms(name, self._parts.zone)
            register.measure(name, month.grid, low, high)

    def set_closing(self, at_ms: int | None) -> None:
        """Settle as if the account closed at a moment: its fees and free energy end with it."""
        self.closing_ms = at_ms
        self._terms_revision += 1

    @property
    def occupancies(self) -> tuple[Occupancy, ...]:
        """Who lives there, as last taken from the directory."""
        return self._occupancies or ()

    def open_between(self) -> tuple[date | None, date | None]:
        """Return the local days of opening and closing, where there are any."""
        return self._opened_on(), self._closed_on()

    # --- months

    def month(self, name: str) -> Month:
        """Return a month with the energy of all registers; reads the store where it has to."""
        found = self.months.get(name)
        if found is not None:
            return found
        parts = self._parts
        row = parts.store.month_row(self.account.id, name) or MonthRow(self.account.id, name)
        month = Month(self.grid(name), row)
        low, high = month_bounds_ms(name, parts.zone)
        for register in self.registers.values():
            self.extend(register, first_day(name))
            if register.since_ms < high:
                register.measure(name, month.grid, low, high)
        self.months[name] = month
        return month

    def extend(self, register: Register, first: date) -> None:
        """Load a register's readings back to a day, and the one before."""
        zone = self._parts.zone
        first = max(first, local_date(register.since_ms, zone))
        if first >= register.loaded_from:
            return
        store, chain = self._parts.store, register.chain
        held_from = day_start_ms(register.loaded_from, zone)
        if chain.times and chain.times[0] < held_from:
            del chain.times[0], chain.counts[0]
        rows: list[DayRow] = list(store.days(register.key, first, register.loaded_from))
        older = [reading for row in rows for reading in row.readings if reading.ms < held_from]
        before = store.day_before(register.key, first)
        if before is not None and before.readings:
            older.insert(0, before.readings[-1])
        chain.load(older, register.jump_times())
        register.hold_from(first)

    def flush(self) -> None:
        """Find the energy of stretches anew where readings came in."""
        zone = self._parts.zone
        for register in self.registers.values():
            changes = sync_reviews(register)
            self.reviews.update((review.id, review) for review in changes)
            self.dirty_reviews.update((review.id, review) for review in changes)
            if register.chain.changed is None:
                continue
            low, high = register.chain.changed
            name, last = month_at(low, zone), month_at(high, zone)
            while name <= last:
                month = self.month(name)
                month.touch(register.measure(name, month.grid, low, high))
                self.dirty(name)
                name = next_month(name)
            register.chain.changed = None

    def rate(self, now_ms: int) -> list[Month]:
        """Price every month from the first that may have changed until now."""
        self.flush()
        current = month_at(now_ms, self._parts.zone)
        unfinished = [name for name, month in self.months.items() if not month.row.final]
        # A clock that is years behind must not have years of empty months priced.
        name = max(min([self.dirty_from or current, current, *unfinished]), self.first_month())
        newest_ms = self.newest_ms()
        carry = self._carry_before(name)
        rated: list[Month] = []
        while name <= current:
            month = self.month(name)
            month.set_carry(carry)
            self._set_terms(month)
            month.rate(self.energies(month), month.grid.place(newest_ms))
            carry = month.carry
            rated.append(month)
            name = next_month(name)
        return rated

    def _set_terms(self, month: Month) -> None:
        if month.terms is None or month.terms_revision != self._terms_revision:
            days = open_days(month.name, self._opened_on(), self._closed_on())
            month.set_terms(terms_of(month.grid, self._occupancies or (), days), days)
            month.terms_revision = self._terms_revision

    def energies(self, month: Month) -> Sequence[int]:
        """Return the energy of each stretch of a month, Wh."""
        parts = [
            register.energies[month.name]
            for register in self.registers.values()
            if month.name in register.energies
        ]
        return total_energy(parts, len(month.grid.bands))

    def newest_ms(self) -> int:
        """Return the time of the newest reading, 0 where there is none."""
        times = [register.chain.times[-1] for register in self.registers.values()]
        return max(times, default=0)

    def accrued_micro(self, now_ms: int) -> int:
        """Return what is used and not in the books."""
        return sum(
            month.rated.amount_micro - month.row.amount_micro
            for month in self.rate(now_ms)
            if month.rated is not None
        )

    def _carry_before(self, month: str) -> Carry:
        name = previous_month(month)
        known = self.months.get(name)
        if known is not None and known.rated is not None:
            return known.carry
        if name < self.first_month():
            return NO_CARRY
        carry = self._carries.get(name)
        if carry is None:
            row = self._parts.store.month_row(self.account.id, name)
            carry = self._carries[name] = row.carry if row is not None else NO_CARRY
        return carry

    def _opened_on(self) -> date | None:
        zone = self._parts.zone
        opened = self.account.opened_at
        return local_date(to_ms(opened), zone) if opened is not None else None

    def _closed_on(self) -> date | None:
        ends = [self.closing_ms] if self.closing_ms is not None else []
        if self.account.closed_at is not None:
            ends.append(to_ms(self.account.closed_at))
        return local_date(min(ends), self._parts.zone) if ends else None

    # --- what is to be booked

    def plan(self, now_ms: int) -> Plan:
        """Return what brings the books up to now, with everything that has to be kept with it."""
        self.refresh()
        rated = self.rate(now_ms)
        payer = self._parts.payer_of(self.account)
        entries, rows = [], []
        for month in rated:
            made, row = settle_month(
                self.account, payer, month, self.energies(month), self._moment(month, now_ms)
            )
            entries += made
            if row != month.row:
                rows.append(row)
        days: list[DayRow] = []
        registers = []
        for register in self.registers.values():
            changed = register.dirty_days()
            days += [register.day_row(day) for day in changed]
            if changed or register.settled_wh != register.chain.total_wh:
                registers.append(register.row())
        opens: tuple[BookAccount, ...] = ()
        if entries and not self.opened:
            opens = (*HOUSE_BOOKS, BookAccount(free_book(self.account.id), Unit.WH))
        return Plan(
            account=self.account.id,
            months=tuple(rows),
            days=tuple(days),
            registers=tuple(registers),
            reviews=tuple(self.dirty_reviews.values()),
            entries=tuple(entries),
            opens=opens,
        )

    def hand_over(self, plan: Plan) -> None:
        """Forget what a plan took along; `take_back` returns it where it could not be kept."""
        self.dirty_from = None
        for register in self.registers.values():
            register.chain.dirty = set()
        for review in plan.reviews:
            if self.dirty_reviews.get(review.id) is review:
                del self.dirty_reviews[review.id]

    def committed(self, plan: Plan, now_ms: int) -> None:
        """Take over what is durable now."""
        for row in plan.months:
            self.months[row.month].row = row
        for row_ in plan.registers:
            self.registers[row_.key].settled_wh = row_.counted_wh
        self.opened = self.opened or bool(plan.opens)
        self._let_go(now_ms)

    def take_back(self, plan: Plan) -> None:
        """Keep what a failed plan carried for the next one."""
        zone = self._parts.zone
        for day in plan.days:
            register = self.registers.get(day.key)
            if register is not None:
                register.chain.dirty.add(day_start_ms(day.day, zone))
        for row in plan.months:
            self.dirty(row.month)
        for review in plan.reviews:
            self.dirty_reviews.setdefault(review.id, review)

    def _moment(self, month: Month, now_ms: int) -> Moment:
        end_ms = month.grid.starts[-1]
        closed = self._closed_on()
        closing = closed is not None and closed < local_date(end_ms, self._parts.zone)
        complete = all(
            register.until_ms is not None or register.chain.times[-1] >= end_ms
            for register in self.registers.values()
        )
        return Moment(
            now_ms=now_ms,
            newest_ms=self.newest_ms(),
            over=closing or now_ms >= end_ms + MONTH_GRACE_MS,
            complete=complete or closing,
            closing=closing,
        )

    def _let_go(self, now_ms: int) -> None:
        """Forget months that are done; they are read again when late readings ask for them."""
        zone = self._parts.zone
        chains = [register.chain for register in self.registers.values()]
        # What came in while the books were written is in memory alone.
        unsaved = [min(chain.dirty) for chain in chains if chain.dirty]
        unsaved += [chain.changed[0] for chain in chains if chain.changed is not None]
        oldest_ms = min([now_ms, *unsaved])
        keep = min(self.dirty_from or "9999-12", month_at(oldest_ms, zone))
        for name in [name for name in self.months if name < keep and self.months[name].row.final]:
            self._carries = {name: self.months[name].row.carry}
            del self.months[name]
            for register in self.registers.values():
                register.energies.pop(name, None)
        first = first_day(min([keep, *self.months]))
        for register in self.registers.values():
            if register.loaded_from < first:
                register.chain.forget_before(day_start_ms(first, zone))
                register.hold_from(first)

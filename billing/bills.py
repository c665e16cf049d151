"""What a room is shown: the bill of a month, use with its cost by hour, day and month, previews."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from billing.account_charge import AccountCharge, Parts
from billing.account_months import open_days, terms_of
from billing.calendar import (
    Grid,
    Pricing,
    day_start_ms,
    days_of,
    first_day,
    local_date,
    make_grid,
    month_at,
    month_bounds_ms,
    next_month,
    previous_month,
    to_ms,
    to_time,
)
from billing.chain import Chain, MeterLimits, Reading
from billing.charging_store import MonthRow, ReviewState
from billing.fees import month_fees
from billing.history import Spent, month_energies
from billing.intake import Intake
from billing.rating import Carry, Line, MonthRater, Terms, wh_of
from billing.tariff import Tariff
from billing.usage import spread
from domain.errors import InvalidInput
from domain.faults import Fault

HOURS_MOST = timedelta(days=63)
DAYS_MOST = timedelta(days=800)
MONTHS_MOST = timedelta(days=3_700)


class UsageStep(StrEnum):
    """How finely use is told."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Bill:
    """An account's month as the books hold it; lines and fees sum to its entries exactly.

    `accrued_micro` is what was used since and is not booked. Free energy in Wh.
    """

    account: str
    month: str
    lines: tuple[Line, ...]
    fees_micro: dict[str, int]
    energy_micro: int
    total_micro: int
    energy_wh: int
    free_granted_wh: int
    free_used_wh: int
    free_expired_wh: int
    accrued_micro: int
    final: bool


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Energy of a stretch of time, Wh, and what it cost, micro-units; fees are not in it."""

    start: datetime
    end: datetime
    energy_wh: int
    cost_micro: int


@dataclass(frozen=True, slots=True)
class _Used:
    """A month's energy by stretch with all that it takes to price it."""

    grid: Grid
    energies: Sequence[int]
    terms: Terms
    carry: Carry


class Bills:
    """Makes bills and tables of use from what is being charged and from the store."""

    def __init__(self, intake: Intake, parts: Parts) -> None:
        self._intake, self._parts = intake, parts

    def bill(self, account_id: str, month: str) -> Bill:
        """Return an account's bill of a month. Raises UnknownSubject."""
        check_month(month)
        with self._intake.lock:
            charge = self._intake.known(account_id)
            known = charge.months.get(month)
            row = known.row if known is not None else None
            accrued = 0
            if known is not None and known.rated is not None:
                accrued = known.rated.amount_micro - known.row.amount_micro
        row = row or self._parts.store.month_row(account_id, month) or MonthRow(account_id, month)
        return bill_of(row, accrued)

    def bills(self, account_id: str, limit: int) -> list[Bill]:
        """Return an account's bills, newest first. Raises UnknownSubject."""
        with self._intake.lock:
            self._intake.known(account_id)
        rows = self._parts.store.month_rows(account_id, limit)
        return [self.bill(account_id, row.month) for row in rows]

    def usage(
        self, account_id: str, start: datetime, end: datetime, step: UsageStep
    ) -> list[UsageRow]:
        """Return what was used between two times, by local hours, days or months.

        A row covers its whole hour, day or month. Time without a reading after it is not told.
        Raises UnknownSubject, InvalidInput.
        """
        most = {
            UsageStep.HOUR: HOURS_MOST, UsageStep.DAY: DAYS_MOST, UsageStep.MONTH: MONTHS_MOST,
        }[step]  # fmt: skip
        if not start < end or end - start > most:
            message = f"must be after start, by no more than {most.days} days"
            raise InvalidInput([Fault("end", message)])
        start_ms, end_ms = to_ms(start), to_ms(end)
        with self._intake.lock:
            charge = self._intake.known(account_id)
            charge.refresh()
            # What is not in the store yet is in memory after this.
            charge.flush()
            newest_ms = charge.newest_ms()
            zone = self._parts.zone
            first = max(month_at(start_ms, zone), charge.first_month())
        last = month_at(min(end_ms - 1, max(newest_ms - 1, 0)), zone)
        rows: list[UsageRow] = []
        month = first
        while month <= last:
            rows += self._rows(charge, month, step, newest_ms)
            month = next_month(month)
        return [row for row in rows if row.end > start and row.start < end]

    def preview(self, tariff: Tariff, account_id: str, month: str) -> Bill:
        """Return what a month of an account would have cost by another tariff.

        Energy is as booked; free energy starts empty, fees are those of a month that is over.
        Raises UnknownSubject, InvalidInput.
        """
        check_month(month)
        zone = self._parts.zone
        with self._intake.lock:
            charge = self._intake.known(account_id)
            charge.refresh()
            spent = _spent(charge)
            occupancies = charge.occupancies
            days = open_days(month, *charge.open_between())
        grid = design_grid(tariff, month, zone)
        energies = month_energies(self._parts.store, spent, grid, zone)
        terms = terms_of(grid, occupancies, days)
        return _designed(account_id, grid, energies, terms, len(days))

    def preview_usage(
        self, tariff: Tariff, usage: Sequence[tuple[datetime, datetime, int]], people: int
    ) -> list[Bill]:
        """Return what energy in given stretches of time, Wh, would cost by a tariff, by month.

        Raises InvalidInput where stretches overlap or are empty.
        """
        zone = self._parts.zone
        chain = _chain_of(usage)
        months = [month_at(chain.times[0], zone)]
        while months[-1] < month_at(chain.times[-1] - 1, zone):
            months.append(next_month(months[-1]))
        bills = []
        for month in months:
            grid = design_grid(tariff, month, zone)
            energies = array("q", bytes(8 * len(grid.bands)))
            spread(chain, grid, energies, 0, len(grid.bands) - 1)
            free = grid.pricings[0].version.free
            off = free is None or first_day(month).month in free.months_off
            granted = 0 if off or free is None else wh_of(free.kwh_per_person) * people
            terms = Terms(people, granted, free)
            bills.append(_designed("", grid, energies, terms, len(days_of(month))))
        return bills

    def _rows(
        self, charge: AccountCharge, month: str, step: UsageStep, newest_ms: int
    ) -> Iterator[UsageRow]:
        zone, store = self._parts.zone, self._parts.store
        low, high = month_bounds_ms(month, zone)
        if step is UsageStep.MONTH and not self._is_held(charge, month):
            row = store.month_row(charge.account.id, month)
            if row is not None and row.energy_wh:
                yield UsageRow(to_time(low), to_time(high), row.energy_wh, row.amount_micro)
            return
        used = self._used(charge, month)
        rater = MonthRater(used.grid, used.terms, used.carry)
        cost = 0
        for begin, end in _groups(used.grid, step, self._parts):
            if used.grid.starts[begin] >= newest_ms:
                return
            rater.run(used.energies, begin, end)
            total = rater.rated().amount_micro
            yield UsageRow(
                to_time(used.grid.starts[begin]),
                to_time(used.grid.starts[end]),
                sum(used.energies[begin:end]),
                total - cost,
            )
            cost = total

    def _is_held(self, charge: AccountCharge, month: str) -> bool:
        with self._intake.lock:
            return month in charge.months

    def _used(self, charge: AccountCharge, name: str) -> _Used:
        """Return a month from memory where it is there, else from the store, apart."""
        with self._intake.lock:
            if name in charge.months:
                charge.rate(self._now_ms(charge))
                month = charge.months[name]
                assert month.terms is not None  # noqa: S101 - it was rated just now
                copied = tuple(charge.energies(month))
                return _Used(month.grid, copied, month.terms, month.carry_in)
            grid, spent, occupancies = charge.grid(name), _spent(charge), charge.occupancies
            days = open_days(name, *charge.open_between())
        before = self._parts.store.month_row(charge.account.id, previous_month(name))
        energies = month_energies(self._parts.store, spent, grid, self._parts.zone)
        carry = before.carry if before is not None else Carry()
        return _Used(grid, energies, terms_of(grid, occupancies, days), carry)

    def _now_ms(self, charge: AccountCharge) -> int:
        return max(charge.newest_ms(), *(month.grid.starts[0] for month in charge.months.values()))


def bill_of(row: MonthRow, accrued_micro: int = 0) -> Bill:
    """Return a month's row as a bill."""
    fees = dict(row.fees_micro)
    return Bill(
        account=row.account,
        month=row.month,
        lines=row.lines,
        fees_micro=fees,
        energy_micro=row.amount_micro,
        total_micro=row.amount_micro + sum(fees.values()),
        energy_wh=sum(line.energy_wh for line in row.lines),
        free_granted_wh=row.granted_wh,
        free_used_wh=row.used_wh,
        free_expired_wh=row.expired_wh,
        accrued_micro=accrued_micro,
        final=row.final,
    )


def design_grid(tariff: Tariff, month: str, zone: Any) -> Grid:
    """Return a month's stretches by a tariff that nobody has yet."""
    spans = [
        (day_start_ms(version.valid_from, zone), Pricing("preview", version))
        for version in tariff.versions
    ]
    numbered = [
        (since, Pricing("preview", one.version.model_copy(update={"number": number})))
        for number, (since, one) in enumerate(spans, 1)
    ]
    return make_grid(month, zone, numbered)


def check_month(month: str) -> None:
    """Refuse what is no month such as 2026-11. Raises InvalidInput."""
    try:
        fine = len(month) == 7 and month[4] == "-" and 1970 <= first_day(month).year < 2200
    except ValueError:
        fine = False
    if not fine:
        raise InvalidInput([Fault("month", f"must be a month such as 2026-11 (given: {month!r})")])


def _designed(
    account: str, grid: Grid, energies: Sequence[int], terms: Terms, days_open: int
) -> Bill:
    rater = MonthRater(grid, terms, Carry())
    rater.run(energies, 0, len(energies))
    rated = rater.rated()
    fees = month_fees(
        grid.pricings[0].version.fees,
        energy_wh=rated.energy_wh,
        charge_micro=rated.exact_micro,
        days_open=days_open,
        days_in_month=len(days_of(grid.month)),
        energy_known=True,
    )
    row = MonthRow(
        account=account,
        month=grid.month,
        lines=rated.lines,
        amount_micro=rated.amount_micro,
        energy_wh=rated.energy_wh,
        granted_wh=terms.grant_wh,
        used_wh=rated.free_wh,
        fees_micro=fees,
        final=True,
    )
    return bill_of(row)


def _spent(charge: AccountCharge) -> list[Spent]:
    return [
        Spent(
            register.key,
            register.since_ms,
            register.until_ms,
            frozenset(register.jump_times()),
            {
                at: review.decision
                for at, review in register.reviews.items()
                if review.decision is not None and review.state is not ReviewState.GONE
            },
        )
        for register in charge.registers.values()
    ]


def _groups(grid: Grid, step: UsageStep, parts: Parts) -> Iterator[tuple[int, int]]:
    """Return the stretches of each local hour, day or of the month, from and to."""
    count = len(grid.bands)
    if step is UsageStep.MONTH:
        yield 0, count
        return
    begin, known = 0, _hour_or_day(grid.starts[0], step, parts)
    for place in range(1, count):
        here = _hour_or_day(grid.starts[place], step, parts)
        if here != known:
            yield begin, place
            begin, known = place, here
    yield begin, count


def _hour_or_day(ms: int, step: UsageStep, parts: Parts) -> tuple[object, ...]:
    if step is UsageStep.DAY:
        return (local_date(ms, parts.zone),)
    local = to_time(ms).astimezone(parts.zone)
    # An hour that comes twice when the clock goes back is two hours.
    return (local.date(), local.hour, local.utcoffset())


def _chain_of(usage: Sequence[tuple[datetime, datetime, int]]) -> Chain:
    rows = sorted((to_ms(start), to_ms(end), energy_wh) for start, end, energy_wh in usage)
    faults = []
    if not rows:
        faults.append(Fault("usage", "must have at least one row"))
    for number, (start, end, energy_wh) in enumerate(rows):
        if end <= start or energy_wh < 0:
            faults.append(Fault(f"usage[{number}]", "must end after its start, with 0 Wh or more"))
        if number and start < rows[number - 1][1]:
            faults.append(Fault(f"usage[{number}]", "overlaps the one before it"))
    if faults:
        raise InvalidInput(faults)
    counter, readings = 0, []
    for start, end, energy_wh in rows:
        readings.append(Reading(start, counter))
        counter += energy_wh
        readings.append(Reading(end, counter))
    chain = Chain(MeterLimits(), lambda ms: (ms, ms + 1))
    chain.load(sorted(set(readings)), ())
    return chain

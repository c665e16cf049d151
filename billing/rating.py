"""From energy by stretches of time to exact money: tiers, bands and free energy, in order of use.

Pure: the same energy, versions and occupants give the same lines, whatever was booked before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing.calendar import Grid, Pricing, first_day, next_month
from billing.model import Occupancy
from billing.tariff import Band, FreeEnergy
from domain.money import WH_PER_KWH, exact_price, round_half_even

FOR_EVER = "9999-12"


class LineKey(NamedTuple):
    """What a line of a bill is about: one tariff version, one band, one tier (from 1)."""

    tariff: str
    version: int
    band: Band
    tier: int


@dataclass(frozen=True, slots=True)
class Line:
    """Energy of one key, Wh, how much of it was free, the rate a kWh and the rounded amount."""

    key: LineKey
    energy_wh: int
    free_wh: int
    rate: Decimal
    amount_micro: int


class Lot(NamedTuple):
    """Free energy that is left, Wh, and the month it is gone in."""

    gone_in: str
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Carry:
    """What one month hands to the next: energy of the year so far (for yearly tiers), free lots."""

    year_wh: int = 0
    lots: tuple[Lot, ...] = ()


NO_CARRY = Carry()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a month is rated with beside its energy: the occupants, the free energy they brought."""

    people: int
    grant_wh: int
    free: FreeEnergy | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """A month's energy with its price: lines whose amounts sum to the rounded exact total."""

    lines: tuple[Line, ...]
    amount_micro: int
    energy_wh: int
    free_wh: int
    exact_micro: Decimal


@dataclass(slots=True)
class Meterage:
    """The running position inside a month: energy accumulated for tiers, free lots left, sums."""

    tier_month_wh: int
    tier_year_wh: int
    lots: list[Lot]
    sums: dict[LineKey, list[int]] = field(default_factory=dict)

    def copy(self) -> "Meterage":
        """Return a position that goes on by itself."""
        sums = {key: list(values) for key, values in self.sums.items()}
        return Meterage(self.tier_month_wh, self.tier_year_wh, list(self.lots), sums)


class MonthRater:
    """Walks through a month's stretches in order of time; can stop, be asked, and go on."""

    def __init__(self, grid: Grid, terms: Terms, carry: Carry) -> None:
        self._grid, self._terms = grid, terms
        year_wh = 0 if grid.month.endswith("-01") else carry.year_wh
        self.at = Meterage(0, year_wh, opening_lots(grid.month, terms, carry))
        self._limits: dict[int, tuple[int | None, ...]] = {}

    def resume(self, at: Meterage) -> None:
        """Go on from a position reached before, in the same month on the same terms."""
        self.at = at

    def run(self, energies_wh: Sequence[int], begin: int, end: int) -> None:
        """Take the energy of stretches begin to end - 1, Wh."""
        for place in range(begin, end):
            energy_wh = energies_wh[place]
            if energy_wh:
                self.take(place, energy_wh)

    def take(self, place: int, energy_wh: int) -> None:
        """Take energy used in one stretch: first what is free, the rest by tiers."""
        pricing, band = self._grid.pricings[place], self._grid.bands[place]
        free_wh = self._take_free(energy_wh) if self.at.lots else 0
        in_tiers = self._terms.free is not None and self._terms.free.in_tiers
        if free_wh:
            self._split(pricing, band, free_wh, free=True, fills=in_tiers)
        if energy_wh > free_wh:
            self._split(pricing, band, energy_wh - free_wh, free=False, fills=True)

    def rated(self) -> Rated:
        """Price what was taken so far."""
        ordered = sorted(self.at.sums.items())
        lines, exact, rounded = [], Decimal(0), 0
        for key, (energy_wh, free_wh) in ordered:
            rate = self._rate_of(key)
            exact += exact_price(energy_wh - free_wh, rate)
            # Each line is the step of the rounded running total, so that they sum to it exactly.
            step = round_half_even(exact) - rounded
            rounded += step
            lines.append(Line(key, energy_wh, free_wh, rate, step))
        energy = sum(line.energy_wh for line in lines)
        free = sum(line.free_wh for line in lines)
        return Rated(tuple(lines), rounded, energy, free, exact)

    def _take_free(self, energy_wh: int) -> int:
        lots, wanted = self.at.lots, energy_wh
        while lots and wanted:
            gone_in, left = lots[0]
            used = min(left, wanted)
            wanted -= used
            if used == left:
                lots.pop(0)
            else:
                lots[0] = Lot(gone_in, left - used)
        return energy_wh - wanted

    def _split(
        self, pricing: Pricing, band: Band, energy_wh: int, *, free: bool, fills: bool
    ) -> None:
        version, at = pricing.version, self.at
        limits = self._limits_of(pricing)
        yearly = version.tier_period == "year"
        filled = at.tier_year_wh if yearly else at.tier_month_wh
        left = energy_wh
        for number, limit in enumerate(limits, 1):
            room = left if limit is None or not fills else limit - filled
            if limit is not None and limit <= filled:
                continue
            part = min(left, room)
            self._add(LineKey(pricing.tariff, version.number, band, number), pricing, part, free)
            left -= part
            filled += part
            if not left:
                break
        if fills:
            at.tier_month_wh += energy_wh
            at.tier_year_wh += energy_wh

    def _add(self, key: LineKey, pricing: Pricing, energy_wh: int, free: bool) -> None:
        sums = self.at.sums.get(key)
        if sums is None:
            sums = self.at.sums[key] = [0, 0]
        sums[0] += energy_wh
        if free:
            sums[1] += energy_wh

    def _rate_of(self, key: LineKey) -> Decimal:
        version = self._grid.versions[key.tariff, key.version]
        return version.steps[key.tier - 1].rate_of(key.band)

    def _limits_of(self, pricing: Pricing) -> tuple[int | None, ...]:
        version = pricing.version
        found = self._limits.get(id(version))
        if found is None:
            many = max(self._terms.people, 1) if version.tiers_per_person else 1
            found = tuple(
                None if tier.up_to_kwh is None else wh_of(tier.up_to_kwh) * many
                for tier in version.steps
            )
            self._limits[id(version)] = found
        return found


def opening_lots(month: str, terms: Terms, carry: Carry) -> list[Lot]:
    """Return the free energy there is at a month's start, what goes first standing first."""
    lots = [lot for lot in carry.lots if lot.gone_in > month]
    if terms.grant_wh > 0 and terms.free is not None:
        lots.append(Lot(gone_in(terms.free, month), terms.grant_wh))
    return sorted(lots)


def closing_lots(
    month: str, lots: Iterable[Lot], free: FreeEnergy | None
) -> tuple[tuple[Lot, ...], int]:
    """Return the lots that pass into the next month, and the Wh that are gone with this one.

    Of more than may be carried, what would be gone first goes.
    """
    after = next_month(month)
    kept = [lot for lot in sorted(lots) if lot.gone_in > after]
    gone_wh = sum(lot.energy_wh for lot in lots) - sum(lot.energy_wh for lot in kept)
    most = free.carry_most_kwh if free is not None else None
    excess = sum(lot.energy_wh for lot in kept) - wh_of(most) if most is not None else 0
    while excess > 0:
        lot = kept.pop(0)
        part = min(lot.energy_wh, excess)
        excess -= part
        gone_wh += part
        if part < lot.energy_wh:
            kept.insert(0, Lot(lot.gone_in, lot.energy_wh - part))
    return tuple(kept), gone_wh


def gone_in(free: FreeEnergy, month: str) -> str:
    """Return the month in which free energy of a month is there no more."""
    if free.lasts == "ever":
        return FOR_EVER
    after = next_month(month)
    if free.lasts == "month":
        return after
    starts = free.term_months if free.lasts == "term" else (free.year_month,)
    while first_day(after).month not in starts:
        after = next_month(after)
    return after


def grant_wh(
    free: FreeEnergy, month: str, occupancies: Sequence[Occupancy], days: Sequence[date]
) -> int:
    """Return what the occupants of a month bring; `days` are those the account is open on."""
    if first_day(month).month in free.months_off or not days:
        return 0
    each = wh_of(free.kwh_per_person)
    if free.count == "month-start":
        return each * people_on(occupancies, days[0])
    whole = (first_day(next_month(month)) - first_day(month)).days
    person_days = sum(people_on(occupancies, day) for day in days)
    return round_half_even(Decimal(each * person_days) / whole)


def people_on(occupancies: Sequence[Occupancy], day: date) -> int:
    """Return how many different persons are there on a day."""
    return len(
        {
            one.person
            for one in occupancies
            if one.since <= day and (one.until is None or day < one.until)
        }
    )


def wh_of(kwh: Decimal) -> int:
    """Return kWh in whole Wh."""
    return int(kwh * WH_PER_KWH)


def between(first: date, last: date, month_days: Sequence[date]) -> list[date]:
    """Return the days of a month from `first` to `last`, both included."""
    return [day for day in month_days if first <= day <= last]


def line_differences(now: Iterable[Line], before: Mapping[LineKey, Line]) -> list[Line]:
    """Return what has to be added to lines to come from `before` to `now`, without empty ones."""
    found: list[Line] = []
    current = {line.key: line for line in now}
    for key in sorted(current.keys() | before.keys()):
        new, old = current.get(key), before.get(key)
        rate = (new or before[key]).rate
        energy = (new.energy_wh if new else 0) - (old.energy_wh if old else 0)
        free = (new.free_wh if new else 0) - (old.free_wh if old else 0)
        amount = (new.amount_micro if new else 0) - (old.amount_micro if old else 0)
        if energy or free or amount:
            found.append(Line(key, energy, free, rate, amount))
    return found


ONE_DAY = timedelta(days=1)

"""Tariffs as data: dated versions with rates, bands of the day, tiers, free energy and fees.

Money stands as text ("0.5583"), so that no rate passes through binary fractions.
"""

from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from domain.site import RoomKind


class Band(StrEnum):
    """The five bands of a time-of-use tariff, dearest first; `all` is the band of one without."""

    SHARP = "sharp"
    PEAK = "peak"
    FLAT = "flat"
    VALLEY = "valley"
    DEEP = "deep"
    ALL = "all"


class _Frozen(BaseModel):
    # One schema for what is taken and what is told: a tariff that was read can be sent back.
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_mode_override="validation")


def _no_binary_fraction(value: Any) -> Any:
    if isinstance(value, float):
        # Pydantic makes a fault of a ValueError, and of no other error.
        raise ValueError(f'write it as text, "{value}", so that it stays exact')  # noqa: TRY004
    return value


Exact = BeforeValidator(_no_binary_fraction)
Rate = Annotated[Decimal, Exact, Field(ge=0, le=1000, decimal_places=6)]
Money = Annotated[Decimal, Exact, Field(ge=0, le=1_000_000, decimal_places=2)]
Kwh = Annotated[Decimal, Exact, Field(gt=0, le=1_000_000, decimal_places=3)]
MonthNumber = Annotated[int, Field(ge=1, le=12)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class BandStart(_Frozen):
    """From this local time on this band, until the next start of the day or midnight."""

    at: time
    band: Band


Day = Annotated[tuple[BandStart, ...], Field(max_length=48)]


class Season(_Frozen):
    """The bands of the day in some months; a weekend or holiday that is not told is a workday."""

    months: Annotated[tuple[MonthNumber, ...], Field(min_length=1)] = tuple(range(1, 13))
    workday: Annotated[Day, Field(min_length=1)]
    weekend: Day = ()
    holiday: Day = ()

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        faults: list[str] = []
        for name in ("workday", "weekend", "holiday"):
            starts: Day = getattr(self, name)
            times = [start.at for start in starts]
            if starts and times[0] != time(0):
                faults.append(f"{name}: the first band must start at 00:00")
            if times != sorted(set(times)):
                faults.append(f"{name}: bands must be in order of time, each time once")
            if any(at.second or at.microsecond or at.tzinfo for at in times):
                faults.append(f"{name}: bands start at whole local minutes")
            if any(start.band is Band.ALL for start in starts):
                faults.append(f"{name}: name a band: sharp, peak, flat, valley or deep")
        _refuse(faults)
        return self


class DayTypes(_Frozen):
    """Which days are weekend (ISO weekdays, 6 = Saturday) and holiday; make-up days are work."""

    weekend: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (6, 7)
    holidays: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()


class Tier(_Frozen):
    """A step of accumulated energy up to `up_to_kwh`, with one rate or one a band, a kWh."""

    up_to_kwh: Kwh | None = None
    rate: Rate | None = None
    rates: dict[Band, Rate] = {}

    def rate_of(self, band: Band) -> Decimal:
        """Return the rate of a band."""
        return self.rate if self.rate is not None else self.rates[band]


class FreeEnergy(_Frozen):
    """Base energy that each occupant has free every month, used before any that is paid.

    `count` says who counts: those there on the first of the month, or everybody by his days.
    What is left lasts to the end of its month, of its term (a term begins in each of
    `term_months`), of its year (which begins in `year_month`), or for ever; no more than
    `carry_most_kwh` passes from one month to the next. `in_tiers` lets free energy fill tiers.
    """

    kwh_per_person: Kwh
    months_off: tuple[MonthNumber, ...] = ()
    count: Literal["month-start", "days"] = "month-start"
    lasts: Literal["month", "term", "year", "ever"] = "month"
    term_months: Annotated[tuple[MonthNumber, ...], Field(min_length=1)] = (2, 9)
    year_month: MonthNumber = 1
    carry_most_kwh: Kwh | None = None
    in_tiers: bool = False


class Fees(_Frozen):
    """What is due beside energy: a sum a month, a sum a kWh, and the least a month must bring."""

    per_month: Money = Decimal(0)
    per_kwh: Rate = Decimal(0)
    minimum_per_month: Money = Decimal(0)

    @property
    def any(self) -> bool:
        """Say whether anything is due."""
        return bool(self.per_month or self.per_kwh or self.minimum_per_month)


class TariffVersion(_Frozen):
    """A tariff from a local date on. Give one of `rate` (flat), `rates` (a rate a band) or `tiers`.

    `tier_period` is how long energy accumulates, `tiers_per_person` multiplies the steps by the
    occupants on the first of the month. Bands need `seasons`. `number` is given by the station.
    """

    valid_from: Annotated[date, Field(ge=date(1970, 1, 2), le=date(2199, 12, 31))]
    number: Annotated[int, Field(ge=0)] = 0
    rate: Rate | None = None
    rates: dict[Band, Rate] = {}
    tiers: Annotated[tuple[Tier, ...], Field(max_length=10)] = ()
    tier_period: Literal["month", "year"] = "month"
    tiers_per_person: bool = False
    seasons: Annotated[tuple[Season, ...], Field(max_length=12)] = ()
    day_types: DayTypes = DayTypes()
    free: FreeEnergy | None = None
    fees: Fees = Fees()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _refuse([*self._rate_faults(), *self._season_faults(), *self._tier_faults()])
        return self

    @property
    def steps(self) -> tuple[Tier, ...]:
        """The tiers; a tariff without has one that never ends."""
        return self.tiers or (Tier(rate=self.rate, rates=self.rates),)

    def season(self, month: int) -> Season | None:
        """Return the season of a month (1 to 12), None where the rate is the same all day."""
        return next((season for season in self.seasons if month in season.months), None)

    def _rate_faults(self) -> Iterator[str]:
        given = [self.rate is not None, bool(self.rates), bool(self.tiers)]
        if sum(given) != 1:
            yield "give exactly one of rate, rates and tiers"
            return
        bands = self._bands()
        for place, tier in enumerate(self.steps, 1):
            where = f"tier {place}: " if self.tiers else ""
            if (tier.rate is not None) == bool(tier.rates):
                yield f"{where}give either rate or rates"
            elif tier.rates:
                missing = bands - set(tier.rates)
                unused = set(tier.rates) - bands
                if missing:
                    yield f"{where}no rate for {', '.join(sorted(missing))}"
                if unused:
                    yield f"{where}no hour of any season is {', '.join(sorted(unused))}"

    def _season_faults(self) -> Iterator[str]:
        if not self.seasons:
            return
        months = [month for season in self.seasons for month in season.months]
        double = sorted({month for month in months if months.count(month) > 1})
        missing = sorted(set(range(1, 13)) - set(months))
        if double:
            yield f"seasons: months {double} stand twice"
        if missing:
            yield f"seasons: months {missing} are missing"
        both = set(self.day_types.holidays) & set(self.day_types.working_days)
        if both:
            dates = ", ".join(map(str, sorted(both)))
            yield f"day_types: both holiday and working day: {dates}"

    def _tier_faults(self) -> Iterator[str]:
        if not self.tiers:
            return
        if self.tiers[-1].up_to_kwh is not None:
            yield "tiers: the last tier has no up_to_kwh"
        limits = [tier.up_to_kwh for tier in self.tiers[:-1]]
        if any(limit is None for limit in limits):
            yield "tiers: only the last tier has no up_to_kwh"
        elif any(low >= high for low, high in pairwise(x for x in limits if x is not None)):
            yield "tiers: up_to_kwh must rise from tier to tier"

    def _bands(self) -> set[Band]:
        starts = (
            start
            for season in self.seasons
            for starts in (season.workday, season.weekend, season.holiday)
            for start in starts
        )
        return {start.band for start in starts} or {Band.ALL}


class Tariff(_Frozen):
    """A named tariff: its versions in order of date, one at a time, the newest without an end.

    The first version also prices energy from before its date: nothing used is ever without a rate.
    """

    title: str = ""
    kind: RoomKind | None = None
    versions: Annotated[tuple[TariffVersion, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        dates = [version.valid_from for version in self.versions]
        if dates != sorted(set(dates)):
            raise ValueError("versions must be in order of valid_from, each date once")
        return self

    def at(self, day: date) -> TariffVersion:
        """Return the version in force on a local day."""
        found = self.versions[0]
        for version in self.versions:
            if version.valid_from <= day:
                found = version
        return found


class TariffBook(RootModel[dict[Name, Tariff]]):
    """The section [tariffs.<name>] of the site file."""

    model_config = ConfigDict(frozen=True)
    root: dict[Name, Tariff] = {}

    def missing(self, names: Mapping[str, str]) -> list[str]:
        """Name those who use a tariff that is not in the book; `names` maps a user to a tariff."""
        return sorted(user for user, tariff in names.items() if tariff not in self.root)


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ValueError("; ".join(faults))

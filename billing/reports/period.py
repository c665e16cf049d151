"""The days a report is about: local days of the site, half-open, whatever the clocks do."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from domain.errors import InvalidInput
from domain.faults import Fault

DAYS_MOST = 3_700
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """Days of a site from `first` on, up to and without `end`."""

    first: date
    end: date
    zone: ZoneInfo

    @property
    def start_at(self) -> datetime:
        """The moment (UTC) at which the first day begins."""
        return day_start(self.first, self.zone)

    @property
    def end_at(self) -> datetime:
        """The moment (UTC) at which the day after the last one begins."""
        return day_start(self.end, self.zone)

    @property
    def last(self) -> date:
        """The last day that counts."""
        return self.end - timedelta(days=1)

    @property
    def days(self) -> tuple[date, ...]:
        """Every day that counts."""
        return tuple(
            self.first + timedelta(days=number) for number in range((self.end - self.first).days)
        )

    @classmethod
    def of_day(cls, day: date, zone: ZoneInfo) -> Self:
        """Return one day."""
        return cls(day, day + timedelta(days=1), zone)

    @classmethod
    def of_month(cls, year: int, month: int, zone: ZoneInfo) -> Self:
        """Return one calendar month."""
        later = date(year + month // 12, month % 12 + 1, 1)
        return cls(date(year, month, 1), later, zone)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment (UTC) a local day begins; where midnight is skipped, the skip itself."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def period_of(
    zone: ZoneInfo,
    *,
    first: date | None = None,
    end: date | None = None,
    day: date | None = None,
    month: str | None = None,
) -> Period:
    """Read a period as it is asked for: a day, a month such as 2026-11, or `first` to `end`.

    Raises InvalidInput with every fault.
    """
    ways = [day is not None, month is not None, first is not None or end is not None]
    if sum(ways) != 1:
        raise _invalid("period", "name one of: a day, a month, or both from and to")
    if day is not None:
        return _checked(day, _next(day), zone)
    if month is not None:
        found = _MONTH.fullmatch(month)
        if not found or not 1 <= int(found[2]) <= 12 or not 1 <= int(found[1]) < 9998:
            raise _invalid("month", f"must be a month such as 2026-11 (given: {month!r})")
        asked = Period.of_month(int(found[1]), int(found[2]), zone)
        return _checked(asked.first, asked.end, zone)
    if first is None or end is None:
        raise _invalid("from" if first is None else "to", "is required beside the other")
    return _checked(first, end, zone)


def _next(day: date) -> date:
    # The last day there is has no day after it; `_checked` refuses the year anyway.
    return day + timedelta(days=1) if day.year < 9999 else day


def _checked(first: date, end: date, zone: ZoneInfo) -> Period:
    faults = [
        Fault(name, f"the year must be from 1970 to 9998 (given: {day})")
        for name, day in (("from", first), ("to", end))
        if not 1970 <= day.year < 9999
    ]
    if not faults and end <= first:
        faults.append(Fault("to", f"must be after from; it is the first day left out ({first})"))
    if not faults and (end - first).days > DAYS_MOST:
        faults.append(Fault("to", f"a report covers at most {DAYS_MOST} days"))
    if faults:
        raise InvalidInput(faults)
    return Period(first, end, zone)


def _invalid(source: str, message: str) -> InvalidInput:
    return InvalidInput([Fault(source, message)])

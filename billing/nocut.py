"""The no-cut calendar: when arrears may open a relay. Pure functions of local time."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# A calendar that lets nobody be cut for so long is a mistake in the calendar.
SEARCH_MOST_DAYS = 400
DAYS_MOST = 1_000
RANGE_SIGN = ".."


class DayRange(BaseModel):
    """Days from the first to the last, both included; written 2026-10-01..2026-10-08 or one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: date
    last: date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"the last day ({self.last}) is before the first ({self.first})")
        if (self.last - self.first).days >= SEARCH_MOST_DAYS:
            raise ValueError(f"at most {SEARCH_MOST_DAYS} days in one range")
        return self

    def __contains__(self, day: date) -> bool:
        """Say whether a day is one of them."""
        return self.first <= day <= self.last


def _read_range(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return {"first": value, "last": value}
    if isinstance(value, str):
        first, sign, last = (part.strip() for part in value.partition(RANGE_SIGN))
        return {"first": first, "last": last if sign else first}
    return value


Days = Annotated[
    tuple[Annotated[DayRange, BeforeValidator(_read_range)], ...], Field(max_length=DAYS_MOST)
]


class NoCutCalendar(BaseModel):
    """When nobody is cut for arrears: at night, on weekends, holidays and exam days.

    `weekend` holds ISO weekdays (6 = Saturday). `working_days` are make-up days: they count as
    working days although they are weekend or holiday; an exam day is never one of them.
    With `wait_for_cut_at` a room is cut at `cut_at` of the next working day; without it as soon as
    no window forbids it. All times are local.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    night_from: time = time(23, 0)
    night_to: time = time(7, 0)
    weekend: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (6, 7)
    holidays: Days = ()
    exam_days: Days = ()
    working_days: Days = ()
    cut_at: time = time(8, 0)
    wait_for_cut_at: bool = True

    @model_validator(mode="after")
    def _possible(self) -> Self:
        faults = []
        if self.wait_for_cut_at and self._is_night(self.cut_at):
            faults.append(f"cut_at ({self.cut_at:%H:%M}) lies in the night, when nobody is cut")
        if len(set(self.weekend)) == 7:
            faults.append("weekend: every day of the week is one, so nobody could ever be cut")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def is_working_day(self, day: date) -> bool:
        """Say whether rooms may be cut on this day at all."""
        if _within(day, self.exam_days):
            return False
        if _within(day, self.working_days):
            return True
        return not _within(day, self.holidays) and day.isoweekday() not in self.weekend

    def allows(self, now: datetime, zone: ZoneInfo) -> bool:
        """Say whether a room may be cut at this moment."""
        local = now.astimezone(zone)
        if not self.is_working_day(local.date()) or self._is_night(local.time()):
            return False
        return not self.wait_for_cut_at or local.time() >= self.cut_at

    def next_allowed(self, since: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the first moment from `since` on at which a room that is due then may be cut.

        None: not within SEARCH_MOST_DAYS.
        """
        if not self.wait_for_cut_at and self.allows(since, zone):
            return since
        for moment in self._openings(since, zone):
            if moment >= since and self.allows(moment, zone):
                return moment
        return None

    def _openings(self, since: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Give the moments of each day at which cutting may begin to be allowed, in order."""
        first = since.astimezone(zone).date()
        times = [self.cut_at] if self.wait_for_cut_at else sorted({time(0, 0), self.night_to})
        for days in range(SEARCH_MOST_DAYS):
            day = first + timedelta(days=days)
            for at in times:
                yield datetime.combine(day, at, tzinfo=zone).astimezone(since.tzinfo)

    def _is_night(self, at: time) -> bool:
        if self.night_from <= self.night_to:
            return self.night_from <= at < self.night_to
        return at >= self.night_from or at < self.night_to


def _within(day: date, ranges: Iterable[DayRange]) -> bool:
    return any(day in one for one in ranges)

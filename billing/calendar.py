"""The local calendar in UTC: months, days, and the stretches of one band that energy is split by.

Moments are whole milliseconds since 1970 in UTC, so that a day of 25 hours has 25 of them and no
local hour that comes twice is counted once or thrice. A month is named "2026-11".
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from billing.tariff import Band, Day, TariffVersion

MS = 1000
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY = timedelta(days=1)
_MS = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Return a moment as milliseconds since 1970."""
    return (moment - _EPOCH) // _MS


def to_time(ms: int) -> datetime:
    """Return milliseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


def local_date(ms: int, zone: ZoneInfo) -> date:
    """Return the local day of a moment."""
    return to_time(ms).astimezone(zone).date()


def day_start_ms(day: date, zone: ZoneInfo) -> int:
    """Return when a local day begins, also where its midnight is skipped by a clock change."""
    return to_ms(datetime.combine(day, time(0), zone).astimezone(UTC))


def month_of(day: date) -> str:
    """Return the month of a day, "2026-11"."""
    return f"{day.year:04d}-{day.month:02d}"


def month_at(ms: int, zone: ZoneInfo) -> str:
    """Return the local month of a moment."""
    return month_of(local_date(ms, zone))


def first_day(month: str) -> date:
    """Return the first day of a month. Raises ValueError for what is no month."""
    year, _, number = month.partition("-")
    return date(int(year), int(number), 1)


def next_month(month: str) -> str:
    """Return the month after."""
    return month_of((first_day(month) + timedelta(days=31)).replace(day=1))


def previous_month(month: str) -> str:
    """Return the month before."""
    return month_of(first_day(month) - _ONE_DAY)


def days_of(month: str) -> list[date]:
    """Return the days of a month."""
    first = first_day(month)
    count = (first_day(next_month(month)) - first).days
    return [first + timedelta(days=number) for number in range(count)]


@lru_cache(maxsize=2000)
def month_bounds_ms(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """Return when a local month begins and ends."""
    return day_start_ms(first_day(month), zone), day_start_ms(first_day(next_month(month)), zone)


@dataclass(frozen=True, slots=True)
class Pricing:
    """A tariff's version as it prices a stretch of time."""

    tariff: str
    version: TariffVersion


@dataclass(frozen=True, slots=True)
class Grid:
    """A local month cut into stretches of one hour, one band and one tariff version.

    Stretch i lasts from `starts[i]` to `starts[i + 1]`; `starts` ends with the end of the month.
    `day_ends` are the places in `starts` at which a local day has ended.
    """

    month: str
    starts: tuple[int, ...]
    bands: tuple[Band, ...]
    pricings: tuple[Pricing, ...]
    versions: Mapping[tuple[str, int], TariffVersion]
    day_ends: tuple[int, ...]

    def place(self, ms: int) -> int:
        """Return which stretch a moment lies in; moments outside give the nearest one."""
        return min(max(bisect_right(self.starts, ms) - 1, 0), len(self.bands) - 1)


def band_at(version: TariffVersion, local: datetime) -> Band:
    """Return the band in force at a local time."""
    season = version.season(local.month)
    if season is None:
        return Band.ALL
    starts = _day_of(version, season.workday, season.weekend, season.holiday, local.date())
    wall = local.time()
    return next(start.band for start in reversed(starts) if start.at <= wall)


def _day_of(version: TariffVersion, workday: Day, weekend: Day, holiday: Day, day: date) -> Day:
    types = version.day_types
    if day in types.working_days:
        return workday
    if day in types.holidays:
        return holiday or weekend or workday
    if day.isoweekday() in types.weekend:
        return weekend or workday
    return workday


def make_grid(month: str, zone: ZoneInfo, spans: Sequence[tuple[int, Pricing]]) -> Grid:
    """Cut a month; `spans` says from which moment on which pricing holds, in order of time."""
    start_ms, end_ms = month_bounds_ms(month, zone)
    walls = {time(hour) for hour in range(24)}
    for _, pricing in spans:
        walls |= {
            start.at
            for season in pricing.version.seasons
            for starts in (season.workday, season.weekend, season.holiday)
            for start in starts
        }
    edges = {start_ms, *_wall_edges(days_of(month), frozenset(walls), zone)}
    edges |= {since for since, _ in spans if start_ms < since < end_ms}
    starts = sorted(edge for edge in edges if start_ms <= edge < end_ms)
    sinces = [since for since, _ in spans]
    pricings = tuple(spans[max(bisect_right(sinces, at) - 1, 0)][1] for at in starts)
    bands = tuple(
        band_at(pricing.version, to_time(at).astimezone(zone))
        for at, pricing in zip(starts, pricings, strict=True)
    )
    versions = {(one.tariff, one.version.number): one.version for _, one in spans}
    starts.append(end_ms)
    day_ends = tuple(starts.index(day_start_ms(day + _ONE_DAY, zone)) for day in days_of(month))
    return Grid(month, tuple(starts), bands, pricings, versions, day_ends)


def _wall_edges(days: Iterable[date], walls: frozenset[time], zone: ZoneInfo) -> set[int]:
    """Return the moments at which the wall clock shows one of the times, and its changes."""
    edges: set[int] = set()
    for day in days:
        start_ms, end_ms = day_start_ms(day, zone), day_start_ms(day + _ONE_DAY, zone)
        if end_ms - start_ms == DAY_MS and not _changes(start_ms, end_ms, zone):
            edges |= {start_ms + _since_midnight_ms(wall) for wall in walls}
            continue
        edges |= _edges_of_change_day(day, walls, zone)
        edges |= _changes(start_ms, end_ms, zone)
    return edges


def _edges_of_change_day(day: date, walls: frozenset[time], zone: ZoneInfo) -> set[int]:
    edges = set()
    for wall in walls:
        for fold in (0, 1):
            naive = datetime.combine(day, wall)
            moment = naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == naive:
                edges.add(to_ms(moment))
    return edges


def _since_midnight_ms(wall: time) -> int:
    return (wall.hour * 3600 + wall.minute * 60) * MS


def _changes(start_ms: int, end_ms: int, zone: ZoneInfo) -> set[int]:
    """Return when the zone's offset changes between two moments (at most once a day)."""

    def offset(ms: int) -> timedelta | None:
        return to_time(ms).astimezone(zone).utcoffset()

    if offset(start_ms) == offset(end_ms):
        return set()
    low, high = start_ms, end_ms
    while high - low > 1:
        middle = (low + high) // 2
        if offset(middle) == offset(start_ms):
            low = middle
        else:
            high = middle
    return {high}

"""Keeps the rollups up to date: which windows have new samples, and when they are rolled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from domain.clock import Clock
from domain.ports import Resolution, TimeSeries
from storage.rollup import FINER, roll, window_end, window_start

_LEVELS = (Resolution.MINUTE, Resolution.HOUR, Resolution.DAY)
# Windows read back in one go: bounds the memory that a long catch-up takes.
_WINDOWS_A_READ = {Resolution.MINUTE: 5, Resolution.HOUR: 4, Resolution.DAY: 4}


@dataclass(frozen=True, slots=True)
class RollSettings:
    """The site's time zone, and when windows are rolled.

    A window is over once samples or the clock are `grace_s` past its end. Hours and days that are
    still running are rolled every `provisional_every_s` too. Samples more than `ahead_s` in the
    future (a clock fault) never decide that a window is over.
    """

    time_zone: str = "UTC"
    grace_s: float = 5.0
    provisional_every_s: float = 300.0
    ahead_s: float = 60.0


class Roller:
    """Rolls windows that samples were written to; used by one thread.

    What a kill can leave unrolled lies within `grace_s` and two minutes of the newest sample,
    because windows that are over are rolled before their records leave the stream: `resume` rolls
    that stretch again.
    """

    def __init__(
        self,
        series: TimeSeries,
        clock: Clock,
        settings: RollSettings,
        on_refused: Callable[[str], None],
    ) -> None:
        self._series = series
        self._on_refused = on_refused
        self._clock = clock
        self._settings = settings
        self._dirty: dict[Resolution, set[datetime]] = {level: set() for level in _LEVELS}
        self._newest: datetime | None = None
        self._provisional: dict[Resolution, datetime] = {}

    @property
    def waiting(self) -> int:
        """Return how many windows have samples that are not rolled yet."""
        return sum(len(starts) for starts in self._dirty.values())

    def resume(self) -> None:
        """Mark what a kill may have left unrolled. Raises StoreUnavailable."""
        times = self._series.latest()["time"]
        newest = times.filter(times <= self._horizon()).max()
        if not isinstance(newest, datetime):
            return
        self._reached(newest)
        back = timedelta(seconds=self._settings.grace_s, minutes=2)
        moment = window_start(newest - back, Resolution.MINUTE, self._settings.time_zone)
        while moment <= newest:
            self._dirty[Resolution.MINUTE].add(moment)
            moment += timedelta(minutes=1)
        for level in (Resolution.HOUR, Resolution.DAY):
            for at in (newest - back, newest):
                self._dirty[level].add(window_start(at, level, self._settings.time_zone))

    def touch(self, times: pl.Series) -> None:
        """Note the times of samples just written."""
        minutes = times.dt.truncate("1m").unique().to_list()
        self._dirty[Resolution.MINUTE].update(minutes)
        newest = times.filter(times <= self._horizon()).max()
        if isinstance(newest, datetime) and (self._newest is None or newest > self._newest):
            self._reached(newest)

    def roll_over(self, *, idle: bool = False) -> int:
        """Roll the windows that are over and return the rows written. Raises StoreUnavailable.

        `idle` says that the stream is empty: then the clock, too, decides what is over.
        """
        return sum(self._roll_level(level, self._due(level, idle=idle)) for level in _LEVELS)

    def roll_all(self) -> int:
        """Roll every window with new samples, over or not. Raises StoreUnavailable."""
        return sum(self._roll_level(level, sorted(self._dirty[level])) for level in _LEVELS)

    def _reached(self, newest: datetime) -> None:
        self._newest = newest
        for level in (Resolution.HOUR, Resolution.DAY):
            self._provisional.setdefault(level, newest)

    def _horizon(self) -> datetime:
        return self._clock.now().astimezone(UTC) + timedelta(seconds=self._settings.ahead_s)

    def _due(self, level: Resolution, *, idle: bool) -> list[datetime]:
        starts = self._dirty[level]
        if not starts or (self._newest is None and not idle):
            return sorted(start for start in starts if start > self._horizon())
        now = self._clock.now().astimezone(UTC)
        reached = max(filter(None, (self._newest, now if idle else None)))
        if self._is_provisional_due(level, reached):
            return sorted(starts)
        over = reached - timedelta(seconds=self._settings.grace_s)
        horizon = self._horizon()
        zone = self._settings.time_zone
        return sorted(s for s in starts if window_end(s, level, zone) <= over or s > horizon)

    def _is_provisional_due(self, level: Resolution, reached: datetime) -> bool:
        if level is Resolution.MINUTE:
            return False
        last = self._provisional.get(level, reached)
        if abs(reached - last) < timedelta(seconds=self._settings.provisional_every_s):
            return False
        self._provisional[level] = reached
        return True

    def _roll_level(self, level: Resolution, starts: list[datetime]) -> int:
        zone = self._settings.time_zone
        coarser = {Resolution.MINUTE: Resolution.HOUR, Resolution.HOUR: Resolution.DAY}.get(level)
        rows = 0
        for stretch in _stretches(starts, level, zone):
            rows += self._roll_stretch(level, stretch[0], window_end(stretch[-1], level, zone))
            self._dirty[level].difference_update(stretch)
            if coarser is not None:
                self._dirty[coarser].update(window_start(s, coarser, zone) for s in stretch)
        return rows

    def _roll_stretch(self, level: Resolution, start: datetime, end: datetime) -> int:
        finer = self._series.window(start, end, resolution=FINER[level])
        rolled = roll(finer, level, self._settings.time_zone)
        if rolled.is_empty():
            return 0
        outcome = self._series.write(rolled, level)
        if outcome.rejected:
            # Told and passed over: a rollup that the store refuses must not hold up raw samples,
            # from which it can be made again.
            self._on_refused(
                f"{level.value} from {start.isoformat()}: {outcome.rejected[0].reason}"
            )
        return outcome.accepted


def _stretches(
    starts: list[datetime], level: Resolution, time_zone: str
) -> Iterator[list[datetime]]:
    """Yield runs of windows that follow one another, none longer than one read may be."""
    run: list[datetime] = []
    for start in starts:
        follows = run and window_end(run[-1], level, time_zone) == start
        if run and (not follows or len(run) >= _WINDOWS_A_READ[level]):
            yield run
            run = []
        run.append(start)
    if run:
        yield run

"""Deletes what is older than its table keeps, once an hour, and not after a leap of the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.clock import Clock
from domain.ports import RETENTION, Resolution, TimeSeries


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The wall clock moved by `seconds` more than time has passed."""

    seconds: float


class Retention:
    """Prunes a store by its tables' ages.

    A wall clock that leapt ahead would make everything look old, so after a leap of more than
    `jump_s` the round is left out.
    """

    def __init__(
        self,
        series: TimeSeries,
        clock: Clock,
        ages: Mapping[Resolution, timedelta | None] = RETENTION,
        *,
        every_s: float = 3600.0,
        jump_s: float = 300.0,
    ) -> None:
        self._series, self._clock = series, clock
        self._ages, self._every_s, self._jump_s = ages, every_s, jump_s
        self._checked = (clock.now(), clock.monotonic())
        self.pruned_rows = 0

    def run_if_due(self) -> ClockJump | None:
        """Prune when an hour has passed; return the leap that prevented it, if one did.

        Raises StoreUnavailable; the round is then tried again at the next call.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        before, monotonic_before = self._checked
        passed_s = monotonic - monotonic_before
        if passed_s < self._every_s:
            return None
        leap_s = (now - before).total_seconds() - passed_s
        if abs(leap_s) > self._jump_s:
            self._checked = (now, monotonic)
            return ClockJump(leap_s)
        self._prune(now.astimezone(UTC))
        self._checked = (now, monotonic)
        return None

    def _prune(self, now: datetime) -> None:
        for resolution, age in self._ages.items():
            if age is not None:
                self.pruned_rows += self._series.prune(resolution, now - age)

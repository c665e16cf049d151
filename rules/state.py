"""The latest good reading of every meter, as the frame that rules with a delay look at."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from domain.site import Meter
from rules.ring import Flags, Floats, Index, Rows, Samples

_TIME = pl.Datetime("ms", "UTC")
# Long before any clock, and far enough from the ends of int64 to subtract from.
_NEVER = -(10**15)


class LatestState:
    """The last good row of each meter, O(1) a row; `frame` lays it out in roster order.

    Columns: meter, group, building, bus, head, shed_priority, time (of the last good row), age_s,
    power_w, current_a, voltage_v, power_factor, relay_closed (last known), relay_time (when it
    was read) and relay_closed_before (the state known before that one). Null = never told.
    """

    def __init__(self, meters: Sequence[Meter]) -> None:
        count = len(meters)
        self._roster = pl.DataFrame(
            {
                "meter": [meter.name for meter in meters],
                "group": [meter.policy_group for meter in meters],
                "building": [meter.building for meter in meters],
                "bus": [meter.bus for meter in meters],
                "head": [meter.head for meter in meters],
                "shed_priority": pl.Series(
                    [meter.shed_priority for meter in meters], dtype=pl.Int64
                ),
            },
        )
        self.time_ms = np.full(count, _NEVER, np.int64)
        self._values = {
            name: np.full(count, np.nan)
            for name in ("power_w", "current_a", "voltage_v", "power_factor")
        }
        # -1 = never told, 0 = open, 1 = closed.
        self.relay = np.full(count, -1, np.int8)
        self._relay_before = np.full(count, -1, np.int8)
        self._relay_ms = np.full(count, _NEVER, np.int64)

    def take(self, rows: Rows, samples: Samples, relay: Floats | None) -> None:
        """Take good rows; `relay` is 1.0 closed, 0.0 open, NaN not read; None: none was."""
        self.time_ms[rows] = samples.time_ms
        for name, column in self._values.items():
            column[rows] = getattr(samples, name)
        if relay is None:
            return
        told = ~np.isnan(relay)
        if told.any():
            site = np.arange(len(self.relay))[rows][told]
            now = relay[told].astype(np.int8)
            self._relay_before[site] = self.relay[site]
            self.relay[site] = now
            self._relay_ms[site] = samples.time_ms[told]

    def age_s(self, now_ms: int) -> Floats:
        """Return the age of every meter's last good row, s; infinite where there never was one."""
        age = (now_ms - self.time_ms.astype(np.float64)) / 1000.0
        return np.where(self.time_ms == _NEVER, np.inf, age)

    def frame(self, index: Index | None, now: datetime) -> pl.DataFrame:
        """Return the state of some meters (None: all) as a frame, a row a meter."""
        chosen: Index | slice = slice(None) if index is None else index
        age = self.age_s(round(now.timestamp() * 1000))[chosen]
        age[np.isinf(age)] = np.nan
        numbers = {"age_s": age, **{name: col[chosen] for name, col in self._values.items()}}
        roster = self._roster if index is None else self._roster[index]
        return roster.with_columns(
            _times("time", self.time_ms[chosen]),
            *(pl.Series(name, values, nan_to_null=True) for name, values in numbers.items()),
            _flags("relay_closed", self.relay[chosen]),
            _times("relay_time", self._relay_ms[chosen]),
            _flags("relay_closed_before", self._relay_before[chosen]),
        )

    def silent_for(self, rows: Rows, now_ms: int, longer_than_s: float) -> Flags:
        """Say which of the meters have had no good row for longer than that."""
        stale: Flags = now_ms - self.time_ms[rows] > longer_than_s * 1000
        return stale


def _times(name: str, time_ms: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pl.Series:
    told = pl.Series(time_ms != _NEVER)
    times = pl.Series(name, np.where(time_ms == _NEVER, 0, time_ms)).cast(_TIME)
    return times.set(~told, None)


def _flags(name: str, state: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> pl.Series:
    return pl.Series(name, state == 1).set(pl.Series(state < 0), None)

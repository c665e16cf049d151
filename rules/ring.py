"""The last samples of every meter, in numpy: what evidence and baselines are taken from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
Rows = slice | Index


@dataclass(frozen=True, slots=True)
class Samples:
    """One good sample of each of n meters, in one order; a quantity not told is NaN.

    time_ms: Unix time, ms; power_w, voltage_v, current_a, power_factor: as measured.
    """

    time_ms: Times
    power_w: Floats
    voltage_v: Floats
    current_a: Floats
    power_factor: Floats

    def take(self, keep: Index | Flags) -> "Samples":
        """Return the samples of some of the meters."""
        return Samples(
            self.time_ms[keep],
            self.power_w[keep],
            self.voltage_v[keep],
            self.current_a[keep],
            self.power_factor[keep],
        )


@dataclass(frozen=True, slots=True)
class History:
    """Past samples of n meters: arrays of (depth, n), newest first, NaN where there is none."""

    power_w: Floats
    voltage_v: Floats
    current_a: Floats
    power_factor: Floats


class SampleRing:
    """The last `depth` good samples of each of `meters` meters; adding one is O(1) a meter.

    Slots come first and meters second, so that a sweep of neighbouring meters is written to
    neighbouring memory. Values are held as float32 (24 bits are more than any meter has).
    """

    def __init__(self, meters: int, depth: int = 300) -> None:
        self.depth = depth
        self._time_ms = np.zeros((depth, meters), np.int64)
        self._values = tuple(np.full((depth, meters), np.nan, np.float32) for _ in range(4))
        self._added = np.zeros(meters, np.int64)

    def add(self, rows: Rows, samples: Samples) -> None:
        """Add one sample to each of the meters of `rows` (no meter twice)."""
        added = self._added[rows]
        if not len(added):
            return
        columns = (samples.power_w, samples.voltage_v, samples.current_a, samples.power_factor)
        if isinstance(rows, slice) and (added == added[0]).all():
            at: tuple[int | Index, Rows] = (int(added[0]) % self.depth, rows)
        else:
            at = (added % self.depth, np.arange(len(self._added))[rows])
        self._time_ms[at] = samples.time_ms
        for ring, column in zip(self._values, columns, strict=True):
            ring[at] = column
        self._added[rows] += 1

    def before(self, index: Index, skip: int, depth: int) -> History:
        """Return up to `depth` samples of each meter, leaving out its newest `skip`."""
        back = np.arange(skip + 1, skip + depth + 1)[:, None]
        added = self._added[index][None, :]
        slot = (added - back) % self.depth
        missing = (back > added) | (back > self.depth)
        power, voltage, current, factor = (
            np.where(missing, np.nan, ring[slot, index[None, :]].astype(np.float64))
            for ring in self._values
        )
        return History(power, voltage, current, factor)

    def window(self, meter: int, count: int) -> tuple[Times, History]:
        """Return the times (ms) and the last `count` samples of one meter, oldest first."""
        count = int(min(count, self.depth, self._added[meter]))
        slot = (self._added[meter] - count + np.arange(count)) % self.depth
        power, voltage, current, factor = (
            ring[slot, meter].astype(np.float64) for ring in self._values
        )
        return self._time_ms[slot, meter], History(power, voltage, current, factor)

"""The last non-null value of each quantity of each meter, held in memory beside the store."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.frame import SWEEP_SCHEMA

NEVER_MS = np.iinfo(np.int64).min
VALUES: tuple[str, ...] = tuple(name for name in SWEEP_SCHEMA if name not in ("time", "meter"))
_CLEARED: dict[str, npt.DTypeLike] = {
    name: np.float64 if kind == pl.Float64() else np.int64
    for name, kind in SWEEP_SCHEMA.items()
    if name in VALUES
}


class LatestBoard:
    """Newest values by meter number (0, 1, 2, ...). Not thread-safe: its store holds a lock.

    A value is replaced by one of the same time or newer; a null never takes a value back.
    """

    def __init__(self) -> None:
        self._size = 0
        self._row_ms = np.empty(0, np.int64)
        self._times_ms = {name: np.empty(0, np.int64) for name in VALUES}
        self._values = {name: np.empty(0, kind) for name, kind in _CLEARED.items()}

    def take(self, numbers: npt.NDArray[np.int64], frame: pl.DataFrame) -> None:
        """Take over rows of SWEEP_SCHEMA; `numbers` are the meters' numbers, row by row."""
        if not len(numbers):
            return
        self._grow(int(numbers.max()) + 1)
        times_ms = frame["time"].to_physical().to_numpy()
        if np.any(np.diff(times_ms) < 0):
            # Assignment below lets the last row win, so rows must come in order of time.
            order = np.argsort(times_ms, kind="stable")
            numbers, times_ms, frame = numbers[order], times_ms[order], frame[order]
        newer = times_ms >= self._row_ms[numbers]
        self._row_ms[numbers[newer]] = times_ms[newer]
        for name in VALUES:
            self._take_value(name, numbers, times_ms, frame[name])

    def put(self, name: str, cells: pl.DataFrame) -> None:
        """Take over one quantity as `cells` gave it (`time`: the time of the last row)."""
        if cells.is_empty():
            return
        numbers = cells["number"].cast(pl.Int64).to_numpy()
        times_ms = cells["time_ms"].to_numpy()
        self._grow(int(numbers.max()) + 1)
        if name == "time":
            np.maximum.at(self._row_ms, numbers, times_ms)
        else:
            self._take_value(name, numbers, times_ms, cells["value"])

    def frame(self, names: Sequence[str], chosen: Sequence[int]) -> pl.DataFrame:
        """Return SWEEP_SCHEMA rows of the `chosen` numbers that have any; `names` by number."""
        seen = [
            number for number in chosen if number < self._size and self._row_ms[number] != NEVER_MS
        ]
        index = np.asarray(seen, np.int64)
        columns: dict[str, pl.Series] = {
            "time": pl.Series(self._row_ms[index]).cast(pl.Datetime("ms", "UTC")),
            "meter": pl.Series([names[number] for number in seen], dtype=pl.String()),
        }
        for name in VALUES:
            known = pl.Series(self._times_ms[name][index] != NEVER_MS)
            values = _typed(name, self._values[name][index])
            columns[name] = pl.select(pl.when(known).then(values)).to_series()
        return pl.DataFrame(columns, schema=SWEEP_SCHEMA)

    def cells(self, name: str) -> pl.DataFrame:
        """Return what is known of one quantity: number, time_ms, value (`time`: no value)."""
        times_ms = self._row_ms if name == "time" else self._times_ms[name]
        index = np.flatnonzero(times_ms != NEVER_MS)
        value = np.zeros(len(index)) if name == "time" else self._values[name][index]
        return pl.DataFrame({"number": index, "time_ms": times_ms[index], "value": value})

    def _take_value(
        self,
        name: str,
        numbers: npt.NDArray[np.int64],
        times_ms: npt.NDArray[np.int64],
        column: pl.Series,
    ) -> None:
        if column.null_count() == len(column):
            return
        newer = times_ms >= self._times_ms[name][numbers]
        physical = _physical(column)
        if column.null_count():
            newer &= column.is_not_null().to_numpy()
            physical = physical.fill_null(0)  # never looked at: `newer` leaves such rows out
        values = physical.to_numpy()
        if newer.all():
            index = numbers
        else:
            index, times_ms, values = numbers[newer], times_ms[newer], values[newer]
        self._times_ms[name][index] = times_ms
        self._values[name][index] = values

    def _grow(self, size: int) -> None:
        if size <= self._size:
            return
        more = max(size, 2 * self._size) - self._size
        never = np.full(more, NEVER_MS, np.int64)
        self._row_ms = np.concatenate([self._row_ms, never])
        for name in VALUES:
            self._times_ms[name] = np.concatenate([self._times_ms[name], never])
            self._values[name] = np.concatenate(
                [self._values[name], np.zeros(more, self._values[name].dtype)]
            )
        self._size += more


def _physical(column: pl.Series) -> pl.Series:
    return column if column.dtype.is_numeric() else column.to_physical().cast(pl.Int64)


def _typed(name: str, values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> pl.Series:
    series = pl.Series(values)
    if name == "quality":
        return series.cast(pl.UInt8).cat.to(SWEEP_SCHEMA["quality"])
    return series.cast(SWEEP_SCHEMA[name])

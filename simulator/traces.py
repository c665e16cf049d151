"""Recordings of real appliances: found lazily in a data folder, held as small arrays, played back.

A folder holds `samples.parquet`, `traces.parquet` and `events.parquet` (docs/traces.md). Only the
recordings that are played are read, and only the stretch that is played.
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from simulator.appliances import APPLIANCES, RECORDED_AS, RuleClass

FILES = ("samples.parquet", "traces.parquet", "events.parquet")
_COLUMNS = {
    "samples.parquet": {"trace_id", "t", "power_w", "reactive_var", "power_factor"},
    "traces.parquet": {"trace_id", "appliance", "rule_class", "median_period_s", "p_max_w"},
    "events.parquet": {"trace_id", "appliance", "rule_class", "t_on", "t_off", "p_on_w"},
}
_PAUSE_S = 600  # an active stretch of a base load may pause this long


@dataclass(frozen=True, slots=True)
class RecordedUse:
    """One recorded use of a high-power appliance: `t_on_s` to `t_off_s` of a trace."""

    trace_id: str
    appliance: str
    rule_class: RuleClass
    t_on_s: int
    t_off_s: int
    power_w: float

    @property
    def lasting_s(self) -> int:
        """How long the use lasts."""
        return self.t_off_s - self.t_on_s


@dataclass(frozen=True, slots=True)
class Recording:
    """A stretch of readings: seconds from its start, W and var. The last reading is held.

    `reactive_var` is None where the source measured neither reactive power nor power factor: the
    power factor of the appliance table is assumed then (1 for resistive ones).
    """

    trace_id: str
    appliance: str
    seconds: "array[int]"
    power_w: "array[float]"
    reactive_var: "array[float] | None"
    lasting_s: float

    def at(self, second: float) -> int:
        """Return the index of the reading that holds at that second (the first one before 0)."""
        return max(0, bisect_right(self.seconds, second) - 1)


class RecordedLoad:
    """A recording being played: readings at their real pace, each held until the next one.

    Powers are taken at face value, as they were measured. `loops` repeats a base load's stretch.
    """

    __slots__ = (
        "_offset_s",
        "loops",
        "on_s",
        "power_w",
        "ratio",
        "reactive_var",
        "recording",
        "resistive",
        "until_s",
    )  # fmt: skip

    def __init__(
        self, recording: Recording, on_s: float, *, loops: bool = False, offset_s: float = 0.0
    ) -> None:
        self.recording = recording
        self.on_s = on_s
        self.loops = loops
        self._offset_s = offset_s
        self.ratio = APPLIANCES[RECORDED_AS[recording.appliance]].reactive_ratio
        self.resistive = False
        self.power_w = 0.0
        self.reactive_var = 0.0
        self.until_s = on_s

    def settle(self, at_s: float) -> None:
        """Work out the power at a time not before the last one asked for."""
        record = self.recording
        second = at_s - self.on_s + self._offset_s
        began_s = self.on_s - self._offset_s
        if self.loops:
            rounds = second // record.lasting_s
            second -= rounds * record.lasting_s
            began_s += rounds * record.lasting_s
        elif second >= record.lasting_s:
            self.power_w = self.reactive_var = 0.0
            self.until_s = float("inf")
            return
        index = record.at(second)
        self.power_w = record.power_w[index]
        measured = record.reactive_var
        self.reactive_var = self.power_w * self.ratio if measured is None else measured[index]
        last = index + 1 >= len(record.seconds)
        ends_s = began_s + (record.lasting_s if last else record.seconds[index + 1])
        self.until_s = ends_s if ends_s > at_s else at_s + 0.001


class TraceLibrary:
    """The recordings of one folder.

    Raises InvalidInput with every fault when the folder is not one of recordings. `held` limits
    how many stretches are kept in memory; the least recently used ones go first.
    """

    def __init__(self, folder: Path, *, held: int = 256, base_each: int = 4) -> None:
        faults = _faults(folder)
        if faults:
            raise InvalidInput(faults)
        self.folder = folder
        self._samples = pl.scan_parquet(folder / "samples.parquet")
        self._traces = pl.read_parquet(folder / "traces.parquet")
        self._events = pl.read_parquet(folder / "events.parquet")
        self._held = held
        self._base_each = base_each
        self._uses: OrderedDict[RecordedUse, Recording] = OrderedDict()
        self._base: dict[str, tuple[Recording, ...]] = {}

    @classmethod
    def find(cls, folder: Path | None) -> "TraceLibrary | None":
        """Open a folder of recordings if it is there; None without one."""
        if folder is None or not all((folder / name).is_file() for name in FILES):
            return None
        return cls(folder)

    def uses(
        self,
        rule_class: RuleClass = "forbidden",
        *,
        lowest_w: float = 300.0,
        lasting_s: float = 20.0,
    ) -> list[RecordedUse]:
        """List the complete recorded uses of a class with at least that power and length."""
        wanted = self._events.filter(
            pl.col("rule_class") == rule_class,
            pl.col("p_on_w") >= lowest_w,
            pl.col("t_off") - pl.col("t_on") >= lasting_s,
            pl.col("complete"),
            pl.col("appliance").is_in(list(RECORDED_AS)),
        ).sort("trace_id", "t_on")
        names = ("trace_id", "appliance", "rule_class", "t_on", "t_off", "p_on_w")
        return [RecordedUse(*row) for row in wanted.select(names).iter_rows()]

    def preload(self, uses: Iterable[RecordedUse]) -> None:
        """Read many uses in one scan; a use that is not preloaded is read when it is played."""
        missing = [use for use in uses if use not in self._uses][: self._held]
        if not missing:
            return
        frame = self._read({use.trace_id for use in missing})
        parts = {
            str(key[0]): part for key, part in frame.partition_by("trace_id", as_dict=True).items()
        }
        for use in missing:
            part = parts[use.trace_id].filter(pl.col("t").is_between(use.t_on_s, use.t_off_s - 1))
            self._uses[use] = _recording(use.appliance, part, use.lasting_s)
        while len(self._uses) > self._held:
            self._uses.popitem(last=False)

    def use(self, use: RecordedUse) -> Recording:
        """Return the readings of one use, from its first reading over the event's threshold."""
        if use not in self._uses:
            self.preload([use])
        self._uses.move_to_end(use)
        return self._uses[use]

    def base(self, appliance: str, *, highest_w: float, period_s: float) -> tuple[Recording, ...]:
        """Return active stretches of a benign class, with peaks up to `highest_w`.

        `period_s` is the coarsest reporting period taken: where a start transient of a second
        matters, holding a slow recording would turn it into a plateau that never was.
        """
        if appliance not in self._base:
            chosen = self._traces.filter(
                pl.col("appliance") == appliance,
                pl.col("p_max_w").is_between(1.0, highest_w),
                pl.col("median_period_s") <= period_s,
                pl.col("duration_s") >= 3600,
            ).sort("trace_id")["trace_id"]
            spread = chosen.gather_every(max(1, len(chosen) // self._base_each))
            picked = set(spread.head(self._base_each))
            frame = self._read(picked) if picked else None
            parts = [] if frame is None else frame.partition_by("trace_id", maintain_order=True)
            self._base[appliance] = tuple(_stretch(appliance, part) for part in parts)
        return self._base[appliance]

    def _read(self, trace_ids: set[str]) -> pl.DataFrame:
        reactive = pl.coalesce(
            pl.col("reactive_var"),
            pl.col("power_w") * (1.0 / pl.col("power_factor").abs().pow(2) - 1.0).clip(0).sqrt(),
        )
        return (
            self._samples.filter(pl.col("trace_id").is_in(list(trace_ids)))
            .select("trace_id", "t", "power_w", reactive.fill_nan(None).alias("reactive_var"))
            .collect()
            .sort("trace_id", "t")
        )


def _faults(folder: Path) -> list[Fault]:
    faults = []
    for name in FILES:
        path = folder / name
        if not path.is_file():
            faults.append(Fault(str(path), "a folder of recordings needs this file"))
            continue
        absent = _COLUMNS[name] - set(pl.read_parquet_schema(path))
        if absent:
            faults.append(Fault(str(path), f"columns are missing: {', '.join(sorted(absent))}"))
    return faults


def _recording(appliance: str, readings: pl.DataFrame, lasting_s: float) -> Recording:
    seconds = readings["t"].to_numpy()
    start = int(seconds[0]) if len(seconds) else 0
    reactive = readings["reactive_var"]
    return Recording(
        trace_id=str(readings["trace_id"][0]),
        appliance=appliance,
        seconds=array("i", (seconds - start).astype(np.int32).tobytes()),
        power_w=array("f", readings["power_w"].to_numpy().astype(np.float32).tobytes()),
        # a gap in the measured Q would be a made-up value: use it only where it is whole
        reactive_var=None
        if reactive.null_count()
        else array("f", reactive.to_numpy().astype(np.float32).tobytes()),
        lasting_s=float(lasting_s),
    )


def _stretch(appliance: str, readings: pl.DataFrame) -> Recording:
    """Cut the longest active stretch out of a long recording."""
    power_w = readings["power_w"].to_numpy()
    seconds = readings["t"].to_numpy()
    active = np.flatnonzero(power_w > 0.1 * np.percentile(power_w, 99))
    if len(active) < 2:
        active = np.arange(len(power_w))
    breaks = np.flatnonzero(np.diff(seconds[active]) > _PAUSE_S)
    firsts = active[np.concatenate(([0], breaks + 1))]
    lasts = active[np.concatenate((breaks, [len(active) - 1]))]
    longest = int(np.argmax(seconds[lasts] - seconds[firsts]))
    first, last = int(firsts[longest]), int(lasts[longest])
    part = readings.slice(first, last - first + 1)
    return _recording(appliance, part, max(1.0, float(seconds[last] - seconds[first])))

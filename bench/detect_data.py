"""Recorded appliances as the benchmark sees them: traces, device-days and uses, from a folder.

The folder holds samples.parquet, traces.parquet and events.parquet (columns: docs/detection.md).
A class or a measured quantity that is absent is absent; nothing is made up for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault

Array = npt.NDArray[np.float32]
DAY_S = 86_400
MEASURED = ("power_w", "reactive_var", "current_a", "voltage_v", "power_factor")
FILES = ("samples.parquet", "traces.parquet", "events.parquet")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "samples.parquet": ("trace_id", "t", "power_w"),
    "traces.parquet": ("trace_id", "appliance", "rule_class", "median_period_s"),
    "events.parquet": ("trace_id", "t_on", "t_off"),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """One recording on its own clock: `t` in s from its start, readings held until the next.

    `start_s` is its start as local seconds of the day (None: not known), `day` names its source
    day. `reactive_var` and `distortion_var` are None where the source cannot tell them.
    """

    id: str
    appliance: str
    group: str
    rule_class: str
    session: str
    period_s: float
    day: str
    start_s: int | None
    t: npt.NDArray[np.int32]
    power_w: Array
    reactive_var: Array | None = None
    distortion_var: Array | None = None
    voltage_v: Array | None = None

    @property
    def has_reactive(self) -> bool:
        """Whether its non-active power was measured."""
        return self.distortion_var is not None

    def at(self, seconds: npt.NDArray[np.int64], column: Array) -> Array:
        """Return the reading in force at each second; 0 before the first."""
        place = np.searchsorted(self.t, seconds, side="right") - 1
        return np.where(place >= 0, column[np.maximum(place, 0)], np.float32(0))


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a high-power appliance inside a trace, s on the trace's clock."""

    trace: Trace
    on_s: int
    off_s: int
    lasted_s: int


@dataclass(slots=True)
class Recordings:
    """Everything in the folder, by appliance and source day."""

    traces: dict[str, Trace] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)

    def days(self, appliances: tuple[str, ...], period_s: float) -> dict[str, list[Trace]]:
        """Return the source days of some appliances (names or name starts) whose every recording
        is at least as fine as the sampling period."""
        chosen: dict[str, list[Trace]] = {}
        for trace in self.traces.values():
            if trace.appliance.startswith(appliances):
                chosen.setdefault(trace.day, []).append(trace)
        fine = {
            day: parts
            for day, parts in chosen.items()
            if all(part.period_s <= period_s for part in parts)
        }
        return dict(sorted(fine.items()))


def load(folder: Path) -> Recordings:
    """Read a folder of recordings. Raises InvalidInput naming every absent file and column."""
    tables = _tables(folder)
    samples = tables["samples.parquet"].with_row_index("row")
    bounds = samples.group_by("trace_id", maintain_order=True).agg(
        first=pl.col("row").min(), last=pl.col("row").max(), n=pl.len()
    )
    if (bounds["last"] - bounds["first"] + 1 != bounds["n"]).any():
        samples = samples.sort("trace_id", "t", maintain_order=True).drop("row")
        samples = samples.with_row_index("row")
        bounds = samples.group_by("trace_id", maintain_order=True).agg(
            first=pl.col("row").min(), last=pl.col("row").max(), n=pl.len()
        )
    columns = {
        name: samples[name].cast(pl.Float32).fill_null(float("nan")).to_numpy()
        if name in samples.columns
        else np.full(samples.height, np.nan, np.float32)
        for name in MEASURED
    }
    t = samples["t"].cast(pl.Int32).to_numpy()
    recordings = Recordings()
    places = bounds.join(tables["traces.parquet"], on="trace_id", how="inner")
    for row in places.iter_rows(named=True):
        part = slice(row["first"], row["last"] + 1)
        own = {name: column[part] for name, column in columns.items()}
        recordings.traces[row["trace_id"]] = _trace(row, t[part], own)
    recordings.uses = _uses(tables["events.parquet"], recordings.traces)
    return recordings


def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    faults: list[Fault] = []
    tables: dict[str, pl.DataFrame] = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            faults.append(Fault(str(path), "no such file; see docs/detection.md for the format"))
            continue
        tables[name] = pl.read_parquet(path)
        missing = [c for c in NEEDED[name] if c not in tables[name].columns]
        faults += [Fault(str(path), f"column {column} is missing") for column in missing]
    if faults:
        raise InvalidInput(faults)
    return tables


def _trace(row: Mapping[str, object], t: npt.NDArray[np.int32], own: Mapping[str, Array]) -> Trace:
    start = str(row.get("start") or "")
    device = str(row.get("device") or row.get("device_group") or row["appliance"])
    start_s = _seconds_of_day(start)
    power = np.nan_to_num(own["power_w"], nan=0.0)
    reactive, distortion = _non_active(power, own)
    voltage = own["voltage_v"]
    return Trace(
        id=str(row["trace_id"]),
        appliance=str(row["appliance"]),
        group=str(row.get("device_group") or device),
        rule_class=str(row.get("rule_class") or ""),
        session=str(row.get("session") or ""),
        period_s=float(str(row["median_period_s"])),
        day=f"{device} {start[:10] or row['trace_id']}",
        start_s=start_s,
        t=t,
        power_w=power,
        reactive_var=reactive,
        distortion_var=distortion,
        voltage_v=None if np.isnan(voltage).all() else voltage,
    )


def _seconds_of_day(start: str) -> int | None:
    if len(start) < 19:
        return None
    hours, minutes, seconds = (int(part) for part in start[11:19].split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _non_active(power: Array, own: Mapping[str, Array]) -> tuple[Array | None, Array | None]:
    """Split the measured non-active power into Q (signed, as measured) and the rest, distortion.

    Where Q was not measured all of it is the rest. S is P/PF, or V*I where PF is not usable.
    """
    factor, current, voltage = own["power_factor"], own["current_a"], own["voltage_v"]
    with np.errstate(all="ignore"):
        by_factor = np.where(np.abs(factor) >= 0.05, np.abs(power / factor), np.nan)
        apparent = np.where(np.isnan(by_factor), voltage * current, by_factor)
    if np.isnan(apparent).mean() > 0.5:
        return None, None
    measured = not np.isnan(own["reactive_var"]).mean() > 0.5
    reactive = np.nan_to_num(own["reactive_var"], nan=0.0) if measured else np.zeros_like(power)
    rest = np.nan_to_num(apparent, nan=0.0) ** 2 - power**2 - reactive**2
    return reactive, np.sqrt(np.maximum(rest, 0.0)).astype(np.float32)


def _uses(events: pl.DataFrame, traces: Mapping[str, Trace]) -> list[Use]:
    uses: list[Use] = []
    for row in events.sort("trace_id", "t_on").iter_rows(named=True):
        trace = traces.get(row["trace_id"])
        if trace is None or row.get("complete") is False:
            continue
        lasted = row.get("on_seconds")
        on_s, off_s = int(row["t_on"]), int(row["t_off"])
        uses.append(Use(trace, on_s, off_s, int(off_s - on_s if lasted is None else lasted)))
    return uses

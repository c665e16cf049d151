"""Turns the public tracebase folder of CSV files into the recordings that the simulator plays.

Expected: `<part>/<Appliance>/<plug>_<YYYY.MM.DD>.csv` with lines
`dd/mm/yyyy HH:MM:SS;power;power averaged over 8 s`, for the parts in PARTS. docs/traces.md tells
what is kept and how it is cut.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from simulator.appliances import RuleClass
from simulator.trace_cut import Event, Readings, Segment, busiest_days, cut_uses, find_events

PARTS = ("complete", "incomplete", "australia")  # "synthetic" repeats traces padded with zeros
FAULTS_LISTED = 1000
HIGHEST_W = 100_000.0
BENIGN_DAYS = 3
SEGMENTS_A_PLUG = 25
EVENT_SHARE = 0.3  # of the plug's peak: above it the appliance is on

# Folder name -> appliance and what the house rules say of it. What is not named here is left out:
# washing machines, dishwashers and dryers (not dormitory loads), WaterBoiler (a pump by its power),
# WaterFountain (a compressor), XmasLights and everything too small or too rare to matter.
CLASSES: Mapping[str, tuple[str, RuleClass]] = {
    "BeanToCupCoffeemaker": ("BeanToCupCoffeemaker", "forbidden"),
    "Coffeemaker": ("Coffeemaker", "forbidden"),
    "Cookingstove": ("Cookingstove", "forbidden"),
    "Toaster": ("Toaster", "forbidden"),
    "WaterKettle": ("WaterKettle", "forbidden"),
    "HairDryer": ("HairDryer", "limited"),
    "Iron": ("Iron", "limited"),
    "MicrowaveOven": ("MicrowaveOven", "limited"),
    "Printer": ("Printer", "benign"),
    "VacuumCleaner": ("VacuumCleaner", "benign"),
    "Amplifier": ("Amplifier", "benign"),
    "Charger-Smartphone": ("Charger-Smartphone", "benign"),
    "EthernetSwitch": ("EthernetSwitch", "benign"),
    "Freezer": ("Freezer", "benign"),
    "Lamp": ("Lamp", "benign"),
    "Desk_lamp": ("Lamp", "benign"),
    "MacBookPro_13in": ("PC-Laptop", "benign"),
    "Monitor-TFT": ("Monitor-TFT", "benign"),
    "Monitor_19in": ("Monitor-TFT", "benign"),
    "Monitor_24in": ("Monitor-TFT", "benign"),
    "PC-Desktop": ("PC-Desktop", "benign"),
    "PC-Laptop": ("PC-Laptop", "benign"),
    "Playstation3": ("Playstation3", "benign"),
    "Refrigerator": ("Refrigerator", "benign"),
    "Router": ("Router", "benign"),
    "TV-CRT": ("TV-CRT", "benign"),
    "TV-LCD": ("TV-LCD", "benign"),
}
HIGH_POWER = frozenset({"Printer", "VacuumCleaner"})  # cut by uses although benign
# One recording stands in two folders; the flat screen's is the true one.
LEFT_OUT = frozenset({("Monitor-CRT", "dev_B7BE29")})

_LINE = r"^\s*(\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2})\s*;\s*(\d+(?:\.\d+)?)\s*(?:;[^;]*)?\s*$"
_NAME = re.compile(r"^(?P<plug>.+?)_\d{4}\.\d{2}\.\d{2}")
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class ImportReport:
    """What an import did: counts, folders left out, and the faults (the first 1000 are listed)."""

    files: int = 0
    lines: int = 0
    bad_lines: int = 0
    traces: int = 0
    samples: int = 0
    events: int = 0
    left_out: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def note(self, fault: Fault) -> None:
        """List a fault while there is room."""
        if len(self.faults) < FAULTS_LISTED:
            self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class _Plug:
    appliance: str
    rule_class: RuleClass
    device: str
    files: tuple[Path, ...]

    @property
    def high_power(self) -> bool:
        return self.rule_class != "benign" or self.appliance in HIGH_POWER


def import_traces(folder: Path, out: Path, progress: Progress | None = None) -> ImportReport:
    """Convert a tracebase folder into `samples`, `traces` and `events` parquet files in `out`.

    `progress(done, total, file)` is called after each file. Bad lines and files that can't be
    read are counted and listed, never fatal. Raises InvalidInput when the folder holds nothing to
    import or `out` already holds recordings.
    """
    report = ImportReport()
    plugs = _plugs(folder, report)
    if not plugs:
        wanted = ", ".join(f"{part}/<Appliance>" for part in PARTS)
        raise InvalidInput([Fault(str(folder), f"no recordings found: expected {wanted}/*.csv")])
    if any((out / name).exists() for name in ("samples.parquet", "traces.parquet")):
        raise InvalidInput([Fault(str(out), "already holds recordings: name an empty folder")])
    total = sum(len(plug.files) for plug in plugs)
    tables = _Tables()
    for plug in plugs:
        _import_plug(plug, folder, tables, report, progress, total)
    tables.write(out, report)
    return report


def _plugs(folder: Path, report: ImportReport) -> list[_Plug]:
    found: dict[tuple[str, RuleClass, str], list[Path]] = {}
    for part in PARTS:
        for place in sorted(p for p in (folder / part).glob("*") if p.is_dir()):
            if place.name not in CLASSES:
                report.left_out.append(f"{part}/{place.name}")
                continue
            appliance, rule_class = CLASSES[place.name]
            for path in sorted(place.glob("*.csv")):
                name = _NAME.match(path.stem)
                device = name["plug"] if name else path.stem
                if (place.name, device) not in LEFT_OUT:
                    found.setdefault((appliance, rule_class, device), []).append(path)
    return [
        _Plug(appliance, rule_class, device, tuple(files))
        for (appliance, rule_class, device), files in sorted(found.items())
    ]


def _import_plug(
    plug: _Plug,
    folder: Path,
    tables: "_Tables",
    report: ImportReport,
    progress: Progress | None,
    total: int,
) -> None:
    days: list[Readings] = []
    for path in plug.files:
        readings = _read(path, folder, report)
        if readings is not None:
            days.append(readings)
        report.files += 1
        if progress is not None:
            progress(report.files, total, str(path.relative_to(folder)))
    if not days:
        return
    threshold_w = None
    if plug.high_power:
        peak_w = max(float(day.power_w.max()) for day in days)
        threshold_w = float(round(EVENT_SHARE * peak_w))
        segments = cut_uses(days, max(threshold_w, 1.0), most=SEGMENTS_A_PLUG)
    else:
        segments = busiest_days(days, most=BENIGN_DAYS)
    for number, segment in enumerate(segments):
        events = [] if threshold_w is None else find_events(segment, threshold_w)
        tables.add(plug, number, segment, threshold_w, events)


def _read(path: Path, folder: Path, report: ImportReport) -> Readings | None:
    """Read one file: sorted by time, the last reading of a second kept, nothing else changed."""
    source = str(path.relative_to(folder))
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        report.note(Fault(source, f"can't be read: {error.strerror}"))
        return None
    lines = pl.DataFrame({"line": text.splitlines()}, schema={"line": pl.String()}).with_row_index(
        "number", offset=1
    )
    lines = lines.filter(pl.col("line").str.strip_chars() != "")
    parsed = lines.with_columns(
        time=pl.col("line")
        .str.extract(_LINE, 1)
        .str.to_datetime("%d/%m/%Y %H:%M:%S", strict=False),
        power_w=pl.col("line").str.extract(_LINE, 2).cast(pl.Float32, strict=False),
    )
    good = pl.col("time").is_not_null() & (pl.col("power_w") <= HIGHEST_W).fill_null(value=False)
    bad = parsed.filter(~good)
    report.lines += parsed.height
    report.bad_lines += bad.height
    for number, line in bad.head(FAULTS_LISTED).select("number", "line").iter_rows():
        report.note(
            Fault(f"{source}:{number}", "expected dd/mm/yyyy HH:MM:SS;watts;watts", line[:60])
        )
    kept = (
        parsed.filter(good)
        .sort("time", maintain_order=True)
        .unique("time", keep="last", maintain_order=True)
    )
    if kept.is_empty():
        return None
    return Readings(
        source,
        kept["time"].dt.epoch("s").to_numpy().astype(np.int64),
        kept["power_w"].to_numpy(),
    )


class _Tables:
    """The three tables as they grow."""

    def __init__(self) -> None:
        self._samples: list[pl.DataFrame] = []
        self._traces: list[dict[str, object]] = []
        self._events: list[dict[str, object]] = []

    def add(
        self,
        plug: _Plug,
        number: int,
        segment: Segment,
        threshold_w: float | None,
        events: Sequence[Event],
    ) -> None:
        """Add one trace with its events."""
        trace_id = f"tracebase-{plug.appliance}-{plug.device}-{number:02d}"
        t: npt.NDArray[np.int64] = segment.seconds - segment.seconds[0]
        keys = {"trace_id": trace_id, "appliance": plug.appliance, "device": plug.device}
        malignant = plug.rule_class == "forbidden"
        empty = pl.lit(None, pl.Float32)
        self._samples.append(
            pl.DataFrame({"t": t.astype(np.int32), "power_w": segment.power_w}).select(
                *(pl.lit(value).alias(name) for name, value in keys.items()),
                pl.lit(malignant).alias("malignant"),
                "t",
                pl.col("power_w").cast(pl.Float32),
                *(empty.alias(name) for name in _NOT_MEASURED),
            )
        )
        gaps = np.diff(t)
        self._traces.append(
            {
                **keys,
                "device_group": f"{plug.appliance}-{plug.device}",
                "source": "tracebase",
                "source_file": segment.source,
                "session": None,
                "rule_class": plug.rule_class,
                "malignant": malignant,
                "split_by": None,
                "start": datetime.fromtimestamp(int(segment.seconds[0]), UTC)
                .replace(tzinfo=None)
                .isoformat(),
                "n_samples": len(t),
                "duration_s": int(t[-1]),
                "median_period_s": float(np.median(gaps)) if len(gaps) else 0.0,
                "max_gap_s": int(gaps.max()) if len(gaps) else 0,
                "p_max_w": float(segment.power_w.max()),
                "has_pf": False,
                "has_q": False,
                "event_threshold_w": threshold_w,
                "n_events": len(events),
                "note": None,
            }
        )
        self._events += [{**keys, "rule_class": plug.rule_class, **e.as_row()} for e in events]

    def write(self, out: Path, report: ImportReport) -> None:
        """Write the three files whole: each appears under its name only when it is complete."""
        out.mkdir(parents=True, exist_ok=True)
        samples = pl.concat(self._samples)
        traces = pl.DataFrame(self._traces, schema=TRACES_SCHEMA)
        events = pl.DataFrame(self._events, schema=EVENTS_SCHEMA)
        for name, frame in _named(samples, traces, events):
            unfinished = out / f"{name}.part"
            frame.write_parquet(unfinished, compression="zstd", row_group_size=65_536)
            unfinished.rename(out / name)
        report.traces, report.samples, report.events = traces.height, samples.height, events.height


def _named(
    samples: pl.DataFrame, traces: pl.DataFrame, events: pl.DataFrame
) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "events.parquet", events
    yield "traces.parquet", traces
    yield "samples.parquet", samples


_NOT_MEASURED = ("reactive_var", "current_a", "voltage_v", "power_factor")
_TEXT, _WHOLE, _REAL, _YES_NO = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
TRACES_SCHEMA: dict[str, pl.DataType] = {
    "trace_id": _TEXT, "appliance": _TEXT, "device": _TEXT, "device_group": _TEXT,
    "source": _TEXT, "source_file": _TEXT, "session": _TEXT, "rule_class": _TEXT,
    "malignant": _YES_NO, "split_by": _TEXT, "start": _TEXT, "n_samples": _WHOLE,
    "duration_s": _WHOLE, "median_period_s": _REAL, "max_gap_s": _WHOLE, "p_max_w": _REAL,
    "has_pf": _YES_NO, "has_q": _YES_NO, "event_threshold_w": _REAL, "n_events": _WHOLE,
    "note": _TEXT,
}  # fmt: skip
EVENTS_SCHEMA: dict[str, pl.DataType] = {
    "trace_id": _TEXT, "appliance": _TEXT, "device": _TEXT, "rule_class": _TEXT, "t_on": _WHOLE,
    "t_off": _WHOLE, "p_on_w": _REAL, "p_before_w": _REAL, "n_bursts": _WHOLE,
    "on_seconds": _WHOLE, "complete": _YES_NO,
}  # fmt: skip

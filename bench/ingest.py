"""Line protocol, durable appends, reads of one meter's day, and the recorder's catch-up.

Each figure is taken in turns with its peer's, so that noise of the machine hits both alike.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from influxdb_client.client.write.point import Point
from influxdb_client.domain.write_precision import WritePrecision

from bench.influxd import running_influxd
from bench.report import Line, Report
from domain.clock import SystemClock
from domain.frame import SWEEP_SCHEMA, frame_to_bytes
from domain.ports import StreamRecord, TimeSeries
from domain.site import Meter, RoomKind
from storage.duckdb_series import DuckDbSeries
from storage.influx_series import InfluxSeries
from storage.influx_settings import InfluxSettings
from storage.line_protocol import SeriesKeys, encode
from storage.recorder import Recorder
from storage.spool import SqliteSpool

POINT_RATIO_LEAST = 30.0
DURABLE_RATIO_LEAST = 5.0
QUERY_RATIO_MOST = 0.5
CATCH_UP_LEAST = 50.0
BATCH_ROWS = 10_000
START = datetime(2026, 3, 2, tzinfo=UTC)
# 324 meters, a sweep of 27 in 1.4 s on each of 12 buses.
LIVE_ROWS_S = 324 / 1.4
_FIELDS = tuple(
    name for name in SWEEP_SCHEMA if name not in ("time", "meter", "balance_minor")
)  # eight of them
# The client is typed only in part.
_Point: Any = Point
_MILLISECONDS: Any = WritePrecision.MS


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: rows of line protocol, batches appended, meters of the day, sweeps."""

    line_rows: int = 100_000
    batches: int = 60
    day_meters: int = 1_000
    sweeps: int = 600
    repeats: int = 5


FULL = Sizes()
QUICK = Sizes(line_rows=20_000, batches=12, day_meters=100, sweeps=60, repeats=3)


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Measure how fast readings become stored, and how fast they are found again."""
    del data  # what the rooms draw makes no difference here
    sizes = QUICK if quick else FULL
    report = Report("ingest")
    _line_protocol(report, sizes)
    with tempfile.TemporaryDirectory(prefix="wattwarden-bench-") as folder:
        with running_influxd(Path(folder) / "influxd") as url:
            _durable(report, sizes, Path(folder), url)
            _one_meter_day(report, sizes, Path(folder), url)
        _catch_up(report, sizes, Path(folder))
    return report


def _line_protocol(report: Report, sizes: Sizes) -> None:
    frame = readings(sizes.line_rows, 1_000)
    few = frame.head(max(sizes.line_rows // 30, 500)).to_dicts()
    tags = {
        name: {"site": "demo", "building": "b1", "room": "101", "meter": name}
        for name in names(1_000)
    }
    keys = SeriesKeys("meter", tags)
    ours, points = [], []
    for _ in range(sizes.repeats):
        ours.append(frame.height / seconds(lambda: encode(frame, keys, _FIELDS).payload()) / 1e3)
        points.append(len(few) / seconds(lambda: _points(few)) / 1e3)
    value, peer = max(ours), max(points)
    ratio = value / peer
    report.lines.append(
        Line(
            "line protocol, 4 tags, 8 fields", f"{value:.0f} kpoints/s",
            f"influxdb_client Point {peer:.0f}", f">= {POINT_RATIO_LEAST:g}x", f"{ratio:.1f}x",
        )
    )  # fmt: skip
    report.bar(
        "line protocol / influxdb_client.Point", ratio, POINT_RATIO_LEAST, "x", at_most=False
    )
    report.figures |= {"line_protocol_kpoints_s": value, "point_kpoints_s": peer}
    _questdb(report, frame.head(len(few)), value)


def _points(rows: list[dict[str, Any]]) -> bytes:
    lines = []
    for row in rows:
        point = _Point("meter").tag("site", "demo").tag("building", "b1").tag("room", "101")
        point.tag("meter", row["meter"])
        for name in _FIELDS:
            point.field(name, row[name])
        lines.append(point.time(row["time"], _MILLISECONDS).to_line_protocol())
    return "\n".join(lines).encode()


def _questdb(report: Report, frame: pl.DataFrame, ours: float) -> None:
    if find_spec("questdb") is None:
        report.lines.append(Line("line protocol", "", "questdb not installed", "", "not measured"))
        return
    questdb: Any = import_module("questdb.ingress")
    rows = frame.to_dicts()

    def fill() -> bytes:
        buffer = questdb.Buffer(protocol_version=1)
        for row in rows:
            buffer.row(
                "meter",
                symbols={"site": "demo", "building": "b1", "room": "101", "meter": row["meter"]},
                columns={name: row[name] for name in _FIELDS},
                at=questdb.TimestampNanos.from_datetime(row["time"]),
            )
        return bytes(buffer)

    peer = len(rows) / min(seconds(fill) for _ in range(3)) / 1e3
    report.lines.append(
        Line(
            "line protocol",
            f"{ours:.0f} kpoints/s",
            f"questdb buffer {peer:.0f}",
            "",
            f"{ours / peer:.1f}x",
        )
    )
    report.figures["questdb_kpoints_s"] = peer


def _durable(report: Report, sizes: Sizes, folder: Path, url: str | None) -> None:
    batches = [readings(BATCH_ROWS, 324, first=n * BATCH_ROWS) for n in range(sizes.batches)]
    ours = DuckDbSeries(folder / "append.duckdb")
    theirs = influx(url, "append")
    times: dict[str, list[float]] = {"duckdb": [], "influxdb": []}
    for number, batch in enumerate(batches):
        times["duckdb"].append(seconds(lambda frame=batch: ours.write(frame)))  # type: ignore[misc]
        # InfluxDB is slower by far; every third batch tells as much and keeps the run short.
        if theirs is not None and number % 3 == 0:
            times["influxdb"].append(seconds(lambda frame=batch: theirs.write(frame)))  # type: ignore[misc]
    settling_s = seconds(lambda: ours.tidy(settle=True))
    ours.close()
    value = _rate(times["duckdb"])
    sustained = len(batches) * BATCH_ROWS / (sum(times["duckdb"]) + settling_s) / 1e3
    report.lines.append(
        Line(
            "durable append, settling by meter included",
            f"{sustained:.0f} krows/s",
            "the keeper's sort added",
        )
    )
    report.figures |= {"duckdb_durable_krows_s": value, "duckdb_settled_krows_s": sustained}
    shown = f"{value:.0f} krows/s"
    if theirs is None:
        report.lines.append(
            Line("durable append, DuckDB", shown, "influxd missing", "", "not measured")
        )
        return
    theirs.close()
    peer = _rate(times["influxdb"])
    ratio = value / peer
    report.lines.append(
        Line(
            "durable append, DuckDB", shown, f"InfluxDB 1.6 {peer:.0f}",
            f">= {DURABLE_RATIO_LEAST:g}x", f"{ratio:.1f}x",
        )
    )  # fmt: skip
    report.bar("durable append, DuckDB / InfluxDB", ratio, DURABLE_RATIO_LEAST, "x", at_most=False)
    report.figures["influxdb_durable_krows_s"] = peer


def _rate(times: list[float]) -> float:
    """Return krows/s over all batches but the first, which opens connections and caches."""
    rest = times[1:] or times
    return len(rest) * BATCH_ROWS / sum(rest) / 1e3


def _one_meter_day(report: Report, sizes: Sizes, folder: Path, url: str | None) -> None:
    ours = DuckDbSeries(folder / "day.duckdb")
    theirs = influx(url, "day")
    stores: list[TimeSeries] = [ours] if theirs is None else [ours, theirs]
    for store in stores:
        _store_a_day(store, sizes.day_meters)
    ours.tidy(settle=True)
    asked = [[name] for name in names(sizes.day_meters)[:: max(sizes.day_meters // 20, 1)]]

    def read(store: TimeSeries, meter: list[str]) -> float:
        return 1e3 * seconds(
            lambda: store.window(START, START + timedelta(days=1), meter, ["power_w", "current_a"])
        )

    found: list[list[float]] = [[] for _ in stores]
    for meter in asked:
        for store, times in zip(stores, found, strict=True):
            times.append(read(store, meter))
    latest = [1e3 * min(seconds(store.latest) for _ in range(3)) for store in stores]
    for store in stores:
        store.close()
    _show_reads(report, [median(times) for times in found], latest)


def _show_reads(report: Report, reads: list[float], latest: list[float]) -> None:
    report.figures |= {"duckdb_meter_day_ms": reads[0], "duckdb_latest_ms": latest[0]}
    day, last = f"{reads[0]:.1f} ms", f"{latest[0]:.1f} ms"
    if len(reads) == 1:
        report.lines.append(
            Line("one meter's day, DuckDB", day, "influxd missing", "", "not measured")
        )
        report.lines.append(
            Line("latest of all meters", last, "influxd missing", "", "not measured")
        )
        return
    ratio = reads[0] / reads[1]
    report.lines += [
        Line(
            "one meter's day, DuckDB", day, f"InfluxDB 1.6 {reads[1]:.1f} ms",
            f"<= {QUERY_RATIO_MOST:g}x", f"{ratio:.2f}x",
        ),
        Line(
            "latest of all meters", last, f"InfluxDB 1.6 {latest[1]:.1f} ms", "",
            f"{latest[0] / latest[1]:.2f}x",
        ),
    ]  # fmt: skip
    report.bar("one meter's day, DuckDB / InfluxDB", ratio, QUERY_RATIO_MOST, "x", at_most=True)
    report.figures |= {"influxdb_meter_day_ms": reads[1], "influxdb_latest_ms": latest[1]}


def _store_a_day(store: TimeSeries, meters: int) -> None:
    rows = 1_440 * meters
    for first in range(0, rows, 5 * BATCH_ROWS):
        store.write(
            readings(min(5 * BATCH_ROWS, rows - first), meters, first=first, every_ms=60_000)
        )


def _catch_up(report: Report, sizes: Sizes, folder: Path) -> None:
    spool = SqliteSpool(folder / "spool.db")
    store = DuckDbSeries(folder / "catch-up.duckdb")
    recorder = Recorder(spool, store, SystemClock(), lambda _: None)
    published = []
    for sweep in range(sizes.sweeps * 12):
        payload = frame_to_bytes(readings(27, 324, first=sweep * 27))
        published.append(spool.publish(StreamRecord(f"sweep-{sweep}", "sweep", payload)))
    for future in published:
        future.result(60)

    def drain() -> None:
        while recorder.step():
            pass

    rows_s = sizes.sweeps * 324 / seconds(drain)
    times = rows_s / LIVE_ROWS_S
    recorder.stop()
    stats = recorder.stats
    store.close()
    spool.close()
    report.lines.append(
        Line(
            "catch-up, spool to store with rollups", f"{rows_s / 1e3:.1f} krows/s",
            f"live {LIVE_ROWS_S:.0f} rows/s", f">= {CATCH_UP_LEAST:g}x", f"{times:.0f}x",
        )
    )  # fmt: skip
    report.bar("catch-up / real time", times, CATCH_UP_LEAST, "x", at_most=False)
    report.figures |= {"catch_up_rows_s": rows_s, "catch_up_rollup_rows": stats.rollup_rows}


def influx(url: str | None, database: str) -> InfluxSeries | None:
    """Return the adapter on a fresh database, or None without a server."""
    if url is None:
        return None
    store = InfluxSeries(InfluxSettings(url=url, database=database, site="demo"))
    store.describe([_meter(name) for name in names(1_000)])
    return store


def names(meters: int) -> list[str]:
    """Return that many meter names."""
    return [f"b{1 + n // 54}-{101 + n % 54}-{n:04d}" for n in range(meters)]


def readings(rows: int, meters: int, *, first: int = 0, every_ms: int = 1_400) -> pl.DataFrame:
    """Return rows of SWEEP_SCHEMA, the meters in turn, each read again after `every_ms`."""
    index = np.arange(first, first + rows)
    rng = np.random.default_rng(first)
    step_ms = every_ms / meters
    start_ms = int(START.timestamp() * 1000)
    times = start_ms + (index // meters) * every_ms + ((index % meters) * step_ms).astype(np.int64)
    power_w = np.round(rng.gamma(1.5, 150, rows), 1)
    return pl.DataFrame(
        {
            "time": pl.Series(times).cast(SWEEP_SCHEMA["time"]),
            "meter": pl.Series(names(meters)).gather(pl.Series(index % meters)),
            "voltage_v": np.round(rng.normal(230, 2, rows), 1),
            "current_a": np.round(power_w / 230, 3),
            "power_w": power_w,
            "power_factor": np.round(rng.uniform(0.5, 1, rows), 3),
            "frequency_hz": np.round(rng.normal(50, 0.02, rows), 2),
            "energy_wh": index // meters,
            "balance_minor": pl.Series([None], dtype=pl.Int64).new_from_index(0, rows),
            "relay_closed": rng.random(rows) > 0.02,
            "quality": pl.Series(["good"]).new_from_index(0, rows),
        },
        schema=SWEEP_SCHEMA,
    )


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes, s."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _meter(name: str) -> Meter:
    building, room, _ = name.split("-")
    return Meter(
        name=name, bus="bus-1", unit_id=1, profile="acrel-ddsy1352", building=building,
        room=room, kind=RoomKind.DORM, rated_current_a=20,
    )  # fmt: skip

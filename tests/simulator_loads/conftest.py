"""Rooms, meters and tiny recordings for the tests of the virtual campus."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from domain.site import Meter, RoomKind
from simulator.rooms import Device, Room
from simulator.traces import TraceLibrary

# Tuesday 10 March 2026, 20:35 in Shanghai
EVENING_S = datetime(2026, 3, 10, 12, 35, tzinfo=UTC).timestamp()
MIDNIGHT_S = datetime(2026, 3, 9, 16, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def evening_s() -> float:
    return EVENING_S


@pytest.fixture
def midnight_s() -> float:
    return MIDNIGHT_S


@pytest.fixture
def bare() -> Callable[..., Room]:
    """A room with just these devices, none of which it switches on by itself."""

    def make(*devices: Device, meter: str = "m1", use: str = "dorm", people: int = 4) -> Room:
        return Room(meter, "B1", use, people, devices)

    return make


@pytest.fixture
def dorm_meters() -> list[Meter]:
    return [
        Meter(
            name=f"m{number:03d}", bus="bus-01", unit_id=number, profile="acrel-ddsy1352",
            building=f"B{number % 2}", room=str(number), kind=RoomKind.DORM, rated_current_a=40,
        )
        for number in range(1, 41)
    ]  # fmt: skip


# trace, appliance, rule class, (t, W, var or None)...
TINY = (
    ("kettle-00", "WaterKettle", "forbidden",
     [(0, 0.0, None), (10, 2.0, None), (20, 1990.0, None), (22, 2000.0, None),
      (27, 2004.0, None), (60, 1998.0, None), (80, 0.0, None), (100, 0.0, None)]),
    ("heater-00", "SpaceHeater", "forbidden",
     [(0, 0.0, 0.0), (5, 2600.0, 4.0), (6, 2610.0, 5.0), (45, 2605.0, 4.5), (50, 0.0, 0.0)]),
    ("laptop-00", "PC-Laptop", "benign",
     [(second, 40.0 + second % 7, None) for second in range(0, 4001, 2)]),
)  # fmt: skip
TINY_EVENTS = (
    ("kettle-00", "WaterKettle", 20, 80, 1998.0),
    ("heater-00", "SpaceHeater", 5, 50, 2605.0),
)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    samples = [
        {"trace_id": trace, "t": t, "power_w": w, "reactive_var": var, "power_factor": None}
        for trace, _, _, readings in TINY
        for t, w, var in readings
    ]
    types = {"trace_id": pl.String, "t": pl.Int32, "power_w": pl.Float32,
             "reactive_var": pl.Float32, "power_factor": pl.Float32}  # fmt: skip
    pl.DataFrame(samples, schema=types).write_parquet(folder / "samples.parquet")
    pl.DataFrame(
        [
            {"trace_id": trace, "appliance": appliance, "rule_class": rule_class,
             "median_period_s": 2.0, "duration_s": readings[-1][0],
             "p_max_w": max(row[1] for row in readings)}
            for trace, appliance, rule_class, readings in TINY
        ]
    ).write_parquet(folder / "traces.parquet")  # fmt: skip
    pl.DataFrame(
        [
            {"trace_id": trace, "appliance": appliance, "rule_class": "forbidden", "t_on": t_on,
             "t_off": t_off, "p_on_w": p_on_w, "complete": True}
            for trace, appliance, t_on, t_off, p_on_w in TINY_EVENTS
        ]
    ).write_parquet(folder / "events.parquet")  # fmt: skip
    return folder


@pytest.fixture
def tiny_library(tiny_folder: Path) -> TraceLibrary:
    return TraceLibrary(tiny_folder)


@pytest.fixture(scope="session")
def real_library() -> TraceLibrary:
    """The recordings beside the project, or those that WATTWARDEN_DATA names."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "appliances"
    library = TraceLibrary.find(Path(os.environ.get("WATTWARDEN_DATA") or beside))
    if library is None:
        pytest.skip("no recorded appliance traces here: set WATTWARDEN_DATA to a folder of them")
    return library

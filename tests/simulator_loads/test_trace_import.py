"""The import of a tracebase folder, on one made by hand."""

from pathlib import Path

import polars as pl
import pytest

from domain.errors import InvalidInput
from simulator.trace_import import EVENTS_SCHEMA, TRACES_SCHEMA, import_traces
from simulator.traces import RecordedLoad, TraceLibrary


def line(second: int, power_w: float, day: str = "23/11/2011") -> str:
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{day} {clock};{power_w:g};0"


def write(path: Path, lines: list[str], ending: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((ending.join(lines) + ending).encode())


def kettle_day() -> list[str]:
    """Readings every 2 s from 08:00 to 09:00: on from 08:20:00 to 08:22:00."""
    begin = 8 * 3600
    return [
        line(begin + second, 2000 if 1200 <= second < 1320 else 0) for second in range(0, 3600, 2)
    ]


@pytest.fixture
def csv_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tracebase"
    kettle = kettle_day()
    kettle[5:5] = ["nonsense", "31/02/2011 08:00:01;5;5", "23/11/2011 08:00:09;-3;0", ""]
    write(folder / "complete/WaterKettle/dev_1_2011.11.23.csv", kettle, ending="\r\n")
    write(
        folder / "complete/PC-Laptop/dev_2_2011.11.24.csv",
        [line(second, 30 + second % 5, "24/11/2011") for second in range(0, 7200, 4)],
    )
    write(folder / "complete/Washingmachine/dev_3_2011.11.24.csv", kettle_day())
    write(folder / "synthetic/VacuumCleaner/dev_4_2011.11.24.csv", kettle_day())
    write(folder / "incomplete/Toaster/dev_5_2011.11.20_cleaned_21.11.2011.csv", ["rubbish"])
    return folder


def test_a_folder_becomes_recordings_that_the_simulator_can_play(
    csv_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = import_traces(csv_folder, out)
    assert (report.traces, report.events, report.files) == (2, 1, 3)
    library = TraceLibrary(out)
    (use,) = library.uses()
    assert (use.appliance, use.t_on_s, use.t_off_s, use.power_w) == ("WaterKettle", 300, 420, 2000)
    load = RecordedLoad(library.use(use), on_s=0.0)
    load.settle(60.0)
    assert load.power_w == 2000.0
    (laptop,) = library.base("PC-Laptop", highest_w=100, period_s=4)
    assert list(laptop.power_w[:3]) == [30.0, 34.0, 33.0]


def test_the_tables_have_the_columns_of_the_format(csv_folder: Path, tmp_path: Path) -> None:
    import_traces(csv_folder, tmp_path / "out")
    traces = pl.read_parquet(tmp_path / "out/traces.parquet")
    assert traces.schema == TRACES_SCHEMA
    assert pl.read_parquet(tmp_path / "out/events.parquet").schema == EVENTS_SCHEMA
    samples = pl.read_parquet(tmp_path / "out/samples.parquet")
    assert samples.columns == [
        "trace_id", "appliance", "device", "malignant", "t", "power_w", "reactive_var",
        "current_a", "voltage_v", "power_factor",
    ]  # fmt: skip
    assert samples["reactive_var"].null_count() == samples.height
    kettle = traces.filter(pl.col("appliance") == "WaterKettle").row(0, named=True)
    assert kettle["source_file"] == "complete/WaterKettle/dev_1_2011.11.23.csv"
    assert (kettle["start"], kettle["duration_s"]) == ("2011-11-23T08:15:00", 718)
    assert (kettle["event_threshold_w"], kettle["malignant"]) == (600.0, True)


def test_bad_lines_are_counted_and_listed_with_file_and_line(
    csv_folder: Path, tmp_path: Path
) -> None:
    report = import_traces(csv_folder, tmp_path / "out")
    assert report.bad_lines == 4
    assert [fault.source for fault in report.faults] == [
        "incomplete/Toaster/dev_5_2011.11.20_cleaned_21.11.2011.csv:1",
        "complete/WaterKettle/dev_1_2011.11.23.csv:6",
        "complete/WaterKettle/dev_1_2011.11.23.csv:7",
        "complete/WaterKettle/dev_1_2011.11.23.csv:8",
    ]
    assert "dd/mm/yyyy" in report.faults[0].message
    assert report.faults[0].subject == "rubbish"


def test_appliances_that_are_no_dormitory_loads_are_left_out_and_named(
    csv_folder: Path, tmp_path: Path
) -> None:
    assert import_traces(csv_folder, tmp_path / "out").left_out == ["complete/Washingmachine"]


def test_of_several_readings_in_one_second_the_last_is_kept(tmp_path: Path) -> None:
    lines = kettle_day()
    lines.insert(0, line(8 * 3600 + 1250, 1234))  # out of order, and before the true reading
    write(tmp_path / "tb/complete/WaterKettle/dev_1_2011.11.23.csv", lines)
    import_traces(tmp_path / "tb", tmp_path / "out")
    samples = pl.read_parquet(tmp_path / "out/samples.parquet")
    assert samples["t"].is_unique().all()
    assert samples.filter(pl.col("t") == 350)["power_w"].to_list() == [2000.0]


def test_bursts_close_together_are_one_use_and_distant_ones_two(tmp_path: Path) -> None:
    bursts = [(600, 620), (650, 700), (900, 930)]
    lines = [
        line(second, 1000 if any(a <= second < b for a, b in bursts) else 3)
        for second in range(0, 1800, 2)
    ]
    write(tmp_path / "tb/complete/Coffeemaker/dev_1_2011.11.23.csv", lines)
    import_traces(tmp_path / "tb", tmp_path / "out")
    events = pl.read_parquet(tmp_path / "out/events.parquet")
    columns = ("t_on", "t_off", "n_bursts", "on_seconds", "p_before_w", "complete")
    assert events.select(columns).rows() == [
        (300, 400, 2, 70, 3.0, True),
        (600, 630, 1, 30, 3.0, True),
    ]


def test_a_gap_in_the_readings_ends_a_trace(tmp_path: Path) -> None:
    lines = [
        line(second, 1000 if 600 <= second < 900 else 0)
        for second in range(0, 1500, 2)
        if not 700 <= second < 850
    ]
    write(tmp_path / "tb/complete/Cookingstove/dev_1_2011.11.23.csv", lines)
    report = import_traces(tmp_path / "tb", tmp_path / "out")
    assert report.traces == 2
    events = pl.read_parquet(tmp_path / "out/events.parquet")
    assert events["complete"].to_list() == [False, False]


def test_progress_is_told_after_each_file(csv_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    import_traces(csv_folder, tmp_path / "out", lambda *step: told.append(step))
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]


def test_a_wrong_folder_or_a_full_target_is_refused_clearly(
    csv_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="no recordings found"):
        import_traces(tmp_path / "nowhere", tmp_path / "out")
    import_traces(csv_folder, tmp_path / "out")
    with pytest.raises(InvalidInput, match="already holds recordings"):
        import_traces(csv_folder, tmp_path / "out")

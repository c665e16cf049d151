"""Recordings: what is found in a folder and how it is played back."""

from pathlib import Path

import polars as pl
import pytest

from domain.errors import InvalidInput
from simulator.traces import RecordedLoad, TraceLibrary


def played(load: RecordedLoad, times: list[float]) -> list[tuple[float, float]]:
    rows = []
    for at_s in times:
        if at_s >= load.until_s:
            load.settle(at_s)
        rows.append((load.power_w, load.reactive_var))
    return rows


def test_a_recorded_use_plays_at_its_real_pace_and_holds_each_reading(
    tiny_library: TraceLibrary,
) -> None:
    kettle = next(use for use in tiny_library.uses() if use.appliance == "WaterKettle")
    load = RecordedLoad(tiny_library.use(kettle), on_s=1000.0)
    seconds = [1000.0, 1001.9, 1002.0, 1006.9, 1007.0, 1039.9, 1040.0, 1059.9, 1060.0, 1e6]
    assert [power_w for power_w, _ in played(load, seconds)] == [
        1990.0, 1990.0, 2000.0, 2000.0, 2004.0, 2004.0, 1998.0, 1998.0, 0.0, 0.0,
    ]  # fmt: skip


def test_reactive_power_is_the_measured_one_or_that_of_the_appliance_table(
    tiny_library: TraceLibrary,
) -> None:
    uses = {use.appliance: use for use in tiny_library.uses()}
    heater = RecordedLoad(tiny_library.use(uses["SpaceHeater"]), on_s=0.0)
    assert played(heater, [0.0, 2.0]) == [(2600.0, 4.0), (2610.0, 5.0)]
    kettle = RecordedLoad(tiny_library.use(uses["WaterKettle"]), on_s=0.0)
    assert played(kettle, [3.0]) == [(2000.0, 0.0)]


def test_a_base_load_is_looped(tiny_library: TraceLibrary) -> None:
    (stretch,) = tiny_library.base("PC-Laptop", highest_w=100, period_s=2)
    load = RecordedLoad(stretch, on_s=0.0, loops=True)
    again = RecordedLoad(stretch, on_s=0.0, loops=True)
    first = played(load, [0.0, 100.0, 3998.0])
    assert first == played(again, [4000.0, 4100.0, 7998.0])
    assert first[1][0] == 40.0 + 100 % 7


def test_only_recordings_fine_enough_are_base_loads(tiny_library: TraceLibrary) -> None:
    assert tiny_library.base("PC-Laptop", highest_w=100, period_s=1) == ()


def test_short_weak_and_incomplete_uses_are_not_listed(tiny_library: TraceLibrary) -> None:
    assert [use.appliance for use in tiny_library.uses(lasting_s=50)] == ["WaterKettle"]
    assert [use.appliance for use in tiny_library.uses(lowest_w=2100)] == ["SpaceHeater"]
    assert tiny_library.uses("limited") == []


def test_a_folder_without_recordings_lists_everything_that_is_wrong(tiny_folder: Path) -> None:
    (tiny_folder / "events.parquet").unlink()
    pl.DataFrame({"trace_id": ["a"], "t": [0]}).write_parquet(tiny_folder / "samples.parquet")
    assert TraceLibrary.find(tiny_folder) is None
    with pytest.raises(InvalidInput) as caught:
        TraceLibrary(tiny_folder)
    assert [fault.message for fault in caught.value.faults] == [
        "columns are missing: power_factor, power_w, reactive_var",
        "a folder of recordings needs this file",
    ]
    assert TraceLibrary.find(None) is None


def test_the_number_of_stretches_held_is_limited(tiny_folder: Path) -> None:
    library = TraceLibrary(tiny_folder, held=1)
    first, second = library.uses()
    library.use(first)
    library.use(second)
    assert list(library._uses) == [second]
    assert library.use(first).trace_id == first.trace_id


def test_real_recordings_play_back_as_they_were_sampled(real_library: TraceLibrary) -> None:
    samples = pl.scan_parquet(real_library.folder / "samples.parquet")
    uses = real_library.uses()
    assert {use.appliance for use in uses} >= {"WaterKettle", "Cookingstove", "SpaceHeater"}
    for use in uses[:: max(1, len(uses) // 5)]:
        rows = (
            samples.filter(
                pl.col("trace_id") == use.trace_id,
                pl.col("t").is_between(use.t_on_s, use.t_off_s - 1),
            )
            .select("t", "power_w")
            .collect()
            .rows()
        )
        load = RecordedLoad(real_library.use(use), on_s=500.0)
        times = [500.0 + t - use.t_on_s for t, _ in rows]
        assert [power_w for power_w, _ in played(load, times)] == [power_w for _, power_w in rows]


def test_real_heaters_with_measured_q_are_nearly_pure_resistance(
    real_library: TraceLibrary,
) -> None:
    heater = next(use for use in real_library.uses() if use.appliance == "SpaceHeater")
    recording = real_library.use(heater)
    assert recording.reactive_var is not None
    assert max(map(abs, recording.reactive_var)) / heater.power_w < 0.02


def test_a_real_refrigerator_keeps_its_inrush_of_a_second(real_library: TraceLibrary) -> None:
    stretches = real_library.base("Refrigerator", highest_w=2000, period_s=1)
    assert stretches
    assert any(max(stretch.power_w) > 500 for stretch in stretches)

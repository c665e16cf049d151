"""What every TimeSeries adapter does, on the real store each."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest

from domain.errors import InvalidInput
from domain.frame import SWEEP_SCHEMA, sweep_frame
from domain.ports import ROLLUP_SCHEMA, Rejected, Resolution, TimeSeries
from tests.storage_series.conftest import T0, a_meter, at, samples

HOUR = timedelta(hours=1)


def powers(window: pl.DataFrame) -> list[tuple[str, float, float | None]]:
    """Return (meter, seconds after T0, power_w) of each row."""
    return [
        (meter, (time - T0).total_seconds(), power)
        for time, meter, power in window.select("time", "meter", "power_w").iter_rows()
    ]


def a_full_row(**other: object) -> dict[str, object]:
    return {
        "time": T0, "meter": "A1", "voltage_v": 229.7, "current_a": 4.35, "power_w": -12.5,
        "power_factor": 0.987, "frequency_hz": 49.98, "energy_wh": 9_007_199_254_740_993,
        "balance_minor": -250, "relay_closed": False, "quality": "held",
    } | other  # fmt: skip


def rollup(seconds: float, meter: str, power_mean_w: float) -> dict[str, object]:
    return {"time": at(seconds), "meter": meter, "power_mean_w": power_mean_w, "samples": 43}


def test_what_is_written_is_read_back_exactly(series: TimeSeries) -> None:
    frame = sweep_frame([a_full_row(), a_full_row(meter="A2", relay_closed=True, quality="good")])

    outcome = series.write(frame)

    assert (outcome.accepted, outcome.rejected, outcome.kept) == (2, (), 0)
    found = series.window(T0, T0 + HOUR)
    assert found.schema == pl.Schema(SWEEP_SCHEMA)
    assert found.rows() == frame.rows()


def test_nulls_stay_null_and_are_never_zero(series: TimeSeries) -> None:
    silent = {"time": T0, "meter": "A1", "quality": "timeout"}
    series.write(sweep_frame([silent]))

    row = series.window(T0, T0 + HOUR).row(0, named=True)

    assert {name for name, value in row.items() if value is not None} == {
        "time",
        "meter",
        "quality",
    }


def test_nan_and_infinity_become_null(series: TimeSeries) -> None:
    series.write(samples((0, "A1", float("nan")), (1, "A1", float("inf")), (2, "A1", 5.0)))

    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, None), ("A1", 1, None), ("A1", 2, 5)]


def test_writing_a_point_again_is_harmless(series: TimeSeries) -> None:
    frame = samples((0, "A1", 100), (1, "A1", 101), (0, "A2", 200))
    series.write(frame)
    series.write(frame)
    series.write(samples((1, "A1", 101)))

    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, 100), ("A1", 1, 101), ("A2", 0, 200)]


def test_writing_a_point_with_other_values_replaces_them(series: TimeSeries) -> None:
    series.write(samples((0, "A1", 100), (1, "A1", 101)))
    series.write(samples((0, "A1", 150)))

    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, 150), ("A1", 1, 101)]


def test_a_point_twice_in_one_frame_counts_once_and_the_later_row_wins(series: TimeSeries) -> None:
    outcome = series.write(samples((0, "A1", 100), (0, "A2", 7), (0, "A1", 120)))

    assert outcome.accepted == 3
    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, 120), ("A2", 0, 7)]


def test_a_window_holds_its_start_and_not_its_end(series: TimeSeries) -> None:
    series.write(samples((-0.001, "A1", 1), (0, "A1", 2), (59.999, "A1", 3), (60, "A1", 4)))

    assert powers(series.window(T0, at(60))) == [("A1", 0, 2), ("A1", 59.999, 3)]
    assert powers(series.window(at(59.9995), at(61))) == [("A1", 60, 4)]
    assert powers(series.window(at(0.0), at(59.9991))) == [("A1", 0, 2), ("A1", 59.999, 3)]


def test_windows_without_rows_are_empty_frames_with_the_right_columns(series: TimeSeries) -> None:
    assert series.window(T0, T0 + HOUR).schema == pl.Schema(SWEEP_SCHEMA)
    series.write(samples((0, "A1", 1)))

    for start, end in ((at(1), at(60)), (at(0), at(0)), (at(60), at(0))):
        found = series.window(start, end)
        assert found.is_empty()
        assert found.schema == pl.Schema(SWEEP_SCHEMA)
    assert series.window(T0, at(60), meters=[]).is_empty()
    assert series.window(T0, at(60), meters=["nobody"]).is_empty()
    assert series.window(T0, at(60), resolution=Resolution.DAY).schema == pl.Schema(ROLLUP_SCHEMA)


def test_times_are_utc_whatever_zone_they_are_asked_in(series: TimeSeries) -> None:
    series.write(samples((0, "A1", 1)))
    shanghai = timezone(timedelta(hours=8))

    found = series.window(T0.astimezone(shanghai), at(1).astimezone(shanghai))

    assert found["time"].to_list() == [datetime(2026, 3, 2, 8, 0, tzinfo=UTC)]
    assert found["time"].dtype == pl.Datetime("ms", "UTC")


def test_a_moment_without_a_time_zone_is_refused(series: TimeSeries) -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        series.window(datetime(2026, 3, 2), T0)  # noqa: DTZ001


def test_times_before_1970_and_far_ahead_are_kept(series: TimeSeries) -> None:
    old, far = datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)
    frame = sweep_frame(
        [{"time": t, "meter": "A1", "power_w": 1.0, "quality": "good"} for t in (old, far)]
    )
    assert series.write(frame).accepted == 2

    assert series.window(old, far + HOUR)["time"].to_list() == [old, far]


def test_unsorted_rows_come_back_by_meter_and_time(series: TimeSeries) -> None:
    series.write(samples((5, "B", 1), (1, "B", 2), (3, "A", 3), (9, "a", 4), (2, "A", 5)))
    series.write(samples((4, "B", 6), (0, "a", 7)))

    assert powers(series.window(T0, T0 + HOUR)) == [
        ("A", 2, 5), ("A", 3, 3), ("B", 1, 2), ("B", 4, 6), ("B", 5, 1), ("a", 0, 7), ("a", 9, 4),
    ]  # fmt: skip


def test_only_the_meters_and_quantities_asked_for_come_back(series: TimeSeries) -> None:
    series.write(samples(*[(second, f"M{n}", n) for second in range(2) for n in range(300)]))

    found = series.window(T0, T0 + HOUR, meters=["M7", "M299", "nobody"], quantities=["power_w"])

    assert found.columns == ["time", "meter", "power_w"]
    assert powers(found) == [("M299", 0, 299), ("M299", 1, 299), ("M7", 0, 7), ("M7", 1, 7)]
    every = series.window(T0, T0 + HOUR, meters=[f"M{n}" for n in range(300)])
    assert every.height == 600


def test_a_row_whose_quantity_is_null_still_comes_back(series: TimeSeries) -> None:
    series.write(samples((0, "A1", 5)))

    found = series.window(T0, T0 + HOUR, quantities=["balance_minor"])

    assert found.rows() == [(T0, "A1", None)]


def test_an_unknown_quantity_is_refused_by_name(series: TimeSeries) -> None:
    with pytest.raises(InvalidInput, match="power_kw"):
        series.window(T0, at(1), quantities=["power_w", "power_kw"])


SPECIAL = [
    "宿舍 3-201", "a,b=c d", 'say "hi"', "it's", "back\\slash", "{}", "%s;--", "émile", "🔌",
    "a\\,b", " lead", "trail ", "true", "1i", "#x",
]  # fmt: skip


def test_every_printable_name_is_a_meter(series: TimeSeries) -> None:
    outcome = series.write(samples(*[(0, name, n) for n, name in enumerate(SPECIAL)]))

    assert outcome.rejected == ()
    for n, name in enumerate(SPECIAL):
        assert powers(series.window(T0, T0 + HOUR, meters=[name])) == [(name, 0, n)]
        assert series.latest([name])["meter"].to_list() == [name]
    assert series.window(T0, T0 + HOUR)["meter"].to_list() == sorted(SPECIAL)


def test_the_roster_may_name_buildings_and_rooms_in_any_script(series: TimeSeries) -> None:
    series.describe([a_meter("A1", "紫荆 6 号楼, east", "2=b"), a_meter("A2", "x", "y")])
    series.write(samples((0, "A1", 1), (0, "A2", 2), (0, "not-in-the-roster", 3)))

    assert series.window(T0, T0 + HOUR)["meter"].to_list() == ["A1", "A2", "not-in-the-roster"]


def test_a_meter_that_moves_to_another_room_keeps_its_history(series: TimeSeries) -> None:
    series.describe([a_meter("A1", "North", "101")])
    series.write(samples((0, "A1", 1)))
    series.describe([a_meter("A1", "South", "202")])
    series.write(samples((0, "A1", 1), (1, "A1", 2)))

    assert powers(series.window(T0, T0 + HOUR, meters=["A1"])) == [("A1", 0, 1), ("A1", 1, 2)]
    assert series.latest()["power_w"].to_list() == [2]


def test_bad_rows_are_refused_one_by_one_and_good_ones_stored(series: TimeSeries) -> None:
    frame = sweep_frame(
        [
            {"time": T0, "meter": "A1", "power_w": 1.0, "quality": "good"},
            {"time": T0, "meter": None, "power_w": 2.0, "quality": "good"},
            {"time": None, "meter": "A1", "power_w": 3.0, "quality": "good"},
            {"time": T0, "meter": "line\nbreak", "power_w": 4.0, "quality": "good"},
            {"time": datetime(9000, 1, 1, tzinfo=UTC), "meter": "A1", "quality": "good"},
            {"time": at(1), "meter": "A1", "power_w": 5.0, "quality": "good"},
        ]
    )
    outcome = series.write(frame)

    assert outcome.accepted == 2
    assert outcome.rejected == (
        Rejected(1, "no meter"),
        Rejected(2, "no time"),
        Rejected(3, "control character in the meter's name"),
        Rejected(4, "time outside 1677-09-21 to 2262-04-11"),
    )
    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, 1), ("A1", 1, 5)]


def test_a_frame_of_another_kind_is_refused_whole(series: TimeSeries) -> None:
    with pytest.raises(InvalidInput, match="'meter'"):
        series.write(pl.DataFrame({"time": [T0]}))
    with pytest.raises(InvalidInput, match="does not fit"):
        series.write(pl.DataFrame({"time": [T0], "meter": ["A1"], "power_w": ["much"]}))
    assert series.write(samples()).accepted == 0


def test_latest_is_the_last_value_that_was_not_null_of_each_quantity(series: TimeSeries) -> None:
    series.write(
        sweep_frame(
            [
                a_full_row(),
                {
                    "time": at(1),
                    "meter": "A1",
                    "power_w": 80.0,
                    "relay_closed": True,
                    "quality": "good",
                },
                {"time": at(2), "meter": "A1", "quality": "timeout"},
                {"time": at(1), "meter": "A2", "power_w": 7.0, "quality": "good"},
            ]
        )
    )
    series.write(samples((-5, "A1", 9999)))

    latest = series.latest()

    assert latest.schema == pl.Schema(SWEEP_SCHEMA)
    assert latest.row(0, named=True) == a_full_row(
        time=at(2), power_w=80.0, relay_closed=True, quality="timeout"
    )
    assert latest.row(1, named=True)["power_w"] == 7.0
    assert latest.row(1, named=True)["energy_wh"] is None
    assert series.latest(["A2", "nobody"])["meter"].to_list() == ["A2"]
    assert series.latest([]).is_empty()


def test_latest_of_an_empty_store_is_an_empty_frame(series: TimeSeries) -> None:
    assert series.latest().schema == pl.Schema(SWEEP_SCHEMA)
    assert series.latest().is_empty()


@pytest.mark.parametrize("resolution", [Resolution.MINUTE, Resolution.HOUR, Resolution.DAY])
def test_each_resolution_is_a_table_of_its_own(series: TimeSeries, resolution: Resolution) -> None:
    series.write(samples((0, "A1", 1)))
    series.write(pl.DataFrame([rollup(0, "A1", 55.5), rollup(60, "A1", 56.5)]), resolution)
    series.write(pl.DataFrame([rollup(60, "A1", 57.5)]), resolution)

    found = series.window(T0, T0 + HOUR, resolution=resolution)

    assert found.schema == pl.Schema(ROLLUP_SCHEMA)
    assert found["power_mean_w"].to_list() == [55.5, 57.5]
    assert found["samples"].to_list() == [43, 43]
    assert found["energy_last_wh"].to_list() == [None, None]
    assert series.window(T0, T0 + HOUR).height == 1


def test_pruning_deletes_what_is_older_and_counts_it(series: TimeSeries) -> None:
    series.write(samples((0, "A1", 1), (1, "A1", 2), (0, "A2", 3), (2, "A2", 4)))
    series.write(pl.DataFrame([rollup(0, "A1", 5)]), Resolution.MINUTE)

    assert series.prune(Resolution.RAW, at(1)) == 2
    assert series.prune(Resolution.RAW, at(1)) == 0

    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 1, 2), ("A2", 2, 4)]
    assert series.window(T0, T0 + HOUR, resolution=Resolution.MINUTE).height == 1


def test_a_pruned_stretch_can_be_written_again(series: TimeSeries) -> None:
    series.write(samples((0, "A1", 1), (5, "A1", 2)))
    series.prune(Resolution.RAW, at(1))
    series.write(samples((0, "A1", 3)))

    assert powers(series.window(T0, T0 + HOUR)) == [("A1", 0, 3), ("A1", 5, 2)]


def test_a_store_in_use_is_ready(series: TimeSeries) -> None:
    assert series.is_ready()

"""Rollups: literal rows in, literal rows out."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from domain.frame import sweep_frame
from domain.ports import ROLLUP_SCHEMA, Resolution
from storage.rollup import roll, window_end, window_start
from tests.storage_series.conftest import T0, at

SHANGHAI, BERLIN, KOLKATA = "Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sample(seconds: float, meter: str = "A1", **values: object) -> dict[str, object]:
    return {"time": at(seconds), "meter": meter, "quality": "good"} | values


def minutes(*rows: dict[str, object]) -> list[dict[str, object]]:
    """Roll samples to minutes and return the rows without what is null."""
    rolled = roll(sweep_frame(rows), Resolution.MINUTE, SHANGHAI)
    assert rolled.schema == pl.Schema(ROLLUP_SCHEMA)
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in rolled.to_dicts()
    ]


def test_a_minute_tells_mean_least_and_greatest() -> None:
    found = minutes(
        sample(0, power_w=100, voltage_v=229, current_a=0.5, power_factor=1.0, frequency_hz=50.0),
        sample(30, power_w=300, voltage_v=231, current_a=1.5, power_factor=0.5),
        sample(59.999, power_w=50, voltage_v=230, current_a=0.25, power_factor=0.75),
    )

    assert found == [
        {
            "time": T0, "meter": "A1", "power_mean_w": 150, "power_min_w": 50, "power_max_w": 300,
            "current_mean_a": 0.75, "current_max_a": 1.5, "voltage_mean_v": 230,
            "voltage_min_v": 229, "voltage_max_v": 231, "power_factor_mean": 0.75,
            "frequency_mean_hz": 50, "samples": 3, "good_samples": 3,
        }
    ]  # fmt: skip


def test_a_minute_tells_first_and_last_counter_and_the_share_of_time_closed() -> None:
    found = minutes(
        sample(0, power_w=1),
        sample(10, energy_wh=1000, balance_minor=500, relay_closed=True),
        sample(20, energy_wh=1001, balance_minor=499, relay_closed=False),
        sample(30, relay_closed=True),
        sample(40, relay_closed=True),
    )[0]

    assert (found["energy_first_wh"], found["energy_last_wh"]) == (1000, 1001)
    assert found["balance_last_minor"] == 499
    assert found["closed_ratio"] == 0.75


def test_a_counter_that_went_back_is_shown_as_it_was_read() -> None:
    found = minutes(sample(0, energy_wh=99_999), sample(30, energy_wh=3))[0]

    assert (found["energy_first_wh"], found["energy_last_wh"]) == (99_999, 3)


def test_only_good_samples_make_the_mean_and_all_are_counted() -> None:
    found = minutes(
        sample(0, power_w=100),
        sample(20, power_w=900, quality="held"),
        sample(40, quality="timeout"),
    )[0]

    assert found["power_mean_w"] == 100
    assert found["power_max_w"] == 900
    assert (found["samples"], found["good_samples"]) == (3, 1)


def test_a_silent_minute_has_samples_and_no_values() -> None:
    assert minutes(sample(0, quality="timeout"), sample(30, quality="skipped")) == [
        {"time": T0, "meter": "A1", "samples": 2, "good_samples": 0}
    ]


def test_meters_and_minutes_are_told_apart() -> None:
    found = minutes(
        sample(59.9, power_w=1), sample(60, power_w=2), sample(0, "A2", power_w=3),
    )  # fmt: skip

    assert [(row["meter"], row["time"], row["power_mean_w"]) for row in found] == [
        ("A1", T0, 1), ("A1", at(60), 2), ("A2", T0, 3),
    ]  # fmt: skip


def test_nothing_in_gives_nothing_out() -> None:
    for level in (Resolution.MINUTE, Resolution.HOUR, Resolution.DAY):
        finer = (
            sweep_frame([]) if level is Resolution.MINUTE else pl.DataFrame(schema=ROLLUP_SCHEMA)
        )
        rolled = roll(finer, level, SHANGHAI)
        assert rolled.is_empty()
        assert rolled.schema == pl.Schema(ROLLUP_SCHEMA)


def test_an_hour_made_from_minutes_equals_the_hour_made_from_samples() -> None:
    rows = [
        sample(
            t * 7.3, power_w=(t * 37) % 911, voltage_v=220 + t % 9, current_a=(t % 17) / 4,
            power_factor=(t % 11) / 10, energy_wh=5000 + t if t % 20 == 0 else None,
            quality="good" if t % 13 else "timeout",
        )
        if t % 13
        else sample(t * 7.3, quality="timeout")
        for t in range(490)
    ]  # fmt: skip
    frame = sweep_frame(rows)

    by_minutes = roll(roll(frame, Resolution.MINUTE, SHANGHAI), Resolution.HOUR, SHANGHAI)

    good = frame.filter(pl.col("quality") == "good", pl.col("time") < at(3600))
    hour = by_minutes.row(0, named=True)
    assert hour["power_mean_w"] == pytest.approx(good["power_w"].mean())
    assert hour["voltage_mean_v"] == pytest.approx(good["voltage_v"].mean())
    assert hour["power_factor_mean"] == pytest.approx(good["power_factor"].mean())
    assert hour["power_max_w"] == good["power_w"].max()
    assert hour["current_max_a"] == good["current_a"].max()
    assert hour["energy_first_wh"] == good["energy_wh"].drop_nulls().first()
    assert hour["energy_last_wh"] == good["energy_wh"].drop_nulls().last()
    assert hour["good_samples"] == good.height
    assert hour["samples"] == frame.filter(pl.col("time") < at(3600)).height


def test_rolling_the_same_rows_again_gives_the_same() -> None:
    frame = sweep_frame([sample(t, power_w=t) for t in range(200)])

    assert roll(frame, Resolution.MINUTE, BERLIN).equals(roll(frame, Resolution.MINUTE, BERLIN))


@pytest.mark.parametrize(
    ("zone", "moment", "day", "hours"),
    [
        (SHANGHAI, utc("2026-03-02 08:00"), utc("2026-03-01 16:00"), 24),
        (KOLKATA, utc("2026-03-02 19:00"), utc("2026-03-02 18:30"), 24),
        (BERLIN, utc("2026-03-29 12:00"), utc("2026-03-28 23:00"), 23),
        (BERLIN, utc("2026-10-25 00:30"), utc("2026-10-24 22:00"), 25),
        (BERLIN, utc("2026-10-25 01:30"), utc("2026-10-24 22:00"), 25),
    ],
)  # fmt: skip
def test_a_day_begins_and_ends_at_the_site_s_midnights(
    zone: str, moment: datetime, day: datetime, hours: int
) -> None:
    start = window_start(moment, Resolution.DAY, zone)

    assert start == day
    assert window_end(start, Resolution.DAY, zone) - start == timedelta(hours=hours)


def test_an_hour_begins_at_the_site_s_whole_hour() -> None:
    moment = datetime(2026, 3, 2, 8, 45, tzinfo=UTC)

    assert window_start(moment, Resolution.HOUR, SHANGHAI) == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert window_start(moment, Resolution.HOUR, KOLKATA) == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert window_start(moment, Resolution.MINUTE, KOLKATA) == moment


@pytest.mark.parametrize("zone", [SHANGHAI, BERLIN, KOLKATA, "Pacific/Auckland", "UTC"])
@pytest.mark.parametrize("level", [Resolution.HOUR, Resolution.DAY])
def test_frames_and_single_moments_agree_on_every_window_of_a_year(
    zone: str, level: Resolution
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    step = timedelta(minutes=30)
    times = [start + n * step for n in range(365 * 48)]
    rows = pl.DataFrame(
        {"time": times, "meter": ["A1"] * len(times), "samples": [1] * len(times)},
        schema_overrides={"time": pl.Datetime("ms", "UTC")},
    ).select(
        pl.col(name).cast(kind)
        if name in ("time", "meter", "samples")
        else pl.lit(None, kind).alias(name)
        for name, kind in ROLLUP_SCHEMA.items()
    )

    rolled = roll(rows, level, zone)

    assert rolled["time"].to_list() == sorted({window_start(t, level, zone) for t in times})
    assert rolled["samples"].sum() == len(times)
    starts = rolled["time"].to_list()
    assert all(window_end(a, level, zone) == b for a, b in pairwise(starts))

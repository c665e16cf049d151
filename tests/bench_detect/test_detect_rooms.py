"""Rooms are sums; meters sample them; the product's own rule judges them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bench.detect_data import load
from bench.detect_rooms import Composer, Rooms, Scale
from bench.detect_run import (
    MIDNIGHT_MS,
    Readings,
    _meters,
    policy_for,
    read_meters,
    run_plain,
    run_product,
    run_together,
)
from domain.frame import Quality, Sweep, sweep_frame
from rules.engine import RuleEngine

SMALL = Scale(4, 4, 2, 4, 1, 2)


@pytest.fixture(scope="module")
def rooms(folder) -> Rooms:
    return Composer(load(folder), 5, measured=True, scale=SMALL, seed=3).compose()


def test_a_use_adds_its_power_to_the_room(folder):
    made = Composer(load(folder), 5, measured=False, scale=SMALL, seed=3).compose()
    placed = next(p for p in made.uses if p.use.trace.appliance == "WaterKettle" and p.pair is None)
    power = made.power_w[placed.room]
    rise = power[placed.on_s + 60] - power[placed.on_s - 5]
    assert rise == pytest.approx(2000, abs=150)
    assert placed.off_s - placed.on_s == 120


def test_the_variants_and_what_was_left_out_are_told(folder):
    made = Composer(load(folder), 5, measured=False, scale=SMALL, seed=3).compose()
    assert set(made.variant) == {"plain", "refrigerator", "pairs"}
    assert "desktop" in made.left_out


def test_the_same_seed_gives_the_same_rooms(folder):
    recordings = load(folder)
    one, two = (
        Composer(recordings, 5, measured=False, scale=SMALL, seed=9).compose() for _ in range(2)
    )
    assert (one.power_w == two.power_w).all()
    assert [p.on_s for p in one.uses] == [p.on_s for p in two.uses]


def test_power_factor_follows_from_the_sums():
    grid = np.zeros((1, 86_400), np.float32)
    made = Rooms(grid + 300, grid + 100, grid + 75, grid + 230, ["plain"], ["day"])
    told = read_meters(made, 5, mean=False, seed=1)
    assert told.power_factor[0, 0] == pytest.approx(300 / np.hypot(300, 125), abs=1e-5)
    rounded = read_meters(made, 5, mean=False, seed=1, registers=True)
    assert rounded.power_factor[0, 0] == pytest.approx(0.923)
    assert rounded.current_a[0, 0] == pytest.approx(1.41)


def test_a_mean_covers_the_period_before_the_sample():
    ramp = np.arange(86_400, dtype=np.float32)[None, :]
    made = Rooms(ramp, variant=["plain"], source_day=["day"])
    told = read_meters(made, 10, mean=True, seed=1)
    assert told.power_w[3, 0] == pytest.approx(told.time_s[3, 0] - 4.5)


def short(rooms: Rooms, first: int, count: int) -> Readings:
    told = read_meters(rooms, 5, mean=False, seed=1, registers=True)
    part = slice(first, first + count)
    return Readings(
        told.time_s[part], told.power_w[part], told.voltage_v[part], told.current_a[part],
        told.power_factor[part],
    )  # fmt: skip


def test_sets_of_readings_run_together_give_what_each_gives_alone(rooms):
    many = [short(rooms, 5000, 3000), short(rooms, 8000, 3000)]
    together = run_together(many, policy_for())
    alone = [run_product(readings, policy_for()) for readings in many]
    assert [t.on_s for t in together] == [t.on_s for t in alone]
    assert [t.off_s for t in together] == [t.off_s for t in alone]
    assert sum(len(times) for t in alone for times in t.on_s.values()) >= 2


def test_the_benchmark_runs_the_rule_that_the_engine_runs(rooms):
    """The same readings as sweeps through RuleEngine give the same trips at the same times."""
    readings = short(rooms, 5000, 1500)
    batch = run_product(readings, policy_for())
    count = readings.power_w.shape[1]
    engine = RuleEngine(_meters(count), policy_for(), ZoneInfo("UTC"), samples=16)
    begun: dict[int, list[float]] = {}
    on: set[str] = set()
    for tick in range(len(readings.time_s)):
        at = [
            datetime.fromtimestamp((MIDNIGHT_MS + s * 1000) / 1000, UTC)
            for s in readings.time_s[tick].tolist()
        ]
        frame = sweep_frame(
            [
                {
                    "time": at[room],
                    "meter": f"room-{room}",
                    "power_w": float(readings.power_w[tick, room]),
                    "voltage_v": float(readings.voltage_v[tick, room]),
                    "current_a": float(readings.current_a[tick, room]),
                    "power_factor": float(readings.power_factor[tick, room]),
                    "quality": Quality.GOOD.value,
                }
                for room in range(count)
            ]
        )
        sweep = Sweep(str(tick), "bench", min(at), max(at), frame)
        for verdict in engine.judge_malignant(sweep):
            if verdict.violated and verdict.meter not in on:
                on.add(verdict.meter)
                room = int(verdict.meter.removeprefix("room-"))
                seconds = verdict.time.timestamp() - MIDNIGHT_MS / 1000
                begun.setdefault(room, []).append(seconds)
            elif verdict.violated is False:
                on.discard(verdict.meter)
    assert begun == batch.on_s
    assert begun


def test_the_plain_detector_takes_any_rise_that_lasts():
    power = np.array([[50, 50, 350, 350, 350, 50]], np.float32).T
    time_s = (5 * np.arange(6))[:, None]
    blank = np.full(power.shape, np.nan, np.float32)
    trips = run_plain(Readings(time_s, power, blank, blank, blank), 5)
    assert trips.on_s == {0: [15.0]}

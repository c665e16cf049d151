"""Scores from literal trips."""

import numpy as np
import pytest

from bench.detect_data import Trace, Use
from bench.detect_rooms import Placed, Rooms
from bench.detect_score import Trips, rate, score


def use(appliance: str, group: str, rule_class: str = "forbidden", seconds: int = 60) -> Use:
    power = np.concatenate([np.zeros(10), np.full(seconds, 1000.0), np.zeros(10)])
    t = np.arange(len(power), dtype=np.int32)
    trace = Trace(
        f"{appliance}-{group}", appliance, group, rule_class, "", 1.0, f"day {group}", 0, t,
        power.astype(np.float32),
    )  # fmt: skip
    return Use(trace, 10, 10 + seconds, seconds)


def rooms_of(*uses: Placed, variants: tuple[str, ...] = ("plain",)) -> Rooms:
    return Rooms(
        np.zeros((len(variants), 1), np.float32),
        variant=list(variants),
        source_day=[f"day {i}" for i in range(len(variants))],
        uses=list(uses),
    )


def trips_at(**rooms: list[float]) -> Trips:
    return Trips({int(name[1:]): times for name, times in rooms.items()})


def test_recall_is_averaged_over_groups_then_classes_and_never_pooled():
    kettles = [Placed(0, use("Kettle", "A"), 1000 * i, 1000 * i + 60) for i in range(1, 9)]
    others = [
        Placed(0, use("Kettle", "B"), 20_000, 20_060),
        Placed(0, use("Toaster", "C"), 30_000, 30_060),
    ]
    trips = trips_at(r0=[placed.on_s + 3.0 for placed in kettles])
    found = score(rooms_of(*kettles, *others), trips, 1)
    assert found.recall_by_class == {"Kettle": 0.5, "Toaster": 0.0}
    assert found.recall == 0.25


def test_latency_is_in_samples_from_switch_on():
    placed = Placed(0, use("Kettle", "A"), 1000, 1060)
    found = score(rooms_of(placed), trips_at(r0=[1007.0]), 5)
    assert found.latency_p50 == pytest.approx(1.4)


def test_latency_is_told_from_the_burst_and_from_the_first_switch_on():
    flick = [0.0] * 10 + [1000.0] * 2 + [0.0] * 12 + [1000.0] * 30 + [0.0] * 10
    t = np.arange(len(flick), dtype=np.int32)
    trace = Trace(
        "c", "Coffee", "A", "forbidden", "", 1.0, "day", 0, t, np.array(flick, np.float32)
    )
    placed = Placed(0, Use(trace, 10, 54, 32), 1000, 1044)
    found = score(rooms_of(placed), trips_at(r0=[1016.0]), 1)
    assert (found.latency_p99, found.latency_first_p99) == (2.0, 16.0)


def test_short_uses_count_apart_and_long_ones_also_by_themselves():
    brief = Placed(0, use("Coffee", "A", seconds=5), 1000, 1005)
    middle = Placed(0, use("Coffee", "A", seconds=15), 2000, 2015)
    long = Placed(0, use("Coffee", "A", seconds=40), 3000, 3040)
    found = score(rooms_of(brief, middle, long), trips_at(r0=[3003.0]), 1)
    assert (found.recall, found.recall_long, found.recall_short) == (0.5, 1.0, 0.0)


def test_only_trips_that_no_use_explains_are_false():
    placed = Placed(0, use("Vacuum", "A", "benign"), 1000, 1060)
    rooms = rooms_of(placed, variants=("plain", "plain", "refrigerator"))
    found = score(rooms, trips_at(r0=[1003.0, 5000.0], r2=[7.0, 9.0]), 1)
    assert found.false_trips["plain"].value == 0.5
    assert found.false_trips["refrigerator"].value == 2.0


def test_confusers_and_limited_appliances_are_counted_a_use_and_are_no_hits():
    vacuum = [
        Placed(0, use("VacuumCleaner", "A", "benign"), 1000 * i, 1000 * i + 60) for i in (1, 2)
    ]
    iron = Placed(0, use("Iron", "B", "limited"), 9000, 9060)
    found = score(rooms_of(*vacuum, iron), trips_at(r0=[1002.0, 9003.0]), 1)
    assert found.confuser_trips["VacuumCleaner"].value == 0.5
    assert found.limited_trips["Iron"].value == 1.0
    assert found.recall is None
    assert found.false_trips["plain"].value == 0.0


def test_the_second_of_two_uses_is_hit_while_the_room_stands_tripped():
    first = Placed(0, use("Kettle", "A"), 1000, 1060, pair=0)
    second = Placed(0, use("Toaster", "B"), 1003, 1063, pair=0)
    found = score(rooms_of(first, second, variants=("pairs",)), trips_at(r0=[1002.0]), 1)
    assert found.recall_pairs == 1.0
    assert found.recall is None


def test_the_interval_draws_whole_source_days_again():
    told = rate([0, 0, 4, 4], ["a", "a", "b", "b"])
    assert (told.value, told.low, told.high) == (2.0, 0.0, 4.0)
    assert (told.trips, told.of) == (8, 4)

"""Readings in, verdicts out: what is held, when it is believed, and how it is explained."""

import math

import pytest

from collector.counter import CounterGuard
from collector.field import PollSettings
from collector.plausible import Plausibility
from domain.events import EventKind
from domain.faults import Fault
from domain.site import Meter, RoomKind

DDSY = "acrel-ddsy1352"
HELD, ROLLED = EventKind.VALUE_HELD, EventKind.COUNTER_ROLLOVER
RESET, SWAP = EventKind.COUNTER_RESET, EventKind.METER_SWAP


def meter(**particulars: object) -> Meter:
    return Meter.model_validate(
        {
            "name": "m1", "bus": "b", "unit_id": 1, "profile": DDSY, "building": "A",
            "room": "1", "kind": RoomKind.DORM, "rated_current_a": 20, **particulars,
        }
    )  # fmt: skip


def told(profiles, readings: list[tuple[float, int]]) -> list[EventKind | None]:
    """The event that each reading (seconds, Wh) of a 20 A meter gives."""
    guard = CounterGuard(meter(), profiles[DDSY].row("energy_wh"))
    return [guard.judge(energy_wh, at_s).event for at_s, energy_wh in readings]


def test_a_counter_that_climbs_as_its_breaker_allows_is_accepted(profiles) -> None:
    # 20 A at 230 V for half an hour is 2.3 kWh.
    assert told(profiles, [(0, 1000), (30, 1030), (60, 1030), (1860, 3330)]) == [None] * 4


def test_a_jump_beyond_the_breaker_is_held_then_a_swap_once_it_repeats(profiles) -> None:
    assert told(profiles, [(0, 1000), (30, 9000), (60, 9010)]) == [None, HELD, SWAP]


def test_a_jump_that_does_not_repeat_is_forgotten(profiles) -> None:
    assert told(profiles, [(0, 1000), (30, 9000), (60, 1020)]) == [None, HELD, None]


def test_a_fall_is_held_until_it_repeats(profiles) -> None:
    assert told(profiles, [(0, 50_000), (30, 40_000), (60, 40_010)]) == [None, HELD, SWAP]
    assert told(profiles, [(0, 50_000), (30, 0), (60, 10)]) == [None, HELD, RESET]


def test_values_that_never_agree_stay_held(profiles) -> None:
    readings = [(0, 1000), (30, 90_000), (60, 500_000), (90, 3), (120, 70_000)]
    assert told(profiles, readings) == [None, HELD, HELD, HELD, HELD]


@pytest.mark.parametrize("last_wh", [9_999_990, 99_999_980, 999_999_990, 42_949_672_950])
def test_a_counter_that_passes_its_end_is_a_rollover(profiles, last_wh: int) -> None:
    assert told(profiles, [(0, last_wh), (30, 10), (60, 20)]) == [None, HELD, ROLLED]


def test_after_a_long_silence_more_is_believed(profiles) -> None:
    assert told(profiles, [(0, 1000), (86_400, 101_000)]) == [None, None]
    assert told(profiles, [(0, 1000), (60, 101_000)]) == [None, HELD]


def test_a_reading_from_before_a_restart_is_the_first_one(profiles) -> None:
    guard = CounterGuard(meter(), profiles[DDSY].row("energy_wh"))
    guard.seed(5000, at_s=-3600)
    assert guard.judge(6000, 0).accepted
    assert guard.judge(4000, 30).event is HELD


def test_three_phases_carry_three_times_as_much(profiles) -> None:
    row = profiles[DDSY].row("energy_wh")
    for phases, accepted in ((1, False), (3, True)):
        guard = CounterGuard(meter(phases=phases), row)
        guard.judge(0, 0)
        assert guard.judge(12_000, 3600).accepted is accepted


def check(profiles) -> Plausibility:
    return Plausibility(meter(), profiles[DDSY], PollSettings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("current_a", 60.1), ("voltage_v", 321.0), ("power_w", 19_300.0), ("power_w", -19_300.0),
        ("power_w", math.nan), ("current_a", math.inf),
    ],
)  # fmt: skip
def test_beyond_the_rating_is_held(profiles, name: str, value: float) -> None:
    values = {"voltage_v": 230.0, "current_a": 1.0, "power_w": 230.0} | {name: value}
    checked = check(profiles).check(values, [], 0.0)
    assert checked.values == {**values, name: None}
    assert checked.held == {name}
    assert [notice.kind for notice in checked.notices] == [HELD]


@pytest.mark.parametrize(
    ("name", "value"),
    [("current_a", 59.0), ("voltage_v", 0.0), ("voltage_v", 319.0), ("power_w", -15_000.0)],
)
def test_what_a_breaker_passes_for_a_moment_is_believed(profiles, name, value) -> None:
    assert check(profiles).check({name: value}, [], 0.0).held == frozenset()


def test_a_hold_is_told_once_and_again_after_it_has_ended(profiles) -> None:
    guard = check(profiles)
    bad, good = {"current_a": 500.0}, {"current_a": 1.0}
    told = [len(guard.check(v, [], i).notices) for i, v in enumerate([bad, bad, good, bad, bad])]
    assert told == [1, 0, 0, 1, 0]


def test_a_fault_of_decoding_is_a_hold(profiles) -> None:
    fault = Fault(f"{DDSY}.power_factor", "1.2 is out of range")
    checked = check(profiles).check({"power_factor": None, "power_w": 10.0}, [fault], 0.0)
    assert checked.held == {"power_factor"}
    assert "1.2 is out of range" in checked.notices[0].message


def test_what_did_not_come_is_neither_held_nor_told(profiles) -> None:
    checked = check(profiles).check({"energy_wh": None, "power_w": None}, [], 0.0)
    assert checked.held == frozenset() and checked.notices == ()

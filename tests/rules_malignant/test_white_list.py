"""Defined loads in defined rooms at defined hours are allowed; everything else is not."""

from datetime import UTC, datetime, time, timedelta

import pytest

from domain.policy import WhiteListEntry
from rules.whitelist import Step, fits, has_run_out, is_allowed_at, permitted_as

IDLE, HEATER = (80.0, 0.90), (1080.0, 0.999)
DRYER = {"name": "hair dryer", "power_w": 1000, "tolerance": 0.1}


@pytest.mark.parametrize(
    ("power_w", "fit"), [(899, False), (901, True), (1000, True), (1099, True), (1101, False)]
)
def test_power_must_lie_within_the_tolerance(power_w, fit):
    assert fits(WhiteListEntry(**DRYER), "room-1", Step(power_w)) is fit


def test_power_factor_must_fit_where_both_are_known():
    entry = WhiteListEntry(**DRYER, power_factor=0.90)
    assert not fits(entry, "room-1", Step(1000, ratio_least=0.0, ratio_most=0.03))
    assert fits(entry, "room-1", Step(1000, ratio_least=0.45, ratio_most=0.5))
    assert fits(entry, "room-1", Step(1000))


def test_an_entry_may_hold_for_some_meters_only():
    entry = WhiteListEntry(**DRYER, meters=("room-2",))
    assert not fits(entry, "room-1", Step(1000))
    assert fits(entry, "room-2", Step(1000))


@pytest.mark.parametrize(
    ("start", "end", "at", "allowed"),
    [
        (None, None, time(3), True),
        (time(7), time(22), time(7), True),
        (time(7), time(22), time(22), False),
        (time(22), time(6), time(23), True),
        (time(22), time(6), time(5, 59), True),
        (time(22), time(6), time(12), False),
        (time(18), None, time(23, 59, 59), True),
        (None, time(6), time(7), False),
    ],
)
def test_hours_may_run_over_midnight(start, end, at, allowed):
    entry = WhiteListEntry(**DRYER, from_time=start, to_time=end)
    assert is_allowed_at(entry, at) is allowed


def test_hours_are_local(site):
    noon_in_shanghai = datetime(2024, 3, 1, 4, tzinfo=UTC)
    entry = WhiteListEntry(**DRYER, from_time=time(11), to_time=time(13))
    step = Step(1000)
    assert permitted_as([entry], "room-1", step, noon_in_shanghai, site.zone) is entry
    later = noon_in_shanghai + timedelta(hours=2)
    assert permitted_as([entry], "room-1", step, later, site.zone) is None


def test_a_run_ends_by_its_length_or_by_the_clock(site):
    since = datetime(2024, 3, 1, 4, tzinfo=UTC)
    entry = WhiteListEntry(**DRYER, longest_run_s=600, to_time=time(12, 30))
    assert has_run_out(entry, since, since + timedelta(seconds=599), site.zone) is None
    assert has_run_out(entry, since, since + timedelta(seconds=601), site.zone) == "longest run"
    other = WhiteListEntry(**DRYER, to_time=time(12, 30))
    assert has_run_out(other, since, since + timedelta(minutes=31), site.zone) == "hours"


def test_a_permitted_load_does_not_trip(room):
    said = room(white_list=[DRYER]).words(IDLE, IDLE, *[HEATER] * 20)
    assert "TRIP" not in said


def test_a_heater_beside_a_permitted_load_trips(room):
    two = (2280.0, 0.9998)
    assert "TRIP" in room(white_list=[DRYER]).words(IDLE, IDLE, *[HEATER] * 5, two, two)


def test_a_permitted_load_trips_when_it_outstays_its_longest_run(room):
    watched = room(white_list=[{**DRYER, "longest_run_s": 10}])
    said = watched.read(IDLE, IDLE, *[HEATER] * 12)
    assert [verdict for verdict in said[:12] if verdict and verdict.violated] == []
    assert said[-1].violated is True
    assert said[-1].evidence.matched["ran_out"] == "longest run"
    assert said[-1].evidence.matched["white_list"] == "hair dryer"


def test_a_permitted_load_that_goes_off_in_time_is_forgotten(room):
    watched = room(white_list=[{**DRYER, "longest_run_s": 10}])
    said = watched.words(IDLE, IDLE, *[HEATER] * 8, *[IDLE] * 3, *[HEATER] * 8, IDLE)
    assert "TRIP" not in said

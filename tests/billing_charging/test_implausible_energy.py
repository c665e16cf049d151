"""Energy that can't be is held with its evidence, never billed, until it is explained."""

from dataclasses import replace
from datetime import timedelta

import pytest
from charging_station import micro

from billing.chain import Decision, MeterLimits, Ruling
from billing.charging_store import ReviewState
from billing.model import RegisterSpan
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind

ROOM = "b1-101"
# About 8 kW: in an hour 8 kWh may flow, in a minute 130 Wh and a little.
LIMITS = MeterLimits(carry_w=8_000)


@pytest.fixture
def station(make_station):
    made = make_station(limits=LIMITS)
    made.room()
    return made


def billed_wh(station):
    return station.charger.bill(ROOM, "2026-11").energy_wh


def adds_up(station):
    rows = station.charger.energy_check()
    return all(row.difference_wh == 0 for row in rows)


def test_a_counter_that_goes_back_is_held_and_use_goes_on_from_there(station):
    station.read((1, 1500), (1.1, 700), (1.2, 750), (2, 1100))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 500 + 400
    (review,) = station.charger.reviews()
    assert (review.before.energy_wh, review.after.energy_wh) == (1500, 700)
    assert review.difference_wh == -800
    assert review.possible_wh == 8_000 * 365 // 3600 + 20
    assert review.state is ReviewState.OPEN
    (event,) = [one for one in station.events if one.kind is EventKind.ENERGY_HELD]
    assert event.subject == "M-b1-101"
    assert event.details["before_wh"] == 1500
    (row,) = station.charger.energy_check()
    assert (row.billed_wh, row.held_wh, row.difference_wh) == (900, -800, 0)


def test_a_jump_beyond_what_the_meter_can_carry_is_held(station):
    station.read((1, 1500), (1.1, 9_001_500), (1.2, 9_001_600), (2, 9_002_000))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 500 + 500
    (review,) = station.charger.reviews()
    assert review.difference_wh == 9_000_000
    assert review.suggestion == Decision(Ruling.DROP)
    assert adds_up(station)


def test_a_single_wrong_reading_is_left_out_and_asks_nobody(station):
    station.read((1, 1500), (1.1, 77_000_000), (1.2, 1550), (2, 1600))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 600
    assert station.charger.reviews() == []
    assert adds_up(station)


def test_the_same_wrong_reading_delivered_twice_is_still_one_reading(station):
    station.read((1, 1500), (1.1, 77_000_000), (1.1, 77_000_000), (2, 1600))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 600
    assert station.charger.reviews() == []


def test_what_dead_hours_may_have_brought_is_billed_by_the_counter(station):
    station.read((1, 1500), (30, 1500 + 29 * 8_000))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 500 + 29 * 8_000
    assert station.charger.reviews() == []


def test_a_rollover_that_the_register_explains_is_counted_and_told(make_station):
    station = make_station(limits=replace(LIMITS, counter_sizes_wh=(1_000_000,)))
    station.room(first_wh=999_000)
    station.read((1, 999_800), (1.5, 300), (1.6, 400))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 800 + 500 + 100
    (event,) = [one for one in station.events if one.kind is EventKind.ROLLOVER_COUNTED]
    assert event.details["counted_wh"] == 500
    assert station.charger.reviews() == []
    (review,) = station.charger.reviews(open_only=False)
    assert review.state is ReviewState.EXPLAINED
    (row,) = station.charger.energy_check()
    assert (row.explained_wh, row.difference_wh) == (1_000_000, 0)


def test_a_reset_far_from_the_end_of_the_register_is_no_rollover(make_station):
    station = make_station(limits=replace(LIMITS, counter_sizes_wh=(1_000_000,)))
    station.room(first_wh=500_000)
    station.read((1, 500_100), (200, 0), (200.1, 10))
    (review,) = station.charger.reviews()
    assert review.suggestion == Decision(Ruling.SWAP, final_wh=500_100, first_wh=0)


@pytest.mark.parametrize(
    ("decision", "more_wh"),
    [
        (Decision(Ruling.DROP), 0),
        (Decision(Ruling.BILL, energy_wh=120), 120),
        (Decision(Ruling.ROLLOVER, size_wh=2_000), 1_200),
        (Decision(Ruling.SWAP, final_wh=1_560, first_wh=690), 60 + 10),
    ],
)
def test_a_decision_bills_what_it_says_once(station, decision, more_wh):
    station.read((1, 1500), (1.1, 700), (1.2, 750), (2, 1100))
    station.charger.settle(ROOM)
    (review,) = station.charger.reviews()
    for _ in range(2):
        done = station.charger.resolve(review.id, decision, "li", "slip 12")
    assert (done.state, done.decided_by, done.reason) == (ReviewState.DECIDED, "li", "slip 12")
    assert billed_wh(station) == 900 + more_wh
    assert station.charger.reviews() == []
    assert adds_up(station)
    (event,) = [one for one in station.events if one.kind is EventKind.ENERGY_DECIDED]
    assert event.actor == "li"


def test_a_decision_survives_a_restart(station):
    station.read((1, 1500), (1.1, 700), (1.2, 750), (2, 1100))
    station.charger.settle(ROOM)
    (review,) = station.charger.reviews()
    station.charger.resolve(review.id, Decision(Ruling.BILL, energy_wh=120), "li", "slip 12")
    station.restart()
    station.read((3, 1200))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 900 + 120 + 100
    assert adds_up(station)


def test_an_open_review_survives_a_restart(station):
    station.read((1, 1500), (1.1, 700), (1.2, 750))
    station.charger.settle(ROOM)
    station.restart()
    (review,) = station.charger.reviews()
    station.charger.resolve(review.id, Decision(Ruling.BILL, energy_wh=5), "li", "slip 12")
    assert billed_wh(station) == 555
    assert adds_up(station)


def test_another_decision_later_is_refused(station):
    station.read((1, 1500), (1.1, 700), (1.2, 750))
    (review,) = station.charger.reviews()
    station.charger.resolve(review.id, Decision(Ruling.DROP), "li", "slip 12")
    with pytest.raises(InvalidInput, match="decided already"):
        station.charger.resolve(review.id, Decision(Ruling.BILL, energy_wh=9), "li", "slip 12")


@pytest.mark.parametrize(
    ("decision", "reason", "sources"),
    [
        (Decision(Ruling.SWAP), " ", {"final_wh", "first_wh", "reason"}),
        (Decision(Ruling.ROLLOVER), "x", {"size_wh"}),
        (Decision(Ruling.ROLLOVER, size_wh=1_000), "x", {"size_wh"}),
        (Decision(Ruling.BILL), "x", {"energy_wh"}),
        (Decision(Ruling.BILL, energy_wh=-1), "x", {"energy_wh"}),
        (Decision(Ruling.SWAP, final_wh=1_400, first_wh=701), "x", {"final_wh", "first_wh"}),
    ],
)
def test_a_decision_that_lacks_something_is_refused_with_all_its_faults(
    station, decision, reason, sources
):
    station.read((1, 1500), (1.1, 700), (1.2, 750))
    (review,) = station.charger.reviews()
    with pytest.raises(InvalidInput) as refused:
        station.charger.resolve(review.id, decision, "li", reason)
    assert {fault.source for fault in refused.value.faults} == sources


def test_a_review_that_is_not_there_is_unknown(station):
    with pytest.raises(UnknownSubject):
        station.charger.resolve("nothing", Decision(Ruling.DROP), "li", "x")


def test_a_late_reading_that_makes_a_jump_possible_ends_its_review(station):
    station.read((1, 1500), (1.1, 2350), (1.101, 2352))
    station.charger.settle(ROOM)
    (review,) = station.charger.reviews()
    assert (review.difference_wh, billed_wh(station)) == (850, 502)
    station.observe(("M-b1-101", station.at(1.05), 1925))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 1352
    assert station.charger.review(review.id).state is ReviewState.GONE
    assert adds_up(station)
    with pytest.raises(InvalidInput, match="gone already"):
        station.charger.resolve(review.id, Decision(Ruling.DROP), "li", "too late")
    station.restart()
    station.read((3, 2600))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 1600


def test_an_impossible_difference_can_be_billed_when_it_was_seen_on_site(station):
    station.read((1, 1500), (1.01, 91_000), (1.02, 91_010))
    (review,) = station.charger.reviews()
    station.charger.resolve(review.id, Decision(Ruling.BILL), "li", "seen on site")
    assert billed_wh(station) == 500 + 89_500 + 10
    assert adds_up(station)


def test_a_late_reading_inside_a_jump_moves_it_and_its_decision(station):
    station.read((1, 1500), (1.5, 200), (1.6, 260))
    (review,) = station.charger.reviews()
    station.charger.resolve(
        review.id, Decision(Ruling.SWAP, final_wh=1_700, first_wh=0), "li", "slip 12"
    )
    assert billed_wh(station) == 500 + 200 + 200 + 60
    # One more reading of the old counter, and one of the new, came late.
    station.observe(("M-b1-101", station.at(1.2), 1_650))
    station.observe(("M-b1-101", station.at(1.4), 120))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 500 + 200 + 200 + 60
    assert adds_up(station)


def test_a_meter_change_goes_from_the_last_reading_of_the_old_to_the_first_of_the_new(station):
    station.read((1, 1500), (2, 1600))
    swapped = station.at(2.5)
    station.until(2.5)
    station.directory.put_span(
        RegisterSpan("M-b1-101", ROOM, station.start, 1000, until=swapped, last_wh=1_640)
    )
    station.directory.put_span(RegisterSpan("M-b1-101", ROOM, swapped, 7))
    station.read((3, 57), (4, 157))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 640 + 150
    assert station.charger.reviews() == []
    assert adds_up(station)
    assert len(station.charger.energy_check()) == 2
    station.restart()
    station.read((5, 200))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 640 + 193
    assert adds_up(station)


def test_readings_of_a_new_meter_before_the_change_was_written_down_go_to_it(station):
    station.read((1, 1500), (2, 1600), (2.6, 10), (2.7, 20), (3, 60))
    station.charger.settle(ROOM)
    assert len(station.charger.reviews()) == 1
    station.until(4)
    swapped = station.at(2.5)
    station.directory.put_span(
        RegisterSpan("M-b1-101", ROOM, station.start, 1000, until=swapped, last_wh=1_640)
    )
    station.directory.put_span(RegisterSpan("M-b1-101", ROOM, swapped, 7))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 640 + 53
    assert station.charger.reviews() == []
    assert adds_up(station)


def test_a_final_reading_below_the_last_known_one_is_held(station):
    station.read((1, 1500), (2, 1600))
    station.until(3)
    station.directory.put_span(
        RegisterSpan("M-b1-101", ROOM, station.start, 1000, until=station.at(2.5), last_wh=600)
    )
    station.charger.settle(ROOM)
    assert billed_wh(station) == 600
    (review,) = station.charger.reviews()
    assert review.difference_wh == -1000


def test_a_moved_meter_is_charged_to_whoever_has_it(station):
    station.room("b1-102", first_wh=0)
    station.read((1, 1500))
    station.until(2)
    moved = station.at(2)
    station.directory.put_span(
        RegisterSpan("M-b1-101", ROOM, station.start, 1000, until=moved, last_wh=1_600)
    )
    station.directory.put_span(RegisterSpan("M-b1-101", "b1-102", moved, 1_600))
    station.read((3, 1_900))
    station.charger.charge_due()
    assert station.charged_micro(ROOM) == micro("0.55") * 600 // 1000
    assert station.charged_micro("b1-102") == micro("0.55") * 300 // 1000
    assert adds_up(station)


def test_rooms_settled_hours_apart_hold_each_jump_once(station):
    readings = [(1, 1500), (1.1, 700), (1.2, 750)]
    station.read(*readings)
    for hours in (2, 3, 4):
        station.until(hours)
        station.charger.charge_due()
    assert len([one for one in station.events if one.kind is EventKind.ENERGY_HELD]) == 1
    station.clock.leap(timedelta(days=1).total_seconds())
    assert len(station.charger.reviews()) == 1

"""Changing a meter: one register ends with a reading, another begins with one."""

from datetime import timedelta

import pytest
from office import NOON, Office

from billing.accounts.desk import AccountRefused, Reading
from billing.accounts.meters import MeterChange
from billing.model import RegisterSpan
from domain.errors import InvalidInput
from domain.events import EventKind


@pytest.fixture
def room(office: Office) -> Office:
    """A room whose meter began at 1,000 Wh and was read an hour later at 5,000 Wh."""
    office.room("305", registers={"m1": 1000})
    office.clock.leap(3600)
    office.readings["m1"] = Reading(office.clock.now(), 5000, most_w=2000.0)
    office.clock.leap(3600)
    return office


def change(office: Office, action: str = "c1", **found):
    usual = {"meter": "m1", "final_wh": 5400, "first_wh": 12, "new_meter": "m2"}
    wanted = MeterChange(**{**usual, **found})
    return office.accounts.change_meter(action, "b1-305", wanted, "zhao", "display dead")


def test_both_registers_are_kept_with_who_and_why(room: Office) -> None:
    now = room.clock.now()
    done = change(room, serial="SN7")
    assert room.directory.registers("b1-305") == (
        RegisterSpan("m1", "b1-305", NOON, 1000, now, 5400),
        RegisterSpan("m2", "b1-305", now, 12, serial="SN7"),
    )
    (event,) = room.events(EventKind.METER_SWAP)
    assert (event.subject, event.actor, event.time) == ("m1", "zhao", now)
    assert event.details["reason"] == "display dead"
    assert (event.details["final_wh"], event.details["first_wh"]) == (5400, 12)
    assert event.details["last_known_wh"] == 5000
    assert done.result["final_wh"] == 5400


def test_it_is_settled_before_and_after(room: Office) -> None:
    change(room)
    assert room.settled == ["b1-305", "b1-305"]


def test_the_new_device_may_keep_the_name_of_the_old_one(room: Office) -> None:
    now = room.clock.now()
    change(room, new_meter="")
    assert room.directory.registers_of_meter("m1") == (
        RegisterSpan("m1", "b1-305", NOON, 1000, now, 5400),
        RegisterSpan("m1", "b1-305", now, 12),
    )
    account = room.directory.account_of_meter("m1")
    assert account is not None
    assert account.id == "b1-305"


@pytest.mark.parametrize(
    ("final_wh", "words"),
    [
        (4999, "is below 5000 Wh, the last one known"),
        # 2 kW and a quarter for an hour, and a kWh of margin
        (8501, r"more than the circuit can have carried .* \(8500 Wh at most\)"),
    ],
)
def test_a_final_reading_that_can_hardly_be_needs_a_reason(
    room: Office, final_wh: int, words: str
) -> None:
    with pytest.raises(AccountRefused, match=words):
        change(room, final_wh=final_wh)
    assert room.directory.registers("b1-305") == (RegisterSpan("m1", "b1-305", NOON, 1000),)
    change(room, "c2", final_wh=final_wh, final_reason="photo of the display")
    assert room.directory.registers("b1-305")[0].last_wh == final_wh
    (event,) = room.events(EventKind.METER_SWAP)
    assert event.details["final_reason"] == "photo of the display"


@pytest.mark.parametrize("final_wh", [5000, 8500])
def test_a_final_reading_at_the_edge_needs_none(room: Office, final_wh: int) -> None:
    change(room, final_wh=final_wh)
    assert room.directory.registers("b1-305")[0].last_wh == final_wh


def test_a_meter_that_was_never_read_is_held_against_its_first_reading(office: Office) -> None:
    office.room("305", registers={"m1": 1000})
    office.clock.leap(60)
    with pytest.raises(AccountRefused, match="below 1000 Wh"):
        change(office, final_wh=999)
    change(office, final_wh=1001)


def test_a_meter_of_another_room_can_not_be_exchanged_here(room: Office) -> None:
    room.room("306", registers={"m6": 0})
    with pytest.raises(AccountRefused, match="m6 does not count for b1-305"):
        change(room, meter="m6")


def test_the_new_meter_must_not_count_for_somebody_else(room: Office) -> None:
    room.room("306", registers={"m2": 0})
    with pytest.raises(AccountRefused, match="m2 counts for b1-306 already"):
        change(room)
    assert room.directory.registers("b1-305")[0].until is None


def test_readings_and_times_that_can_not_be_are_faults(room: Office) -> None:
    later = room.clock.now() + timedelta(seconds=1)
    with pytest.raises(InvalidInput) as caught:
        change(room, final_wh=-1, first_wh=10**14, at=later)
    assert [fault.source for fault in caught.value.faults] == ["final_wh", "first_wh", "at"]


def test_the_same_change_again_changes_nothing(room: Office) -> None:
    change(room)
    room.clock.leap(5)
    assert change(room).repeated
    assert len(room.directory.registers("b1-305")) == 2

"""Changing rooms: people move, and their money with them."""

from datetime import date

import pytest
from office import TODAY, Office

from billing.accounts.desk import AccountRefused
from billing.model import Occupancy
from domain.books import EntryKind, KeyReused
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind

SEPTEMBER = date(2026, 9, 1)


@pytest.fixture
def rooms(office: Office) -> Office:
    """Three people with 100.00 and a third of a micro-unit's worth of change in 305, 306 empty."""
    office.room("305", opening_micro=100_000_001)
    office.room("306")
    office.people("b1-305", "s1", "s2", "s3")
    return office


def move(office: Office, action: str = "m1", **more):
    return office.accounts.move_room(action, "b1-305", "b1-306", "li", "swap", **more)


def test_when_everybody_moves_the_exact_balance_moves(rooms: Office) -> None:
    done = move(rooms)
    assert done.result["amount_micro"] == 100_000_001
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (0, 100_000_001)
    assert [one.id for one in rooms.directory.occupants("b1-306")] == ["s1", "s2", "s3"]
    assert rooms.directory.occupants("b1-305") == []
    (posted,) = rooms.books.entries(kind=EntryKind.ROOM_MOVE)
    assert posted.entry.id == "room-move:m1"


def test_who_moves_alone_takes_an_equal_share_in_whole_fen(rooms: Office) -> None:
    move(rooms, people=["s2"])
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (66_670_001, 33_330_000)
    assert rooms.directory.occupancies(person_id="s2") == [
        Occupancy("s2", "b1-305", SEPTEMBER, TODAY),
        Occupancy("s2", "b1-306", TODAY),
    ]


def test_what_the_roommates_agreed_on_is_moved_instead(rooms: Office) -> None:
    move(rooms, people=["s2"], amount_minor=1_050)
    assert rooms.balance("b1-306") == 10_500_000
    with pytest.raises(InvalidInput, match="from 0 to what is there"):
        move(rooms, "m2", people=["s1"], amount_minor=9_000)


def test_both_rooms_are_settled_before_the_money_moves(rooms: Office) -> None:
    rooms.owed = {"b1-305": 40_000_001, "b1-306": 5_000_000}
    move(rooms)
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (0, 55_000_000)


def test_free_energy_stays_with_the_room(rooms: Office) -> None:
    from domain.books import BookAccount, Entry, Leg, Unit

    rooms.books.open(BookAccount("free:granted", Unit.WH)).result(10)
    legs = (Leg("free:b1-305", 8000), Leg("free:granted", -8000))
    grant = Entry("g1", rooms.clock.now(), EntryKind.FREE_GRANT, legs, "charger")
    rooms.books.post(grant).result(10)
    move(rooms)
    assert rooms.books.balance("free:b1-305") == 8000


def test_a_debt_keeps_people_from_moving_unless_it_is_carried_along(rooms: Office) -> None:
    rooms.owed = {"b1-305": 130_000_002}
    with pytest.raises(AccountRefused, match=r"owes 30\.000001"):
        move(rooms)
    assert [one.id for one in rooms.directory.occupants("b1-305")] == ["s1", "s2", "s3"]
    move(rooms, "m2", people=["s1"], carry_debt=True)
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (-20_000_001, -10_000_000)


def test_the_same_move_again_changes_nothing_and_another_one_is_refused(rooms: Office) -> None:
    move(rooms, people=["s2"])
    settled = list(rooms.settled)
    assert move(rooms, people=["s2"]).repeated
    assert rooms.settled == settled
    assert rooms.balance("b1-306") == 33_330_000
    with pytest.raises(KeyReused):
        move(rooms, people=["s3"])
    assert len(rooms.events(EventKind.ROOM_MOVED)) == 1


def test_who_does_not_live_there_can_not_move_out_of_there(rooms: Office) -> None:
    with pytest.raises(UnknownSubject, match="nobody-known"):
        move(rooms, people=["nobody-known"])
    rooms.people("b1-306", "s9")
    with pytest.raises(AccountRefused, match="s9 does not occupy b1-305"):
        move(rooms, people=["s9"])


def test_a_move_is_not_dated_ahead(rooms: Office) -> None:
    with pytest.raises(InvalidInput, match="still to come"):
        move(rooms, on=date(2026, 11, 23))


def test_a_move_to_the_same_room_or_an_unknown_one_is_refused(rooms: Office) -> None:
    with pytest.raises(InvalidInput, match="another room"):
        rooms.accounts.move_room("m1", "b1-305", "b1-305", "li", "x")
    with pytest.raises(UnknownSubject, match="b1-999"):
        rooms.accounts.move_room("m1", "b1-305", "b1-999", "li", "x")


def test_a_move_is_whole_or_not_at_all(rooms: Office) -> None:
    """s2 is in both rooms already: the money that was booked before that was found is undone."""
    rooms.accounts.move_in("x", "s2", "b1-306", SEPTEMBER, "li")
    with pytest.raises(AccountRefused, match="s2 occupies b1-306 already"):
        move(rooms)
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (100_000_001, 0)
    assert rooms.books.entry("room-move:m1") is None
    rooms.reopen()
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (100_000_001, 0)
    assert len(rooms.directory.occupants("b1-305")) == 3

"""Money moved by hand takes two people, is there to be moved, and moves once."""

import pytest
from office import Office

from billing.accounts.desk import AccountRefused
from billing.accounts.store import RequestState
from domain.books import BelowFloor, Entry, EntryKind, Leg
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.events import EventKind

WEEK_S = 7 * 86_400


@pytest.fixture
def rooms(office: Office) -> Office:
    """Somebody paid 50.00 to 305 and meant 306."""
    office.room("305")
    office.room("306")
    office.recharge("b1-305", 5000, "o1")
    return office


def ask(office: Office, name: str = "t1", amount: int = 5000, recharge: str = "recharge:o1"):
    return office.accounts.request_transfer(
        name, "b1-305", "b1-306", recharge, amount, "li", "typed the wrong room"
    )


def agree(office: Office, name: str = "t1", actor: str = "wang"):
    return office.accounts.approve_transfer(name, actor, "seen the payment")


def test_a_transfer_moves_the_money_once_a_second_person_agrees(rooms: Office) -> None:
    assert ask(rooms).state is RequestState.WAITING
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (50_000_000, 0)
    decided = agree(rooms)
    assert (decided.state, decided.decided_by) == (RequestState.APPROVED, "wang")
    assert decided.entry == "transfer:t1"
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (0, 50_000_000)
    entry = rooms.books.entry("transfer:t1").entry
    assert (entry.kind, entry.reference) == (EntryKind.TRANSFER, "recharge:o1")
    assert (entry.details["requested_by"], entry.details["approved_by"]) == ("li", "wang")
    (asked,) = rooms.events(EventKind.MONEY_REQUESTED)
    (told,) = rooms.events(EventKind.MONEY_DECIDED)
    assert (asked.actor, told.actor) == ("li", "wang")


def test_the_same_person_can_not_agree(rooms: Office) -> None:
    ask(rooms)
    with pytest.raises(Forbidden, match="a second person"):
        agree(rooms, actor="li")
    assert rooms.balance("b1-305") == 50_000_000
    assert rooms.accounts.money_request("t1").state is RequestState.WAITING


def test_asking_and_agreeing_again_change_nothing(rooms: Office) -> None:
    first = ask(rooms)
    rooms.clock.leap(60)
    assert ask(rooms) == first
    decided = agree(rooms)
    rooms.clock.leap(60)
    assert agree(rooms) == decided
    assert ask(rooms) == decided
    assert rooms.balance("b1-306") == 50_000_000
    with pytest.raises(AccountRefused, match="is approved already"):
        agree(rooms, actor="zhao")
    with pytest.raises(AccountRefused, match="used before for another request"):
        ask(rooms, amount=1)


def test_a_request_expires(rooms: Office) -> None:
    ask(rooms)
    rooms.clock.leap(WEEK_S)
    assert rooms.accounts.money_request("t1").state is RequestState.EXPIRED
    assert rooms.accounts.money_requests(waiting_only=True) == []
    with pytest.raises(AccountRefused, match="is expired already"):
        agree(rooms)
    assert rooms.balance("b1-306") == 0


def test_a_second_before_it_expires_it_can_be_agreed_to(rooms: Office) -> None:
    ask(rooms)
    rooms.clock.leap(WEEK_S - 1)
    assert agree(rooms).state is RequestState.APPROVED


def test_money_that_was_used_meanwhile_can_not_be_moved(rooms: Office) -> None:
    ask(rooms)
    rooms.owed["b1-305"] = 1
    with pytest.raises(BelowFloor):
        agree(rooms)
    assert (rooms.balance("b1-305"), rooms.balance("b1-306")) == (49_999_999, 0)
    assert rooms.accounts.money_request("t1").state is RequestState.WAITING
    ask(rooms, "t2", 4999)
    agree(rooms, "t2")
    assert rooms.balance("b1-305") == 9_999


def test_no_more_than_what_was_paid_is_moved(rooms: Office) -> None:
    rooms.recharge("b1-305", 9000, "o2")
    with pytest.raises(AccountRefused, match=r"50 is left of recharge:o1: 50\.01 can't be moved"):
        ask(rooms, amount=5001)
    ask(rooms, "t1", 3000)
    ask(rooms, "t2", 3000)
    agree(rooms, "t1")
    with pytest.raises(AccountRefused, match="20 is left of recharge:o1"):
        agree(rooms, "t2")
    assert rooms.balance("b1-305") == 110_000_000


def test_what_was_refunded_or_reversed_is_not_left(rooms: Office) -> None:
    legs = (Leg("room:b1-305", -20_000_000), Leg("clearing:wechat", 20_000_000))
    refund = Entry("refund:r1", rooms.clock.now(), EntryKind.REFUND, legs, "pay", "", "o1")
    rooms.books.post(refund).result(10)
    with pytest.raises(AccountRefused, match="30 is left"):
        ask(rooms, amount=3001)
    # The provider would not take it back: the refund is undone.
    rooms.books.reverse("refund:r1", "reversal:r1", "pay", "refused").result(10)
    ask(rooms, amount=5000)
    rooms.books.reverse("recharge:o1", "reversal:o1", "pay", "was a mistake").result(10)
    with pytest.raises(AccountRefused, match="0 is left"):
        agree(rooms)


def test_only_a_recharge_of_that_room_can_be_transferred(rooms: Office) -> None:
    for entry in ("recharge:none", "opening:b1-305"):
        with pytest.raises(AccountRefused, match="is no recharge of b1-305"):
            ask(rooms, recharge=entry)
    rooms.recharge("b1-306", 100, "o6")
    with pytest.raises(AccountRefused, match="recharge:o6 is no recharge of b1-305"):
        ask(rooms, amount=100, recharge="recharge:o6")


@pytest.mark.parametrize("amount", [0, -1, True, 10_000_001])
def test_amounts_that_can_not_be_are_faults(rooms: Office, amount: int) -> None:
    with pytest.raises(InvalidInput):
        ask(rooms, amount=amount)


def test_no_is_final_and_one_may_withdraw_ones_own(rooms: Office) -> None:
    ask(rooms)
    ask(rooms, "t2", 100)
    assert rooms.accounts.refuse_request("t1", "wang", "no").state is RequestState.REFUSED
    assert rooms.accounts.refuse_request("t2", "li", "mistake").state is RequestState.WITHDRAWN
    for name in ("t1", "t2"):
        with pytest.raises(AccountRefused, match="already"):
            agree(rooms, name)
    with pytest.raises(UnknownSubject):
        agree(rooms, "t9")


def test_an_adjustment_takes_two_people_too(rooms: Office) -> None:
    rooms.accounts.request_adjustment("a1", "b1-306", -250, "wang", "billed too little")
    with pytest.raises(Forbidden):
        agree(rooms, "a1", "wang")
    agree(rooms, "a1", "chen")
    assert rooms.balance("b1-306") == -2_500_000
    assert rooms.books.balance("suspense") == 2_500_000
    assert rooms.books.entry("adjustment:a1").entry.kind is EntryKind.ADJUSTMENT


def test_requests_are_listed_newest_first_by_room(rooms: Office) -> None:
    ask(rooms, "t1", 100)
    rooms.clock.leap(1)
    rooms.accounts.request_adjustment("a1", "b1-305", 100, "wang", "x")
    listed = rooms.accounts.money_requests(account_id="b1-306")
    assert [one.id for one in listed] == ["t1"]
    assert [one.id for one in rooms.accounts.money_requests()] == ["a1", "t1"]
    rooms.reopen()
    assert [one.id for one in rooms.accounts.money_requests(limit=1)] == ["a1"]

"""Closing: everything billed, every fen given back, history kept, nothing twice."""

from datetime import date

import pytest
from office import NOON, TODAY, Office

from billing.accounts.closing import RefundBy
from billing.accounts.desk import AccountRefused, Reading
from billing.accounts.opening import NewAccount
from billing.model import Occupancy
from domain.books import AccountUnknown, BookAccount, Entry, EntryKind, Leg, Unit
from domain.errors import InvalidInput, StoreUnavailable
from domain.events import EventKind
from domain.site import RoomKind


@pytest.fixture
def room(office: Office) -> Office:
    """A room with 50.00, a meter and a student."""
    office.room("305", registers={"m1": 1000})
    office.readings["m1"] = Reading(NOON, 1500)
    office.people("b1-305", "s1")
    office.recharge("b1-305", 5000, "o1")
    office.clock.leap(60)
    return office


def close(office: Office, action: str = "x1", **more):
    more.setdefault("cashier", "till-1")
    return office.accounts.close_account(action, "b1-305", "wang", "graduated", **more)


def test_the_exact_balance_is_paid_out_and_the_rest_of_a_fen_is_accounted_for(room: Office) -> None:
    room.owed["b1-305"] = 12_345_678
    done = close(room)
    assert done.result["balance_micro"] == 37_654_322
    assert done.result["paid_out_minor"] == 3765
    assert room.books.balance("cash:till-1") == 37_650_000
    assert room.books.balance("suspense") == 4_322
    assert room.balance("b1-305") == 0
    account = room.directory.account("b1-305")
    assert account is not None
    assert account.closed_at == room.clock.now()
    (refund,) = room.books.entries(kind=EntryKind.REFUND)
    assert refund.entry.id == "refund:x1"
    assert refund.entry.details["rounding_micro"] == 4_322


def test_a_closed_account_keeps_its_history_and_takes_no_more(room: Office) -> None:
    close(room)
    room.reopen()
    assert room.directory.accounts() == []
    assert [one.id for one in room.directory.accounts(open_only=False)] == ["b1-305"]
    assert room.directory.occupancies() == [Occupancy("s1", "b1-305", date(2026, 9, 1), TODAY)]
    assert room.directory.occupants("b1-305", TODAY) == []
    (span,) = room.directory.registers("b1-305")
    assert (span.until, span.last_wh) == (room.clock.now(), 1500)
    with pytest.raises(AccountUnknown, match="closed"):
        room.recharge("b1-305", 100, "o2")
    for act in (
        lambda: room.accounts.change_account("c", "b1-305", "li", "x", note="n"),
        lambda: room.accounts.move_in("i", "s1", "b1-305", TODAY, "li"),
        lambda: room.accounts.request_adjustment("a", "b1-305", 5, "li", "x"),
    ):
        with pytest.raises(AccountRefused, match="was closed on 2026-11-22"):
            act()


def test_a_room_that_is_opened_again_gets_a_new_account(room: Office) -> None:
    close(room)
    done = room.accounts.open_account(
        "again", NewAccount("B1", "305", RoomKind.DORM, "dorm", registers={"m1": 1500}), "li"
    )
    assert done.result == {"account": "b1-305~2"}
    account = room.directory.account_of_meter("m1")
    assert account is not None
    assert account.id == "b1-305~2"
    assert room.balance("b1-305~2") == 0


def test_closing_again_with_the_same_id_changes_nothing(room: Office) -> None:
    first = close(room)
    again = close(room)
    assert (again.repeated, again.result) == (True, first.result)
    assert room.books.balance("cash:till-1") == 50_000_000
    with pytest.raises(AccountRefused, match="was closed"):
        close(room, "x2")


def test_energy_that_is_held_keeps_an_account_open_unless_somebody_says_why(room: Office) -> None:
    room.held["b1-305"] = ["3 readings of m1 are held for review"]
    with pytest.raises(AccountRefused, match="3 readings of m1 are held"):
        close(room)
    assert room.balance("b1-305") == 50_000_000
    close(room, "x2", force_reason="meter burnt, estimate agreed")
    (event,) = room.events(EventKind.ACCOUNT_CLOSED)
    assert event.details["force_reason"] == "meter burnt, estimate agreed"
    assert event.details["overridden"] == ["3 readings of m1 are held for review"]


def test_a_meter_that_was_never_read_keeps_it_open_too(room: Office) -> None:
    del room.readings["m1"]
    with pytest.raises(AccountRefused, match="the meter m1 was never read"):
        close(room)
    close(room, "x2", force_reason="never connected")
    assert room.directory.registers("b1-305")[0].last_wh is None


def test_a_request_that_waits_keeps_it_open(room: Office) -> None:
    room.accounts.request_adjustment("a1", "b1-305", 5, "li", "x")
    with pytest.raises(AccountRefused, match=r"the request a1 \(adjustment\) waits"):
        close(room)
    room.accounts.refuse_request("a1", "wang", "no")
    close(room, "x2")


def test_a_debt_is_paid_or_written_off_with_approval_first(room: Office) -> None:
    room.owed["b1-305"] = 62_000_000
    with pytest.raises(AccountRefused, match="owes 12: have it paid, or written off"):
        close(room)
    asked = room.accounts.request_write_off("w1", "b1-305", "li", "left the country")
    assert asked.amount_micro == 12_000_000
    room.accounts.approve_transfer("w1", "wang", "agreed")
    assert room.balance("b1-305") == 0
    done = close(room, "x2")
    assert done.result["paid_out_minor"] == 0
    assert room.books.balance("suspense") == -12_000_000


def test_a_write_off_never_gives_more_than_is_owed(room: Office) -> None:
    room.owed["b1-305"] = 62_000_000
    room.accounts.request_write_off("w1", "b1-305", "li", "left")
    room.recharge("b1-305", 500, "o2")
    with pytest.raises(AccountRefused, match=r"owes 7 now, not 12: ask anew"):
        room.accounts.approve_transfer("w1", "wang", "agreed")
    room.recharge("b1-305", 5000, "o3")
    with pytest.raises(AccountRefused, match="owes nothing"):
        room.accounts.request_write_off("w2", "b1-305", "li", "left")


def test_a_debt_below_a_fen_is_nobodys(room: Office) -> None:
    room.owed["b1-305"] = 50_009_999
    assert close(room).result["paid_out_minor"] == 0
    assert room.books.balance("suspense") == -9_999
    (entry,) = room.books.entries(kind=EntryKind.ADJUSTMENT)
    assert entry.entry.details["rounding_micro"] == -9_999


def test_free_energy_that_is_left_lapses(room: Office) -> None:
    room.books.open(BookAccount("free:granted", Unit.WH)).result(10)
    legs = (Leg("free:b1-305", 8000), Leg("free:granted", -8000))
    room.books.post(Entry("g1", NOON, EntryKind.FREE_GRANT, legs, "charger")).result(10)
    assert close(room).result["free_lapsed_wh"] == 8000
    assert room.books.balance("free:b1-305") == 0
    assert room.books.balance("free:expired") == 8000


def test_the_balance_goes_back_to_its_source(room: Office) -> None:
    room.owed["b1-305"] = 1
    done = close(room, refund=RefundBy.SOURCE)
    assert done.result["refunds"] == [{"id": "x1:1", "amount_minor": 4999, "sent_minor": 4999}]
    assert room.books.balance("clearing:wechat") == -10_000
    assert room.books.balance("suspense") == 9_999


def test_what_the_source_does_not_take_is_left_for_cash(room: Office) -> None:
    room.source_limit_minor = 3000
    with pytest.raises(AccountRefused, match="20 of b1-305 can't go back"):
        close(room, refund=RefundBy.SOURCE)
    account = room.directory.account("b1-305")
    assert account is not None
    assert account.closed_at is None
    close(room, "x2")
    assert room.books.balance("cash:till-1") == 20_000_000


def test_an_interrupted_closing_goes_on_where_it_was_and_refunds_once(room: Office) -> None:
    real = room.accounts._refund_to_source

    def cut_off(order):
        real(order)
        raise StoreUnavailable("the machine stopped")

    room.accounts._refund_to_source = cut_off
    with pytest.raises(StoreUnavailable):
        close(room, refund=RefundBy.SOURCE)
    room.reopen()
    # Somebody pays meanwhile: that goes back as well.
    room.recharge("b1-305", 100, "o2")
    done = close(room, refund=RefundBy.SOURCE)
    assert done.result["refunds"] == [
        {"id": "x1:1", "amount_minor": 5000, "sent_minor": 5000},
        {"id": "x1:2", "amount_minor": 100, "sent_minor": 100},
    ]
    assert room.books.balance("clearing:wechat") == 0
    assert room.balance("b1-305") == 0


def test_who_pays_out_must_be_named(room: Office) -> None:
    with pytest.raises(InvalidInput, match="cashier"):
        close(room, cashier=" ")


def test_money_in_a_prepaid_meter_keeps_it_open_and_the_meter_in_place(room: Office) -> None:
    from billing.accounts.meters import MeterChange

    room.books.open(BookAccount("meter:m1")).result(10)
    legs = (Leg("room:b1-305", -20_000_000), Leg("meter:m1", 20_000_000))
    room.books.post(Entry("b1", NOON, EntryKind.TRANSFER, legs, "prepaid")).result(10)
    with pytest.raises(AccountRefused, match="the prepaid meter m1 holds 20"):
        close(room)
    with pytest.raises(AccountRefused, match="holds 20: take it back first"):
        room.accounts.change_meter("c", "b1-305", MeterChange("m1", 1500, 0), "zhao", "old")
    close(room, "x2", force_reason="meter burnt, written off by hand")

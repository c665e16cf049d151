"""The whole chain on SQLite and on PostgreSQL: order, notices, refund, till, statement, pruning."""

from datetime import date

import pytest
import sqlalchemy as sa
from pay_office import ROOMS, Office

from billing.payments.cashier import ShiftRefused
from billing.payments.model import NoticeOutcome
from billing.payments.refunding import RefundRefused
from domain.books import BookAccount, KeyReused, room_book
from simulator.payments.provider import Tamper


@pytest.fixture
def station(tmp_path, database_url, card):
    made = Office(tmp_path, card, database_url)
    made.books.open(*(BookAccount(room_book(name)) for name in ROOMS)).result(30)
    yield made
    made.close()


def test_an_order_lives_from_the_wish_to_the_refund(station, card):
    order = station.order(5000)
    assert station.order(5000) == order
    with pytest.raises(KeyReused):
        station.order(5001)
    assert card.pay(order.id, copies=3) == [200, 200, 200]
    assert (station.balance(), station.cleared()) == (5000, 5000)
    refund = station.refund(order, 2000)
    assert station.payments.refunds.view(refund.id) == refund
    with pytest.raises(RefundRefused):
        station.refund(order, 3001, "r2")
    kept = station.store.notices(order=order.id)
    assert [one.outcome for one in kept] == ["duplicate", "duplicate", "credited"]
    assert kept[0].number > kept[1].number > kept[2].number
    station.clock.leap(86_400)
    assert station.payments.statements.fetch("campus-card", date(2026, 5, 1), "fin").clean
    station.clock.leap(401 * 86_400)
    assert station.payments.tick().pruned == 3


def test_a_held_payment_and_a_refused_notice_are_kept(station, card):
    order = station.order(5000)
    card.pay(order.id, tamper=Tamper.AMOUNT, copies=2)
    assert station.payments.notice("campus-card", {"X": "é"}, b"\x00").status == 401
    (review,) = station.store.reviews()
    assert review.facts["merchant"] == "POWER01"
    assert len(station.store.notices(outcome=NoticeOutcome.HELD)) == 2
    assert len(station.store.notices(outcome=NoticeOutcome.REFUSED)) == 1


def test_the_till_keeps_its_numbers(station):
    till = station.payments.cashier
    till.open_shift("wang", 100)
    with pytest.raises(ShiftRefused):
        till.open_shift("wang", 100)
    first, second = station.cash(5000, "c1"), station.cash(3000, "c2")
    assert (first.number, second.number) == (1, 2)
    assert till.void(2, "wang", "twice").number == 3
    assert till.close_shift("wang", 5100).difference_minor == 0
    assert station.store.receipts(shift=first.shift)[0].number == 3


def test_the_database_refuses_to_change_what_is_kept(station):
    station.payments.cashier.open_shift("wang", 0)
    station.cash(1000)
    station.payments.notice("campus-card", {}, b"{}")
    for statement in (
        "UPDATE payment_notice SET outcome = 'credited'",
        "UPDATE receipt_slip SET amount_minor = 1",
        "DELETE FROM receipt_slip",
    ):
        with pytest.raises(sa.exc.DBAPIError, match=r"never changed|append-only"):
            station.ledger.transact(lambda c, s=statement: c.execute(sa.text(s))).result(10)

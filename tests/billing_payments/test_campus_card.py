"""A recharge by campus card from the wish to the credit, over real HTTP with real signatures."""

import pytest

from billing.payments.channel import ChannelRefused
from domain.books import EntryKind
from domain.errors import LinkDown
from simulator.payments.provider import Send


def test_an_order_is_placed_paid_and_credited(office, card):
    order = office.order(5000)
    assert (order.state, order.pay) == ("pending", {"qr": f"{card.url}/pay/{order.id}"})
    assert card.pay(order.id) == [200]
    assert office.state(order) == "credited"
    assert (office.balance(), office.cleared()) == (5000, 5000)


def test_the_entry_says_what_reports_need(office, card):
    order = office.order(5000)
    card.pay(order.id)
    (posted,) = office.books.entries(kind=EntryKind.RECHARGE)
    assert posted.entry.id == f"recharge:{order.id}"
    assert dict(posted.entry.details) == {
        "channel": "campus-card",
        "order": order.id,
        "provider_ref": card.trades[order.id].trade,
        "amount_minor": 5000,
        "person": "20260001",
        "shift": None,
        "building": "B1",
        "kind": "dorm",
    }


def test_a_duplicate_notice_credits_nothing_more(office, card):
    order = office.order(5000)
    assert card.pay(order.id, copies=3) == [200, 200, 200]
    assert office.balance() == 5000
    outcomes = [notice.outcome for notice in office.store.notices(order=order.id)]
    assert outcomes == ["duplicate", "duplicate", "credited"]


def test_a_notice_that_is_lost_is_made_up_for_by_asking(office, card, clock):
    order = office.order(5000)
    card.pay(order.id, send=Send.NEVER)
    assert office.payments.tick().asked == 0
    clock.leap(21)
    run = office.payments.tick()
    assert (run.asked, run.credited, office.balance()) == (1, 1, 5000)
    clock.leap(3600)
    assert office.payments.tick().asked == 0


def test_a_notice_that_comes_after_the_question_credits_nothing_more(office, card, clock):
    order = office.order(5000)
    card.pay(order.id, send=Send.LATER)
    clock.leap(21)
    office.payments.tick()
    assert card.deliver() == [200]
    assert office.balance() == 5000


def test_an_unpaid_order_expires_and_is_closed_there_too(office, card, clock):
    order = office.order(5000)
    clock.leap(901)
    office.payments.tick()
    assert office.state(order) == "expired"
    assert card.trades[order.id].status == "closed"


def test_the_provider_refuses_an_order_of_another_amount(office, card):
    order = office.order(5000)
    card.trades[order.id].amount_minor = 4000
    with pytest.raises(ChannelRefused, match="another amount"):
        office.card_channel().create(order)


def test_an_answer_with_a_wrong_signature_is_not_believed(office, card):
    channel = office.card_channel()
    order = office.order(5000)
    card.secret = b"another"
    with pytest.raises(LinkDown, match="not to be believed"):
        channel.query(order)

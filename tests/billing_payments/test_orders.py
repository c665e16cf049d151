"""Orders: one for each key of a caller, amounts that can be, not too many of them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.books import KeyReused
from domain.errors import InvalidInput, LinkDown, RateLimited, UnknownSubject


def test_the_same_key_with_the_same_content_gives_the_same_order(office, card):
    first = office.order(5000)
    assert office.order(5000) == first
    assert len(card.trades) == 1


@pytest.mark.parametrize(
    "other",
    [{"amount_minor": 5001}, {"account": "b1-102"}, {"way": "page"}, {"payer": {"card": "7"}}],
)
def test_the_same_key_with_other_content_is_refused(office, other):
    office.order(5000)
    with pytest.raises(KeyReused):
        office.order(**({"amount_minor": 5000} | other))


def test_keys_of_two_callers_do_not_meet(office):
    first = office.order(5000)
    other = office.payments.create_order(
        office.request(amount_minor=7000, account="b1-102"), "zhao", None
    )
    assert (first.id != other.id, other.amount_minor) == (True, 7000)


def test_one_key_sent_many_times_at_once_makes_one_order(office, card):
    with ThreadPoolExecutor(8) as senders:
        ids = set(senders.map(lambda _: office.order(5000).id, range(24)))
    assert len(ids) == 1
    assert set(card.trades) == ids


@pytest.mark.parametrize("amount", [0, -1, 99, 100_001, 10**12, 50.0, "5000", True, None])
def test_an_amount_that_can_not_be_paid_is_refused(office, card, amount):
    with pytest.raises(InvalidInput, match="amount_minor"):
        office.order(amount)
    assert card.requests == 0


def test_all_that_is_wrong_is_said_at_once(office):
    with pytest.raises(InvalidInput) as caught:
        office.order(0, key="\n", way="carrier-pigeon")
    assert [fault.source for fault in caught.value.faults] == ["amount_minor", "key", "way"]


@pytest.mark.parametrize("payer", [{"card": "1" * 33}, {"card": "a b"}, {"openid": "x"}])
def test_a_payers_particulars_are_checked(office, payer):
    with pytest.raises(InvalidInput, match="payer"):
        office.order(5000, payer=payer)


def test_an_account_that_is_not_there_takes_no_orders(office):
    with pytest.raises(UnknownSubject):
        office.order(5000, account="b9-999")


def test_a_closed_account_takes_no_orders(office):
    office.rooms.close("b1-101")
    with pytest.raises(InvalidInput, match="closed"):
        office.order(5000)


def test_a_channel_that_is_off_takes_no_orders(office):
    with pytest.raises(UnknownSubject, match="bitcoin"):
        office.order(5000, channel="bitcoin")


def test_a_room_has_so_many_waiting_orders_and_no_more(office, clock):
    for number in range(5):
        office.order(5000, f"k{number}")
    with pytest.raises(RateLimited) as caught:
        office.order(5000, "k5")
    assert caught.value.retry_after_s == 900
    assert office.order(5000, "k6", account="b1-102").state == "pending"
    clock.leap(901)
    assert office.order(5000, "k7").state == "pending"


def test_a_room_makes_so_many_orders_an_hour_and_no_more(office, card, clock):
    for number in range(20):
        card.pay(office.order(100, f"k{number}").id)
    with pytest.raises(RateLimited, match="20 orders an hour"):
        office.order(100, "one more")
    clock.leap(3601)
    assert office.order(100, "one more").state == "pending"


def test_an_order_is_kept_while_the_provider_is_down_and_the_same_key_tries_again(office, card):
    card.down = True
    with pytest.raises(LinkDown):
        office.order(5000)
    (kept,) = office.store.orders()
    assert kept.state == "created"
    card.down = False
    assert office.order(5000).id == kept.id
    assert office.state(kept) == "pending"


def test_no_more_orders_are_placed_at_once_than_allowed(office):
    office.payments.orders._calls.acquire()
    for _ in range(15):
        office.payments.orders._calls.acquire()
    with pytest.raises(RateLimited, match="at once"):
        office.order(5000)


def test_closing_an_unpaid_order_closes_it_there_too(office, card):
    order = office.order(5000)
    assert office.payments.orders.close(order.id, "b1-101").state == "closed"
    assert card.trades[order.id].status == "closed"


def test_closing_an_order_that_was_just_paid_credits_it(office, card):
    order = office.order(5000)
    card.mark_paid(order.id)
    assert office.payments.orders.close(order.id).state == "pending"
    assert office.payments.tick().credited == 1
    assert office.state(order) == "credited"


def test_an_order_of_another_room_is_not_found(office):
    order = office.order(5000)
    with pytest.raises(UnknownSubject):
        office.payments.order(order.id, "b1-102")
    with pytest.raises(UnknownSubject):
        office.payments.orders.close(order.id, "b1-102")


def test_a_paid_order_tells_what_the_power_waits_for(office, card):
    office.power = "the meter does not answer; the relay closes when it does"
    order = office.order(5000)
    assert office.payments.order(order.id).power is None
    card.pay(order.id)
    view = office.payments.order(order.id)
    assert (view.order.state, view.power) == ("credited", office.power)

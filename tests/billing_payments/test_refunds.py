"""Refunds: never more than was paid, back to where it came from, held first."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.payments.refunding import RefundRefused
from billing.payments.refunds import RefundRequest
from domain.books import BelowFloor, Entry, EntryKind, KeyReused, Leg
from domain.errors import Forbidden, InvalidInput, UnknownSubject


@pytest.fixture
def paid(office, card):
    """An order of 50 yuan that was paid."""
    order = office.order(5000)
    card.pay(order.id)
    return order


def test_part_of_a_payment_goes_back_to_where_it_came_from(office, card, paid):
    refund = office.refund(paid, 2000)
    assert (refund.state, refund.channel) == ("done", "campus-card")
    assert (office.balance(), office.cleared()) == (3000, 3000)
    assert card.trades[paid.id].refunds[refund.id].amount_minor == 2000
    view = office.payments.order(paid.id).order
    assert (view.state, view.refunded_minor) == ("partly-refunded", 2000)


def test_the_entry_says_what_reports_need(office, paid):
    refund = office.refund(paid, 2000)
    (posted,) = office.books.entries(kind=EntryKind.REFUND)
    assert (posted.entry.id, posted.entry.reference) == (f"refund:{refund.id}", paid.id)
    assert posted.entry.details["channel"] == "campus-card"
    assert posted.entry.details["amount_minor"] == 2000


def test_more_than_was_paid_is_refused(office, paid):
    with pytest.raises(RefundRefused, match="5000 fen"):
        office.refund(paid, 5001)
    assert office.balance() == 5000


def test_the_sum_of_parts_is_never_more_than_was_paid(office, paid):
    office.refund(paid, 2000, "r1")
    office.refund(paid, 2000, "r2")
    with pytest.raises(RefundRefused, match="1000 fen"):
        office.refund(paid, 1001, "r3")
    office.refund(paid, 1000, "r4")
    assert (office.balance(), office.state(paid)) == (0, "refunded")


def test_many_at_once_never_give_back_more_than_was_paid(office, card, paid):
    def ask(number):
        try:
            return office.refund(paid, 1000, f"r{number}").amount_minor
        except RefundRefused:
            return 0

    with ThreadPoolExecutor(8) as askers:
        assert sum(askers.map(ask, range(24))) == 5000
    assert card.trades[paid.id].refunded_minor == 5000
    assert (office.balance(), office.cleared()) == (0, 0)


def test_what_was_spent_does_not_go_back(office, paid):
    office.spend(4000)
    with pytest.raises(BelowFloor):
        office.refund(paid, 1001)
    assert office.refund(paid, 1000, "r2").state == "done"


def test_an_unpaid_order_gives_nothing_back(office):
    with pytest.raises(RefundRefused, match="pending"):
        office.refund(office.order(5000), 100)


def test_an_order_that_is_not_there_gives_nothing_back(office):
    with pytest.raises(UnknownSubject):
        office.payments.refund(RefundRequest("k", "none", 100, "x"), "wang")


@pytest.mark.parametrize("amount", [0, -1, 10**9, 1.5, True])
def test_an_amount_that_can_not_be_is_refused(office, paid, amount):
    with pytest.raises(InvalidInput):
        office.refund(paid, amount)


def test_a_refund_needs_a_reason(office, paid):
    with pytest.raises(InvalidInput, match="reason"):
        office.payments.refund(RefundRequest("k", paid.id, 100, " "), "wang")


def test_the_same_key_gives_the_same_refund_and_other_content_is_refused(office, card, paid):
    first = office.refund(paid, 2000)
    assert office.refund(paid, 2000).id == first.id
    assert len(card.trades[paid.id].refunds) == 1
    with pytest.raises(KeyReused):
        office.refund(paid, 2001)


def test_above_the_limit_a_second_person_approves(office, card):
    order = office.order(20_000)
    card.pay(order.id)
    refund = office.refund(order, 10_001)
    assert (refund.state, office.balance()) == ("requested", 20_000)
    with pytest.raises(Forbidden):
        office.payments.refunds.approve(refund.id, "wang")
    done = office.payments.refunds.approve(refund.id, "fin")
    assert (done.state, done.approved_by, office.balance()) == ("done", "fin", 9_999)
    with pytest.raises(RefundRefused, match="done already"):
        office.payments.refunds.approve(refund.id, "fin")


def test_what_waits_for_approval_counts(office, card):
    order = office.order(20_000)
    card.pay(order.id)
    office.refund(order, 15_000, "r1")
    with pytest.raises(RefundRefused, match="5000 fen"):
        office.refund(order, 5_001, "r2")


def test_a_refund_that_is_turned_down_gives_its_amount_free(office, card):
    order = office.order(20_000)
    card.pay(order.id)
    refund = office.refund(order, 15_000, "r1")
    turned = office.payments.refunds.reject(refund.id, "fin", "the power was used")
    assert (turned.state, office.balance()) == ("rejected", 20_000)
    assert office.refund(order, 20_000, "r2").state == "requested"


def test_a_refund_is_held_while_the_provider_is_down_and_goes_on_later(office, card, paid, clock):
    card.down = True
    refund = office.refund(paid, 2000)
    assert (refund.state, office.balance(), office.state(paid)) == ("held", 3000, "refunding")
    clock.leap(11)
    assert office.payments.tick().failed == 1
    card.down = False
    clock.leap(61)
    assert office.payments.tick().refunds == 1
    assert office.payments.refunds.view(refund.id).state == "done"
    assert (office.balance(), card.trades[paid.id].refunded_minor) == (3000, 2000)


def test_an_answer_that_was_lost_gives_no_second_refund(office, card, paid, clock):
    """The provider took it and the answer was lost: it is asked about before it is sent again."""
    card.down = True
    refund = office.refund(paid, 2000)
    card.down = False
    card.take_back(paid.id, refund.id, 2000)
    clock.leap(11)
    office.payments.tick()
    assert office.payments.refunds.view(refund.id).state == "done"
    assert card.trades[paid.id].refunded_minor == 2000


def test_a_refund_that_never_ends_calls_a_person_and_undoes_nothing(office, card, paid, clock):
    card.slow_refunds = True
    refund = office.refund(paid, 2000)
    for _ in range(40):
        clock.leap(1_800)
        office.payments.tick()
    kept = office.payments.refunds.view(refund.id)
    assert (kept.state, kept.tries, kept.next_try_at) == ("held", 30, None)
    assert (office.balance(), office.kinds()) == (3000, ["refund-stuck"])
    assert card.finish_refunds() == [200]
    assert office.payments.refunds.view(refund.id).state == "done"


def test_a_refusal_gives_the_room_its_money_back_by_a_reversal(office, card, paid):
    card.refuse_refunds = True
    refund = office.refund(paid, 2000)
    assert (refund.state, refund.note) == ("failed", "campus-card refuses: can't be refunded")
    assert (office.balance(), office.cleared(), office.state(paid)) == (5000, 5000, "credited")
    (posted,) = office.books.entries(kind=EntryKind.REVERSAL)
    assert posted.entry.reference == f"refund:{refund.id}"


def test_a_refund_that_is_paid_out_after_it_failed_calls_a_person(office, card, paid):
    card.refuse_refunds = True
    refund = office.refund(paid, 2000)
    card.refuse_refunds = False
    given = card.take_back(paid.id, refund.id, 2000)
    assert card.send(card.refund_notice(card.trades[paid.id], given)) == 200
    assert (office.balance(), office.kinds()) == (5000, ["refund-stuck", "refund-stuck"])


def test_a_notice_of_a_refund_that_is_not_ours_calls_a_person(office, card, paid):
    given = card.take_back(paid.id, "B-NOT-OURS", 2000)
    assert card.send(card.refund_notice(card.trades[paid.id], given)) == 200
    assert (office.balance(), office.kinds()) == (5000, ["refund-stuck"])


def test_an_order_has_so_many_refunds_and_no_more(office, paid):
    for number in range(10):
        office.refund(paid, 1, f"r{number}")
    with pytest.raises(RefundRefused, match="10 refunds"):
        office.refund(paid, 1, "one more")


def test_what_may_still_go_back_is_known(office, card, paid):
    office.refund(paid, 2000)
    other = office.order(1000, "k2")
    card.pay(other.id)
    unpaid = office.order(1000, "k3")
    left = {order.id: left for order, left in office.payments.refundable("b1-101")}
    assert left == {paid.id: 3000, other.id: 1000}
    assert unpaid.id not in left


def test_money_that_was_moved_to_another_room_does_not_go_back_twice(office, paid):
    legs = (Leg("room:b1-101", -30_000_000), Leg("room:b1-102", 30_000_000))
    moved = Entry(
        "transfer:1", office.clock.now(), EntryKind.TRANSFER, legs, "office",
        reference=f"recharge:{paid.id}",
    )  # fmt: skip
    office.books.post(moved).result(10)
    with pytest.raises(RefundRefused, match="2000 fen"):
        office.refund(paid, 2001, "r1")
    assert office.refund(paid, 2000, "r2").state == "done"
    with pytest.raises(RefundRefused, match="0 fen"):
        office.refund(paid, 1, "r3")


def test_a_refund_that_fails_after_its_account_was_closed_comes_back_to_suspense(
    office, card, paid
):
    card.slow_refunds = True
    refund = office.refund(paid, 5000)
    assert refund.state == "held"
    office.books.close_account("room:b1-101").result(10)
    office.rooms.close("b1-101")
    card.finish_refunds("refused")
    assert office.payments.refunds.view(refund.id).state == "failed"
    assert office.books.balance("suspense") == 50_000_000
    assert office.books.balance("room:b1-101") == 0

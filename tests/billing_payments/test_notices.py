"""Notices: what proves nothing, what does not fit, what comes late, twice or not at all."""

import pytest

from billing.payments.model import NoticeOutcome
from domain.books import SUSPENSE
from domain.errors import UnknownSubject
from simulator.payments.provider import Send, SignedNotice, Tamper


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (Tamper.BODY, "the signature is wrong"),
        (Tamper.SIGNATURE, "a header of the signature is missing"),
        (Tamper.SERIAL, "the key or the merchant is not known"),
        (Tamper.TIME, "its time is more than 300 s off"),
    ],
)
def test_a_notice_that_proves_nothing_is_refused_and_kept(office, card, tamper, reason):
    order = office.order(5000)
    assert card.pay(order.id, tamper=tamper) == [401]
    assert (office.balance(), office.state(order)) == (0, "pending")
    (kept,) = office.store.notices()
    assert (kept.outcome, kept.reason, kept.channel) == ("refused", reason, "campus-card")
    assert len(kept.body_digest) == 64
    assert "x-campus-nonce" in kept.headers


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (Tamper.AMOUNT, "amount is 5001, not 5000"),
        (Tamper.CURRENCY, "currency is USD, not CNY"),
        (Tamper.MERCHANT, "merchant is SOMEBODY, not POWER01"),
        (Tamper.ORDER, "no such order"),
    ],
)
def test_a_proven_notice_that_does_not_fit_is_held_with_one_alarm(office, card, tamper, reason):
    order = office.order(5000)
    assert card.pay(order.id, tamper=tamper, copies=3) == [200, 200, 200]
    assert (office.balance(), office.state(order), office.cleared()) == (0, "pending", 0)
    (review,) = office.store.reviews()
    assert review.reason == reason
    assert [(event.kind, event.severity) for event in office.events] == [("payment-held", "alarm")]
    assert {one.outcome for one in office.store.notices()} == {NoticeOutcome.HELD}


def test_a_payment_of_another_channels_order_is_held(office, card):
    """A bridge that is trusted for its own orders is not trusted for others'."""
    order = office.order(5000)
    other = office.card_channel()
    other.name = "other-card"
    office.payments = office.service(office.card_channel(), other)
    card.mark_paid(order.id)
    notice = card.notice(card.trades[order.id])
    answer = office.payments.notice("other-card", notice.headers, notice.body)
    assert (answer.status, office.balance(), office.kinds()) == (200, 0, ["payment-held"])


def test_a_second_payment_of_one_order_is_held(office, card):
    order = office.order(5000)
    card.pay(order.id)
    card.trades[order.id].trade = "another"
    assert card.send(card.notice(card.trades[order.id])) == 200
    assert (office.balance(), office.kinds()) == (5000, ["payment-held"])


def test_a_held_payment_is_resolved_once_by_a_person(office, card):
    order = office.order(5000)
    card.pay(order.id, tamper=Tamper.AMOUNT)
    (review,) = office.store.reviews()
    done = office.payments.resolve_review(review.id, "fin", "given back at the provider")
    assert (done.resolved_by, office.store.reviews()) == ("fin", [])
    again = office.payments.resolve_review(review.id, "other", "something else")
    assert (again.resolved_by, again.note) == ("fin", "given back at the provider")
    with pytest.raises(UnknownSubject):
        office.payments.resolve_review("none", "fin", "x")


def test_a_notice_that_is_too_old_has_its_order_asked_about_at_once(office, card):
    order = office.order(5000)
    card.pay(order.id, tamper=Tamper.TIME)
    assert office.payments.tick().credited == 1
    assert office.balance() == 5000


@pytest.mark.parametrize(("body", "status"), [(b"", 401), (b"not json", 401), (b"x" * 32_769, 413)])
def test_a_body_that_is_no_notice_is_refused(office, body, status):
    answer = office.payments.notice("campus-card", {}, body)
    assert answer.status == status


def test_a_signed_body_that_is_not_in_the_contract_is_refused(office, card):
    notice = card._notice("http://x/api/v1/payments/notices/campus-card", {"type": "payment"}, None)
    assert office.payments.notice("campus-card", notice.headers, notice.body).status == 400


def test_a_channel_that_is_off_takes_no_notices(office):
    with pytest.raises(UnknownSubject):
        office.payments.notice("wechat", {}, b"{}")


def test_of_a_flood_of_refused_notices_some_are_kept_and_one_is_told(office, clock):
    for _ in range(150):
        assert office.payments.notice("campus-card", {}, b"{}").status == 401
    assert len(office.store.notices(limit=1_000)) == 120
    assert office.kinds() == ["payment-notices-refused"]
    clock.leap(60)
    office.payments.notice("campus-card", {}, b"{}")
    assert office.kinds() == ["payment-notices-refused"] * 2


def test_notices_in_any_order_and_twice_credit_each_order_once(office, card):
    orders = [office.order(1000 + number, f"k{number}") for number in range(4)]
    for order in orders:
        card.pay(order.id, send=Send.LATER, copies=2)
    assert card.deliver(backwards=True) == [200] * 8
    assert office.balance() == sum(order.amount_minor for order in orders)


def test_a_payment_for_an_expired_order_is_credited_once_all_the_same(office, card, clock):
    order = office.order(5000)
    clock.leap(901)
    office.payments.tick()
    card.trades[order.id].status = "open"
    assert card.pay(order.id, copies=2) == [200, 200]
    assert (office.state(order), office.balance()) == ("credited", 5000)
    assert office.payments.order(order.id).order.note == "paid after it was expired"


def test_a_payment_found_late_for_an_expired_order_is_credited(office, card, clock):
    order = office.order(5000)
    clock.leap(901)
    office.payments.tick()
    card.trades[order.id].status = "open"
    card.pay(order.id, send=Send.NEVER)
    clock.leap(600)
    assert office.payments.tick().credited == 1
    assert (office.state(order), office.balance()) == ("credited", 5000)


def test_an_ended_order_is_asked_about_three_times_more_and_then_no_more(office, card, clock):
    office.order(5000)
    clock.leap(901)
    office.payments.tick()
    asked = []
    for wait_s in (600, 3_600, 86_400, 864_000):
        clock.leap(wait_s)
        asked.append(office.payments.tick().asked)
    assert asked == [1, 1, 1, 0]


def test_an_order_is_asked_about_less_and_less_often(office, clock):
    office.order(5000)
    asked_at = []
    for second in range(0, 900, 10):
        if office.payments.tick().asked:
            asked_at.append(second)
        clock.leap(10)
    assert asked_at == [20, 60, 120, 240, 540, 840]


def test_an_order_that_expires_while_it_is_paid_is_credited(office, card, clock):
    order = office.order(5000)
    clock.leap(901)
    card.mark_paid(order.id)
    assert office.payments.tick().credited == 1
    assert (office.state(order), office.balance()) == ("credited", 5000)


def test_money_for_a_closed_account_lies_in_suspense_and_goes_back(office, card):
    order = office.order(5000)
    office.rooms.close("b1-101")
    card.pay(order.id)
    assert (office.state(order), office.balance()) == ("paid", 0)
    assert office.books.balance(SUSPENSE) == 50_000_000
    assert office.kinds() == ["payment-suspended"]
    office.payments.tick()
    assert (office.state(order), office.books.balance(SUSPENSE)) == ("refunded", 0)
    assert (office.cleared(), card.trades[order.id].status) == (0, "refunded")


def test_money_for_an_account_whose_books_are_closed_lies_in_suspense_too(office, card):
    order = office.order(5000)
    office.books.close_account("room:b1-101").result(10)
    card.pay(order.id)
    assert (office.state(order), office.books.balance(SUSPENSE)) == ("paid", 50_000_000)


def test_a_channel_that_is_down_is_told_once_and_once_that_it_is_back(office, card, clock):
    orders = [office.order(5000, f"k{number}") for number in range(3)]
    card.down = True
    for _ in range(3):
        clock.leap(120)
        assert office.payments.tick().failed == 3
    card.down = False
    for order in orders:
        card.pay(order.id, send=Send.NEVER)
    clock.leap(300)
    assert office.payments.tick().credited == 3
    assert office.kinds() == ["payment-channel-down", "payment-channel-back"]


def test_a_silent_channel_is_asked_once_a_tick(office, card, clock):
    for number in range(4):
        office.order(5000, f"k{number}")
    card.down, before = True, card.requests
    clock.leap(30)
    office.payments.tick()
    assert card.requests - before == 1


def test_an_order_of_a_channel_that_never_answers_ends_after_a_day(office, card, clock):
    order = office.order(5000)
    card.down = True
    for _ in range(30):
        clock.leap(3_600)
        office.payments.tick()
    assert office.state(order) == "expired"
    clock.leap(864_000)
    assert office.payments.tick().asked == 0


def test_a_payment_in_the_future_or_before_its_order_is_booked_within_what_can_be(
    office, card, clock
):
    order = office.order(5000)
    card.mark_paid(order.id)
    card.trades[order.id].paid_at = clock.now().replace(year=2031)
    card.send(card.notice(card.trades[order.id]))
    assert office.payments.order(order.id).order.paid_at == clock.now()


def test_notices_leave_when_they_were_kept_long_enough(office, card, clock):
    order = office.order(5000)
    card.pay(order.id)
    office.payments.tick()
    clock.leap(399 * 86_400)
    assert office.payments.tick().pruned == 0
    clock.leap(2 * 86_400)
    assert office.payments.tick().pruned == 1
    assert office.store.notices() == []


def test_headers_are_kept_within_limits_and_without_secrets(office):
    headers = {f"X-{number}": "v" * 5_000 for number in range(100)} | {"Authorization": "Bearer x"}
    office.payments.notice("campus-card", headers, b"{}")
    (kept,) = office.store.notices()
    assert len(kept.headers) == 40
    assert {len(value) for value in kept.headers.values()} == {1_024}
    assert "authorization" not in kept.headers


def test_a_notice_sent_to_another_address_proves_nothing(office, card):
    """The path is signed: a notice for one channel can't be turned to another."""
    order = office.order(5000)
    card.mark_paid(order.id)
    good = card.notice(card.trades[order.id])
    turned = card._notice(good.url + "/elsewhere", {"type": "payment"}, None)
    moved = SignedNotice(good.url, turned.headers, turned.body)
    assert card.send(moved) == 401

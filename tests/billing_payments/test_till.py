"""The till: cash in open shifts only, receipts without gaps, voids by reversal."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.payments.cashier import ShiftRefused
from billing.payments.refunding import RefundRefused
from domain.books import BelowFloor, EntryKind, EntryRefused, KeyReused, cash_book
from domain.errors import InvalidInput, UnknownSubject


@pytest.fixture
def till(office):
    """Wang's till, open with 200 yuan."""
    office.payments.cashier.open_shift("wang", 20_000)
    return office.payments.cashier


def drawer(office, cashier="wang"):
    """What the books say lies in a drawer, fen."""
    return -(office.books.balance(cash_book(cashier)) or 0) // 10_000


def test_cash_is_credited_and_receipted_in_one_step(office, till):
    receipt = office.cash(5000, person="20260001")
    assert (receipt.number, receipt.kind, receipt.amount_minor) == (1, "recharge", 5000)
    assert (receipt.building, receipt.room, receipt.person) == ("B1", "101", "20260001")
    assert (office.balance(), drawer(office)) == (5000, 5000)
    (posted,) = office.books.entries(kind=EntryKind.RECHARGE)
    assert posted.entry.details["shift"] == receipt.shift
    assert posted.entry.details["channel"] == "cash"


def test_without_an_open_shift_no_cash_is_taken(office):
    with pytest.raises(ShiftRefused):
        office.cash(5000)
    assert office.balance() == 0


def test_the_same_key_gives_the_same_receipt(office, till):
    first = office.cash(5000)
    assert office.cash(5000) == first
    assert office.balance() == 5000
    with pytest.raises(KeyReused):
        office.cash(5001)


def test_receipts_are_numbered_without_gaps_whoever_gives_them(office, till):
    till.open_shift("liu", 0)
    with ThreadPoolExecutor(8) as cashiers:
        list(
            cashiers.map(
                lambda n: office.cash(100, f"k{n}", cashier="wang" if n % 2 else "liu"), range(40)
            )
        )
    with pytest.raises(InvalidInput):
        office.cash(1, "too little")
    numbers = [receipt.number for receipt in office.store.receipts()]
    assert numbers == list(range(40, 0, -1))


@pytest.mark.parametrize("amount", [0, -100, 99, 100_001, 10.5, True])
def test_an_amount_that_can_not_be_is_refused(office, till, amount):
    with pytest.raises(InvalidInput):
        office.cash(amount)


def test_a_shift_ends_with_the_difference(office, till):
    office.cash(5000, "k1")
    office.cash(3000, "k2")
    till.void(2, "wang", "typed twice")
    shift = till.close_shift("wang", 24_900, "a note is missing")
    assert (shift.expected_minor, shift.difference_minor) == (25_000, -100)
    assert [(event.kind, event.severity) for event in office.events] == [
        ("cash-shift", "info"),
        ("cash-voided", "warning"),
        ("cash-shift", "warning"),
    ]
    with pytest.raises(ShiftRefused):
        office.cash(5000, "k3")


def test_a_cashier_has_one_open_shift(office, till):
    with pytest.raises(ShiftRefused):
        till.open_shift("wang", 0)
    till.close_shift("wang", 20_000)
    assert till.open_shift("wang", 0).closed_at is None


@pytest.mark.parametrize("counted", [-1, 10**12, 5.0, True])
def test_what_is_counted_is_whole_fen(office, till, counted):
    with pytest.raises(InvalidInput):
        till.close_shift("wang", counted)


def test_a_void_takes_the_money_back_and_has_a_receipt_of_its_own(office, till):
    office.cash(5000)
    void = till.void(1, "wang", "the wrong room")
    assert (void.number, void.kind, void.amount_minor, void.voids) == (2, "void", -5000, 1)
    assert (office.balance(), drawer(office)) == (0, 0)
    assert till.void(1, "wang", "the wrong room") == void
    (posted,) = office.books.entries(kind=EntryKind.REVERSAL)
    assert posted.entry.reference.startswith("recharge:")


def test_a_void_is_for_the_cashier_of_the_receipt_and_its_shift(office, till):
    office.cash(5000)
    till.open_shift("liu", 0)
    with pytest.raises(ShiftRefused):
        till.void(1, "liu", "not mine")
    till.close_shift("wang", 25_000)
    till.open_shift("wang", 0)
    with pytest.raises(ShiftRefused):
        till.void(1, "wang", "yesterday's")


def test_a_void_of_a_void_and_of_nothing_is_refused(office, till):
    office.cash(5000)
    till.void(1, "wang", "wrong")
    with pytest.raises(EntryRefused):
        till.void(2, "wang", "wrong")
    with pytest.raises(UnknownSubject):
        till.void(9, "wang", "wrong")


def test_money_that_was_spent_is_not_voided(office, till):
    receipt = office.cash(5000)
    office.spend(1)
    with pytest.raises(BelowFloor):
        till.void(receipt.number, "wang", "too late")
    assert len(office.store.receipts()) == 1


def test_cash_goes_back_at_the_till(office, till):
    receipt = office.cash(5000)
    refund = office.refund_of(receipt.order, 2000)
    assert (refund.state, office.balance()) == ("approved", 5000)
    paid = till.pay_out(refund.id, "wang")
    assert (paid.kind, paid.amount_minor, paid.refund) == ("refund", -2000, refund.id)
    assert (office.balance(), drawer(office)) == (3000, 3000)
    assert till.pay_out(refund.id, "wang") == paid
    assert office.payments.order(receipt.order).order.state == "partly-refunded"
    assert till.close_shift("wang", 23_000).difference_minor == 0


def test_much_cash_goes_back_only_when_a_second_person_agrees(office, till):
    receipt = office.cash(20_000)
    refund = office.refund_of(receipt.order, 15_000)
    with pytest.raises(RefundRefused, match="requested"):
        till.pay_out(refund.id, "wang")
    office.payments.refunds.approve(refund.id, "fin")
    assert till.pay_out(refund.id, "wang").amount_minor == -15_000


def test_cash_that_was_spent_does_not_go_back(office, till):
    receipt = office.cash(5000)
    refund = office.refund_of(receipt.order, 5000)
    office.spend(1)
    with pytest.raises(BelowFloor):
        till.pay_out(refund.id, "wang")
    assert (office.balance(), drawer(office)) == (4999, 5000)


def test_what_was_paid_by_card_does_not_go_back_in_cash(office, card, till):
    order = office.order(5000)
    card.pay(order.id)
    refund = office.refund(order, 1000)
    with pytest.raises(RefundRefused, match="done"):
        till.pay_out(refund.id, "wang")


def test_a_voided_recharge_gives_nothing_back(office, till):
    receipt = office.cash(5000)
    till.void(receipt.number, "wang", "wrong")
    with pytest.raises(RefundRefused, match="voided"):
        office.refund_of(receipt.order, 100)


def test_a_station_without_cash_has_no_till(office):
    office.settings = office.settings.model_copy(update={"cash": None})
    payments = office.service()
    with pytest.raises(UnknownSubject):
        payments.cashier.open_shift("wang", 0)

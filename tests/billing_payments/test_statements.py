"""Statements: what the provider has against what was booked, both ways."""

from datetime import date, timedelta

import pytest

from billing.payments.model import MatchKind, RowKind, StatementRow
from domain.errors import InvalidInput, UnknownSubject
from simulator.payments.provider import Send

DAY = date(2026, 5, 1)


def row(order, ref, amount_minor=5000, kind=RowKind.PAYMENT, refund=""):
    return StatementRow(kind, ref, order, amount_minor, None, refund)


def results(found):
    return sorted(
        (match.result.value, match.theirs_minor, match.ours_minor) for match in found.matches
    )


@pytest.fixture
def paid(office, card):
    """Two orders that were paid."""
    orders = [office.order(5000, "k1"), office.order(7000, "k2")]
    for order in orders:
        card.pay(order.id)
    return [office.payments.order(order.id).order for order in orders]


def test_a_day_that_agrees_is_clean(office, card, paid, clock):
    clock.leap(86_400)
    found = office.payments.statements.fetch("campus-card", DAY, "fin")
    assert (found.clean, results(found)) == (
        True,
        [("matched", 5000, 5000), ("matched", 7000, 7000)],
    )
    assert office.kinds() == []


def test_a_day_that_is_not_over_is_not_fetched(office):
    with pytest.raises(InvalidInput, match="before today"):
        office.payments.statements.fetch("campus-card", DAY, "fin")


def test_a_day_without_a_statement_is_not_clean(office, paid):
    found = office.payments.reconcile("campus-card", DAY)
    assert (found.imported, found.clean) == (False, False)
    assert found.count(MatchKind.MISSING_THERE) == 2


def test_every_difference_is_said(office, paid):
    first, _ = paid
    rows = [
        row(first.id, first.provider_ref, 4999),
        row("W-UNKNOWN", "T-1", 300),
    ]
    found = office.payments.import_statement("campus-card", DAY, rows, "fin")
    assert results(found) == [
        ("amount-differs", 4999, 5000),
        ("missing-here", 300, None),
        ("missing-there", None, 7000),
    ]
    (event,) = office.events
    assert (event.kind, event.severity) == ("statement-differs", "alarm")
    assert event.details == {
        "matched": 0,
        "missing-here": 1,
        "missing-there": 1,
        "amount-differs": 1,
    }


def test_a_payment_that_never_reached_us_is_found(office, card, clock):
    order = office.order(5000)
    card.pay(order.id, send=Send.NEVER)
    clock.leap(86_400)
    found = office.payments.statements.fetch("campus-card", DAY, "fin")
    assert results(found) == [("missing-here", 5000, None)]


def test_one_order_twice_in_a_statement_is_one_too_many(office, paid):
    first, second = paid
    rows = [row(one.id, one.provider_ref, one.amount_minor) for one in (first, first, second)]
    found = office.payments.import_statement("campus-card", DAY, rows, "fin")
    assert [match.result.value for match in found.matches] == ["matched", "missing-here", "matched"]


def test_a_second_payment_of_an_order_is_missing_here(office, paid):
    first, _ = paid
    rows = [row(first.id, "another transaction")]
    found = office.payments.import_statement("campus-card", DAY, rows, "fin")
    assert found.matches[0].result is MatchKind.MISSING_HERE


def test_a_refund_is_compared_too(office, card, paid):
    refund = office.refund(paid[0], 2000)
    rows = [row(one.id, one.provider_ref, one.amount_minor) for one in paid]
    found = office.payments.import_statement("campus-card", DAY, rows, "fin")
    assert results(found)[-1] == ("missing-there", None, 2000)
    rows.append(row(paid[0].id, refund.provider_ref, 2000, RowKind.REFUND, refund.id))
    assert office.payments.import_statement("campus-card", DAY, rows, "fin").clean


def test_importing_a_day_again_replaces_it(office, paid):
    rows = [row(one.id, one.provider_ref, one.amount_minor) for one in paid]
    office.payments.import_statement("campus-card", DAY, rows[:1], "fin")
    assert office.payments.import_statement("campus-card", DAY, rows, "fin").clean
    assert office.payments.reconcile("campus-card", DAY).clean


def test_a_payment_around_midnight_in_beijing_matches_on_either_side(office, card, clock):
    """15:59:59 UTC is the end of Beijing's day: theirs may be the next one."""
    clock.jump(clock.now().replace(hour=15, minute=59, second=59))
    order = office.order(5000)
    card.pay(order.id)
    order = office.payments.order(order.id).order
    rows = [row(order.id, order.provider_ref)]
    nextday = office.payments.import_statement("campus-card", DAY + timedelta(days=1), rows, "fin")
    assert nextday.clean


@pytest.mark.parametrize(
    "bad",
    [
        row("W1", "T", 0),
        row("W1", "T", -5),
        row("W1", "T", 10**9),
        row("", "T"),
        row("W1", "T", 5, RowKind.REFUND),
    ],
)
def test_a_row_that_can_not_be_is_refused_and_nothing_is_kept(office, bad):
    with pytest.raises(InvalidInput):
        office.payments.import_statement("campus-card", DAY, [bad], "fin")
    assert not office.payments.reconcile("campus-card", DAY).imported


def test_a_channel_that_is_off_has_no_statements(office):
    with pytest.raises(UnknownSubject):
        office.payments.reconcile("wechat", DAY)

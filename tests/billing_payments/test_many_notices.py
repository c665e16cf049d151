"""A thousand orders, fifty notices of each at once: a thousand credits."""

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pay_office import Office

from billing.payments.model import NoticeOutcome
from domain.books import EntryKind
from simulator.payments.provider import Trade

ORDERS, COPIES, THREADS = 1_000, 50, 50


@pytest.fixture
def crowd(tmp_path, blank_ledger, card):
    """An office with a thousand orders that were placed and paid, and nobody told yet."""
    shutil.copy(blank_ledger, tmp_path / "ledger.db")
    office = Office(tmp_path, card)
    rooms, pattern = list(office.rooms.known), office.order(100, "pattern")
    orders = [
        replace(
            pattern,
            id=f"W260501{place:08d}",
            key=f"k{place}",
            account=rooms[place % len(rooms)],
            amount_minor=100 + place,
        )
        for place in range(ORDERS)
    ]
    office.store.transact(lambda tx: [tx.put_order(order) for order in orders]).result(30)
    url = office.settings.notify_url_of("campus-card")
    for order in orders:
        card.trades[order.id] = Trade(order.id, order.amount_minor, url, office.clock.now())
        card.mark_paid(order.id)
    yield office, orders
    office.close()


@pytest.mark.slow
def test_a_thousand_orders_with_fifty_parallel_notices_each_are_credited_once(crowd, card):
    office, orders = crowd

    def send(order):
        """Send one more notice of an order, signed anew."""
        notice = card.notice(card.trades[order.id])
        return office.payments.notice("campus-card", notice.headers, notice.body).status

    # Fifty of one order follow each other, so that the fifty senders have them in hand at once.
    with ThreadPoolExecutor(THREADS) as senders:
        answers = senders.map(send, (order for order in orders for _ in range(COPIES)))
        assert Counter(answers) == {200: ORDERS * COPIES}
    recharges = office.books.entries(kind=EntryKind.RECHARGE, limit=ORDERS + 1)
    assert {posted.entry.id for posted in recharges} == {order.entry_id for order in orders}
    assert len(recharges) == ORDERS
    assert office.cleared() == sum(order.amount_minor for order in orders)
    assert sum(office.balance(room) for room in office.rooms.known) == office.cleared()
    credited = office.store.notices(outcome=NoticeOutcome.CREDITED, limit=ORDERS + 1)
    repeated = office.store.notices(outcome=NoticeOutcome.DUPLICATE, limit=ORDERS * COPIES)
    assert (len(credited), len(repeated)) == (ORDERS, ORDERS * (COPIES - 1))

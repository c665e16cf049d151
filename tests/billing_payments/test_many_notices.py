"""A thousand orders, fifty notices of each at once: a thousand credits."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from pay_office import Office

from billing.payments.model import NoticeOutcome
from domain.books import EntryKind

ORDERS, COPIES, THREADS = 1_000, 50, 64


@pytest.mark.slow
def test_a_thousand_orders_with_fifty_parallel_notices_each_are_credited_once(tmp_path):
    office = Office(tmp_path, waiting_orders_most=100, orders_an_hour_most=1_000)
    card = office.card
    rooms = list(office.rooms.known)

    def make(place: int) -> str:
        room = rooms[place % len(rooms)]
        order = office.order(100 + place, f"k{place}", account=room)
        card.mark_paid(order.id)
        return order.id

    def told(order_id: str) -> list[int]:
        """Let fifty notices of one order, each signed anew, race each other and those of others."""
        notices = [card.notice(card.trades[order_id]) for _ in range(COPIES)]
        return list(senders.map(send, notices))

    def send(notice) -> int:
        return office.payments.notice("campus-card", notice.headers, notice.body).status

    with ThreadPoolExecutor(THREADS) as senders, ThreadPoolExecutor(8) as makers:
        # Each batch is paid before the next is made: a room's waiting orders are limited.
        for start in range(0, ORDERS, 100):
            ids = list(makers.map(make, range(start, start + 100)))
            answers = [status for batch in makers.map(told, ids) for status in batch]
            assert Counter(answers) == {200: 100 * COPIES}
    recharges = office.books.entries(kind=EntryKind.RECHARGE, limit=ORDERS + 1)
    assert len(recharges) == ORDERS
    assert office.cleared() == sum(100 + place for place in range(ORDERS))
    assert sum(office.balance(room) for room in rooms) == office.cleared()
    credited = office.store.notices(outcome=NoticeOutcome.CREDITED, limit=ORDERS + 1)
    assert len(credited) == ORDERS
    office.close()

"""What the clock does to payments: lost notices are made up for, orders expire, refunds go on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing.payments.channel import ChannelRefused, PaymentChannel, ProviderOrder, Standing
from billing.payments.crediting import settle
from billing.payments.desk import Desk, wait_for
from billing.payments.model import (
    SUSPENDED_REASON,
    UNPAID,
    WAITING,
    Order,
    OrderState,
)
from billing.payments.notices import prune
from billing.payments.orders import Orders
from billing.payments.refunds import RefundRequest, Refunds
from billing.payments.store import PaymentsTx
from domain.errors import LinkDown
from domain.events import Event, EventKind, Severity

PRUNE_ROWS_MOST = 5_000
PRUNE_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class TickRun:
    """What one tick did."""

    asked: int = 0
    credited: int = 0
    ended: int = 0
    failed: int = 0
    refunds: int = 0
    pruned: int = 0


class Chaser:
    """Goes after orders and refunds whose time has come. One thread at a time."""

    def __init__(self, desk: Desk, orders: Orders, refunds: Refunds) -> None:
        self._desk, self._orders, self._refunds = desk, orders, refunds
        self._down: set[str] = set()
        self._pruned_at: float | None = None

    def tick(self) -> TickRun:
        """Ask about due orders, end expired ones, push due refunds, drop old notices.

        A channel that gives no answer is left alone for the rest of this tick.
        """
        desk, now = self._desk, self._desk.clock.now()
        asked = credited = ended = failed = pushed = 0
        silent: set[str] = set()
        for order in desk.store.due_orders(now, desk.settings.orders_a_tick):
            asked += 1
            after = None if order.channel in silent else self._chase(order, now)
            if after is None:
                failed += 1
                silent.add(order.channel)
                self._later(order, now)
            else:
                credited += after.state not in UNPAID
                ended += after.state not in WAITING and order.state in WAITING
        for refund in desk.store.due_refunds(now, desk.settings.orders_a_tick):
            try:
                self._refunds.push(refund)
                pushed += 1
            except (LinkDown, ChannelRefused) as error:
                self._refunds.note_failure(refund, str(error))
                failed += 1
        return TickRun(asked, credited, ended - credited, failed, pushed, self._prune())

    def _chase(self, order: Order, now: datetime) -> Order | None:
        """Ask about one order; None when its channel gives no answer."""
        if order.state is OrderState.PAID:
            return self._give_back(order)
        channel = self._desk.channels.get(order.channel)
        if channel is None:
            return self._later(order, now)
        try:
            found = channel.query(order)
            if found.payment is not None:
                return self._pay(order, channel, found, now)
            if order.state in WAITING and now >= order.expires_at:
                return self._expire(order, channel, found)
        except (LinkDown, ChannelRefused) as error:
            self._link(order.channel, False, str(error), now)
            return None
        self._link(order.channel, True, "", now)
        return self._later(order, now)

    def _pay(
        self, order: Order, channel: PaymentChannel, found: ProviderOrder, now: datetime
    ) -> Order:
        payment = found.payment
        if payment is None:
            return order
        settled = wait_for(
            self._desk.store.transact(lambda tx: settle(tx, self._desk, channel, payment, now))
        )
        self._desk.tell(settled.events)
        self._link(order.channel, True, "", now)
        return settled.order or self._later(order, now)

    def _expire(self, order: Order, channel: PaymentChannel, found: ProviderOrder) -> Order:
        if found.standing is Standing.UNPAID:
            channel.close(order)
        return self._orders.end(order, OrderState.EXPIRED)

    def _give_back(self, order: Order) -> Order:
        """Send money that lies in suspense back to where it came from."""
        request = RefundRequest(
            f"suspense {order.id}", order.id, order.amount_minor, SUSPENDED_REASON
        )
        self._refunds.request(request, "system", approved=True)
        return self._desk.store.order(order.id) or order

    def _later(self, order: Order, now: datetime) -> Order:
        """Set when the order is asked about next, or never again."""
        settings = self._desk.settings

        def work(tx: PaymentsTx) -> Order:
            current = tx.order(order.id) or order
            if current.state not in UNPAID:
                return current
            waiting = current.state in WAITING
            waits = settings.query_waits_s if waiting else settings.late_query_waits_s
            asked = current.queries + 1
            over = asked >= (settings.queries_most if waiting else len(waits))
            wait = timedelta(seconds=waits[min(asked, len(waits) - 1)])
            due = None if over and not waiting else now + wait
            if over and waiting:
                due = max(current.expires_at, now + wait)
            changed = replace(current, queries=asked, next_query_at=due)
            tx.put_order(changed)
            return changed

        return wait_for(self._desk.store.transact(work))

    def _link(self, channel: str, up: bool, reason: str, now: datetime) -> None:
        """Tell once when a provider stops answering and once when it is back."""
        if up == (channel not in self._down):
            return
        if up:
            self._down.discard(channel)
            kind, words, severity = EventKind.PAYMENT_CHANNEL_BACK, "answers again", Severity.INFO
        else:
            self._down.add(channel)
            kind, severity = EventKind.PAYMENT_CHANNEL_DOWN, Severity.WARNING
            words = f"does not answer: {reason}"
        event = Event(
            now, kind, channel, f"{channel} {words}", severity, group=f"payments:{channel}"
        )
        self._desk.on_event(event)

    def _prune(self) -> int:
        now = self._desk.clock.monotonic()
        if self._pruned_at is not None and now - self._pruned_at < PRUNE_EVERY_S:
            return 0
        self._pruned_at = now
        return prune(self._desk, PRUNE_ROWS_MOST)

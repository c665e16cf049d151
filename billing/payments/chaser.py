"""What the clock does to payments: lost notices are made up for, orders expire, refunds go on."""

from collections import Counter
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
    Refund,
)
from billing.payments.notices import prune
from billing.payments.orders import Orders
from billing.payments.refunds import RefundRequest, Refunds
from billing.payments.settings import PaymentSettings
from billing.payments.store import PaymentsTx
from domain.books import EntryRefused
from domain.errors import LinkDown, UnknownSubject
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

        A channel that gives no answer is left alone for the rest of this tick; an order or a
        refund that fails waits for its next turn and holds up no other.
        """
        desk, now = self._desk, self._desk.clock.now()
        most = desk.settings.orders_a_tick
        silent: set[str] = set()
        done = Counter(
            self._order(order, now, silent) for order in desk.store.due_orders(now, most)
        )
        pushed = [self._push(refund, silent) for refund in desk.store.due_refunds(now, most)]
        return TickRun(
            asked=done.total(),
            credited=done["credited"],
            ended=done["ended"],
            failed=done["failed"] + pushed.count(False),
            refunds=pushed.count(True),
            pruned=self._prune(),
        )

    def _order(self, order: Order, now: datetime, silent: set[str]) -> str:
        """Do what an order waits for; say what came of it."""
        try:
            if order.channel in silent:
                self._later(order, now)
                return "failed"
            after = self._chase(order, now)
        except (LinkDown, ChannelRefused) as error:
            silent.add(order.channel)
            self._link(order.channel, False, str(error), now)
            self._later(order, now)
            return "failed"
        except (EntryRefused, UnknownSubject) as error:
            self._stuck(order, str(error), now)
            return "failed"
        if order.state in UNPAID and after.state not in UNPAID:
            return "credited"
        return "ended" if order.state in WAITING and after.state not in WAITING else "asked"

    def _chase(self, order: Order, now: datetime) -> Order:
        """Ask about one order. Raises LinkDown, ChannelRefused, EntryRefused, UnknownSubject."""
        if order.state is OrderState.PAID:
            return self._give_back(order)
        channel = self._desk.channels.get(order.channel)
        if channel is None:
            return self._later(order, now)
        found = channel.query(order)
        if found.payment is not None:
            after = self._pay(order, channel, found, now)
        elif order.state in WAITING and now >= order.expires_at:
            after = self._expire(order, channel, found)
        else:
            after = self._later(order, now)
        self._link(order.channel, True, "", now)
        return after

    def _push(self, refund: Refund, silent: set[str]) -> bool:
        """Take a refund one step on; say whether its provider answered."""
        if refund.channel in silent:
            self._refunds.note_failure(refund, "the provider does not answer")
            return False
        try:
            self._refunds.push(refund)
        except (LinkDown, ChannelRefused, UnknownSubject) as error:
            self._refunds.note_failure(refund, str(error))
            return False
        return True

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

    def _stuck(self, order: Order, reason: str, now: datetime) -> None:
        """Leave an order to a person: its money could not be sent back."""

        def work(tx: PaymentsTx) -> None:
            current = tx.order(order.id)
            if current is not None:
                tx.put_order(replace(current, next_query_at=None, note=reason))

        wait_for(self._desk.store.transact(work))
        words = f"order {order.id} can't be sent back: {reason}; its money lies in suspense"
        self._desk.on_event(
            Event(now, EventKind.REFUND_STUCK, order.id, words, Severity.ALARM, group="refunds")
        )

    def _later(self, order: Order, now: datetime) -> Order:
        """Set when the order is asked about next, or never again."""

        def work(tx: PaymentsTx) -> Order:
            current = tx.order(order.id) or order
            if current.state not in UNPAID:
                return current
            changed = _postponed(current, self._desk.settings, now)
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


def _postponed(order: Order, settings: PaymentSettings, now: datetime) -> Order:
    """Return an order with the time of its next question, later each time."""
    late_waits, asked = settings.late_query_waits_s, order.queries + 1
    if order.state not in WAITING:
        over = asked >= len(late_waits)
        due = None if over else now + timedelta(seconds=late_waits[asked])
        return replace(order, queries=asked, next_query_at=due)
    if now >= order.expires_at + timedelta(seconds=late_waits[-1]):
        # Its channel is gone or silent for long: a statement or a notice may still tell of it.
        note = "the provider did not answer"
        return replace(
            order, state=OrderState.EXPIRED, queries=asked, next_query_at=None, note=note
        )
    waits = settings.query_waits_s
    due = now + timedelta(seconds=waits[min(asked, len(waits) - 1)])
    if asked >= settings.queries_most:
        due = max(due, order.expires_at)
    return replace(order, queries=asked, next_query_at=due)

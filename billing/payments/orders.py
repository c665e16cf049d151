"""Orders: made once for each key of a caller, placed with the provider, shown, closed."""

import hashlib
import json
import threading
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from billing.model import Account
from billing.payments.channel import ChannelRefused, PaymentChannel
from billing.payments.desk import Desk, new_id, wait_for
from billing.payments.model import WAITING, Order, OrderRequest, OrderState
from billing.payments.store import PaymentsTx
from domain.books import KeyReused
from domain.errors import InvalidInput, RateLimited, UnknownSubject
from domain.faults import Fault
from domain.money import checked_amount_minor

KEY_LENGTH_MOST = 80
HOUR = timedelta(hours=1)
CALL_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order and, once its money is there, what the room's power waits for."""

    order: Order
    power: str | None


class Orders:
    """Makes and shows orders."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Callers wait while a provider is asked; a slow one must not take all their threads.
        self._calls = threading.BoundedSemaphore(desk.settings.orders_at_once_most)

    def create(self, request: OrderRequest, actor: str, person: str | None = None) -> Order:
        """Make an order and place it with its provider.

        The same key with the same content gives the same order. Raises InvalidInput, KeyReused,
        RateLimited, UnknownSubject, ChannelRefused, and LinkDown when the provider can't be
        reached: the order is kept, and the same key tries again.
        """
        desk = self._desk
        channel = desk.channel(request.channel)
        account = desk.open_account(request.account)
        request = self._checked(request, channel)
        order = wait_for(
            desk.store.transact(lambda tx: self._add(tx, request, account, actor, person))
        )
        if order.state is OrderState.CREATED and order.expires_at > desk.clock.now():
            order = self._place(order, channel)
        return order

    def view(self, order_id: str, account: str | None = None) -> OrderView:
        """Return an order, of an account where one is named. Raises UnknownSubject."""
        order = self._desk.store.order(order_id)
        if order is None or (account is not None and order.account != account):
            raise UnknownSubject(f"no order {order_id!r}")
        credited = order.credited_at is not None
        return OrderView(order, self._desk.power_state(order.account) if credited else None)

    def close(self, order_id: str, account: str | None = None) -> Order:
        """Close an order that nobody paid; one that was paid meanwhile stays as it is.

        Where the provider will not close it, it may have been paid: the next tick asks. Raises
        UnknownSubject, LinkDown.
        """
        order = self.view(order_id, account).order
        if order.state not in WAITING:
            return order
        try:
            self._desk.channel(order.channel).close(order)
        except ChannelRefused:
            return self._ask_soon(order)
        return self.end(order, OrderState.CLOSED)

    def end(self, order: Order, state: OrderState) -> Order:
        """Mark a waiting order as ended; it is asked about a few more times all the same."""
        first_late = timedelta(seconds=self._desk.settings.late_query_waits_s[0])
        now = self._desk.clock.now()

        def work(tx: PaymentsTx) -> Order:
            current = tx.order(order.id)
            if current is None or current.state not in WAITING:
                return current or order
            ended = replace(current, state=state, queries=0, next_query_at=now + first_late)
            tx.put_order(ended)
            return ended

        return wait_for(self._desk.store.transact(work))

    def _ask_soon(self, order: Order) -> Order:
        now = self._desk.clock.now()

        def work(tx: PaymentsTx) -> Order:
            current = tx.order(order.id) or order
            if current.state in WAITING:
                current = replace(current, next_query_at=now)
                tx.put_order(current)
            return current

        return wait_for(self._desk.store.transact(work))

    def _checked(self, request: OrderRequest, channel: PaymentChannel) -> OrderRequest:
        settings = self._desk.settings
        faults = amount_faults(
            request.amount_minor, settings.amount_least_minor, settings.amount_most_minor
        )
        faults += key_faults(request.key)
        way = request.way or channel.ways[0]
        if way in channel.ways:
            faults += [Fault("payer", words) for words in channel.faults(way, request.payer)]
        else:
            faults.append(Fault("way", f"must be one of {', '.join(channel.ways)} (given: {way})"))
        if faults:
            raise InvalidInput(faults)
        return replace(request, way=way)

    def _add(
        self,
        tx: PaymentsTx,
        request: OrderRequest,
        account: Account,
        actor: str,
        person: str | None,
    ) -> Order:
        digest = digest_of({name: v for name, v in asdict(request).items() if name != "key"})
        known = tx.order_of_key(actor, request.key)
        if known is not None:
            return same_or_refused(known, digest)
        settings, now = self._desk.settings, self._desk.clock.now()
        if tx.waiting_orders(account.id, now) >= settings.waiting_orders_most:
            words = f"{settings.waiting_orders_most} orders of this room wait to be paid already"
            raise RateLimited(words, settings.order_expires_s)
        if tx.orders_since(account.id, now - HOUR) >= settings.orders_an_hour_most:
            words = f"a room may make {settings.orders_an_hour_most} orders an hour"
            raise RateLimited(words, HOUR.total_seconds())
        order = Order(
            id=new_id("W", now),
            key=request.key,
            requested_by=actor,
            digest=digest,
            account=account.id,
            channel=request.channel,
            way=request.way,
            amount_minor=request.amount_minor,
            state=OrderState.CREATED,
            created_at=now,
            expires_at=now + timedelta(seconds=settings.order_expires_s),
            person=person,
            building=account.building,
            kind=account.kind.value,
            language=request.language,
            payer=dict(request.payer),
            next_query_at=now + timedelta(seconds=settings.query_waits_s[0]),
        )
        tx.put_order(order)
        return order

    def _place(self, order: Order, channel: PaymentChannel) -> Order:
        if not self._calls.acquire(blocking=False):
            raise RateLimited("too many orders are being placed at once", CALL_AGAIN_S)
        try:
            pay = dict(channel.create(order))
        finally:
            self._calls.release()

        def work(tx: PaymentsTx) -> Order:
            current = tx.order(order.id) or order
            if current.state is not OrderState.CREATED:
                return current
            placed = replace(current, state=OrderState.PENDING, pay=pay)
            tx.put_order(placed)
            return placed

        return wait_for(self._desk.store.transact(work))


def same_or_refused(known: Order, digest: str) -> Order:
    """Return the order a key was used for. Raises KeyReused where the content differs."""
    if known.digest != digest:
        raise KeyReused(f"the key {known.key!r} was used for another order")
    return known


def digest_of(content: dict[str, object]) -> str:
    """Return the SHA-256 of a request's content, whatever the order of its fields."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def key_faults(key: str) -> list[Fault]:
    """Say what is wrong with a caller's key."""
    if 0 < len(key) <= KEY_LENGTH_MOST and key.isprintable():
        return []
    return [Fault("key", f"must be 1 to {KEY_LENGTH_MOST} printable characters")]


def amount_faults(amount_minor: object, least_minor: int, most_minor: int) -> list[Fault]:
    """Say what is wrong with an amount in fen."""
    try:
        amount = checked_amount_minor(amount_minor, "amount_minor", most_minor)
    except InvalidInput as error:
        return list(error.faults)
    if amount < least_minor:
        message = f"must be at least {least_minor} fen (given: {amount})"
        return [Fault("amount_minor", message)]
    return []

"""Refunds: asked for, approved by a second person above a limit, sent back to their source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing.payments.channel import ChannelRefused, RefundReply, RefundStanding
from billing.payments.desk import Desk, new_id, wait_for
from billing.payments.model import CASH, Order, Refund, RefundState
from billing.payments.orders import amount_faults, digest_of, key_faults
from billing.payments.refunding import RefundRefused, check_room_for, hold, left_of, settle_refund
from billing.payments.store import PaymentsTx
from domain.books import KeyReused
from domain.errors import Forbidden, InvalidInput, LinkDown, UnknownSubject
from domain.faults import Fault
from domain.money import AMOUNT_MOST_MINOR

REASON_LENGTH_MOST = 200


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What somebody asks back of an order, under a key of his own."""

    key: str
    order: str
    amount_minor: int
    reason: str


class Refunds:
    """Carries refunds from the wish to the provider's word."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def request(self, request: RefundRequest, actor: str, *, approved: bool = False) -> Refund:
        """Ask for a refund; up to the limit it is held and sent at once, cash may be given out.

        The same key with the same content gives the same refund. `approved` says that a second
        person agreed elsewhere (closing an account). Raises InvalidInput, UnknownSubject,
        KeyReused, RefundRefused, BelowFloor.
        """
        self._check(request)
        refund = wait_for(
            self._desk.store.transact(lambda tx: self._add(tx, request, actor, approved))
        )
        return self._send(refund)

    def approve(self, refund_id: str, actor: str) -> Refund:
        """Let a refund that waits go on; not by who asked for it.

        Raises UnknownSubject, Forbidden, RefundRefused, BelowFloor.
        """
        held = wait_for(self._desk.store.transact(lambda tx: self._approve(tx, refund_id, actor)))
        return self._send(held)

    def reject(self, refund_id: str, actor: str, reason: str) -> Refund:
        """Turn a refund that waits down. Raises UnknownSubject, RefundRefused."""

        def work(tx: PaymentsTx) -> Refund:
            refund, _ = self._waiting(tx, refund_id)
            now = self._desk.clock.now()
            turned = replace(
                refund,
                state=RefundState.REJECTED,
                approved_by=actor,
                approved_at=now,
                finished_at=now,
                note=reason,
            )
            tx.put_refund(turned)
            return turned

        return wait_for(self._desk.store.transact(work))

    def view(self, refund_id: str) -> Refund:
        """Return a refund. Raises UnknownSubject."""
        refund = self._desk.store.refund(refund_id)
        if refund is None:
            raise UnknownSubject(f"no refund {refund_id!r}")
        return refund

    def refundable(self, account: str, limit: int) -> Sequence[tuple[Order, int]]:
        """Return an account's paid orders, newest first, with what may still go back, fen."""
        found = []
        for order in self._desk.store.orders(account=account, limit=limit):
            refunds = self._desk.store.refunds(order=order.id, limit=limit)
            left = left_of(order, refunds)
            if left > 0:
                found.append((order, left))
        return found

    def push(self, refund: Refund) -> Refund:
        """Ask the provider about a held refund, and for it where the provider has none.

        Raises LinkDown: the hold stands, and it is tried again.
        """
        desk = self._desk
        order = desk.store.order(refund.order)
        if order is None or refund.state is not RefundState.HELD:
            return refund
        return self._settle(refund, self._ask(order, refund))

    def _ask(self, order: Order, refund: Refund) -> RefundReply:
        channel = self._desk.channel(refund.channel)
        if refund.tries:
            known = channel.query_refund(order, refund)
            if known.standing is not RefundStanding.UNKNOWN_REFUND:
                return known
        return channel.refund(order, refund)

    def note_failure(self, refund: Refund, reason: str) -> Refund:
        """Count a try that got no answer."""
        return self._settle(refund, RefundReply(RefundStanding.PENDING, reason=reason))

    def _settle(self, refund: Refund, reply: RefundReply) -> Refund:
        now = self._desk.clock.now()
        settled = wait_for(
            self._desk.store.transact(
                lambda tx: settle_refund(tx, self._desk, refund.id, reply, now)
            )
        )
        self._desk.tell(settled.events)
        return self._desk.store.refund(refund.id) or refund

    def _check(self, request: RefundRequest) -> None:
        faults = amount_faults(request.amount_minor, 1, AMOUNT_MOST_MINOR)
        faults += key_faults(request.key)
        if not 0 < len(request.reason.strip()) <= REASON_LENGTH_MOST:
            faults.append(Fault("reason", f"must be 1 to {REASON_LENGTH_MOST} characters"))
        if faults:
            raise InvalidInput(faults)

    def _add(self, tx: PaymentsTx, request: RefundRequest, actor: str, approved: bool) -> Refund:
        digest = digest_of(
            {"order": request.order, "amount": request.amount_minor, "reason": request.reason}
        )
        known = tx.refund_of_key(actor, request.key)
        if known is not None:
            if known.digest != digest:
                raise KeyReused(f"the key {request.key!r} was used for another refund")
            return known
        order = tx.order(request.order)
        if order is None:
            raise UnknownSubject(f"no order {request.order!r}")
        settings, now = self._desk.settings, self._desk.clock.now()
        check_room_for(tx, order, request.amount_minor, settings.refunds_an_order_most)
        refund = Refund(
            id=new_id("B", now),
            key=request.key,
            digest=digest,
            order=order.id,
            account=order.account,
            channel=order.channel,
            amount_minor=request.amount_minor,
            state=RefundState.REQUESTED,
            reason=request.reason,
            requested_by=actor,
            requested_at=now,
        )
        if approved or request.amount_minor <= settings.refund_approval_above_minor:
            return _let_go(tx, order, refund, now)
        tx.put_refund(refund)
        return refund

    def _approve(self, tx: PaymentsTx, refund_id: str, actor: str) -> Refund:
        refund, order = self._waiting(tx, refund_id)
        if actor == refund.requested_by:
            raise Forbidden("who asked for a refund can't approve it")
        now = self._desk.clock.now()
        return _let_go(tx, order, replace(refund, approved_by=actor, approved_at=now), now)

    def _waiting(self, tx: PaymentsTx, refund_id: str) -> tuple[Refund, Order]:
        refund = tx.refund(refund_id)
        order = tx.order(refund.order) if refund else None
        if refund is None or order is None:
            raise UnknownSubject(f"no refund {refund_id!r}")
        if refund.state is not RefundState.REQUESTED:
            raise RefundRefused(f"refund {refund_id} is {refund.state.value} already")
        return refund, order

    def _send(self, refund: Refund) -> Refund:
        """Try a fresh hold at once; what fails now is tried by the next tick."""
        if refund.state is not RefundState.HELD or refund.tries:
            return refund
        try:
            return self.push(refund)
        except (LinkDown, ChannelRefused) as error:
            return self.note_failure(refund, str(error))


def _let_go(tx: PaymentsTx, order: Order, refund: Refund, now: datetime) -> Refund:
    """Hold what a provider gives back; cash is booked when it is given out."""
    if order.channel != CASH:
        return hold(tx, order, refund, now)
    ready = replace(refund, state=RefundState.APPROVED)
    tx.put_refund(ready)
    return ready

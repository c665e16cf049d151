"""What refunds do to the books: held first, then done, or reversed where the provider refuses."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from billing.payments.channel import RefundReply, RefundStanding
from billing.payments.crediting import Settled
from billing.payments.desk import Desk
from billing.payments.model import (
    REFUND_OPEN,
    UNPAID,
    NoticeOutcome,
    Order,
    OrderState,
    Refund,
    RefundState,
)
from billing.payments.store import PaymentsTx
from domain.books import (
    SUSPENSE,
    Entry,
    EntryKind,
    EntryRefused,
    Leg,
    cash_book,
    clearing_book,
)
from domain.events import Event, EventKind, Severity
from domain.money import micro_to_minor, minor_to_micro


class RefundRefused(EntryRefused):
    """More is asked back than was paid, or the order can't be refunded."""


def check_room_for(tx: PaymentsTx, order: Order, amount_minor: int, most: int) -> None:
    """Refuse a refund above what is left of the payment. Raises RefundRefused.

    What is asked for, in flight and done counts together, in the transaction that adds it.
    """
    if order.state in UNPAID or order.state is OrderState.VOIDED:
        raise RefundRefused(f"order {order.id} is {order.state.value}: nothing is to be returned")
    refunds = tx.refunds_of(order.id)
    if len(refunds) >= most:
        raise RefundRefused(f"order {order.id} has {most} refunds already")
    left = left_of(order, refunds) - _moved_minor(tx, order, refunds)
    if amount_minor > left:
        raise RefundRefused(f"{left} fen of order {order.id} are left to be given back")


def _moved_minor(tx: PaymentsTx, order: Order, refunds: Sequence[Refund]) -> int:
    """Return what of an order's money was moved to another room: it can't go back twice."""
    left_micro = tx.paid_left(f"recharge:{order.id}", order.book)
    if left_micro is None:
        return 0
    booked = sum(
        refund.amount_minor
        for refund in refunds
        if refund.state is not RefundState.FAILED and tx.entry(refund.entry_id) is not None
    )
    return max(order.amount_minor - booked - micro_to_minor(left_micro), 0)


def left_of(order: Order, refunds: Sequence[Refund]) -> int:
    """Return what of an order's payment was not given back nor is on its way, fen."""
    if order.state in UNPAID or order.state is OrderState.VOIDED:
        return 0
    taken = sum(
        refund.amount_minor
        for refund in refunds
        if refund.state in REFUND_OPEN or refund.state is RefundState.DONE
    )
    return order.amount_minor - taken


def hold(tx: PaymentsTx, order: Order, refund: Refund, now: datetime) -> Refund:
    """Book a refund that its provider is to be asked for. Raises BelowFloor."""
    post_refund(tx, order, refund, now)
    held = replace(refund, state=RefundState.HELD, next_try_at=now)
    tx.put_refund(held)
    tx.put_order(replace(order, state=OrderState.REFUNDING, next_query_at=None))
    return held


def post_refund(tx: PaymentsTx, order: Order, refund: Refund, now: datetime) -> None:
    """Book a refund out of the room's account, not below 0, or out of suspense.

    Raises BelowFloor.
    """
    amount = minor_to_micro(refund.amount_minor)
    target = cash_book(refund.paid_by) if refund.paid_by else clearing_book(refund.channel)
    entry = Entry(
        id=refund.entry_id,
        time=now,
        kind=EntryKind.REFUND,
        legs=(Leg(order.book, -amount), Leg(target, amount)),
        actor=refund.paid_by or refund.approved_by or refund.requested_by,
        description=refund.reason,
        reference=order.id,
        details={
            "refund": refund.id,
            "order": order.id,
            "channel": refund.channel,
            "amount_minor": refund.amount_minor,
            "account": order.account,
            "building": order.building,
            "kind": order.kind,
            "shift": refund.shift,
        },
    )
    tx.post(entry, floors={} if order.book == SUSPENSE else {order.book: 0})


def state_after(tx: PaymentsTx, order: Order) -> OrderState:
    """Return the state of a paid order as its refunds have it."""
    if any(one.state is RefundState.HELD for one in tx.refunds_of(order.id)):
        return OrderState.REFUNDING
    if order.refunded_minor >= order.amount_minor:
        return OrderState.REFUNDED
    if order.refunded_minor:
        return OrderState.PARTLY_REFUNDED
    return OrderState.PAID if order.book == SUSPENSE else OrderState.CREDITED


def settle_refund(
    tx: PaymentsTx, desk: Desk, refund_id: str, reply: RefundReply, now: datetime
) -> Settled:
    """Take a provider's word on a refund: done, refused (the hold is reversed), or wait."""
    refund = tx.refund(refund_id)
    order = tx.order(refund.order) if refund else None
    if refund is None or order is None:
        event = _event(EventKind.REFUND_STUCK, refund_id, "a provider tells of it, but it is"
                       " not known here", now, Severity.ALARM)  # fmt: skip
        return Settled(NoticeOutcome.HELD, None, "no such refund", (event,))
    if refund.state is not RefundState.HELD:
        contrary = refund.state is RefundState.FAILED and reply.standing is RefundStanding.DONE
        if not contrary:
            return Settled(NoticeOutcome.DUPLICATE, order)
        event = _event(EventKind.REFUND_STUCK, refund.id, "the provider paid it out after all,"
                       " though it was taken back here", now, Severity.ALARM)  # fmt: skip
        return Settled(NoticeOutcome.HELD, order, "paid out after it failed", (event,))
    if reply.standing is RefundStanding.DONE:
        return _done(tx, order, refund, reply, now)
    if reply.standing is RefundStanding.REFUSED:
        return _failed(tx, order, refund, reply, now)
    return _again(tx, desk, order, refund, reply, now)


def _done(
    tx: PaymentsTx, order: Order, refund: Refund, reply: RefundReply, now: datetime
) -> Settled:
    done = replace(
        refund,
        state=RefundState.DONE,
        provider_ref=reply.provider_ref or refund.provider_ref,
        finished_at=now,
        next_try_at=None,
    )
    tx.put_refund(done)
    changed = replace(order, refunded_minor=order.refunded_minor + refund.amount_minor)
    changed = replace(changed, state=state_after(tx, changed))
    tx.put_order(changed)
    words = f"{refund.amount_minor} fen of order {order.id} went back by {refund.channel}"
    event = _event(EventKind.REFUND, refund.id, words, now)
    return Settled(NoticeOutcome.REFUND, changed, "", (event,))


def _failed(
    tx: PaymentsTx, order: Order, refund: Refund, reply: RefundReply, now: datetime
) -> Settled:
    posted = tx.entry(refund.entry_id)
    if posted is None:
        raise EntryRefused(f"the hold of refund {refund.id} is not in the books")
    tx.post(
        Entry(
            id=f"refund-failed:{refund.id}",
            time=now,
            kind=EntryKind.REVERSAL,
            legs=tuple(Leg(_open_book(tx, leg.account), -leg.amount) for leg in posted.entry.legs),
            actor="system",
            description=f"refused by {refund.channel}: {reply.reason}",
            reference=refund.entry_id,
            details={"reverses": EntryKind.REFUND.value, "number": posted.number},
        )
    )
    tx.put_refund(
        replace(
            refund,
            state=RefundState.FAILED,
            finished_at=now,
            next_try_at=None,
            note=reply.reason,
        )
    )
    changed = replace(order, state=state_after(tx, order))
    tx.put_order(changed)
    words = (
        f"{refund.channel} refused it: {reply.reason};"
        f" the money is back on {_open_book(tx, order.book)}"
    )
    event = _event(EventKind.REFUND_STUCK, refund.id, words, now, Severity.ALARM)
    return Settled(NoticeOutcome.REFUND, changed, reply.reason, (event,))


def _open_book(tx: PaymentsTx, book: str) -> str:
    """Return where money comes back to: of an account closed meanwhile, suspense."""
    return book if tx.is_open(book) else SUSPENSE


def _again(
    tx: PaymentsTx, desk: Desk, order: Order, refund: Refund, reply: RefundReply, now: datetime
) -> Settled:
    """Wait for a refund; after the last try a person is called, and nothing is undone."""
    waits, tries = desk.settings.refund_waits_s, refund.tries + 1
    last = tries >= desk.settings.refund_tries_most
    wait_s = waits[min(refund.tries, len(waits) - 1)]
    tx.put_refund(
        replace(
            refund,
            tries=tries,
            provider_ref=reply.provider_ref or refund.provider_ref,
            next_try_at=None if last else now + timedelta(seconds=wait_s),
            note=reply.reason,
        )
    )
    if not last:
        return Settled(NoticeOutcome.IGNORED, order, reply.reason)
    words = f"{refund.channel} has not settled it after {tries} tries: {reply.reason or 'pending'}"
    event = _event(EventKind.REFUND_STUCK, refund.id, words, now, Severity.ALARM)
    return Settled(NoticeOutcome.IGNORED, order, reply.reason, (event,))


def _event(
    kind: EventKind,
    refund_id: str,
    words: str,
    now: datetime,
    severity: Severity = Severity.INFO,
) -> Event:
    return Event(now, kind, refund_id, f"refund {refund_id}: {words}", severity, group="refunds")

"""The one place where a payment becomes a room's money, whoever brought the news of it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from billing.model import Account
from billing.payments.channel import PaymentChannel
from billing.payments.desk import Desk
from billing.payments.model import (
    CURRENCY,
    UNPAID,
    NoticeOutcome,
    Order,
    OrderState,
    Payment,
    Review,
)
from billing.payments.store import PaymentsTx
from domain.books import (
    SUSPENSE,
    AccountUnknown,
    Entry,
    EntryKind,
    Leg,
    Posted,
    cash_book,
    clearing_book,
    room_book,
)
from domain.events import Event, EventKind, Severity
from domain.money import minor_to_micro


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a payment, and what people must be told of it."""

    outcome: NoticeOutcome
    order: Order | None
    reason: str = ""
    events: tuple[Event, ...] = ()


def settle(
    tx: PaymentsTx, desk: Desk, channel: PaymentChannel, payment: Payment, now: datetime
) -> Settled:
    """Credit an order that a provider says is paid, once; keep what does not fit for a person."""
    order = tx.order(payment.order)
    reason = _misfit(order, channel, payment)
    if order is None or reason:
        return _hold(tx, channel, payment, reason, now)
    if order.state not in UNPAID:
        if order.provider_ref != payment.provider_ref:
            return _hold(tx, channel, payment, "paid a second time", now)
        return Settled(NoticeOutcome.DUPLICATE, order)
    return credit(tx, desk, order, payment, now)


def credit(tx: PaymentsTx, desk: Desk, order: Order, payment: Payment, now: datetime) -> Settled:
    """Book the recharge of an order; money for a closed account goes to suspense, with an alarm."""
    late = order.state in (OrderState.EXPIRED, OrderState.CLOSED)
    paid_at = _plausible(payment.paid_at, order, now)
    paid = replace(
        order,
        provider_ref=payment.provider_ref,
        paid_at=paid_at,
        next_query_at=None,
        note=f"paid after it was {order.state.value}" if late else order.note,
    )
    account = desk.directory.account(order.account)
    if account is not None and account.closed_at is None:
        try:
            credited = replace(
                paid,
                state=OrderState.CREDITED,
                credited_at=now,
                book=room_book(order.account),
            )
            post_recharge(tx, credited, account)
        except AccountUnknown:
            pass
        else:
            tx.put_order(credited)
            return Settled(NoticeOutcome.CREDITED, credited)
    # Due at once: the next tick sends it back to where it came from.
    kept = replace(
        paid,
        state=OrderState.PAID,
        book=SUSPENSE,
        next_query_at=now,
        note="the account is closed",
    )
    post_recharge(tx, kept, account)
    tx.put_order(kept)
    event = Event(
        now,
        EventKind.PAYMENT_SUSPENDED,
        order.account,
        f"order {order.id} was paid, but its account is closed: the money lies in suspense",
        Severity.ALARM,
        group=f"payments:{order.channel}",
        details={"order": order.id, "channel": order.channel, "amount_minor": order.amount_minor},
    )
    return Settled(NoticeOutcome.SUSPENDED, kept, "the account is closed", (event,))


def post_recharge(tx: PaymentsTx, order: Order, account: Account | None) -> Posted:
    """Book an order's money, from the channel's clearing account or the cashier's drawer."""
    amount = minor_to_micro(order.amount_minor)
    source = cash_book(order.requested_by) if order.shift else clearing_book(order.channel)
    legs = (Leg(order.book, amount), Leg(source, -amount))
    return tx.post(
        Entry(
            id=order.entry_id,
            time=order.paid_at or order.created_at,
            kind=EntryKind.RECHARGE,
            legs=legs,
            actor=order.requested_by,
            description=f"recharge by {order.channel}",
            reference=order.id,
            details={
                "channel": order.channel,
                "order": order.id,
                "provider_ref": order.provider_ref,
                "amount_minor": order.amount_minor,
                "person": order.person,
                "shift": order.shift,
                "building": account.building if account else order.building,
                "kind": account.kind.value if account else order.kind,
            },
        )
    )


def _misfit(order: Order | None, channel: PaymentChannel, payment: Payment) -> str:
    """Say why a payment does not fit its order, "" when it does."""
    if order is None:
        return "no such order"
    told = {
        "channel": (channel.name, order.channel),
        "merchant": (payment.merchant, channel.merchant),
        "app": (payment.app, channel.app),
        "currency": (payment.currency, CURRENCY),
        "amount": (payment.amount_minor, order.amount_minor),
    }
    wrong = [
        f"{name} is {theirs}, not {ours}"
        for name, (theirs, ours) in told.items()
        if theirs is not None and theirs != ours
    ]
    return "; ".join(wrong)


def _hold(
    tx: PaymentsTx, channel: PaymentChannel, payment: Payment, reason: str, now: datetime
) -> Settled:
    """Keep a payment for a person to look at; the same one again makes no second alarm."""
    what = "\n".join((channel.name, payment.order, payment.provider_ref, reason))
    review_id = hashlib.sha256(what.encode()).hexdigest()[:24]
    if tx.review(review_id) is not None:
        return Settled(NoticeOutcome.HELD, None, reason)
    facts = {
        "currency": payment.currency,
        "merchant": payment.merchant or "",
        "app": payment.app or "",
        "paid_at": payment.paid_at.isoformat() if payment.paid_at else "",
    }
    tx.put_review(
        Review(
            id=review_id,
            time=now,
            channel=channel.name,
            order=payment.order,
            provider_ref=payment.provider_ref,
            amount_minor=payment.amount_minor,
            reason=reason,
            facts=facts,
        )
    )
    event = Event(
        now,
        EventKind.PAYMENT_HELD,
        payment.order,
        f"{channel.name} vouches for a payment that does not fit: {reason}; nothing was credited",
        Severity.ALARM,
        group=f"payments:{channel.name}",
        details={"review": review_id, "order": payment.order, "reason": reason},
    )
    return Settled(NoticeOutcome.HELD, None, reason, (event,))


def _plausible(paid_at: datetime | None, order: Order, now: datetime) -> datetime:
    """Return when it was paid, within what can be: not before the order, not in the future."""
    return now if paid_at is None else min(max(paid_at, order.created_at), now)

"""The till: shifts with counted cash, recharges and refunds in cash, receipts that are voided."""

from dataclasses import dataclass, replace
from datetime import datetime

from billing.model import Account
from billing.payments.crediting import post_recharge
from billing.payments.desk import Desk, new_id, wait_for
from billing.payments.model import (
    CASH,
    Order,
    OrderState,
    Receipt,
    ReceiptKind,
    RefundState,
    Shift,
)
from billing.payments.orders import amount_faults, digest_of, key_faults, same_or_refused
from billing.payments.refunding import RefundRefused, post_refund, state_after
from billing.payments.refunds import REASON_LENGTH_MOST
from billing.payments.settings import CashSettings
from billing.payments.store import PaymentsTx
from domain.books import (
    BookAccount,
    Entry,
    EntryKind,
    EntryRefused,
    Leg,
    cash_book,
    room_book,
)
from domain.errors import InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.money import AMOUNT_MOST_MINOR

COUNTED_MOST_MINOR = AMOUNT_MOST_MINOR * 100


class ShiftRefused(EntryRefused):
    """The till is not open, or open already."""


@dataclass(frozen=True, slots=True)
class CashRequest:
    """Cash laid on the counter for a room, under the cashier's own key."""

    key: str
    account: str
    amount_minor: int
    person: str | None = None
    note: str = ""


class Cashier:
    """Keeps the till of every cashier: money only moves in an open shift."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def open_shift(self, cashier: str, opening_minor: int) -> Shift:
        """Open a cashier's shift with the counted float. Raises ShiftRefused, InvalidInput."""
        settings = self._settings()
        _counted(opening_minor, "opening_minor", settings.float_most_minor)
        now = self._desk.clock.now()

        def work(tx: PaymentsTx) -> Shift:
            if tx.open_shift(cashier) is not None:
                raise ShiftRefused(f"{cashier} has an open shift already")
            tx.open_book(BookAccount(cash_book(cashier)))
            shift = Shift(new_id("S", now), cashier, now, opening_minor)
            tx.put_shift(shift)
            return shift

        shift = wait_for(self._desk.store.transact(work))
        words = f"{cashier} opened the till with {opening_minor} fen"
        self._tell(shift, words, Severity.INFO, now)
        return shift

    def close_shift(self, cashier: str, counted_minor: int, note: str = "") -> Shift:
        """Close a cashier's shift with what was counted; the difference is kept with it.

        Raises ShiftRefused, InvalidInput.
        """
        self._settings()
        _counted(counted_minor, "counted_minor", COUNTED_MOST_MINOR)
        now = self._desk.clock.now()

        def work(tx: PaymentsTx) -> Shift:
            shift = _open(tx, cashier)
            expected = shift.opening_minor + tx.shift_total_minor(shift.id)
            closed = replace(
                shift,
                closed_at=now,
                counted_minor=counted_minor,
                expected_minor=expected,
                difference_minor=counted_minor - expected,
                note=note,
            )
            tx.put_shift(closed)
            return closed

        shift = wait_for(self._desk.store.transact(work))
        differs = bool(shift.difference_minor)
        words = f"{cashier} closed the till with {counted_minor} fen counted"
        words += f", {shift.difference_minor:+d} fen off" if differs else ""
        self._tell(shift, words, Severity.WARNING if differs else Severity.INFO, now)
        return shift

    def recharge(self, request: CashRequest, cashier: str) -> Receipt:
        """Take cash for a room: credited and receipted in one transaction.

        The same key with the same content gives the same receipt. Raises InvalidInput,
        UnknownSubject, KeyReused, ShiftRefused.
        """
        self._settings()
        account = self._desk.open_account(request.account)
        settings = self._desk.settings
        faults = amount_faults(
            request.amount_minor, settings.amount_least_minor, settings.amount_most_minor
        )
        faults += key_faults(request.key)
        if len(request.note) > REASON_LENGTH_MOST:
            faults.append(Fault("note", f"must be {REASON_LENGTH_MOST} characters at most"))
        if faults:
            raise InvalidInput(faults)
        now = self._desk.clock.now()
        return wait_for(
            self._desk.store.transact(lambda tx: self._recharge(tx, request, cashier, account, now))
        )

    def pay_out(self, refund_id: str, cashier: str) -> Receipt:
        """Give out the cash of an approved refund, not more than the room still has.

        Paying the same one again gives the same receipt. Raises UnknownSubject, ShiftRefused,
        RefundRefused, BelowFloor.
        """
        self._settings()
        now = self._desk.clock.now()
        return wait_for(
            self._desk.store.transact(lambda tx: self._pay_out(tx, refund_id, cashier, now))
        )

    def void(self, number: int, cashier: str, reason: str) -> Receipt:
        """Take a receipt of the open shift back by a reversal; the new receipt says so.

        Voiding the same one again gives the same receipt. Raises UnknownSubject, ShiftRefused,
        EntryRefused, BelowFloor.
        """
        self._settings()
        if not 0 < len(reason.strip()) <= REASON_LENGTH_MOST:
            message = f"must be 1 to {REASON_LENGTH_MOST} characters"
            raise InvalidInput([Fault("reason", message)])
        receipt = self._desk.store.receipt(number)
        if receipt is None:
            raise UnknownSubject(f"no receipt {number}")
        if receipt.kind is not ReceiptKind.RECHARGE:
            raise EntryRefused("only the receipt of a recharge can be voided")
        now = self._desk.clock.now()
        done = wait_for(
            self._desk.store.transact(lambda tx: _void(tx, receipt, cashier, reason, now))
        )
        words = f"receipt {number} was voided by {cashier}: {reason}"
        self._desk.on_event(
            Event(now, EventKind.CASH_VOIDED, receipt.account, words, Severity.WARNING, cashier)
        )
        return done

    def receipt(self, number: int) -> Receipt:
        """Return a receipt. Raises UnknownSubject."""
        receipt = self._desk.store.receipt(number)
        if receipt is None:
            raise UnknownSubject(f"no receipt {number}")
        return receipt

    def _recharge(
        self,
        tx: PaymentsTx,
        request: CashRequest,
        cashier: str,
        account: Account,
        now: datetime,
    ) -> Receipt:
        digest = digest_of(
            {
                "account": request.account,
                "amount": request.amount_minor,
                "person": request.person,
                "cash": True,
            }
        )
        known = tx.order_of_key(cashier, request.key)
        if known is not None:
            order = same_or_refused(known, digest)
            receipts = tx.receipts_of(order.id)
            return next(one for one in receipts if one.kind is ReceiptKind.RECHARGE)
        shift = _open(tx, cashier)
        order = _cash_order(request, cashier, account, shift, digest, now)
        post_recharge(tx, order, account)
        tx.put_order(order)
        receipt = _receipt(ReceiptKind.RECHARGE, order, account.room, shift, now, request.note)
        return tx.add_receipt(replace(receipt, amount_minor=request.amount_minor))

    def _pay_out(self, tx: PaymentsTx, refund_id: str, cashier: str, now: datetime) -> Receipt:
        refund = tx.refund(refund_id)
        order = tx.order(refund.order) if refund else None
        if refund is None or order is None:
            raise UnknownSubject(f"no refund {refund_id!r}")
        if refund.state is RefundState.DONE and refund.paid_by == cashier:
            receipts = tx.receipts_of(order.id)
            return next(one for one in receipts if one.refund == refund.id)
        if refund.state is not RefundState.APPROVED:
            raise RefundRefused(f"refund {refund_id} is {refund.state.value}")
        shift = _open(tx, cashier)
        paid = replace(
            refund,
            state=RefundState.DONE,
            finished_at=now,
            shift=shift.id,
            paid_by=cashier,
        )
        post_refund(tx, order, paid, now)
        tx.put_refund(paid)
        changed = replace(order, refunded_minor=order.refunded_minor + paid.amount_minor)
        tx.put_order(replace(changed, state=state_after(tx, changed)))
        account = self._desk.directory.account(order.account)
        room = account.room if account else ""
        receipt = _receipt(ReceiptKind.REFUND, order, room, shift, now, paid.reason)
        return tx.add_receipt(replace(receipt, amount_minor=-paid.amount_minor, refund=paid.id))

    def _settings(self) -> CashSettings:
        settings = self._desk.settings.cash
        if settings is None:
            raise UnknownSubject("this station takes no cash")
        return settings

    def _tell(self, shift: Shift, words: str, severity: Severity, now: datetime) -> None:
        details = {"shift": shift.id, "difference_minor": shift.difference_minor}
        self._desk.on_event(
            Event(
                now,
                EventKind.CASH_SHIFT,
                shift.cashier,
                words,
                severity,
                actor=shift.cashier,
                details=details,
            )
        )


def _open(tx: PaymentsTx, cashier: str) -> Shift:
    shift = tx.open_shift(cashier)
    if shift is None:
        raise ShiftRefused(f"{cashier} has no open shift: count the float and open one")
    return shift


def _counted(value: object, source: str, most_minor: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= most_minor:  # type: ignore[operator]
        message = f"must be a whole number of fen from 0 to {most_minor} (given: {value!r})"
        raise InvalidInput([Fault(source, message)])


def _cash_order(
    request: CashRequest,
    cashier: str,
    account: Account,
    shift: Shift,
    digest: str,
    now: datetime,
) -> Order:
    return Order(
        id=new_id("W", now),
        key=request.key,
        requested_by=cashier,
        digest=digest,
        account=account.id,
        channel=CASH,
        way=CASH,
        amount_minor=request.amount_minor,
        state=OrderState.CREDITED,
        created_at=now,
        expires_at=now,
        person=request.person,
        building=account.building,
        kind=account.kind.value,
        paid_at=now,
        credited_at=now,
        book=room_book(account.id),
        shift=shift.id,
        note=request.note,
    )


def _receipt(
    kind: ReceiptKind, order: Order, room: str, shift: Shift, now: datetime, note: str
) -> Receipt:
    """Return a receipt without number and amount."""
    return Receipt(
        number=0,
        kind=kind,
        order=order.id,
        account=order.account,
        building=order.building,
        room=room,
        amount_minor=0,
        cashier=shift.cashier,
        shift=shift.id,
        time=now,
        person=order.person,
        note=note,
    )


def _void(tx: PaymentsTx, receipt: Receipt, cashier: str, reason: str, now: datetime) -> Receipt:
    order = tx.order(receipt.order)
    if order is None:
        raise UnknownSubject(f"no order {receipt.order!r}")
    for made in tx.receipts_of(order.id):
        if made.voids == receipt.number:
            return made
    shift = _open(tx, cashier)
    if shift.id != receipt.shift:
        raise ShiftRefused("only the cashier who gave it can void a receipt, in the same shift")
    if tx.refunds_of(order.id):
        raise RefundRefused("some of it was given back already: refund the rest")
    posted = tx.entry(order.entry_id)
    if posted is None:
        raise EntryRefused(f"the recharge {order.entry_id} is not in the books")
    tx.post(
        Entry(
            id=f"void:{order.id}",
            time=now,
            kind=EntryKind.REVERSAL,
            legs=tuple(Leg(leg.account, -leg.amount) for leg in posted.entry.legs),
            actor=cashier,
            description=reason,
            reference=order.entry_id,
            details={"reverses": EntryKind.RECHARGE.value, "number": posted.number},
        ),
        floors={order.book: 0},
    )
    tx.put_order(replace(order, state=OrderState.VOIDED, note=reason))
    made = _receipt(ReceiptKind.VOID, order, receipt.room, shift, now, reason)
    return tx.add_receipt(replace(made, amount_minor=-receipt.amount_minor, voids=receipt.number))

"""The PaymentStore in the ledger's database."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Select, Table

from billing.payments.model import (
    REFUND_OPEN,
    NoticeOutcome,
    NoticeRecord,
    Order,
    OrderState,
    Receipt,
    Refund,
    RefundState,
    Review,
    Shift,
    StatementRow,
)
from billing.payments.store import PaymentsTx
from storage.books import payment_rows as rows
from storage.books.payment_tables import (
    cash_shift,
    payment_notice,
    payment_order,
    payment_refund,
    payment_review,
    provider_statement,
    provider_statement_row,
    receipt_slip,
)
from storage.books.payment_transaction import SqlPaymentsTx
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

T = TypeVar("T")
Filter = ColumnElement[bool] | None
_OPEN_REFUNDS = [state.value for state in REFUND_OPEN]


class SqlPayments:
    """Keeps payments beside the books, in their transactions; see PaymentStore."""

    def __init__(self, ledger: SqlLedger, books: SqlBooks) -> None:
        self._ledger, self._books = ledger, books

    def transact(self, work: Callable[[PaymentsTx], T]) -> "Future[T]":
        """Run work in the books' transaction. Raises StoreUnavailable when closed or overrun."""
        return self._books.transact(lambda tx: work(SqlPaymentsTx(tx)))

    def order(self, order_id: str) -> Order | None:
        """Return the order of that id, or None."""
        found = self._rows(payment_order, [payment_order.c.id == order_id], None, 1)
        return rows.ORDER.value(found[0]) if found else None

    def orders(
        self,
        *,
        account: str | None = None,
        state: OrderState | None = None,
        channel: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[Order]:
        """Return orders made with since <= time < until, newest first."""
        column = payment_order.c
        filters: list[Filter] = [
            column.account == account if account is not None else None,
            column.state == state.value if state is not None else None,
            column.channel == channel if channel is not None else None,
            column.created_at >= since if since is not None else None,
            column.created_at < until if until is not None else None,
        ]
        found = self._rows(payment_order, filters, column.created_at.desc(), limit)
        return [rows.ORDER.value(row) for row in found]

    def due_orders(self, now: datetime, limit: int) -> list[Order]:
        """Return orders to be asked about or ended by now, oldest due first."""
        due = payment_order.c.next_query_at
        found = self._rows(payment_order, [due.is_not(None), due <= now], due, limit)
        return [rows.ORDER.value(row) for row in found]

    def paid_orders(
        self, channel: str, since: datetime, until: datetime, limit: int
    ) -> list[Order]:
        """Return a channel's orders paid in a time, oldest first."""
        column = payment_order.c
        voided = OrderState.VOIDED.value
        filters: list[Filter] = [
            column.channel == channel,
            column.paid_at >= since,
            column.paid_at < until,
            column.state != voided,
        ]
        found = self._rows(payment_order, filters, column.paid_at, limit)
        return [rows.ORDER.value(row) for row in found]

    def refund(self, refund_id: str) -> Refund | None:
        """Return the refund of that id, or None."""
        found = self._rows(payment_refund, [payment_refund.c.id == refund_id], None, 1)
        return rows.REFUND.value(found[0]) if found else None

    def refunds(
        self,
        *,
        order: str | None = None,
        account: str | None = None,
        open_only: bool = False,
        limit: int = 1000,
    ) -> list[Refund]:
        """Return refunds, newest first."""
        column = payment_refund.c
        filters: list[Filter] = [
            column.order == order if order is not None else None,
            column.account == account if account is not None else None,
            column.state.in_(_OPEN_REFUNDS) if open_only else None,
        ]
        found = self._rows(payment_refund, filters, column.requested_at.desc(), limit)
        return [rows.REFUND.value(row) for row in found]

    def due_refunds(self, now: datetime, limit: int) -> list[Refund]:
        """Return refunds to be tried or asked about by now, oldest due first."""
        due = payment_refund.c.next_try_at
        found = self._rows(payment_refund, [due.is_not(None), due <= now], due, limit)
        return [rows.REFUND.value(row) for row in found]

    def finished_refunds(
        self, channel: str, since: datetime, until: datetime, limit: int
    ) -> list[Refund]:
        """Return a channel's refunds done in a time, oldest first."""
        column = payment_refund.c
        filters: list[Filter] = [
            column.channel == channel,
            column.finished_at >= since,
            column.finished_at < until,
            column.state == RefundState.DONE.value,
        ]
        found = self._rows(payment_refund, filters, column.finished_at, limit)
        return [rows.REFUND.value(row) for row in found]

    def notices(
        self,
        *,
        channel: str | None = None,
        order: str | None = None,
        outcome: NoticeOutcome | None = None,
        limit: int = 1000,
    ) -> list[NoticeRecord]:
        """Return notices, newest first."""
        column = payment_notice.c
        filters: list[Filter] = [
            column.channel == channel if channel is not None else None,
            column.order == order if order is not None else None,
            column.outcome == outcome.value if outcome is not None else None,
        ]
        found = self._rows(payment_notice, filters, column.number.desc(), limit)
        return [rows.NOTICE.value(row) for row in found]

    def prune_notices(self, before: datetime, limit: int) -> "Future[int]":
        """Delete notices older than a time, at most so many; the future says how many."""
        table = payment_notice
        old = sa.select(table.c.number).where(table.c.received_at < before).limit(limit)

        def work(connection: Connection) -> int:
            return connection.execute(sa.delete(table).where(table.c.number.in_(old))).rowcount

        return self._ledger.transact(work)

    def reviews(self, *, open_only: bool = True, limit: int = 1000) -> list[Review]:
        """Return held payments, newest first."""
        column = payment_review.c
        filters: list[Filter] = [column.resolved_at.is_(None) if open_only else None]
        found = self._rows(payment_review, filters, column.time.desc(), limit)
        return [rows.REVIEW.value(row) for row in found]

    def shift(self, shift_id: str) -> Shift | None:
        """Return the shift of that id, or None."""
        found = self._rows(cash_shift, [cash_shift.c.id == shift_id], None, 1)
        return rows.SHIFT.value(found[0]) if found else None

    def shifts(
        self,
        *,
        cashier: str | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[Shift]:
        """Return shifts opened with since <= time < until, newest first."""
        column = cash_shift.c
        filters: list[Filter] = [
            column.cashier == cashier if cashier is not None else None,
            column.closed_at.is_(None) if open_only else None,
            column.opened_at >= since if since is not None else None,
            column.opened_at < until if until is not None else None,
        ]
        found = self._rows(cash_shift, filters, column.opened_at.desc(), limit)
        return [rows.SHIFT.value(row) for row in found]

    def receipt(self, number: int) -> Receipt | None:
        """Return the receipt of that number, or None."""
        found = self._rows(receipt_slip, [receipt_slip.c.number == number], None, 1)
        return rows.RECEIPT.value(found[0]) if found else None

    def receipts(
        self,
        *,
        shift: str | None = None,
        account: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[Receipt]:
        """Return receipts given with since <= time < until, newest first."""
        column = receipt_slip.c
        filters: list[Filter] = [
            column.shift == shift if shift is not None else None,
            column.account == account if account is not None else None,
            column.time >= since if since is not None else None,
            column.time < until if until is not None else None,
        ]
        found = self._rows(receipt_slip, filters, column.number.desc(), limit)
        return [rows.RECEIPT.value(row) for row in found]

    def statement(self, channel: str, day: date) -> list[StatementRow] | None:
        """Return the imported rows of a day, None where no statement was imported."""
        head, body = provider_statement.c, provider_statement_row.c
        heads = self._rows(provider_statement, [head.channel == channel, head.day == day], None, 1)
        if not heads:
            return None
        found = self._rows(
            provider_statement_row,
            [body.channel == channel, body.day == day],
            body.place,
            int(heads[0]["rows"]),
        )
        return [rows.STATEMENT_ROW.value(row) for row in found]

    def _rows(
        self,
        table: Table,
        filters: Sequence[Filter],
        order: ColumnElement[Any] | None,
        limit: int,
    ) -> list[rows.Row]:
        query: Select[Any] = sa.select(table).where(*(f for f in filters if f is not None))
        if order is not None:
            key = list(table.primary_key)[-1]
            descends = getattr(order, "modifier", None) is sa.sql.operators.desc_op
            query = query.order_by(order, key.desc() if descends else key)
        query = query.limit(limit)

        def read(connection: Connection) -> list[rows.Row]:
            return [dict(row) for row in connection.execute(query).mappings()]

        return self._ledger.query(read)

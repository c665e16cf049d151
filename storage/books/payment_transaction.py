"""One transaction over the tables of payments and the books together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import sqlalchemy as sa

from billing.payments.model import (
    WAITING,
    NoticeRecord,
    Order,
    Receipt,
    Refund,
    Review,
    Shift,
    StatementRow,
)
from domain.books import BookAccount, Entry, Posted
from storage.books import money_reader
from storage.books import payment_rows as rows
from storage.books.paid_left import paid_left
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
from storage.books.sql_books import BooksTransaction
from storage.ledger.dialect import add_or_replace

ROWS_MOST = 10_000
IDS_A_QUERY = 200
_WAITING = [state.value for state in WAITING]


class SqlPaymentsTx:
    """PaymentsTx inside a job of the books."""

    def __init__(self, books: BooksTransaction) -> None:
        self._books, self._connection = books, books.connection
        self._read: dict[str, Order | None] = {}

    def prefetch(self, order_ids: Collection[str]) -> None:
        """Read many orders at once."""
        ids = list(order_ids)
        for start in range(0, len(ids), IDS_A_QUERY):
            some = ids[start : start + IDS_A_QUERY]
            found = self._all(
                rows.ORDER, sa.select(payment_order).where(payment_order.c.id.in_(some))
            )
            self._read.update(dict.fromkeys(some))
            self._read.update((order.id, order) for order in found)

    def order(self, order_id: str) -> Order | None:
        """Return the order of that id."""
        if order_id in self._read:
            return self._read[order_id]
        table = payment_order
        return self._one(rows.ORDER, sa.select(table).where(table.c.id == order_id))

    def order_of_key(self, requested_by: str, key: str) -> Order | None:
        """Return the order that somebody made with a key."""
        table = payment_order
        mine = (table.c.requested_by == requested_by) & (table.c.key == key)
        return self._one(rows.ORDER, sa.select(table).where(mine))

    def waiting_orders(self, account: str, now: datetime) -> int:
        """Return how many orders of an account wait to be paid."""
        table = payment_order
        waits = table.c.state.in_(_WAITING) & (table.c.expires_at > now)
        return self._count((table.c.account == account) & waits)

    def orders_since(self, account: str, since: datetime) -> int:
        """Return how many orders of an account were made since a time."""
        table = payment_order
        return self._count((table.c.account == account) & (table.c.created_at >= since))

    def put_order(self, order: Order) -> None:
        """Add or replace an order."""
        add_or_replace(self._connection, payment_order, [rows.ORDER.row(order)])
        self._read[order.id] = order

    def add_notices(self, notices: Sequence[NoticeRecord]) -> None:
        """Add notices; the database numbers them."""
        content = [rows.NOTICE.row(notice) for notice in notices]
        for row in content:
            del row["number"]
        if content:
            self._connection.execute(sa.insert(payment_notice), content)

    def review(self, review_id: str) -> Review | None:
        """Return the review of that id."""
        table = payment_review
        return self._one(rows.REVIEW, sa.select(table).where(table.c.id == review_id))

    def put_review(self, review: Review) -> None:
        """Add or replace a review."""
        add_or_replace(self._connection, payment_review, [rows.REVIEW.row(review)])

    def refund(self, refund_id: str) -> Refund | None:
        """Return the refund of that id."""
        table = payment_refund
        return self._one(rows.REFUND, sa.select(table).where(table.c.id == refund_id))

    def refund_of_key(self, requested_by: str, key: str) -> Refund | None:
        """Return the refund that somebody asked for with a key."""
        table = payment_refund
        mine = (table.c.requested_by == requested_by) & (table.c.key == key)
        return self._one(rows.REFUND, sa.select(table).where(mine))

    def refunds_of(self, order_id: str) -> Sequence[Refund]:
        """Return the refunds of an order."""
        table = payment_refund
        query = sa.select(table).where(table.c.order == order_id).limit(ROWS_MOST)
        return self._all(rows.REFUND, query)

    def put_refund(self, refund: Refund) -> None:
        """Add or replace a refund."""
        add_or_replace(self._connection, payment_refund, [rows.REFUND.row(refund)])

    def shift(self, shift_id: str) -> Shift | None:
        """Return the shift of that id."""
        table = cash_shift
        return self._one(rows.SHIFT, sa.select(table).where(table.c.id == shift_id))

    def open_shift(self, cashier: str) -> Shift | None:
        """Return a cashier's open shift."""
        table = cash_shift
        mine = (table.c.cashier == cashier) & table.c.closed_at.is_(None)
        return self._one(rows.SHIFT, sa.select(table).where(mine))

    def put_shift(self, shift: Shift) -> None:
        """Add or replace a shift."""
        add_or_replace(self._connection, cash_shift, [rows.SHIFT.row(shift)])

    def shift_total_minor(self, shift_id: str) -> int:
        """Return what a shift's receipts took in, less what they gave out."""
        table = receipt_slip
        total = sa.func.coalesce(sa.func.sum(table.c.amount_minor), 0)
        query = sa.select(total).where(table.c.shift == shift_id)
        return int(self._connection.execute(query).scalar_one())

    def add_receipt(self, receipt: Receipt) -> Receipt:
        """Add a receipt under the next running number."""
        highest = sa.func.coalesce(sa.func.max(receipt_slip.c.number), 0)
        number = int(self._connection.execute(sa.select(highest)).scalar_one()) + 1
        numbered = replace(receipt, number=number)
        self._connection.execute(sa.insert(receipt_slip), rows.RECEIPT.row(numbered))
        return numbered

    def receipts_of(self, order_id: str) -> Sequence[Receipt]:
        """Return the receipts of an order."""
        table = receipt_slip
        query = sa.select(table).where(table.c.order == order_id).limit(ROWS_MOST)
        return self._all(rows.RECEIPT, query)

    def replace_statement(
        self,
        channel: str,
        day: date,
        statement: Sequence[StatementRow],
        actor: str,
        at: datetime,
    ) -> None:
        """Keep a day's rows in place of those kept before."""
        for table in (provider_statement_row, provider_statement):
            the_day = (table.c.channel == channel) & (table.c.day == day)
            self._connection.execute(sa.delete(table).where(the_day))
        head = {"channel": channel, "day": day, "imported_at": at, "actor": actor}
        self._connection.execute(sa.insert(provider_statement), {**head, "rows": len(statement)})
        content = [
            {**rows.STATEMENT_ROW.row(row), "channel": channel, "day": day, "place": place}
            for place, row in enumerate(statement)
        ]
        if content:
            self._connection.execute(sa.insert(provider_statement_row), content)

    def post(self, entry: Entry, floors: Mapping[str, int] | None = None) -> Posted:
        """Book an entry within this transaction."""
        return self._books.post(entry, floors)

    def paid_left(self, recharge: str, book: str) -> int | None:
        """Return what of a recharge can still leave a book account, micro-units, or None."""
        return paid_left(self._connection, recharge, book)

    def is_open(self, book: str) -> bool:
        """Say whether a book account takes entries."""
        found = money_reader.accounts(self._connection, names=[book])
        return book in found and not found[book][0].closed

    def open_book(self, *accounts: BookAccount) -> None:
        """Open book accounts within this transaction."""
        self._books.open(*accounts)

    def entry(self, entry_id: str) -> Posted | None:
        """Return a booked entry as this transaction sees it."""
        return self._books.entry(entry_id)

    def _one(
        self, kind: rows.RowsOf[rows.T], query: "sa.Select[tuple[object, ...]]"
    ) -> rows.T | None:
        found = self._connection.execute(query).mappings().first()
        return kind.value(dict(found)) if found is not None else None

    def _all(
        self, kind: rows.RowsOf[rows.T], query: "sa.Select[tuple[object, ...]]"
    ) -> list[rows.T]:
        return [kind.value(dict(row)) for row in self._connection.execute(query).mappings()]

    def _count(self, which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(payment_order).where(which)
        return int(self._connection.execute(query).scalar_one())

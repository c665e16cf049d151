"""The PrepaidStore on the ledger's database: an order's state and its money change together."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa

from billing.prepaid_model import (
    OPEN_STATES,
    PrepaidDifference,
    PrepaidMark,
    PurchaseMoved,
    PurchaseOrder,
    PurchaseState,
)
from domain.books import BookAccount, Entry
from storage.books.prepaid_rows import one, row_of, rows, value_of
from storage.books.prepaid_tables import meter_purchase, prepaid_difference, prepaid_mark
from storage.books.sql_books import BooksTransaction, SqlBooks
from storage.ledger.dialect import add_new, add_or_replace
from storage.ledger.sql_ledger import SqlLedger

OPEN_MOST = 100_000
METERS_MOST = 1_000_000


class SqlPrepaidStore:
    """Purchase orders, marks and differences in the database of the books."""

    def __init__(self, ledger: SqlLedger, books: SqlBooks) -> None:
        self._ledger, self._books = ledger, books

    def put(
        self,
        order: PurchaseOrder,
        before: PurchaseState | None,
        entries: Sequence[Entry] = (),
        floors: Mapping[str, int] | None = None,
    ) -> "Future[None]":
        """Keep an order that was in state `before`, and book the way of its money."""
        row = row_of(order)

        def work(tx: BooksTransaction) -> None:
            if before is None:
                if not add_new(tx.connection, meter_purchase, [row]):
                    raise PurchaseMoved(f"there is a purchase {order.id!r} already")
            else:
                _change(tx, row, before)
            for entry in entries:
                # What the meter has counted is a fact, whatever the accounts allow.
                tx.post(entry, floors=floors, enforce_floors=floors is not None)

        return self._books.transact(work)

    def open_orders(self) -> Sequence[PurchaseOrder]:
        """Return every order in an open state, and the refused ones, oldest first."""
        table = meter_purchase.c
        states = [state.value for state in (*OPEN_STATES, PurchaseState.REFUSED)]
        statement = (
            sa.select(meter_purchase)
            .where(table.state.in_(states))
            .order_by(table.created_at, table.id)
            .limit(OPEN_MOST)
        )
        return self._orders(statement)

    def order(self, order_id: str) -> PurchaseOrder | None:
        """Return an order, or None."""
        found = self._ledger.query(lambda c: one(c, meter_purchase, "id", order_id))
        return value_of(PurchaseOrder, found, state=PurchaseState) if found else None

    def orders(
        self,
        *,
        state: PurchaseState | None = None,
        account: str | None = None,
        limit: int = 100,
    ) -> Sequence[PurchaseOrder]:
        """Return orders, newest first."""
        table = meter_purchase.c
        filters = [
            None if state is None else table.state == state.value,
            None if account is None else table.account == account,
        ]
        statement = (
            sa.select(meter_purchase)
            .where(*(item for item in filters if item is not None))
            .order_by(table.created_at.desc(), table.id.desc())
            .limit(limit)
        )
        return self._orders(statement)

    def bought_minor(self, meter: str) -> int:
        """Return the sum of a meter's confirmed purchases."""
        table = meter_purchase.c
        statement = sa.select(sa.func.coalesce(sa.func.sum(table.amount_minor), 0)).where(
            table.meter == meter, table.state == PurchaseState.CONFIRMED.value
        )
        return self._ledger.query(
            lambda connection: int(connection.execute(statement).scalar_one())
        )

    def open_accounts(self, *accounts: BookAccount) -> "Future[None]":
        """Open those of these book accounts that are not there."""

        def work(tx: BooksTransaction) -> None:
            tx.open(*(one for one in accounts if tx.balance(one.id) is None))

        return self._books.transact(work)

    def marks(self) -> Sequence[PrepaidMark]:
        """Return where each meter and the books agreed last."""
        statement = sa.select(prepaid_mark).limit(METERS_MOST)
        found = self._ledger.query(lambda connection: rows(connection, statement))
        return [PrepaidMark(**row) for row in found]

    def agree(self, mark: PrepaidMark, difference: PrepaidDifference | None) -> "Future[None]":
        """Keep where the two agree, and the difference that went away."""

        def work(tx: BooksTransaction) -> None:
            add_or_replace(tx.connection, prepaid_mark, [row_of(mark)])
            if difference is not None:
                _end(tx, difference)

        return self._books.transact(work)

    def differ(self, difference: PrepaidDifference) -> "Future[None]":
        """Keep an open difference."""

        def work(tx: BooksTransaction) -> None:
            add_or_replace(tx.connection, prepaid_difference, [row_of(difference)])

        return self._books.transact(work)

    def adjust(
        self, difference: PrepaidDifference, mark: PrepaidMark, entry: Entry
    ) -> "Future[None]":
        """End a difference by an entry."""

        def work(tx: BooksTransaction) -> None:
            _end(tx, difference)
            add_or_replace(tx.connection, prepaid_mark, [row_of(mark)])
            tx.post(entry, enforce_floors=False)

        return self._books.transact(work)

    def difference(self, difference_id: str) -> PrepaidDifference | None:
        """Return a difference, or None."""
        found = self._ledger.query(lambda c: one(c, prepaid_difference, "id", difference_id))
        return PrepaidDifference(**found) if found else None

    def differences(
        self, *, open_only: bool = True, meter: str | None = None, limit: int = 100
    ) -> Sequence[PrepaidDifference]:
        """Return differences, newest first."""
        table = prepaid_difference.c
        filters = [
            table.closed_at.is_(None) if open_only else None,
            None if meter is None else table.meter == meter,
        ]
        statement = (
            sa.select(prepaid_difference)
            .where(*(item for item in filters if item is not None))
            .order_by(table.opened_at.desc(), table.id.desc())
            .limit(limit)
        )
        found = self._ledger.query(lambda connection: rows(connection, statement))
        return [PrepaidDifference(**row) for row in found]

    def _orders(self, statement: "sa.Select[Any]") -> list[PurchaseOrder]:
        found = self._ledger.query(lambda connection: rows(connection, statement))
        return [value_of(PurchaseOrder, row, state=PurchaseState) for row in found]


def _change(tx: BooksTransaction, row: dict[str, Any], before: PurchaseState) -> None:
    table = meter_purchase.c
    statement = (
        sa.update(meter_purchase)
        .where(table.id == row["id"], table.state == before.value)
        .values({name: value for name, value in row.items() if name != "id"})
    )
    if tx.connection.execute(statement).rowcount != 1:
        raise PurchaseMoved(f"the purchase {row['id']!r} is not {before.value} any more")


def _end(tx: BooksTransaction, difference: PrepaidDifference) -> None:
    row = row_of(difference)
    statement = (
        sa.update(prepaid_difference)
        .where(prepaid_difference.c.id == row["id"], prepaid_difference.c.closed_at.is_(None))
        .values({name: value for name, value in row.items() if name != "id"})
    )
    if tx.connection.execute(statement).rowcount != 1:
        raise PurchaseMoved(f"the difference {row['id']!r} was settled before")

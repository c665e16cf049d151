"""ChargingStore in the ledger's database: its rows go in with the entries of the books."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Select, UnaryExpression

from billing.charging_store import (
    DayRow,
    MonthRow,
    Plan,
    RegisterKey,
    RegisterRow,
    Review,
    ReviewState,
    SavedVersion,
)
from domain.books import Posted
from storage.books import charging_rows as rows
from storage.books import charging_tables as tables
from storage.books.sql_books import BooksTransaction, SqlBooks
from storage.ledger.dialect import add_new, add_or_replace
from storage.ledger.sql_ledger import SqlLedger

DAYS_MOST = 4_000
DAYS_LOOKED_AT = 10
REGISTERS_MOST = 1_000_000
VERSIONS_MOST = 100_000
ACCOUNTS_MOST = 1_000_000


class SqlCharging:
    """Keeps charging's rows; see ChargingStore. Raises StoreUnavailable."""

    def __init__(self, ledger: SqlLedger, books: SqlBooks) -> None:
        self._ledger, self._books = ledger, books

    def commit(self, plan: Plan) -> "Future[Sequence[Posted]]":
        """Write a plan and book its entries, all or nothing."""
        days = [rows.day_row(day) for day in plan.days]
        registers = [rows.register_row(register) for register in plan.registers]
        months = [rows.month_row(month) for month in plan.months]
        reviews = [rows.review_row(review) for review in plan.reviews]

        def work(tx: BooksTransaction) -> list[Posted]:
            if plan.opens:
                tx.open(*plan.opens)
            posted = [tx.post(entry, enforce_floors=False) for entry in plan.entries]
            for table, content in (
                (tables.charged_month, months),
                (tables.charged_day, days),
                (tables.charged_register, registers),
                (tables.counter_review, reviews),
            ):
                if content:
                    add_or_replace(tx.connection, table, content)
            return posted

        return self._books.transact(work)

    def registers(self) -> Sequence[RegisterRow]:
        """Return how far each register is settled."""
        query = sa.select(tables.charged_register).limit(REGISTERS_MOST)
        return [rows.register_of(row) for row in self._rows(query)]

    def days(self, key: RegisterKey, first: date, last: date) -> Sequence[DayRow]:
        """Return the kept readings of a register from a day to a day, both included."""
        table = tables.charged_day
        query = (
            sa.select(table)
            .where(table.c.meter == key.meter, table.c.since == key.since)
            .where(table.c.day.between(first, last))
            .order_by(table.c.day)
            .limit(DAYS_MOST)
        )
        return [rows.day_of(row) for row in self._rows(query)]

    def day_before(self, key: RegisterKey, day: date) -> DayRow | None:
        """Return the newest day before a day that has readings, or None."""
        table = tables.charged_day
        return self._nearest(key, table.c.day < day, table.c.day.desc())

    def day_after(self, key: RegisterKey, day: date) -> DayRow | None:
        """Return the first day after a day that has readings, or None."""
        table = tables.charged_day
        return self._nearest(key, table.c.day > day, table.c.day.asc())

    def month_row(self, account: str, month: str) -> MonthRow | None:
        """Return a month of an account, or None."""
        table = tables.charged_month
        query = sa.select(table).where(table.c.account == account, table.c.month == month)
        return next((rows.month_of(row) for row in self._rows(query)), None)

    def month_rows(self, account: str, limit: int = 1200) -> Sequence[MonthRow]:
        """Return the months of an account, newest first."""
        table = tables.charged_month
        query = sa.select(table).where(table.c.account == account)
        query = query.order_by(table.c.month.desc()).limit(limit)
        return [rows.month_of(row) for row in self._rows(query)]

    def billed_wh(self, account: str) -> int:
        """Return the energy in all months of an account, Wh."""
        table = tables.charged_month
        total = sa.func.coalesce(sa.func.sum(table.c.energy_wh), 0).label("total")
        query = sa.select(total).where(table.c.account == account)
        return int(self._rows(query)[0]["total"])

    def unfinished(self) -> Mapping[str, str]:
        """Return the first month of each account that is not final."""
        table = tables.charged_month
        query = (
            sa.select(table.c.account, sa.func.min(table.c.month).label("month"))
            .where(table.c.final.is_(False))
            .group_by(table.c.account)
            .limit(ACCOUNTS_MOST)
        )
        return {row["account"]: row["month"] for row in self._rows(query)}

    def reviews(self, *, open_only: bool = False, limit: int = 10_000) -> Sequence[Review]:
        """Return held jumps, newest first."""
        table = tables.counter_review
        query = sa.select(table)
        if open_only:
            query = query.where(table.c.state == ReviewState.OPEN.value)
        query = query.order_by(table.c.found_at.desc(), table.c.id).limit(limit)
        return [rows.review_of(row) for row in self._rows(query)]

    def review(self, review_id: str) -> Review | None:
        """Return a held jump, or None."""
        query = sa.select(tables.counter_review).where(tables.counter_review.c.id == review_id)
        return next((rows.review_of(row) for row in self._rows(query)), None)

    def tariff_versions(self) -> Sequence[SavedVersion]:
        """Return every tariff version that was saved, oldest first."""
        table = tables.tariff_version
        query = sa.select(table).order_by(table.c.tariff, table.c.number).limit(VERSIONS_MOST)
        return [rows.version_of(row) for row in self._rows(query)]

    def save_tariff(self, saved: SavedVersion, withdraw: int | None = None) -> "Future[None]":
        """Add a version; one that it replaces before its time is marked as withdrawn."""
        row = rows.version_row(saved)
        return self._books.transact(lambda tx: _save(tx, row, withdraw, saved.saved_at))

    def _nearest(
        self, key: RegisterKey, side: ColumnElement[bool], order: UnaryExpression[Any]
    ) -> DayRow | None:
        table = tables.charged_day
        query = (
            sa.select(table)
            .where(table.c.meter == key.meter, table.c.since == key.since, side)
            .order_by(order)
            .limit(DAYS_LOOKED_AT)
        )
        days = (rows.day_of(row) for row in self._rows(query))
        # A day whose readings were all taken out again has an empty row.
        return next((found for found in days if found.readings), None)

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return self._ledger.query(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )


def _save(tx: BooksTransaction, row: dict[str, Any], withdraw: int | None, now: datetime) -> None:
    table = tables.tariff_version
    if withdraw is not None:
        statement = sa.update(table).where(
            table.c.tariff == row["tariff"], table.c.number == withdraw
        )
        tx.connection.execute(statement.values(withdrawn_at=now))
    add_new(tx.connection, table, [row])

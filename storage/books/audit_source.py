"""The ledger as an audit reads it: read-only, beside a running station, all of one moment."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

import storage.books.all_tables  # noqa: F401 - the other parts' tables are found by name
from billing.audit import BookedEntry, BookedLeg
from domain.books import BookAccount, Unit
from domain.errors import StoreUnavailable
from storage.books import money_reader
from storage.books.money_tables import book_account, book_entry, book_leg
from storage.ledger.database import open_reading
from storage.ledger.tables import metadata

SLICE = 2_000
BUSY_S = 5.0


class SqlAuditSource:
    """AuditSource over one connection, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tables = set(sa.inspect(connection).get_table_names())
        self._sqlite = connection.dialect.name == "sqlite"

    def head(self) -> tuple[int, str]:
        """Return the newest entry's number and hash as the books keep them."""
        return money_reader.head(self._connection)

    def accounts(self) -> Mapping[str, tuple[BookAccount, int]]:
        """Return the accounts with their kept balances."""
        return {
            row.id: (
                BookAccount(row.id, Unit(row.unit), row.floor, bool(row.closed)),
                row.balance,
            )
            for row in self._connection.execute(sa.select(book_account))
        }

    def entries(self) -> Iterator[BookedEntry]:
        """Read all entries, a slice at a time."""
        after = None
        while True:
            heads = self._heads(after)
            if not heads:
                return
            after = heads[-1].number
            legs = self._legs(heads[0].number, after)
            for row in heads:
                yield BookedEntry(**row._mapping, legs=tuple(legs.get(row.number, ())))

    def orphans(self) -> Sequence[BookedLeg]:
        """Return legs whose entry is not there, at most a slice of them."""
        there = sa.exists().where(book_entry.c.number == book_leg.c.number)
        query = sa.select(book_leg).where(~there).order_by(book_leg.c.number, book_leg.c.place)
        return [BookedLeg(*row) for row in self._connection.execute(query.limit(SLICE))]

    def rows(self, table: str) -> Iterator[Mapping[str, Any]]:
        """Read a table of another part by its key, none where it is not there."""
        if table not in self._tables or table not in metadata.tables:
            return
        found = metadata.tables[table]
        keys = list(found.primary_key)
        after: tuple[Any, ...] | None = None
        while True:
            query = sa.select(found).order_by(*keys).limit(SLICE)
            if after is not None:
                query = query.where(sa.tuple_(*keys) > sa.tuple_(*map(_bound, keys, after)))
            rows = list(self._connection.execute(query).mappings())
            yield from (dict(row) for row in rows)
            if len(rows) < SLICE:
                return
            after = tuple(rows[-1][key.name] for key in keys)

    def _heads(self, after: int | None) -> Sequence[Any]:
        table = book_entry.c
        turn = sa.type_coerce if self._sqlite else sa.cast
        as_text: sa.ColumnElement[Any] = turn(table.details, sa.String())
        query = sa.select(
            table.number,
            table.id,
            self._moment(table.time).label("time"),
            self._moment(table.booked_at).label("booked_at"),
            table.kind,
            table.actor,
            table.description,
            table.reference,
            # As text, just as it was hashed: what can't be parsed can still be compared.
            as_text.label("details"),
            table.hash,
        )
        if after is not None:
            query = query.where(table.number > after)
        return self._connection.execute(query.order_by(table.number).limit(SLICE)).all()

    def _legs(self, first: int, last: int) -> dict[int, list[BookedLeg]]:
        query = sa.select(book_leg).where(book_leg.c.number.between(first, last))
        legs: dict[int, list[BookedLeg]] = {}
        for row in self._connection.execute(query.order_by(book_leg.c.number, book_leg.c.place)):
            legs.setdefault(row.number, []).append(BookedLeg(*row))
        return legs

    def _moment(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A time as moment_text writes it, whatever stands there."""
        text: sa.ColumnElement[Any] = sa.type_coerce(column, sa.String)
        if self._sqlite:
            return sa.func.replace(text, " ", "T") + "+00:00"
        utc = sa.func.timezone("UTC", column, type_=sa.DateTime())
        return sa.func.to_char(utc, 'YYYY-MM-DD"T"HH24:MI:SS.US') + "+00:00"


def _bound(column: sa.Column[Any], value: Any) -> sa.ColumnElement[Any]:
    return sa.literal(value, column.type)


@contextmanager
def reading_ledger(url: str) -> Iterator[SqlAuditSource]:
    """Open a ledger for reading only, beside its writer. Raises InvalidInput, StoreUnavailable."""
    with open_reading(url, BUSY_S) as connection:
        tables = sa.inspect(connection).get_table_names()
        if "book_entry" not in tables:
            raise StoreUnavailable(
                "there are no books in this ledger yet: start the station once with this version"
            )
        yield SqlAuditSource(connection)

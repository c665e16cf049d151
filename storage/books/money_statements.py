"""The statements of the posting path, per driver: thousands a second, so none is built a row."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Statements:
    """What one driver is sent; `names` and `moment` (a moment_text) make its parameters of values.

    `by_columns` says that a statement takes all rows at once, as one array a column.
    """

    head: str
    accounts: str
    known_ids: str
    add_legs: str
    add_entries: str
    set_balances: str
    set_head: str
    names: Callable[[Iterable[str]], Any]
    moment: Callable[[str], Any]
    by_columns: bool


def _sqlite_moment(text: str) -> str:
    # As SQLAlchemy's type writes and reads it: a blank between, no offset.
    return f"{text[:10]} {text[11:26]}"


_SQLITE = Statements(
    head="SELECT number, hash FROM book_head",
    accounts="SELECT id, unit, floor, closed, balance FROM book_account"
    " WHERE id IN (SELECT value FROM json_each(?))",
    known_ids="SELECT id FROM book_entry WHERE id IN (SELECT value FROM json_each(?))",
    # FAIL: a row is refused as ever, but SQLite need not keep what a statement might undo.
    add_legs="INSERT OR FAIL INTO book_leg (number, place, account, unit, amount, balance)"
    " VALUES (?, ?, ?, ?, ?, ?)",
    add_entries="INSERT OR FAIL INTO book_entry (number, id, time, booked_at, kind, actor,"
    " description, reference, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    set_balances="UPDATE book_account SET balance = ?, last_number = ? WHERE id = ?",
    set_head="UPDATE book_head SET number = ?, hash = ?",
    names=lambda names: json.dumps(list(names)),
    moment=_sqlite_moment,
    by_columns=False,
)

_POSTGRESQL = Statements(
    head="SELECT number, hash FROM book_head FOR UPDATE",
    accounts="SELECT id, unit, floor, closed, balance FROM book_account WHERE id = ANY(%s)",
    known_ids="SELECT id FROM book_entry WHERE id = ANY(%s)",
    add_legs="INSERT INTO book_leg (number, place, account, unit, amount, balance)"
    " SELECT * FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::text[], %s::bigint[],"
    " %s::bigint[])",
    add_entries="INSERT INTO book_entry (number, id, time, booked_at, kind, actor, description,"
    " reference, details, hash) SELECT n, i, t, b, k, a, d, r, j::json, h"
    " FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[],"
    " %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
    " AS new (n, i, t, b, k, a, d, r, j, h) ORDER BY n",
    set_balances="UPDATE book_account SET balance = new.balance, last_number = new.number"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS new (balance, number, id)"
    " WHERE book_account.id = new.id",
    set_head="UPDATE book_head SET number = %s, hash = %s",
    names=list,
    moment=str,
    by_columns=True,
)


def statements(connection: Connection) -> Statements:
    """Return the statements of the connection's driver."""
    return _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL


def fetch(connection: Connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement on the driver's own cursor and return its rows."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement, parameters)
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


def send(connection: Connection, statement: str, rows: Rows, by_columns: bool = False) -> None:
    """Run a statement for all rows, in their order, on the driver's own cursor."""
    cursor = connection.connection.cursor()
    try:
        if by_columns:
            cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])
        else:
            cursor.executemany(statement, rows)
    finally:
        cursor.close()

"""What is read from the books, over any connection."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from domain.books import BookAccount, Entry, EntryKind, Leg, Posted, Unit
from storage.books.money_tables import book_account, book_entry, book_head, book_leg

ENTRIES_MOST = 100_000
# SQLite and PostgreSQL take tens of thousands of parameters; legs are fetched in slices.
_SLICE = 5_000


def head(connection: Connection) -> tuple[int, str]:
    """Return the newest entry's number (0 before the first) and hash."""
    row = connection.execute(sa.select(book_head.c.number, book_head.c.hash)).one()
    return row[0], row[1]


def accounts(
    connection: Connection, changed_after: int | None = None, names: Sequence[str] | None = None
) -> dict[str, tuple[BookAccount, int]]:
    """Return the accounts with their balances."""
    query = sa.select(book_account)
    if changed_after is not None:
        query = query.where(book_account.c.last_number > changed_after)
    if names is not None:
        query = query.where(book_account.c.id.in_(names))
    return {
        row.id: (BookAccount(row.id, Unit(row.unit), row.floor, row.closed), row.balance)
        for row in connection.execute(query)
    }


def entry_of_id(connection: Connection, entry_id: str) -> Posted | None:
    """Return the entry of that id, or None."""
    found = _whole(connection, sa.select(book_entry).where(book_entry.c.id == entry_id))
    return found[0] if found else None


def entries(
    connection: Connection,
    *,
    account: str | None = None,
    kind: EntryKind | None = None,
    reference: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after_number: int = 0,
    limit: int = 1000,
) -> list[Posted]:
    """Return entries in the order of their numbers, at most `limit` and ENTRIES_MOST."""
    query = sa.select(book_entry).where(book_entry.c.number > after_number)
    if account is not None:
        query = query.join(book_leg, book_leg.c.number == book_entry.c.number)
        query = query.where(book_leg.c.account == account, book_leg.c.number > after_number)
    if kind is not None:
        query = query.where(book_entry.c.kind == kind.value)
    if reference is not None:
        query = query.where(book_entry.c.reference == reference)
    if since is not None:
        query = query.where(book_entry.c.time >= since)
    if until is not None:
        query = query.where(book_entry.c.time < until)
    query = query.order_by(book_entry.c.number).limit(max(0, min(limit, ENTRIES_MOST)))
    return _whole(connection, query)


def _whole(connection: Connection, query: Select[Any]) -> list[Posted]:
    heads = list(connection.execute(query).mappings())
    legs: dict[int, list[Any]] = {row["number"]: [] for row in heads}
    numbers = list(legs)
    for start in range(0, len(numbers), _SLICE):
        part = numbers[start : start + _SLICE]
        found = sa.select(book_leg).where(book_leg.c.number.in_(part))
        for leg in connection.execute(found.order_by(book_leg.c.number, book_leg.c.place)):
            legs[leg.number].append(leg)
    return [_posted(row, legs[row["number"]]) for row in heads]


def _posted(row: Mapping[Any, Any], legs: Sequence[Any]) -> Posted:
    entry = Entry(
        id=row["id"],
        time=row["time"],
        kind=EntryKind(row["kind"]),
        legs=tuple(Leg(leg.account, leg.amount) for leg in legs),
        actor=row["actor"],
        description=row["description"],
        reference=row["reference"],
        details=row["details"],
    )
    balances = {leg.account: leg.balance for leg in legs}
    return Posted(entry, row["number"], row["booked_at"], row["hash"], balances)

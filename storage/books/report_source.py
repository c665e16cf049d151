"""The books as reports read them: by number, in slices, with what accounts held at a number."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from billing.reports.source import BookBalance, Booked, Move
from domain.books import EntryKind, Unit
from storage.books.money_tables import book_account, book_entry, book_leg

T = TypeVar("T")
_KINDS = {kind.value: kind for kind in EntryKind}
# Times and details come as the database keeps them: turning each into a value by SQLAlchemy's
# types would take longer than reading a month.
_HEADS = sa.select(
    book_entry.c.number,
    book_entry.c.id,
    sa.type_coerce(book_entry.c.time, sa.String()).label("time"),
    sa.type_coerce(book_entry.c.booked_at, sa.String()).label("booked_at"),
    book_entry.c.kind,
    book_entry.c.actor,
    book_entry.c.description,
    book_entry.c.reference,
    sa.type_coerce(book_entry.c.details, sa.String()).label("details"),
)
_LEGS = sa.select(book_leg.c.number, book_leg.c.account, book_leg.c.amount, book_leg.c.balance)


class Queries(Protocol):
    """Whatever runs a query on a read-only connection."""

    def query(self, work: Callable[[Connection], T]) -> T: ...


class SqlReportSource:
    """EntrySource over the ledger's tables; it only reads. Raises StoreUnavailable."""

    def __init__(self, ledger: Queries) -> None:
        self._ledger = ledger

    def cut(self, moment: datetime) -> int:
        """Return the number of the first entry booked at or after a moment, or the next number."""
        return self._ledger.query(lambda connection: _cut(connection, moment))

    def page(self, first: int, end: int, limit: int) -> Sequence[Booked]:
        """Return entries with first <= number < end in their order, at most `limit`."""
        stop = min(end, first + limit)
        return self._ledger.query(lambda connection: _page(connection, first, stop))

    def balances_before(self, number: int) -> Mapping[str, BookBalance]:
        """Return what each account held just before an entry; accounts without entries are out."""
        return self._ledger.query(lambda connection: _balances_before(connection, number))

    def below_zero_since(self, account: str, number: int) -> datetime | None:
        """Return when an account that is below zero before `number` last fell there."""
        return self._ledger.query(lambda connection: _below_since(connection, account, number))

    def entry(self, entry_id: str) -> Booked | None:
        """Return the entry of that id, or None."""
        return self._ledger.query(lambda connection: _entry(connection, entry_id))


def _cut(connection: Connection, moment: datetime) -> int:
    # The sum keeps a planner from walking the numbers from 1 on: it takes the index of booked_at.
    later = sa.select(sa.func.min(book_entry.c.number + 0)).where(book_entry.c.booked_at >= moment)
    found: int | None = connection.execute(later).scalar()
    if found is not None:
        return found
    newest: int | None = connection.execute(sa.select(sa.func.max(book_entry.c.number))).scalar()
    return (newest or 0) + 1


def _page(connection: Connection, first: int, stop: int) -> list[Booked]:
    numbers = book_entry.c.number
    heads = connection.execute(
        _HEADS.where(numbers >= first, numbers < stop).order_by(numbers)
    ).fetchall()
    numbers = book_leg.c.number
    found = _LEGS.where(numbers >= first, numbers < stop).order_by(numbers, book_leg.c.place)
    legs: dict[int, list[Move]] = defaultdict(list)
    for number, account, amount, balance in connection.execute(found):
        legs[number].append(Move(account, amount, balance))
    return [_booked(head, legs[head[0]]) for head in heads]


def _entry(connection: Connection, entry_id: str) -> Booked | None:
    head = connection.execute(_HEADS.where(book_entry.c.id == entry_id)).first()
    if head is None:
        return None
    legs = connection.execute(_LEGS.where(book_leg.c.number == head[0]).order_by(book_leg.c.place))
    return _booked(head, [Move(*leg[1:]) for leg in legs])


def _booked(head: Any, legs: Sequence[Move]) -> Booked:
    number, entry_id, time, booked_at, kind, actor, description, reference, details = head
    return Booked(
        number,
        entry_id,
        _moment(time),
        _moment(booked_at),
        _KINDS[kind],
        actor,
        description,
        reference,
        json.loads(details) if isinstance(details, str) else details,
        tuple(legs),
    )


# Entries are booked in groups and charged by the hour: the same times come again and again.
@lru_cache(maxsize=4096)
def _moment(value: Any) -> datetime:
    """Read a time as the driver gives it: SQLite has text without a zone, which is UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    moment: datetime = value
    return moment.astimezone(UTC)


def _balances_before(connection: Connection, number: int) -> dict[str, BookBalance]:
    last = (
        sa.select(book_leg.c.balance)
        .where(book_leg.c.account == book_account.c.id, book_leg.c.number < number)
        .order_by(book_leg.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(sa.select(book_account.c.id, book_account.c.unit, last))
    return {row[0]: BookBalance(Unit(row[1]), row[2]) for row in rows if row[2] is not None}


def _below_since(connection: Connection, account: str, number: int) -> datetime | None:
    legs = sa.select(book_leg.c.number).where(book_leg.c.account == account)
    before = legs.where(book_leg.c.number < number)
    above = before.where(book_leg.c.balance >= 0).order_by(book_leg.c.number.desc()).limit(1)
    last_above: int | None = connection.execute(above).scalar()
    fell = before.where(book_leg.c.number > (last_above or 0)).order_by(book_leg.c.number).limit(1)
    when = sa.select(book_entry.c.booked_at).where(book_entry.c.number == fell.scalar_subquery())
    found: datetime | None = connection.execute(when).scalar()
    return found

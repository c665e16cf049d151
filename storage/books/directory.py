"""The Directory in memory over the ledger's tables, kept true by the writes of the accounts."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from billing.accounts.store import TariffSince
from billing.model import Account, Occupancy, Person, RegisterSpan
from domain.errors import StoreUnavailable
from storage.books import directory_tables as tables
from storage.books.directory_rows import account_of
from storage.ledger.sql_ledger import SqlLedger

# A campus has tens of thousands of people; ten years of them stay below this.
ROWS_MOST = 2_000_000
T = TypeVar("T")


@dataclass(slots=True)
class Changes:
    """What one action has written, in its order, for the memory to follow."""

    accounts: list[Account] = field(default_factory=list)
    tariffs: list[TariffSince] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    dropped_people: list[str] = field(default_factory=list)
    occupancies: list[tuple[Occupancy, bool]] = field(default_factory=list)
    registers: list[RegisterSpan] = field(default_factory=list)


class SqlDirectory:
    """Directory of accounts, people and registers; answers from memory, on any thread.

    Everything is loaded once. `follow` takes over what an action has made durable; values are
    replaced whole and never changed, so a reader sees the time before an action or after it.
    Raises StoreUnavailable when it can't be loaded.
    """

    def __init__(self, ledger: SqlLedger) -> None:
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        self._open_rooms: dict[tuple[str, str], str] = {}
        self._tariffs: dict[str, tuple[tuple[datetime, str], ...]] = {}
        self._people: dict[str, Person] = {}
        self._in_room: dict[str, tuple[Occupancy, ...]] = {}
        self._of_person: dict[str, tuple[Occupancy, ...]] = {}
        self._of_account: dict[str, tuple[RegisterSpan, ...]] = {}
        self._of_meter: dict[str, tuple[RegisterSpan, ...]] = {}
        self.follow(ledger.query(_load))

    def account(self, account_id: str) -> Account | None:
        """Return an account, open or closed, or None."""
        return self._accounts.get(account_id)

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]:
        """Return the accounts by building and room."""
        with self._lock:
            found = list(self._accounts.values())
        if open_only:
            found = [account for account in found if account.closed_at is None]
        return sorted(found, key=lambda one: (one.building, one.room, one.id))

    def account_of_room(self, building: str, room: str) -> Account | None:
        """Return the open account of a room, or None."""
        account_id = self._open_rooms.get((building, room))
        return self._accounts.get(account_id) if account_id else None

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None:
        """Return the account a meter counts for, now or at a moment, or None."""
        for span in self._of_meter.get(meter, ()):
            if at is None and span.until is None:
                return self._accounts.get(span.account)
            if at is not None and span.since <= at and (span.until is None or at < span.until):
                return self._accounts.get(span.account)
        return None

    def registers(self, account_id: str) -> Sequence[RegisterSpan]:
        """Return the registers that count or counted for an account, oldest first."""
        return self._of_account.get(account_id, ())

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]:
        """Return for whom a meter counts or counted, oldest first."""
        return self._of_meter.get(meter, ())

    def tariffs(self, account_id: str) -> Sequence[tuple[datetime, str]]:
        """Return which tariff an account had from when on, oldest first."""
        return self._tariffs.get(account_id, ())

    def tariff_at(self, account_id: str, at: datetime) -> str | None:
        """Return the name of the tariff an account had at a moment; the first one before that."""
        known = self._tariffs.get(account_id, ())
        past = [tariff for since, tariff in known if since <= at]
        if past:
            return past[-1]
        return known[0][1] if known else None

    def person(self, person_id: str) -> Person | None:
        """Return a person, or None."""
        return self._people.get(person_id)

    def people(self) -> Sequence[Person]:
        """Return everybody, by id."""
        with self._lock:
            found = list(self._people.values())
        return sorted(found, key=lambda person: person.id)

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]:
        """Return who occupies a room on a day; without a day, who has not moved out."""
        there = {
            one.person
            for one in self._in_room.get(account_id, ())
            if (one.until is None if on is None else _covers(one, on))
        }
        found = [self._people[person_id] for person_id in there if person_id in self._people]
        return sorted(found, key=lambda person: person.id)

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        """Return occupancies of a room, of a person, of both, or all, by their first day."""
        if account_id is not None:
            found: Iterable[Occupancy] = self._in_room.get(account_id, ())
            if person_id is not None:
                found = (one for one in found if one.person == person_id)
        elif person_id is not None:
            found = self._of_person.get(person_id, ())
        else:
            with self._lock:
                found = [one for part in self._in_room.values() for one in part]
        return sorted(found, key=_occupancy_order)

    def follow(self, changes: Changes) -> None:
        """Take over what was made durable."""
        with self._lock:
            for account in changes.accounts:
                self._follow_account(account)
            for one in changes.tariffs:
                known = dict(self._tariffs.get(one.account, ()))
                known[one.since] = one.tariff
                self._tariffs[one.account] = tuple(sorted(known.items()))
            self._people.update((person.id, person) for person in changes.people)
            for person_id in changes.dropped_people:
                self._people.pop(person_id, None)
            for occupancy, stays in changes.occupancies:
                _replace(self._in_room, occupancy.account, occupancy, _occupancy_key, stays)
                _replace(self._of_person, occupancy.person, occupancy, _occupancy_key, stays)
            for span in changes.registers:
                _replace(self._of_account, span.account, span, _span_key)
                _replace(self._of_meter, span.meter, span, _span_key)

    def _follow_account(self, account: Account) -> None:
        self._accounts[account.id] = account
        place = (account.building, account.room)
        if account.closed_at is None:
            self._open_rooms[place] = account.id
        elif self._open_rooms.get(place) == account.id:
            del self._open_rooms[place]


def _covers(occupancy: Occupancy, day: date) -> bool:
    return occupancy.since <= day and (occupancy.until is None or day < occupancy.until)


def _occupancy_key(occupancy: Occupancy) -> tuple[date, str, str]:
    return (occupancy.since, occupancy.account, occupancy.person)


_occupancy_order = _occupancy_key


def _span_key(span: RegisterSpan) -> tuple[datetime, str]:
    return (span.since, span.meter)


def _replace(
    index: dict[str, tuple[T, ...]],
    name: str,
    value: T,
    key: Callable[[T], Any],
    stays: bool = True,
) -> None:
    kept = [one for one in index.get(name, ()) if key(one) != key(value)]
    index[name] = tuple(sorted([*kept, value] if stays else kept, key=key))


def _load(connection: Connection) -> Changes:
    return Changes(
        accounts=[account_of(row) for row in _rows(connection, tables.room_account)],
        tariffs=[TariffSince(**row) for row in _rows(connection, tables.room_tariff)],
        people=[Person(**row) for row in _rows(connection, tables.person)],
        occupancies=[(Occupancy(**row), True) for row in _rows(connection, tables.occupancy)],
        registers=[RegisterSpan(**row) for row in _rows(connection, tables.register_span)],
    )


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    found = connection.execute(sa.select(table).limit(ROWS_MOST)).mappings().all()
    if len(found) == ROWS_MOST:
        raise StoreUnavailable(f"the table {table.name} has grown past {ROWS_MOST} rows")
    return [dict(row) for row in found]

"""Accounts, people and requests in the database of the books: one transaction with the money."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, Table

from billing.accounts.store import (
    AccountsTransaction,
    ActionRecord,
    MoneyRequest,
    RequestState,
    TariffSince,
)
from billing.model import Account, Occupancy, Person, RegisterSpan
from domain.books import BookAccount, Entry, Posted
from domain.errors import StoreUnavailable, WattwardenError
from domain.events import Event
from storage.books import directory_rows as rows
from storage.books import directory_tables as tables
from storage.books.directory import Changes, SqlDirectory
from storage.books.paid_left import paid_left
from storage.books.sql_books import BooksTransaction, SqlBooks
from storage.ledger.dialect import add_or_replace, add_or_replace_many
from storage.ledger.rows import event_row
from storage.ledger.sql_ledger import SqlLedger
from storage.ledger.tables import event

T = TypeVar("T")
REQUESTS_MOST = 10_000
# One recharge is refunded, reversed or transferred a few times at most.
# Databases take a limited number of values in one statement.
VALUES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was refused and undone, and why."""

    error: WattwardenError


class SqlAccountStore:
    """AccountsStore on the tables of an SqlLedger, with the books' entries in one transaction."""

    def __init__(self, ledger: SqlLedger, books: SqlBooks, directory: SqlDirectory) -> None:
        self._ledger, self._books, self._directory = ledger, books, directory

    def transact(self, work: Callable[[AccountsTransaction], T]) -> "Future[T]":
        """Run an action; its future ends once it is durable and the directory shows it."""

        def run(books: BooksTransaction) -> tuple[T | _Refusal, Changes]:
            transaction = SqlAccountsTransaction(books)
            try:
                with books.connection.begin_nested():
                    return work(transaction), transaction.changes
            except StoreUnavailable:
                raise
            except WattwardenError as error:
                # An everyday answer: it must not make the writer do its whole group again.
                books.posted.clear()
                books.opened.clear()
                return _Refusal(error), Changes()

        outcome: Future[T] = Future()
        # Once queued it will be done: a caller that stops waiting can't call it back.
        outcome.set_running_or_notify_cancel()

        def settle(inner: "Future[tuple[T | _Refusal, Changes]]") -> None:
            # On the writer's thread, before the next commit: the directory keeps its order.
            error = inner.exception()
            if error is not None:
                outcome.set_exception(error)
                return
            result, changes = inner.result()
            if isinstance(result, _Refusal):
                outcome.set_exception(result.error)
                return
            self._directory.follow(changes)
            outcome.set_result(result)

        self._books.transact(run).add_done_callback(settle)
        return outcome

    def request(self, request_id: str) -> MoneyRequest | None:
        """Return a request, or None. Raises StoreUnavailable."""
        return self._ledger.query(lambda connection: _request(connection, request_id))

    def requests(
        self,
        *,
        state: RequestState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> Sequence[MoneyRequest]:
        """Return requests, newest first, of and to an account. Raises StoreUnavailable."""
        table = tables.money_request
        query = sa.select(table)
        if state is not None:
            query = query.where(table.c.state == state.value)
        if account_id is not None:
            query = query.where(
                sa.or_(table.c.account == account_id, table.c.to_account == account_id)
            )
        query = query.order_by(table.c.requested_at.desc(), table.c.id)
        query = query.limit(max(0, min(limit, REQUESTS_MOST)))
        return self._ledger.query(
            lambda connection: [
                rows.request_of(dict(row)) for row in connection.execute(query).mappings()
            ]
        )

    def action(self, action_id: str) -> ActionRecord | None:
        """Return what was done under an id, or None. Raises StoreUnavailable."""
        return self._ledger.query(lambda connection: _action(connection, action_id))


class SqlAccountsTransaction:
    """AccountsTransaction inside the writer's transaction; reads see its own writes."""

    def __init__(self, books: BooksTransaction) -> None:
        self._books, self._connection = books, books.connection
        self.changes = Changes()

    def account(self, account_id: str) -> Account | None:
        """Return an account, or None."""
        row = _one(self._connection, tables.room_account, id=account_id)
        return rows.account_of(row) if row else None

    def account_of_room(self, building: str, room: str) -> Account | None:
        """Return the open account of a room, or None."""
        table = tables.room_account
        found = _where(
            self._connection,
            table,
            [table.c.building == building, table.c.room == room, table.c.closed_at.is_(None)],
        )
        return rows.account_of(found[0]) if found else None

    def room_places(self) -> Mapping[str, tuple[str, str, bool]]:
        """Return building, room and whether it is open of every account."""
        table = tables.room_account
        query = sa.select(table.c.id, table.c.building, table.c.room, table.c.closed_at.is_(None))
        return {row[0]: (row[1], row[2], bool(row[3])) for row in self._connection.execute(query)}

    def save_accounts(self, *accounts: Account) -> None:
        """Add accounts or replace them."""
        kept = [rows.account_row(account) for account in accounts]
        add_or_replace_many(self._connection, tables.room_account, kept)
        self.changes.accounts += accounts

    def save_tariffs(self, *since: TariffSince) -> None:
        """Keep which tariff accounts have from a moment on."""
        kept = [{"account": one.account, "since": one.since, "tariff": one.tariff} for one in since]
        add_or_replace_many(self._connection, tables.room_tariff, kept)
        self.changes.tariffs += since

    def person(self, person_id: str) -> Person | None:
        """Return a person, or None."""
        row = _one(self._connection, tables.person, id=person_id)
        return Person(**row) if row else None

    def people(self, ids: Sequence[str]) -> Mapping[str, Person]:
        """Return those of the people who are known."""
        found = _among(self._connection, tables.person, tables.person.c.id, ids)
        return {row["id"]: Person(**row) for row in found}

    def save_people(self, *people: Person) -> None:
        """Add people or replace them."""
        kept = [rows.person_row(person) for person in people]
        add_or_replace_many(self._connection, tables.person, kept)
        self.changes.people += people

    def drop_person(self, person_id: str) -> None:
        """Remove a person."""
        table = tables.person
        self._connection.execute(sa.delete(table).where(table.c.id == person_id))
        self.changes.dropped_people.append(person_id)

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        """Return occupancies by their first day."""
        table = tables.occupancy
        filters = [
            *([table.c.account == account_id] if account_id is not None else []),
            *([table.c.person == person_id] if person_id is not None else []),
        ]
        found = [Occupancy(**row) for row in _where(self._connection, table, filters)]
        return sorted(found, key=lambda one: (one.since, one.account, one.person))

    def stays_of(self, people: Sequence[str]) -> Sequence[Occupancy]:
        """Return the stays of many people."""
        table = tables.occupancy
        return [Occupancy(**row) for row in _among(self._connection, table, table.c.person, people)]

    def save_occupancies(self, *occupancies: Occupancy) -> None:
        """Add occupancies or change their ends."""
        kept = [rows.occupancy_row(occupancy) for occupancy in occupancies]
        add_or_replace_many(self._connection, tables.occupancy, kept)
        self.changes.occupancies += [(occupancy, True) for occupancy in occupancies]

    def drop_occupancy(self, occupancy: Occupancy) -> None:
        """Remove an occupancy that never came to be."""
        table = tables.occupancy
        self._connection.execute(
            sa.delete(table).where(
                table.c.person == occupancy.person,
                table.c.account == occupancy.account,
                table.c.since == occupancy.since,
            )
        )
        self.changes.occupancies.append((occupancy, False))

    def registers(
        self, *, account_id: str | None = None, meter: str | None = None
    ) -> Sequence[RegisterSpan]:
        """Return register spans, oldest first."""
        table = tables.register_span
        filters = [
            *([table.c.account == account_id] if account_id is not None else []),
            *([table.c.meter == meter] if meter is not None else []),
        ]
        found = [RegisterSpan(**row) for row in _where(self._connection, table, filters)]
        return sorted(found, key=lambda span: (span.since, span.meter))

    def save_register(self, span: RegisterSpan) -> None:
        """Add a register's span or give it its end."""
        add_or_replace(self._connection, tables.register_span, [rows.register_row(span)])
        self.changes.registers.append(span)

    def request(self, request_id: str) -> MoneyRequest | None:
        """Return a request, or None."""
        return _request(self._connection, request_id)

    def save_request(self, request: MoneyRequest) -> None:
        """Add a request or replace it."""
        add_or_replace(self._connection, tables.money_request, [rows.request_row(request)])

    def action(self, action_id: str) -> ActionRecord | None:
        """Return what was done under an id, or None."""
        return _action(self._connection, action_id)

    def save_action(self, action: ActionRecord) -> None:
        """Keep what was done."""
        add_or_replace(self._connection, tables.account_action, [rows.action_row(action)])

    def balance(self, book: str) -> int | None:
        """Return a book account's balance, or None."""
        return self._books.balance(book)

    def entry(self, entry_id: str) -> Posted | None:
        """Return an entry, or None."""
        return self._books.entry(entry_id)

    def paid_left(self, recharge: str, book: str) -> int | None:
        """Return what of a recharge can still be moved from a room, micro-units, or None."""
        return paid_left(self._connection, recharge, book)

    def open_books(self, *accounts: BookAccount) -> None:
        """Open book accounts."""
        self._books.open(*accounts)

    def close_book(self, book: str) -> None:
        """Close a book account. Raises EntryRefused while money is in it."""
        self._books.close_account(book)

    def post(
        self, entry: Entry, floors: Mapping[str, int] | None = None, enforce_floors: bool = True
    ) -> Posted:
        """Book an entry. Raises InvalidInput, EntryRefused."""
        return self._books.post(entry, floors, enforce_floors)

    def tell(self, *events: Event) -> None:
        """Keep events in the audit trail."""
        if events:
            self._connection.execute(sa.insert(event), [event_row(one) for one in events])


def _request(connection: Connection, request_id: str) -> MoneyRequest | None:
    row = _one(connection, tables.money_request, id=request_id)
    return rows.request_of(row) if row else None


def _action(connection: Connection, action_id: str) -> ActionRecord | None:
    row = _one(connection, tables.account_action, id=action_id)
    return rows.action_of(row) if row else None


def _one(connection: Connection, table: Table, **key: Any) -> dict[str, Any] | None:
    found = _where(connection, table, [table.c[name] == value for name, value in key.items()])
    return found[0] if found else None


def _where(
    connection: Connection, table: Table, filters: list[ColumnElement[bool]]
) -> list[dict[str, Any]]:
    found = connection.execute(sa.select(table).where(*filters).limit(REQUESTS_MOST)).mappings()
    return [dict(row) for row in found]


def _among(
    connection: Connection, table: Table, column: Column[str], values: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for at in range(0, len(values), VALUES_AT_ONCE):
        part = values[at : at + VALUES_AT_ONCE]
        for row in connection.execute(sa.select(table).where(column.in_(part))).mappings():
            yield dict(row)

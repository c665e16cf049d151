"""The Books on the ledger's database, written by the ledger's one writer thread."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from domain.books import (
    BookAccount,
    Entry,
    EntryKind,
    EntryRefused,
    Leg,
    Posted,
)
from domain.clock import Clock, SystemClock
from storage.books import money_reader
from storage.books.account_rows import close_account, open_accounts
from storage.books.book_memory import AccountState, BookMemory
from storage.books.money_statements import fetch, statements
from storage.books.post_queue import PostQueue
from storage.books.posting import Request, book
from storage.ledger.sql_ledger import SqlLedger

T = TypeVar("T")


@dataclass(slots=True)
class BooksTransaction:
    """One job inside the writer's transaction: `connection` for other tables, `post` for money.

    All of it is undone when the job raises. The job must change nothing but the database: it may
    run twice.
    """

    connection: Connection
    booked_at: datetime
    posted: list[Posted] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)

    def post(
        self,
        entry: Entry,
        floors: Mapping[str, int] | None = None,
        enforce_floors: bool = True,
    ) -> Posted:
        """Book an entry within this job. Raises InvalidInput, EntryRefused."""
        request = Request.of(entry, floors, enforce_floors)
        (outcome,) = book(self.connection, [request], self.booked_at)
        if isinstance(outcome, Exception):
            raise outcome
        self.posted.append(outcome)
        return outcome

    def open(self, *accounts: BookAccount) -> None:
        """Open accounts or change their floor within this job. Raises EntryRefused."""
        open_accounts(self.connection, accounts)
        self.opened.update(account.id for account in accounts)

    def close_account(self, account: str) -> None:
        """Close an account whose balance is 0. Raises EntryRefused, AccountUnknown."""
        close_account(self.connection, account)
        self.opened.add(account)

    def stand_still(self) -> None:
        """Keep other writers out until this job's end, so that what it reads stays true."""
        fetch(self.connection, statements(self.connection).head)

    def changed_accounts(self) -> Mapping[str, AccountState]:
        """Return the accounts this job opened or closed, as it leaves them."""
        if not self.opened:
            return {}
        return money_reader.accounts(self.connection, names=sorted(self.opened))

    def balance(self, account: str) -> int | None:
        """Return an account's balance as this transaction sees it, or None where it is unknown."""
        found = money_reader.accounts(self.connection, names=[account])
        return found[account][1] if account in found else None

    def entry(self, entry_id: str) -> Posted | None:
        """Return the entry of that id as this transaction sees it, or None."""
        return money_reader.entry_of_id(self.connection, entry_id)


class SqlBooks:
    """Books in the tables of an SqlLedger, in its database and on its writer thread.

    Entries that wait at the same time share one transaction, and statements; one that is refused
    does its neighbours no harm. Balances are kept in memory and follow each commit.
    """

    def __init__(self, ledger: SqlLedger, *, clock: Clock | None = None) -> None:
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._memory = BookMemory(ledger)
        self._queue = PostQueue(ledger, self._clock, self._memory.follow)

    def open(self, *accounts: BookAccount) -> "Future[None]":
        """Open accounts, or change the floor of open ones; the future ends once durable.

        The future raises EntryRefused where an account is there with another unit.
        """
        return self.transact(lambda tx: tx.open(*accounts))

    def close_account(self, account: str) -> "Future[None]":
        """Close an account; it takes no more entries. The future raises EntryRefused while money
        is in it, AccountUnknown."""
        return self.transact(lambda tx: tx.close_account(account))

    def post(
        self,
        entry: Entry,
        *,
        floors: Mapping[str, int] | None = None,
        enforce_floors: bool = True,
    ) -> "Future[Posted]":
        """Book an entry; the future ends once it is durable. Raises InvalidInput at once."""
        return self._queue.put(Request.of(entry, floors, enforce_floors))

    async def posted(
        self,
        entry: Entry,
        *,
        floors: Mapping[str, int] | None = None,
        enforce_floors: bool = True,
    ) -> Posted:
        """Book an entry and wait for it on the running event loop, which is woken once for all
        entries of a commit: cheaper than `post` where many callers wait."""
        return await self._queue.put_async(Request.of(entry, floors, enforce_floors))

    def reverse(self, entry_id: str, reversal_id: str, actor: str, reason: str) -> "Future[Posted]":
        """Book the opposite of an entry, once. The future raises EntryRefused where it is not
        there or was reversed before."""
        now = self._clock.now()

        def work(tx: BooksTransaction) -> Posted:
            return tx.post(_reversal(tx, entry_id, reversal_id, actor, reason, now))

        return self.transact(work)

    def transact(self, work: Callable[[BooksTransaction], T]) -> "Future[T]":
        """Run a job that may change tables and book, all or nothing; see BooksTransaction.

        Raises StoreUnavailable when closed or overrun.
        """
        # What is posted from now on is to come after this job, which may open its accounts.
        self._queue.seal()

        def run(connection: Connection) -> tuple[T, list[Posted], Mapping[str, AccountState]]:
            tx = BooksTransaction(connection, self._clock.now())
            tx.stand_still()
            result = work(tx)
            return result, tx.posted, tx.changed_accounts()

        def settle(outcome: tuple[T, list[Posted], Mapping[str, AccountState]]) -> T:
            result, posted, accounts = outcome
            self._memory.take_over(accounts)
            self._memory.follow(posted)
            return result

        return self._ledger.transact(run, after=settle)

    def balance(self, account: str) -> int | None:
        """Return an account's balance, or None where there is no such account."""
        return self._memory.balance(account)

    def balances(self, prefix: str = "") -> Mapping[str, int]:
        """Return the balances of all accounts whose id begins so."""
        return self._memory.balances(prefix)

    def account(self, account: str) -> BookAccount | None:
        """Return an account, or None."""
        return self._memory.account(account)

    def entry(self, entry_id: str) -> Posted | None:
        """Return the entry of that id, or None. Raises StoreUnavailable."""
        return self._ledger.query(lambda connection: money_reader.entry_of_id(connection, entry_id))

    def entries(
        self,
        *,
        account: str | None = None,
        kind: EntryKind | None = None,
        reference: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_number: int = 0,
        limit: int = 1000,
    ) -> Sequence[Posted]:
        """Return entries in the order of their numbers, those with since <= time < until.

        Raises StoreUnavailable.
        """
        return self._ledger.query(
            lambda connection: money_reader.entries(
                connection,
                account=account,
                kind=kind,
                reference=reference,
                since=since,
                until=until,
                after_number=after_number,
                limit=limit,
            )
        )

    def subscribe(self, callback: Callable[[Posted], None]) -> None:
        """Be called on the writer's thread after each durable entry; see Books."""
        self._memory.subscribe(callback)


def _reversal(
    tx: BooksTransaction, entry_id: str, reversal_id: str, actor: str, reason: str, now: datetime
) -> Entry:
    found = tx.entry(entry_id)
    if found is None:
        raise EntryRefused(f"there is no entry {entry_id} to reverse")
    if found.entry.kind is EntryKind.REVERSAL:
        raise EntryRefused(f"{entry_id} is itself a reversal: book what is right anew")
    others = money_reader.entries(tx.connection, kind=EntryKind.REVERSAL, reference=entry_id)
    if any(other.entry.id != reversal_id for other in others):
        raise EntryRefused(f"{entry_id} was reversed before, by {others[0].entry.id}")
    return Entry(
        id=reversal_id,
        time=now,
        kind=EntryKind.REVERSAL,
        legs=tuple(Leg(leg.account, -leg.amount) for leg in found.entry.legs),
        actor=actor,
        description=reason,
        reference=entry_id,
        details={"reverses": found.entry.kind.value, "number": found.number},
    )

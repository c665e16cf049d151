"""The balances in memory: loaded once, then kept true by every commit of this process."""

import threading
from collections.abc import Callable, Mapping, Sequence

import structlog

from domain.books import BookAccount, Posted
from domain.errors import StoreUnavailable
from storage.books import money_reader
from storage.ledger.sql_ledger import SqlLedger

AccountState = tuple[BookAccount, int]
LOAD_TRIES = 20
log = structlog.get_logger(__name__)


class BookMemory:
    """Accounts and balances. Read on any thread; changed on the writer's thread only.

    Where other processes write too (`lone` off), every answer is read from the database. Where
    another process has written meanwhile (a session lost and taken again), everything is read
    anew. Answers raise StoreUnavailable only in these two cases.
    """

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._lone = ledger.database.lone
        self._subscribers: tuple[Callable[[Posted], None], ...] = ()
        self._accounts: dict[str, BookAccount] = {}
        self._balances: dict[str, int] = {}
        self._number = 0
        self._stale = False
        self._lock = threading.Lock()
        self._load()

    def balance(self, account: str) -> int | None:
        """Return an account's balance, or None."""
        self._be_true()
        return self._balances.get(account)

    def balances(self, prefix: str) -> Mapping[str, int]:
        """Return the balances of all accounts whose id begins so."""
        self._be_true()
        with self._lock:
            return {
                name: balance for name, balance in self._balances.items() if name.startswith(prefix)
            }

    def account(self, account: str) -> BookAccount | None:
        """Return an account, or None."""
        self._be_true()
        return self._accounts.get(account)

    def subscribe(self, callback: Callable[[Posted], None]) -> None:
        """Add a callback for durable entries."""
        with self._lock:
            self._subscribers = (*self._subscribers, callback)

    def take_over(self, accounts: Mapping[str, AccountState]) -> None:
        """Take over accounts that were opened or changed, durably."""
        with self._lock:
            for name, (account, balance) in accounts.items():
                self._accounts[name], self._balances[name] = account, balance

    def follow(self, posted: Sequence[Posted]) -> None:
        """Take over the balances that durable entries left, and tell the subscribers."""
        fresh = [one for one in posted if not one.repeated]
        if not fresh:
            return
        with self._lock:
            for one in fresh:
                self._balances.update(one.balances)
            self._stale = self._stale or fresh[0].number != self._number + 1
            self._number = fresh[-1].number
        for callback in self._subscribers:
            for one in fresh:
                _tell(callback, one)

    def _be_true(self) -> None:
        if self._stale or not self._lone:
            self._load()

    def _load(self) -> None:
        for _attempt in range(LOAD_TRIES):
            number, found = self._ledger.query(
                lambda connection: (
                    money_reader.head(connection)[0],
                    money_reader.accounts(connection),
                )
            )
            with self._lock:
                # A commit may have overtaken the reading.
                if number >= self._number:
                    self._accounts = {name: one for name, (one, _) in found.items()}
                    self._balances = {name: balance for name, (_, balance) in found.items()}
                    self._number, self._stale = number, False
                    return
        raise StoreUnavailable("the books are written faster than they can be read")


def _tell(callback: Callable[[Posted], None], posted: Posted) -> None:
    try:
        callback(posted)
    except Exception:
        # The entry is durable; somebody's bug must not stop the writer of all.
        log.exception("a subscriber of the books failed", entry=posted.entry.id)

"""The balances in memory: loaded once, then kept true by every commit of this process."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from domain.books import BookAccount, Posted
from storage.books import money_reader
from storage.ledger.sql_ledger import SqlLedger

log = structlog.get_logger(__name__)


class BookMemory:
    """Accounts and balances. Read on any thread; changed on the writer's thread only."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._subscribers: tuple[Callable[[Posted], None], ...] = ()
        self._accounts: dict[str, BookAccount] = {}
        self._balances: dict[str, int] = {}
        self._number = 0
        self._lock = threading.Lock()
        self.reload()

    def balance(self, account: str) -> int | None:
        """Return an account's balance, or None."""
        return self._balances.get(account)

    def balances(self, prefix: str) -> Mapping[str, int]:
        """Return the balances of all accounts whose id begins so."""
        with self._lock:
            return {
                name: balance for name, balance in self._balances.items() if name.startswith(prefix)
            }

    def account(self, account: str) -> BookAccount | None:
        """Return an account, or None."""
        return self._accounts.get(account)

    def subscribe(self, callback: Callable[[Posted], None]) -> None:
        """Add a callback for durable entries."""
        with self._lock:
            self._subscribers = (*self._subscribers, callback)

    def reload(self, names: Iterable[str] | None = None) -> None:
        """Read accounts (all of them by default) anew. Raises StoreUnavailable."""
        wanted = None if names is None else sorted(names)
        number, found = self._ledger.query(
            lambda connection: (
                money_reader.head(connection)[0],
                money_reader.accounts(connection, names=wanted),
            )
        )
        with self._lock:
            for name, (account, balance) in found.items():
                self._accounts[name], self._balances[name] = account, balance
            if wanted is None:
                self._number = number

    def follow(self, posted: Sequence[Posted]) -> None:
        """Take over the balances that durable entries left, and tell the subscribers."""
        fresh = [one for one in posted if not one.repeated]
        if not fresh:
            return
        with self._lock:
            for one in fresh:
                self._balances.update(one.balances)
            self._number = fresh[-1].number
        for callback in self._subscribers:
            for one in fresh:
                _tell(callback, one)


def _tell(callback: Callable[[Posted], None], posted: Posted) -> None:
    try:
        callback(posted)
    except Exception:
        # The entry is durable; somebody's bug must not stop the writer of all.
        log.exception("a subscriber of the books failed", entry=posted.entry.id)

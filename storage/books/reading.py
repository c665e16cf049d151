"""The stores that reports read, over one connection that only reads, beside a running station."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import Connection

from storage.books.charging import SqlCharging
from storage.books.directory import SqlDirectory
from storage.books.payments import SqlPayments
from storage.books.report_source import SqlReportSource
from storage.books.sql_books import SqlBooks
from storage.ledger.database import open_reading
from storage.ledger.sql_ledger import SqlLedger

BUSY_S = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadingStores:
    """What reports are made of. Of `payments` and `charging` only what reads may be called."""

    source: SqlReportSource
    directory: SqlDirectory
    payments: SqlPayments
    charging: SqlCharging


class _OneConnection:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def query(self, work: Callable[[Connection], T]) -> T:
        return work(self._connection)


@contextmanager
def reading_stores(url: str) -> Iterator[ReadingStores]:
    """Open a ledger for reading, all of one moment; use it on this thread alone.

    Raises InvalidInput, StoreUnavailable.
    """
    with open_reading(url, BUSY_S) as connection:
        reader = _OneConnection(connection)
        # These read by `query` alone; there is no ledger to write with behind it.
        ledger, books = cast(SqlLedger, reader), cast(SqlBooks, None)
        yield ReadingStores(
            SqlReportSource(reader),
            SqlDirectory(ledger),
            SqlPayments(ledger, books),
            SqlCharging(ledger, books),
        )

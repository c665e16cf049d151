"""Books on a database of each kind, with a few accounts open."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from domain.books import BookAccount, Unit
from domain.clock import LeapClock
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACCOUNTS = (
    BookAccount("room:a", floor=0),
    BookAccount("room:b", floor=-500),
    BookAccount("clearing:wechat"),
    BookAccount("revenue:energy"),
    BookAccount("free:a", Unit.WH, floor=0),
    BookAccount("free:granted", Unit.WH),
)
OpenBooks = Callable[..., SqlBooks]


@pytest.fixture
def clock() -> LeapClock:
    return LeapClock(NOON)


@pytest.fixture
def open_books(database_url: str, clock: LeapClock) -> Iterator[OpenBooks]:
    """Open books on the test's database; their ledgers are closed after the test."""
    opened: list[SqlLedger] = []

    def open_one(url: str = database_url, **options: object) -> SqlBooks:
        opened.append(SqlLedger(url, clock=clock, **options))
        books = SqlBooks(opened[-1], clock=clock)
        books.open(*ACCOUNTS).result(10)
        return books

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def books(open_books: OpenBooks) -> SqlBooks:
    return open_books()

"""Books on a temporary file, three rooms, and the tokens over them."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "collector_bus"))
sys.path.insert(0, str(Path(__file__).parent.parent / "api"))
sys.path.insert(0, str(Path(__file__).parent.parent / "api_identity"))
sys.path.insert(0, str(Path(__file__).parent))

from houses import Rooms

from billing.token_model import TokenSettings
from billing.tokens import SECRET, Tokens
from domain.books import BookAccount, room_book
from domain.clock import LeapClock
from domain.events import Event
from storage.books.prepaid import SqlTokenStore
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger


@pytest.fixture
def clock() -> LeapClock:
    return LeapClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def ledger(database_url: str, clock: LeapClock) -> Iterator[SqlLedger]:
    ledger = SqlLedger(database_url, clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def books(ledger: SqlLedger, clock: LeapClock, rooms: Rooms) -> SqlBooks:
    books = SqlBooks(ledger, clock=clock)
    books.open(*(BookAccount(room_book(one.id)) for one in rooms.accounts())).result(10)
    return books


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store(ledger: SqlLedger, books: SqlBooks) -> SqlTokenStore:
    return SqlTokenStore(ledger, books)


@pytest.fixture
def tokens(
    rooms: Rooms, store: SqlTokenStore, ledger: SqlLedger, clock: LeapClock, events: list[Event]
) -> Tokens:
    return Tokens(rooms, store, ledger.secret(SECRET), clock, events.append, TokenSettings())

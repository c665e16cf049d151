"""Ledgers on temporary files or databases."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from domain.clock import LeapClock
from storage.ledger.sql_ledger import SqlLedger

OpenLedger = Callable[..., SqlLedger]


@pytest.fixture
def clock() -> LeapClock:
    return LeapClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger_url(ledger_file: Path) -> str:
    """Where the ledger is; the tests of its contract put each database here."""
    return f"sqlite:///{ledger_file}"


@pytest.fixture
def open_ledger(ledger_url: str, clock: LeapClock) -> Iterator[OpenLedger]:
    """Open ledgers on the test's database; they are closed after the test."""
    opened: list[SqlLedger] = []

    def open_one(file: Path | None = None, **options: Any) -> SqlLedger:
        url = f"sqlite:///{file}" if file else ledger_url
        opened.append(SqlLedger(url, clock=clock, **options))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> SqlLedger:
    return open_ledger()

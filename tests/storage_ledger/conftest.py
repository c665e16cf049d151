"""Ledgers on temporary files; the lossy disk is shared with the spool's tests."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "storage_spool"))

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
def open_ledger(ledger_file: Path, clock: LeapClock) -> Iterator[OpenLedger]:
    """Open ledgers on the test's file; they are closed after the test."""
    opened: list[SqlLedger] = []

    def open_one(file: Path = ledger_file, **options: Any) -> SqlLedger:
        opened.append(SqlLedger(f"sqlite:///{file}", clock=clock, **options))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> SqlLedger:
    return open_ledger()

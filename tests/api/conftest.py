"""Puts the folder's helpers on the path, and opens the stores of a test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.duckdb_series import DuckDbSeries
from storage.ledger.sql_ledger import SqlLedger

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def series(tmp_path: Path) -> Iterator[DuckDbSeries]:
    """A time-series store in a file."""
    store = DuckDbSeries(tmp_path / "series.duckdb")
    yield store
    store.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A ledger in a file."""
    store = SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield store
    store.close()

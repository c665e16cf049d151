"""Puts the folder's helpers, and the supervisor's small world, on the path."""

import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "control")]


@pytest.fixture(autouse=True)
def ready_ledger(tmp_path: Path, sqlite_template: Path) -> None:
    """A ledger with all its tables to open in the test's folder: making one takes longer."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

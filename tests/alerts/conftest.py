"""Puts the folder's helpers on the path."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def ready_ledger(tmp_path: Path, sqlite_template: Path) -> None:
    """A ledger with all its tables to open in the test's folder: making one takes longer."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

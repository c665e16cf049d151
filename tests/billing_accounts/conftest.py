"""Accounts on a real ledger in a temporary file, with a settler that does as it is told."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from office import Office

from storage.ledger.sql_ledger import SqlLedger


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger with its tables; tests work on copies, so that the steps run once."""
    file = tmp_path_factory.mktemp("accounts") / "ledger.db"
    SqlLedger(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def office(tmp_path: Path, new_ledger: Path) -> Iterator[Office]:
    """An office with an empty ledger."""
    opened = Office(Path(shutil.copy(new_ledger, tmp_path / "ledger.db")))
    yield opened
    opened.close()

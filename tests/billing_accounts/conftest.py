"""Accounts on a real ledger in a temporary file, with a settler that does as it is told."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office with an empty ledger."""
    opened = Office(tmp_path / "ledger.db")
    yield opened
    opened.close()

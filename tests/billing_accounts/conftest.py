"""Accounts on a real ledger in a temporary file, with a settler that does as it is told."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from office import Office


@pytest.fixture
def office(sqlite_url: str) -> Iterator[Office]:
    """An office with an empty ledger."""
    opened = Office(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def office_anywhere(database_url: str) -> Iterator[Office]:
    """An office on each kind of database in turn."""
    opened = Office(database_url)
    yield opened
    opened.close()

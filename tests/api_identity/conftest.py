"""Puts this folder's and the API tests' helpers on the path, and opens a campus for a test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from campus import Campus


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger of a campus, to start from a copy of."""
    folder = tmp_path_factory.mktemp("campus")
    Campus(folder).close()
    return folder


@pytest.fixture
def campus(tmp_path: Path, ready: Path) -> Iterator[Campus]:
    """A campus of two rooms and a shop, with a user of every role."""
    opened = Campus(tmp_path, ready=ready)
    yield opened
    opened.close()

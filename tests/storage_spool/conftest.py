"""Spools on temporary files, and the folder's helpers on the path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from storage.spool import SqliteSpool

OpenSpool = Callable[..., SqliteSpool]


@pytest.fixture
def spool_path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def open_spool(spool_path: Path) -> Iterator[OpenSpool]:
    """Open spools on the test's file; the last one is closed after the test."""
    opened: list[SqliteSpool] = []

    def open_one(path: Path = spool_path, **options: Any) -> SqliteSpool:
        opened.append(SqliteSpool(path, **options))
        return opened[-1]

    yield open_one
    for spool in opened:
        spool.close()

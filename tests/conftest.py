"""What several folders of tests share: one PostgreSQL server for a run, and a lossy disk."""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

# The disk that forgets what was not synced, and its sqlite3 face.
sys.path.insert(0, str(Path(__file__).parent / "storage_spool"))

from bench.postgres import PostgresServer, running_postgres
from storage.ledger.sql_ledger import SqlLedger

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server in a temporary folder; it keeps running for the whole session."""
    # Its own durability is not what is tested here: without syncing the tests are quick.
    with running_postgres(fsync="off", full_page_writes="off") as server:
        if server is None:
            reason = "PostgreSQL's server programs (initdb, pg_ctl) are not installed"
            if os.environ.get("CI"):
                pytest.fail(f"{reason}, and CI must have them")
            pytest.skip(reason)
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database with all the ledger's tables, to copy."""
    SqlLedger(postgres.create_database("with_tables")).close()
    return "with_tables"


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> str:
    """A database of its own, without rows."""
    return postgres.create_database(f"test_{next(_numbers)}", postgres_template)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file with all its tables, to copy."""
    file = tmp_path_factory.mktemp("ledger") / "with_tables.db"
    SqlLedger(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A file of its own, without rows."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'ledger.db')}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.external)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url

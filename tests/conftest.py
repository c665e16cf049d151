"""What several folders of tests share: one PostgreSQL server for a run, and a lossy disk."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

# The disk that forgets what was not synced, and its sqlite3 face.
sys.path.insert(0, str(Path(__file__).parent / "storage_spool"))

from bench.postgres import PostgresServer, running_postgres
from storage.ledger.sql_ledger import SqlLedger


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
def postgres_tables(postgres: PostgresServer) -> str:
    """The URL of a database with all the ledger's tables."""
    url = postgres.create_database("ledger_tests")
    SqlLedger(url).close()
    return url


@pytest.fixture
def postgres_url(postgres_tables: str) -> str:
    """A database without rows; making one anew for each test takes much longer."""
    with psycopg.connect(postgres_tables.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("SET session_replication_role = replica")
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = {name for (name,) in tables} - {"alembic_version", "book_head"}
        wipe = [f'DELETE FROM "{name}"' for name in sorted(names)]  # noqa: S608
        connection.execute("; ".join(wipe))
        connection.execute("UPDATE book_head SET number = 0, hash = repeat('0', 64)")
    return postgres_tables


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

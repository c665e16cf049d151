"""The database under the ledger, whichever it is: who writes, who reads, what its errors mean."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine

from domain.errors import InvalidInput, StoreUnavailable
from domain.faults import Fault
from storage.file_lock import FileLock
from storage.ledger.engine import Connect, connect, reading_engine, writing_engine
from storage.sqlite_errors import Trouble, in_words, trouble_of

ALLOWED = "must be sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


class Database(Protocol):
    """One process writes, over one connection; any thread reads over others.

    `transaction` commits on exit and is undone on error; what it raises is the driver's, and
    `explain` turns that into StoreUnavailable where the database is to blame, else gives it back.
    `lone` says whether this process alone writes, so that its memory of what it wrote is right.
    """

    name: str
    lone: bool
    reading: Engine
    writing: Engine

    def transaction(self) -> AbstractContextManager[Connection]: ...

    def explain(self, error: Exception, verb: str = "written") -> Exception: ...

    def close(self) -> None: ...


class SqliteDatabase:
    """An SQLite file; a lock beside it keeps every second writer out."""

    lone = True

    def __init__(self, file: Path, busy_s: float, open_connection: Connect) -> None:
        self.file = file
        self.name = str(file)
        self._lock = FileLock(file)
        self.writing = writing_engine(file, busy_s, open_connection)
        self.reading = reading_engine(file, busy_s, open_connection)

    def transaction(self) -> AbstractContextManager[Connection]:
        """Begin with the write lock, commit on exit."""
        return self.writing.begin()

    def explain(self, error: Exception, verb: str = "written") -> Exception:
        """Turn the driver's errors into StoreUnavailable; a bug stays what it is."""
        return explain_sqlite(error, verb, self.name)

    def close(self) -> None:
        """Close; the writing connection goes last and empties the log."""
        self.reading.dispose()
        self.writing.dispose()
        self._lock.release()


def explain_sqlite(error: Exception, verb: str, name: str) -> Exception:
    """Turn SQLite's errors into StoreUnavailable that says what to do; a bug stays what it is."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, sqlite3.Error | OSError):
        return error
    trouble = trouble_of(cause)
    if trouble is Trouble.DAMAGE:
        return StoreUnavailable(f"the ledger {name} is damaged ({cause}): restore it from a copy")
    if trouble is Trouble.OUTAGE or isinstance(cause, OSError):
        return StoreUnavailable(f"the ledger {name} can't be {verb}: {in_words(cause)}")
    return error


def open_database(
    url: str, busy_s: float, open_connection: Connect, *, lone: bool = True
) -> Database:
    """Open the database a URL names. Raises InvalidInput, StoreUnavailable.

    `lone` refuses every second writing process; SQLite's always does.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        # Only who has a server needs its driver.
        from storage.ledger.postgres import PostgresDatabase  # noqa: PLC0415

        return PostgresDatabase(parsed, busy_s, lone=lone)
    return SqliteDatabase(Path(parsed.database or ""), busy_s, open_connection)


@contextmanager
def open_reading(url: str, busy_s: float) -> Iterator[Connection]:
    """Open a connection that only reads, all of one moment, beside whoever writes.

    Raises InvalidInput, StoreUnavailable.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        from storage.ledger.postgres import explain, server_engine  # noqa: PLC0415

        engine = server_engine(parsed, busy_s, writes=False, isolation="REPEATABLE READ")
        told = partial(explain, name=parsed.database or "")
    else:
        file = Path(parsed.database or "")
        if not file.is_file():
            raise StoreUnavailable(f"there is no ledger {file}")
        engine, told = (
            reading_engine(file, busy_s, connect),
            partial(explain_sqlite, name=str(file)),
        )
    try:
        with engine.begin() as connection:
            yield connection
    except Exception as error:
        explained = told(error, verb="read")
        if explained is error:
            raise
        raise explained from error
    finally:
        engine.dispose()


def _parsed(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidInput([Fault("ledger_url", f"{ALLOWED} ({error})")]) from error
    if parsed.drivername == "postgresql+psycopg" and parsed.database:
        return parsed
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.query:
        message = f"{ALLOWED}, a file without options (given: {parsed.render_as_string()})"
        raise InvalidInput([Fault("ledger_url", message)])
    return parsed

"""One DuckDB file: opening it for this process alone, cursors, and what its errors mean."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import duckdb

from domain.errors import StoreUnavailable

# What these say about the store, not about our statements: no space, lost file, no memory left,
# a connection that DuckDB has given up after a failed write.
_BREAKING = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.ConnectionException,
    duckdb.SerializationException,
)
_OUTAGES = (*_BREAKING, duckdb.OutOfMemoryException, duckdb.TransactionException)


class DuckDbFile:
    """The connection to one file. DuckDB lets one process in, and within it a cursor a thread.

    After a failed write DuckDB may refuse everything: the file is then opened anew by `revive`.
    """

    def __init__(self, path: Path, memory_limit_mb: int, threads: int) -> None:
        self.path = path
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_limit_mb}MB",
            "threads": threads,
            # Checkpoints are started by the store's own housekeeping and never by a commit.
            "checkpoint_threshold": "1TB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._lock = Lock()
        self._broken = False
        self._connection: duckdb.DuckDBPyConnection | None = self._open()

    @property
    def is_broken(self) -> bool:
        """Say whether the connection has failed and waits for `revive`."""
        return self._broken

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor of its own to the calling thread. Raises StoreUnavailable on an outage."""
        with self._lock:
            if self._connection is None:
                raise StoreUnavailable(f"{self.path}: the store is closed")
            cursor = self._connection.cursor()
        try:
            yield cursor
        except _OUTAGES as error:
            self._broken = self._broken or isinstance(error, _BREAKING)
            raise StoreUnavailable(f"{self.path}: {_first_line(error)}") from error
        finally:
            cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor inside a transaction: all of it is durable at the end, or none of it."""
        with self.cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                _roll_back(cursor)
                raise

    def revive(self) -> None:
        """Close what failed and open the file again. Raises StoreUnavailable if that fails."""
        with self._lock:
            if self._connection is not None:
                _close_quietly(self._connection)
                self._connection = None
            self._connection = self._open()
            self._broken = False

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log, which a checkpoint empties."""
        try:
            return self.path.with_name(self.path.name + ".wal").stat().st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close the file; DuckDB writes a checkpoint while it does."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                _close_quietly(connection)

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return duckdb.connect(str(self.path), config=self._config)
        except duckdb.Error as error:
            raise StoreUnavailable(_why_not_opened(self.path, error)) from error
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror}") from error


def _why_not_opened(path: Path, error: duckdb.Error) -> str:
    text = str(error)
    if "lock" in text.lower():
        holder = re.search(r"PID (\d+)", text)
        who = f"process {holder.group(1)}" if holder else "another process"
        return (
            f"{path} is open in {who}. DuckDB lets one process in: run everything in that process, "
            "or use InfluxDB (series = 'influx') for a split start."
        )
    return f"{path} can't be opened: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        # DuckDB has ended the transaction by itself; the first error is the one that is told.
        return


def _close_quietly(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.close()
    except duckdb.Error:
        # Nothing is lost: what was committed is in the log and is read back at the next open.
        return

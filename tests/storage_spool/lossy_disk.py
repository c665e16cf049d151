"""A disk that forgets what was not synced, under the real SQLite: an apsw VFS in Python.

Writes reach the working files at once, as with an operating system's cache; a second image holds
only what an xSync has confirmed. `power_cut` gives that image, with some unsynced sectors if asked.
"""

import random
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
Write = tuple[int, bytes]  # a truncation is a write of nothing at its size


class LossyDisk(apsw.VFS):
    """Counts what is durable. `room_bytes` makes every write fail that ends beyond it."""

    def __init__(self, name: str) -> None:
        self.name, self.base = name, ""
        self.lock = threading.Lock()
        self.durable: dict[str, bytearray] = {}
        self.pending: dict[str, list[Write]] = {}
        self.room_bytes: int | None = None
        self.syncs = 0
        super().__init__(name, self.base)

    def xOpen(self, name: Any, flags: Any) -> "LossyFile":  # noqa: N802
        return LossyFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        with self.lock:
            self.durable.pop(filename, None)
            self.pending.pop(filename, None)

    def written(self, name: str, write: Write) -> None:
        with self.lock:
            if self.room_bytes is not None and write[0] + len(write[1]) > self.room_bytes:
                raise apsw.exception_for(apsw.SQLITE_FULL)
            self.pending.setdefault(name, []).append(write)

    def synced(self, name: str) -> None:
        with self.lock:
            self.syncs += 1
            image = self.durable.setdefault(name, bytearray())
            for write in self.pending.pop(name, []):
                apply(image, write)

    def power_cut(self, folder: Path, chance: random.Random | None = None) -> None:
        """Write what survives into a folder: all that was synced, and any sectors by chance."""
        folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            names = {*self.durable, *self.pending}
            for name in names:
                image = bytearray(self.durable.get(name, b""))
                if chance:
                    for write in self.pending.get(name, []):
                        for sector in sectors(write):
                            if chance.random() < 0.5:
                                apply(image, sector)
                (folder / Path(name).name).write_bytes(image)


class LossyFile(apsw.VFSFile):
    """One file of the disk."""

    def __init__(self, disk: LossyDisk, name: Any, flags: Any) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(disk.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.disk.written(self.path, (offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self.disk.written(self.path, (newsize, b""))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self.disk.synced(self.path)


def apply(image: bytearray, write: Write) -> None:
    offset, data = write
    if not data:
        del image[offset:]
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


def sectors(write: Write) -> list[Write]:
    offset, data = write
    if not data:
        return [write]
    starts = range(0, len(data), SECTOR_BYTES)
    return [(offset + start, data[start : start + SECTOR_BYTES]) for start in starts]


class LossyConnection:
    """As much of sqlite3.Connection and DB-API 2 as the stores use, over apsw and that disk."""

    def __init__(self, disk: LossyDisk, path: Path, writes: bool = True, sync: bool = True) -> None:
        create = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        flags = create if writes else apsw.SQLITE_OPEN_READONLY
        self._sync = sync
        self.text_factory: type = str
        self.isolation_level: str | None = None
        self._connection = apsw.Connection(str(path), flags=flags, vfs=disk.name)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self, *_: Any) -> "LossyCursor":
        return LossyCursor(self)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "LossyCursor":
        return self.cursor().execute(sql, parameters)

    def executescript(self, sql: str) -> "LossyCursor":
        return self.execute(sql)

    def run(self, sql: str, parameters: Any) -> tuple[Any, list[tuple[Any, ...]]]:
        if not self._sync and "synchronous" in sql:
            sql = "PRAGMA synchronous = OFF"
        described: list[Any] = []

        def note_columns(cursor: apsw.Cursor, _: str, __: Any) -> bool:
            # Later it is too late: apsw forgets the columns of a query without rows.
            described.append([(column[0], *[None] * 6) for column in cursor.get_description()])
            return True

        try:
            cursor = self._connection.cursor()
            cursor.exec_trace = note_columns
            rows = [tuple(map(self._text, row)) for row in cursor.execute(sql, tuple(parameters))]
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        return (described[0] or None) if described else None, rows

    def create_function(self, *_: Any, **__: Any) -> None:
        """SQLAlchemy offers a regexp function; nothing here uses it."""

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    @property
    def total_changes(self) -> int:
        return self._connection.total_changes()

    def _text(self, value: Any) -> Any:
        return value.encode() if self.text_factory is bytes and isinstance(value, str) else value


class LossyCursor:
    """A cursor that has fetched everything."""

    arraysize = 1
    lastrowid = None

    def __init__(self, connection: LossyConnection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []
        self.description: Any = None
        self.rowcount = -1

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "LossyCursor":
        before = self._connection.total_changes
        self.description, self._rows = self._connection.run(sql, parameters)
        self.rowcount = self._connection.total_changes - before
        return self

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> "LossyCursor":
        for row in rows:
            self.execute(sql, row)
        return self

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, size: int = 1) -> list[Any]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def close(self) -> None:
        self._rows = []


def as_sqlite3(error: apsw.Error) -> sqlite3.Error:
    code = getattr(error, "result", 1)
    kind = sqlite3.IntegrityError if code & 0xFF == 19 else sqlite3.OperationalError
    raised = kind(str(error))
    raised.sqlite_errorcode = code
    return raised

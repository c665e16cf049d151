"""Puts a damaged spool file aside, with the reason, and builds a new one of what is still whole."""

import mmap
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from storage.spool_salvage import Found, salvage
from storage.spool_tables import PAGE_BYTES, Connect, create_tables, pragma, set_up_writer
from storage.sqlite_pages import Bytes, PageImage

QUARANTINED_MOST = 5
_ROWS_A_COMMIT = 500
_SEQ_MOST = 1 << 48


@dataclass(frozen=True, slots=True)
class Damage:
    """A report of damage: what was met, which record (where that is known), where the bytes were
    put aside, how many records were found whole in what SQLite could not read."""

    reason: str
    record_id: str = ""
    kept_at: str = ""
    recovered: int = 0


def rebuild(path: Path, log: bytes, reason: str, stamp: str, connect: Connect) -> Damage:
    """Build a new file from the records still whole, put the old one aside, swap them.

    No connection may be open. A stop at any moment leaves either the old file or the new one to
    `finish_rebuild`. Raises sqlite3.Error or OSError with the old file still in its place.
    """
    fresh = _fresh(path)
    for leftover in (fresh, _beside(fresh, "-wal"), _beside(fresh, "-shm")):
        leftover.unlink(missing_ok=True)
    recovered = 0
    connection = connect(fresh, True)
    try:
        set_up_writer(connection, 1.0)
        create_tables(connection)
        with path.open("rb") as file:
            recovered = _refill(connection, mapped(file.fileno()), log)
    finally:
        connection.close()
    aside = _put_aside(path, log, reason, stamp)
    fresh.rename(path)
    sync_folder(path.parent)
    return Damage(reason, kept_at=str(aside), recovered=recovered)


def finish_rebuild(path: Path) -> None:
    """Finish what a stop in the middle of `rebuild` left behind."""
    fresh = _fresh(path)
    if not path.exists() and fresh.exists():
        # The old file has been put aside already; its log must not be taken for the new one's.
        _beside(path, "-wal").unlink(missing_ok=True)
        _beside(path, "-shm").unlink(missing_ok=True)
        fresh.rename(path)
        sync_folder(path.parent)
    for leftover in (fresh, _beside(fresh, "-wal"), _beside(fresh, "-shm")):
        leftover.unlink(missing_ok=True)


def insert_found(connection: sqlite3.Connection, found: Found) -> int:
    """Add a salvaged row unless it is there already; return the number of records it added."""
    if found.table == "settled":
        connection.execute(
            "INSERT OR IGNORE INTO settled (id) VALUES (CAST(? AS TEXT))", found.values
        )
        return 0
    if found.table == "rejected":
        connection.execute(
            "INSERT OR IGNORE INTO rejected VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?,"
            " CAST(? AS TEXT), CAST(? AS TEXT))",
            (found.seq, *found.values),
        )
        return 0
    known = "SELECT 1 FROM {} WHERE id = CAST(? AS TEXT)"
    for table in ("record", "settled", "rejected"):
        if connection.execute(known.format(table), found.values[:1]).fetchone():
            return 0
    # The number gives the order; a damaged or taken one is replaced by the next free one.
    taken = connection.execute("SELECT 1 FROM record WHERE seq = ?", (found.seq,)).fetchone()
    seq = None if taken or found.seq > _SEQ_MOST else found.seq
    connection.execute(
        "INSERT INTO record VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?)",
        (seq, *found.values),
    )
    return 1


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refill(connection: sqlite3.Connection, main: Bytes, log: bytes) -> int:
    _insert_all(connection, salvage(PageImage(main, log, PAGE_BYTES)))
    connection.execute("DELETE FROM record WHERE id IN (SELECT id FROM settled)")
    pragma(connection, "wal_checkpoint(TRUNCATE)")
    (count,) = connection.execute("SELECT count(*) FROM record").fetchone()
    return int(count)


def _insert_all(connection: sqlite3.Connection, rows: Iterable[Found]) -> None:
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_A_COMMIT)):
        connection.execute("BEGIN IMMEDIATE")
        for found in batch:
            insert_found(connection, found)
        connection.execute("COMMIT")


def mapped(descriptor: int) -> Bytes:
    """Look at a file without reading it into memory; an empty one can't be mapped."""
    if os.fstat(descriptor).st_size == 0:
        return b""
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def _put_aside(path: Path, log: bytes, reason: str, stamp: str) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    if log:
        _beside(aside, "-wal").write_bytes(log)
    _beside(aside, ".reason.txt").write_text(reason + "\n", encoding="utf-8")
    path.rename(aside)
    _beside(path, "-wal").unlink(missing_ok=True)
    _beside(path, "-shm").unlink(missing_ok=True)
    for old in _quarantined(path)[:-QUARANTINED_MOST]:
        for suffix in ("", "-wal", ".reason.txt"):
            _beside(old, suffix).unlink(missing_ok=True)
    return aside


def _quarantined(path: Path) -> list[Path]:
    """List the files put aside, the oldest first: their names end in a time stamp."""
    names = path.parent.glob(f"{path.name}.damaged-*Z")
    return sorted(name for name in names)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".rebuilding")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)

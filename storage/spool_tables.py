"""The tables of the spool, its two kinds of connection and the checksum of a record."""

import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

PAGE_BYTES = 4096
APPLICATION_ID = 0x57575370
VERSION = 1

# AUTOINCREMENT: a sequence number is never used twice, so "after the last one taken" holds.
# The salvage of damaged files knows `record`, `rejected` and `settled` by their column types.
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS record (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, subject TEXT NOT NULL,
        crc INTEGER NOT NULL, payload BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS settled (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)""",
    """CREATE TABLE IF NOT EXISTS rejected (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, subject TEXT NOT NULL,
        crc INTEGER NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS damaged (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, reason TEXT NOT NULL, at TEXT NOT NULL,
        id TEXT, subject TEXT, payload BLOB)""",
    "CREATE TABLE IF NOT EXISTS probe (only INTEGER PRIMARY KEY, tries INTEGER NOT NULL)",
)

Connect = Callable[[Path, bool], sqlite3.Connection]


def connect(path: Path, writes: bool) -> sqlite3.Connection:
    """Open the file for the one writer or read-only. Raises sqlite3.Error."""
    mode = "rwc" if writes else "ro"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )


def set_up_writer(connection: sqlite3.Connection, busy_s: float) -> None:
    """Make a connection the one that writes and checkpoints; every commit is synced."""
    pragma(connection, f"busy_timeout = {int(busy_s * 1000)}")
    pragma(connection, f"page_size = {PAGE_BYTES}")
    pragma(connection, "auto_vacuum = INCREMENTAL")
    pragma(connection, "journal_mode = WAL")
    pragma(connection, "synchronous = FULL")
    pragma(connection, "wal_autocheckpoint = 1000")
    # A damaged cell must be met when it is read, not copied on.
    pragma(connection, "cell_size_check = ON")
    connection.text_factory = bytes


def set_up_reader(connection: sqlite3.Connection, busy_s: float) -> None:
    """Make a connection one that only reads; texts come as bytes, for they may be damaged."""
    pragma(connection, f"busy_timeout = {int(busy_s * 1000)}")
    pragma(connection, "query_only = ON")
    connection.text_factory = bytes


def create_tables(connection: sqlite3.Connection) -> None:
    """Create what is missing, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in SCHEMA:
            connection.execute(statement)
        pragma(connection, f"application_id = {APPLICATION_ID}")
        pragma(connection, f"user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that SQLite may have ended already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def pragma(connection: sqlite3.Connection, text: str) -> list[tuple[object, ...]]:
    """Run a pragma to its end and return its rows."""
    return list(connection.execute(f"PRAGMA {text}").fetchall())


def checksum(record_id: bytes, subject: bytes, payload: bytes) -> int:
    """Return the CRC32 over id, subject and payload of a record."""
    return zlib.crc32(payload, zlib.crc32(subject, zlib.crc32(record_id)))

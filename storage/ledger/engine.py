"""Connections to an SQLite ledger: one that writes, a few that only read."""

import json
import os
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool, StaticPool

READERS_MOST = 8
READER_WAIT_S = 10.0

Connect = Callable[[Path, bool], Any]


def connect(file: Path, writes: bool) -> sqlite3.Connection:
    """Open the file for the one writer or read-only. Raises sqlite3.Error."""
    if writes and not file.exists():
        # It holds the key of the command seals: nobody else on this machine may read it.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    mode = "rw" if writes else "ro"
    return sqlite3.connect(
        f"file:{quote(str(file))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )


def writing_engine(file: Path, busy_s: float, open_connection: Connect) -> Engine:
    """Return an engine of one connection, which writes and checkpoints and syncs every commit."""
    engine = sa.create_engine(
        "sqlite://",
        creator=partial(open_connection, file, True),
        poolclass=StaticPool,
        json_serializer=to_json,
    )

    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {int(busy_s * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            # 8 MB of log: a page that many commits change goes to the file once.
            "wal_autocheckpoint = 2000",
            "cache_size = -65536",
            # What a statement may have to undo is kept in memory, not in temporary files.
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "connect", set_up)
    # Python's driver begins late and without the write lock; a reader turned writer may be told
    # "locked" half-way. So the lock is taken at the start.
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reading_engine(file: Path, busy_s: float, open_connection: Connect) -> Engine:
    """Return an engine of read-only connections, for any thread."""
    engine = sa.create_engine(
        "sqlite://",
        creator=partial(open_connection, file, False),
        poolclass=QueuePool,
        pool_size=READERS_MOST,
        max_overflow=0,
        pool_timeout=READER_WAIT_S,
        json_serializer=to_json,
    )

    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
        connection.execute("PRAGMA query_only = ON")

    sa.event.listen(engine, "connect", set_up)
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))
    return engine


def to_json(value: object) -> str:
    """Return JSON text; times become ISO text and numpy's numbers plain ones."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} can't be kept in the ledger: {value!r}")

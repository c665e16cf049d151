"""What the spool says to its file, each inside the transaction of the writing thread."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from domain.ports import StreamRecord
from storage.spool_tables import checksum, pragma

FREE_PAGES_KEPT = 2_000
FREE_PAGES_A_STEP = 2_000

Row = tuple[int, bytes, bytes, int, bytes]
NEXT_RECORDS = (
    "SELECT seq, id, subject, crc, payload FROM record WHERE seq > ? ORDER BY seq LIMIT ?"
)
THESE_RECORDS = (
    "SELECT seq, id, subject, crc, payload FROM record"
    " WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
NEWEST_REJECTED = (
    "SELECT seq, id, subject, crc, payload, reason FROM rejected ORDER BY seq DESC LIMIT ?"
)
_TRIM = {
    "settled": "DELETE FROM settled WHERE seq <= (SELECT max(seq) FROM settled) - ?",
    "rejected": "DELETE FROM rejected WHERE seq <= (SELECT max(seq) FROM rejected) - ?",
    "damaged": "DELETE FROM damaged WHERE seq <= (SELECT max(seq) FROM damaged) - ?",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling took out of the queue, and how it ended."""

    accepted: int = 0
    rejected: int = 0
    payload_bytes: int = 0


def add_record(connection: sqlite3.Connection, record: StreamRecord, crc: int) -> bool:
    """Add a record, unless its id waits or was settled already; say whether it was added."""
    known = connection.execute(
        "SELECT 1 FROM record WHERE id = ?1 UNION ALL SELECT 1 FROM settled WHERE id = ?1",
        (record.id,),
    ).fetchone()
    if known:
        return False
    connection.execute(
        "INSERT INTO record (id, subject, crc, payload) VALUES (?, ?, ?, ?)",
        (record.id, record.subject, crc, record.payload),
    )
    return True


def settle_records(
    connection: sqlite3.Connection,
    accepted: Sequence[str],
    rejected: Sequence[tuple[str, str]],
    at: str,
    settled_most: int,
    rejected_most: int,
) -> Settled:
    """Take records out of the queue, remember their ids, keep the rejected ones aside."""
    accepted_sizes = [_remove(connection, record_id) for record_id in accepted]
    rejected_sizes = []
    for record_id, reason in rejected:
        connection.execute(
            "INSERT INTO rejected (id, subject, crc, payload, reason, at)"
            " SELECT id, subject, crc, payload, ?2, ?3 FROM record WHERE id = ?1",
            (record_id, reason, at),
        )
        rejected_sizes.append(_remove(connection, record_id))
    _trim(connection, "settled", settled_most)
    if rejected:
        _trim(connection, "rejected", rejected_most)
    return Settled(
        accepted=sum(size is not None for size in accepted_sizes),
        rejected=sum(size is not None for size in rejected_sizes),
        payload_bytes=sum(size or 0 for size in (*accepted_sizes, *rejected_sizes)),
    )


def move_damaged(
    connection: sqlite3.Connection, seq: int, reason: str, at: str, damaged_most: int
) -> int | None:
    """Move a record whose checksum fails out of the queue; return its payload's size."""
    connection.execute(
        "INSERT INTO damaged (reason, at, id, subject, payload)"
        " SELECT ?2, ?3, id, subject, payload FROM record WHERE seq = ?1",
        (seq, reason, at),
    )
    row = connection.execute("SELECT length(payload) FROM record WHERE seq = ?", (seq,)).fetchone()
    connection.execute("DELETE FROM record WHERE seq = ?", (seq,))
    _trim(connection, "damaged", damaged_most)
    return int(row[0]) if row else None


def measure(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many records wait and the bytes of their payloads."""
    row = connection.execute("SELECT count(*), sum(length(payload)) FROM record").fetchone()
    return int(row[0]), int(row[1] or 0)


def probe(connection: sqlite3.Connection) -> None:
    """Write something harmless, to learn whether the disk takes writes."""
    connection.execute(
        "INSERT INTO probe VALUES (1, 1) ON CONFLICT (only) DO UPDATE SET tries = tries + 1"
    )


def give_back_space(connection: sqlite3.Connection) -> None:
    """Outside a transaction: once an outage has been caught up, let the file shrink a step."""
    (free,) = pragma(connection, "freelist_count")[0]
    if isinstance(free, int) and free > FREE_PAGES_KEPT:
        # Each step of this statement frees one page; a script is stepped to its end.
        connection.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES_A_STEP})")


def fault_of_pages(connection: sqlite3.Connection) -> str | None:
    """Check the whole file; return the first thing wrong with it, or None."""
    (found,) = pragma(connection, "integrity_check(1)")[0]
    words = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
    return None if words == "ok" else words.strip()


def whole_record(row: Row) -> StreamRecord | None:
    """Return the record of a row, or None where its checksum fails."""
    _, record_id, subject, crc, payload = row
    if not all(isinstance(value, bytes) for value in (record_id, subject, payload)):
        return None
    if checksum(record_id, subject, payload) != crc:
        return None
    return StreamRecord(record_id.decode(), subject.decode(), payload)


def _remove(connection: sqlite3.Connection, record_id: str) -> int | None:
    row = connection.execute(
        "SELECT seq, length(payload) FROM record WHERE id = ?", (record_id,)
    ).fetchone()
    if row is None:
        return None
    connection.execute("DELETE FROM record WHERE seq = ?", (row[0],))
    connection.execute("INSERT OR IGNORE INTO settled (id) VALUES (?)", (record_id,))
    return int(row[1])


def _trim(connection: sqlite3.Connection, table: str, rows_most: int) -> None:
    connection.execute(_TRIM[table], (rows_most,))

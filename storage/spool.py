"""The embedded stream: an SQLite file that every record reaches before it is acknowledged."""

import json
import sqlite3
import threading
from bisect import insort
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from domain.clock import Clock, SystemClock
from domain.errors import StoreUnavailable, StreamFull
from domain.ports import StreamRecord, StreamStats
from storage.group_commit import GroupWriter
from storage.spool_files import Damaged, SpoolFiles
from storage.spool_repair import Damage
from storage.spool_statements import (
    NEWEST_REJECTED,
    NEXT_RECORDS,
    THESE_RECORDS,
    Row,
    Settled,
    add_record,
    fault_of_pages,
    measure,
    move_damaged,
    probe,
    settle_records,
    whole_record,
)
from storage.spool_tables import Connect, checksum, connect
from storage.sqlite_errors import Trouble, in_words, trouble_of

WRITE_WITHIN_S = 60.0
PROBE_WITHIN_S = 2.0
DAMAGES_KEPT = 100
log = structlog.get_logger(__name__)


class _Mended(Exception):
    """The file was rebuilt while it was read: read again."""


class SqliteSpool:
    """Stream in one SQLite file.

    Limits: `max_records` and `max_bytes` of payload wait at most, those on their way to the disk
    included; `settled_most` ids are remembered so that publishing one of them again changes
    nothing; `rejected_most` rejected and as many damaged records are kept aside, the oldest go
    first. A file up to `check_most_bytes` is checked whole when it is opened. `on_damage` is told
    of every damage, on whichever thread met it; `damages` lists the last ones.
    Raises StoreUnavailable when the file can't be opened or another process writes it.
    """

    def __init__(
        self,
        path: Path,
        max_records: int = 2_000_000,
        max_bytes: int = 20_000_000_000,
        *,
        clock: Clock | None = None,
        on_damage: Callable[[Damage], None] | None = None,
        settled_most: int = 200_000,
        rejected_most: int = 10_000,
        busy_s: float = 5.0,
        check_most_bytes: int = 1_000_000_000,
        open_connection: Connect = connect,
    ) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._settled_most, self._rejected_most = settled_most, rejected_most
        self._clock = clock or SystemClock()
        self._tell = on_damage
        # One caller takes at a time; `_state` guards the fields below and is never held while
        # waiting for the writing thread, which needs it after each commit.
        self._taking = threading.Lock()
        self._state = threading.Lock()
        self._damages: list[Damage] = []
        self._counts = dict.fromkeys(
            ("published", "duplicates", "accepted", "rejected", "damaged", "full"), 0
        )
        self._depth = self._depth_bytes = self._coming = self._coming_bytes = 0
        self._leased: dict[str, int] = {}
        self._returned: list[int] = []
        self._after = 0
        self._files = SpoolFiles(
            path,
            self._clock,
            open_connection,
            self._note_damage,
            busy_s=busy_s,
            check_most_bytes=check_most_bytes,
        )
        self._rebuilt = self._files.rebuilt
        self._writer: GroupWriter[sqlite3.Connection] = GroupWriter(
            "spool", self._files.transaction, self._files.explain, retry_waits_s=(0.05,)
        )
        try:
            self._writer.run(measure, WRITE_WITHIN_S, self._measured)
        except BaseException:
            self.close()
            raise

    def publish(self, record: StreamRecord) -> "Future[None]":
        """Queue a record; the future resolves after its commit is synced, or with StoreUnavailable.

        Raises StreamFull at the limit, StoreUnavailable when closed: the record was not taken.
        """
        crc = checksum(record.id.encode(), record.subject.encode(), record.payload)
        size = len(record.payload)
        self._reserve(size)
        try:
            return self._writer.submit(
                partial(add_record, record=record, crc=crc),
                partial(self._published, size),
                partial(self._give_room_back, size),
            )
        except StoreUnavailable:
            self._give_room_back(size)
            raise

    def take(self, limit: int) -> list[StreamRecord]:
        """Lease up to `limit` records, oldest first. Raises StoreUnavailable.

        A record whose checksum fails is moved aside, counted and reported, and not returned.
        """
        with self._taking:
            for _ in range(2):
                try:
                    return self._take(limit)
                except _Mended:
                    continue
        raise StoreUnavailable("the spool was damaged again right after it was rebuilt")

    def settle(
        self,
        accepted: Sequence[str] = (),
        rejected: Sequence[tuple[str, str]] = (),
        kept: Sequence[str] = (),
    ) -> None:
        """End leased records, durably. Raises StoreUnavailable: then all stay leased but `kept`."""
        self.release(kept)
        if not accepted and not rejected:
            return
        work = partial(
            settle_records,
            accepted=accepted,
            rejected=rejected,
            at=self._clock.now().isoformat(),
            settled_most=self._settled_most,
            rejected_most=self._rejected_most,
        )
        ids = (*accepted, *(record_id for record_id, _ in rejected))
        self._writer.run(work, WRITE_WITHIN_S, partial(self._settled, ids))

    def release(self, ids: Sequence[str] | None = None) -> None:
        """Return leased records (all of them by default) to their old places in the queue."""
        with self._state:
            for record_id in list(self._leased) if ids is None else ids:
                seq = self._leased.pop(record_id, None)
                if seq is not None:
                    insort(self._returned, seq)

    def stats(self) -> StreamStats:
        """Return the counters; depth counts what is on disk, leased records included."""
        with self._state:
            return StreamStats(
                depth=self._depth,
                depth_bytes=self._depth_bytes,
                published=self._counts["published"],
                duplicates=self._counts["duplicates"],
                accepted=self._counts["accepted"],
                rejected=self._counts["rejected"],
                damaged=self._counts["damaged"],
                refused_full=self._counts["full"],
            )

    def damages(self) -> list[Damage]:
        """Return the last reports of damage, those met while opening included."""
        with self._state:
            return list(self._damages)

    def rejected(self, limit: int = 100) -> list[tuple[StreamRecord, str]]:
        """Return the newest rejected records with their reasons. Raises StoreUnavailable."""
        found = [
            (whole_record(row[:5]), row[5].decode()) for row in self._read(NEWEST_REJECTED, limit)
        ]
        return [(record, reason) for record, reason in found if record]

    def is_ready(self) -> bool:
        """Say whether the spool takes records: has room and, after a failed write, writes again."""
        with self._state:
            if self._depth >= self._max_records or self._depth_bytes >= self._max_bytes:
                return False
        if not self._writer.last_failed:
            return True
        try:
            self._writer.run(probe, PROBE_WITHIN_S, lambda _: None)
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Write what waits, then close the file; leased records are taken again after opening."""
        self._writer.close()
        self._files.close()

    def _take(self, limit: int) -> list[StreamRecord]:
        if self._files.rebuilt != self._rebuilt:
            self._start_over()
        taken: list[StreamRecord] = []
        while len(taken) < limit:
            with self._state:
                waiting = self._depth - len(self._leased)
            rows = self._next_rows(limit - len(taken))
            if not rows:
                if waiting > 0 and not taken:
                    self._check_all()
                break
            for row in rows:
                record = self._lease(row)
                if record:
                    taken.append(record)
        return taken

    def _next_rows(self, limit: int) -> list[Row]:
        """Read what was returned to the queue, then what was never taken yet."""
        with self._state:
            returned = self._returned[:limit]
        if returned:
            rows: list[Row] = self._read(THESE_RECORDS, json.dumps(returned))
            with self._state:
                self._returned = [seq for seq in self._returned if seq not in set(returned)]
            if rows:
                return rows
        rows = self._read(NEXT_RECORDS, self._after, limit)
        if rows:
            self._after = int(rows[-1][0])
        return rows

    def _lease(self, row: Row) -> StreamRecord | None:
        record = whole_record(row)
        if record is None:
            self._move_aside(row)
            return None
        with self._state:
            if record.id in self._leased:
                return None
            self._leased[record.id] = int(row[0])
        return record

    def _move_aside(self, row: Row) -> None:
        reason = "the checksum does not fit: a bit has flipped on the disk"
        work = partial(
            move_damaged,
            seq=row[0],
            reason=reason,
            at=self._clock.now().isoformat(),
            damaged_most=self._rejected_most,
        )
        shown = row[1].decode(errors="replace") if isinstance(row[1], bytes) else ""
        damage = Damage(reason, record_id=shown, kept_at="table damaged")
        self._writer.run(work, WRITE_WITHIN_S, partial(self._moved_aside, damage))

    def _check_all(self) -> None:
        """Records must be there that can't be met: look for damage, and begin from the front."""

        def check(connection: sqlite3.Connection) -> None:
            fault = fault_of_pages(connection)
            if fault:
                raise Damaged(fault)

        self._writer.run(check, WRITE_WITHIN_S, lambda _: None)
        self._start_over()

    def _start_over(self) -> None:
        self._rebuilt = self._files.rebuilt
        with self._state:
            self._returned.clear()
        self._after = 0
        self._writer.run(measure, WRITE_WITHIN_S, self._measured)

    def _read(self, sql: str, *parameters: object) -> list[Any]:
        try:
            return self._files.read(sql, parameters)
        except sqlite3.Error as error:
            trouble = trouble_of(error)
            if trouble is Trouble.DAMAGE:
                self._mend(str(error))
                raise _Mended from error
            if trouble is Trouble.OUTAGE:
                raise StoreUnavailable(f"the spool can't be read: {in_words(error)}") from error
            raise

    def _mend(self, reason: str) -> None:
        before = self._files.rebuilt

        def complain(_: sqlite3.Connection) -> None:
            if self._files.rebuilt == before:
                raise Damaged(reason)

        self._writer.run(complain, WRITE_WITHIN_S, lambda _: None)

    def _reserve(self, size: int) -> None:
        with self._state:
            records = self._depth + self._coming
            payload_bytes = self._depth_bytes + self._coming_bytes
            if records >= self._max_records or payload_bytes + size > self._max_bytes:
                self._counts["full"] += 1
                raise StreamFull(
                    f"the spool is full: {records} of {self._max_records} records,"
                    f" {payload_bytes} of {self._max_bytes} bytes wait; the record was refused"
                )
            self._coming += 1
            self._coming_bytes += size

    def _give_room_back(self, size: int) -> None:
        with self._state:
            self._coming -= 1
            self._coming_bytes -= size

    def _published(self, size: int, added: bool) -> None:
        with self._state:
            self._coming -= 1
            self._coming_bytes -= size
            self._counts["published" if added else "duplicates"] += 1
            if added:
                self._depth += 1
                self._depth_bytes += size

    def _settled(self, ids: Sequence[str], settled: Settled) -> None:
        with self._state:
            self._counts["accepted"] += settled.accepted
            self._counts["rejected"] += settled.rejected
            self._depth -= settled.accepted + settled.rejected
            self._depth_bytes -= settled.payload_bytes
            for record_id in ids:
                self._leased.pop(record_id, None)

    def _moved_aside(self, damage: Damage, size: int | None) -> None:
        if size is not None:
            with self._state:
                self._depth -= 1
                self._depth_bytes -= size
            self._note_damage(damage)

    def _measured(self, found: tuple[int, int]) -> None:
        with self._state:
            self._depth, self._depth_bytes = found

    def _note_damage(self, damage: Damage) -> None:
        log.warning("spool damage", reason=damage.reason, record=damage.record_id)
        with self._state:
            self._counts["damaged"] += 1
            self._damages = [*self._damages, damage][-DAMAGES_KEPT:]
        if self._tell:
            self._tell(damage)

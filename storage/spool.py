"""The embedded stream: an SQLite file that every record reaches before it is acknowledged."""

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from domain.clock import Clock, SystemClock
from domain.errors import StoreUnavailable
from domain.ports import StreamRecord, StreamStats
from storage.group_commit import GroupWriter
from storage.spool_files import Damaged, SpoolFiles
from storage.spool_repair import Damage
from storage.spool_state import SpoolState
from storage.spool_statements import (
    NEWEST_REJECTED,
    NEXT_RECORDS,
    THESE_RECORDS,
    Row,
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
        self._settled_most, self._rejected_most = settled_most, rejected_most
        self._clock = clock or SystemClock()
        self._tell = on_damage
        self._state = SpoolState(max_records, max_bytes)
        # One caller takes at a time.
        self._taking = threading.Lock()
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
            self._writer.run(measure, WRITE_WITHIN_S, self._state.measured)
        except BaseException:
            self.close()
            raise

    def publish(self, record: StreamRecord) -> "Future[None]":
        """Queue a record; the future resolves after its commit is synced, or with StoreUnavailable.

        Raises StreamFull at the limit, StoreUnavailable when closed: the record was not taken.
        """
        crc = checksum(record.id.encode(), record.subject.encode(), record.payload)
        size = len(record.payload)
        self._state.reserve(size)
        try:
            return self._writer.submit(
                partial(add_record, record=record, crc=crc),
                partial(self._state.published, size),
                partial(self._state.give_room_back, size),
            )
        except StoreUnavailable:
            self._state.give_room_back(size)
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
        self._writer.run(work, WRITE_WITHIN_S, partial(self._state.settled, ids))

    def release(self, ids: Sequence[str] | None = None) -> None:
        """Return leased records (all of them by default) to their old places in the queue."""
        self._state.release(ids)

    def stats(self) -> StreamStats:
        """Return the counters; depth counts what is on disk, leased records included."""
        return self._state.stats()

    def damages(self) -> list[Damage]:
        """Return the last reports of damage, those met while opening included."""
        return self._state.damages()

    def rejected(self, limit: int = 100) -> list[tuple[StreamRecord, str]]:
        """Return the newest rejected records with their reasons. Raises StoreUnavailable."""
        found = [
            (whole_record(row[:5]), row[5].decode()) for row in self._read(NEWEST_REJECTED, limit)
        ]
        return [(record, reason) for record, reason in found if record]

    def is_ready(self) -> bool:
        """Say whether the spool takes records: has room and, after a failed write, writes again."""
        if not self._state.has_room():
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
            waiting = self._state.unleased()
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
        returned = self._state.returned(limit)
        if returned:
            rows: list[Row] = self._read(THESE_RECORDS, json.dumps(returned))
            self._state.forget_returned(returned)
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
        return record if self._state.lease(record.id, int(row[0])) else None

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
        self._state.forget_returned()
        self._after = 0
        self._writer.run(measure, WRITE_WITHIN_S, self._state.measured)

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

    def _moved_aside(self, damage: Damage, size: int | None) -> None:
        if size is not None:
            self._state.moved_aside(size)
            self._note_damage(damage)

    def _note_damage(self, damage: Damage) -> None:
        log.warning("spool damage", reason=damage.reason, record=damage.record_id)
        self._state.damaged(damage)
        if self._tell:
            self._tell(damage)

"""The spool's file: opened by one process, checked, mended, written by one connection."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from domain.clock import Clock
from domain.errors import StoreUnavailable
from storage.file_lock import FileLock
from storage.spool_repair import Damage, finish_rebuild, insert_found, mapped, rebuild
from storage.spool_salvage import salvage_log
from storage.spool_statements import fault_of_pages, give_back_space
from storage.spool_tables import (
    APPLICATION_ID,
    PAGE_BYTES,
    Connect,
    create_tables,
    pragma,
    roll_back,
    set_up_reader,
    set_up_writer,
)
from storage.sqlite_errors import Trouble, in_words, trouble_of
from storage.sqlite_pages import PageImage, is_unfinished

_LOG_BYTES_MOST = 512 * 1024 * 1024
_MAGIC = b"SQLite format 3\x00"
log = structlog.get_logger(__name__)


class Damaged(Exception):
    """The file is not what it should be."""


class SpoolFiles:
    """One writing connection, which also writes the checkpoints, and one read-only connection.

    `transaction` is for the writing thread alone; `read` may be called from any thread. Damage met
    by either makes a new file of what is whole; `on_damage` is told and `rebuilt` counts.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        connect: Connect,
        on_damage: Callable[[Damage], None],
        *,
        busy_s: float,
        check_most_bytes: int,
    ) -> None:
        self.path, self._clock, self._connect = path, clock, connect
        self._on_damage, self._busy_s, self._check_most_bytes = on_damage, busy_s, check_most_bytes
        self.rebuilt = 0
        self._reading = threading.Lock()
        self._lock = FileLock(path)
        try:
            self._open_or_mend()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error | OSError):
                message = f"can't open the spool {path}: {in_words(error)}"
                raise StoreUnavailable(message) from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock; commit and sync on leaving, undo on an error."""
        if not self._is_open:
            self._open()
        writer = self._writer
        self._shrink(writer)
        writer.execute("BEGIN IMMEDIATE")
        try:
            yield writer
            writer.execute("COMMIT")
        except BaseException:
            roll_back(writer)
            raise

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over what is committed. Raises sqlite3.Error."""
        with self._reading:
            return self._reader.execute(sql, parameters).fetchall()

    def explain(self, error: Exception) -> Exception:
        """Turn what a transaction raised into what callers see; damage is mended on the way.

        For the writing thread alone. After mending the error says StoreUnavailable: try again.
        """
        trouble = trouble_of(error)
        if isinstance(error, Damaged) or trouble is Trouble.DAMAGE:
            try:
                self._mend(str(error))
            except (sqlite3.Error, OSError) as second:
                return StoreUnavailable(f"the spool can't be mended: {in_words(second)}")
            return StoreUnavailable("the spool was damaged and has been rebuilt")
        if trouble is Trouble.OUTAGE:
            return StoreUnavailable(f"the spool can't be written: {in_words(error)}")
        return error

    def close(self) -> None:
        """Close both connections, the writing one last: it empties the log."""
        with self._reading:
            self._reader.close()
        self._writer.close()
        self._lock.release()

    def _shrink(self, writer: sqlite3.Connection) -> None:
        try:
            give_back_space(writer)
        except sqlite3.Error as error:
            # Moving pages takes more room than a settlement, which must not wait for it.
            if trouble_of(error) is not Trouble.OUTAGE:
                raise
            log.info("the spool's file can't shrink now", reason=in_words(error))

    def _open_or_mend(self) -> None:
        finish_rebuild(self.path)
        left_log = self._read_log()
        try:
            self._check_header()
            self._open()
            self._check_log(left_log)
            self._check_pages()
        except (sqlite3.Error, Damaged) as error:
            if not isinstance(error, Damaged) and trouble_of(error) is not Trouble.DAMAGE:
                raise
            self._mend(str(error), left_log)

    def _open(self) -> None:
        self._is_open = False
        self._writer = self._connect(self.path, True)
        try:
            set_up_writer(self._writer, self._busy_s)
            self._known_frames = pragma(self._writer, "wal_checkpoint(PASSIVE)")[0][1]
            create_tables(self._writer)
            self._reader = self._connect(self.path, False)
            set_up_reader(self._reader, self._busy_s)
            self._is_open = True
        except BaseException:
            self._writer.close()
            raise

    def _mend(self, reason: str, left_log: bytes | None = None) -> None:
        log.error("spool damaged", reason=reason, path=str(self.path))
        kept_log = self._read_log() if left_log is None else left_log
        with self._reading:
            for name in ("_reader", "_writer"):
                connection = getattr(self, name, None)
                if connection is not None:
                    connection.close()
            stamp = self._clock.now().strftime("%Y%m%dT%H%M%S%fZ")
            try:
                damage = rebuild(self.path, kept_log, reason, stamp, self._connect)
            finally:
                self._open()
        self.rebuilt += 1
        self._on_damage(damage)

    def _read_log(self) -> bytes:
        """Return the write-ahead log as it lies there, before SQLite drops what it can't read."""
        wal = self.path.with_name(self.path.name + "-wal")
        if not wal.exists():
            return b""
        with wal.open("rb") as file:
            return file.read(_LOG_BYTES_MOST)

    def _check_header(self) -> None:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return
        with self.path.open("rb") as file:
            header = file.read(100)
        application = int.from_bytes(header[68:72], "big")
        if header[:16] == _MAGIC and application and (application ^ APPLICATION_ID).bit_count() > 1:
            raise StoreUnavailable(f"{self.path} is another program's database, not a spool")
        expected = _MAGIC + PAGE_BYTES.to_bytes(2, "big")
        modes = (b"\x01\x01", b"\x02\x02")
        sound = header[:18] == expected and header[18:20] in modes
        if not sound or header[20:24] != bytes((0, 64, 32, 32)):
            raise Damaged("the file's header is damaged")

    def _check_pages(self) -> None:
        if self.path.stat().st_size > self._check_most_bytes:
            return
        fault = fault_of_pages(self._writer)
        if fault:
            raise Damaged(fault)

    def _check_log(self, left_log: bytes) -> None:
        """Take from the log of the last run what SQLite left out because a frame is damaged."""
        if len(left_log) <= 32 or not isinstance(self._known_frames, int):
            return
        known = max(self._known_frames, 0)
        with self.path.open("rb") as file:
            image = PageImage(mapped(file.fileno()), left_log, PAGE_BYTES)
        whole = (len(left_log) - 32) % (PAGE_BYTES + 24) == 0
        if len(image.frame_places) <= known and whole:
            return
        recovered = 0
        with self.transaction() as connection:
            for found in salvage_log(image):
                recovered += insert_found(connection, found)
        if not is_unfinished(left_log, known, PAGE_BYTES):
            self._on_damage(Damage("the write-ahead log has a damaged end", recovered=recovered))

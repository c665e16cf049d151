"""The embedded time-series store: one DuckDB file, clustered by meter, newest values in memory."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, RLock, Thread

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import structlog

from domain.errors import StoreUnavailable
from domain.ports import Resolution, WriteOutcome
from domain.site import Meter
from storage.duckdb_file import DuckDbFile
from storage.duckdb_tables import MeterNames, SampleTable, create_tables, describe_meters
from storage.latest_board import LatestBoard
from storage.series_schema import chosen_values, empty_window, milliseconds, prepare, schema_of

_LOG = structlog.get_logger(__name__)
_PAUSE_S = 0.2


class DuckDbSeries:
    """TimeSeries in one DuckDB file.

    Rows arrive in a tail table in order of arrival; when it holds `settle_rows` they move, sorted
    by meter and time, to the settled table, so that one meter's day lies in a few row groups. A
    batch is one transaction, durable when `write` returns. Rows not newer than the newest of their
    meter first delete the row they replace, so that a point (meter, time) is there once.
    A house-keeping thread settles, and writes checkpoints when the log exceeds `log_bytes`; it
    waits for a pause between writes, but never beyond twice those limits.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_limit_mb: int = 192,
        threads: int = 2,
        settle_rows: int = 500_000,
        log_bytes: int = 64_000_000,
    ) -> None:
        self._file = DuckDbFile(path, memory_limit_mb, threads)
        self._settle_rows = settle_rows
        self._log_bytes = log_bytes
        # One thread writes at a time; readers have cursors of their own and never wait for it.
        self._write_lock = RLock()
        # Held while rows move or are replaced. Where both are, it is taken after the write lock.
        self._moving = RLock()
        # Held for a moment only, so that `latest` never waits for the disk.
        self._board_lock = Lock()
        self._writes = 0
        self._load()
        self._closing = Event()
        self._work = Event()
        self._keeper = Thread(target=self._keep_house, name="duckdb-keeper", daemon=True)
        self._keeper.start()

    def describe(self, meters: Sequence[Meter]) -> None:
        """Keep the roster beside the samples, for analysts who open the file."""
        with self._write_lock:
            self._ready_to_write()
            self._numbers(pl.Series([meter.name for meter in meters], dtype=pl.String()))
            with self._file.transaction() as cursor:
                describe_meters(cursor, meters)

    def write(self, frame: pl.DataFrame, resolution: Resolution = Resolution.RAW) -> WriteOutcome:
        """Write rows in one durable transaction. Raises StoreUnavailable with nothing written."""
        prepared = prepare(frame, resolution)
        rows = prepared.frame
        if rows.height:
            with self._write_lock:
                self._ready_to_write()
                numbers = self._numbers(rows["meter"])
                self._tables[resolution].write(self._file, rows, numbers, self._moving)
                if resolution is Resolution.RAW:
                    with self._board_lock:
                        self._board.take(numbers, rows)
            self._wake_keeper()
        return WriteOutcome(accepted=rows.height, rejected=prepared.rejected)

    def window(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        quantities: Sequence[str] | None = None,
        resolution: Resolution = Resolution.RAW,
    ) -> pl.DataFrame:
        """Return rows with start <= time < end by meter and time: time, meter, quantities."""
        values = chosen_values(quantities, resolution)
        names = self._names
        numbers = None if meters is None else names.known(meters)
        start_ms, end_ms = milliseconds(start), milliseconds(end)
        if start_ms >= end_ms or (numbers is not None and not numbers):
            return empty_window(values, resolution)
        self._ready_to_read()
        with self._file.cursor() as cursor:
            found = self._tables[resolution].read(cursor, start_ms, end_ms, numbers, values)
        return _ordered(found, names, values, resolution)

    def latest(self, meters: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the last non-null values of each meter, from memory."""
        self._ready_to_read()
        names = self._names
        texts = names.all()
        known = range(len(texts)) if meters is None else names.known(meters)
        with self._board_lock:
            return self._board.frame(texts, sorted(known, key=texts.__getitem__))

    def prune(self, resolution: Resolution, older_than: datetime) -> int:
        """Delete rows with time < older_than and return how many there were."""
        with self._write_lock, self._moving:
            self._ready_to_write()
            deleted = self._tables[resolution].prune(self._file, milliseconds(older_than))
        self._wake_keeper()
        return deleted

    def is_ready(self) -> bool:
        """Say whether the file answers."""
        try:
            self._ready_to_read()
            with self._file.cursor() as cursor:
                cursor.execute("SELECT 1").fetchall()
        except StoreUnavailable:
            return False
        return True

    def tidy(self, *, settle: bool = False) -> None:
        """Settle tails that are full (all of them if `settle`) and write a checkpoint."""
        for table in self._tables.values():
            if table.tail_rows >= (1 if settle else self._settle_rows):
                self._settle(table)
        with self._write_lock:
            self._ready_to_write()
            with self._file.cursor() as cursor:
                cursor.execute("CHECKPOINT")

    def close(self) -> None:
        """Stop the house-keeping and close the file."""
        self._closing.set()
        self._work.set()
        self._keeper.join()
        with self._write_lock:
            self._file.close()

    def _settle(self, table: SampleTable) -> None:
        with ExitStack() as held:
            with self._write_lock:
                self._ready_to_write()
                held.enter_context(self._moving)
                cursor = held.enter_context(self._file.transaction())
                moved, state = table.begin_settling(cursor, self._board)
            # Rows are appended while these move; only what replaces or deletes rows waits.
            table.finish_settling(cursor, state)
        with self._write_lock:
            table.tail_rows -= moved

    def _load(self) -> None:
        with self._file.transaction() as cursor:
            create_tables(cursor)
            self._names = MeterNames.load(cursor)
            self._board = LatestBoard()
            self._tables = {resolution: SampleTable(resolution) for resolution in Resolution}
            for table in self._tables.values():
                table.load(cursor, self._board)

    def _ready_to_write(self) -> None:
        if self._file.is_broken:
            self._file.revive()
            self._load()

    def _ready_to_read(self) -> None:
        if self._file.is_broken:
            with self._write_lock:
                self._ready_to_write()

    def _numbers(self, meters: pl.Series) -> npt.NDArray[np.int64]:
        numbers = self._names.numbers(meters)
        if numbers.null_count():
            new = meters.filter(numbers.is_null()).unique(maintain_order=True).to_list()
            with self._file.transaction() as cursor:
                longer = self._names.with_added(cursor, new)
            # Known only once it is committed: a number that was rolled back is given again.
            self._names = longer
            numbers = longer.numbers(meters)
        return numbers.cast(pl.Int64).to_numpy()

    def _is_due(self, times: int = 1) -> bool:
        return self._file.log_bytes() >= times * self._log_bytes or any(
            table.tail_rows >= times * self._settle_rows for table in self._tables.values()
        )

    def _wake_keeper(self) -> None:
        self._writes += 1
        if self._is_due():
            self._work.set()

    def _keep_house(self) -> None:
        while True:
            self._work.wait()
            self._work.clear()
            while not (self._closing.is_set() or self._is_due(times=2) or self._is_quiet()):
                continue
            if self._closing.is_set():
                return
            try:
                self.tidy()
            except (StoreUnavailable, duckdb.Error) as error:
                # Nothing is lost: rows stay in the tail and the log, and the next write asks again.
                _LOG.warning("duckdb.tidy_failed", file=str(self._file.path), error=str(error))

    def _is_quiet(self) -> bool:
        """Wait a moment and say whether nobody wrote in it."""
        writes = self._writes
        self._closing.wait(_PAUSE_S)
        return writes == self._writes


def _ordered(
    found: pl.DataFrame, names: MeterNames, values: Iterable[str], resolution: Resolution
) -> pl.DataFrame:
    schema = schema_of(resolution)
    numbers = found["number"]
    rank, meter = names.ranks(numbers).alias("rank"), names.texts(numbers).alias("meter")
    rows = found.with_columns(rank, meter, time=pl.col("time_ms").cast(schema["time"]))
    return rows.sort("rank", "time_ms").select(
        "time", "meter", *(pl.col(name).cast(schema[name]) for name in values)
    )

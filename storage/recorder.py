"""Takes sweeps from the stream into the time-series store, in its own thread.

A record leaves the stream only when the store has taken it and the windows it closed are rolled
up. Everything here may therefore happen twice, and is harmless when it does.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread

import polars as pl

from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind, Severity
from domain.ports import RETENTION, Resolution, Stream, StreamRecord, TimeSeries
from storage.record_decode import Decoded, decode
from storage.retention import Retention
from storage.roller import Roller, RollSettings


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """The limits of the recorder.

    `batch_records` sweeps at most are written in one go. When fewer wait it looks again after
    `idle_s`, so that live sweeps share transactions; while the store is down it waits
    `backoff_first_s`, doubled up to `backoff_most_s`. A record the store keeps putting off is moved
    aside after `most_tries`. `stop` drains the stream for `stop_within_s` at most.
    """

    batch_records: int = 400
    idle_s: float = 0.5
    backoff_first_s: float = 0.5
    backoff_most_s: float = 30.0
    most_tries: int = 5
    stop_within_s: float = 10.0
    retention_every_s: float = 3600.0
    retention: Mapping[Resolution, timedelta | None] = field(default_factory=lambda: RETENTION)
    rollups: RollSettings = field(default_factory=RollSettings)


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """Counters since the start. `lag_s` is the age that the newest stored reading had when it was
    stored, null before the first; `failure` is why the thread ended unasked."""

    readings: int = 0
    records: int = 0
    batches: int = 0
    rejected: int = 0
    damaged: int = 0
    rollup_rows: int = 0
    pruned_rows: int = 0
    store_failures: int = 0
    store_is_down: bool = False
    lag_s: float | None = None
    failure: str | None = None


class Recorder:
    """Moves records from a Stream to a TimeSeries. `start` and `stop` from any thread."""

    def __init__(
        self,
        stream: Stream,
        series: TimeSeries,
        clock: Clock,
        on_event: Callable[[Event], None],
        settings: RecorderSettings | None = None,
    ) -> None:
        self._stream, self._series, self._clock = stream, series, clock
        self._on_event = on_event
        self._settings = settings or RecorderSettings()
        self._roller = Roller(series, clock, self._settings.rollups, self._rollup_refused)
        self._retention = Retention(
            series, clock, self._settings.retention, every_s=self._settings.retention_every_s
        )
        self._stats = RecorderStats()
        self._limit = self._settings.batch_records
        self._tries: Counter[str] = Counter()
        self._settling: _Settling | None = None
        self._backoff_s = 0.0
        self._resumed = False
        self._stopping = Flag()
        self._thread: Thread | None = None

    @property
    def stats(self) -> RecorderStats:
        """Return the counters as they are now."""
        return self._stats

    @property
    def wait_s(self) -> float:
        """Return how long the thread waits before it looks again."""
        return self._backoff_s or self._settings.idle_s

    def start(self) -> None:
        """Start the thread; once only."""
        if self._thread is not None:
            raise RuntimeError("the recorder has been started already")
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Drain the stream within `stop_within_s`, roll up what is open, and end the thread.

        Returns False when the thread is still held up by the store after twice that time.
        """
        self._stopping.set()
        if self._thread is None:
            self._finish()
            return True
        self._thread.join(2 * self._settings.stop_within_s)
        return not self._thread.is_alive()

    def step(self) -> int:
        """Do one round and return how many records left the stream; the thread's work, for tests.

        Never raises for a store or stream that is down: it is told by an event, and waited for.
        """
        try:
            moved = self._round()
        except StoreUnavailable as error:
            self._failed(error)
            return 0
        self._worked()
        return moved

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self.step() < self._settings.batch_records:
                    self._stopping.wait(self.wait_s)
            self._finish()
        except BaseException as error:
            self._count(failure=f"{type(error).__name__}: {error}")
            raise

    def _finish(self) -> None:
        deadline = self._clock.monotonic() + self._settings.stop_within_s
        while self._clock.monotonic() < deadline and self.step():
            pass
        if self._stats.store_is_down:
            return
        try:
            self._count(rollup_rows=self._roller.roll_all())
        except StoreUnavailable as error:
            self._failed(error)

    def _round(self) -> int:
        if self._settling is not None:
            self._settle(self._settling)
        if not self._resumed:
            self._roller.resume()
            self._resumed = True
        records = self._stream.take(self._limit)
        if not records:
            if self._stats.store_is_down and not self._series.is_ready():
                raise StoreUnavailable("it still does not answer")
            self._count(rollup_rows=self._roller.roll_over(idle=True))
            self._keep_house()
            return 0
        try:
            settling = self._store(records)
        except StoreUnavailable:
            self._settle(_Settling(kept=tuple(record.id for record in records)))
            raise
        moved = self._settle(settling)
        self._keep_house()
        return moved

    def _store(self, records: Sequence[StreamRecord]) -> "_Settling":
        decoded = decode(records)
        for record, reason in decoded.damaged:
            self._tell(
                EventKind.RECORD_DAMAGED, record, f"a damaged record was moved aside: {reason}"
            )
        aside = dict(decoded.damaged)
        outcome = self._series.write(decoded.frame)
        for row in outcome.rejected:
            aside.setdefault(decoded.owner(row.row), row.reason)
        if outcome.kept:
            return self._put_off(decoded, aside)
        refused = [row.row for row in outcome.rejected]
        self._roller.touch(
            decoded.frame["time"].filter(
                ~pl.int_range(decoded.frame.height, eager=True).is_in(refused)
            )
        )
        self._count(rollup_rows=self._roller.roll_over())
        for record, reason in aside.items():
            if record in decoded.ids:
                self._tell(EventKind.RECORD_REJECTED, record, f"the store refuses it: {reason}")
        stored = tuple(record for record in decoded.ids if record not in aside)
        damaged = len(decoded.damaged)
        return _Settling(stored, tuple(aside.items()), (), outcome.accepted, damaged, decoded)

    def _put_off(self, decoded: Decoded, aside: dict[str, str]) -> "_Settling":
        """Sort a batch that was not taken whole: try its records alone, and not for ever."""
        self._limit = 1
        again = []
        for record in decoded.ids:
            self._tries[record] += 1
            if self._tries[record] < self._settings.most_tries:
                again.append(record)
                continue
            reason = f"not stored in {self._settings.most_tries} tries"
            aside.setdefault(record, reason)
            self._tell(EventKind.RECORD_REJECTED, record, f"the store refuses it: {aside[record]}")
        aside = {record: reason for record, reason in aside.items() if record not in again}
        return _Settling((), tuple(aside.items()), tuple(again), 0, len(decoded.damaged), decoded)

    def _settle(self, settling: "_Settling") -> int:
        # Kept until it succeeds: records that stay leased would not come again before a restart.
        self._settling = settling
        self._stream.settle(settling.stored, settling.aside, settling.kept)
        self._settling = None
        for record in (*settling.stored, *(record for record, _ in settling.aside)):
            self._tries.pop(record, None)
        if settling.stored:
            self._limit = min(2 * self._limit, self._settings.batch_records)
            self._count(batches=1, lag_s=self._lag_s(settling))
        self._count(
            readings=settling.rows,
            records=len(settling.stored),
            rejected=len(settling.aside) - settling.damaged,
            damaged=settling.damaged,
        )
        return len(settling.stored) + len(settling.aside)

    def _lag_s(self, settling: "_Settling") -> float | None:
        newest = settling.decoded.frame["time"].max() if settling.decoded is not None else None
        if not isinstance(newest, datetime):
            return self._stats.lag_s
        return (self._clock.now().astimezone(UTC) - newest).total_seconds()

    def _keep_house(self) -> None:
        jump = self._retention.run_if_due()
        self._stats = replace(self._stats, pruned_rows=self._retention.pruned_rows)
        if jump is not None:
            self._tell(
                EventKind.CLOCK_JUMP,
                "store",
                f"the clock leapt by {jump.seconds:.0f} s; old readings are not deleted this hour",
            )

    def _failed(self, error: StoreUnavailable) -> None:
        first, most = self._settings.backoff_first_s, self._settings.backoff_most_s
        self._backoff_s = min(max(2 * self._backoff_s, first), most)
        if not self._stats.store_is_down:
            self._tell(
                EventKind.STORE_DOWN,
                "store",
                f"readings wait in the spool: {error}",
                Severity.ALARM,
            )
        self._stats = replace(
            self._stats, store_is_down=True, store_failures=self._stats.store_failures + 1
        )

    def _worked(self) -> None:
        self._backoff_s = 0.0
        if self._stats.store_is_down:
            self._stats = replace(self._stats, store_is_down=False)
            self._tell(EventKind.STORE_BACK, "store", "readings are stored again", Severity.INFO)

    def _rollup_refused(self, what: str) -> None:
        self._tell(EventKind.RECORD_REJECTED, "rollup", f"the store refuses a rollup: {what}")

    def _tell(
        self, kind: EventKind, subject: str, message: str, severity: Severity = Severity.WARNING
    ) -> None:
        now = self._clock.now()
        self._on_event(Event(now, kind, subject, message, severity, "recorder", "store"))

    def _count(
        self, *, lag_s: float | None = None, failure: str | None = None, **more: int
    ) -> None:
        counted = {name: getattr(self._stats, name) + by for name, by in more.items()}
        self._stats = replace(
            self._stats,
            **counted,
            lag_s=self._stats.lag_s if lag_s is None else lag_s,
            failure=failure or self._stats.failure,
        )


@dataclass(frozen=True, slots=True)
class _Settling:
    """How the records of one batch ended, and what that adds to the counters."""

    stored: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    rows: int = 0
    damaged: int = 0
    decoded: Decoded | None = None

"""The recorder between a real spool and a real store: nothing lost, nothing twice, all told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from domain.clock import LeapClock
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind
from domain.frame import frame_to_bytes, sweep_frame
from domain.ports import Rejected, Resolution, StreamRecord, WriteOutcome
from storage.duckdb_series import DuckDbSeries
from storage.recorder import Recorder, RecorderSettings
from storage.roller import RollSettings
from storage.spool import SqliteSpool
from tests.storage_series.conftest import T0, at, samples

HOUR = timedelta(hours=1)


class Fickle(DuckDbSeries):
    """The real store, which can be told to be down, to put rows off, or to refuse some."""

    is_down = False
    puts_off = False
    refuses: frozenset[str] = frozenset()
    rolled: int = 0

    def write(self, frame: pl.DataFrame, resolution: Resolution = Resolution.RAW) -> WriteOutcome:
        if self.is_down:
            raise StoreUnavailable("told to be down")
        if resolution is not Resolution.RAW:
            self.rolled += frame.height
        bad = frame["meter"].is_in(list(self.refuses))
        if self.puts_off and bad.any():
            return WriteOutcome(0, kept=frame.height)
        super().write(frame.filter(~bad), resolution)
        rejected = tuple(Rejected(row, "refused by name") for row in bad.arg_true())
        return WriteOutcome(frame.height - len(rejected), rejected)

    def is_ready(self) -> bool:
        return not self.is_down and super().is_ready()


@dataclass
class Bench:
    """A recorder with its spool, store, clock and the events it told."""

    folder: Path
    clock: LeapClock = field(default_factory=lambda: LeapClock(T0))
    settings: RecorderSettings = field(default_factory=RecorderSettings)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.spool = SqliteSpool(self.folder / "spool.db", clock=self.clock)
        self.store = Fickle(self.folder / "series.duckdb")
        self.recorder = Recorder(
            self.spool, self.store, self.clock, self.events.append, self.settings
        )

    def close(self) -> None:
        self.store.close()
        self.spool.close()

    def publish(self, name: str, frame: pl.DataFrame | bytes) -> None:
        payload = frame if isinstance(frame, bytes) else frame_to_bytes(frame)
        self.spool.publish(StreamRecord(name, "sweep.bus-1", payload)).result(10)

    def powers(self) -> list[tuple[str, float, float | None]]:
        window = self.store.window(T0 - HOUR, T0 + 100 * HOUR)
        return [
            (meter, (time - T0).total_seconds(), power)
            for time, meter, power in window.select("time", "meter", "power_w").iter_rows()
        ]

    def minutes(self) -> list[tuple[float, float]]:
        """Return (seconds after T0, mean power) of the minutes stored."""
        window = self.store.window(T0 - HOUR, T0 + 100 * HOUR, resolution=Resolution.MINUTE)
        return [
            ((time - T0).total_seconds(), power)
            for time, power in window.select("time", "power_mean_w").iter_rows()
        ]

    def told(self) -> list[EventKind]:
        return [event.kind for event in self.events]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    rig = Bench(tmp_path)
    yield rig
    rig.close()


def test_sweeps_go_from_the_spool_to_the_store(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1), (0, "A2", 2)))
    bench.publish("s2", samples((1, "A1", 3)))

    assert bench.recorder.step() == 2
    assert bench.recorder.step() == 0

    assert bench.powers() == [("A1", 0, 1), ("A1", 1, 3), ("A2", 0, 2)]
    assert bench.spool.stats().depth == 0
    assert bench.spool.stats().accepted == 2
    stats = bench.recorder.stats
    assert (stats.readings, stats.records, stats.batches) == (3, 2, 1)


def test_an_empty_sweep_leaves_the_spool_too(bench: Bench) -> None:
    bench.publish("s1", sweep_frame([]))
    bench.recorder.step()

    assert bench.spool.stats().depth == 0


def test_the_lag_is_the_age_of_the_newest_reading_when_it_was_stored(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1), (3, "A1", 1)))
    bench.clock.leap(10)
    bench.recorder.step()

    assert bench.recorder.stats.lag_s == 7


def test_while_the_store_is_down_records_wait_and_it_is_told_once(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1)))
    bench.store.is_down = True
    for _ in range(5):
        assert bench.recorder.step() == 0
    bench.publish("s2", samples((1, "A1", 2)))

    assert bench.told() == [EventKind.STORE_DOWN]
    assert bench.spool.stats().depth == 2
    assert bench.recorder.stats.store_is_down

    bench.store.is_down = False
    assert bench.recorder.step() == 2
    assert bench.told() == [EventKind.STORE_DOWN, EventKind.STORE_BACK]
    assert bench.powers() == [("A1", 0, 1), ("A1", 1, 2)]
    assert bench.recorder.stats.store_failures == 5


def test_a_store_that_fails_between_samples_and_rollup_gets_the_samples_again(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1)))
    bench.recorder.step()
    bench.publish("s2", samples((70, "A1", 2)))
    bench.clock.leap(71)
    whole_write = bench.store.write
    calls: list[Resolution] = []

    def write(frame: pl.DataFrame, resolution: Resolution = Resolution.RAW) -> WriteOutcome:
        calls.append(resolution)
        if resolution is Resolution.MINUTE and calls.count(resolution) == 1:
            raise StoreUnavailable("fails in between")
        return whole_write(frame, resolution)

    bench.store.write = write  # type: ignore[method-assign]
    assert bench.recorder.step() == 0
    assert bench.spool.stats().depth == 1
    assert bench.recorder.step() == 1

    assert bench.powers() == [("A1", 0, 1), ("A1", 70, 2)]
    assert bench.minutes() == [(0, 1)]


def test_the_waits_between_tries_double_up_to_the_most(bench: Bench) -> None:
    bench.store.is_down = True
    bench.publish("s1", samples((0, "A1", 1)))
    waits = []
    for _ in range(9):
        bench.recorder.step()
        waits.append(bench.recorder.wait_s)

    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_damaged_record_is_moved_aside_and_the_others_are_stored(bench: Bench) -> None:
    whole = frame_to_bytes(samples((1, "A1", 2)))
    flipped = bytearray(whole)
    flipped[len(flipped) // 2 + 64] ^= 0x10
    bench.publish("s1", samples((0, "A1", 1)))
    bench.publish("s2", whole[: len(whole) // 2])
    bench.publish("s3", b"\x00" * 50)
    bench.publish("s4", frame_to_bytes(pl.DataFrame({"some": ["thing"]})))
    bench.publish("s5", samples((5, "A1", 6)))

    assert bench.recorder.step() == 5

    assert bench.powers() == [("A1", 0, 1), ("A1", 5, 6)]
    assert bench.told() == [EventKind.RECORD_DAMAGED] * 3
    assert [event.subject for event in bench.events] == ["s2", "s3", "s4"]
    stats = bench.spool.stats()
    assert (stats.depth, stats.accepted, stats.rejected) == (0, 2, 3)
    assert (bench.recorder.stats.damaged, bench.recorder.stats.rejected) == (3, 0)


def test_a_record_with_a_refused_row_is_moved_aside_and_its_good_rows_are_stored(
    bench: Bench,
) -> None:
    bench.store.refuses = frozenset({"BAD"})
    bench.publish("s1", samples((0, "A1", 1)))
    bench.publish("s2", samples((1, "A1", 2), (1, "BAD", 2)))
    bench.publish("s3", samples((2, "A1", 3)))

    assert bench.recorder.step() == 3

    assert bench.powers() == [("A1", 0, 1), ("A1", 1, 2), ("A1", 2, 3)]
    assert [(event.kind, event.subject) for event in bench.events] == [
        (EventKind.RECORD_REJECTED, "s2")
    ]
    assert "refused by name" in bench.events[0].message
    assert bench.recorder.stats.readings == 3
    assert bench.spool.stats().rejected == 1


def test_a_record_that_is_put_off_again_and_again_is_moved_aside_in_the_end(bench: Bench) -> None:
    bench.store.refuses, bench.store.puts_off = frozenset({"ODD"}), True
    for n in range(10):
        bench.publish(f"s{n}", samples((n, "ODD" if n == 4 else "A1", n)))

    for _ in range(40):
        bench.recorder.step()

    assert [second for _, second, _ in bench.powers()] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [(event.kind, event.subject) for event in bench.events] == [
        (EventKind.RECORD_REJECTED, "s4")
    ]
    assert bench.spool.stats().depth == 0
    assert bench.recorder.stats.readings == 9


def test_a_minute_is_rolled_up_once_it_is_over(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 10), (59, "A1", 20)))
    bench.clock.leap(60)
    bench.recorder.step()
    assert bench.minutes() == []

    bench.publish("s2", samples((64, "A1", 99)))
    bench.clock.leap(4)
    bench.recorder.step()
    assert bench.minutes() == []

    bench.publish("s3", samples((65, "A1", 99)))
    bench.clock.leap(1)
    bench.recorder.step()
    assert bench.minutes() == [(0, 15)]


def test_when_the_field_falls_silent_the_clock_says_that_a_minute_is_over(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 10)))
    bench.recorder.step()
    bench.clock.leap(64)
    bench.recorder.step()
    assert bench.minutes() == []

    bench.clock.leap(1)
    bench.recorder.step()
    assert bench.minutes() == [(0, 10)]


def test_late_samples_roll_their_minute_hour_and_day_again(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 10), (7300, "A1", 1)))
    bench.clock.leap(7300)
    bench.recorder.step()
    assert bench.minutes() == [(0, 10)]

    bench.publish("s2", samples((30, "A1", 20), (7301, "A1", 1)))
    bench.recorder.step()

    assert bench.minutes() == [(0, 15)]
    hours = bench.store.window(T0, T0 + HOUR, resolution=Resolution.HOUR)
    assert hours.select("power_mean_w", "samples").rows() == [(15, 2)]


def test_hours_and_days_are_rolled_while_they_run_and_when_they_are_over(bench: Bench) -> None:
    for half in (0, 3600):
        for n in range(half, half + 3600, 20):
            bench.publish(f"s{n}", samples((n, "A1", 100 if n < 3600 else 300)))
        bench.clock.leap(3600)
        bench.recorder.step()

    def of(resolution: Resolution) -> list[tuple[float, int]]:
        window = bench.store.window(T0 - 24 * HOUR, T0 + 24 * HOUR, resolution=resolution)
        return window.select("power_mean_w", "samples").rows()

    assert of(Resolution.HOUR) == [(100, 180), (300, 177)]
    assert of(Resolution.DAY) == [(pytest.approx(199.16, abs=0.01), 357)]
    bench.recorder.stop()
    assert of(Resolution.HOUR) == [(100, 180), (300, 180)]
    assert of(Resolution.DAY) == [(200, 360)]


def test_stopping_drains_the_spool_and_rolls_up_what_is_open(bench: Bench) -> None:
    for n in range(1000):
        bench.publish(f"s{n}", samples((n / 100, "A1", n)))
    bench.recorder.start()

    assert bench.recorder.stop()

    assert bench.spool.stats().depth == 0
    assert len(bench.powers()) == 1000
    assert bench.minutes() == [(0, 499.5)]
    assert bench.recorder.stats.failure is None


def test_after_a_kill_the_open_minute_is_rolled_up_all_the_same(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 10), (59, "A1", 20)))
    bench.recorder.step()
    bench.close()  # no stop(): what the recorder had in mind is lost

    bench.clock.leap(60)
    bench.open()
    bench.publish("s2", samples((66, "A1", 99)))
    bench.clock.leap(6)
    bench.recorder.step()

    assert bench.minutes() == [(0, 15)]


def test_records_that_come_twice_are_stored_once(bench: Bench) -> None:
    frame = samples((0, "A1", 1), (0, "A2", 2))
    bench.publish("s1", frame)
    bench.recorder.step()
    bench.publish("s1-again", frame)
    bench.publish("s1-half", samples((0, "A2", 2)))
    bench.recorder.step()

    assert bench.powers() == [("A1", 0, 1), ("A2", 0, 2)]


def test_a_kill_between_storing_and_settling_stores_nothing_twice(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1)))
    (record,) = bench.spool.take(10)
    bench.store.write(samples((0, "A1", 1)))
    assert record.id == "s1"
    bench.close()

    bench.open()
    bench.recorder.step()

    assert bench.powers() == [("A1", 0, 1)]
    assert bench.spool.stats().depth == 0


def test_a_spool_that_fails_to_settle_is_asked_again(bench: Bench) -> None:
    bench.publish("s1", samples((0, "A1", 1)))
    whole_settle = bench.spool.settle
    tries: list[int] = []

    def settle(
        accepted: Sequence[str] = (),
        rejected: Sequence[tuple[str, str]] = (),
        kept: Sequence[str] = (),
    ) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable("disk full")
        whole_settle(accepted, rejected, kept)

    bench.spool.settle = settle  # type: ignore[method-assign]
    bench.recorder.step()
    assert bench.spool.stats().depth == 1

    bench.recorder.step()
    assert bench.spool.stats().depth == 0
    assert bench.recorder.stats.readings == 1


def test_readings_from_a_clock_that_ran_ahead_hold_nothing_up(bench: Bench) -> None:
    day_ahead = 86_400
    bench.publish("s1", samples((day_ahead, "A1", 7)))
    bench.publish("s2", samples((0, "A1", 1), (30, "A1", 3)))
    bench.clock.leap(31)
    bench.recorder.step()
    assert bench.minutes() == [(day_ahead, 7)]

    bench.publish("s3", samples((70, "A1", 9)))
    bench.clock.leap(40)
    bench.recorder.step()
    assert bench.minutes() == [(0, 2), (day_ahead, 7)]


def test_old_samples_are_deleted_once_an_hour(tmp_path: Path) -> None:
    keep = {Resolution.RAW: timedelta(minutes=30), Resolution.MINUTE: None}
    bench = Bench(tmp_path, settings=RecorderSettings(retention=keep))
    bench.publish("s1", samples((0, "A1", 1), (3500, "A1", 2)))
    bench.recorder.step()
    bench.clock.leap(3599)
    bench.recorder.step()
    assert len(bench.powers()) == 2

    bench.clock.leap(1)
    bench.recorder.step()

    assert bench.powers() == [("A1", 3500, 2)]
    assert bench.recorder.stats.pruned_rows == 1
    assert bench.minutes()[0] == (0, 1)
    bench.close()


@pytest.mark.parametrize("to", [datetime(2099, 1, 1, tzinfo=T0.tzinfo), T0 - 5 * HOUR])
def test_after_a_leap_of_the_clock_nothing_is_deleted(tmp_path: Path, to: datetime) -> None:
    keep = {Resolution.RAW: timedelta(minutes=30)}
    bench = Bench(tmp_path, settings=RecorderSettings(retention=keep))
    bench.publish("s1", samples((0, "A1", 1)))
    bench.recorder.step()
    bench.clock.leap(3600)
    bench.clock.jump(to)
    bench.recorder.step()

    assert len(bench.powers()) == 1
    assert bench.told() == [EventKind.CLOCK_JUMP]
    bench.close()


def test_a_rollup_that_the_store_refuses_holds_up_no_samples(bench: Bench) -> None:
    whole_write = bench.store.write

    def write(frame: pl.DataFrame, resolution: Resolution = Resolution.RAW) -> WriteOutcome:
        if resolution is Resolution.RAW:
            return whole_write(frame, resolution)
        return WriteOutcome(0, tuple(Rejected(row, "no") for row in range(frame.height)))

    bench.store.write = write  # type: ignore[method-assign]
    bench.publish("s1", samples((0, "A1", 1), (70, "A1", 2)))
    bench.clock.leap(71)

    assert bench.recorder.step() == 1
    assert len(bench.powers()) == 2
    assert bench.told() == [EventKind.RECORD_REJECTED]
    assert bench.events[0].subject == "rollup"


def test_a_thread_that_ends_on_a_bug_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> list[StreamRecord]:
        raise ZeroDivisionError("a bug")

    hooked: list[str] = []
    monkeypatch.setattr("threading.excepthook", lambda args: hooked.append(str(args.exc_value)))
    monkeypatch.setattr(bench.spool, "take", broken)
    bench.recorder.start()
    bench.recorder.stop()

    assert bench.recorder.stats.failure == "ZeroDivisionError: a bug"
    assert hooked == ["a bug"]


def test_days_follow_the_site_s_clock(tmp_path: Path) -> None:
    rolls = RollSettings(time_zone="Asia/Shanghai")
    bench = Bench(tmp_path, settings=RecorderSettings(rollups=rolls))
    bench.publish("s1", samples((0, "A1", 1), (7 * 3600, "A1", 2), (9 * 3600, "A1", 3)))
    bench.clock.leap(9 * 3600)
    bench.recorder.step()
    bench.recorder.stop()

    days = bench.store.window(T0 - 24 * HOUR, T0 + 48 * HOUR, resolution=Resolution.DAY)
    assert days["time"].to_list() == [at(-16 * 3600), at(8 * 3600)]
    assert days["samples"].to_list() == [2, 1]
    bench.close()

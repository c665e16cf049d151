"""A notifier that is dead, or stuck, is told by somebody else: timelines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from message_station import LATER, WANG, Box, Station, notice

from domain.errors import StoreUnavailable
from domain.events import EventKind, Severity

STALLED, BACK = EventKind.MESSAGES_STALLED, EventKind.MESSAGES_BACK


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path, Box("mail"), tries_most=50, retry_after_s=1, retry_after_most_s=60)
    yield made
    made.stop()


def watch(station: Station, seconds: int, *, alive: bool, step_s: int = 10) -> None:
    """Let time pass in steps; the watcher looks at every one of them."""
    for _ in range(seconds // step_s):
        if alive:
            station.notifier.send_due()
        station.heart.check(station.clock.now())
        station.clock.leap(step_s)


def kinds(station: Station) -> list[EventKind]:
    return [event.kind for event in station.events]


def test_a_living_notifier_is_no_news(station: Station) -> None:
    watch(station, 3600, alive=True, step_s=60)
    assert station.events == []


def test_a_dead_notifier_is_an_alarm_and_its_return_is_told(station: Station) -> None:
    watch(station, 60, alive=True)
    watch(station, 110, alive=False)
    assert kinds(station) == []
    watch(station, 60, alive=False)
    assert kinds(station) == [STALLED]
    assert station.events[0].severity is Severity.ALARM
    watch(station, 60, alive=True)
    assert kinds(station) == [STALLED, BACK]


def test_a_notifier_that_never_lived_is_an_alarm_too(station: Station) -> None:
    watch(station, 200, alive=False)
    assert kinds(station) == [STALLED]


def test_the_alarm_comes_again_every_hour(station: Station) -> None:
    watch(station, 3 * 3600, alive=False, step_s=60)
    assert kinds(station) == [STALLED] * 3


def test_a_queue_that_does_not_move_is_an_alarm_although_the_notifier_lives(
    station: Station,
) -> None:
    station.notifier.tell([notice("t1", WANG)])
    for _ in range(100):  # it beats, and sends nothing
        station.outbox.beat(station.clock.now())
        station.heart.check(station.clock.now())
        station.clock.leap(10)
    assert kinds(station) == [STALLED]
    assert "do not go out" in station.events[0].message


def test_a_provider_that_is_down_is_no_stall(station: Station) -> None:
    station.channels[0].answer = LATER  # type: ignore[attr-defined]
    station.notifier.tell([notice("t1", WANG)])
    watch(station, 1800, alive=True, step_s=30)
    assert STALLED not in kinds(station)


def test_a_long_queue_that_moves_at_the_sites_rate_is_no_stall(tmp_path: Path) -> None:
    station = Station(tmp_path, Box("mail"), per_minute=1, per_person_a_day=1000)
    station.notifier.tell([notice(f"t{n}", WANG) for n in range(40)])
    watch(station, 2400, alive=True, step_s=61)
    assert station.events == []
    station.stop()


def test_messages_held_for_the_morning_are_no_stall(station: Station) -> None:
    station.at("2026-03-04 23:00")
    station.notifier.tell([notice("t1", WANG)])
    watch(station, 8 * 3600, alive=True, step_s=100)
    assert station.events == []


def test_a_store_that_can_not_be_read_is_an_alarm(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(station.outbox, "last_beat", broken)
    assert "the disk is gone" in station.heart.check(station.clock.now())
    assert kinds(station) == [STALLED]


def test_the_first_look_after_a_long_stop_is_no_alarm(station: Station) -> None:
    station.notifier.tell([notice("t1", WANG)])
    station.stop()
    station.clock.leap(86_400)
    station.start()
    station.heart.check(station.clock.now())
    assert station.events == []

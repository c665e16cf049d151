"""Row 19 of the fault table: a storm of events becomes a handful of alarms, and none is lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from world import NOON, World

from control.grouping import STORM, AlarmBook, GroupingLimits, Notice, group_alarms
from domain.causes import CauseKind, RuleMode
from domain.events import Event, EventKind, Severity
from storage.ledger.sql_ledger import SqlLedger

ALARM = Severity.ALARM


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def event(
    seconds: float,
    kind: EventKind,
    subject: str,
    group: str = "",
    severity: Severity = ALARM,
    **details: str,
) -> Event:
    return Event(at(seconds), kind, subject, "what happened", severity, "system", group, details)


def most_in_window(notices: Sequence[Notice], window_s: float = 600) -> int:
    times = [notice.time for notice in notices]
    window = timedelta(seconds=window_s)
    return max((sum(t <= u < t + window for u in times) for t in times), default=0)


def loss_of_the_site() -> list[Event]:
    """324 meters fall silent within a minute, and every one of the 12 buses is down."""
    events = [
        event(n * 60 / 324, EventKind.METER_SILENT, f"m{n}", f"bus{n % 12}") for n in range(324)
    ]
    events += [event(61 + n, EventKind.BUS_DOWN, f"bus{n}", f"bus{n}") for n in range(12)]
    return events


def test_19_loss_of_the_whole_site_gives_at_most_ten_alarms_in_ten_minutes() -> None:
    alarms, notices = group_alarms(loss_of_the_site())
    assert most_in_window(notices) <= 10
    assert len(alarms) == 12  # one a bus, whatever happens on it
    assert sum(alarm.count for alarm in alarms) == 336
    named = " ".join(notice.text for notice in notices)
    later = AlarmBook.of(loss_of_the_site()).due(at(3600))
    named += " ".join(notice.text for notice in later)
    for number in range(12):
        assert f"bus{number}" in named  # a person has heard of every one


def test_19_chatter_of_one_hertz_for_an_hour_gives_at_most_two_notices() -> None:
    events = []
    for second in range(3600):
        events.append(event(second, EventKind.METER_SILENT, "m1", "bus1"))
        events.append(event(second + 0.5, EventKind.METER_BACK, "m1", "bus1", Severity.INFO))
    alarms, notices = group_alarms(events)
    assert len(notices) == 2
    assert "has come back 10 times" in notices[1].text
    assert [alarm.count for alarm in alarms] == [3600]


def test_19_the_same_event_for_an_hour_is_told_once_and_once_as_chatter() -> None:
    events = [event(second, EventKind.RELAY_MOVED_ALONE, "m1") for second in range(3600)]
    assert len(group_alarms(events)[1]) == 2


def test_an_alarm_that_grows_is_told_again_after_a_while() -> None:
    events = [event(0, EventKind.METER_SILENT, "m1", "bus1")]
    events += [event(60, EventKind.METER_SILENT, "m2", "bus1")]
    events += [event(3600 + n, EventKind.METER_SILENT, f"m{n}", "bus1") for n in range(3, 27)]
    _, notices = group_alarms(events)
    assert [notice.time for notice in notices] == [at(0), at(3603)]


def test_an_alarm_ends_when_everything_in_it_has_ended() -> None:
    silent = [event(n, EventKind.METER_SILENT, f"m{n}", "bus1") for n in range(3)]
    back = [event(10 + n, EventKind.METER_BACK, f"m{n}", "bus1", Severity.INFO) for n in range(3)]
    book = AlarmBook.of(silent + back[:2])
    assert [alarm.key for alarm in book.open()] == ["bus1"]
    book.add(back[2])
    assert book.open() == []
    assert book.alarms["bus1"].ended_at == at(12)


def test_a_cause_ends_its_own_alarm_and_no_other() -> None:
    book = AlarmBook.of(
        [
            event(0, EventKind.TAMPER, "m1", "tamper:B1", cause="a"),
            event(1, EventKind.TAMPER, "m1", "tamper:B1", cause="b"),
            event(2, EventKind.CAUSE_CLEARED, "m1", "", Severity.INFO, cause="a"),
        ]
    )
    assert len(book.open()) == 1
    book.add(event(3, EventKind.CAUSE_CLEARED, "m1", "", Severity.INFO, cause="b"))
    assert book.open() == []


def test_an_unproven_command_ends_with_a_proven_one_only() -> None:
    unproven = event(0, EventKind.COMMAND_UNPROVEN, "m1", "bus1")
    book = AlarmBook.of([unproven, event(1, EventKind.COMMAND_DONE, "m1", "", Severity.WARNING)])
    assert len(book.open()) == 1
    book.add(event(2, EventKind.COMMAND_DONE, "m1", "", Severity.INFO))
    assert book.open() == []


def test_what_comes_again_long_after_is_a_new_alarm() -> None:
    events = [event(0, EventKind.METER_SWAP, "m1"), event(1801, EventKind.METER_SWAP, "m1")]
    alarms, notices = group_alarms(events)
    assert (len(alarms), len(notices)) == (2, 2)


def test_what_found_no_room_is_told_once_there_is_room_again() -> None:
    limits = GroupingLimits(notices_most=3)
    events = [event(n, EventKind.METER_SWAP, f"m{n}") for n in range(6)]
    book = AlarmBook(limits)
    notices = [notice for one in events for notice in book.add(one)]
    assert [notice.key for notice in notices] == ["meter-swap:m0", "meter-swap:m1", STORM]
    assert book.due(at(599)) == []
    (later,) = book.due(at(601))
    assert later.text == "more alarms at once: meter-swap:m3, meter-swap:m4, meter-swap:m5"
    assert book.due(at(5000)) == []


def test_info_and_warnings_are_no_alarms() -> None:
    quiet = [event(0, EventKind.CAUSE_RAISED, "m1", "", Severity.WARNING)]
    quiet += [event(1, EventKind.SERVICE_STARTED, "site", "", Severity.INFO)]
    assert group_alarms(quiet) == ([], [])


happenings = st.lists(
    st.tuples(
        st.floats(0, 300),
        st.sampled_from(
            [
                EventKind.METER_SILENT,
                EventKind.METER_BACK,
                EventKind.BUS_DOWN,
                EventKind.METER_SWAP,
                EventKind.TRIPS_LIMITED,
            ]
        ),
        st.integers(0, 30),
        st.booleans(),
    ),
    max_size=120,
)


def story(steps: list[tuple[float, EventKind, int, bool]]) -> list[Event]:
    now_s, events = 0.0, []
    for pause_s, kind, number, grouped in steps:
        now_s += pause_s
        severity = Severity.INFO if kind is EventKind.METER_BACK else ALARM
        group = f"bus{number % 12}" if grouped else ""
        events.append(event(now_s, kind, f"m{number}", group, severity))
    return events


@given(happenings)
def test_any_story_stays_below_the_bound_and_loses_nothing(
    steps: list[tuple[float, EventKind, int, bool]],
) -> None:
    events = story(steps)
    alarms, notices = group_alarms(events)
    assert most_in_window(notices) <= 10
    assert sum(alarm.count for alarm in alarms) == sum(one.severity is ALARM for one in events)
    book = AlarmBook.of(events)
    end = events[-1].time if events else NOON
    told = " ".join(notice.text for notice in notices + book.due(end + timedelta(seconds=601)))
    untold = [alarm.key for alarm in alarms if alarm.noticed_at is None and alarm.key not in told]
    assert untold == [] or " more" in told


@given(happenings, st.integers(0, 120))
def test_the_book_is_the_same_after_a_restart_in_the_middle(
    steps: list[tuple[float, EventKind, int, bool]], cut: int
) -> None:
    events = story(steps)
    whole = AlarmBook()
    notices = [notice for one in events for notice in whole.add(one)]
    before = AlarmBook()
    first = [notice for one in events[:cut] for notice in before.add(one)]
    after = AlarmBook.of(events[:cut])  # the process was killed; this is read from the ledger
    second = [notice for one in events[cut:] for notice in after.add(one)]
    assert first + second == notices
    assert after.alarms == whole.alarms


async def test_19_the_alarms_of_a_station_are_derived_from_its_ledger(tmp_path: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    try:
        world = World(30, ledger=ledger)
        await world.at(0)
        await world.say(
            *(
                world.verdict(CauseKind.TAMPER, meter=f"m{n}", mode=RuleMode.ALARM)
                for n in range(30)
            )
        )
        live = AlarmBook.of(world.events)
        stored = AlarmBook.of(ledger.events(since=NOON)[::-1])
        assert [alarm.text() for alarm in live.open()] == [a.text() for a in stored.open()]
        (alarm,) = stored.open()
        assert (alarm.key, alarm.count, len(alarm.items)) == ("tamper:B1", 30, 30)
    finally:
        ledger.close()

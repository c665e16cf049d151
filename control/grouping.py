"""From events to what a person is told: one alarm for one common cause, and never a flood.

A pure fold over the events of the ledger: the same events give the same alarms and notices, so a
restart forgets nothing.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.events import Event, EventKind, Severity

STORM = "storm"


@dataclass(frozen=True, slots=True)
class GroupingLimits:
    """How much a person is told: at most `notices_most` in any `window_s`; what comes again within
    `quiet_s` is the same alarm; one that has come `chatter_count` times is told once more, and one
    that goes on is told again every `remind_s`. `closed_kept` ended alarms are remembered."""

    notices_most: int = 10
    window_s: float = 600.0
    quiet_s: float = 1800.0
    chatter_count: int = 10
    remind_s: float = 7200.0
    closed_kept: int = 2000


# What ends which alarms of the same subject.
ENDS: Mapping[EventKind, frozenset[EventKind]] = {
    EventKind.METER_BACK: frozenset({EventKind.METER_SILENT}),
    EventKind.BUS_BACK: frozenset({EventKind.BUS_DOWN}),
    EventKind.STORE_BACK: frozenset({EventKind.STORE_DOWN, EventKind.SPOOL_FULL}),
    EventKind.COMMAND_DONE: frozenset({EventKind.COMMAND_UNPROVEN}),
    EventKind.CAUSE_CLEARED: frozenset(
        {
            EventKind.CAUSE_RAISED,
            EventKind.TAMPER,
            EventKind.KEEP_POWER,
            EventKind.RESTORE_LOCKED,
        }
    ),
    EventKind.APPROVAL: frozenset({EventKind.TRIPS_LIMITED}),
}
# Alarms of these kinds last until something ends them; all others have happened and are over.
LASTING = frozenset().union(*ENDS.values())
Item = tuple[EventKind, str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing told to a person: when, about which alarm, in words."""

    time: datetime
    key: str
    text: str


@dataclass(slots=True)
class OperatorAlarm:
    """All events of one common cause: `items` that still hold, `count` events in all, `returns` of
    things that were there before, `noticed_at` when a person was last told of it."""

    key: str
    first: datetime
    last: datetime
    message: str
    count: int = 0
    returns: int = 0
    items: dict[Item, str] = field(default_factory=dict)
    subjects: dict[str, int] = field(default_factory=dict)
    kinds: dict[EventKind, int] = field(default_factory=dict)
    seen: set[tuple[EventKind, str]] = field(default_factory=set)
    ended_at: datetime | None = None
    noticed_at: datetime | None = None
    chatter_told: bool = False

    def text(self) -> str:
        """Return the alarm in words: what, how many, which."""
        what = ", ".join(f"{kind.value} x{count}" for kind, count in self.kinds.items())
        first_few = ", ".join(list(self.subjects)[:5])
        more = f" and {len(self.subjects) - 5} more" if len(self.subjects) > 5 else ""
        return f"{self.key}: {what} ({first_few}{more}): {self.message}"


class AlarmBook:
    """The alarms so far. `add` takes events in order of time and returns what a person is told."""

    def __init__(self, limits: GroupingLimits | None = None) -> None:
        self.limits = limits or GroupingLimits()
        self.alarms: dict[str, OperatorAlarm] = {}
        self.ended: deque[OperatorAlarm] = deque(maxlen=self.limits.closed_kept)
        self._told: deque[datetime] = deque(maxlen=self.limits.notices_most)
        # Alarms that nobody was told of yet, because too much was told already.
        self._untold: dict[str, OperatorAlarm] = {}

    @classmethod
    def of(cls, events: Iterable[Event], limits: GroupingLimits | None = None) -> "AlarmBook":
        """Return the book as it stands after these events, oldest first."""
        book = cls(limits)
        for event in events:
            book.add(event)
        return book

    def open(self) -> list[OperatorAlarm]:
        """Return the alarms that still hold, oldest first."""
        return [alarm for alarm in self.alarms.values() if alarm.ended_at is None]

    def add(self, event: Event) -> list[Notice]:
        """Take the next event; return the notices it gives rise to, mostly none."""
        notices = self.due(event.time)
        if event.severity is Severity.ALARM:
            return notices + self._raise(event)
        if event.kind in ENDS:
            self._end(event)
        return notices

    def due(self, now: datetime) -> list[Notice]:
        """Return what has become due by time alone: what found no room is told, all together, once
        there is room again."""
        if self._untold and self._has_room(now, self.limits.notices_most - 1):
            return [self._tell_storm(now)]
        return []

    def _raise(self, event: Event) -> list[Notice]:
        alarm = self._alarm_of(event)
        who = (event.kind, event.subject)
        is_growth = who not in alarm.seen
        alarm.returns += not is_growth
        alarm.count += 1
        alarm.last = event.time
        alarm.seen.add(who)
        alarm.subjects[event.subject] = alarm.subjects.get(event.subject, 0) + 1
        alarm.kinds[event.kind] = alarm.kinds.get(event.kind, 0) + 1
        if event.kind in LASTING:
            alarm.items[event.kind, event.subject, _thread(event.kind, event.details)] = (
                event.message
            )
        alarm.ended_at = None if alarm.items else event.time
        return self._tell(alarm, event.time) if self._is_news(alarm, event, is_growth) else []

    def _alarm_of(self, event: Event) -> OperatorAlarm:
        """Return the alarm that an event belongs to: the last of its common cause, or a new one
        where that is long over."""
        key = event.group or f"{event.kind.value}:{event.subject}"
        alarm = self.alarms.get(key)
        quiet = timedelta(seconds=self.limits.quiet_s)
        if alarm is not None and (alarm.ended_at is None or event.time - alarm.last <= quiet):
            return alarm
        if alarm is not None:
            self.ended.append(alarm)
        self.alarms[key] = OperatorAlarm(key, event.time, event.time, event.message)
        return self.alarms[key]

    def _is_news(self, alarm: OperatorAlarm, event: Event, is_growth: bool) -> bool:
        if alarm.noticed_at is None:
            return True
        if not alarm.chatter_told and alarm.returns >= self.limits.chatter_count:
            alarm.chatter_told = True
            return True
        pause_s = self.limits.quiet_s if is_growth else self.limits.remind_s
        return event.time - alarm.noticed_at >= timedelta(seconds=pause_s)

    def _tell(self, alarm: OperatorAlarm, now: datetime) -> list[Notice]:
        """Tell of one alarm; the last place in the window is for all that find none."""
        if self._has_room(now, self.limits.notices_most - 1):
            self._untold.pop(alarm.key, None)
            alarm.noticed_at = now
            self._told.append(now)
            chatter = f" (has come back {alarm.returns} times)" if alarm.chatter_told else ""
            return [Notice(now, alarm.key, alarm.text() + chatter)]
        self._untold[alarm.key] = alarm
        return [self._tell_storm(now)] if self._has_room(now, self.limits.notices_most) else []

    def _tell_storm(self, now: datetime) -> Notice:
        keys = list(self._untold)
        for alarm in self._untold.values():
            alarm.noticed_at = now
        self._untold.clear()
        self._told.append(now)
        more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
        return Notice(now, STORM, f"more alarms at once: {', '.join(keys[:10])}{more}")

    def _has_room(self, now: datetime, most: int) -> bool:
        window = timedelta(seconds=self.limits.window_s)
        return sum(now - told < window for told in self._told) < most

    def _end(self, event: Event) -> None:
        if event.kind is EventKind.COMMAND_DONE and event.severity is not Severity.INFO:
            return  # it ended, but not as it should
        for alarm in self.alarms.values():
            gone = [item for item in alarm.items if _is_ended(item, event)]
            for item in gone:
                del alarm.items[item]
            if gone and not alarm.items:
                alarm.ended_at = event.time


def group_alarms(
    events: Iterable[Event], limits: GroupingLimits | None = None
) -> tuple[list[OperatorAlarm], list[Notice]]:
    """Return the alarms of some events (oldest first) and every notice a person got of them."""
    book = AlarmBook(limits)
    notices = [notice for event in events for notice in book.add(event)]
    return [*book.ended, *book.alarms.values()], notices


def _thread(kind: EventKind, details: Mapping[str, Any]) -> str:
    """What tells two alarms of one kind about one subject apart: the cause, the approval."""
    name = "approval" if kind in (EventKind.TRIPS_LIMITED, EventKind.APPROVAL) else "cause"
    return str(details.get(name) or "")


def _is_ended(item: Item, event: Event) -> bool:
    kind, subject, thread = item
    if kind not in ENDS[event.kind]:
        return False
    if event.kind is EventKind.APPROVAL:
        answered = event.details.get("state") in ("granted", "expired")
        return answered and thread == _thread(event.kind, event.details)
    return subject == event.subject and (not thread or thread == _thread(event.kind, event.details))

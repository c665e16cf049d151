"""Schedules of reports: when one is due at the site, and which days it is then about."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from billing.reports.period import Period
from billing.reports.service import ReportFormat
from domain.catalogue.language import Language


class Every(StrEnum):
    """How often a scheduled report comes."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class ReportSchedule:
    """A report that is sent by e-mail. `at` is local time.

    `on` is the weekday (1 Monday to 7) of a weekly one, the day (1-28) of a monthly one, None of a
    daily one. It covers the day before, the seven days before, or the month before. Runs that were
    due before `since` are not made up for.
    """

    id: str
    report: str
    every: Every
    at: time
    on: int | None
    recipients: tuple[str, ...]
    format: ReportFormat
    language: Language
    active: bool
    since: datetime
    saved_by: str


class RunState(StrEnum):
    """How a run stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One due time of a schedule. `recipients` are those it has still to reach."""

    schedule: str
    due_at: datetime
    first: date
    end: date
    state: RunState
    recipients: tuple[str, ...]
    tries: int = 0
    next_try_at: datetime | None = None
    finished_at: datetime | None = None
    note: str = ""


class ScheduleStore(Protocol):
    """Keeps schedules and runs. Thread-safe; writes resolve once durable.

    `add_runs` leaves runs alone that are there already. `due_runs` returns waiting runs to be tried
    by now, oldest due first; `runs` newest first. `last_due` is the newest due time of a schedule's
    runs. Raises StoreUnavailable.
    """

    def schedules(self) -> Sequence[ReportSchedule]: ...

    def schedule(self, schedule_id: str) -> ReportSchedule | None: ...

    def put_schedule(self, schedule: ReportSchedule) -> "Future[None]": ...

    def delete_schedule(self, schedule_id: str) -> "Future[bool]": ...

    def add_runs(self, runs: Sequence[ReportRun]) -> "Future[None]": ...

    def put_run(self, run: ReportRun) -> "Future[None]": ...

    def due_runs(self, now: datetime, limit: int) -> Sequence[ReportRun]: ...

    def runs(self, *, schedule_id: str | None = None, limit: int = 100) -> Sequence[ReportRun]: ...

    def last_due(self, schedule_id: str) -> datetime | None: ...


def due_between(
    schedule: ReportSchedule, after: datetime, until: datetime, zone: ZoneInfo, most: int
) -> list[ReportRun]:
    """Return the runs due after a moment and not after another, oldest first, at most so many."""
    runs: list[ReportRun] = []
    for day in _days(schedule, after.astimezone(zone).date(), until.astimezone(zone).date()):
        due_at = datetime.combine(day, schedule.at, tzinfo=zone).astimezone(UTC)
        if after < due_at <= until:
            covered = covered_by(schedule, day, zone)
            runs.append(
                ReportRun(
                    schedule=schedule.id,
                    due_at=due_at,
                    first=covered.first,
                    end=covered.end,
                    state=RunState.WAITING,
                    recipients=schedule.recipients,
                    next_try_at=due_at,
                )
            )
            if len(runs) >= most:
                break
    return runs


def covered_by(schedule: ReportSchedule, due: date, zone: ZoneInfo) -> Period:
    """Return the days that a report due on some day is about."""
    if schedule.every is Every.DAY:
        return Period(due - timedelta(days=1), due, zone)
    if schedule.every is Every.WEEK:
        return Period(due - timedelta(days=7), due, zone)
    last = due.replace(day=1) - timedelta(days=1)
    return Period.of_month(last.year, last.month, zone)


def _days(schedule: ReportSchedule, first: date, last: date) -> Iterator[date]:
    # A day more at both ends: local days and moments need not agree there.
    day, end = first - timedelta(days=1), last + timedelta(days=1)
    while day <= end:
        if _is_due(schedule, day):
            yield day
        day += timedelta(days=1)


def _is_due(schedule: ReportSchedule, day: date) -> bool:
    if schedule.every is Every.WEEK:
        return day.isoweekday() == schedule.on
    return schedule.every is Every.DAY or day.day == schedule.on

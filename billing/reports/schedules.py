"""Schedules of reports, kept and changed by people: checked whole before they are saved."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from billing.reports.schedule import Every, ReportRun, ReportSchedule, ScheduleStore
from billing.reports.service import ReportFormat, Reports
from billing.reports.settings import ADDRESS
from domain.catalogue.language import Language
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject
from domain.faults import Fault

WRITE_WITHIN_S = 30.0
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class ScheduleWish:
    """What somebody wants sent; see ReportSchedule for the fields."""

    report: str
    every: Every
    at: time
    on: int | None
    recipients: tuple[str, ...]
    format: ReportFormat = ReportFormat.XLSX
    language: Language = "zh-CN"
    active: bool = True


class ReportSchedules:
    """Lists, saves and deletes schedules, and lists their runs. Thread-safe; calls block."""

    def __init__(self, store: ScheduleStore, reports: Reports, clock: Clock) -> None:
        self._store, self._reports, self._clock = store, reports, clock

    def schedules(self) -> Sequence[ReportSchedule]:
        """Return all schedules."""
        return self._store.schedules()

    def schedule(self, schedule_id: str) -> ReportSchedule:
        """Return one schedule. Raises UnknownSubject."""
        found = self._store.schedule(schedule_id)
        if found is None:
            raise UnknownSubject(f"no schedule {schedule_id!r}")
        return found

    def save(self, schedule_id: str, wish: ScheduleWish, actor: str) -> ReportSchedule:
        """Save a schedule, new or changed, durably; it counts from now on. Raises InvalidInput."""
        faults = self._faults(schedule_id, wish)
        if faults:
            raise InvalidInput(faults)
        saved = ReportSchedule(
            id=schedule_id,
            report=wish.report,
            every=wish.every,
            at=wish.at,
            on=wish.on,
            recipients=wish.recipients,
            format=wish.format,
            language=wish.language,
            active=wish.active,
            since=self._clock.now(),
            saved_by=actor,
        )
        self._store.put_schedule(saved).result(WRITE_WITHIN_S)
        return saved

    def delete(self, schedule_id: str) -> None:
        """Delete a schedule; its runs stay listed. Raises UnknownSubject."""
        if not self._store.delete_schedule(schedule_id).result(WRITE_WITHIN_S):
            raise UnknownSubject(f"no schedule {schedule_id!r}")

    def runs(self, schedule_id: str, limit: int) -> Sequence[ReportRun]:
        """Return the runs of a schedule, newest first."""
        return self._store.runs(schedule_id=schedule_id, limit=limit)

    def _faults(self, schedule_id: str, wish: ScheduleWish) -> list[Fault]:
        settings = self._reports.settings
        faults: list[Fault] = []
        if not _ID.fullmatch(schedule_id):
            faults.append(Fault("id", "must be 1 to 64 letters, digits, dots or dashes"))
        if wish.report not in self._reports.names():
            names = ", ".join(self._reports.names())
            faults.append(Fault("report", f"must be one of {names} (given: {wish.report!r})"))
        faults += _when_faults(wish)
        if not 1 <= len(wish.recipients) <= settings.recipients_most:
            faults.append(Fault("recipients", f"must be 1 to {settings.recipients_most}"))
        faults += [
            Fault("recipients", f"is no e-mail address (given: {address!r})")
            for address in wish.recipients
            if not re.fullmatch(ADDRESS.strip("^$"), address)
        ]
        known = {schedule.id for schedule in self._store.schedules()}
        if schedule_id not in known and len(known) >= settings.schedules_most:
            faults.append(Fault("id", f"there are {settings.schedules_most} schedules already"))
        return faults


def _when_faults(wish: ScheduleWish) -> list[Fault]:
    faults = []
    most = {Every.DAY: 0, Every.WEEK: 7, Every.MONTH: 28}[wish.every]
    if most and (wish.on is None or not 1 <= wish.on <= most):
        faults.append(Fault("on", f"must be 1 to {most} for one a {wish.every.value}"))
    if not most and wish.on is not None:
        faults.append(Fault("on", "has no meaning for one a day"))
    if wish.at.tzinfo is not None:
        faults.append(Fault("at", "must be a local time without an offset"))
    return faults

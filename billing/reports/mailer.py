"""Sends scheduled reports: each due time once, through restarts and outages of the mail server.

A run is on disk before anything is sent, and each try is counted on disk before it is made. So a
restart neither loses a run nor sends one again that was acknowledged; only where the machine stops
between the mail server's yes and our own note of it does the same message, with the same
Message-ID, go out a second time.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from billing.reports.period import Period
from billing.reports.schedule import (
    ReportRun,
    ReportSchedule,
    RunState,
    ScheduleStore,
    due_between,
)
from billing.reports.service import Rendered, Reports
from domain.clock import Clock
from domain.errors import WattwardenError
from domain.events import Event, EventKind, Severity
from domain.texts import text

WRITE_WITHIN_S = 30.0
REASON_MOST = 500
# Takes a message to all it is addressed to; returns why some were refused, by address.
SendMail = Callable[[EmailMessage], dict[str, str]]


class MailFailed(WattwardenError):
    """The mail server could not be reached or took nothing."""


class ReportMailer:
    """Makes and sends what is due. `tick` is called now and then, by one thread at a time."""

    def __init__(
        self,
        store: ScheduleStore,
        reports: Reports,
        send_mail: SendMail,
        clock: Clock,
        on_event: Callable[[Event], None],
        *,
        sender: str,
    ) -> None:
        self._store, self._reports, self._send_mail = store, reports, send_mail
        self._clock, self._on_event, self._sender = clock, on_event, sender
        self._settings = reports.settings
        self._lock = threading.Lock()

    def tick(self, now: datetime | None = None) -> int:
        """Note what has become due and try what waits; return how many runs were tried.

        Raises StoreUnavailable.
        """
        with self._lock:
            moment = now or self._clock.now()
            for schedule in self._store.schedules():
                if schedule.active:
                    self._note_due(schedule, moment)
            runs = self._store.due_runs(moment, self._settings.runs_a_tick)
            for run in runs:
                self._try(run, moment)
            return len(runs)

    def _note_due(self, schedule: ReportSchedule, now: datetime) -> None:
        last = self._store.last_due(schedule.id)
        after = max(last, schedule.since) if last else schedule.since
        most = self._settings.catch_up_most
        runs = due_between(schedule, after, now, self._reports.zone, most)
        if runs:
            self._store.add_runs(runs).result(WRITE_WITHIN_S)

    def _try(self, run: ReportRun, now: datetime) -> None:
        schedule = self._store.schedule(run.schedule)
        if schedule is None or not schedule.active:
            self._save(replace(run, state=RunState.DROPPED, finished_at=now, next_try_at=None))
            return
        waits = self._settings.retry_waits_s
        if run.tries > len(waits):
            # The last try was cut short by a stop of the machine.
            self._give_up(run, now, run.note or "the last try was cut short")
            return
        wait_s = waits[min(run.tries, len(waits) - 1)]
        run = replace(run, tries=run.tries + 1, next_try_at=now + timedelta(seconds=wait_s))
        self._save(run)
        reason, left = self._attempt(run, schedule)
        if not reason:
            self._done(run, schedule, now)
        elif run.tries > len(waits):
            self._give_up(replace(run, recipients=left), now, reason)
        else:
            self._save(replace(run, recipients=left, note=reason[:REASON_MOST]))

    def _attempt(self, run: ReportRun, schedule: ReportSchedule) -> tuple[str, tuple[str, ...]]:
        """Make and send; return why it failed ("" if it did not) and who is still to be reached."""
        try:
            period = Period(run.first, run.end, self._reports.zone)
            made = self._reports.render(schedule.report, period, schedule.format, schedule.language)
            refused = self._send_mail(self._message(run, schedule, period, made))
        except (WattwardenError, OSError) as error:
            return f"{type(error).__name__}: {error}", run.recipients
        left = tuple(address for address in run.recipients if address in refused)
        reasons = "; ".join(f"{address}: {refused[address]}" for address in left)
        return reasons, left

    def _message(
        self, run: ReportRun, schedule: ReportSchedule, period: Period, made: Rendered
    ) -> EmailMessage:
        page_title = text(f"report.title.{schedule.report}", schedule.language)
        key = "report.period.day" if (period.end - period.first).days == 1 else "report.period.days"
        days = text(
            key,
            schedule.language,
            first=str(period.first),
            last=str(period.last),
            days=(period.end - period.first).days,
        )
        message = EmailMessage()
        message["Subject"] = f"{page_title} {days}"
        message["From"] = self._sender
        message["To"] = ", ".join(run.recipients)
        message["Date"] = format_datetime(self._clock.now())
        host = self._sender.rpartition("@")[2].rstrip(">") or "localhost"
        # The same for every try, so that a mail program shows a repeated message once.
        message["Message-ID"] = f"<report.{run.schedule}.{run.due_at:%Y%m%dT%H%M%SZ}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            text("report.mail.body", schedule.language, title=page_title, days=days)
        )
        main, _, sub = made.media_type.partition(";")[0].partition("/")
        message.add_attachment(made.content, maintype=main, subtype=sub, filename=made.file_name)
        return message

    def _done(self, run: ReportRun, schedule: ReportSchedule, now: datetime) -> None:
        self._save(
            replace(
                run, state=RunState.SENT, recipients=(), finished_at=now, next_try_at=None, note=""
            )
        )
        words = f"report {schedule.report} of {run.first} sent to {len(run.recipients)}"
        self._tell(now, EventKind.REPORT_SENT, run, words, Severity.INFO)

    def _give_up(self, run: ReportRun, now: datetime, reason: str) -> None:
        note = reason[:REASON_MOST]
        self._save(
            replace(run, state=RunState.FAILED, finished_at=now, next_try_at=None, note=note)
        )
        words = f"scheduled report {run.schedule} of {run.first} was not sent: {note}"
        self._tell(now, EventKind.REPORT_FAILED, run, words, Severity.ALARM)

    def _tell(
        self, now: datetime, kind: EventKind, run: ReportRun, words: str, severity: Severity
    ) -> None:
        details = {
            "due_at": run.due_at.isoformat(),
            "tries": run.tries,
            "recipients": list(run.recipients),
        }
        self._on_event(
            Event(now, kind, run.schedule, words, severity, group="reports", details=details)
        )

    def _save(self, run: ReportRun) -> None:
        self._store.put_run(run).result(WRITE_WITHIN_S)

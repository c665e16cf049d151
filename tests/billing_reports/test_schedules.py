"""Scheduled reports: due at the site's time, once each, through restarts and outages."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from made_month import SHANGHAI, at, book_accounts, campus, entry

from billing.reports.mailer import MailFailed, ReportMailer
from billing.reports.schedule import Every, ReportRun, ReportSchedule, RunState, due_between
from billing.reports.schedules import ReportSchedules, ScheduleWish
from billing.reports.service import ReportFormat, Reports
from billing.reports.settings import ReportSettings
from domain.books import EntryKind
from domain.clock import LeapClock
from domain.errors import InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from storage.books.report_source import SqlReportSource
from storage.books.reports import SqlReportSchedules
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

DAILY = ScheduleWish("recharges", Every.DAY, time(7, 30), None, ("a@example.edu",))
BERLIN = ZoneInfo("Europe/Berlin")


def schedule(every: Every, on: int | None, when: time = time(7, 30)) -> ReportSchedule:
    """Return a schedule of a kind."""
    return ReportSchedule(
        "s", "recharges", every, when, on, ("a@example.edu",), ReportFormat.XLSX, "zh-CN", True,
        at("01-01 00:00"), "zhang",
    )  # fmt: skip


def due(one: ReportSchedule, after: datetime, until: datetime, zone: ZoneInfo = SHANGHAI) -> Any:
    """Return due times as local text, with the days covered."""
    return [
        (f"{run.due_at.astimezone(zone):%m-%d %H:%M}", run.first, run.end)
        for run in due_between(one, after, until, zone, 100)
    ]


def test_a_daily_report_is_about_the_day_before() -> None:
    found = due(schedule(Every.DAY, None), at("11-02 07:30"), at("11-04 07:30"))
    assert found == [
        ("11-03 07:30", date(2026, 11, 2), date(2026, 11, 3)),
        ("11-04 07:30", date(2026, 11, 3), date(2026, 11, 4)),
    ]


def test_a_weekly_report_is_about_the_seven_days_before() -> None:
    found = due(schedule(Every.WEEK, 1), at("11-02 08:00"), at("11-16 08:00"))
    assert found == [
        ("11-09 07:30", date(2026, 11, 2), date(2026, 11, 9)),
        ("11-16 07:30", date(2026, 11, 9), date(2026, 11, 16)),
    ]


def test_a_monthly_report_is_about_the_month_before() -> None:
    found = due(schedule(Every.MONTH, 3), at("11-04 00:00"), at("12-31 00:00"))
    assert found == [("12-03 07:30", date(2026, 11, 1), date(2026, 12, 1))]


def test_a_time_that_comes_twice_or_never_on_a_day_is_due_once() -> None:
    one = schedule(Every.DAY, None, time(2, 30))
    spring = due(
        one, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC), BERLIN
    )
    autumn = due(
        one, datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC), BERLIN
    )
    assert [day for _, _, day in spring] == [date(2026, 3, 29), date(2026, 3, 30)]
    assert [day for _, _, day in autumn] == [date(2026, 10, 25), date(2026, 10, 26)]


@dataclass
class Post:
    """A mail server by hand: it notes what it takes, and refuses as told."""

    sent: list[EmailMessage] = field(default_factory=list)
    down: bool = False
    refused: dict[str, str] = field(default_factory=dict)

    def __call__(self, message: EmailMessage) -> dict[str, str]:
        if self.down:
            raise MailFailed("nobody is there")
        self.sent.append(message)
        return {name: why for name, why in self.refused.items() if name in message["To"]}


class Office:
    """A ledger with a mailer over it, which can be closed and opened again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = LeapClock(at("11-02 12:00"))
        self.post = Post()
        self.events: list[Event] = []
        self.open()

    def open(self) -> None:
        """Start."""
        self.ledger = SqlLedger(f"sqlite:///{self.file}", clock=self.clock)
        self.store = SqlReportSchedules(self.ledger)
        settings = ReportSettings(retry_waits_s=(60, 600), catch_up_most=10, schedules_most=3)
        reports = Reports(
            SqlReportSource(self.ledger), campus(), self.clock, SHANGHAI, settings=settings
        )
        self.schedules = ReportSchedules(self.store, reports, self.clock)
        self.mailer = ReportMailer(
            self.store, reports, self.post, self.clock, self.events.append, sender="w@example.edu"
        )

    def restart(self) -> None:
        """Stop and start."""
        self.ledger.close()
        self.open()

    def tick_at(self, when: str) -> int:
        """Let the mailer work at a moment."""
        self.clock.jump(at(when))
        return self.mailer.tick()

    def runs(self) -> list[tuple[str, str, int]]:
        """Return the runs, oldest first: when due, how they stand, how often tried."""
        found = reversed(self.store.runs())
        return [
            (f"{run.due_at.astimezone(SHANGHAI):%m-%d}", run.state.value, run.tries)
            for run in found
        ]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office that has just opened."""
    made = Office(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


def test_a_due_report_is_sent_once_with_the_file(office: Office) -> None:
    books = SqlBooks(office.ledger, clock=office.clock)
    books.open(*book_accounts(campus())).result(30)
    legs = {"room:b1-101": 500_000, "clearing:wechat": -500_000}
    books.post(entry("recharge:1", EntryKind.RECHARGE, at("11-02 12:00"), legs)).result(30)
    office.schedules.save("daily", DAILY, "zhang")
    assert office.tick_at("11-03 07:29") == 0
    assert office.tick_at("11-03 07:30") == 1
    assert office.tick_at("11-03 07:31") == 0
    (message,) = office.post.sent
    assert message["Subject"] == "充值汇总表（按渠道） 2026-11-02"
    assert message["To"] == "a@example.edu"
    assert message["Message-ID"] == "<report.daily.20261102T233000Z@example.edu>"
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "recharges-2026-11-02-2026-11-02.xlsx"
    assert attached.get_content()[:2] == b"PK"
    assert [event.kind for event in office.events] == [EventKind.REPORT_SENT]


def test_a_restart_neither_loses_nor_repeats_a_report(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    office.tick_at("11-03 07:30")
    office.restart()
    office.tick_at("11-03 07:31")
    assert len(office.post.sent) == 1
    office.post.down = True
    office.tick_at("11-04 07:30")
    office.restart()
    office.post.down = False
    office.tick_at("11-04 07:31")
    assert office.runs() == [("11-03", "sent", 1), ("11-04", "sent", 2)]


def test_what_was_missed_in_a_standstill_is_made_up_for_once_each(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    office.restart()
    assert office.tick_at("11-06 12:00") == 4
    assert office.tick_at("11-06 12:01") == 0
    days = [str(message["Subject"]).split()[1] for message in office.post.sent]
    assert days == ["2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"]


def test_a_long_standstill_is_made_up_for_in_bounded_steps(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    tried = [office.tick_at(f"11-30 12:{minute:02}") for minute in range(8)]
    assert tried == [5, 5, 5, 5, 5, 3, 0, 0]


def test_a_failure_is_tried_again_up_to_a_limit_and_then_alarmed(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    office.post.down = True
    tried = [office.tick_at(f"11-03 07:{minute}") for minute in (30, 31, 32, 40, 41, 50, 59)]
    assert tried == [1, 1, 0, 0, 1, 0, 0]
    assert office.runs() == [("11-03", "failed", 3)]
    (event,) = office.events
    assert (event.kind, event.severity) == (EventKind.REPORT_FAILED, Severity.ALARM)
    assert event.message == (
        "scheduled report daily of 2026-11-02 was not sent: MailFailed: nobody is there"
    )


def test_only_who_was_refused_is_sent_to_again(office: Office) -> None:
    wish = replace(DAILY, recipients=("a@example.edu", "b@example.edu"))
    office.schedules.save("daily", wish, "zhang")
    office.post.refused = {"b@example.edu": "452 mailbox full"}
    office.tick_at("11-03 07:30")
    office.post.refused = {}
    office.tick_at("11-03 07:31")
    assert [message["To"] for message in office.post.sent] == [
        "a@example.edu, b@example.edu", "b@example.edu",
    ]  # fmt: skip
    assert office.runs() == [("11-03", "sent", 2)]


def test_a_try_that_a_stop_cut_short_is_counted(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    cut_short = ReportRun(
        "daily", at("11-03 07:30"), date(2026, 11, 2), date(2026, 11, 3), RunState.WAITING,
        ("a@example.edu",), tries=3, next_try_at=at("11-03 08:00"),
    )  # fmt: skip
    office.store.put_run(cut_short).result(30)
    office.tick_at("11-03 08:00")
    assert office.post.sent == []
    assert office.runs() == [("11-03", "failed", 3)]


def test_a_deleted_schedule_sends_nothing_any_more(office: Office) -> None:
    office.schedules.save("daily", DAILY, "zhang")
    office.post.down = True
    office.tick_at("11-03 07:30")
    office.post.down = False
    office.schedules.delete("daily")
    office.tick_at("11-04 07:30")
    assert office.post.sent == []
    assert office.runs() == [("11-03", "dropped", 1)]
    with pytest.raises(UnknownSubject):
        office.schedules.delete("daily")


def test_a_changed_schedule_counts_from_the_change_on(office: Office) -> None:
    office.schedules.save("daily", replace(DAILY, active=False), "zhang")
    office.tick_at("11-05 12:00")
    office.schedules.save("daily", DAILY, "zhang")
    office.tick_at("11-06 12:00")
    assert office.runs() == [("11-06", "sent", 1)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"report": "profit"}, "report: must be one of summary, "),
        ({"recipients": ()}, "recipients: must be 1 to 20"),
        ({"recipients": ("a@b, c@d",)}, "recipients: is no e-mail address"),
        ({"recipients": ("a@b\nBcc: c@d",)}, "recipients: is no e-mail address"),
        ({"on": 1}, "on: has no meaning for one a day"),
        ({"every": Every.MONTH, "on": 31}, "on: must be 1 to 28 for one a month"),
        ({"every": Every.WEEK, "on": None}, "on: must be 1 to 7 for one a week"),
        ({"at": time(7, tzinfo=UTC)}, "at: must be a local time without an offset"),
        ({"report": "shifts"}, "report: must be one of"),
    ],
)
def test_a_schedule_that_can_t_be_is_refused(
    change: dict[str, Any], fault: str, office: Office
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        office.schedules.save("daily", replace(DAILY, **change), "zhang")
    assert str(refusal.value).startswith(fault)
    assert office.schedules.schedules() == []


def test_there_are_only_so_many_schedules(office: Office) -> None:
    for name in ("a", "b", "c"):
        office.schedules.save(name, DAILY, "zhang")
    with pytest.raises(InvalidInput, match="there are 3 schedules already"):
        office.schedules.save("d", DAILY, "zhang")
    office.schedules.save("c", DAILY, "zhang")
    assert timedelta(0) == office.clock.now() - office.schedules.schedule("c").since

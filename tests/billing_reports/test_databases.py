"""What reports read and what schedules keep, the same on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time, timedelta

import pytest
from made_month import SHANGHAI, Listed, at, book_accounts, campus, entry, make_entries

from billing.reports.catalogue import Material, make_report
from billing.reports.model import Report
from billing.reports.period import Period
from billing.reports.scan import scan
from billing.reports.schedule import Every, ReportRun, ReportSchedule, RunState
from billing.reports.service import ReportFormat
from billing.reports.source import EntrySource
from domain.books import EntryKind
from domain.clock import LeapClock
from storage.books.reading import reading_stores
from storage.books.report_source import SqlReportSource
from storage.books.reports import SqlReportSchedules
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)
NAMES = ("balances", "recharges-by-day", "consumption", "arrears", "late", "adjustments", "fees")


@pytest.fixture
def ledger(database_url: str) -> Iterator[SqlLedger]:
    """An empty ledger of each kind in turn."""
    opened = SqlLedger(database_url, clock=LeapClock(at("10-20 00:00")))
    yield opened
    opened.close()


def build(name: str, source: EntrySource) -> Report:
    """Make a report of November."""
    now = at("12-10 12:00")
    return make_report(
        name, NOVEMBER, Material(lambda p: scan(source, p, now), campus(), lambda: now)
    )


def test_both_databases_give_what_a_plain_list_gives(ledger: SqlLedger, database_url: str) -> None:
    clock = LeapClock(at("10-20 00:00"))
    books = SqlBooks(ledger, clock=clock)
    books.open(*book_accounts(campus())).result(30)
    listed, futures, moment = Listed(), [], clock.now()
    for booked_at, made in make_entries(3, campus(), moment, at("12-03 00:00"), 250):
        if booked_at != moment:
            for future in futures:
                future.result(30)
            moment = booked_at
            clock.jump(moment)
        listed.add(booked_at, made)
        futures.append(books.post(made, enforce_floors=False))
    for future in futures:
        future.result(30)
    source = SqlReportSource(ledger)
    for name in NAMES:
        assert build(name, source) == build(name, listed), name
    with reading_stores(database_url) as stores:
        assert build("balances", stores.source) == build("balances", listed)


def test_a_cut_is_the_first_number_booked_from_then_on(ledger: SqlLedger) -> None:
    clock = LeapClock(at("11-01 00:00"))
    books, source = SqlBooks(ledger, clock=clock), SqlReportSource(ledger)
    books.open(*book_accounts(campus())).result(30)
    assert source.cut(at("11-01 00:00")) == 1
    # The third is booked while the clock is set back.
    for number, when in enumerate(("11-01 00:00", "11-03 00:00", "11-02 00:00", "11-04 00:00")):
        clock.jump(at(when))
        legs = {"room:b1-101": 1, "clearing:wechat": -1}
        made = entry(f"recharge:{number}", EntryKind.RECHARGE, clock.now(), legs)
        books.post(made).result(30)
    moments = (
        "10-31 00:00",
        "11-01 00:00",
        "11-02 00:00",
        "11-03 00:00",
        "11-04 00:00",
        "11-05 00:00",
    )
    assert [source.cut(at(when)) for when in moments] == [1, 1, 2, 2, 4, 5]


def test_schedules_and_runs_come_back_as_they_were_kept(ledger: SqlLedger) -> None:
    store = SqlReportSchedules(ledger)
    kept = ReportSchedule(
        "weekly", "balances", Every.WEEK, time(7, 30), 1, ("a@example.edu", "b@example.edu"),
        ReportFormat.PDF, "en", True, at("11-01 00:00"), "zhang",
    )  # fmt: skip
    store.put_schedule(kept).result(30)
    changed = replace(kept, on=None, every=Every.DAY, active=False)
    store.put_schedule(changed).result(30)
    assert store.schedules() == [changed]
    run = ReportRun(
        "weekly", at("11-09 07:30"), date(2026, 11, 2), date(2026, 11, 9), RunState.WAITING,
        ("a@example.edu",), next_try_at=at("11-09 07:30"),
    )  # fmt: skip
    later = replace(run, due_at=run.due_at + timedelta(days=7), next_try_at=at("11-16 07:30"))
    store.add_runs([run, later]).result(30)
    tried = replace(run, tries=1, next_try_at=at("11-09 07:31"), note="nobody is there")
    store.put_run(tried).result(30)
    store.add_runs([run]).result(30)
    assert store.due_runs(at("11-09 07:30"), 10) == []
    assert store.due_runs(at("11-09 07:31"), 10) == [tried]
    assert store.runs(schedule_id="weekly") == [later, tried]
    assert store.last_due("weekly") == later.due_at
    assert store.delete_schedule("weekly").result(30)
    assert not store.delete_schedule("weekly").result(30)
    assert store.last_due("none") is None

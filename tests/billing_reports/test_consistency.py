"""Every figure again, by plain SQL over the raw legs of a real ledger; and equal across reports."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from made_month import SHANGHAI, MadeDirectory, at, book_accounts, campus, entry, make_entries

from billing.reports.catalogue import REPORTS, Material, make_report
from billing.reports.figures import Scan
from billing.reports.model import Report
from billing.reports.period import Period
from billing.reports.scan import scan
from domain.books import Entry, EntryKind
from domain.clock import LeapClock
from storage.books.report_source import SqlReportSource
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)
NAMES = [name for name in REPORTS if name not in ("shifts", "receipts", "exceptions")]


@dataclass
class Station:
    """Books with six weeks of random entries, around the whole of November."""

    books: SqlBooks
    clock: LeapClock
    source: SqlReportSource
    directory: MadeDirectory
    file: Path
    scans: dict[tuple[Period, int], Scan] = field(default_factory=dict)

    def scan(self, period: Period) -> Scan:
        """Fold a period; once as long as nothing is booked."""
        key = (period, self.source.cut(at("12-31 00:00")))
        if key not in self.scans:
            self.scans[key] = scan(self.source, period, self.clock.now())
        return self.scans[key]

    def report(self, name: str, period: Period = NOVEMBER) -> Report:
        """Make a report over the ledger."""
        return make_report(name, period, Material(self.scan, self.directory, self.clock.now))

    def sql(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a query on the ledger's file, past everything of ours."""
        bounds = {"start": _stored(NOVEMBER.start_at), "end": _stored(NOVEMBER.end_at)}
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as connection:
            return connection.execute(query, bounds | values).fetchall()

    def sum_of(self, account: str, condition: str) -> int:
        """Add up the legs of accounts like that whose entries fit."""
        query = f"""SELECT coalesce(sum(l.amount), 0) FROM book_leg l
            JOIN book_entry e ON e.number = l.number
            WHERE l.account LIKE :account AND {condition}"""  # noqa: S608 - a test's own words
        found: int = self.sql(query, account=account)[0][0]
        return found


IN_NOVEMBER = "e.booked_at >= :start AND e.booked_at < :end"


def _stored(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def post_all(books: SqlBooks, clock: LeapClock, made: Iterator[tuple[datetime, Entry]]) -> int:
    """Book entries, each at its moment; return how many."""
    count = 0
    for moment, bunch in groupby(made, key=lambda pair: pair[0]):
        clock.jump(moment)
        futures = [books.post(one, enforce_floors=False) for _, one in bunch]
        count += len([future.result(30) for future in futures])
    return count


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A ledger in a file, full of entries."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.db"
    clock = LeapClock(at("10-20 00:00"))
    ledger = SqlLedger(f"sqlite:///{file}", clock=clock)
    books, directory = SqlBooks(ledger, clock=clock), campus()
    books.open(*book_accounts(directory)).result(30)
    made = make_entries(11, directory, at("10-20 00:00"), at("12-03 00:00"), 2_500)
    assert post_all(books, clock, made) > 2_000
    clock.jump(at("12-10 12:00"))
    yield Station(books, clock, SqlReportSource(ledger), directory, file)
    ledger.close()


def test_balances_are_the_sums_of_the_raw_legs(station: Station) -> None:
    rows = station.sql(
        """SELECT l.account,
            sum(CASE WHEN e.booked_at < :start THEN l.amount ELSE 0 END), sum(l.amount)
        FROM book_leg l JOIN book_entry e ON e.number = l.number
        WHERE l.account LIKE 'room:%' AND e.booked_at < :end GROUP BY l.account"""
    )
    report = station.report("balances")
    opening, closing = report.place("opening"), report.place("closing")
    assert {(f"room:{row[0]}", row[opening], row[closing]) for row in report.rows} == set(rows)


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        ("recharged", "'recharge'"),
        ("charged", "'charge'"),
        ("fees", "'fee'"),
        ("transferred", "'transfer', 'room-move'"),
        ("refunded", "'refund'"),
        ("adjusted", "'adjustment'"),
        ("reversed", "'reversal'"),
    ],
)
def test_movements_are_the_sums_of_the_raw_legs(column: str, kinds: str, station: Station) -> None:
    rows = station.sql(
        f"""SELECT substr(l.account, 6), sum(l.amount) FROM book_leg l
        JOIN book_entry e ON e.number = l.number
        WHERE l.account LIKE 'room:%' AND {IN_NOVEMBER} AND e.kind IN ({kinds})
        GROUP BY l.account"""  # noqa: S608 - a test's own words
    )
    report = station.report("balances")
    place = report.place(column)
    assert {(row[0], row[place]) for row in report.rows if row[place]} == {
        row for row in rows if row[1]
    }


def test_recharges_by_channel_are_the_sums_of_the_raw_legs(station: Station) -> None:
    rows = station.sql(
        f"""SELECT CASE WHEN l.account LIKE 'cash:%' THEN 'cash' ELSE substr(l.account, 10) END,
            sum(e.kind = 'recharge'), sum((e.kind = 'recharge') * -l.amount),
            sum(e.kind = 'refund'), sum((e.kind = 'refund') * -l.amount),
            sum((e.kind = 'reversal') * -l.amount),
            sum((e.kind NOT IN ('recharge', 'refund', 'reversal')) * -l.amount), sum(-l.amount)
        FROM book_leg l JOIN book_entry e ON e.number = l.number
        WHERE (l.account LIKE 'clearing:%' OR l.account LIKE 'cash:%') AND {IN_NOVEMBER}
        GROUP BY 1 ORDER BY 1"""  # noqa: S608 - a test's own words
    )
    assert list(station.report("recharges").rows) == rows


def test_consumption_is_the_sum_of_the_raw_lines(station: Station) -> None:
    """Lines of charges in the period, less those of charges reversed in it."""
    rows = station.sql(
        f"""WITH told(details, sign) AS (
            SELECT e.details, 1 FROM book_entry e WHERE e.kind = 'charge' AND {IN_NOVEMBER}
            UNION ALL
            SELECT c.details, -1 FROM book_entry e JOIN book_entry c ON c.id = e.reference
            WHERE e.kind = 'reversal' AND c.kind = 'charge' AND {IN_NOVEMBER})
        SELECT json_extract(line.value, '$.band'),
            sum(sign * json_extract(line.value, '$.energy_wh')),
            sum(sign * json_extract(line.value, '$.free_wh')),
            sum(sign * json_extract(line.value, '$.amount_micro'))
        FROM told, json_each(told.details, '$.lines') line GROUP BY 1 ORDER BY 1"""  # noqa: S608
    )
    found = station.report("consumption-by-band").rows
    assert [(row[0], row[1], row[2], row[4]) for row in found if row[0]] == rows
    adjusted = station.sum_of("revenue:energy", f"e.kind = 'adjustment' AND {IN_NOVEMBER}")
    assert [row[4] for row in found if not row[0]] == [adjusted]


def test_all_consumption_reports_have_one_total_which_is_the_revenue(station: Station) -> None:
    names = [name for name in REPORTS if name.startswith("consumption")]
    totals = {tuple(station.report(name).totals.items()) for name in names}
    assert len(names) == 9
    assert len(totals) == 1
    revenue = station.sum_of("revenue:energy", IN_NOVEMBER)
    assert dict(totals.pop())["cost"] == revenue != 0


def test_fees_are_the_movement_of_the_fee_revenue(station: Station) -> None:
    total = station.report("fees").totals["amount"]
    assert total == station.sum_of("revenue:fee", IN_NOVEMBER) != 0


def test_free_energy_is_the_sum_of_the_raw_legs(station: Station) -> None:
    totals = station.report("free-energy").totals
    for key, house in (("granted", "granted"), ("used", "used"), ("expired", "expired")):
        assert totals[key] == -station.sum_of(f"free:{house}", IN_NOVEMBER) != 0
    rooms = "l.account NOT IN ('free:granted', 'free:used', 'free:expired')"
    before = station.sum_of("free:%", f"{rooms} AND e.booked_at < :start")
    assert totals["opening"] == before
    assert totals["closing"] == station.sum_of("free:%", f"{rooms} AND e.booked_at < :end")


def test_arrears_are_the_accounts_below_zero_since_they_last_fell(station: Station) -> None:
    report = station.report("arrears")
    found = {row[0]: (row[4], row[5]) for row in report.rows}
    wanted = {}
    history = station.sql(
        """SELECT substr(l.account, 6), l.amount, e.booked_at FROM book_leg l
        JOIN book_entry e ON e.number = l.number
        WHERE l.account LIKE 'room:%' AND e.booked_at < :end ORDER BY e.number"""
    )
    balances: Counter[str] = Counter()
    since: dict[str, str] = {}
    for account, amount, booked_at in history:
        balances[account] += amount
        if balances[account] >= 0:
            since.pop(account, None)
        else:
            since.setdefault(account, booked_at)
    for account, moment in since.items():
        began = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        wanted[account] = (began, -balances[account])
    assert wanted
    assert found == wanted


def test_the_trial_balance_is_the_sum_of_the_raw_legs_and_zero(station: Station) -> None:
    rows = station.sql(
        """SELECT l.account,
            sum((e.booked_at < :start) * l.amount),
            sum((e.booked_at >= :start) * (l.amount > 0) * l.amount),
            -sum((e.booked_at >= :start) * (l.amount < 0) * l.amount), sum(l.amount)
        FROM book_leg l JOIN book_entry e ON e.number = l.number
        WHERE e.booked_at < :end AND l.unit = :unit GROUP BY l.account ORDER BY l.account""",
        unit="micro",
    )
    report = station.report("trial-balance")
    assert list(report.rows) == rows
    assert report.totals["opening"] == report.totals["closing"] == 0
    assert report.totals["up"] == report.totals["down"]


def test_figures_are_equal_across_reports(station: Station) -> None:
    totals = {name: station.report(name).totals for name in NAMES}
    summary = {row[0]: row for row in station.report("summary").rows}
    balances, recharges = totals["balances"], totals["recharges"]
    consumption = totals["consumption"]
    assert summary["recharged"][1] == recharges["recharged"]
    assert summary["recharged"][3] == recharges["recharges"]
    assert summary["net"][1] == recharges["net"] == totals["recharges-by-day"]["net"]
    assert recharges["recharged"] == totals["recharge-list"]["amount"] == balances["recharged"]
    assert -recharges["refunded"] == totals["refunds"]["amount"] == -balances["refunded"]
    assert summary["consumption"][1:3] == (consumption["cost"], consumption["energy"])
    assert summary["fees"][1] == totals["fees"]["amount"]
    assert summary["granted"][2] == totals["free-energy"]["granted"]
    assert summary["opening_balances"][1] == balances["opening"]
    assert summary["closing_balances"][1] == balances["closing"]
    assert summary["arrears"][1] == totals["arrears"]["owed"]
    assert balances["transferred"] == 0
    by_book = {row[0]: row for row in station.report("trial-balance").rows}
    tills = [row for book, row in by_book.items() if book.startswith(("clearing:", "cash:"))]
    assert recharges["net"] == sum(row[3] - row[2] for row in tills)


def test_a_month_is_the_sum_of_its_days(station: Station) -> None:
    days = [Period.of_day(day, SHANGHAI) for day in NOVEMBER.days]
    added: dict[str, Counter[str]] = {name: Counter() for name in ("recharges", "balances")}
    for day in days:
        for name, counter in added.items():
            counter.update(station.report(name, day).totals)
    for name, counter in added.items():
        month = dict(station.report(name).totals)
        for key in set(month) - {"opening", "closing"}:
            assert counter[key] == month[key], (name, key)
    first, last = (station.report("balances", day).totals for day in (days[0], days[-1]))
    whole = station.report("balances").totals
    assert (first["opening"], last["closing"]) == (whole["opening"], whole["closing"])


def test_a_past_month_stays_as_it_was_whatever_is_booked_later(station: Station) -> None:
    before = {name: station.report(name) for name in NAMES}
    late = entry(
        "charge:much-later", EntryKind.CHARGE, at("11-15 10:00"),
        {"room:b1-101": -5, "revenue:energy": 5}, "2026-11",
    )  # fmt: skip
    station.books.post(late, enforce_floors=False).result(30)
    undone = next(row for row in before["recharge-list"].rows if row[3] == "b2-102")
    (entry_id,) = station.sql("SELECT id FROM book_entry WHERE number = :number", number=undone[0])[
        0
    ]
    station.books.reverse(entry_id, "undo:much-later", "zhang", "wrong").result(30)
    for name in NAMES:
        after = station.report(name)
        assert (after.rows, after.totals, after.notes) == (
            before[name].rows, before[name].totals, before[name].notes,
        ), name  # fmt: skip
    december = Period.of_month(2026, 12, SHANGHAI)
    assert {row[0]: row[1] for row in station.report("late", december).rows}["charge"] >= 1


def test_an_entry_booked_while_the_clock_was_set_back_changes_no_past_report(
    station: Station,
) -> None:
    before = station.report("balances").rows
    now = station.clock.now()
    station.clock.jump(at("11-15 10:00"))
    stray = entry(
        "recharge:stray", EntryKind.RECHARGE, at("11-15 10:00"),
        {"room:b1-101": 50_000, "clearing:wechat": -50_000},
    )  # fmt: skip
    station.books.post(stray).result(30)
    station.clock.jump(now)
    assert station.report("balances").rows == before
    december = Period.of_month(2026, 12, SHANGHAI)
    assert station.report("recharges-by-day", december).rows[0][0].day == 1

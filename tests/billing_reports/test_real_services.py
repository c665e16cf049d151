"""Six weeks of a small site run by its real services; then its reports against what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from made_month import SHANGHAI, at

from billing.accounts.new_account import NewAccount
from billing.accounts.service import Accounts
from billing.charger import Charger
from billing.model import Person
from billing.payments.cashier import CashRequest
from billing.payments.refunds import RefundRequest
from billing.payments.service import Payments
from billing.payments.settings import PaymentSettings
from billing.reports.model import Report
from billing.reports.period import Period
from billing.reports.service import Reports
from billing.tariff_examples import demo_tariffs
from domain.clock import LeapClock
from domain.frame import sweep_frame
from domain.site import RoomKind
from storage.books.account_store import SqlAccountStore
from storage.books.charging import SqlCharging
from storage.books.directory import SqlDirectory
from storage.books.payments import SqlPayments
from storage.books.report_source import SqlReportSource
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

OCTOBER, NOVEMBER, DECEMBER = (Period.of_month(2026, month, SHANGHAI) for month in (10, 11, 12))
ROOMS = {
    "b1-101": ("B1", "101", RoomKind.DORM, "dorm", 300),
    "b1-102": ("B1", "102", RoomKind.DORM, "dorm", 800),
    "s-1": ("S", "1", RoomKind.SHOP, "shop", 1_800),
}
# What a kettle in 102 makes its broken counter show, on a November night.
GLITCH_AT, GLITCH_WH = at("11-12 03:00"), 5_000_000
STEP = timedelta(hours=6)


@dataclass
class Station:
    """The services over one ledger."""

    ledger: SqlLedger
    clock: LeapClock
    accounts: Accounts
    charger: Charger
    payments: Payments
    reports: Reports

    def report(self, name: str, period: Period = NOVEMBER) -> Report:
        return self.reports.report(name, period)

    def total(self, name: str, key: str, period: Period = NOVEMBER) -> int:
        return self.report(name, period).totals[key]


def open_station(folder: Path) -> Station:
    """Open everything on a ledger in a file, on the evening of the 27th of October."""
    clock = LeapClock(at("10-27 18:00"))
    ledger = SqlLedger(f"sqlite:///{folder / 'ledger.db'}", clock=clock)
    books, directory = SqlBooks(ledger, clock=clock), SqlDirectory(ledger)
    charging, pay_store = SqlCharging(ledger, books), SqlPayments(ledger, books)
    charger = Charger(books, directory, charging, clock, SHANGHAI, lambda _: None)
    assert charger.shelf.seed(demo_tariffs()) == []
    settings = PaymentSettings.model_validate({"cash": {}})
    payments = Payments(books, directory, pay_store, {}, clock, lambda _: None, settings)
    store = SqlAccountStore(ledger, books, directory)
    accounts = Accounts(books, store, directory, clock, zone=SHANGHAI, settle=charger.settle)
    reports = Reports(
        SqlReportSource(ledger), directory, clock, SHANGHAI, cashier=pay_store, held=charging
    )
    return Station(ledger, clock, accounts, charger, payments, reports)


def move_in(station: Station) -> None:
    """Open the accounts and let two people live in each room."""
    for account, (building, room, kind, tariff, _) in ROOMS.items():
        new = NewAccount(
            building, room, kind, tariff, id=account, registers={f"m-{account}": 1_000}
        )
        station.accounts.open_account(f"open-{account}", new, "li")
    for number in range(4):
        person, account = f"202600{number}", "b1-101" if number < 2 else "b1-102"
        station.accounts.add_person(f"add-{person}", Person(person, f"学生{number}"), "li")
        station.accounts.move_in(f"in-{person}", person, account, date(2026, 9, 1), "li")


def office_day(station: Station, fen: int, short: int) -> str:
    """Open the till, recharge every room, pay 5.00 back, close with some fen missing.

    Returns the entry of the shop's recharge.
    """
    day, cashier = f"{station.clock.now():%m%d}", station.payments.cashier
    cashier.open_shift("wang", 10_000)
    taken = [
        station.payments.cash_recharge(CashRequest(f"{day}-{account}", account, fen), "wang")
        for account in ROOMS
    ]
    wish = RefundRequest(f"{day}-back", taken[0].order, 500, "paid twice")
    cashier.pay_out(station.payments.refund(wish, "zhang", approved=True).id, "wang")
    cashier.close_shift("wang", 10_000 + 3 * fen - 500 - short, "counted twice")
    return f"recharge:{taken[2].order}"


def run_until(station: Station, end: datetime, used: dict[str, int]) -> None:
    """Let time pass: the meters count, the charger charges."""
    while station.clock.now() < end:
        station.clock.leap(STEP.total_seconds())
        now = station.clock.now()
        for account, (*_, step_wh) in ROOMS.items():
            used[account] += step_wh
        broken = GLITCH_WH if now >= GLITCH_AT else 0
        rows = [
            {
                "time": now, "meter": f"m-{account}", "quality": "good",
                "energy_wh": 1_000 + used[account] + (broken if account == "b1-102" else 0),
            }
            for account in ROOMS
        ]  # fmt: skip
        station.charger.observe(sweep_frame(rows))
        station.charger.charge_due()


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """The station on the third of December."""
    opened = open_station(tmp_path_factory.mktemp("ledger"))
    move_in(opened)
    used = dict.fromkeys(ROOMS, 0)
    run_until(opened, at("10-28 12:00"), used)
    office_day(opened, 2_000, 0)
    run_until(opened, at("11-05 12:00"), used)
    shop = office_day(opened, 3_333, 100)
    opened.accounts.request_transfer("t1", "s-1", "b1-101", shop, 1_000, "li", "wrong room")
    opened.accounts.approve_transfer("t1", "chen", "seen")
    run_until(opened, at("12-03 12:00"), used)
    yield opened
    opened.ledger.close()


def test_the_month_of_use_is_what_the_bills_say(station: Station) -> None:
    bills = [station.charger.bill(account, "2026-11") for account in ROOMS]
    # Its last hours are booked in December.
    rows = [
        row
        for period in (NOVEMBER, DECEMBER)
        for row in station.report("consumption-by-month", period).rows
        if row[0] == "2026-11"
    ]
    energy, free, _, cost = (sum(row[place] for row in rows) for place in range(1, 5))
    assert len(rows) == 2
    assert energy == sum(bill.energy_wh for bill in bills)
    assert free == sum(bill.free_used_wh for bill in bills) > 0
    assert cost == sum(bill.energy_micro for bill in bills) > 0


def test_every_room_is_charged_what_its_counter_went_on_but_for_what_is_held(
    station: Station,
) -> None:
    whole = Period(date(2026, 10, 1), date(2027, 1, 1), SHANGHAI)
    charged = {row[1]: row[2] for row in station.report("consumption-by-room", whole).rows}
    for row in station.charger.energy_check():
        assert row.difference_wh == 0
    steps = (at("12-03 12:00") - at("10-27 18:00")) // STEP
    for account, (*_, step_wh) in ROOMS.items():
        # The last reading is charged once its hour is over.
        missing = steps * step_wh - charged[account]
        assert 0 <= missing <= 2 * step_wh, account


def test_what_is_held_is_listed_and_not_charged(station: Station) -> None:
    (row,) = station.report("exceptions").rows
    assert (row[2], row[8]) == ("b1-102", "open")
    assert row[6] == GLITCH_WH + ROOMS["b1-102"][4]


def test_balances_end_where_the_books_are(station: Station) -> None:
    closing = {row[0]: row[-1] for row in station.report("balances", DECEMBER).rows}
    books = SqlBooks(station.ledger, clock=station.clock)
    assert closing == {account: books.balance(f"room:{account}") for account in ROOMS}


def test_months_hand_their_balances_on(station: Station) -> None:
    months = [station.report("balances", month).totals for month in (OCTOBER, NOVEMBER, DECEMBER)]
    assert months[0]["closing"] == months[1]["opening"] != 0
    assert months[1]["closing"] == months[2]["opening"] != 0


def test_cash_is_the_same_in_the_ledger_the_receipts_and_the_shifts(station: Station) -> None:
    for period, fen, short in ((OCTOBER, 2_000, 0), (NOVEMBER, 3_333, 100)):
        (row,) = station.report("recharges", period).rows
        assert row[:4] == ("cash", 3, 3 * fen * 10_000, 1)
        net = station.total("recharges", "net", period)
        assert net == (3 * fen - 500) * 10_000
        assert station.total("receipts", "amount", period) == net
        (shift,) = station.report("shifts", period).rows
        assert shift[5] == net + 100_000_000
        assert shift[7] == -short * 10_000


def test_fees_are_booked_when_the_month_is_over(station: Station) -> None:
    assert station.total("fees", "amount") > 0
    fees = station.report("fees", DECEMBER)
    assert {row[0] for row in fees.rows} == {"s-1"}
    assert fees.totals["amount"] == sum(station.charger.bill("s-1", "2026-11").fees_micro.values())


def test_free_energy_is_granted_used_and_gone(station: Station) -> None:
    bills = [station.charger.bill(account, "2026-11") for account in ROOMS]
    totals = [station.report("free-energy", month).totals for month in (NOVEMBER, DECEMBER)]
    both = {key: sum(one[key] for one in totals) for key in totals[0]}
    december = [station.charger.bill(account, "2026-12") for account in ROOMS]
    october = [station.charger.bill(account, "2026-10") for account in ROOMS]
    granted = sum(bill.free_granted_wh for bill in (*bills, *december))
    assert both["granted"] == granted > 0
    expired = sum(bill.free_expired_wh for bill in (*october, *bills))
    assert -both["expired"] == expired


def test_the_transfer_names_who_asked_and_who_agreed(station: Station) -> None:
    (row,) = station.report("transfers").rows
    assert row[3:5] == ("s-1", "b1-101")
    assert row[6:8] == ("li", "chen")
    assert row[9] == 10_000_000


def test_no_report_of_any_month_has_a_fault(station: Station) -> None:
    for period in (OCTOBER, NOVEMBER, DECEMBER):
        for name in station.reports.names():
            notes = [note for note in station.report(name, period).notes if note.fault]
            assert notes == [], (name, period)

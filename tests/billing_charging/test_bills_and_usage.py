"""Bills, tables of use, previews: the same figures as in the books, however they are asked."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from charging_station import ChargingStation, micro

from billing.bills import UsageStep
from billing.tariff import Tariff
from billing.tariff_examples import demo_tariffs
from domain.books import EntryKind, room_book
from domain.errors import InvalidInput, UnknownSubject

ROOM = "b1-101"
NOVEMBER = datetime(2026, 10, 31, 16, tzinfo=UTC)
TIERS = {"tiers": [{"up_to_kwh": "10", "rate": "0.4883"}, {"rate": "0.8383"}]}


def versions(**what):
    return {"versions": [{"valid_from": "2026-01-01", **what}]}


@pytest.fixture(scope="module")
def autumn(tmp_path_factory):
    """A room that used 100 Wh an hour for 70 days, booked twice a day; tests only look at it."""
    station = ChargingStation(
        tmp_path_factory.mktemp("autumn"), tariff=versions(**TIERS), start=NOVEMBER,
        post_every_s=12 * 3600,
    )  # fmt: skip
    station.room()
    for hour in range(0, 24 * 70, 3):
        station.read((hour, 1000 + 100 * hour))
        station.charger.charge_due()
    yield station
    station.close()


def test_bills_sum_to_the_entries_of_their_month(autumn):
    for month, energy_wh in (("2026-11", 72_000), ("2026-12", 74_400)):
        bill = autumn.charger.bill(ROOM, month)
        booked = sum(
            -leg.amount
            for entry in autumn.entries()
            for leg in entry.legs
            if leg.account == room_book(ROOM) and entry.reference == month
        )
        assert bill.total_micro == booked == sum(line.amount_micro for line in bill.lines)
        assert bill.energy_wh == energy_wh
        assert bill.final
    november = autumn.charger.bill(ROOM, "2026-11")
    assert [(line.key.tier, line.energy_wh, line.amount_micro) for line in november.lines] == [
        (1, 10_000, micro("4.883")), (2, 62_000, micro("51.9746")),
    ]  # fmt: skip
    assert [bill.month for bill in autumn.charger.bills(ROOM)] == ["2027-01", "2026-12", "2026-11"]


def test_use_by_hour_day_and_month_sums_to_the_bills(autumn):
    zone = ZoneInfo("Asia/Shanghai")
    begin, end = datetime(2026, 11, 1, tzinfo=zone), datetime(2027, 1, 1, tzinfo=zone)
    days = autumn.charger.usage(ROOM, begin, end, "day")
    months = autumn.charger.usage(ROOM, begin, end, "month")
    hours = autumn.charger.usage(ROOM, begin, end, "hour")
    assert (len(hours), len(days), len(months)) == (61 * 24, 61, 2)
    bills = [autumn.charger.bill(ROOM, month) for month in ("2026-11", "2026-12")]
    for rows in (hours, days, months):
        assert sum(row.energy_wh for row in rows) == sum(bill.energy_wh for bill in bills)
        assert sum(row.cost_micro for row in rows) == sum(bill.energy_micro for bill in bills)
    assert {row.energy_wh for row in hours} == {100}
    # The tier of 10 kWh is full after 100 hours of each month.
    assert (hours[99].cost_micro, hours[100].cost_micro) == (48_830, 83_830)
    assert days[0].start == begin


def test_time_that_no_reading_covers_is_left_out(autumn):
    newest = autumn.at(24 * 70 - 3)
    begin, end = newest - timedelta(hours=5), newest + timedelta(days=3)
    rows = autumn.charger.usage(ROOM, begin, end, "hour")
    assert [row.energy_wh for row in rows] == [100] * 5
    assert rows[-1].end == newest


def test_the_present_month_is_told_up_to_the_newest_reading_booked_or_not(make_station):
    station = make_station(tariff=versions(**TIERS), start=NOVEMBER)
    station.room()
    station.read((1, 1100), (100, 11_000))
    station.charger.settle(ROOM)
    station.read((101, 11_100))
    newest = station.at(101)
    (row,) = station.charger.usage(ROOM, newest - timedelta(hours=1), newest, "hour")
    assert (row.energy_wh, row.cost_micro) == (100, 83_830)
    assert station.charger.bill(ROOM, "2026-11").accrued_micro == 83_830


@pytest.mark.parametrize(
    ("step", "days"), [("hour", 64), ("day", 801), ("month", 3701), ("hour", 0)]
)
def test_a_range_that_is_too_long_or_empty_is_refused(autumn, step, days):
    with pytest.raises(InvalidInput, match="must be after start"):
        autumn.charger.usage(ROOM, NOVEMBER, NOVEMBER + timedelta(days=days), UsageStep(step))


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "26-11", "2026/11", ""])
def test_a_bill_of_no_month_is_refused(autumn, month):
    with pytest.raises(InvalidInput, match="must be a month such as 2026-11"):
        autumn.charger.bill(ROOM, month)


def test_a_room_that_is_not_there_is_unknown(autumn):
    with pytest.raises(UnknownSubject):
        autumn.charger.bill("b9-999", "2026-11")
    with pytest.raises(UnknownSubject):
        autumn.charger.usage("b9-999", NOVEMBER, NOVEMBER + timedelta(days=1), "day")


def test_a_day_of_25_hours_has_25_rows_and_bills_each_once(make_station):
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    station = make_station(zone=zone, start=start)
    station.room()
    for hour in range(27):
        station.read((hour, 1000 + 100 * hour))
    station.charger.settle(ROOM)
    rows = station.charger.usage(ROOM, start, start + timedelta(hours=25), "hour")
    assert [row.energy_wh for row in rows] == [100] * 25
    assert [row.start.astimezone(zone).hour for row in rows][:5] == [0, 1, 2, 2, 3]
    (day,) = station.charger.usage(ROOM, start, start + timedelta(hours=25), "day")
    assert day.energy_wh == 2_500
    assert station.charger.bill(ROOM, "2026-10").energy_wh == 2_600


def test_a_preview_with_the_tariff_in_force_is_the_bill(autumn):
    same = Tariff.model_validate(versions(**TIERS))
    preview = autumn.charger.preview(same, ROOM, "2026-11")
    assert preview.energy_micro == autumn.charger.bill(ROOM, "2026-11").energy_micro
    before = len(autumn.entries())
    shop = demo_tariffs().root["shop"]
    preview = autumn.charger.preview(shop, ROOM, "2026-11")
    assert preview.energy_wh == 72_000
    assert preview.fees_micro == {"per-month": micro("10"), "per-kwh": micro("1.44")}
    assert len(autumn.entries()) == before


def test_given_energy_is_priced_by_month(make_station):
    station = make_station()
    zone = ZoneInfo("Asia/Shanghai")
    free = {"kwh_per_person": "2", "months_off": [12]}
    plan = Tariff.model_validate(versions(rate="1", free=free))
    rows = [
        (datetime(2026, 11, 30, 22, tzinfo=zone), datetime(2026, 12, 1, 2, tzinfo=zone), 16_000),
        (datetime(2026, 12, 5, tzinfo=zone), datetime(2026, 12, 6, tzinfo=zone), 500),
    ]
    november, december = station.charger.preview_usage(plan, rows, people=3)
    assert (november.energy_wh, november.energy_micro) == (8_000, micro("2"))
    assert (december.energy_wh, december.energy_micro) == (8_500, micro("8.5"))
    with pytest.raises(InvalidInput, match="overlaps"):
        station.charger.preview_usage(plan, [rows[0], rows[0]], people=3)


def test_a_room_whose_prepaid_meter_holds_the_money_is_charged_there(make_station):
    from billing.model import BalanceMode
    from domain.books import BookAccount, meter_book

    station = make_station()
    station.room(mode=BalanceMode.METER)
    station.books.open(BookAccount(meter_book("M-b1-101"))).result()
    station.read((1, 2000))
    station.charger.settle(ROOM)
    assert station.books.balance(meter_book("M-b1-101")) == -micro("0.55")
    assert station.books.balance(room_book(ROOM)) == 0
    assert len(station.entries(EntryKind.CHARGE)) == 1

"""Wrong clocks, missing readings and failing stores: nothing is billed twice, nothing invented."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from charging_station import micro

from domain.books import EntryKind
from domain.errors import StoreUnavailable

ROOM = "b1-101"


@pytest.fixture
def station(make_station):
    made = make_station()
    made.room()
    return made


def billed_wh(station, month="2026-11"):
    return station.charger.bill(ROOM, month).energy_wh


def adds_up(station):
    return all(row.difference_wh == 0 for row in station.charger.energy_check())


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("settle_often", [True, False])
def test_a_clock_that_is_an_hour_wrong_for_a_while_bills_every_wh_once(
    station, hours, settle_often
):
    counter = 1000
    for minute in range(0, 360, 10):
        true = station.at(1) + timedelta(minutes=minute)
        wrong = 100 <= minute < 200
        shown = true + timedelta(hours=hours) if wrong else true
        station.clock.jump(shown)
        counter += 50
        station.observe(("M-b1-101", shown, counter))
        if settle_often:
            station.charger.settle(ROOM)
    station.charger.settle(ROOM)
    assert billed_wh(station) == counter - 1000
    assert station.charged_micro() == (counter - 1000) * 550
    assert adds_up(station)
    assert station.charger.reviews() == []


def test_readings_from_the_future_and_from_1970_are_not_taken(station):
    station.read((1, 1500))
    station.observe(("M-b1-101", station.at(3), 9_000))
    station.observe(("M-b1-101", datetime(1970, 1, 1, tzinfo=UTC), 1_600))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 500
    assert station.charger.counters.ahead == 1
    assert station.charger.counters.outside_span == 1


def test_a_clock_that_fell_back_to_1970_takes_nothing_back(station):
    station.read((1, 1500))
    station.charger.settle(ROOM)
    station.clock.jump(datetime(1970, 1, 1, tzinfo=UTC))
    station.observe(("M-b1-101", datetime(1970, 1, 1, tzinfo=UTC), 1_600))
    station.charger.settle(ROOM)
    station.charger.charge_due()
    assert billed_wh(station) == 500
    station.clock.jump(station.at(2))
    station.read((2, 1700))
    station.charger.settle(ROOM)
    assert billed_wh(station) == 700
    assert adds_up(station)


def test_rows_that_are_not_good_or_have_no_energy_are_passed_over(station):
    station.until(1)
    for quality in ("held", "timeout", "exception", "skipped"):
        station.observe(("M-b1-101", station.at(0.5), 1_900), quality=quality)
    station.observe(("M-b1-101", station.at(0.6), None))
    station.observe(("unknown-meter", station.at(0.6), 5))
    station.charger.settle(ROOM)
    assert station.entries() == []
    assert station.charger.counters.not_good == 5
    assert station.charger.counters.unknown_meter == 1


def test_without_readings_nothing_is_charged_however_long(station):
    station.read((1, 1500))
    station.charger.settle(ROOM)
    for day in range(1, 40):
        station.until(24 * day)
        station.charger.charge_due()
    assert len(station.entries(EntryKind.CHARGE)) == 1
    assert billed_wh(station) == 500


def test_what_a_gap_hid_is_charged_in_the_months_it_was_used_in(station):
    # November ends in the middle of the gap; the energy is spread over it.
    station.read((700, 1000), (740, 5000))
    station.charger.settle(ROOM)
    month_end = datetime(2026, 12, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    share = (month_end - station.at(700)) / timedelta(hours=40)
    assert billed_wh(station, "2026-11") == int(4000 * share)
    assert billed_wh(station, "2026-12") == 4000 - int(4000 * share)


def test_a_late_reading_moves_energy_between_months_and_not_the_total(station):
    station.read((700, 1000), (740, 5000))
    station.charger.settle(ROOM)
    # All of it was used after the month's end, says a reading that comes weeks later.
    station.until(24 * 50)
    station.observe(("M-b1-101", station.at(713), 1000))
    station.charger.charge_due()
    assert billed_wh(station, "2026-11") == 0
    assert billed_wh(station, "2026-12") == 4000
    assert station.charged_micro() == 4000 * 550
    assert adds_up(station)
    (back,) = [one for one in station.entries(EntryKind.CHARGE) if one.legs[0].amount > 0]
    assert back.reference == "2026-11"


def test_a_reading_older_than_what_is_in_memory_is_taken_with_the_next_booking(station):
    for day in range(70):
        station.read((24 * day + 1, 1000 + 100 * day))
        station.charger.charge_due()
    at = station.at(24 * 3 + 12)
    station.observe(("M-b1-101", at, 1000 + 100 * 3 + 99))
    station.until(24 * 70 + 2)
    run = station.charger.charge_due()
    assert run.failed == ()
    assert station.charger.counters.late == 1
    assert adds_up(station)
    total = sum(billed_wh(station, month) for month in ("2026-11", "2026-12", "2027-01"))
    assert total == 6900


def test_a_store_that_is_down_loses_nothing_and_doubles_nothing(station, monkeypatch):
    station.read((1, 1500))
    whole = station.store.commit

    def down(_):
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(station.store, "commit", down)
    with pytest.raises(StoreUnavailable):
        station.charger.settle(ROOM)
    station.read((1.5, 1600))
    station.until(2)
    run = station.charger.charge_due()
    assert [fault.subject for fault in run.failed] == [ROOM]
    assert station.charger.accrued_micro(ROOM) == 600 * 550
    monkeypatch.setattr(station.store, "commit", whole)
    station.charger.settle(ROOM)
    assert station.charged_micro() == 600 * 550
    station.restart()
    assert adds_up(station)
    assert billed_wh(station) == 600


def test_an_account_that_the_books_refuse_is_told_and_the_others_are_charged(station):
    station.room("b1-102", first_wh=0)
    station.read((1, 1500))
    station.observe(("M-b1-102", station.at(1), 300))
    station.charger.settle("b1-102")
    station.observe(("M-b1-102", station.at(1.01), 310))
    balance = station.books.balance("room:b1-102")
    assert balance == -300 * 550
    station.change("b1-102", tariff="nobody-knows")
    station.until(2)
    run = station.charger.charge_due()
    assert [fault.subject for fault in run.failed] == ["b1-102"]
    assert "nobody-knows" in run.failed[0].message
    assert station.charged_micro() == 500 * 550


def test_booking_is_hourly_and_each_local_day_has_entries_of_its_own(make_station):
    station = make_station(post_every_s=3600)
    station.room()
    runs = 0
    for quarter in range(4 * 48):
        station.read((quarter / 4, 1000 + 25 * quarter))
        runs += station.charger.charge_due().entries
    charges = station.entries(EntryKind.CHARGE)
    assert runs == len(charges)
    # Every hour one, and one more where a local day ended in between.
    assert 47 <= len(charges) <= 50
    by_day: dict[str, int] = {}
    zone = ZoneInfo("Asia/Shanghai")
    for entry in charges:
        day = entry.time.astimezone(zone).date().isoformat()
        by_day[day] = by_day.get(day, 0) + sum(line["energy_wh"] for line in entry.details["lines"])
    # The last three quarters of an hour are not due yet.
    assert by_day == {"2026-11-01": 1600, "2026-11-02": 2400, "2026-11-03": 700}
    assert station.charger.accrued_micro(ROOM) == 75 * 550


def test_a_restart_forgets_what_was_not_booked_and_reads_it_again(station):
    station.read((1, 1500))
    station.charger.settle(ROOM)
    station.read((1.2, 1600), (1.4, 1700))
    assert station.charger.accrued_micro(ROOM) == 200 * 550
    station.restart()
    assert station.charger.accrued_micro(ROOM) == 0
    station.read((1.2, 1600), (1.4, 1700), (1.6, 1800))
    station.charger.settle(ROOM)
    assert station.charged_micro() == micro("0.44")
    assert adds_up(station)


def test_a_late_reading_that_comes_while_the_books_are_written_is_kept(station, monkeypatch):
    station.read((700, 1000))
    station.charger.settle(ROOM)
    late = ("M-b1-101", station.at(705), 1000)
    whole = station.store.commit

    def slow(plan):
        future = whole(plan)
        future.result()
        # The sweep comes after the commit, before charging takes note of it.
        station.observe(late)
        return future

    station.read((730, 4000), (740, 4500))
    monkeypatch.setattr(station.store, "commit", slow)
    station.charger.settle(ROOM)
    monkeypatch.setattr(station.store, "commit", whole)
    station.charger.settle(ROOM)
    station.restart()
    zone = ZoneInfo("Asia/Shanghai")
    month_end = datetime(2026, 12, 1, tzinfo=zone)
    share = 3000 * ((month_end - station.at(705)) // timedelta(hours=1)) // 25
    assert billed_wh(station) == share
    assert billed_wh(station, "2026-12") == 3500 - share
    assert adds_up(station)


def test_a_late_reading_of_a_day_that_is_let_go_leaves_the_rest_of_that_day_alone(station):
    for hour in range(690, 712):
        station.read((hour, 1000 + 100 * (hour - 690)))
    station.read((730, 5000))
    station.charger.settle(ROOM)
    begin, end = station.at(690), station.at(712)
    before = station.charger.usage(ROOM, begin, end, "hour")
    station.observe(("M-b1-101", station.at(711.5), 3150))
    station.charger.settle(ROOM)
    station.restart()
    after = station.charger.usage(ROOM, begin, end, "hour")
    assert [row.energy_wh for row in after[:-1]] == [100] * 21
    assert before[:-1] == after[:-1]
    assert adds_up(station)

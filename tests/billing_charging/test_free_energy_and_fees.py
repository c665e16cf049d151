"""Free base energy and what is due beside energy, month by month, in the books and on the bill."""

from datetime import UTC, date, datetime

import pytest
from charging_station import micro

from billing.model import Occupancy
from billing.rating import Carry, Lot, closing_lots, gone_in, grant_wh
from billing.tariff import FreeEnergy
from domain.books import EntryKind, free_book, room_book
from domain.site import RoomKind

ROOM = "b1-101"
# Local midnight of 1 November at the site.
NOVEMBER = datetime(2026, 10, 31, 16, tzinfo=UTC)


def tariff(**more):
    return {"versions": [{"valid_from": "2026-01-01", "rate": "0.50", **more}]}


def free(**more):
    return tariff(free={"kwh_per_person": "6", **more})


def station_with(make_station, plan, people=0, **more):
    station = make_station(tariff=plan, start=NOVEMBER)
    station.room(**more)
    if people:
        station.people(ROOM, people)
    return station


def use_by_month(station, *energies_wh):
    """Use so much in each month from November on, an even flow; then settle past the last one."""
    counter, ends = 1000, [720, 720 + 744, 720 + 744 * 2, 720 + 744 * 2 + 672]
    begin = 0
    for energy_wh, end in zip(energies_wh, ends, strict=False):
        for part in range(1, 5):
            station.read((begin + (end - begin) * part / 4, counter + energy_wh * part // 4))
            station.charger.settle(ROOM)
        counter += energy_wh
        begin = end
    station.read((begin + 1, counter))
    station.charger.charge_due()


def wh_of(station, kind):
    """Return what entries of a kind moved on the room's free account, by month."""
    found: dict[str, int] = {}
    for entry in station.entries(kind):
        moved = sum(leg.amount for leg in entry.legs if leg.account == free_book(ROOM))
        found[entry.reference] = found.get(entry.reference, 0) + moved
    return found


def test_free_energy_is_used_before_any_that_is_paid_and_what_is_left_expires(make_station):
    station = station_with(make_station, free(), people=2)
    use_by_month(station, 20_000, 5_000)
    november, december = (station.charger.bill(ROOM, month) for month in ("2026-11", "2026-12"))
    assert (november.energy_wh, november.free_used_wh, november.energy_micro) == (
        20_000, 12_000, micro("4.00"),
    )  # fmt: skip
    assert (december.free_used_wh, december.free_expired_wh, december.energy_micro) == (
        5_000, 7_000, 0,
    )  # fmt: skip
    assert wh_of(station, EntryKind.FREE_GRANT) == {
        "2026-11": 12_000, "2026-12": 12_000, "2027-01": 12_000,
    }  # fmt: skip
    assert wh_of(station, EntryKind.FREE_USE) == {"2026-11": -12_000, "2026-12": -5_000}
    assert wh_of(station, EntryKind.FREE_EXPIRY) == {"2026-12": -7_000}
    assert station.books.balance(free_book(ROOM)) == 12_000


def test_every_wh_of_a_bill_is_in_the_lines_of_exactly_one_entry(make_station):
    station = station_with(make_station, free(), people=2)
    use_by_month(station, 20_000, 5_000)
    energy, free_wh = 0, 0
    for entry in station.entries():
        for line in entry.details.get("lines", ()):
            energy += line["energy_wh"]
            free_wh += line["free_wh"]
    assert (energy, free_wh) == (25_000, 17_000)


def test_free_energy_rolls_over_to_the_end_of_the_term_up_to_a_cap(make_station):
    plan = free(lasts="term", term_months=[2, 9], carry_most_kwh="8")
    station = station_with(make_station, plan, people=1)
    use_by_month(station, 1_000, 2_000, 3_000, 0)
    # Left: 5; 5 + 6 - 2 = 9, of which 8 pass on; 8 + 6 - 3 = 11 and the term ends.
    assert wh_of(station, EntryKind.FREE_EXPIRY) == {
        "2026-12": -1_000, "2027-01": -11_000,
    }  # fmt: skip
    assert station.charged_micro() == 0
    assert station.books.balance(free_book(ROOM)) == 6_000 + 6_000


def test_what_is_not_booked_yet_is_free_as_soon_as_people_are_written_down(make_station):
    station = station_with(make_station, free())
    station.read((1, 1000), (5, 3000))
    assert station.charger.accrued_micro(ROOM) == micro("1.00")
    station.people(ROOM, 1)
    station.charger.refresh()
    assert station.charger.accrued_micro(ROOM) == 0


def test_in_months_off_nobody_has_free_energy(make_station):
    station = station_with(make_station, free(months_off=[12]), people=1)
    use_by_month(station, 7_000, 7_000)
    assert station.charger.bill(ROOM, "2026-11").energy_micro == micro("0.50")
    assert station.charger.bill(ROOM, "2026-12").energy_micro == micro("3.50")


def test_who_moves_in_late_counts_by_his_days_where_the_policy_says_so(make_station):
    station = station_with(make_station, free(count="days"))
    station.directory.live(
        Occupancy("a", ROOM, date(2026, 9, 1)), Occupancy("b", ROOM, date(2026, 11, 16))
    )
    use_by_month(station, 20_000)
    assert station.charger.bill(ROOM, "2026-11").free_granted_wh == 6_000 + 3_000


def test_a_change_of_occupants_written_down_later_corrects_the_month(make_station):
    station = station_with(make_station, free(), people=1)
    use_by_month(station, 20_000)
    assert station.charger.bill(ROOM, "2026-11").energy_micro == micro("7.00")
    station.people(ROOM, 2)
    station.charger.settle(ROOM)
    assert station.charger.bill(ROOM, "2026-11").energy_micro == micro("4.00")
    assert station.charged_micro() == micro("4.00")


@pytest.mark.parametrize(
    ("lasts", "month", "expected"),
    [
        ("month", "2026-12", "2027-01"),
        ("term", "2026-09", "2027-02"),
        ("term", "2027-01", "2027-02"),
        ("term", "2027-02", "2027-09"),
        ("year", "2026-11", "2027-01"),
        ("ever", "2026-11", "9999-12"),
    ],
)
def test_free_energy_is_gone_in(lasts, month, expected):
    policy = FreeEnergy(kwh_per_person="5", lasts=lasts, term_months=(2, 9))
    assert gone_in(policy, month) == expected


def test_of_more_than_may_be_carried_the_oldest_goes():
    policy = FreeEnergy(kwh_per_person="5", lasts="ever", carry_most_kwh="7")
    lots = [Lot("2027-02", 4_000), Lot("2027-09", 5_000), Lot("2026-12", 100)]
    kept, gone_wh = closing_lots("2026-11", lots, policy)
    assert kept == (Lot("2027-02", 2_000), Lot("2027-09", 5_000))
    assert gone_wh == 2_100
    assert Carry(5, kept).lots[0].energy_wh == 2_000


def test_a_person_who_is_written_down_twice_counts_once():
    policy = FreeEnergy(kwh_per_person="5")
    twice = [Occupancy("a", ROOM, date(2026, 1, 1)), Occupancy("a", ROOM, date(2026, 2, 1))]
    assert grant_wh(policy, "2026-11", twice, [date(2026, 11, 1)]) == 5_000


SHOP_FEES = {"per_month": "10.00", "per_kwh": "0.02", "minimum_per_month": "30.00"}


def fees_of(station, month):
    found = {}
    for entry in station.entries(EntryKind.FEE):
        if entry.reference == month:
            amount = -sum(leg.amount for leg in entry.legs if leg.account == room_book(ROOM))
            name = entry.details["fee"]
            found[name] = found.get(name, 0) + amount
    return found


def test_a_shop_pays_its_fees_and_the_rest_of_its_minimum_when_the_month_is_over(make_station):
    station = station_with(make_station, tariff(fees=SHOP_FEES), kind=RoomKind.SHOP)
    station.read((300, 21_000), (719.9, 41_000))
    station.charger.settle(ROOM)
    assert fees_of(station, "2026-11") == {}
    station.read((720.01, 41_000), (721, 41_000))
    station.charger.charge_due()
    assert fees_of(station, "2026-11") == {
        "per-month": micro("10"), "per-kwh": micro("0.80"), "minimum": micro("10.00"),
    }  # fmt: skip
    bill = station.charger.bill(ROOM, "2026-11")
    assert bill.final
    assert bill.total_micro == micro("20") + micro("20.80")
    assert station.books.balance(room_book(ROOM)) == -bill.total_micro
    (minimum,) = [
        entry for entry in station.entries(EntryKind.FEE) if entry.details["fee"] == "minimum"
    ]
    assert minimum.time.astimezone(UTC) < datetime(2026, 11, 30, 16, tzinfo=UTC)


def test_who_opens_in_the_middle_of_a_month_pays_by_days(make_station):
    station = make_station(
        tariff=tariff(fees=SHOP_FEES), start=datetime(2026, 11, 15, 17, tzinfo=UTC)
    )
    station.room(kind=RoomKind.SHOP)
    # Opened on the 16th by the local calendar: 15 days of 30.
    station.read((400, 1_000))
    station.charger.charge_due()
    assert fees_of(station, "2026-11") == {"per-month": micro("5"), "minimum": micro("15")}


def test_what_rests_on_energy_waits_for_a_reading_after_the_months_end(make_station):
    station = station_with(make_station, tariff(fees=SHOP_FEES), kind=RoomKind.SHOP)
    station.read((700, 1_000))
    station.until(800)
    station.charger.charge_due()
    assert fees_of(station, "2026-11") == {"per-month": micro("10")}
    assert not station.charger.bill(ROOM, "2026-11").final
    station.read((801, 1_000))
    station.charger.settle(ROOM)
    assert fees_of(station, "2026-11")["minimum"] == micro("30")
    assert station.charger.bill(ROOM, "2026-11").final


def test_energy_that_comes_late_takes_the_minimum_back(make_station):
    station = station_with(make_station, tariff(fees={"minimum_per_month": "30"}))
    station.read((700, 1_000), (780, 81_000))
    station.charger.settle(ROOM)
    assert fees_of(station, "2026-11") == {"minimum": micro("30") - 20_000 * 500}
    station.observe(("M-b1-101", station.at(719.5), 81_000))
    station.charger.settle(ROOM)
    assert fees_of(station, "2026-11") == {"minimum": 0}
    assert station.charged_micro() == 80_000 * 500


def test_closing_books_use_fees_by_days_and_the_rest_of_the_free_energy(make_station):
    plan = tariff(fees=SHOP_FEES, free={"kwh_per_person": "6", "lasts": "ever"})
    station = station_with(make_station, plan, people=1)
    station.read((24 * 9 + 12, 5_000))
    station.charger.settle_closing(ROOM)
    # The tenth of November is the last of ten days.
    assert station.books.balance(free_book(ROOM)) == 0
    assert fees_of(station, "2026-11") == {
        "per-month": 3_333_333, "per-kwh": 80_000, "minimum": micro("10"),
    }  # fmt: skip
    station.change(ROOM, closed_at=station.clock.now())
    before = len(station.entries())
    station.until(2000)
    station.charger.charge_due()
    station.charger.settle(ROOM)
    assert len(station.entries()) == before


def test_a_closing_that_did_not_happen_is_taken_back(make_station):
    station = station_with(make_station, tariff(fees=SHOP_FEES))
    station.read((24, 5_000))
    station.charger.settle_closing(ROOM)
    assert fees_of(station, "2026-11")["per-month"] > 0
    station.charger.settle(ROOM)
    assert set(fees_of(station, "2026-11").values()) == {0}

"""From readings to entries: what is used is booked once, whatever happens in between."""

from charging_station import micro

from domain.books import EntryKind, room_book


def test_use_is_charged_at_the_flat_rate_when_it_is_settled(make_station):
    station = make_station()
    station.room()
    station.read((0.1, 1000), (0.5, 1400), (1.0, 2000))
    station.charger.settle("b1-101")
    assert station.charged_micro() == micro("0.55")
    assert station.books.balance(room_book("b1-101")) == -micro("0.55")
    (entry,) = station.entries(EntryKind.CHARGE)
    assert entry.reference == "2026-11"
    assert entry.details["lines"] == [
        {
            "tariff": "t", "version": 1, "band": "all", "tier": 1, "energy_wh": 1000,
            "free_wh": 0, "rate": "0.55", "amount_micro": 550_000,
        }
    ]  # fmt: skip


def test_what_is_used_and_not_booked_is_accrued(make_station):
    station = make_station()
    station.room()
    station.read((0.1, 1000), (0.5, 1400))
    assert station.charger.accrued_micro("b1-101") == micro("0.22")
    assert station.charger.balance_micro("b1-101") == -micro("0.22")
    station.charger.settle("b1-101")
    assert station.charger.accrued_micro("b1-101") == 0
    assert station.charger.balance_micro("b1-101") == -micro("0.22")


def test_settling_again_without_use_books_nothing(make_station):
    station = make_station()
    station.room()
    station.read((0.1, 1000), (0.5, 1400))
    for _ in range(3):
        station.charger.settle("b1-101")
    assert len(station.entries(EntryKind.CHARGE)) == 1

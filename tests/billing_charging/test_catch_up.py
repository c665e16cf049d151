"""After a restart the time series tells what was used since the last booking."""

from datetime import timedelta

import pytest
from charging_station import frame_of

from domain.errors import StoreUnavailable
from storage.duckdb_series import DuckDbSeries

ROOM = "b1-101"


@pytest.fixture
def series(tmp_path):
    store = DuckDbSeries(tmp_path / "series.duckdb")
    yield store
    store.close()


@pytest.fixture
def station(make_station):
    made = make_station()
    made.room()
    return made


def live(station, series, *readings):
    """A sweep goes to the charger and, by the recorder, to the time series."""
    for hours, energy_wh in readings:
        station.until(hours)
        rows = [("M-b1-101", station.at(hours), energy_wh)]
        station.observe(*rows)
        series.write(frame_of(rows, "good"))


def test_what_was_used_since_the_last_booking_is_found_again(station, series):
    live(station, series, (1, 1500))
    station.charger.settle(ROOM)
    live(station, series, (1.2, 1600), (1.4, 1700))
    station.restart()
    assert station.charger.catch_up(series) > 0
    assert station.charger.accrued_micro(ROOM) == 200 * 550
    live(station, series, (2, 1800))
    station.charger.settle(ROOM)
    assert station.charged_micro() == 800 * 550
    (row,) = station.charger.energy_check()
    assert row.difference_wh == 0


def test_catching_up_twice_or_while_reading_goes_on_changes_nothing(station, series):
    live(station, series, (1, 1500), (1.2, 1600))
    station.charger.catch_up(series)
    station.charger.catch_up(series)
    assert station.charger.accrued_micro(ROOM) == 600 * 550


def test_a_restart_without_and_with_the_series_ends_in_the_same_books(make_station, series):
    through, restarted = make_station(), make_station()
    readings = [(hour / 7, 1000 + 37 * hour) for hour in range(7 * 60)]
    for station in (through, restarted):
        station.room()
    for number, reading in enumerate(readings):
        through.read(reading)
        live(restarted, series, reading)
        if number % 40 == 7:
            restarted.charger.settle(ROOM)
        if number % 90 == 60:
            restarted.restart()
            restarted.charger.catch_up(series)
    for station in (through, restarted):
        station.charger.settle(ROOM)
    one, other = (station.charger.bill(ROOM, "2026-11") for station in (through, restarted))
    assert one == other
    day = timedelta(days=1)
    begin = through.at(0)
    assert through.charger.usage(ROOM, begin, begin + 2 * day, "hour") == restarted.charger.usage(
        ROOM, begin, begin + 2 * day, "hour"
    )


def test_a_jump_in_the_series_is_held_as_it_would_have_been(station, series):
    live(station, series, (1, 1500))
    station.charger.settle(ROOM)
    rows = [(1.2, 300), (1.25, 310), (1.9, 400)]
    station.until(2)
    for hours, energy_wh in rows:
        series.write(frame_of([("M-b1-101", station.at(hours), energy_wh)], "good"))
    station.restart()
    station.charger.catch_up(series)
    station.charger.settle(ROOM)
    (review,) = station.charger.reviews()
    assert review.difference_wh == -1200
    assert station.charged_micro() == (500 + 100) * 550


def test_a_series_that_is_down_is_told(station, series):
    live(station, series, (1, 1500))
    station.until(5)
    series.close()
    with pytest.raises(StoreUnavailable):
        station.charger.catch_up(series)

"""What a tariff may say, when its versions hold, and what the local calendar makes of the day."""

from collections import Counter
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from charging_station import micro
from pydantic import ValidationError

from billing.calendar import (
    Pricing,
    make_grid,
    month_at,
    month_bounds_ms,
    next_month,
    previous_month,
    to_ms,
    to_time,
)
from billing.tariff import Band, Tariff, TariffBook, TariffVersion
from billing.tariff_examples import demo_tariffs
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind

WORKDAY = [{"at": "00:00", "band": "valley"}, {"at": "08:30", "band": "peak"}]
SEASONS = [{"workday": WORKDAY, "holiday": [{"at": "00:00", "band": "deep"}]}]
RATES = {"peak": "1", "valley": "0.5", "deep": "0.2"}
FROM = {"valid_from": "2026-01-01"}


def words(data):
    with pytest.raises(ValidationError) as refused:
        TariffVersion.model_validate(FROM | data)
    return " | ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in refused.value.errors()
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, ["give exactly one of rate, rates and tiers"]),
        ({"rate": "1", "rates": {"all": "1"}}, ["give exactly one of rate, rates and tiers"]),
        ({"rate": 0.55}, ['rate: Value error, write it as text, "0.55"']),
        ({"rate": "-1"}, ["rate: Input should be greater than or equal to 0"]),
        ({"rate": "NaN"}, ["rate"]),
        ({"rate": "0.1234567"}, ["rate"]),
        ({"rates": RATES, "seasons": [{"workday": WORKDAY}]}, ["no hour of any season is deep"]),
        ({"rates": {"peak": "1"}, "seasons": SEASONS}, ["no rate for deep, valley"]),
        (
            {"rate": "1", "seasons": [{"workday": [{"at": "01:00", "band": "peak"}]}]},
            ["the first band must start at 00:00"],
        ),
        (
            {"rate": "1", "seasons": [{"workday": [*WORKDAY, WORKDAY[0]]}]},
            ["bands must be in order of time"],
        ),
        (
            {"rate": "1", "seasons": [{"workday": [{"at": "00:00:30", "band": "all"}]}]},
            ["must start at 00:00", "whole local minutes", "name a band"],
        ),
        (
            {"rate": "1", "seasons": [{"months": [1, 2, 2], "workday": WORKDAY}]},
            ["months [2] stand twice", "months [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] are missing"],
        ),
        (
            {"tiers": [{"up_to_kwh": "9", "rate": "1"}, {"up_to_kwh": "5", "rate": "1"}]},
            ["the last tier has no up_to_kwh"],
        ),
        (
            {"tiers": [{"up_to_kwh": "9", "rate": "1"}, {"up_to_kwh": "5", "rate": "1"},
                       {"rate": "2"}]},
            ["up_to_kwh must rise from tier to tier"],
        ),
        ({"tiers": [{"rate": "1"}, {"rate": "2"}]}, ["only the last tier has no up_to_kwh"]),
        ({"tiers": [{"rate": "1", "rates": RATES}]}, ["tier 1: give either rate or rates"]),
        (
            {"rate": "1", "day_types": {"holidays": ["2026-10-01"],
                                        "working_days": ["2026-10-01"]}, "seasons": SEASONS},
            ["both holiday and working day: 2026-10-01"],
        ),
        ({"rate": "1", "fee": {}}, ["fee: Extra inputs are not permitted"]),
    ],
)  # fmt: skip
def test_every_fault_of_a_version_is_told(data, told):
    found = words(data)
    for one in told:
        assert one in found


def test_versions_stand_in_order_and_the_first_holds_before_its_date():
    versions = [
        {"valid_from": "2026-03-01", "rate": "1"},
        {"valid_from": "2026-07-01", "rate": "2"},
    ]
    tariff = Tariff.model_validate({"versions": versions})
    days = (date(2025, 1, 1), date(2026, 6, 30), date(2026, 7, 1))
    assert [str(tariff.at(day).rate) for day in days] == ["1", "1", "2"]
    with pytest.raises(ValidationError, match="in order of valid_from"):
        Tariff.model_validate({"versions": versions[::-1]})


def test_the_demo_tariffs_are_tariffs():
    assert set(demo_tariffs().root) == {"dorm", "shop", "public"}


def test_a_tariff_that_was_told_can_be_sent_back():
    for tariff in demo_tariffs().root.values():
        assert Tariff.model_validate(tariff.model_dump(mode="json")) == tariff


def hours_of(month, zone_name, version=None):
    zone = ZoneInfo(zone_name)
    version = version or TariffVersion.model_validate(FROM | {"rate": "1"})
    return make_grid(month, zone, [(0, Pricing("t", version))])


@pytest.mark.parametrize(
    ("zone", "month", "stretches"),
    [
        ("Asia/Shanghai", "2026-11", 720),
        ("Europe/Berlin", "2026-03", 743),
        ("Europe/Berlin", "2026-10", 745),
        ("America/New_York", "2026-11", 721),
        ("America/Sao_Paulo", "2018-11", 719),  # midnight itself was skipped
        ("Asia/Kathmandu", "2026-11", 720),  # 5:45 ahead of UTC
    ],
)
def test_a_month_has_the_hours_that_pass_in_it(zone, month, stretches):
    grid = hours_of(month, zone)
    assert len(grid.bands) == stretches
    lengths = Counter(end - begin for begin, end in zip(grid.starts, grid.starts[1:], strict=False))
    assert lengths == {3_600_000: stretches}
    assert len(grid.day_ends) == (31 if month.endswith(("03", "10")) else 30)


def test_a_change_of_half_an_hour_gives_a_short_hour_and_loses_no_time():
    grid = hours_of("2026-10", "Australia/Lord_Howe")
    assert grid.starts[-1] - grid.starts[0] == (31 * 24 * 2 - 1) * 1_800_000
    assert list(grid.starts) == sorted(set(grid.starts))


def test_bands_follow_the_wall_clock_through_a_change():
    version = TariffVersion.model_validate(FROM | {"rates": RATES, "seasons": SEASONS})
    zone = ZoneInfo("Europe/Berlin")
    grid = hours_of("2026-10", "Europe/Berlin", version)
    for begin, band in zip(grid.starts, grid.bands, strict=False):
        local = to_time(begin).astimezone(zone)
        expected = Band.PEAK if (local.hour, local.minute) >= (8, 30) else Band.VALLEY
        assert band is expected, local


def test_weekends_holidays_and_make_up_days_have_their_own_bands():
    season = {
        "workday": [{"at": "00:00", "band": "peak"}],
        "weekend": [{"at": "00:00", "band": "valley"}],
        "holiday": [{"at": "00:00", "band": "deep"}],
    }
    version = TariffVersion.model_validate(
        FROM | {
            "rates": RATES, "seasons": [season],
            "day_types": {"holidays": ["2026-10-01", "2026-10-03"], "working_days": ["2026-10-10"]},
        }
    )  # fmt: skip
    zone = ZoneInfo("Asia/Shanghai")
    grid = hours_of("2026-10", "Asia/Shanghai", version)
    by_day = {
        to_time(begin).astimezone(zone).day: band.value
        for begin, band in zip(grid.starts, grid.bands, strict=False)
    }
    assert {day: by_day[day] for day in (1, 2, 3, 4, 5, 10, 11)} == {
        1: "deep", 2: "peak", 3: "deep", 4: "valley", 5: "peak", 10: "peak", 11: "valley",
    }  # fmt: skip


def test_months_follow_each_other():
    assert (next_month("2026-12"), previous_month("2026-01")) == ("2027-01", "2025-12")
    zone = ZoneInfo("Asia/Shanghai")
    begin, end = month_bounds_ms("2026-11", zone)
    assert month_at(begin, zone) == "2026-11"
    assert month_at(end, zone) == "2026-12"
    assert to_ms(datetime(2026, 11, 1, tzinfo=zone)) == begin


# --- the shelf

ROOM = "b1-101"


def version(valid_from, rate):
    return TariffVersion.model_validate({"valid_from": valid_from, "rate": rate})


def tariff_of(one):
    return Tariff(title="t", versions=(one,))


def test_a_version_to_come_prices_what_is_used_from_its_local_midnight_on(make_station):
    station = make_station()
    station.room()
    new = version("2026-11-03", "1.00")
    saved = station.charger.shelf.save("t", tariff_of(new), new, "li", "new price")
    assert saved.number == 2
    # Local midnight of 3 November is 40 hours after the start.
    station.read((39.9, 1000), (40, 2000), (41, 3000))
    station.charger.settle(ROOM)
    assert station.charged_micro() == micro("0.55") + micro("1.00")
    lines = station.charger.bill(ROOM, "2026-11").lines
    assert [(line.key.version, line.energy_wh) for line in lines] == [(1, 1000), (2, 1000)]
    (event,) = [
        one for one in station.events
        if one.kind is EventKind.TARIFF_CHANGED and one.actor == "li"
    ]  # fmt: skip
    assert event.details == {"tariff": "t", "version": 2, "valid_from": "2026-11-03"}


@pytest.mark.parametrize("day", ["2026-10-31", "2026-11-01"])
def test_a_version_that_has_begun_can_neither_be_added_nor_changed(make_station, day):
    station = make_station()
    new = version(day, "9")
    with pytest.raises(InvalidInput, match="must begin after today, 2026-11-01"):
        station.charger.shelf.save("t", tariff_of(new), new, "li", "too late")


def test_a_version_that_has_not_begun_is_replaced_by_another_of_its_date(make_station):
    station = make_station()
    for rate in ("1", "2"):
        new = version("2026-12-01", rate)
        station.charger.shelf.save("t", tariff_of(new), new, "li", f"rate {rate}")
    station.restart()
    standing = station.charger.shelf.tariff("t").versions
    assert [(one.number, str(one.rate)) for one in standing] == [(1, "0.55"), (3, "2")]
    history = station.charger.shelf.history("t")
    assert [one.withdrawn_at is not None for one in history] == [False, True, False]
    assert [one.reason for one in history[1:]] == ["rate 1", "rate 2"]


def test_a_site_file_that_changes_a_billed_version_is_refused_with_every_place(make_station):
    station = make_station()
    versions = [
        {"valid_from": "2026-01-01", "rate": "0.56"},
        {"valid_from": "2026-06-01", "rate": "0.57"},
        {"valid_from": "2027-01-01", "rate": "0.58"},
    ]
    faults = station.charger.shelf.seed(TariffBook.model_validate({"t": {"versions": versions}}))
    assert [fault.source for fault in faults] == [
        "tariffs.t.versions[2026-01-01]", "tariffs.t.versions[2026-06-01]",
    ]  # fmt: skip
    assert [str(one.rate) for one in station.charger.shelf.tariff("t").versions] == ["0.55", "0.58"]


def test_the_same_site_file_again_changes_nothing(make_station):
    station = make_station()
    station.restart()
    station.restart()
    assert len(station.charger.shelf.history("t")) == 1


def test_an_unknown_tariff_is_unknown(make_station):
    with pytest.raises(UnknownSubject):
        make_station().charger.shelf.tariff("nobody")


def test_a_change_of_tariff_divides_the_energy_at_its_moment(make_station):
    station = make_station()
    dear = version("2026-01-01", "2.00")
    station.charger.shelf.save("dear", tariff_of(dear), dear, "li", "for shops")
    station.tariff_history = [(station.start, "t"), (station.at(2.5), "dear")]
    station.restart()
    station.room()
    station.read((2, 1000), (3, 2000))
    station.charger.settle(ROOM)
    assert station.charged_micro() == micro("0.55") // 2 + micro("2.00") // 2

"""Any readings in any order, repeated, late, with restarts and settlements in between: one total.

The reference below prices half hours by plain loops over all readings; it shares no code with what
is tested.
"""

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from charging_station import ChargingStation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.books import Entry, EntryKind, Leg, room_book

HALF_HOUR = timedelta(minutes=30)
NUMBERS = itertools.count(1)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe")
# Each span has a change of the clock in one of the zones, and the end of a month.
STARTS = (
    datetime(2026, 3, 6, 7, 13, tzinfo=UTC),
    datetime(2026, 3, 27, 21, 40, tzinfo=UTC),
    datetime(2026, 10, 23, 3, 5, tzinfo=UTC),
    datetime(2026, 10, 30, 23, 59, tzinfo=UTC),
    datetime(2026, 12, 29, 12, 0, tzinfo=UTC),
)
WORKDAY = [(0, "valley"), (7.5, "flat"), (11, "peak"), (19, "sharp"), (23, "valley")]
WEEKEND = [(0, "deep"), (9, "flat")]


def day(starts):
    return [{"at": f"{int(at):02d}:{int(at % 1 * 60):02d}", "band": band} for at, band in starts]


def rates(of):
    return dict(zip(("sharp", "peak", "flat", "valley", "deep"), of.split(), strict=True))


@dataclass(frozen=True)
class Case:
    """A tariff as the station takes it, and as the reference reads it."""

    version: dict
    steps: list  # (up to Wh or None, rate by band)
    bands: bool
    yearly: bool = False
    free_wh: int = 0


SEASONS = [{"workday": day(WORKDAY), "weekend": day(WEEKEND)}]
DEAR = rates("1.2345 1.0101 0.5673 0.3007 0.123456")
CHEAP = rates("0.9001 0.8 0.5 0.25 0.1")
CASES = {
    "flat": Case({"rate": "0.5383"}, [(None, "0.5383")], False),
    "bands": Case({"rates": DEAR, "seasons": SEASONS}, [(None, DEAR)], True),
    "tiers": Case(
        {"tiers": [{"up_to_kwh": "3", "rate": "0.4883"}, {"up_to_kwh": "9.5", "rate": "0.5383"},
                   {"rate": "0.7883"}]},
        [(3000, "0.4883"), (9500, "0.5383"), (None, "0.7883")], False,
    ),
    "tiers and bands by year, free": Case(
        {"tiers": [{"up_to_kwh": "7", "rates": CHEAP}, {"rates": DEAR}], "seasons": SEASONS,
         "tier_period": "year", "free": {"kwh_per_person": "2.5"}},
        [(7000, CHEAP), (None, DEAR)], True, yearly=True, free_wh=2500,
    ),
}  # fmt: skip


def counter_at(readings, moment):
    """Return the counter at a moment, interpolated to a whole Wh from the reading before."""
    place = bisect_right([at for at, _ in readings], moment) - 1
    if place < 0:
        return readings[0][1]
    (begin, low) = readings[place]
    if place + 1 == len(readings) or begin == moment:
        return low
    (end, high) = readings[place + 1]
    return low + (high - low) * ((moment - begin) // MS) // ((end - begin) // MS)


MS = timedelta(milliseconds=1)


def band_of(local, case):
    if not case.bands:
        return None
    starts = WEEKEND if local.isoweekday() >= 6 else WORKDAY
    hours = local.hour + local.minute / 60
    return [band for at, band in starts if at <= hours][-1]


def reference_micro(readings, case, zone, people):
    """Return the rounded price of every local month by plain steps of half an hour."""
    exact: dict[str, Fraction] = {}
    filled: dict[str, int] = {}
    free: dict[str, int] = {}
    step = readings[0][0].replace(minute=0, second=0, microsecond=0)
    while step < readings[-1][0]:
        energy = counter_at(readings, step + HALF_HOUR) - counter_at(readings, step)
        local = step.astimezone(zone)
        step += HALF_HOUR
        month = f"{local:%Y-%m}"
        period = f"{local:%Y}" if case.yearly else month
        exact.setdefault(month, Fraction(0))
        left = free.setdefault(month, case.free_wh * people)
        used_free = min(left, energy)
        free[month] -= used_free
        energy -= used_free
        for limit, rate in case.steps:
            room = energy if limit is None else max(limit - filled.get(period, 0), 0)
            part = min(room, energy)
            price = rate if isinstance(rate, str) else rate[band_of(local, case)]
            exact[month] += part * Fraction(Decimal(price)) * 1000
            filled[period] = filled.get(period, 0) + part
            energy -= part
    return {month: round(amount) for month, amount in exact.items()}


@pytest.fixture(scope="module")
def stations(tmp_path_factory):
    """Make stations on one ledger for the whole module, one account for each example."""
    base = ChargingStation(tmp_path_factory.mktemp("any-order"))

    def make(zone, case, start, end):
        name = f"r{next(NUMBERS)}"
        station = ChargingStation.beside(
            base, zone=ZoneInfo(zone), start=start, end=end, tariff_name=f"t-{name}",
            tariff={"versions": [{"valid_from": "2020-01-01", **case.version}]},
        )  # fmt: skip
        station.room(name, first_wh=1_000, tariff=f"t-{name}")
        return station, name

    yield make
    base.close()


@st.composite
def histories(draw):
    """Draw readings that a real meter could give: time and counter rise, never impossibly fast."""
    start = draw(st.sampled_from(STARTS))
    gaps_s = draw(
        st.lists(
            st.one_of(st.integers(1, 90), st.integers(60, 4000), st.integers(3600, 300_000)),
            min_size=1,
            max_size=40,
        )
    )
    readings = [(start, 1_000)]
    for gap_s in gaps_s:
        at, counter = readings[-1]
        watts = draw(st.sampled_from([0, 7, 900, 3_000, 20_000]))
        jitter_ms = draw(st.integers(0, 999))
        added = watts * gap_s // 3600
        readings.append((at + timedelta(seconds=gap_s, milliseconds=jitter_ms), counter + added))
    return readings


def totals(station, name):
    """Return what the books charged a room by month."""
    found: dict[str, int] = {}
    for posted in station.books.entries(account=room_book(name), limit=10_000):
        entry = posted.entry
        if entry.kind is EntryKind.CHARGE:
            amount = -sum(leg.amount for leg in entry.legs if leg.account == room_book(name))
            assert amount == sum(line["amount_micro"] for line in entry.details["lines"])
            found[entry.reference] = found.get(entry.reference, 0) + amount
    return found


def check(station, name, readings, case, zone, people=0):
    expected = reference_micro(readings, case, ZoneInfo(zone), people)
    charged = totals(station, name)
    assert {m: a for m, a in charged.items() if a} == {m: a for m, a in expected.items() if a}
    (row,) = station.charger.energy_check()
    assert row.difference_wh == 0
    assert row.pending_wh == 0
    assert row.billed_wh == readings[-1][1] - readings[0][1]
    for month in charged:
        assert station.charger.bill(name, month).energy_micro == charged[month]


SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(
    data=st.data(),
    readings=histories(),
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(sorted(CASES)),
)
def test_the_order_of_arrival_repetitions_and_restarts_change_no_total(
    stations, data, readings, zone, kind
):
    case = CASES[kind]
    station, name = stations(zone, case, readings[0][0], readings[-1][0])
    people = 1 if case.free_wh else 0
    if people:
        station.people(name, people)
    arriving = data.draw(st.permutations(readings[1:] * 2))
    acts = data.draw(
        st.lists(st.sampled_from(["", "", "", "settle", "restart", "recharge"]),
                 min_size=len(arriving), max_size=len(arriving))
    )  # fmt: skip
    paid = 0
    for number, ((at, counter), act) in enumerate(zip(arriving, acts, strict=True)):
        station.observe((f"M-{name}", at, counter))
        if act == "settle":
            station.charger.settle(name)
        elif act == "restart":
            station.restart_charger()
        elif act == "recharge":
            paid += 10_000
            recharge(station, name, number)
    # What a restart lost is in the time series: it is read again.
    station.restart_charger()
    for at, counter in data.draw(st.permutations(readings)):
        station.observe((f"M-{name}", at, counter))
    station.charger.settle(name)
    check(station, name, readings, case, zone, people)
    balance = station.books.balance(room_book(name))
    assert balance == paid - sum(totals(station, name).values())
    assert station.charger.accrued_micro(name) == 0


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(
    data=st.data(),
    readings=histories(),
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(sorted(CASES)),
)
def test_splitting_the_times_of_booking_changes_no_total(stations, data, readings, zone, kind):
    case = CASES[kind]
    station, name = stations(zone, case, readings[0][0], readings[-1][0])
    people = 2 if case.free_wh else 0
    if people:
        station.people(name, people)
    station.clock.jump(readings[0][0])
    for at, counter in readings[1:]:
        station.clock.jump(at)
        station.observe((f"M-{name}", at, counter))
        if data.draw(st.booleans()):
            station.charger.settle(name)
        if data.draw(st.integers(0, 9)) == 0:
            accrued = station.charger.accrued_micro(name)
            station.charger.settle(name)
            booked = station.books.balance(room_book(name))
            assert station.charger.balance_micro(name) == booked
            assert accrued >= 0
    station.charger.settle(name)
    check(station, name, readings, case, zone, people)


def recharge(station, name, number):
    legs = (Leg(room_book(name), 10_000), Leg("clearing:wechat", -10_000))
    entry = Entry(
        f"recharge:{name}:{number}", station.clock.now(), EntryKind.RECHARGE, legs, "test"
    )
    station.books.post(entry).result()

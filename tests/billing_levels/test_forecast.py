"""For how many days a balance lasts: literal histories in, days out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from bench.forecast import HORIZONS_DAYS, campus, errors
from billing.forecast import (
    DAYS_MOST,
    DayCost,
    Forecasts,
    Usual,
    days_left,
    history_from,
    usual_of,
)

YUAN = 1_000_000
MONDAY = date(2026, 3, 9)
MIDNIGHT = datetime(2026, 3, 9, tzinfo=UTC)


def history(costs: Sequence[float | None], until: date = MONDAY) -> list[DayCost]:
    """Return a history that ends on the day before, in currency units."""
    first = until - timedelta(days=len(costs))
    return [
        DayCost(first + timedelta(days=n), None if cost is None else round(cost * YUAN))
        for n, cost in enumerate(costs)
    ]


def left(costs: Sequence[float | None], balance: float, now: datetime = MIDNIGHT) -> float | None:
    return days_left(usual_of(history(costs), now.date()), round(balance * YUAN), now)


@pytest.mark.parametrize(
    ("costs", "balance", "days"),
    [
        ([2.0] * 28, 10, 5.0),
        ([2.0] * 28, 0.5, 0.25),
        ([2.0] * 28, 0, 0.0),
        ([2.0] * 28, -3, 0.0),
        ([2.0] * 5, 10, None),  # too little is known
        ([], 10, None),
        ([2.0] * 20 + [None] * 12, 10, None),  # nothing lately
        ([None, 2.0] * 7, 10, 5.0),  # what is not known is not nothing
        ([0.0] * 28, 10, float(DAYS_MOST)),  # an empty room: so many days or more
        (([1.0] * 5 + [3.0] * 2) * 4, 5, 5.0),  # five working days
        (([1.0] * 5 + [3.0] * 2) * 4, 11, 7.0),  # and a weekend
        (([1.0] * 5 + [3.0] * 2) * 4, 8, 6.0),
    ],
)
def test_days_left(costs: Sequence[float | None], balance: float, days: float | None) -> None:
    assert left(costs, balance) == (None if days is None else pytest.approx(days))


def test_the_rest_of_today_counts_for_what_it_is() -> None:
    evening = datetime(2026, 3, 9, 18, 0, tzinfo=UTC)
    assert left([2.0] * 28, 2.5, evening) == pytest.approx(0.25 + 1.0)


def test_one_party_does_not_move_it_far() -> None:
    quiet, party = [2.0] * 28, [2.0] * 20 + [60.0] + [2.0] * 7
    assert left(party, 10) == left(quiet, 10)


def test_it_follows_a_change_of_habits_within_a_week() -> None:
    changed = left([1.0] * 21 + [3.0] * 7, 12)
    assert changed is not None
    assert 4.0 <= changed <= 6.0  # 12 by the old days, 4 by the new


def test_a_day_after_today_is_no_history() -> None:
    future = [DayCost(MONDAY + timedelta(days=n), 2 * YUAN) for n in range(28)]
    assert usual_of(future, MONDAY) is None


def test_generated_rooms_are_foretold_better_than_by_their_last_week() -> None:
    rooms = campus(40)
    for horizon in HORIZONS_DAYS:
        ours, naive, silent = errors(rooms, horizon)
        assert silent == 0
        assert median(ours) < 0.15
        assert sum(ours) < sum(naive)


class Source:
    """Histories of rooms, and what may still be used."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
        self.rooms = ["a", "b", "c"]
        self.asked: list[str] = []
        self.available: dict[str, int | None] = {"a": 10 * YUAN, "b": None, "c": YUAN}

    def read(self, account: str, first: date, last: date) -> list[DayCost]:
        self.asked.append(account)
        assert (first, last) == (self.now.date() - timedelta(days=42), last)
        return history([2.0] * 28, self.now.date())

    def forecasts(self) -> Forecasts:
        return Forecasts(self.read, self.available.get, lambda: self.rooms, lambda: self.now)


def test_histories_are_read_a_few_at_a_time_and_once_a_day() -> None:
    source = Source()
    forecasts = source.forecasts()
    assert forecasts.days_left("a") is None  # not read yet: nobody can tell
    assert [forecasts.refresh(2), forecasts.refresh(2), forecasts.refresh(2)] == [2, 1, 0]
    assert forecasts.days_left("a") == 5.0
    assert forecasts.days_left("b") is None  # its balance is not known
    source.available["a"] = 4 * YUAN
    assert forecasts.days_left("a") == 2.0  # the balance of now
    source.now += timedelta(days=1)
    source.rooms.remove("c")
    assert forecasts.refresh(10) == 2
    assert forecasts.days_left("c") is None
    assert source.asked == ["a", "b", "c", "a", "b"]


def test_usual_days_are_told_apart() -> None:
    usual = usual_of(history(([1.0] * 5 + [3.0] * 2) * 4), MONDAY)
    assert usual == Usual(pytest.approx(YUAN), pytest.approx(3 * YUAN))


@dataclass
class Stretch:
    """A day as charging tells it."""

    start: datetime
    energy_wh: int
    cost_micro: int


def test_a_history_begins_with_the_first_use() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    asked: list[tuple[str, str, str]] = []

    def usage(account: str, start: datetime, end: datetime, step: str) -> list[Stretch]:
        asked.append((account, start.isoformat(), end.isoformat()))
        days = [start + timedelta(days=n) for n in range(4)]
        return [Stretch(day, wh, wh * 500) for day, wh in zip(days, (0, 900, 0, 800), strict=True)]

    history = history_from(usage, zone)("a", date(2026, 3, 1), date(2026, 3, 4))
    assert [(one.day.day, one.cost_micro) for one in history] == [
        (2, 450_000),
        (3, 0),
        (4, 400_000),
    ]
    assert asked == [("a", "2026-03-01T00:00:00+08:00", "2026-03-05T00:00:00+08:00")]

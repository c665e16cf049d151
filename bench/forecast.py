"""Days-left forecast: tried on a generated campus, where it is known how long a balance lasted."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from statistics import median

from bench.report import Line, Report
from billing.forecast import DayCost, days_left, usual_of
from domain.site import Meter, RoomKind
from simulator.rooms import Room, furnish
from simulator.routine import ALWAYS_ON, day_plan

SEED = 7
ROOMS, QUICK_ROOMS = 200, 40
FIRST, DAYS = date(2026, 3, 2), 110
# A room is empty on some weekends, and on a few days nothing was read.
AWAY_WEEKENDS, UNREAD_DAYS = 0.2, 0.03
PRICE_MICRO_PER_WH = 550
HORIZONS_DAYS = (2, 5, 10, 20)
ASK_EVERY_DAYS = 9
ERROR_MOST = 0.25
NAIVE_DAYS = 7


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Measure the error of days-left forecasts, as a share of the days that it really was.

    Beside it stands the mean of the last seven days. `data` is not used.
    """
    del data
    report = Report("forecast")
    rooms = campus(QUICK_ROOMS if quick else ROOMS)
    for horizon in HORIZONS_DAYS:
        ours, naive, silent = errors(rooms, horizon)
        report.lines.append(
            Line(
                f"error at {horizon} days (median of {len(ours)})",
                f"{median(ours):.1%}",
                peer=f"last-week mean {median(naive):.1%}",
            )
        )
        report.figures[f"error_{horizon}_days"] = median(ours)
        report.figures[f"cannot_tell_{horizon}_days"] = silent
        report.bar(f"error at {horizon} days", median(ours), ERROR_MOST, "share", at_most=True)
    return report


def campus(count: int) -> list[list[DayCost]]:
    """Return the daily costs of dormitory rooms, each with its own people and devices."""
    meters = [
        Meter(
            name=f"m{n}", bus="b", unit_id=1, profile="p", building="B1", room=str(n),
            kind=RoomKind.DORM, rated_current_a=20,
        )
        for n in range(count)
    ]  # fmt: skip
    return [list(_history(room)) for room in furnish(meters, seed=SEED)]


def errors(
    rooms: Sequence[Sequence[DayCost]], horizon: int
) -> tuple[list[float], list[float], int]:
    """Return the relative errors of our forecast and of the naive one, and how often ours was
    silent. The balance is what the room went on to use in exactly `horizon` days."""
    ours: list[float] = []
    naive: list[float] = []
    silent = 0
    for history in rooms:
        truth = [one.cost_micro or 0 for one in history]
        for at in range(21, DAYS - horizon, ASK_EVERY_DAYS):
            balance = sum(truth[at : at + horizon])
            today = history[at].day
            seen = [_as_read(one, number) for number, one in enumerate(history[:at])]
            usual = usual_of(seen, today)
            found = days_left(usual, balance, _midnight(today))
            week = [one.cost_micro for one in seen[-NAIVE_DAYS:] if one.cost_micro is not None]
            if found is None or not week or sum(week) == 0:
                silent += 1
                continue
            ours.append(abs(found - horizon) / horizon)
            naive.append(abs(balance / (sum(week) / len(week)) - horizon) / horizon)
    return ours, naive, silent


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _as_read(one: DayCost, number: int) -> DayCost:
    dice = random.Random(f"{one.cost_micro}:{number}")
    return DayCost(one.day, None) if dice.random() < UNREAD_DAYS else one


def _history(room: Room) -> Iterator[DayCost]:
    dice = random.Random(f"{SEED}:{room.meter}:days")
    always = [item for item in room.devices if item.appliance in ALWAYS_ON]
    away = False
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        if day.isoweekday() == 6:
            away = dice.random() < AWAY_WEEKENDS
        energy_wh = sum(item.rated_w * _share(item.row.duty) * 24 for item in always)
        if not (away and day.isoweekday() >= 6):
            energy_wh += sum(
                run.device.rated_w * _share(run.device.row.duty) * (run.to_h - run.from_h)
                for run in day_plan(room, day, dice=dice)
            )
        yield DayCost(day, round(energy_wh * PRICE_MICRO_PER_WH))


def _share(duty: tuple[float, float] | None) -> float:
    return 1.0 if duty is None else duty[0] / sum(duty)

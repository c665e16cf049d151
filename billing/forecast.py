"""For how many days a balance will last, from a room's own daily costs. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil, floor
from typing import Protocol
from zoneinfo import ZoneInfo

# How far back is looked, how much of that must be known, and how recent some of it must be.
LOOK_BACK_DAYS = 42
KNOWN_DAYS_LEAST = 6
RECENT_DAYS = 14
RECENT_LEAST = 3
# Within so many days the weight of a day halves: habits and seasons change. Of 3 to 30 days this
# was right most often on generated rooms (`bench forecast`).
HALF_LIFE_DAYS = 5.0
# A class of days with fewer samples takes the mean of all days along.
CLASS_DAYS_LEAST = 3
# One party, one empty day, must not move a forecast far: what is beyond these ranks counts as they.
RANK_LOW, RANK_HIGH = 0.1, 0.9
# "So many or more": nobody plans further, and no history reaches so far.
DAYS_MOST = 180


def is_weekend(day: date) -> bool:
    """Say whether a day is a Saturday or a Sunday."""
    return day.isoweekday() >= 6


@dataclass(frozen=True, slots=True)
class DayCost:
    """What a room used on a local day, micro-units; None = not known, which is not nothing."""

    day: date
    cost_micro: int | None


@dataclass(frozen=True, slots=True)
class Usual:
    """What a usual working day and a usual day off cost, micro-units."""

    working_micro: float
    off_micro: float


def usual_of(
    history: Sequence[DayCost], today: date, is_off: Callable[[date], bool] = is_weekend
) -> Usual | None:
    """Return what days usually cost from the days before `today`; None = too little is known."""
    known = [
        (one.day, one.cost_micro)
        for one in history
        if one.cost_micro is not None and 0 < (today - one.day).days <= LOOK_BACK_DAYS
    ]
    recent = sum((today - day).days <= RECENT_DAYS for day, _ in known)
    if len(known) < KNOWN_DAYS_LEAST or recent < RECENT_LEAST:
        return None
    everything = _mean(known, today)
    means = []
    for off in (False, True):
        own = [(day, cost) for day, cost in known if is_off(day) is off]
        lacking = max(CLASS_DAYS_LEAST - len(own), 0)
        mean = _mean(own, today) if own else everything
        means.append((mean * len(own) + everything * lacking) / (len(own) + lacking))
    return Usual(*means)


def _mean(known: Sequence[tuple[date, int]], today: date) -> float:
    """Return the mean of daily costs, newer days weighing more, outliers drawn in."""
    ranked = sorted(cost for _, cost in known)
    last = len(ranked) - 1
    low, high = ranked[floor(last * RANK_LOW)], ranked[ceil(last * RANK_HIGH)]
    weights: list[float] = [0.5 ** ((today - day).days / HALF_LIFE_DAYS) for day, _ in known]
    costs = [min(max(cost, low), high) for _, cost in known]
    total = sum(weight * cost for weight, cost in zip(weights, costs, strict=True))
    return total / sum(weights)


def days_left(
    usual: Usual | None,
    available_micro: int,
    now: datetime,
    is_off: Callable[[date], bool] = is_weekend,
) -> float | None:
    """Return for how many days an amount lasts from a local time on; None = cannot tell.

    DAYS_MOST means so many or more. What is used on a day is spread evenly over it.
    """
    if usual is None:
        return None
    if available_micro <= 0:
        return 0.0
    left = float(available_micro)
    gone = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() / 86_400
    passed = 0.0
    share = 1.0 - gone
    day = now.date()
    while passed < DAYS_MOST:
        rate = max(usual.off_micro if is_off(day) else usual.working_micro, 0.0)
        if rate * share >= left:
            return passed + left / rate
        left -= rate * share
        passed += share
        share = 1.0
        day += timedelta(days=1)
    return float(DAYS_MOST)


class Forecasts:
    """Keeps what days usually cost for every room, and says from memory how long a balance lasts.

    `history(account, first, last)` gives daily costs of local days, both included; it may be slow,
    so `refresh` reads a few rooms at a time, each room once a local day. `available_micro` is what
    may still be used: the balance and the credit. Of a room not read yet nobody can tell.
    """

    def __init__(
        self,
        history: Callable[[str, date, date], Sequence[DayCost]],
        available_micro: Callable[[str], int | None],
        accounts: Callable[[], Sequence[str]],
        local_now: Callable[[], datetime],
        is_off: Callable[[date], bool] = is_weekend,
    ) -> None:
        self._history, self._available = history, available_micro
        self._accounts, self._local_now, self._is_off = accounts, local_now, is_off
        self._usual: dict[str, tuple[date, Usual | None]] = {}

    def days_left(self, account: str) -> float | None:
        """Return for how many days the balance of an account lasts, None = cannot tell."""
        _, usual = self._usual.get(account, (None, None))
        available = self._available(account)
        if usual is None or available is None:
            return None
        return days_left(usual, available, self._local_now(), self._is_off)

    def refresh(self, most: int = 50) -> int:
        """Read the histories of at most so many rooms that were not read today."""
        today = self._local_now().date()
        names = self._accounts()
        for gone in self._usual.keys() - set(names):
            del self._usual[gone]
        due = [name for name in names if self._usual.get(name, (None, None))[0] != today][:most]
        for name in due:
            first = today - timedelta(days=LOOK_BACK_DAYS)
            history = self._history(name, first, today - timedelta(days=1))
            self._usual[name] = today, usual_of(history, today, self._is_off)
        return len(due)


class _Used(Protocol):
    """A stretch of time with what was used in it, as charging tells it."""

    @property
    def start(self) -> datetime: ...

    @property
    def energy_wh(self) -> int: ...

    @property
    def cost_micro(self) -> int: ...


def history_from(
    usage: Callable[[str, datetime, datetime, str], Sequence[_Used]], zone: ZoneInfo
) -> Callable[[str, date, date], list[DayCost]]:
    """Make a history of what charging knows of each day (`usage(account, start, end, "day")`).

    Days before the first use are not known: the room was not lived in, or not read.
    """

    def history(account: str, first: date, last: date) -> list[DayCost]:
        start = datetime.combine(first, time(), tzinfo=zone)
        end = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
        days: list[DayCost] = []
        for one in usage(account, start, end, "day"):
            if one.energy_wh > 0 or days:
                days.append(DayCost(one.start.astimezone(zone).date(), one.cost_micro))
        return days

    return history

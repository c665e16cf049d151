"""The energy counter's guard: a step back or a leap is held until it repeats, then explained."""

from collections.abc import Iterable
from dataclasses import dataclass

from collector.profile import Row
from domain.events import EventKind
from domain.site import Meter

# Mains at the top of its tolerance, and a breaker a little above its rating for a long time.
SUPPLY_MOST_V = 265.0
LOAD_MOST = 1.3
# Meters refresh their registers now and then: what is read may be this much older than it seems.
REFRESH_S = 3.0
# A new count below this is a counter that began again rather than another meter.
RESET_MOST_WH = 1000
DECIMAL_DIGITS = range(4, 10)


@dataclass(frozen=True, slots=True)
class CounterVerdict:
    """What to make of a counter reading: accepted or held, and the event that explains it."""

    accepted: bool
    event: EventKind | None = None
    message: str = ""
    before_wh: int | None = None


class CounterGuard:
    """Judges one meter's energy readings in order. Times are monotonic seconds."""

    def __init__(self, meter: Meter, row: Row | None) -> None:
        self._carry_w = meter.rated_current_a * SUPPLY_MOST_V * meter.phases * LOAD_MOST
        factor = row.factor if row is not None else 1.0
        self._slack_wh = max(10.0, 2 * factor)
        self._sizes_wh = sorted(counter_sizes_wh(row)) if row is not None else []
        self._last: tuple[int, float] | None = None
        self._held: tuple[int, float] | None = None

    def seed(self, energy_wh: int, at_s: float) -> None:
        """Begin from a reading accepted earlier, before a restart for instance."""
        self._last = (energy_wh, at_s)

    def judge(self, energy_wh: int, now_s: float) -> CounterVerdict:
        """Accept or hold a reading."""
        last, held = self._last, self._held
        if last is None or self._follows(last, energy_wh, now_s):
            self._accept(energy_wh, now_s)
            return CounterVerdict(True)
        if held is not None and self._follows(held, energy_wh, now_s):
            kind = self._explain(last, held[0], now_s)
            self._accept(energy_wh, now_s)
            message = f"counter went from {last[0]} Wh to {held[0]} Wh and stayed"
            return CounterVerdict(True, kind, message, last[0])
        self._held = (energy_wh, now_s)
        most_wh = self._most_wh(now_s - last[1])
        message = f"{energy_wh} Wh after {last[0]} Wh, {most_wh:.0f} Wh more is possible"
        return CounterVerdict(False, EventKind.VALUE_HELD, message, last[0])

    def _accept(self, energy_wh: int, now_s: float) -> None:
        self._last, self._held = (energy_wh, now_s), None

    def _follows(self, earlier: tuple[int, float], energy_wh: int, now_s: float) -> bool:
        return 0 <= energy_wh - earlier[0] <= self._most_wh(now_s - earlier[1])

    def _most_wh(self, elapsed_s: float) -> float:
        """The most that the breaker could have carried meanwhile."""
        return self._carry_w * (max(elapsed_s, 0.0) + REFRESH_S) / 3600 + self._slack_wh

    def _explain(self, last: tuple[int, float], new_wh: int, now_s: float) -> EventKind:
        """Name what makes a counter go from `last` to `new_wh` for good."""
        most_wh = self._most_wh(now_s - last[1])
        if new_wh < last[0]:
            for size_wh in self._sizes_wh:
                if size_wh > last[0] and 0 <= new_wh + size_wh - last[0] <= most_wh:
                    return EventKind.COUNTER_ROLLOVER
            if new_wh <= max(most_wh, RESET_MOST_WH):
                return EventKind.COUNTER_RESET
        return EventKind.METER_SWAP


def counter_sizes_wh(row: Row) -> Iterable[int]:
    """Counts at which a counter may begin again, Wh: its register's size, whole decades."""
    numerator, denominator = row.ratio
    for counts in (2 ** (16 * row.encoding.words), *(10**digits for digits in DECIMAL_DIGITS)):
        yield counts * numerator // denominator

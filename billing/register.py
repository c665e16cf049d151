"""One register span while it is charged: its chain of readings, its energy by month, its jumps."""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

from billing.calendar import Grid, day_start_ms, local_date, to_ms
from billing.chain import Chain, MeterLimits, Reading, Stretch
from billing.charging_store import DayRow, RegisterKey, RegisterRow, Review, ReviewState
from billing.model import RegisterSpan
from billing.rating import ONE_DAY
from billing.usage import spread


class Register:
    """What is known of a register span. `loaded_from` is the first day whose readings are here."""

    def __init__(
        self, span: RegisterSpan, limits: MeterLimits, stretch: Stretch, zone: ZoneInfo
    ) -> None:
        self.span = span
        self.key = RegisterKey(span.meter, span.since)
        self.since_ms = to_ms(span.since)
        # Set once the final reading is in the chain.
        self.until_ms: int | None = None
        self.chain = Chain(limits, stretch)
        self.energies: dict[str, array[int]] = {}
        self.reviews: dict[int, Review] = {}
        self.settled_wh = 0
        self._zone = zone
        self.hold_from(local_date(self.since_ms, zone))

    @property
    def account(self) -> str:
        """The account it counts for."""
        return self.span.account

    def covers(self, ms: int) -> bool:
        """Say whether a moment is inside the span."""
        return self.since_ms <= ms and (self.until_ms is None or ms < self.until_ms)

    def is_let_go(self, ms: int) -> bool:
        """Say whether readings of that time are not held in memory."""
        return ms < self._held_from_ms

    def hold_from(self, day: date) -> None:
        """Note from which day on all readings are in memory; before it, only the last one is."""
        self.loaded_from = day
        self._held_from_ms = day_start_ms(day, self._zone)

    def end(self, span: RegisterSpan) -> list[Reading]:
        """End it with its final reading once the directory knows one; return what came after."""
        if span.until is None or self.until_ms is not None:
            return []
        self.span, self.until_ms = span, to_ms(span.until)
        gone = self.chain.drop_after(self.until_ms)
        last_wh = span.last_wh if span.last_wh is not None else self.chain.last.energy_wh
        self.chain.end(self.until_ms, last_wh)
        return gone

    def measure(self, month: str, grid: Grid, low_ms: int, high_ms: int) -> int:
        """Find the energy of a month's stretches between two moments anew; return from which
        stretch on it may have changed."""
        energies = self.energies.get(month)
        if energies is None:
            energies = self.energies[month] = array("q", bytes(8 * len(grid.bands)))
            spread(self.chain, grid, energies, 0, len(grid.bands) - 1)
            return 0
        low, high = grid.place(low_ms), grid.place(high_ms)
        spread(self.chain, grid, energies, low, high)
        return low

    def row(self) -> RegisterRow:
        """Return how far it is settled, once what it has now is booked."""
        return RegisterRow(self.key, self.account, self.chain.last, self.chain.total_wh)

    def dirty_days(self) -> list[date]:
        """Return the local days whose kept readings were not saved yet."""
        return sorted({local_date(ms, self._zone) for ms in self.chain.dirty})

    def day_row(self, day: date) -> DayRow:
        """Return the readings of a day."""
        times = self.chain.times
        low = bisect_left(times, day_start_ms(day, self._zone))
        high = bisect_left(times, day_start_ms(day + ONE_DAY, self._zone))
        readings = [Reading(times[i], self.chain.counts[i]) for i in range(low, high)]
        return DayRow(self.key, day, tuple(readings))

    def jump_times(self) -> set[int]:
        """Return the ends of the jumps that stand."""
        return {at for at, one in self.reviews.items() if one.state is not ReviewState.GONE}


LimitsOf = Callable[[str], MeterLimits]

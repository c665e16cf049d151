"""One register's accepted readings: which are believed, what lies between two of them.

Only the first and the last reading of each stretch of time are kept, and both sides of every
jump, so what is kept depends on the readings alone and not on the order they came in.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

# Meters refresh their registers now and then: what is read may be this much older than its stamp.
REFRESH_MS = 5_000
HOUR_MS = 3_600_000
# A counter that began again by itself did so near its end.
ROLLOVER_FROM = 0.9

Stretch = Callable[[int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """What a meter can do: the most it can carry, W, the counts its register may begin again at
    (Wh), and the coarseness of its counter, Wh."""

    carry_w: float = 60_000.0
    counter_sizes_wh: tuple[int, ...] = ()
    slack_wh: int = 20

    def most_wh(self, elapsed_ms: int) -> int:
        """Return the most energy that can have flowed in that time."""
        return int(self.carry_w * (elapsed_ms + REFRESH_MS) / HOUR_MS) + self.slack_wh


class Reading(NamedTuple):
    """A counter reading: its time, ms since 1970, and the counter, Wh."""

    ms: int
    energy_wh: int


class Ruling(StrEnum):
    """What a jump of a counter counts as."""

    BILL = "bill"
    DROP = "drop"
    ROLLOVER = "rollover"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class Decision:
    """How the energy between two readings is found where their difference is not it.

    BILL: `energy_wh`, or the plain difference where that is None. DROP: none. ROLLOVER: the
    counter began again at `size_wh`. SWAP: the old counter ended at `final_wh` and another began
    at `first_wh`.
    """

    ruling: Ruling
    energy_wh: int | None = None
    size_wh: int | None = None
    final_wh: int | None = None
    first_wh: int | None = None

    @property
    def is_fixed(self) -> bool:
        """Say whether it was made for exactly these two readings, so that none may come between."""
        return self.ruling is Ruling.DROP or self.energy_wh is not None

    def energy_between(self, before_wh: int, after_wh: int) -> int:
        """Return the energy it gives to a pair of readings, Wh, never below 0."""
        match self.ruling:
            case Ruling.DROP:
                energy = 0
            case Ruling.BILL:
                energy = self.energy_wh if self.energy_wh is not None else after_wh - before_wh
            case Ruling.ROLLOVER:
                energy = after_wh + (self.size_wh or 0) - before_wh
            case Ruling.SWAP:
                energy = (self.final_wh or 0) - before_wh + after_wh - (self.first_wh or 0)
        return max(energy, 0)


class Taken(StrEnum):
    """What became of a reading."""

    KEPT = "kept"
    KNOWN = "known"  # nothing new: a repetition, or between two of one stretch
    WAITING = "waiting"  # implausible; the next reading tells
    REFUSED = "refused"  # fits nowhere


class Chain:
    """The readings of one register in order of time, from its first to its last known one."""

    def __init__(self, limits: MeterLimits, stretch: Stretch) -> None:
        self.limits = limits
        self.times = array("q")
        self.counts = array("q")
        # By the time of the reading after the jump.
        self.decisions: dict[int, Decision] = {}
        self.jumps: dict[int, Reading] = {}
        # Moments in days whose kept readings changed since they were saved.
        self.dirty: set[int] = set()
        self.changed: tuple[int, int] | None = None
        self.waiting: Reading | None = None
        self.glitches = 0
        # All energy counted since the first reading, kept by every change; an audit compares.
        self.total_wh = 0
        self._stretch = stretch
        self._low, self._high = 1, 0

    def begin(self, ms: int, energy_wh: int) -> None:
        """Set the reading that everything is counted from."""
        self.times, self.counts = array("q", [ms]), array("q", [energy_wh])
        self.dirty.add(ms)

    def load(self, readings: Sequence[Reading], jumps: Container[int]) -> None:
        """Take readings that were accepted before, in order of time, all older than those held.

        `jumps` are the times known to end a jump: what was believed once is not judged again by
        limits that changed since.
        """
        if not readings:
            return
        self.times = array("q", [one.ms for one in readings]) + self.times
        self.counts = array("q", [one.energy_wh for one in readings]) + self.counts
        for place in range(1, min(len(readings) + 1, len(self.times))):
            if self.times[place] in jumps:
                self.jumps[self.times[place]] = Reading(
                    self.times[place - 1], self.counts[place - 1]
                )
        self._low, self._high = 1, 0

    def forget_before(self, ms: int) -> None:
        """Let go of readings before a moment, but for the last of them."""
        keep = max(bisect_left(self.times, ms) - 1, 0)
        for at in self.times[: keep + 1]:
            self.jumps.pop(at, None)
        del self.times[:keep], self.counts[:keep]

    @property
    def last(self) -> Reading:
        """The newest accepted reading."""
        return Reading(self.times[-1], self.counts[-1])

    def energy(self, place: int) -> int:
        """Return what was used between the reading before `place` and that at it, Wh."""
        before, after = self.counts[place - 1], self.counts[place]
        at = self.times[place]
        if at not in self.jumps:
            return after - before
        decision = self.decisions.get(at)
        return decision.energy_between(before, after) if decision is not None else 0

    def add(self, ms: int, energy_wh: int) -> Taken:
        """Take a reading, in whatever order it comes."""
        last_ms = self.times[-1]
        if ms > last_ms:
            difference = energy_wh - self.counts[-1]
            if 0 <= difference <= self.limits.most_wh(ms - last_ms):
                self._append(ms, energy_wh)
                self._retry()
                return Taken.KEPT
            return self._doubt(Reading(ms, energy_wh))
        taken = self._insert(Reading(ms, energy_wh))
        if taken is Taken.KEPT:
            self._retry()
        return taken

    def forget_stretch(self) -> None:
        """Ask anew where the present stretch begins and ends: it may have been cut otherwise."""
        self._low, self._high = 1, 0

    def decide(self, at: int, decision: Decision) -> None:
        """Let a decision hold for the jump that ends at a time."""
        before = self.jumps.get(at)
        if before is None:
            self.decisions[at] = decision
            return
        place = bisect_left(self.times, at)
        self.total_wh -= self.energy(place)
        self.decisions[at] = decision
        self.total_wh += self.energy(place)
        self._touch(before.ms, at)

    def drop_after(self, ms: int) -> list[Reading]:
        """Take out every reading after a moment (never the first) and return them."""
        keep = max(bisect_left(self.times, ms + 1), 1)
        gone = [Reading(self.times[i], self.counts[i]) for i in range(keep, len(self.times))]
        if self.waiting is not None and self.waiting.ms > ms:
            gone.append(self.waiting)
            self.waiting = None
        if keep < len(self.times):
            self._touch(self.times[keep - 1], self.times[-1])
            self.dirty.update(self.times[keep:])
            self.total_wh -= sum(self.energy(place) for place in range(keep, len(self.times)))
            for at in self.times[keep:]:
                self.jumps.pop(at, None)
            del self.times[keep:], self.counts[keep:]
            self._low, self._high = 1, 0
        return gone

    def end(self, ms: int, energy_wh: int) -> None:
        """Add the final reading of a register that was taken off, whatever it says."""
        self.drop_after(ms)
        if self.times[-1] == ms:
            if len(self.times) == 1 or self.counts[-1] == energy_wh:
                return
            self.total_wh -= self.energy(len(self.times) - 1)
            self.jumps.pop(ms, None)
            self.dirty.add(ms)
            self._touch(self.times[-2], ms)
            del self.times[-1], self.counts[-1]
        self._append(ms, energy_wh)

    def _append(self, ms: int, energy_wh: int) -> None:
        times, counts = self.times, self.counts
        before_ms = times[-1]
        if self._low <= ms < self._high and before_ms >= self._low and len(times) > 1:
            # The reading before the last is of this stretch too: the last is in the middle now.
            if times[-2] >= self._low and self._is_plain(before_ms, ms, energy_wh):
                self.total_wh += energy_wh - counts[-1]
                times[-1], counts[-1] = ms, energy_wh
                self.dirty.add(self._low)
                self._touch(before_ms, ms)
                return
        else:
            self._low, self._high = self._stretch(ms)
        times.append(ms)
        counts.append(energy_wh)
        self.dirty.add(ms)
        self._touch(before_ms, ms)
        self._judge(len(times) - 1)
        self.total_wh += self.energy(len(times) - 1)

    def _is_plain(self, before_ms: int, ms: int, energy_wh: int) -> bool:
        difference = energy_wh - self.counts[-1]
        plain = 0 <= difference <= self.limits.most_wh(ms - before_ms)
        return plain and before_ms not in self.jumps

    def _doubt(self, reading: Reading) -> Taken:
        """Keep aside what can't follow; when the next follows it, the counter did jump."""
        waiting = self.waiting
        if waiting is None:
            self.waiting = reading
            return Taken.WAITING
        if reading.ms == waiting.ms:
            # The same delivered again proves nothing.
            return Taken.WAITING
        first, second = sorted((reading, waiting))
        if self._follows(first, second):
            return self._jump(first, second)
        if reading.ms < waiting.ms:
            return Taken.REFUSED
        self.glitches += 1
        self.waiting = reading
        return Taken.WAITING

    def _jump(self, first: Reading, second: Reading) -> Taken:
        self.waiting = None
        self._append(*first)
        self._append(*second)
        return Taken.KEPT

    def _retry(self) -> None:
        """See whether the reading kept aside follows by now, or was a glitch after all."""
        waiting = self.waiting
        if waiting is None:
            return
        if waiting.ms <= self.times[-1]:
            self.waiting = None
            if self._insert(waiting) is Taken.REFUSED:
                self.glitches += 1
        elif self._follows(self.last, waiting):
            self.waiting = None
            self._append(*waiting)

    def _follows(self, earlier: Reading, later: Reading) -> bool:
        difference = later.energy_wh - earlier.energy_wh
        return 0 <= difference <= self.limits.most_wh(later.ms - earlier.ms)

    def _insert(self, reading: Reading) -> Taken:
        """Take a reading from before the newest one, where it fits its neighbours."""
        place = bisect_left(self.times, reading.ms)
        if self.times[place] == reading.ms:
            return Taken.KNOWN if self.counts[place] == reading.energy_wh else Taken.REFUSED
        if place == 0:
            return Taken.REFUSED
        before = Reading(self.times[place - 1], self.counts[place - 1])
        after = Reading(self.times[place], self.counts[place])
        fits_before, fits_after = self._follows(before, reading), self._follows(reading, after)
        jumped = after.ms in self.jumps
        if not jumped:
            if not (fits_before and fits_after):
                return Taken.REFUSED
        elif not self._may_enter(after, fits_before, fits_after):
            return Taken.REFUSED
        self.total_wh -= self.energy(place)
        self.times.insert(place, reading.ms)
        self.counts.insert(place, reading.energy_wh)
        self.dirty.add(reading.ms)
        self._judge(place)
        self._judge(place + 1)
        self.total_wh += self.energy(place) + self.energy(place + 1)
        self._thin(place + 1)
        self._thin(place)
        self._thin(place - 1)
        if jumped or self._has(reading.ms):
            self._touch(before.ms, after.ms)
            return Taken.KEPT
        return Taken.KNOWN

    def _may_enter(self, after: Reading, fits_before: bool, fits_after: bool) -> bool:
        """Say whether a reading may come between two that jump; a decision moves along."""
        decision = self.decisions.get(after.ms)
        if decision is not None and decision.is_fixed:
            return False
        return fits_before or fits_after

    def _has(self, ms: int) -> bool:
        place = bisect_left(self.times, ms)
        return place < len(self.times) and self.times[place] == ms

    def _thin(self, place: int) -> None:
        """Leave out a reading that is neither first nor last of its stretch, nor at a jump."""
        if not 0 < place < len(self.times) - 1:
            return
        low, high = self._stretch(self.times[place])
        if self.times[place - 1] < low or self.times[place + 1] >= high:
            return
        if self.times[place] in self.jumps or self.times[place + 1] in self.jumps:
            return
        self.dirty.add(self.times[place])
        del self.times[place], self.counts[place]

    def _normal(self, place: int) -> bool:
        difference = self.counts[place] - self.counts[place - 1]
        elapsed_ms = self.times[place] - self.times[place - 1]
        return 0 <= difference <= self.limits.most_wh(elapsed_ms)

    def _judge(self, place: int) -> None:
        """Note whether the pair that ends at `place` is a jump, and whose decision holds."""
        if place >= len(self.times):
            return
        at = self.times[place]
        if self._normal(place):
            self.jumps.pop(at, None)
            return
        self.jumps[at] = Reading(self.times[place - 1], self.counts[place - 1])
        following = self.times[place + 1] if place + 1 < len(self.times) else None
        if at not in self.decisions and following is not None and following in self.decisions:
            decision = self.decisions[following]
            if self._normal(place + 1) and not decision.is_fixed:
                self.decisions[at] = self.decisions.pop(following)

    def _touch(self, low: int, high: int) -> None:
        if self.changed is None:
            self.changed = (low, high)
        else:
            self.changed = (min(self.changed[0], low), max(self.changed[1], high))

    def explain(self, at: int) -> Decision | None:
        """Return the rollover that explains a jump by the size of the register, or None."""
        before = self.jumps.get(at)
        if before is None:
            return None
        after_wh = self.counts[bisect_left(self.times, at)]
        most_wh = self.limits.most_wh(at - before.ms)
        for size_wh in self.limits.counter_sizes_wh:
            near_end = size_wh > before.energy_wh >= ROLLOVER_FROM * size_wh
            if near_end and 0 <= after_wh + size_wh - before.energy_wh <= most_wh:
                return Decision(Ruling.ROLLOVER, size_wh=size_wh)
        return None

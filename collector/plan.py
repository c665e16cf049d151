"""Which registers to ask for together: pure, and never more wire time than needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from collector.profile import Profile, Row, Space, Span
from collector.wire import WireTiming

# Beyond this many ways to pick among alternative rows the choice is improved one row at a time.
MAX_ROW_CHOICES = 512
READ_FUNCTIONS: dict[str, int] = {"holding": 3, "input": 4, "coil": 1}


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One read request: a space, its first address, and how many registers (or coils)."""

    space: Space
    address: int
    count: int

    @property
    def last(self) -> int:
        """The last address read."""
        return self.address + self.count - 1

    @property
    def function(self) -> int:
        """The Modbus function that reads this space."""
        return READ_FUNCTIONS[self.space]

    def contains(self, other: "Block") -> bool:
        """Say whether every register of `other` is read by this block."""
        return self.covers(other.space, other.address, other.last)

    def covers(self, space: str, first: int, last: int) -> bool:
        """Say whether the registers from `first` to `last` are all read by this block."""
        return self.space == space and self.address <= first and last <= self.last


def plan_blocks(
    profile: Profile,
    quantities: Iterable[str],
    timing: WireTiming | None = None,
    splits: frozenset[Block] = frozenset(),
    base: int = 0,
) -> tuple[Block, ...]:
    """Return the read requests of least wire time that cover every quantity the model has.

    Quantities that the model lacks are left out. `splits` are blocks that once answered exception
    2: each is cut in two and never asked for whole again, down to single values. A single value
    that was refused is taken from another row if it has one, else asked for all the same.
    `base` is added to every address (SunSpec). Raises ValueError if a value can't be read at all
    within the profile's own limits (`invariants` refuses such a profile at load).
    """
    search = _Search(profile, timing or profile_timing(profile), splits, base)
    options = [
        tuple(row for row in rows if not search.refused(row)) or rows
        for name in dict.fromkeys(quantities)
        if (rows := profile.sources(name))
    ]
    if prod(len(rows) for rows in options) <= MAX_ROW_CHOICES:
        candidates = [search.best(rows) for rows in product(*options)]
        return min(candidates, key=lambda plan: plan[0])[1]
    return _improve(search, options)


def profile_timing(profile: Profile) -> WireTiming:
    """Return the timing of a line at the model's own factory settings, 20 ms reply delay."""
    return WireTiming(profile.baud, profile.parity, profile.stop_bits)


def plan_s(profile: Profile, blocks: Iterable[Block], timing: WireTiming | None = None) -> float:
    """Return the calculated wire time of a plan for one meter, its wanted pauses included."""
    line = timing or profile_timing(profile)
    return sum(line.read_s(block.count, block.space) + profile.pause_s for block in blocks)


def _improve(search: "_Search", options: Sequence[tuple[Row, ...]]) -> tuple[Block, ...]:
    """Start from all first rows, all second rows and so on, and change one row at a time while
    that saves wire time; the best end wins."""
    starts = range(max(len(rows) for rows in options))
    ends = [
        _descend(search, options, [rows[min(start, len(rows) - 1)] for rows in options])
        for start in starts
    ]
    return min(ends, key=lambda end: end[0])[1]


def _descend(
    search: "_Search", options: Sequence[tuple[Row, ...]], chosen: list[Row]
) -> tuple[float, tuple[Block, ...]]:
    cost, plan = search.best(chosen)
    for _ in range(len(options)):
        before = cost
        for index, rows in enumerate(options):
            for row in rows:
                trial = [*chosen[:index], row, *chosen[index + 1 :]]
                trial_cost, trial_plan = search.best(trial)
                if trial_cost < cost:
                    chosen, cost, plan = trial, trial_cost, trial_plan
        if cost == before:
            break
    return cost, plan


@dataclass(frozen=True, slots=True)
class _Search:
    """The exact search for one choice of rows: a shortest path over sorted spans."""

    profile: Profile
    timing: WireTiming
    splits: frozenset[Block]
    base: int

    def refused(self, row: Row) -> bool:
        """Say whether a row was refused when it was asked for by itself."""
        span = row.span
        own = Block(row.space, self.base + span.first, span.last - span.first + 1)
        return own in self.splits

    def best(self, rows: Sequence[Row]) -> tuple[float, tuple[Block, ...]]:
        """Return wire time and blocks for exactly these rows."""
        cost, blocks = 0.0, []
        for space in dict.fromkeys(row.space for row in rows):
            spans = sorted({(row.span.first, row.span.last) for row in rows if row.space == space})
            space_cost, space_blocks = self._partition(space, spans)
            cost += space_cost
            blocks += space_blocks
        return cost, tuple(blocks)

    def _partition(
        self, space: Space, spans: Sequence[tuple[int, int]]
    ) -> tuple[float, list[Block]]:
        """Cut sorted spans into runs, each read as one block, at the least total time.

        Some best plan always takes spans in sorted order: where two blocks overlap, the spans of
        one that lie inside the other can move there for nothing.
        """
        best: list[tuple[float, list[Block]] | None] = [(0.0, [])]
        for end in range(1, len(spans) + 1):
            found: tuple[float, list[Block]] | None = None
            for start in range(end - 1, -1, -1):
                before, block = best[start], self._block(space, spans, start, end)
                if before is None or block is None:
                    continue
                cost = before[0] + self.timing.read_s(block.count, space) + self.profile.pause_s
                if found is None or cost < found[0]:
                    found = (cost, [*before[1], block])
            best.append(found)
        result = best[-1]
        if result is None:
            message = f"{self.profile.name}: no allowed read covers {space} registers {spans}"
            raise ValueError(message)
        return result

    def _block(
        self, space: Space, spans: Sequence[tuple[int, int]], start: int, end: int
    ) -> Block | None:
        """Return the block over spans[start:end], or None where the profile forbids it."""
        run = spans[start:end]
        first, last = run[0][0], max(span[1] for span in run)
        if last - first + 1 > self.profile.max_registers or _widest_gap(run) > self.profile.max_gap:
            return None
        if any(bad.touches(space, first, last) for bad in self.profile.forbidden_reads):
            return None
        if len(run) > 1 and _touches(self.profile.single_reads, space, first, last):
            return None
        if self.base + last > 0xFFFF:
            return None
        block = Block(space, self.base + first, last - first + 1)
        return block if len(run) == 1 or self._unsplit(block, spans) else None

    def _unsplit(self, block: Block, spans: Sequence[tuple[int, int]]) -> bool:
        """Say whether a block of several values stays clear of what exception 2 has taught."""
        for split in self.splits:
            if split.space != block.space:
                continue
            if block.contains(split):
                return False
            wanted = [
                (self.base + first, self.base + last)
                for first, last in spans
                if split.covers(split.space, self.base + first, self.base + last)
            ]
            cut = _cut(wanted)
            before = any(block.covers(block.space, *span) for span in wanted[:cut])
            if before and any(block.covers(block.space, *span) for span in wanted[cut:]):
                return False
        return True


def _cut(spans: Sequence[tuple[int, int]]) -> int:
    """Return where to cut sorted spans in two: at the widest gap, for a gap that was read over is
    the likeliest thing to be missing in a meter; in the middle where there is none."""
    middle = len(spans) // 2
    gaps = [_widest_gap(spans[place - 1 : place + 1]) for place in range(1, len(spans))]
    if not any(gaps):
        return middle
    return max(range(1, len(spans)), key=lambda place: (gaps[place - 1], -abs(place - middle)))


def _widest_gap(run: Sequence[tuple[int, int]]) -> int:
    """Return the most unwanted registers in a row between these sorted spans."""
    widest, reached = 0, run[0][1]
    for first, last in run[1:]:
        widest = max(widest, first - reached - 1)
        reached = max(reached, last)
    return widest


def _touches(spans: Iterable[Span], space: str, first: int, last: int) -> bool:
    return any(span.touches(space, first, last) for span in spans)

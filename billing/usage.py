"""Energy of each stretch of time, from the accepted readings around its edges.

The counter at an edge is the whole-number interpolation between the readings on both sides, so the
stretches of any time sum to the counter's difference exactly, and a reading that comes in between
later only moves energy from one stretch to its neighbour.
"""

from array import array
from bisect import bisect_right

from billing.calendar import Grid
from billing.chain import Chain


def spread(chain: Chain, grid: Grid, energies: "array[int]", low: int, high: int) -> None:
    """Set the energy of stretches `low` to `high` (included) of a grid, Wh, from the readings."""
    starts = grid.starts
    place = max(bisect_right(chain.times, starts[low]) - 1, 0)
    walk = _Walk(chain, place)
    before = walk.at(starts[low])
    for number in range(low, high + 1):
        after = walk.at(starts[number + 1])
        energies[number] = after - before
        before = after


class _Walk:
    """Goes along the readings once; edges must be asked in order of time."""

    def __init__(self, chain: Chain, place: int) -> None:
        self._chain = chain
        self._place = place
        self._sum_wh = 0

    def at(self, edge_ms: int) -> int:
        """Return the energy from the reading it began at until an edge, Wh."""
        chain, times = self._chain, self._chain.times
        last = len(times) - 1
        while self._place < last and times[self._place + 1] <= edge_ms:
            self._place += 1
            self._sum_wh += chain.energy(self._place)
        if self._place == last or edge_ms <= times[self._place]:
            return self._sum_wh
        begin, end = times[self._place], times[self._place + 1]
        part_wh = chain.energy(self._place + 1) * (edge_ms - begin) // (end - begin)
        return self._sum_wh + part_wh

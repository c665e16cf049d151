"""Cuts long recordings into the stretches that matter, and finds the uses in them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

AROUND_S = 300  # kept before and after activity
PAUSE_S = 600  # a pause up to this stays inside one stretch
GAP_S = 120  # missing readings for longer end a stretch
LONGEST_S = 3 * 3600
JOIN_S = 60  # bursts closer than this are one use
DAY_GAP_S = 300
SHORTEST_DAY_S = 3600

Seconds = npt.NDArray[np.int64]
Watts = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings of a file: seconds (of the source's local clock, rising) and W."""

    source: str
    seconds: Seconds
    power_w: Watts


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a file that becomes a trace."""

    source: str
    seconds: Seconds
    power_w: Watts


@dataclass(frozen=True, slots=True)
class Event:
    """One use in a segment, in seconds from its start; `p_before_w` is null without a reading in
    the minute before. `complete` says that the segment shows its beginning and its end."""

    t_on: int
    t_off: int
    p_on_w: float
    p_before_w: float | None
    n_bursts: int
    on_seconds: int
    complete: bool

    def as_row(self) -> dict[str, object]:
        """Return the event as a row of the events table."""
        return {name: getattr(self, name) for name in self.__slots__}


def cut_uses(files: Sequence[Readings], threshold_w: float, *, most: int) -> list[Segment]:
    """Cut the stretches around activity (readings over the threshold) out of a plug's files.

    At most `most` of them, evenly spread over all that there are.
    """
    found = [segment for readings in files for segment in _around(readings, threshold_w)]
    if len(found) <= most:
        return found
    chosen = np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))
    return [found[int(index)] for index in chosen]


def _around(readings: Readings, threshold_w: float) -> Iterator[Segment]:
    active = readings.seconds[readings.power_w > threshold_w]
    if not len(active):
        return
    breaks = np.flatnonzero(np.diff(active) > PAUSE_S)
    firsts = active[np.concatenate(([0], breaks + 1))]
    lasts = active[np.concatenate((breaks, [len(active) - 1]))]
    taken_s = -1  # two stretches never share a reading
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        begin = max(first - AROUND_S, taken_s + 1)
        inside = (readings.seconds >= begin) & (readings.seconds <= last + AROUND_S)
        taken_s = last + AROUND_S
        indexes = np.flatnonzero(inside)
        for part in _pieces(readings.seconds[indexes], GAP_S, LONGEST_S):
            piece = indexes[part]
            if (readings.power_w[piece] > threshold_w).any():
                yield Segment(readings.source, readings.seconds[piece], readings.power_w[piece])


def busiest_days(files: Sequence[Readings], *, most: int) -> list[Segment]:
    """Choose the days with the most energy, split at gaps; short parts are dropped."""
    order = sorted(range(len(files)), key=lambda index: (-_energy_j(files[index]), index))
    segments = []
    for index in sorted(order[:most]):
        day = files[index]
        for part in _pieces(day.seconds, DAY_GAP_S, None):
            seconds = day.seconds[part]
            if seconds[-1] - seconds[0] >= SHORTEST_DAY_S:
                segments.append(Segment(day.source, seconds, day.power_w[part]))
    return segments


def _energy_j(day: Readings) -> float:
    held_s = np.minimum(np.diff(day.seconds), DAY_GAP_S)
    return float((day.power_w[:-1] * held_s).sum())


def _pieces(seconds: Seconds, gap_s: int, longest_s: int | None) -> Iterator[slice]:
    """Split rising seconds at gaps, and at the longest length where there is one."""
    edges = [0, *(np.flatnonzero(np.diff(seconds) > gap_s) + 1).tolist(), len(seconds)]
    for first, last in pairwise(edges):
        begin = first
        while begin < last:
            end = last
            if longest_s is not None:
                end = int(np.searchsorted(seconds[:last], seconds[begin] + longest_s, "right"))
            yield slice(begin, end)
            begin = end


def find_events(segment: Segment, threshold_w: float) -> list[Event]:
    """Find the uses in a segment: readings over the threshold, bursts under a minute apart joined.

    A reading is held until the next one, so a burst ends where the first reading below it stands.
    """
    t = segment.seconds - segment.seconds[0]
    on = segment.power_w > threshold_w
    edges = np.flatnonzero(np.diff(on.astype(np.int8), prepend=0, append=0))
    bursts = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    if not bursts:
        return []
    last = len(t) - 1
    joined = [[bursts[0]]]
    for burst in bursts[1:]:
        if t[burst[0]] - t[joined[-1][-1][1]] < JOIN_S:
            joined[-1].append(burst)
        else:
            joined.append([burst])
    return [_event(t, segment.power_w, on, group, last) for group in joined]


def _event(
    t: Seconds, power_w: Watts, on: npt.NDArray[np.bool_], bursts: list[tuple[int, int]], last: int
) -> Event:
    first, end = bursts[0][0], bursts[-1][1]
    before = power_w[(t >= t[first] - 60) & (t < t[first])]
    inside = slice(first, end)
    return Event(
        t_on=int(t[first]),
        t_off=int(t[min(end, last)]),
        p_on_w=float(np.median(power_w[inside][on[inside]])),
        p_before_w=float(np.median(before)) if len(before) else None,
        n_bursts=len(bursts),
        on_seconds=int(sum(t[min(b, last)] - t[a] for a, b in bursts)),
        complete=first > 0 and end <= last,
    )

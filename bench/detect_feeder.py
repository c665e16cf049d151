"""Track c: a real feeder whose appliances were recorded one by one, switched in step.

It is no room: several heaters run at once and other loads switch within seconds of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.detect_data import DAY_S, Recordings, Trace
from bench.detect_rooms import Placed, Rooms
from bench.detect_run import policy_for, read_meters, run_product

AGGREGATE = "Aggregate"
# A trip belongs to a forbidden load that is on, or was until this long ago.
GRACE_S = 10


@dataclass(frozen=True, slots=True)
class FeederScore:
    """Of the forbidden uses on a feeder, the share during which it stood tripped, and the trips
    an hour at which no forbidden load was on."""

    session: str
    period_s: int
    uses: int
    recall: float | None
    trips: int
    false_an_hour: float


def score_feeder(recordings: Recordings, period_s: int) -> Iterator[FeederScore]:
    """Run the product's rule on every aggregate recording that is fine enough and has its parts."""
    for trace in recordings.traces.values():
        if trace.appliance == AGGREGATE and trace.session and trace.period_s <= period_s:
            yield _score(recordings, trace, period_s)


def _score(recordings: Recordings, feeder: Trace, period_s: int) -> FeederScore:
    uses = [
        Placed(0, use, use.on_s, use.off_s)
        for use in recordings.uses
        if use.trace.session == feeder.session and use.trace.rule_class == "forbidden"
    ]
    length = min(int(feeder.t[-1]) + 1, DAY_S)
    trips = run_product(read_meters(_as_room(feeder, length), period_s, mean=False, seed=1),
                        policy_for())  # fmt: skip
    hits = [
        trips.holds_at(0, placed.on_s + GRACE_S)
        or trips.within(0, placed.on_s, placed.off_s + period_s) is not None
        for placed in uses
    ]
    told = [t for t in trips.on_s.get(0, ()) if t < length]
    unexplained = [t for t in told if not any(p.on_s - 1 <= t <= p.off_s + GRACE_S for p in uses)]
    recall = float(np.mean(hits)) if hits else None
    hours = length / 3600
    return FeederScore(
        feeder.session, period_s, len(uses), recall, len(told), len(unexplained) / hours
    )


def _as_room(trace: Trace, length: int) -> Rooms:
    seconds = np.arange(length)

    def grid(
        column: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None,
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        day = np.zeros((1, DAY_S), np.float32)
        if column is not None:
            day[0, :length] = trace.at(seconds, column)
        return day

    rooms = Rooms(grid(trace.power_w), variant=["feeder"], source_day=[trace.day])
    if trace.has_reactive:
        rooms.reactive_var = grid(trace.reactive_var)
        rooms.distortion_var = grid(trace.distortion_var)
        rooms.voltage_v = grid(trace.voltage_v)
        rooms.voltage_v[rooms.voltage_v < 1] = 230
    return rooms

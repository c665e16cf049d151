"""How a bus is doing, as one value that can be shown or exported."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

RECENT_SWEEPS = 64


class SweepTimes:
    """Measured and calculated times of the last sweeps."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT_SWEEPS)
        self.sweeps = 0

    def add(self, measured_s: float, wire_s: float) -> None:
        """Note one sweep."""
        self.sweeps += 1
        self._recent.append((measured_s, wire_s))

    @property
    def last(self) -> tuple[float, float] | None:
        """The last sweep's measured and calculated time, s."""
        return self._recent[-1] if self._recent else None

    def medians(self) -> tuple[float, float] | None:
        """Return the median measured and calculated time of the recent sweeps, s."""
        if not self._recent:
            return None
        measured_s, wire_s = zip(*self._recent, strict=True)
        return median(measured_s), median(wire_s)


@dataclass(frozen=True, slots=True)
class BusHealth:
    """Counters of a bus since the service started, and how it does now.

    `sweep_s` is the last sweep's measured time and `wire_s` its calculated one (null before the
    first); `wire_share` is the part of the time since start that the wire was calculated to be
    busy. `exceptions` counts by Modbus code. `foreign_replies` are valid frames of other units,
    `rejected_replies` those of the right unit that did not fit, `late_replies` those that came
    after their timeout.
    """

    bus: str
    link_up: bool
    echoing: bool | None
    sweeps: int
    sweep_s: float | None
    wire_s: float | None
    wire_share: float
    meters: int
    silent_meters: tuple[str, ...]
    transactions: int
    timeouts: int
    crc_errors: int
    truncated: int
    noise_bytes: int
    foreign_replies: int
    rejected_replies: int
    late_replies: int
    exceptions: Mapping[int, int]
    retries: int
    reconnects: int
    split_blocks: int
    commands: int
    commands_unproven: int
    queue_depth: int
    confirming: int
    sweeps_not_taken: int

"""Runs detectors over composed rooms: the product's own rule, and a plain one as its peer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from bench.detect_data import DAY_S, Array
from bench.detect_rooms import NOMINAL_V, Rooms
from bench.detect_score import Trips
from domain.policy import GroupPolicy, MalignantPolicy, Policy
from domain.site import Meter, RoomKind
from rules.detector import MalignantDetector
from rules.ring import Samples

MIDNIGHT_MS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
PLAIN_STEP_W = 250.0
PLAIN_HOLD_S = 3
# Resolution of the registers of a common prepaid meter: W, V, A and power factor.
METER_STEPS = (1.0, 0.1, 0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Readings:
    """What the meters of all rooms tell: arrays of (n samples, rooms), NaN = not told."""

    time_s: npt.NDArray[np.int64]
    power_w: Array
    voltage_v: Array
    current_a: Array
    power_factor: Array


def policy_for(nominal_v: float = NOMINAL_V) -> Policy:
    """The product's default rule, at the recordings' supply voltage."""
    rules = MalignantPolicy(nominal_voltage_v=nominal_v)
    return Policy(groups={"dorm": GroupPolicy(malignant=rules)})


def read_meters(
    rooms: Rooms, period_s: int, *, mean: bool, seed: int, registers: bool = False
) -> Readings:
    """Sample the rooms every `period_s` from a random whole second each: the reading of that
    second, or the mean since the last sample. `registers` rounds as a meter does."""
    rng = np.random.default_rng([seed, period_s, int(mean)])
    phase = rng.integers(0, period_s, size=len(rooms))
    count = (DAY_S - period_s) // period_s
    time_s = phase[None, :] + period_s * (1 + np.arange(count))[:, None]
    length = period_s * count

    def sampled(grid: Array) -> Array:
        told = np.empty((len(rooms), count), np.float32)
        for room, first in enumerate((phase + 1).tolist()):
            parts = grid[room, first : first + length].reshape(count, period_s)
            told[room] = parts.mean(axis=1, dtype=np.float64) if mean else parts[:, -1]
        return np.ascontiguousarray(told.T)

    power = sampled(rooms.power_w)
    nothing = np.full(power.shape, np.nan, np.float32)
    if rooms.reactive_var is None or rooms.distortion_var is None or rooms.voltage_v is None:
        return Readings(time_s, power, nothing, nothing, nothing)
    voltage = sampled(rooms.voltage_v)
    rest = sampled(rooms.reactive_var) ** 2 + sampled(rooms.distortion_var) ** 2
    apparent: Array = np.sqrt(power**2 + rest)
    current = (apparent / voltage).astype(np.float32)
    factor: Array = np.where(apparent > 0, power / np.maximum(apparent, 1e-6), 1.0)
    told = [power, voltage, current, factor.astype(np.float32)]
    if registers:
        told = [_rounded(v, step) for v, step in zip(told, METER_STEPS, strict=True)]
    return Readings(time_s, *told)


def _rounded(values: Array, step: float) -> Array:
    return (np.round(values / step) * step).astype(np.float32)


def without_factor(readings: Readings) -> Readings:
    """The same readings from a meter that tells no current and no power factor."""
    nothing = np.full(readings.power_w.shape, np.nan, np.float32)
    return Readings(readings.time_s, readings.power_w, readings.voltage_v, nothing, nothing)


def run_product(readings: Readings, policy: Policy) -> Trips:
    """Run the detector of rules/ over the readings, sample by sample, a meter a room."""
    return run_together([readings], policy)[0]


def run_together(many: Sequence[Readings], policy: Policy) -> list[Trips]:
    """Run the detector over several sets of readings with the same number of samples at once.

    Meters do not touch one another: this is the same as one run each, in fewer steps.
    """
    edges = np.cumsum([0, *(readings.power_w.shape[1] for readings in many)])
    detector = MalignantDetector(_meters(int(edges[-1])), policy, ZoneInfo("UTC"), samples=16)
    found = [Trips() for _ in many]

    def place(row: int) -> tuple[Trips, int]:
        own = int(np.searchsorted(edges, row, side="right")) - 1
        return found[own], row - int(edges[own])

    for samples in _ticks(many):
        changes = detector.observe(slice(0, int(edges[-1])), samples)
        for row in changes.cleared.tolist():
            trips, room = place(row)
            trips.clear(room, float(samples.time_ms[row] - MIDNIGHT_MS) / 1000)
        for conviction in changes.convicted:
            trips, room = place(conviction.row)
            trips.add(room, float(samples.time_ms[conviction.row] - MIDNIGHT_MS) / 1000)
    return found


def _ticks(many: Sequence[Readings]) -> Iterator[Samples]:
    for tick in range(len(many[0].time_s)):
        yield Samples(
            MIDNIGHT_MS + np.concatenate([r.time_s[tick] for r in many]) * 1000,
            *(
                np.concatenate([getattr(r, name)[tick] for r in many]).astype(np.float64)
                for name in ("power_w", "voltage_v", "current_a", "power_factor")
            ),
        )


def _meters(count: int) -> list[Meter]:
    return [
        Meter(
            name=f"room-{number}",
            bus="bench",
            unit_id=1 + number % 247,
            profile="recorded",
            building="bench",
            room=str(number),
            kind=RoomKind.DORM,
            rated_current_a=20,
        )
        for number in range(count)
    ]


def run_plain(readings: Readings, period_s: int) -> Trips:
    """A plain detector: a rise of 250 W over the sample before that lasts 3 s."""
    power = readings.power_w
    hold = 1 if period_s >= 30 else max(2, -(-PLAIN_HOLD_S // period_s))
    length = power.shape[0] - hold
    rises = np.ones((length, power.shape[1]), np.bool_)
    for later in range(1, hold + 1):
        rises &= power[later : later + length] - power[:length] >= PLAIN_STEP_W
    trips = Trips()
    for room, sample in np.argwhere(rises.T).tolist():
        trips.add(room, float(readings.time_s[sample + hold, room]))
    return trips

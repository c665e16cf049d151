"""Learning a white-list entry: record one use of an appliance, get what defines it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.policy import WhiteListEntry
from rules.electric import conductance_power, reactive_bounds
from rules.ring import Floats

# A recording needs this many samples before the load comes on and while it is on.
BEFORE_LEAST = 3
ON_LEAST = 5
ON_LEAST_S = 5.0
SMALLEST_LOAD_W = 20.0
# The entry's tolerance: what was seen, with a margin, and never tighter than a meter's own error.
TOLERANCE_LEAST, TOLERANCE_MARGIN, TOLERANCE_MOST = 0.05, 0.02, 0.5
FACTOR_STEP = 0.001
# Samples at the edges of a use are half on, half off.
EDGE_SAMPLES = 1


@dataclass(frozen=True, slots=True)
class _Use:
    """Where the load is on in a recording: [first, last), and the level before it."""

    first: int
    last: int
    base_w: float


def learn_entry(
    samples: pl.DataFrame,
    name: str,
    *,
    nominal_voltage_v: float = 220.0,
    longest_run_s: float | None = None,
    meters: Sequence[str] = (),
) -> WhiteListEntry:
    """Learn the load that comes on in a recording of one meter.

    `samples`: time, power_w, and voltage_v, current_a, power_factor where told; a row a sample.
    Power is the median while on, above the level before, at nominal voltage. Raises InvalidInput
    where no load can be told: every fault is listed.
    """
    frame = samples.drop_nulls(["time", "power_w"]).sort("time")
    voltage, current = _column(frame, "voltage_v"), _column(frame, "current_a")
    factor = _column(frame, "power_factor")
    power = conductance_power(
        _column(frame, "power_w"), voltage, np.full(frame.height, nominal_voltage_v)
    )
    use = _find_use(power, name)
    inside = slice(use.first, use.last)
    excess = power[inside] - use.base_w
    load_w = float(np.median(excess))
    low, high = np.percentile(excess, [2.5, 97.5])
    swing = float(max(high - load_w, load_w - low)) / load_w
    seconds = (frame["time"][use.last - 1] - frame["time"][use.first]).total_seconds()
    faults = []
    if seconds < ON_LEAST_S:
        faults.append(f"the load was on for {seconds:g} s; record at least {ON_LEAST_S:g} s")
    if swing + TOLERANCE_MARGIN > TOLERANCE_MOST:
        faults.append(f"the power swings by {swing:.0%}; at most {TOLERANCE_MOST:.0%} is one load")
    if faults:
        raise InvalidInput([Fault("recording", message, name) for message in faults])
    reactive = _non_active(power, voltage, current, factor)
    before = slice(max(0, use.first - 1 - BEFORE_LEAST), use.first - EDGE_SAMPLES)
    step_var = abs(float(np.median(reactive[inside]) - np.median(reactive[before])))
    return WhiteListEntry(
        name=name,
        power_w=round(load_w, 1),
        tolerance=round(max(TOLERANCE_LEAST, swing + TOLERANCE_MARGIN), 3),
        power_factor=None if np.isnan(step_var) else round(load_w / np.hypot(load_w, step_var), 3),
        longest_run_s=longest_run_s,
        meters=tuple(meters),
        learned=True,
    )


def _find_use(power: Floats, name: str) -> _Use:
    """The largest rise that lasts, and where it ends."""
    if len(power) < BEFORE_LEAST + ON_LEAST:
        least = BEFORE_LEAST + ON_LEAST
        raise InvalidInput(
            [Fault("recording", f"{len(power)} samples; at least {least} are needed", name)]
        )
    # The level of a few samples on either side: a glitch of one sample is no load.
    best, place = 0.0, 0
    for at in range(BEFORE_LEAST, len(power) - ON_LEAST + 1):
        before = float(np.median(power[at - BEFORE_LEAST : at]))
        after = float(np.median(power[at : at + ON_LEAST]))
        if after - before > best:
            best, place = after - before, at
    if best < SMALLEST_LOAD_W:
        message = (
            f"no load of {SMALLEST_LOAD_W:g} W or more comes on; record the level before it too"
        )
        raise InvalidInput([Fault("recording", message, name)])
    base_w = float(np.median(power[place - BEFORE_LEAST : place]))
    on = power - base_w >= best / 2
    first = place + int(np.argmax(on[place:]))
    off = np.flatnonzero(~on[first:])
    last = first + int(off[0]) if len(off) else len(power)
    first, last = first + EDGE_SAMPLES, last - (EDGE_SAMPLES if len(off) else 0)
    if last - first < ON_LEAST - 2 * EDGE_SAMPLES:
        message = (
            f"the load was on for {max(last - first, 0)} samples; at least {ON_LEAST} are needed"
        )
        raise InvalidInput([Fault("recording", message, name)])
    return _Use(first, last, base_w)


def _non_active(power: Floats, voltage: Floats, current: Floats, factor: Floats) -> Floats:
    """The middle of what each reading allows, var; NaN where it can't be told."""
    step = np.full(len(power), FACTOR_STEP)
    least, most = reactive_bounds(power, voltage, current, factor, step)
    middle: Floats = (least + most) / 2
    # At a factor that reads 1.000 the middle of the range is the register's step, not the load.
    return np.where(least == 0, 0.0, middle)


def _column(frame: pl.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    return frame[name].cast(pl.Float64).to_numpy()

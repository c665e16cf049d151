"""The level below a step: its power and what non-active power it had, for every meter."""

from dataclasses import dataclass

import numpy as np

from rules.electric import conductance_power, reactive_bounds
from rules.ring import Floats, History, Index, Times

# With samples this close a load's start in stages lies within the level's samples.
CLOSE_S = 2.5
# A sample this close to the level, as a share of the smallest step, belongs to it.
LEVEL_SHARE = 0.1
# |Q|/P that a room's level may have where it was not seen (power factor 0.5).
WIDEST_RATIO = 1.73


@dataclass(frozen=True, slots=True)
class Base:
    """One meter's level: power, W, and the bounds of its non-active power, var (NaN = not told)."""

    power_w: float
    least_var: float
    most_var: float


class Bases:
    """Levels of all meters: when each was kept (ms) and the step above it then (W)."""

    def __init__(self, meters: int) -> None:
        self.power_w = np.full(meters, np.nan)
        self.least_var = np.full(meters, np.nan)
        self.most_var = np.full(meters, np.nan)
        self.time_ms = np.zeros(meters, np.int64)
        self.step_w = np.full(meters, np.nan)

    def keep(self, site: Index, other: "Bases", time_ms: Times, step_w: Floats) -> None:
        """Keep another's levels of some meters."""
        self.take(site, other)
        self.time_ms[site] = time_ms
        self.step_w[site] = step_w

    def take(self, site: Index, other: "Bases") -> None:
        """Take over another's levels of some meters, without when and what step."""
        self.power_w[site] = other.power_w[site]
        self.least_var[site] = other.least_var[site]
        self.most_var[site] = other.most_var[site]

    def of(self, row: int) -> Base:
        """Return the level of one meter."""
        return Base(float(self.power_w[row]), float(self.least_var[row]), float(self.most_var[row]))

    def put(self, row: int, base: Base) -> None:
        """Set the level of one meter."""
        self.power_w[row] = base.power_w
        self.least_var[row], self.most_var[row] = base.least_var, base.most_var

    def reactive_from(
        self, site: Index, past: History, step_w: Floats, nominal_v: Floats, factor_step: Floats
    ) -> None:
        """Set the range of non-active power from the past samples that lie at the level itself:
        not the tail of another load, nor half a step."""
        power = conductance_power(past.power_w, past.voltage_v, nominal_v)
        least, most = reactive_bounds(
            power, past.voltage_v, past.current_a, past.power_factor, factor_step
        )
        near = np.abs(power - self.power_w[site]) <= LEVEL_SHARE * step_w
        known = near & ~np.isnan(least)
        some = known.any(axis=0)
        lowest = np.min(least, axis=0, where=known, initial=np.inf)
        highest = np.max(most, axis=0, where=known, initial=0.0)
        # No sample at the level: any room's share is possible, and nothing is taken for granted.
        widest = WIDEST_RATIO * np.maximum(self.power_w[site], 0.0)
        self.least_var[site] = np.where(some, lowest, 0.0)
        self.most_var[site] = np.where(some, highest, widest)


def level(samples_w: Floats, elapsed_s: Floats) -> Floats:
    """Return the level that five samples show (oldest first): the median of the last three, or of
    the first three where that is lower and they are close in time (a start in stages)."""
    a, b, c, d, e = samples_w
    late = _median3(c, d, e)
    return np.where(elapsed_s <= CLOSE_S, np.minimum(late, _median3(a, b, c)), late)


def _median3(a: Floats, b: Floats, c: Floats) -> Floats:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
